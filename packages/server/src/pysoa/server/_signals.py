"""The signals that end a worker: the first asks it to finish, a second one forces it."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import Any

from pysoa.common.interfaces import Interruptible
from pysoa.server._process_state import ProcessState, RunningServer, state_of

__all__ = ("ForcedShutdown", "HandlersOfRun", "handle_shutdown_signal")

_DUPLICATE_WINDOW_IN_SECONDS = 1.0

_SHORTEST_TIMER_IN_SECONDS = 0.001

_Handler = Any  # what signal.getsignal returns: typeshed's own alias is private


class ForcedShutdown(SystemExit):
    """Ends the process with exit code 1 after a second signal, from wherever the main thread is."""


class HandlersOfRun:
    """The signal handlers of one ``Server.run``. They can only be installed in the main thread."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._previous: dict[int, _Handler] = {}
        self._foreign_timer_ends_at: float | None = None

    def install(self) -> None:
        """Install the handlers if this is the main thread; otherwise leave signals to the embedding program.

        SIGHUP, which would kill the process, asks for a shutdown too, except when it was ignored on purpose
        (``nohup``).
        """
        if threading.current_thread() is not threading.main_thread():
            return
        server = self._server
        self._replace(signal.SIGINT, server.handle_shutdown_signal)
        self._replace(signal.SIGTERM, server.handle_shutdown_signal)
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            self._replace(signal.SIGHUP, server.handle_shutdown_signal)
        self._replace(signal.SIGALRM, server.harakiri)
        left = signal.setitimer(signal.ITIMER_REAL, 0)[0]
        if left:
            self._foreign_timer_ends_at = time.monotonic() + left
        state_of(server).alarm_is_ours = True

    def restore(self) -> None:
        """Give an embedding program its handlers back, and its timer, which has gone on counting.

        In a process of the server's own they stay: until the interpreter has ended, a late signal must not
        turn the exit code of an orderly shutdown into that of a kill.
        """
        state = state_of(self._server)
        state.alarm_is_ours = False
        state.is_finished = state.owns_process
        if state.owns_process:
            return
        for number, handler in self._previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._previous.clear()
        if self._foreign_timer_ends_at is not None:
            left = self._foreign_timer_ends_at - time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, max(left, _SHORTEST_TIMER_IN_SECONDS))

    def _replace(self, number: int, handler: _Handler) -> None:
        self._previous[number] = signal.signal(number, handler)


def handle_shutdown_signal(server: RunningServer, signal_number: int) -> None:
    """Do what ``Server.handle_shutdown_signal`` promises; usable from any thread, and without a signal.

    The first call asks the server to finish its current request and stop. Another one less than a second
    later is taken for the same wish: Ctrl+C reaches the whole process group, a parent forwards what the group
    has received already, and supervisors repeat themselves. Any later one forces the end.

    Raises:
        ForcedShutdown: It is the second wish, or a shutdown was already on its way because of harakiri.
        SystemExit: With code 0, if the server has not finished its ``setup``.
    """
    state = state_of(server)
    if state.is_finished or not state.signal_lock.acquire(blocking=False):
        return  # dropped: the process is ending, or another signal is being handled
    try:
        _handle(server, state, signal_number)
    finally:
        state.signal_lock.release()


def _handle(server: RunningServer, state: ProcessState, signal_number: int) -> None:
    now = time.monotonic()
    if not server.shutting_down:
        server.shutting_down = True
        state.first_signal_at = now
        _remember(state, signal_number, now)
        interrupt_wait(server)
        _log(server.logger.warning, "Received interrupt, initiating shutdown")
        if state.is_starting and state.owns_process:
            raise SystemExit(0)
        return
    if _is_duplicate(state, signal_number, now):
        _remember(state, signal_number, now)
        _log(
            server.logger.info,
            "Ignoring duplicate shutdown signal received within one second of original signal",
        )
        return
    _remember(state, signal_number, now)
    state.failed = True
    _log(server.logger.warning, "Received double interrupt, forcing shutdown")
    raise ForcedShutdown(1)


def interrupt_wait(server: RunningServer) -> None:
    """Have a wait for the next request end soon, if the transport can do that."""
    transport: object = server.transport
    if isinstance(transport, Interruptible):
        transport.interrupt()


def _is_duplicate(state: ProcessState, signal_number: int, now: float) -> bool:
    if state.first_signal_at is None:
        return False  # it was harakiri that started the shutdown
    # The same signal again is counted from the first one, so that hitting Ctrl+C on and on does force the
    # end.
    since = state.first_signal_at if signal_number == state.last_signal else state.last_signal_at
    return now - since < _DUPLICATE_WINDOW_IN_SECONDS


def _remember(state: ProcessState, signal_number: int, now: float) -> None:
    state.last_signal = signal_number
    state.last_signal_at = now


def _log(method: Any, message: str) -> None:
    # The signal may have interrupted the very write that a log line needs, and streams refuse to be
    # re-entered.
    with contextlib.suppress(Exception):
        method(message)
