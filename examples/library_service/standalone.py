"""Starts the service: ``python -m library_service.standalone -s library_service.settings --fork 2``."""

from __future__ import annotations

from pysoa.server.server import Server
from pysoa.server.standalone import simple_main


def get_server() -> type[Server]:
    """Return the server class. It is imported here, after the command line was understood."""
    from library_service.service import LibraryServer

    return LibraryServer


def main() -> None:
    """Run the service until it is told to stop."""
    simple_main(get_server)


if __name__ == "__main__":
    main()
