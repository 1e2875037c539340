"""One Redis server or Sentinel: where it is, and how to connect and log in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import redis

from pysoa.common._redaction import redact_connection_settings
from pysoa.common.transport.redis_gateway.backend import _redis_py
from pysoa.common.transport.redis_gateway.backend._errors import Secrets, translate

__all__ = ("Endpoint", "pair_in")

_DEFAULT_READ_SIZE: Final = 65_536
_SECRET_NAMES: Final = ("password", "ssl_password")


class Endpoint:
    """Connects to one server."""

    def __init__(self, arguments: Mapping[str, Any], *, kind: str = "Redis") -> None:
        """Remember how to connect; do nothing yet.

        Args:
            arguments: What ``redis.Redis`` takes, with ``host`` and ``port``, and what its connections take
                beyond that. ``socket_connect_timeout`` limits one attempt to connect, ``socket_timeout`` each
                further step of the log-in; commands have deadlines of their own.
            kind: What to call the server in reports.

        Raises:
            TypeError: There is an argument that redis-py does not know.
            ValueError: redis-py refuses an argument.
        """
        self.kind = kind
        self.secrets = Secrets(_secrets(arguments))
        self._arguments = dict(arguments)
        try:
            self._class, self._connection_arguments = _redis_py.connection_class_and_arguments(arguments)
        except (redis.RedisError, AttributeError) as error:
            text = self.secrets.hide_in(str(error))
            raise ValueError(f"Redis connection arguments are not usable: {text}") from None
        self.address = _address(self._connection_arguments)
        self.read_size = int(arguments.get("socket_read_size") or _DEFAULT_READ_SIZE)
        self.max_connections: int | None = arguments.get("max_connections")
        self.health_check_interval_s = float(arguments.get("health_check_interval") or 0)
        self._connect_limit_s: float | None = arguments.get("socket_connect_timeout")
        self._step_limit_s: float | None = arguments.get("socket_timeout")

    @property
    def name(self) -> str:
        """What to call it in a report, without credentials."""
        return f"{self.kind} at {self.address}"

    def connect(self, deadline: float) -> _redis_py.LoggedInConnection:
        """Connect and log in.

        Args:
            deadline: When to give up, in ``time.monotonic()`` seconds.

        Raises:
            BackendError: It did not work.
        """
        try:
            return _redis_py.connect(
                self._class, self._connection_arguments, deadline, self._connect_limit_s, self._step_limit_s
            )
        except Exception as error:
            # Beside redis-py's errors and OSError there is what credential providers and TLS options raise.
            raise translate(error, self.name, self.secrets) from None

    def client(self) -> redis.Redis:
        """Return a client of redis-py for the same server, for tools and tests."""
        return _redis_py.client(self._arguments)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {redact_connection_settings(self._arguments)}>"


def pair_in(entry: object) -> tuple[object, object]:
    """Return the two elements of an entry of ``hosts``, or twice ``None`` if it is no pair.

    Args:
        entry: The entry as it was configured.
    """
    if isinstance(entry, tuple):
        elements = cast("tuple[object, ...]", entry)
        if len(elements) == 2:
            return elements[0], elements[1]
    return None, None


def _address(connection_arguments: Mapping[str, Any]) -> str:
    if "path" in connection_arguments:
        return str(connection_arguments["path"])
    host = str(connection_arguments.get("host"))
    return (
        f"[{host}]:{connection_arguments.get('port')}"
        if ":" in host
        else (f"{host}:{connection_arguments.get('port')}")
    )


def _secrets(arguments: Mapping[str, Any]) -> Iterator[object]:
    for name in _SECRET_NAMES:
        yield arguments.get(name)
