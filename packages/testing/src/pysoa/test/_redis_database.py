"""One numbered database of a private Redis, for services and clients that see no others."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Generator, Mapping
from typing import Any, Final

import attrs

from pysoa.test.redis_server import RedisServer

__all__ = ("RedisDatabase", "taken_database")

_TRANSPORT: Final = "pysoa.common.transport.redis_gateway.{}:Redis{}Transport"

_lock: Final = threading.Lock()
_taken: Final[weakref.WeakKeyDictionary[RedisServer, set[int]]] = weakref.WeakKeyDictionary()


@attrs.frozen
class RedisDatabase:
    """A database of a private Redis.

    The queues of services in one database are not seen from another one. ``FLUSHALL`` does empty all of them.
    """

    server: RedisServer
    """The started server."""
    number: int = 0
    """The number of the database."""
    connection_kwargs: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    """Further arguments of connections, such as the password."""

    @property
    def client_transport(self) -> dict[str, Any]:
        """The setting ``transport`` of a client whose service is in this database."""
        return {"path": _TRANSPORT.format("client", "Client"), "kwargs": self._kwargs()}

    @property
    def server_transport(self) -> dict[str, Any]:
        """The setting ``transport`` of a server in this database."""
        return {"path": _TRANSPORT.format("server", "Server"), "kwargs": self._kwargs()}

    def _kwargs(self) -> dict[str, Any]:
        layer: dict[str, Any] = {
            "hosts": [(self.server.host, self.server.port)],
            "redis_db": self.number,
        }
        if self.connection_kwargs:
            layer["connection_kwargs"] = dict(self.connection_kwargs)
        return {"backend_type": "redis.standard", "backend_layer_kwargs": layer}


@contextlib.contextmanager
def taken_database(server: RedisServer) -> Generator[RedisDatabase]:
    """Give an empty database that nobody else has taken; 0 is left to those who do not ask.

    Args:
        server: The server, which is started if it is not running.

    Raises:
        RuntimeError: All databases are taken.
    """
    server.start()
    limit = _count_databases(server)
    with _lock:
        taken = _taken.setdefault(server, set())
        number = next((number for number in range(1, limit) if number not in taken), None)
        if number is None:
            raise RuntimeError(
                f"All {limit} databases of {server!r} are in use. Stop some services, "
                'or start the server with config=["databases 256"].'
            )
        taken.add(number)
    try:
        yield RedisDatabase(server, number)
    finally:
        if server.is_running:
            # The server has no command to empty the database of another connection.
            server.execute("EVAL", "redis.call('SELECT', ARGV[1]) redis.call('FLUSHDB')", 0, number)
        with _lock:
            taken.discard(number)


def _count_databases(server: RedisServer) -> int:
    reply = server.execute("CONFIG", "GET", "databases")
    assert isinstance(reply, list)  # name and value
    value = reply[1]
    assert isinstance(value, bytes)
    return int(value)
