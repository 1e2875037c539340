"""What one server's run in a process has to remember, shared by the run loop, the signals and harakiri."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import attrs
from pymetrics.recorders.base import MetricsRecorder

from pysoa.common.transport.base import ServerTransport

__all__ = ("ProcessState", "RunningServer", "state_of")

_ATTRIBUTE = "_process_state"


class RunningServer(Protocol):
    """What the run loop, the signals and harakiri need of a ``Server``."""

    shutting_down: bool
    transport: ServerTransport
    _receive_is_owed: bool
    _finishing_response: bool
    _on_request_taken: Callable[[], None] | None
    _on_request_done: Callable[[], None] | None

    @property
    def service_name(self) -> str | None: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def metrics(self) -> MetricsRecorder: ...
    @property
    def logger(self) -> logging.Logger: ...
    @property
    def use_django(self) -> bool: ...
    @property
    def _async_event_loop_thread(self) -> _Joinable: ...

    def setup(self) -> None: ...
    def teardown(self) -> None: ...
    def handle_next_request(self) -> None: ...
    def handle_shutdown_signal(self, signal_number: int, _stack_frame: Any, /) -> None: ...
    def harakiri(self, signal_number: int, _stack_frame: Any, /) -> None: ...
    def _set_busy_metrics(self, busy: bool, running: bool = True) -> None: ...
    def _create_heartbeat_file(self) -> None: ...
    def _update_heartbeat_file(self) -> None: ...
    def _delete_heartbeat_file(self) -> None: ...
    def _close_django_caches(self, shutdown: bool = False) -> None: ...


class _Joinable(Protocol):
    def join(self, timeout: float | None = None) -> None: ...


@attrs.define(eq=False)
class ProcessState:
    """How far one server's run has come, and why it ends."""

    owns_process: bool = False
    """``Server.main`` runs the server, and the process ends with it. Else another program embeds it."""
    alarm_is_ours: bool = False
    """``run`` handles SIGALRM, so timers may be set. Never the case outside the main thread."""
    is_starting: bool = False
    """``run`` has installed its signal handlers, and ``setup`` has not finished."""
    is_finished: bool = False
    """``run`` is through, the process is about to end by itself: no signal is to change that any more."""
    request_in_progress: bool = False
    """A request has been taken from the transport, and not everything about it is done."""
    harakiri_triggered: bool = False
    harakiri_hit_request: bool = False
    """It was a request that took too long, and not the wait for one."""
    failed: bool = False
    """The end of the run was not simply asked for: the exit code is 1."""
    signal_lock: threading.Lock = attrs.field(factory=threading.Lock)
    first_signal_at: float | None = None
    last_signal_at: float = 0.0
    last_signal: int = 0
    deadline: float | None = None
    """When the running timer goes off, on the monotonic clock."""
    alarm_at: float | None = None
    """When the alarm that is set goes off, on the same clock: at the deadline or somewhat earlier."""

    @property
    def exit_code(self) -> int:
        """0 after a shutdown that somebody asked for, 1 after any other."""
        return 1 if self.failed else 0


def state_of(server: object) -> ProcessState:
    """Return the state of this server's run; every server has one from the first question for it."""
    return cast(ProcessState, vars(server).setdefault(_ATTRIBUTE, ProcessState()))
