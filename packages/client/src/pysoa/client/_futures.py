"""The result of a call that has been sent."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

from pysoa.client._requests import check_seconds
from pysoa.common.transport.errors import MessageReceiveTimeout

__all__ = ("FutureSOAResponse",)

_Response = TypeVar("_Response")

_PENDING: Final = object()


class _DelayedException(NamedTuple):
    tp: type[BaseException]
    value: BaseException
    tb: TracebackType | None


class FutureSOAResponse(Generic[_Response]):
    """A response that may not have arrived yet.

    Safe to use from any thread. The request has been sent already; if this object goes without its result
    having been asked for, the response is dropped.

    Args:
        get_response: Waits for the response as many seconds as it is told (``None`` for its own time limit),
            and returns it.
    """

    DelayedException = _DelayedException
    """How an exception is kept."""

    def __init__(self, get_response: Callable[[float | None], _Response]) -> None:
        self._get_response: Callable[[float | None], _Response] | None = get_response
        self._response: Any = _PENDING
        self._raise: _DelayedException | None = None
        self._lock = threading.Lock()
        self._process = _process

    def result(self, timeout: float | None = None) -> _Response:
        """Return the response, after waiting for it if it was not asked for before.

        Args:
            timeout: How many seconds to wait, in place of the time limit given to the ``call_***_future``
                method. ``None`` and 0 mean that one, or else the default of the transport. Ignored once the
                response is here.

        Returns:
            What the blocking method of the same name returns, the same object every time.

        Raises:
            MessageReceiveTimeout: The response did not come in time. It may still come: call this method
                again.
            Exception: What the blocking method of the same name raises, the same object every time.
        """
        if not self.done():
            check_seconds("timeout", timeout)
            if self._process is not _process:
                self._renew_lock()
            # Another thread may be waiting already. Then the same time limit applies to the wait for that
            # thread.
            if not self._lock.acquire(timeout=min(timeout, threading.TIMEOUT_MAX) if timeout else -1):
                raise MessageReceiveTimeout("No message received: another thread waits for the same response")
            try:
                if not self.done():
                    self._resolve(timeout)
            finally:
                self._lock.release()
        if self._raise is not None:
            raise self._raise.value.with_traceback(self._raise.tb)
        return cast(_Response, self._response)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return the exception that :meth:`result` raises, or ``None`` if it returns a response.

        Args:
            timeout: See :meth:`result`.

        Raises:
            MessageReceiveTimeout: The response did not come in time. It may still come: call this method
                again.
        """
        if not self.done():
            try:
                self.result(timeout)
            except MessageReceiveTimeout:
                raise
            except Exception as error:
                return error
        return self._raise.value if self._raise is not None else None

    def running(self) -> bool:
        """Tell whether there is neither a response nor an exception yet; never looks for new ones."""
        return not self.done()

    def done(self) -> bool:
        """Tell whether :meth:`result` has found a response or an exception; never looks for new ones."""
        return self._response is not _PENDING or self._raise is not None

    def _renew_lock(self) -> None:
        # A thread of the parent process may have held it, and does not exist in this one.
        with _renewing:
            if self._process is not _process:
                self._lock = threading.Lock()
                self._process = _process

    def _resolve(self, timeout: float | None) -> None:
        get_response = self._get_response
        assert get_response is not None  # it goes only when the outcome comes
        try:
            self._response = get_response(timeout)
        except MessageReceiveTimeout:
            raise
        except Exception as error:
            self._raise = _DelayedException(type(error), error, error.__traceback__)
        self._get_response = None


_process: object = object()
"""Another one in every process that is forked off."""
_renewing = threading.Lock()


def _note_fork() -> None:
    global _process, _renewing
    _process = object()
    _renewing = threading.Lock()


os.register_at_fork(after_in_child=_note_fork)
