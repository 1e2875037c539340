"""Keeps database connections in order that coroutines have opened."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, cast

from asgiref.sync import sync_to_async

from pysoa.server.coroutine import CoroutineMiddleware, MiddlewareCoroutine

__all__ = ("DjangoCoroutineMiddleware",)


class DjangoCoroutineMiddleware(CoroutineMiddleware):
    """Closes old database connections of the coroutines' threads when no coroutine is left that may use them.

    A server with ``use_django`` has this middleware without configuring it. Django's asynchronous methods do
    their work in a thread of their own, whose connections the end of a request does not reach.
    """

    def __init__(self, close_connections: Callable[[], Callable[[], None] | None]) -> None:
        """Construct the middleware.

        Args:
            close_connections: A (weak) reference to the method that closes the old connections of the thread
                in which it is called; called itself, it returns that method, or ``None`` if it is gone.
        """
        self._close_connections = close_connections
        self._running = 0

    def coroutine(self, coroutine: MiddlewareCoroutine) -> MiddlewareCoroutine:
        """Wrap the coroutine so that connections are looked after when it has ended."""

        async def close_connections_afterwards() -> Any:
            self._running += 1
            try:
                return await coroutine
            finally:
                self._running -= 1
                close = self._close_connections()
                if close is not None and not self._running:
                    await sync_to_async(close, thread_sensitive=True)()

        wrapper: Coroutine[Any, Any, Any] = close_connections_afterwards()
        return cast(MiddlewareCoroutine, wrapper)  # a coroutine with the same result
