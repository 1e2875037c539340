"""The shapes of what the service takes and returns."""

from __future__ import annotations

from conformity import fields

ISBN = fields.UnicodeString(description="The book's ISBN-13, with its dashes", min_length=17, max_length=17)

AUTHOR = fields.Dictionary(
    {
        "name": fields.UnicodeString(),
        "born": fields.Date(description="The day of birth"),
    },
    description="Who wrote a book",
)

BOOK = fields.Dictionary(
    {
        "isbn": ISBN,
        "title": fields.UnicodeString(),
        "author": AUTHOR,
        "published": fields.Date(),
        "shelf": fields.UnicodeString(description="Where the book stands, such as 'B2'"),
        "copies": fields.Integer(gte=0, description="How many copies the library owns"),
    },
    description="A book of the library",
)

LOAN = fields.Dictionary(
    {
        "isbn": ISBN,
        "member": fields.UnicodeString(),
        "borrowed_at": fields.DateTime(description="When the book left, with time zone"),
        "due": fields.Date(description="The last day on which it may come back"),
    },
    description="One copy of a book, lent to a member",
)
