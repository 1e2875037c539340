"""Signals and harakiri in a running server."""

from __future__ import annotations

import logging
import signal
import time
from typing import TYPE_CHECKING

import pytest

from pysoa.server._interrupts import HarakiriInterrupt
from pysoa.server._process_state import state_of
from pysoa.server._run_loop import run
from pysoa.server._signals import ForcedShutdown

if TYPE_CHECKING:
    from .conftest import ScriptedServer

# The run loop works with names of Server that are not for everybody; so does the stand-in for it.
# pyright: reportPrivateUsage=false


class TestSignals:
    def test_first_signal_interrupts_the_wait_of_the_transport(
        self, scripted: type[ScriptedServer], caplog: pytest.LogCaptureFixture
    ) -> None:
        server = scripted(lambda _: signal.raise_signal(signal.SIGTERM), scripted.succeed)

        run(server)

        assert isinstance(server.transport, scripted.Transport)
        assert server.transport.interrupted == 1
        assert len(server.rounds) == 1
        assert "Received interrupt, initiating shutdown" in caplog.text

    @pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM], ids=["other", "same"])
    def test_second_signal_within_a_second_breaks_nothing_off(
        self, scripted: type[ScriptedServer], second: signal.Signals, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)

        def work(server: ScriptedServer) -> None:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(second)
            server.steps.append("work finished")

        server = scripted(work)

        run(server)

        assert "work finished" in server.steps
        assert state_of(server).exit_code == 0
        assert "Ignoring duplicate shutdown signal received within one second" in caplog.text

    @pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM], ids=["other", "same"])
    def test_second_signal_after_a_second_forces_the_end(
        self,
        scripted: type[ScriptedServer],
        second: signal.Signals,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        now = [1000.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])

        def work(server: ScriptedServer) -> None:
            signal.raise_signal(signal.SIGTERM)
            now[0] += 1.01
            signal.raise_signal(second)
            server.steps.append("work finished")

        server = scripted(work)

        with pytest.raises(ForcedShutdown) as caught:
            run(server)

        assert caught.value.code == 1
        assert "work finished" not in server.steps
        assert server.steps[-5:] == ["teardown", *scripted.SHUTDOWN]
        assert "Received double interrupt, forcing shutdown" in caplog.text

    def test_signal_repeated_on_and_on_forces_the_end_after_a_second(
        self, scripted: type[ScriptedServer], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [1000.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])

        def work(server: ScriptedServer) -> None:
            for _ in range(4):
                signal.raise_signal(signal.SIGINT)
                now[0] += 0.4
            server.steps.append("work finished")

        server = scripted(work)

        with pytest.raises(ForcedShutdown):
            run(server)

        assert "work finished" not in server.steps

    def test_different_signal_restarts_the_second(
        self, scripted: type[ScriptedServer], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [1000.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])

        def work(server: ScriptedServer) -> None:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
                signal.raise_signal(number)
                now[0] += 0.7
            server.steps.append("work finished")

        server = scripted(work)

        run(server)

        assert "work finished" in server.steps

    def test_signal_after_harakiri_forces_the_end(self, scripted: type[ScriptedServer]) -> None:
        def work(server: ScriptedServer) -> None:
            server.take_request()
            try:
                signal.raise_signal(signal.SIGALRM)
            except HarakiriInterrupt:
                signal.raise_signal(signal.SIGTERM)
            server.steps.append("work finished")

        server = scripted(work)

        with pytest.raises(ForcedShutdown):
            run(server)

        assert "work finished" not in server.steps

    def test_hanging_teardown_of_a_forced_shutdown_is_given_the_grace_only(
        self, scripted: type[ScriptedServer], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        timers: list[float] = []
        real = signal.setitimer

        def note(which: int, seconds: float) -> tuple[float, float]:
            timers.append(seconds)
            return real(which, seconds)

        now = [1000.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        monkeypatch.setattr(signal, "setitimer", note)

        def work(_server: ScriptedServer) -> None:
            signal.raise_signal(signal.SIGTERM)
            now[0] += 2
            signal.raise_signal(signal.SIGTERM)

        server = scripted(work, settings={"harakiri": {"timeout": 0, "shutdown_grace": 17}})

        with pytest.raises(ForcedShutdown):
            run(server)

        assert timers[1:-1] == [17, 0]  # the first and the last are about the timer of the test runner


class TestHarakiri:
    def test_waiting_for_a_request_may_take_longer_than_the_timeout(
        self, scripted: type[ScriptedServer]
    ) -> None:
        left: list[float] = []
        server = scripted(
            lambda _: left.append(signal.getitimer(signal.ITIMER_REAL)[0]),
            settings={
                "harakiri": {"timeout": 3, "shutdown_grace": 30},
                "transport": {"path": "scripted", "kwargs": {"receive_timeout_in_seconds": 5}},
            },
        )

        run(server)

        assert 7 < left[0] <= 8

    def test_time_of_a_request_starts_when_it_arrives(self, scripted: type[ScriptedServer]) -> None:
        left: list[float] = []

        def work(server: ScriptedServer) -> None:
            server.take_request()
            left.append(signal.getitimer(signal.ITIMER_REAL)[0])
            server.finish_request()

        server = scripted(work, settings={"harakiri": {"timeout": 3, "shutdown_grace": 30}})

        run(server)

        assert 2 < left[0] <= 3

    def test_timeout_0_sets_no_timer(self, scripted: type[ScriptedServer]) -> None:
        left: list[float] = []

        def work(server: ScriptedServer) -> None:
            server.take_request()
            left.append(signal.getitimer(signal.ITIMER_REAL)[0])

        server = scripted(work, settings={"harakiri": {"timeout": 0, "shutdown_grace": 30}})

        run(server)

        assert left == [0]

    def test_response_that_exists_is_sent_before_the_worker_ends(
        self, scripted: type[ScriptedServer]
    ) -> None:
        def work(server: ScriptedServer) -> None:
            server.take_request()
            server._finishing_response = True
            signal.raise_signal(signal.SIGALRM)
            server.steps.append("response sent")
            server._finishing_response = False
            server.finish_request()

        server = scripted(work, scripted.succeed)

        run(server)

        assert "response sent" in server.steps
        assert len(server.rounds) == 1
        assert state_of(server).exit_code == 1

    def test_hanging_wait_ends_the_worker_in_order_with_code_1(
        self, scripted: type[ScriptedServer], caplog: pytest.LogCaptureFixture
    ) -> None:
        server = scripted(lambda _: signal.raise_signal(signal.SIGALRM), scripted.succeed)

        run(server)

        assert len(server.rounds) == 1
        assert server.steps[-5:] == ["teardown", *scripted.SHUTDOWN]
        assert state_of(server).exit_code == 1
        assert "Harakiri interrupt occurred outside of action or job handling" in caplog.text

    def test_trigger_logs_the_stack_of_every_thread(
        self, scripted: type[ScriptedServer], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        server = scripted(lambda _: signal.raise_signal(signal.SIGALRM))

        run(server)

        warning = next(record for record in caplog.records if record.levelname == "WARNING")
        assert warning.getMessage() == (
            "No activity for 300 seconds, triggering harakiri with grace period of 30 seconds"
        )
        status: dict[str, list[str]] = vars(warning)["data"]["thread_status"]
        assert "raise_signal" in "".join(status["MainThread"])
        assert "Current thread status at harakiri trigger:\nThread " in caplog.text
