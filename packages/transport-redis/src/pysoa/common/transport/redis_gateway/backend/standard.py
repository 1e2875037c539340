"""A fixed list of Redis masters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

import redis

from pysoa.common._redaction import redacted_repr
from pysoa.common.transport.redis_gateway._interfaces import CommandConnection
from pysoa.common.transport.redis_gateway.backend import _redis_py
from pysoa.common.transport.redis_gateway.backend._endpoint import Endpoint, pair_in
from pysoa.common.transport.redis_gateway.backend._pool import ConnectionPool
from pysoa.common.transport.redis_gateway.backend.base import BaseRedisClient

__all__ = ("StandardRedisClient",)

_CONNECTION_DEFAULTS: Final = {"socket_connect_timeout": 5.0, "socket_keepalive": True}


class StandardRedisClient(BaseRedisClient):
    """Talks to Redis servers whose addresses are known. Nothing is connected until it is needed."""

    DEFAULT_PORT: ClassVar[int] = 6379
    URL_SYNTAX: ClassVar[re.Pattern[str]] = re.compile(r"^(unix|rediss?)://")

    def __init__(
        self,
        hosts: Iterable[str | tuple[str, int]] | None = None,
        connection_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        """Remember the servers.

        Args:
            hosts: The masters, in the order that all clients and servers must share: host names, pairs of
                host and port, or URLs that start with ``redis://``, ``rediss://`` or ``unix://``. ``None`` or
                nothing stands for ``localhost``.
            connection_kwargs: What redis-py takes for each connection, such as ``password``, ``db``, ``ssl``.

        Raises:
            TypeError: redis-py does not know one of ``connection_kwargs``.
            ValueError: A host is not as described, or redis-py refuses an argument.
        """
        arguments = {**_CONNECTION_DEFAULTS, **(connection_kwargs or {})}
        self._pools = [ConnectionPool(endpoint) for endpoint in self._endpoints(hosts, arguments)]
        super().__init__(ring_size=len(self._pools))

    @classmethod
    def _endpoints(
        cls, hosts: Iterable[str | tuple[str, int]] | None, arguments: Mapping[str, Any]
    ) -> list[Endpoint]:
        if isinstance(hosts, str):
            raise ValueError("Redis hosts must be specified as an iterable of hosts.")
        return [cls._endpoint(host, arguments) for host in list(hosts or ()) or ["localhost"]]

    @classmethod
    def _endpoint(cls, entry: object, arguments: Mapping[str, Any]) -> Endpoint:
        if isinstance(entry, str) and cls.URL_SYNTAX.match(entry):
            return Endpoint({**arguments, **_arguments_in(entry)})
        host, port = (entry, cls.DEFAULT_PORT) if isinstance(entry, str) else pair_in(entry)
        if not isinstance(host, str) or not isinstance(port, int) or "://" in host:
            raise ValueError(
                "Each Redis `hosts` entries must be specified as either a string host name (which will "
                f"default to port {cls.DEFAULT_PORT}), string Redis URI, or a two-tuple of (string, int) "
                "host and port. "
                f"`{redacted_repr(entry)}` did not fit this requirement."
            )
        return Endpoint({**arguments, "host": host, "port": port})

    def acquire(self, index: int, deadline: float) -> CommandConnection:
        """Lend a connection to a master, to be given back by :meth:`release` or :meth:`discard`.

        Args:
            index: Which of the masters.
            deadline: When to give up, in ``time.monotonic()`` seconds.

        Raises:
            BackendError: It cannot be had by then.
            ValueError: There is no master with this index.
        """
        if not 0 <= index < self._ring_size:
            self._check_index(index)
        acquire = self._pools[index].acquire
        return acquire(deadline)

    def _pool(self, index: int, deadline: float) -> ConnectionPool:  # noqa: ARG002  # nothing to wait for
        self._check_index(index)
        return self._pools[index]

    def _get_connection(self, index: int) -> redis.Redis:
        self._check_index(index)
        return self._pools[index].endpoint.client()

    def _renew_after_fork(self) -> None:
        parents_pools = self._pools
        self._pools = [ConnectionPool(pool.endpoint) for pool in parents_pools]
        for pool in parents_pools:
            pool.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {', '.join(pool.endpoint.address for pool in self._pools)}>"


def _arguments_in(url: str) -> dict[str, Any]:
    try:
        return _redis_py.url_arguments(url)
    except ValueError as error:
        raise ValueError(f"The Redis URL {redacted_repr(url)} is not usable: {_reason(error)}") from None


def _reason(error: ValueError) -> str:
    # The words of redis-py name an argument. Those of urllib repeat a part of the URL, which may be one of
    # the password.
    text = str(error)
    if text.startswith(("Invalid value for ", "Redis URL must ")):
        return text
    return (
        "its host or port cannot be read. Write special characters in user and password as %XX: / is %2F, "
        "? is %3F, # is %23, @ is %40, [ is %5B and ] is %5D."
    )
