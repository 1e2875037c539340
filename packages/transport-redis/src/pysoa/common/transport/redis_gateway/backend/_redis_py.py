"""All that is asked of redis-py: to connect, speak TLS and log in, and to do so by a deadline.

Its classes for connections are public, and stay in charge of everything up to the log-in. After it, the
socket is used directly: redis-py's own ways to send and to read add a quarter to what the system calls cost,
and know no deadline. For that, one private attribute is read here, ``_sock``, which has been there in all
versions since 2.0. Newer versions have a method for it that the older ones lack, and that is private as well.
"""

from __future__ import annotations

import functools
import inspect
import socket
import time
from collections.abc import Mapping
from typing import Any, Final, Protocol, cast

import redis
import redis.connection
import redis.sentinel

__all__ = (
    "LoggedInConnection",
    "client",
    "connect",
    "connection_class_and_arguments",
    "open_socket",
    "url_arguments",
)

# redis-py's own annotations are partial and change with each version, so both are taken without them.
_client_class: Any = redis.Redis
_connection_module: Any = redis.connection

_SHORTEST_STEP_S: Final = 0.001
# The few replies of a log-in are short; the buffer for messages is our own.
_LOG_IN_READ_SIZE: Final = 4096
# Arguments that redis.Redis adds for the sake of its own pools, retries and notifications.
_NOT_FOR_CONNECTIONS: Final = frozenset({"event_dispatcher", "himport_registry"})
# The first would connect at once, the next two need version 3 of the protocol; the others have no effect,
# and newer versions warn about some of them.
_NOT_FOR_CLIENTS: Final = frozenset(
    {
        "single_connection_client",
        "cache",
        "cache_config",
        "lib_name",
        "lib_version",
        "retry",
        "retry_on_error",
        "retry_on_timeout",
    }
)
_NOT_FOR_UNIX_SOCKETS: Final = frozenset({"socket_keepalive", "socket_keepalive_options", "socket_type"})


class LoggedInConnection(Protocol):
    """The part of redis-py's connections that is used here."""

    def connect(self) -> None:
        """Connect and log in."""
        ...

    def disconnect(self) -> None:
        """Close; in a process forked off since, without a word to the other side."""
        ...


class _BoundedConnection:
    """Makes all that redis-py's classes do until a connection is logged in end by one deadline.

    They read the two time limits anew for each address that a host name has and for each step. Here these are
    what is left of the time. Setting them, as redis-py's constructors do, has no effect.
    """

    deadline = 0.0
    connect_limit_s: float | None = None
    step_limit_s: float | None = None

    @property
    def socket_connect_timeout(self) -> float:
        return self._left_s(self.connect_limit_s)

    @socket_connect_timeout.setter
    def socket_connect_timeout(self, value: object) -> None:
        pass

    @property
    def socket_timeout(self) -> float:
        return self._left_s(self.step_limit_s)

    @socket_timeout.setter
    def socket_timeout(self, value: object) -> None:
        pass

    def send_packed_command(self, command: object, check_health: bool = False) -> None:
        """Send one command of the log-in; the wait for its answer gets what is left of the time, too."""
        sock = open_socket(self)
        if sock is not None:
            sock.settimeout(self.socket_timeout)
        redis_py: Any = super()
        redis_py.send_packed_command(command, check_health)

    def _left_s(self, limit_s: float | None) -> float:
        left_s = max(self.deadline - time.monotonic(), _SHORTEST_STEP_S)
        return left_s if limit_s is None else min(left_s, limit_s)


def connection_class_and_arguments(
    arguments: Mapping[str, Any],
) -> tuple[Any, dict[str, Any]]:
    """Translate the arguments of a client into those of its connections, as redis-py itself does it.

    Args:
        arguments: What ``redis.Redis`` takes, and what its connections take beyond that.

    Returns:
        The class of the connections, and their arguments, without any time limits.

    Raises:
        TypeError: There is an argument that redis-py does not know.
    """
    known = inspect.signature(_client_class.__init__).parameters
    client_arguments = {name: value for name, value in arguments.items() if name in known}
    pool: Any = client(client_arguments).connection_pool
    connection_class = pool.connection_class
    given_class = arguments.get("connection_class")
    if given_class is not None:
        connection_class = _plain_class(given_class)
    connection_arguments: dict[str, Any] = {
        **pool.connection_kwargs,
        **{
            name: value
            for name, value in arguments.items()
            if name not in known and name != "connection_class"
        },
    }
    _leave_out(connection_arguments, issubclass(connection_class, redis.UnixDomainSocketConnection))
    connection_arguments.update(_OVERRIDES)
    connection_arguments.update(_no_client_info())
    connect(
        connection_class, connection_arguments
    )  # Fails now, not at the first call, if an argument is wrong.
    return connection_class, connection_arguments


