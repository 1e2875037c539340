"""The library's books and loans, in an SQLite file that all worker processes share."""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
from collections.abc import Generator
from typing import NamedTuple


class Author(NamedTuple):
    """Who wrote a book."""

    name: str
    born: datetime.date


class Book(NamedTuple):
    """A book of the library."""

    isbn: str
    title: str
    author: Author
    published: datetime.date
    shelf: str
    copies: int


_LE_GUIN = Author("Ursula K. Le Guin", datetime.date(1929, 10, 21))
_LEM = Author("Stanisław Lem", datetime.date(1921, 9, 12))

_BOOKS = [
    Book("978-0-441-47812-5", "The Left Hand of Darkness", _LE_GUIN, datetime.date(1969, 3, 1), "A1", 2),
    Book("978-0-06-051275-0", "The Dispossessed", _LE_GUIN, datetime.date(1974, 5, 1), "A1", 1),
    Book("978-0-15-602760-1", "Solaris", _LEM, datetime.date(1961, 6, 1), "B2", 1),
    Book("978-0-15-632758-0", "The Futurological Congress", _LEM, datetime.date(1971, 1, 1), "B2", 3),
]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS book (
    isbn TEXT PRIMARY KEY, title TEXT, author TEXT, born TEXT, published TEXT, shelf TEXT, copies INTEGER
);
CREATE TABLE IF NOT EXISTS loan (isbn TEXT REFERENCES book, member TEXT, borrowed_at TEXT, due TEXT);
"""


class Library:
    """Reads and changes the file; every method opens it anew, so an object may be used anywhere."""

    def __init__(self, database: str) -> None:
        self._database = database

    def create(self) -> None:
        """Create the file with a few books, unless another worker was quicker."""
        with self._connect() as connection:
            connection.executescript(_SCHEMA)
            connection.executemany(
                "INSERT OR IGNORE INTO book VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (b.isbn, b.title, b.author.name, str(b.author.born), str(b.published), b.shelf, b.copies)
                    for b in _BOOKS
                ],
            )

    def book(self, isbn: str) -> Book | None:
        """Return a book, or ``None`` if the library never had it."""
        with self._connect() as connection:
            row = connection.execute("SELECT * FROM book WHERE isbn = ?", (isbn,)).fetchone()
        return _book(row) if row else None

    def books(self, author: str = "", shelf: str = "") -> list[Book]:
        """Return the books by an author or on a shelf, or both, or all."""
        with self._connect() as connection:
            rows = connection.execute(
                "SELECT * FROM book WHERE ? IN ('', author) AND ? IN ('', shelf) ORDER BY published",
                (author, shelf),
            ).fetchall()
        return [_book(row) for row in rows]

    def lend(self, isbn: str, member: str, borrowed_at: datetime.datetime, due: datetime.date) -> bool:
        """Write down a loan, unless all copies are lent already; tell whether that was done."""
        with self._connect() as connection:
            cursor = connection.execute(
                "INSERT INTO loan SELECT isbn, ?, ?, ? FROM book WHERE isbn = ?"
                " AND copies > (SELECT count(*) FROM loan WHERE loan.isbn = book.isbn)",
                (member, borrowed_at.isoformat(), due.isoformat(), isbn),
            )
            return cursor.rowcount == 1

    @contextlib.contextmanager
    def _connect(self) -> Generator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self._database, timeout=5)) as connection, connection:
            yield connection


def _book(row: tuple[str, str, str, str, str, str, int]) -> Book:
    isbn, title, author, born, published, shelf, copies = row
    return Book(
        isbn=isbn,
        title=title,
        author=Author(author, datetime.date.fromisoformat(born)),
        published=datetime.date.fromisoformat(published),
        shelf=shelf,
        copies=copies,
    )
