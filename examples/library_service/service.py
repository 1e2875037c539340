"""The service: its name, its settings and its actions."""

from __future__ import annotations

from conformity import fields

from library_service.actions import BorrowBook, CountShelf, FindBooks, GetBook
from library_service.storage import Library
from pysoa.server.server import Server
from pysoa.server.settings import ServerSettings


class LibrarySettings(ServerSettings):
    """The settings of every PySOA server, and where this one keeps its books."""

    schema = {"library_database": fields.UnicodeString(description="The path of the SQLite file")}


class LibraryServer(Server):
    """Finds and lends books."""

    service_name = "library"
    settings_class = LibrarySettings
    action_class_map = {
        "get_book": GetBook,
        "find_books": FindBooks,
        "borrow_book": BorrowBook,
        "count_shelf": CountShelf,
    }

    def setup(self) -> None:
        """Create the library before the first request."""
        Library(self.settings["library_database"]).create()
