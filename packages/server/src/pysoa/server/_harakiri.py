"""Harakiri: how a worker ends what takes too long, and itself with it.

A timer runs in every phase of a worker's life. When it goes off for the first time, what the main thread does
is interrupted, the caller gets an error, and the worker has the grace period to shut down in order. When that
was not enough, the process ends at once.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import functools
import logging
import os
import signal
import sys
import threading
import time
import traceback
from typing import Any

from pysoa.server._interrupts import HarakiriInterrupt
from pysoa.server._process_state import ProcessState, RunningServer, state_of
from pysoa.server._signals import interrupt_wait

# Server's semi-private names, and three of the standard library's documented ones for emergencies.
# pyright: reportPrivateUsage=false

__all__ = ("HarakiriTimer", "count_harakiri", "exit_after", "exit_now", "handle_alarm")

_LONGEST_WAIT_IN_SECONDS = 60
"""How long a transport may wait for a request, when it does not tell by ``receive_timeout_in_seconds``."""

_ALARM_TOLERANCE_IN_SECONDS = 0.01
_ATEXIT_LIMIT_IN_SECONDS = 5.0
_EXIT_LIMIT_IN_SECONDS = 10.0

_exit_lock = threading.Lock()


class HarakiriTimer:
    """Sets the timer for each phase of a run. Does nothing where signals are not ours to handle."""

    def __init__(self, server: RunningServer) -> None:
        self._state = state_of(server)
        self.timeout_in_seconds: int = server.settings["harakiri"]["timeout"]
        self.grace_in_seconds: int = server.settings["harakiri"]["shutdown_grace"]
        longest_idle_round = self.timeout_in_seconds + (
            receive_timeout_of(server) or _LONGEST_WAIT_IN_SECONDS
        )
        self.watch_wait = functools.partial(self._watch, longest_idle_round, is_request=False)
        """Start the time of a round of waiting: the wait, then hooks that take no longer than a job may."""
        self.watch_request = functools.partial(self._watch, self.timeout_in_seconds, is_request=True)
        """Start the time of a request that has just arrived."""

    def _watch(self, seconds: float, *, is_request: bool) -> None:
        # A system call for each of two phases per request costs more than it should. So an alarm that has
        # been set is left as it is if it would go off somewhat early: should the phase really last that long,
        # then it is set again for the rest.
        state = self._state
        state.request_in_progress = is_request
        if not self.timeout_in_seconds or not state.alarm_is_ours:
            return
        state.deadline = deadline = time.monotonic() + seconds
        if state.alarm_at is None or not deadline - seconds / 2 <= state.alarm_at <= deadline:
            _set_alarm(state, deadline, seconds)

    def end_request(self) -> None:
        """Note that everything about a request is done; the timer is set anew by the next phase."""
        self._state.request_in_progress = False

    def watch_shutdown(self) -> None:
        """Start the time of an orderly shutdown, unless the grace period is running already."""
        if not self._state.harakiri_triggered:
            self._watch(self.timeout_in_seconds, is_request=self._state.request_in_progress)

    def watch_forced_shutdown(self) -> None:
        """Start the grace period, whatever the timeout is: somebody has asked twice."""
        if not self._state.harakiri_triggered:
            set_timer(self._state, self.grace_in_seconds)

    def stop(self) -> None:
        """Let no timer go off."""
        set_timer(self._state, 0)


def set_timer(state: ProcessState, seconds: float) -> None:
    """Replace the running timer by one of this length; 0 only stops it."""
    if not state.alarm_is_ours:
        return
    if not seconds:
        state.deadline = None  # an alarm that goes off right now means nothing
        signal.setitimer(signal.ITIMER_REAL, 0)
        state.alarm_at = None
        return
    state.deadline = time.monotonic() + seconds
    _set_alarm(state, state.deadline, seconds)


def _set_alarm(state: ProcessState, alarm_at: float, seconds: float) -> None:
    # The old alarm may go off before this one is set, and this one at once.
    state.alarm_at = alarm_at if state.alarm_at is None else min(state.alarm_at, alarm_at)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    state.alarm_at = alarm_at


def _is_early(state: ProcessState) -> bool:
    """Tell whether an alarm went off as it was set but is too early, or too late; set it for the rest."""
    alarm_at, state.alarm_at = state.alarm_at, None
    deadline = state.deadline
    now = time.monotonic()
    if alarm_at is None or now < alarm_at - _ALARM_TOLERANCE_IN_SECONDS:
        return False  # somebody else's alarm
    if deadline is None:
        return True
    if now >= deadline - _ALARM_TOLERANCE_IN_SECONDS:
        return False
    _set_alarm(state, deadline, deadline - now)
    return True


def receive_timeout_of(server: RunningServer) -> float | None:
    """Return how long the server's transport waits for one request, if it tells."""
    configured: object = server.settings["transport"].get("kwargs", {}).get("receive_timeout_in_seconds")
    told: object = getattr(server.transport, "receive_timeout_in_seconds", configured)
    return told if isinstance(told, (int, float)) else None


