"""The event loop in which a server runs the coroutines that its actions start."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import threading
import time
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from conformity.fields import List

from pysoa.common._conformity import class_configuration, list_of
from pysoa.server.coroutine import CoroutineMiddleware

__all__ = (
    "AsyncEventLoopThread",
    "coroutine_middleware_config",
)

_logger = logging.getLogger("pysoa.async")
_Result = TypeVar("_Result")

_CANCELLATION_GRACE_IN_SECONDS = 1.0

coroutine_middleware_config: List = list_of(
    class_configuration(CoroutineMiddleware),
    description="The `CoroutineMiddleware` around coroutines that actions give to `request.run_coroutine`; "
    "the first is the outermost. Keep `DefaultCoroutineMiddleware` the first if there are others.",
)


class AsyncEventLoopThread(threading.Thread):
    """A thread with an event loop, both started when the first coroutine is to be run.

    A server that never runs one has neither the thread nor the loop's file descriptors.

    Args:
        coroutine_middleware: What wraps each coroutine; the first is the outermost.
        shutdown_grace_in_seconds: For how long :meth:`join` lets coroutines finish, unless it is told
            otherwise.
    """

    def __init__(
        self,
        coroutine_middleware: Sequence[CoroutineMiddleware],
        *,
        shutdown_grace_in_seconds: float = 30.0,
    ) -> None:
        super().__init__(name="pysoa-async-event-loop", daemon=True)
        self._coroutine_middleware = coroutine_middleware
        self._shutdown_grace_in_seconds = shutdown_grace_in_seconds
        self._lifecycle = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        self._stopping = False
        self._closed = False
        self._deadline = 0.0

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop; made by the first look at it."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop

    def run_coroutine(self, coroutine: Coroutine[Any, Any, _Result]) -> concurrent.futures.Future[_Result]:
        """Run a coroutine beside whatever the calling thread does next.

        Each middleware's ``before_run_coroutine`` is called first, here and now. The coroutine sees the
        context variables as they are in the calling context at this moment. May be called from any thread.

        Args:
            coroutine: The coroutine object.

        Returns:
            The future of its result, to be waited for or ignored.

        Raises:
            RuntimeError: The server was shut down.
        """
        for middleware in self._coroutine_middleware:
            middleware.before_run_coroutine()
        for middleware in reversed(self._coroutine_middleware):
            coroutine = middleware.coroutine(coroutine)
        with self._lifecycle:
            if self._closed:
                coroutine.close()
                raise RuntimeError(
                    "Cannot run a coroutine: the server's event loop has been closed by its shutdown."
                )
            self._ensure_running()
            return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def run(self) -> None:
        """Serve the event loop until :meth:`join` ends it. Called by the thread itself."""
        loop = self.loop
        asyncio.set_event_loop(loop)
        loop.call_soon(_logger.info, "Async event loop thread available and running")
        try:
            loop.run_forever()
            _logger.info("Completing uncompleted async tasks")
            self._complete_tasks(loop)
        finally:
            with self._lifecycle:
                self._closed = True
            # Whoever was let in before the door closed has only left a note with the loop so far.
            loop.run_until_complete(asyncio.sleep(0))
            self._complete_tasks(loop)
            _logger.info("Closing async event loop")
            self._run_briefly(loop, loop.shutdown_asyncgens())
            asyncio.set_event_loop(None)
            loop.close()

    def join(self, timeout: float | None = None) -> None:
        """Let the coroutines finish, those that they start included, and end the thread.

        What is not done in time is cancelled, and logged. Returns at once if no coroutine was ever run.

        Args:
            timeout: Seconds to wait in all; ``None`` means the grace given to the constructor.
        """
        grace = self._shutdown_grace_in_seconds if timeout is None else timeout
        with self._lifecycle:
            if not self._is_running():
                self._discard_unused_loop()
                return
            if not self._stopping:
                self._stopping = True
                self._deadline = time.monotonic() + grace
                _logger.info("Scheduling async event loop thread shutdown")
                self.loop.call_soon_threadsafe(self._stop_loop)
        super().join(grace + 2 * _CANCELLATION_GRACE_IN_SECONDS)
        if self.is_alive():
            _logger.error(
                "Async event loop thread did not end within %s seconds, because a coroutine blocks it "
                "without awaiting; leaving it behind.",
                grace,
            )

    def stop_soon(self) -> None:
        """End the thread and cancel its coroutines without waiting: nobody refers to the server any more."""
        with self._lifecycle:
            if self._is_running() and not self._stopping:
                self._stopping = True
                self._deadline = time.monotonic()
                self.loop.call_soon_threadsafe(self._stop_loop)
            elif not self._stopping:
                self._discard_unused_loop()

    def _ensure_running(self) -> None:
        if self._is_running():
            return
        if self.ident is not None:
            # This is a forked child: the thread stayed in the parent, and the loop's descriptors are shared
            # with it.
            threading.Thread.__init__(self, name=self.name, daemon=True)
            self._loop = None
            self._stopping = False
        self._pid = os.getpid()
        _logger.info("Starting async event loop thread")
        _ = self.loop  # made here, before two threads ask for it at once
        self.start()

    def _is_running(self) -> bool:
        return self._pid == os.getpid() and self.is_alive()

    def _discard_unused_loop(self) -> None:
        self._closed = True
        if self._loop is not None and self.ident is None:
            self._loop.close()

    def _stop_loop(self) -> None:
        _logger.info("Stopping async event loop thread")
        self.loop.stop()

    def _complete_tasks(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait for all tasks, also those that start meanwhile, until the deadline; then cancel the rest."""
        while tasks := asyncio.all_tasks(loop):
            remaining = self._deadline - time.monotonic()
            if remaining <= 0:
                break
            loop.run_until_complete(asyncio.wait(tasks, timeout=remaining))
        if tasks := asyncio.all_tasks(loop):
            _logger.warning(
                "Cancelling %d async task(s) that did not finish in time: %s",
                len(tasks),
                ", ".join(sorted(task.get_name() for task in tasks)),
            )
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.wait(tasks, timeout=_CANCELLATION_GRACE_IN_SECONDS))

    @staticmethod
    def _run_briefly(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None]) -> None:
        try:
            loop.run_until_complete(asyncio.wait_for(coroutine, _CANCELLATION_GRACE_IN_SECONDS))
        except TimeoutError:
            _logger.warning(
                "Async generators did not close within %s second(s)", _CANCELLATION_GRACE_IN_SECONDS
            )
