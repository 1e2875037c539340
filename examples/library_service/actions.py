"""The actions of the service: each validates what comes in, does one thing, and validates what goes out."""

from __future__ import annotations

import datetime
import os
import time
from typing import Any

from conformity import fields

from library_service import schemas
from library_service.storage import Book, Library
from pysoa.common.errors import Error
from pysoa.server.action import Action
from pysoa.server.errors import ActionError
from pysoa.server.types import EnrichedActionRequest

_LONGEST_LOAN = datetime.timedelta(days=60)
_USUAL_LOAN = datetime.timedelta(days=28)


class LibraryAction(Action):
    """What all actions need: the library."""

    @property
    def library(self) -> Library:
        """The library that the settings name."""
        assert self.settings is not None
        return Library(self.settings["library_database"])


class GetBook(LibraryAction):
    """Returns one book by its ISBN."""

    request_schema = fields.Dictionary({"isbn": schemas.ISBN})
    response_schema = fields.Dictionary({"book": schemas.BOOK})

    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        """Look the book up."""
        book = self.library.book(request.body["isbn"])
        if book is None:
            raise ActionError(errors=[Error(code="BOOK_NOT_FOUND", message="No such book", field="isbn")])
        return {"book": book_body(book)}


class FindBooks(LibraryAction):
    """Returns the books by an author, oldest first, or all books."""

    request_schema = fields.Dictionary({"author": fields.UnicodeString()}, optional_keys=("author",))
    response_schema = fields.Dictionary({"books": fields.List(schemas.BOOK)})

    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        """Search the shelves."""
        books = self.library.books(author=request.body.get("author", ""))
        return {"books": [book_body(book) for book in books]}


class BorrowBook(LibraryAction):
    """Lends a copy of a book to a member, for four weeks if no other day is named."""

    request_schema = fields.Dictionary(
        {"isbn": schemas.ISBN, "member": fields.UnicodeString(min_length=1), "due": fields.Date()},
        optional_keys=("due",),
    )
    response_schema = fields.Dictionary({"loan": schemas.LOAN})

    def validate(self, request: EnrichedActionRequest) -> None:
        """Check what a schema cannot: that the day of return makes sense."""
        today = datetime.datetime.now(datetime.UTC).date()
        if not today <= request.body.get("due", today) <= today + _LONGEST_LOAN:
            raise ActionError(
                errors=[
                    Error(
                        code="BAD_DUE_DATE",
                        message=f"Name a day in the next {_LONGEST_LOAN.days} days",
                        field="due",
                    )
                ]
            )

    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        """Lend the book, if there is a copy left."""
        isbn, member = request.body["isbn"], request.body["member"]
        now = datetime.datetime.now(datetime.UTC)
        due = request.body.get("due", now.date() + _USUAL_LOAN)
        if not self.library.lend(isbn, member, now, due):
            raise ActionError(
                errors=[Error(code="NO_COPY_LEFT", message="All copies of this book are lent", field="isbn")]
            )
        return {"loan": {"isbn": isbn, "member": member, "borrowed_at": now, "due": due}}


class CountShelf(LibraryAction):
    """Counts the books on a shelf. Somebody has to walk there, which takes half a second."""

    request_schema = fields.Dictionary({"shelf": fields.UnicodeString()})
    response_schema = fields.Dictionary(
        {
            "shelf": fields.UnicodeString(),
            "books": fields.Integer(),
            "worker": fields.Integer(description="The process that counted"),
        }
    )

    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        """Walk there and count."""
        time.sleep(0.5)
        shelf = request.body["shelf"]
        return {"shelf": shelf, "books": len(self.library.books(shelf=shelf)), "worker": os.getpid()}


def book_body(book: Book) -> dict[str, Any]:
    """Return a book in the shape of ``schemas.BOOK``."""
    return {**book._asdict(), "author": book.author._asdict()}