_OVERRIDES: Final[dict[str, Any]] = {
    # Replies are bytes, and of version 2 of the protocol, whatever else is asked for.
    "decode_responses": False,
    "protocol": 2,
    # What fails is reported; whether to try again is known to the caller only.
    "retry": None,
    "retry_on_error": [],
    "retry_on_timeout": False,
    "health_check_interval": 0,
    "socket_timeout": None,
    "socket_connect_timeout": None,
    "socket_read_size": _LOG_IN_READ_SIZE,
}


def client(arguments: Mapping[str, Any]) -> redis.Redis:
    """Return a client of redis-py, which connects when it is first used.

    Args:
        arguments: What ``redis.Redis`` takes.
    """
    ours = {name: value for name, value in arguments.items() if name not in _NOT_FOR_CLIENTS}
    return cast("redis.Redis", _client_class(**{**ours, "decode_responses": False, "protocol": 2}))


def _plain_class(given_class: Any) -> Any:
    # The classes for Sentinel ask their own pool for the address. That is done elsewhere here, so that only
    # whether they speak TLS matters.
    if issubclass(given_class, redis.sentinel.SentinelManagedConnection):
        is_tls = issubclass(given_class, redis.SSLConnection)
        return redis.SSLConnection if is_tls else redis.Connection
    return given_class


def _leave_out(connection_arguments: dict[str, Any], is_unix_socket: bool) -> None:
    for name in list(connection_arguments):
        if (
            name in _NOT_FOR_CONNECTIONS
            or name.startswith(("maint_notifications_", "orig_"))
            or (is_unix_socket and name in _NOT_FOR_UNIX_SOCKETS)
        ):
            del connection_arguments[name]


@functools.cache
def _no_client_info() -> dict[str, None]:
    # CLIENT SETINFO would cost each connection two round trips.
    known = inspect.signature(_connection_module.AbstractConnection.__init__).parameters
    if "driver_info" in known:
        return {"driver_info": None}
    return {name: None for name in ("lib_name", "lib_version") if name in known}


def url_arguments(url: str) -> dict[str, Any]:
    """Return what ``redis.Redis`` takes for the address and the log-in that a URL has.

    Args:
        url: One that starts with ``redis://``, ``rediss://`` or ``unix://``.

    Raises:
        ValueError: It has a part that is not as it must be.
    """
    arguments = dict[str, Any](_connection_module.parse_url(url))
    connection_class: Any = arguments.pop("connection_class", None)
    if connection_class is redis.UnixDomainSocketConnection:
        arguments["unix_socket_path"] = arguments.pop("path", "")
    elif connection_class is redis.SSLConnection:
        arguments["ssl"] = True
    return arguments


@functools.cache
def _bounded_class(connection_class: Any) -> Any:
    return type(f"Bounded{connection_class.__name__}", (_BoundedConnection, connection_class), {})


def connect(
    connection_class: Any,
    connection_arguments: Mapping[str, Any],
    deadline: float | None = None,
    connect_limit_s: float | None = None,
    step_limit_s: float | None = None,
) -> LoggedInConnection:
    """Return a connection; it is connected only if a deadline is given.

    Args:
        connection_class: One of redis-py's classes.
        connection_arguments: What it takes.
        deadline: When to give up, in ``time.monotonic()`` seconds.
        connect_limit_s: How long one attempt to connect to one address may take at most.
        step_limit_s: How long each further step may take at most: TLS, and each command of the log-in.
    """
    connection: Any = _bounded_class(connection_class)(**connection_arguments)
    if deadline is not None:
        connection.deadline = deadline
        connection.connect_limit_s = connect_limit_s
        connection.step_limit_s = step_limit_s
        connection.connect()
    return cast(LoggedInConnection, connection)  # redis-py's classes have both methods.


def open_socket(connection: object) -> socket.socket | None:
    """Return the socket of one of redis-py's connections, which still owns it, or ``None`` if it has none.

    Args:
        connection: The connection.
    """
    return cast("socket.socket | None", getattr(connection, "_sock", None))
