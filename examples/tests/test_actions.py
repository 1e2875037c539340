"""The actions, called through a whole client and a whole server in the same process."""

from __future__ import annotations

import datetime
import itertools
import pathlib
import tempfile
from typing import Any

import pytest

from library_service.service import LibraryServer
from pysoa.test.assertions import raises_only_field_errors
from pysoa.test.server import ServerTestCase

SOLARIS = "978-0-15-602760-1"
DARKNESS = "978-0-441-47812-5"
UNKNOWN = "978-3-16-148410-0"


def today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


# In the style of pytest, with the fixtures of pysoa-testing: one server for all tests of this module.


def test_a_book_is_found_by_its_isbn(service_client: Any) -> None:
    book = service_client.call_action("get_book", {"isbn": SOLARIS}).body["book"]

    assert (book["title"], book["author"]["name"]) == ("Solaris", "Stanisław Lem")


@pytest.mark.parametrize(
    ("author", "titles"),
    [
        ("Stanisław Lem", ["Solaris", "The Futurological Congress"]),
        ("Ursula K. Le Guin", ["The Left Hand of Darkness", "The Dispossessed"]),
        ("Nobody", []),
    ],
)
def test_books_are_found_by_their_author(service_client: Any, author: str, titles: list[str]) -> None:
    books = service_client.call_action("find_books", {"author": author}).body["books"]

    assert [book["title"] for book in books] == titles


def test_books_come_oldest_first(service_client: Any) -> None:
    books = service_client.call_action("find_books").body["books"]

    assert all(first["published"] <= second["published"] for first, second in itertools.pairwise(books))


def test_an_isbn_must_be_known(service_client: Any) -> None:
    with raises_only_field_errors({"isbn": "BOOK_NOT_FOUND"}) as info:
        service_client.call_action("get_book", {"isbn": UNKNOWN})

    assert info.soa_errors[0].message == "No such book"


def test_an_isbn_must_have_its_dashes(service_client: Any) -> None:
    with raises_only_field_errors({"isbn": "INVALID"}):
        service_client.call_action("get_book", {"isbn": "9780156027601"})


# In the style of unittest: every test has a server, and here a library, of its own.


class TestBorrowing(ServerTestCase):
    """Lending changes the library."""

    server_class = LibraryServer

    def setup_method(self) -> None:
        """Give each test a library of its own."""
        self.folder = tempfile.TemporaryDirectory()
        self.server_settings = {"library_database": str(pathlib.Path(self.folder.name) / "library.sqlite3")}
        super().setup_method()

    def teardown_method(self) -> None:
        super().teardown_method()
        self.folder.cleanup()

    def test_a_book_is_lent_for_four_weeks(self) -> None:
        loan = self.call_action("borrow_book", {"isbn": SOLARIS, "member": "Ada"}).body["loan"]

        assert loan["due"] == loan["borrowed_at"].date() + datetime.timedelta(days=28)
        assert loan["member"] == "Ada"

    def test_there_are_only_so_many_copies(self) -> None:
        for member in ("Ada", "Grace"):
            self.call_action("borrow_book", {"isbn": DARKNESS, "member": member})

        self.assertActionRunsWithOnlyFieldErrors(
            "borrow_book", {"isbn": DARKNESS, "member": "Edsger"}, {"isbn": "NO_COPY_LEFT"}
        )

    @pytest.mark.parametrize("days", [-1, 61])
    def test_a_day_of_return_must_make_sense(self, days: int) -> None:
        body = {"isbn": SOLARIS, "member": "Ada", "due": today() + datetime.timedelta(days=days)}

        self.assertActionRunsWithOnlyFieldErrors("borrow_book", body, {"due": "BAD_DUE_DATE"})

    def test_everything_that_is_missing_is_reported(self) -> None:
        self.assertActionRunsWithOnlyFieldErrors("borrow_book", {}, {"isbn": "MISSING", "member": "MISSING"})