def handle_alarm(server: RunningServer) -> None:
    """Do what ``Server.harakiri`` promises.

    Raises:
        HarakiriInterrupt: The time is up for the first time, and the response is not already under way.
    """
    state = state_of(server)
    if _is_early(state):
        return
    if state.harakiri_triggered or (server.shutting_down and not state.request_in_progress):
        exit_now(server)
        return
    state.harakiri_triggered = state.failed = True
    state.harakiri_hit_request = state.request_in_progress
    settings = server.settings["harakiri"]
    set_timer(state, settings["shutdown_grace"])
    server.shutting_down = True
    interrupt_wait(server)
    with contextlib.suppress(Exception):
        _log_with_threads(
            server.logger,
            logging.WARNING,
            "No activity for %s seconds, triggering harakiri with grace period of %s seconds",
            settings["timeout"],
            settings["shutdown_grace"],
        )
    if server._finishing_response:
        count_harakiri(server, "server")
        return  # the caller shall have the response that exists
    raise HarakiriInterrupt


def exit_after(seconds: float) -> None:
    """Have the process end with exit code 1 after this time, even if no Python code can run any more.

    The stack of each thread goes to the standard error stream then. Call again to start the time anew.
    """
    try:
        faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__ or sys.stderr)
    except (AttributeError, OSError, RuntimeError, ValueError):  # no such stream, or one without a descriptor
        with contextlib.suppress(Exception):
            faulthandler.dump_traceback_later(seconds, exit=True, file=os.open(os.devnull, os.O_WRONLY))


def count_harakiri(server: RunningServer, level: str) -> None:
    """Count one harakiri that surfaced at this level: ``server``, ``job``, ``action`` or ``emergency``."""
    with contextlib.suppress(Exception):
        server.metrics.counter("server.error.harakiri", harakiri_level=level).increment()


def exit_now(server: RunningServer) -> None:
    """End the process with exit code 1: no response, no teardown, and the heartbeat file stays."""
    if not _exit_lock.acquire(blocking=False):
        return  # another thread is on it
    try:
        # What follows may wait for a lock or a socket that will never be free. This thread is made of C
        # alone.
        exit_after(_EXIT_LIMIT_IN_SECONDS)
        with contextlib.suppress(Exception):
            _log_with_threads(server.logger, logging.ERROR, *_last_words(server))
        count_harakiri(server, "emergency")
        with contextlib.suppress(Exception):
            server.metrics.publish_all()
        _run_exit_functions()
    finally:
        try:
            os._exit(1)
        finally:
            _exit_lock.release()  # reached only where tests replace os._exit


def _last_words(server: RunningServer) -> tuple[Any, ...]:
    if state_of(server).harakiri_triggered:
        grace = server.settings["harakiri"]["shutdown_grace"]
        return "Graceful shutdown failed %s seconds after harakiri. Exiting now!", grace
    return (
        "Graceful shutdown failed: it was not finished in time after it had been asked for. Exiting now!",
    )


def _run_exit_functions() -> None:
    # In a thread of its own, because one of these functions may be what hangs.
    thread = threading.Thread(target=atexit._run_exitfuncs, name="pysoa-atexit", daemon=True)
    with contextlib.suppress(Exception):
        thread.start()
        thread.join(_ATEXIT_LIMIT_IN_SECONDS)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def _log_with_threads(logger: logging.Logger, level: int, message: str, *args: object) -> None:
    status = _thread_status()
    logger.log(level, message, *args, extra={"data": {"thread_status": status}})
    lines = ["Current thread status at harakiri trigger:"]
    for name, stack in status.items():
        lines.append(f"Thread {name}:")
        lines.extend(stack)
    logger.info("%s", "\n".join(lines))


def _thread_status() -> dict[str, list[str]]:
    names: dict[int | None, str] = {thread.ident: thread.name for thread in threading.enumerate()}
    status: dict[str, list[str]] = {}
    frames: dict[int, Any] = dict(sys._current_frames())
    for ident, frame in frames.items():
        name = names.get(ident, str(ident))
        status[name if name not in status else f"{name} ({ident})"] = traceback.format_stack(frame)
    return status
