"""Connections to one server, kept for the next who needs one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from pysoa.common.transport.redis_gateway._interfaces import BackendError
from pysoa.common.transport.redis_gateway.backend._connection import RedisConnection
from pysoa.common.transport.redis_gateway.backend._endpoint import Endpoint

__all__ = ("ConnectionPool",)


class ConnectionPool:
    """Lends connections to one server, the one that came back last first. Safe for threads.

    Taking from and adding to the end of a list are single steps for all threads, so there is no lock.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        """Start without connections.

        Args:
            endpoint: The server.
        """
        self.endpoint = endpoint
        self._idle: list[RedisConnection] = []
        self._is_closed = False
        self._permits = _permits(endpoint)
        self._health_check_interval_s = endpoint.health_check_interval_s
        self.acquire: Callable[[float], RedisConnection] = (
            self._open_connection if self._permits is None else self._permitted_connection
        )
        """Lend a connection; see :meth:`_open_connection`."""

    def _open_connection(self, deadline: float) -> RedisConnection:
        """Lend a connection that is known to be open, or a new one.

        Args:
            deadline: When to give up, in ``time.monotonic()`` seconds.

        Raises:
            BackendError: There is none to be had by then.
        """
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return RedisConnection(self.endpoint, self, deadline)
            has_news = connection.has_news
            if not has_news() and (
                self._health_check_interval_s == 0 or self._is_healthy(connection, deadline)
            ):
                connection.is_unused = True
                return connection
            connection.close()

    def _is_healthy(self, connection: RedisConnection, deadline: float) -> bool:
        idle_s = time.monotonic() - connection.returned_at
        return idle_s < self._health_check_interval_s or connection.answers_ping(deadline)

    def _permitted_connection(self, deadline: float) -> RedisConnection:
        self._wait_for_permit(deadline)
        try:
            return self._open_connection(deadline)
        except BaseException:
            self._return_permit()
            raise

    def release(self, connection: RedisConnection) -> None:
        """Take back a connection that has been read to its end; close it if it has not.

        Args:
            connection: One that this pool lent.
        """
        has_unread_data = connection.has_unread_data
        if self._is_closed or has_unread_data():
            connection.close()
        else:
            if self._health_check_interval_s:
                connection.returned_at = time.monotonic()
            self._idle.append(connection)
        if self._permits is not None:
            self._return_permit()

    def discard(self, connection: RedisConnection) -> None:
        """Close a connection that is of no more use.

        Args:
            connection: One that this pool lent.
        """
        connection.close()
        self._return_permit()

    def close(self) -> None:
        """Close what is here now, and later what is still lent."""
        self._is_closed = True
        while self._idle:
            try:
                self._idle.pop().close()
            except IndexError:
                return

    def _wait_for_permit(self, deadline: float) -> None:
        left_s = max(deadline - time.monotonic(), 0)
        if self._permits is not None and not self._permits.acquire(timeout=left_s):
            raise BackendError(
                f"All {self.endpoint.max_connections} connections to {self.endpoint.name} were in use until "
                "the time limit. Raise max_connections in connection_kwargs.",
                cause_name="ConnectionError",
            )

    def _return_permit(self) -> None:
        if self._permits is not None:
            self._permits.release()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.endpoint.name}, {len(self._idle)} idle>"


def _permits(endpoint: Endpoint) -> threading.Semaphore | None:
    if endpoint.max_connections is None:
        return None
    return threading.Semaphore(endpoint.max_connections)
