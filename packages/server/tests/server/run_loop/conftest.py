"""A server that does what a test tells it to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pymetrics.recorders.base import MetricsRecorder
from pymetrics.recorders.noop import (
    NonOperationalMetricsRecorder,  # pyright: ignore[reportUnknownVariableType]  # an untyped decorator made it
)

from pysoa.common.transport.base import ReceivedMessage, ServerTransport
from pysoa.server._harakiri import handle_alarm
from pysoa.server._signals import handle_shutdown_signal

Round = Callable[["ScriptedServer"], None]


class ScriptedTransport(ServerTransport):
    """Is only asked to be interrupted."""

    def __init__(self) -> None:
        super().__init__("scripted", NonOperationalMetricsRecorder())
        self.interrupted = 0

    def interrupt(self) -> None:
        self.interrupted += 1

    def receive_request_message(self) -> ReceivedMessage:
        raise AssertionError("The scripted server receives nothing")

    def send_response_message(self, request_id: int, meta: dict[str, Any], body: dict[str, Any]) -> None:
        raise AssertionError("The scripted server sends nothing")


class _Joined:
    def __init__(self, steps: list[str]) -> None:
        self._steps = steps

    def join(self, timeout: float | None = None) -> None:
        self._steps.append("join")


class ScriptedServer:
    """Does one prepared thing per round, and shuts down when nothing is left to do."""

    Transport = ScriptedTransport
    SHUTDOWN = (
        "busy=False running=False",
        "join",
        "close caches shutdown=True",
        "delete heartbeat",
    )
    """The steps that end every run."""

    @staticmethod
    def raising(error: BaseException) -> Round:
        """Return a round that fails."""

        def round_(_server: ScriptedServer) -> None:
            raise error

        return round_

    @staticmethod
    def succeed(_server: ScriptedServer) -> None:
        """Serve a request, or wait in vain."""

    def __init__(self, *rounds: Round, settings: Mapping[str, Any] | None = None) -> None:
        self.rounds = list(rounds)
        self.steps: list[str] = []
        self.service_name: str | None = "scripted"
        self.use_django = True
        self.settings: Mapping[str, Any] = {
            "harakiri": {"timeout": 300, "shutdown_grace": 30},
            "transport": {"path": "scripted", "kwargs": {}},
            **(settings or {}),
        }
        self.metrics: MetricsRecorder = NonOperationalMetricsRecorder()
        self.logger = logging.getLogger("pysoa.server")
        self.shutting_down = False
        self.transport: ServerTransport = ScriptedTransport()
        self._receive_is_owed = False
        self._finishing_response = False
        self._on_request_taken: Callable[[], None] | None = None
        self._on_request_done: Callable[[], None] | None = None
        self._async_event_loop_thread = _Joined(self.steps)
        self.failing_steps: dict[str, BaseException] = {}

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if name in self.failing_steps:
            raise self.failing_steps[name]

    def setup(self) -> None:
        self._step("setup")

    def teardown(self) -> None:
        self._step("teardown")

    def handle_next_request(self) -> None:
        if not self.rounds:
            self.shutting_down = True
            return
        self.steps.append("round")
        self.rounds.pop(0)(self)

    def handle_shutdown_signal(self, signal_number: int, _stack_frame: Any) -> None:
        handle_shutdown_signal(self, signal_number)

    def harakiri(self, signal_number: int, _stack_frame: Any) -> None:
        handle_alarm(self)

    def take_request(self) -> None:
        assert self._on_request_taken is not None
        self._on_request_taken()

    def finish_request(self) -> None:
        assert self._on_request_done is not None
        self._on_request_done()

    def _set_busy_metrics(self, busy: bool, running: bool = True) -> None:
        self.steps.append(f"busy={busy} running={running}")

    def _create_heartbeat_file(self) -> None:
        self._step("create heartbeat")

    def _update_heartbeat_file(self) -> None:
        self.steps.append("update heartbeat")

    def _delete_heartbeat_file(self) -> None:
        self._step("delete heartbeat")

    def _close_django_caches(self, shutdown: bool = False) -> None:
        self._step(f"close caches shutdown={shutdown}")


@pytest.fixture
def scripted() -> type[ScriptedServer]:
    """The class of servers that follow a script."""
    return ScriptedServer
