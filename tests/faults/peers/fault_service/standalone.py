"""Starts the service."""

from __future__ import annotations

from pysoa.server.server import Server
from pysoa.server.standalone import simple_main


def get_server() -> type[Server]:
    """Return the server class."""
    from fault_service.service import FaultServer

    return FaultServer


if __name__ == "__main__":
    simple_main(get_server)
