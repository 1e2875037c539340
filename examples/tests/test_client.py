"""Code that calls the service, tested without it: the actions are stubbed."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

import library_client
from pysoa.client.client import Client
from pysoa.test.stub_service import StubbedAction, stub_action

BOOK: dict[str, Any] = {
    "isbn": library_client.SOLARIS,
    "title": "Solaris",
    "author": {"name": "Stanisław Lem", "born": datetime.date(1921, 9, 12)},
    "published": datetime.date(1961, 6, 1),
    "shelf": "B2",
    "copies": 1,
}


@stub_action("library", "get_book", {"book": BOOK}, argument="get_book")
def test_the_age_of_the_author_is_printed(
    capsys: pytest.CaptureFixture[str], get_book: StubbedAction
) -> None:
    library_client.call_one_action(Client({}))

    assert "'Solaris' by Stanisław Lem, who was 40 when it came out" in capsys.readouterr().out
    get_book.assert_called_once_with({"isbn": library_client.SOLARIS})


def test_a_job_of_several_actions_is_printed(capsys: pytest.CaptureFixture[str], action_stubber: Any) -> None:
    now = datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)
    loan = {"isbn": library_client.DARKNESS, "member": "Ada", "borrowed_at": now, "due": now.date()}
    find_books = action_stubber("library", "find_books", {"books": [BOOK]})
    borrow_book = action_stubber("library", "borrow_book", {"loan": loan})
    action_stubber("library", "get_book", {"book": BOOK})

    library_client.call_several_actions(Client({}))

    output = capsys.readouterr().out
    assert "found 'Solaris', on shelf B2" in output
    assert "lent to Ada at 07:08:09 UTC, due on 2024-05-06" in output
    find_books.assert_call_bodies({"author": "Ursula K. Le Guin"})
    assert borrow_book.call_body["member"] == "Ada"
