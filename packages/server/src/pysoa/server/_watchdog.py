"""A thread that notices what a worker's main thread cannot: that it is stuck."""

from __future__ import annotations

import faulthandler
import threading
import time

from pysoa.server._harakiri import exit_after, exit_now
from pysoa.server._process_state import RunningServer, state_of

# pyright: reportPrivateUsage=false
# The names with an underscore are those of Server that 1.x services and the test kit use as well.

__all__ = ("Watchdog",)

_INTERVAL_IN_SECONDS = 1.0
_SLACK_IN_SECONDS = 2.0
_FREEZE_CHECKS_IN_GRACE = 4


class Watchdog:
    """Backs harakiri up, which needs the main thread to run Python code now and then.

    A main thread that waits in C code and never looks at signals is ended by this thread. Where such code
    even keeps every other thread from running, a timer of the interpreter's own ends the process.

    It also touches the heartbeat file during jobs that are within their time, if the setting
    ``heartbeat_during_jobs`` asks for that.
    """

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._state = state_of(server)
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._timeout: int = server.settings["harakiri"]["timeout"]
        self._grace: int = server.settings["harakiri"]["shutdown_grace"]
        self._next_freeze_check_at = 0.0
        self._touches_heartbeat = bool(server.settings.get("heartbeat_during_jobs"))

    def start(self) -> None:
        """Start the thread, if there is anything to watch."""
        if not self._timeout and not self._touches_heartbeat:
            return
        self._keep_watching_for_freezes()
        self._thread = threading.Thread(target=self._run, name="pysoa-watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        if self._thread is None:
            return
        self._stopped.set()
        self._thread.join(2 * _INTERVAL_IN_SECONDS)
        if self._watches_freezes:
            faulthandler.cancel_dump_traceback_later()

    @property
    def _watches_freezes(self) -> bool:
        return self._timeout > 0 and self._state.owns_process

    def _run(self) -> None:
        while not self._stopped.wait(_INTERVAL_IN_SECONDS):
            self._keep_watching_for_freezes()
            now = time.monotonic()
            deadline = self._state.deadline
            if deadline is not None and now > deadline + self._allowance():
                exit_now(self._server)
            elif (
                self._touches_heartbeat
                and self._state.request_in_progress
                and self._is_in_time(deadline, now)
            ):
                self._server._update_heartbeat_file()

    def _keep_watching_for_freezes(self) -> None:
        now = time.monotonic()
        if self._watches_freezes and now >= self._next_freeze_check_at:
            exit_after(self._timeout + self._grace + _SLACK_IN_SECONDS)
            self._next_freeze_check_at = now + self._grace / _FREEZE_CHECKS_IN_GRACE

    def _allowance(self) -> float:
        """How late harakiri may act: the first alarm leaves the grace period to the second."""
        return _SLACK_IN_SECONDS if self._state.harakiri_triggered else self._grace + _SLACK_IN_SECONDS

    @staticmethod
    def _is_in_time(deadline: float | None, now: float) -> bool:
        return deadline is None or now <= deadline
