"""How a server starts, serves and stops."""

from __future__ import annotations

import logging
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from pysoa.common.transport import errors
from pysoa.server import _run_loop
from pysoa.server._process_state import state_of
from pysoa.server._run_loop import run

if TYPE_CHECKING:
    from .conftest import ScriptedServer

# The run loop works with names of Server that are not for everybody; so does the stand-in for it.
# pyright: reportPrivateUsage=false


def test_life_of_a_server_in_order(scripted: type[ScriptedServer]) -> None:
    server = scripted(scripted.succeed)

    run(server)

    assert server.steps == [
        "setup",
        "busy=False running=True",
        "create heartbeat",
        "round",
        "teardown",
        *scripted.SHUTDOWN,
    ]
    assert state_of(server).exit_code == 0


def test_handlers_and_timer_of_the_embedding_program_come_back(scripted: type[ScriptedServer]) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    foreign_timer, _ = signal.setitimer(signal.ITIMER_REAL, 50)
    during: list[Any] = []
    server = scripted(lambda _: during.extend(signal.getsignal(number) for number in numbers))

    run(server)

    assert during == [server.handle_shutdown_signal] * 3 + [server.harakiri]
    assert [signal.getsignal(number) for number in numbers] == before
    left, _ = signal.setitimer(signal.ITIMER_REAL, foreign_timer)
    assert 40 < left < 50


def test_runs_outside_the_main_thread_until_told_to_stop(scripted: type[ScriptedServer]) -> None:
    serving = threading.Event()
    server = scripted()

    def wait_for_shutdown() -> None:
        serving.set()
        time.sleep(0.001)

    server.handle_next_request = wait_for_shutdown  # type: ignore[method-assign]  # a server with no script
    thread = threading.Thread(target=run, args=(server,))
    thread.start()
    assert serving.wait(10)

    server.handle_shutdown_signal(signal.SIGTERM, None)
    thread.join(10)

    assert not thread.is_alive()
    assert server.steps[-4:] == [*scripted.SHUTDOWN]


class TestStart:
    def test_failing_setup_is_raised_and_nothing_is_torn_down(self, scripted: type[ScriptedServer]) -> None:
        server = scripted()
        server.failing_steps["setup"] = LookupError("no such table")

        with pytest.raises(LookupError, match="no such table"):
            run(server)

        assert server.steps == ["setup", *scripted.SHUTDOWN]
        assert state_of(server).exit_code == 1

    def test_failing_heartbeat_file_ends_the_run_with_teardown(self, scripted: type[ScriptedServer]) -> None:
        server = scripted(scripted.succeed)
        server.failing_steps["create heartbeat"] = FileNotFoundError(2, "No such file", "/missing/beat")

        with pytest.raises(FileNotFoundError):
            run(server)

        assert server.steps[-5:] == ["teardown", *scripted.SHUTDOWN]
        assert "round" not in server.steps
        assert state_of(server).exit_code == 1

    def test_harakiri_timeout_below_the_receive_timeout_is_a_warning(
        self, scripted: type[ScriptedServer], caplog: pytest.LogCaptureFixture
    ) -> None:
        server = scripted(
            settings={
                "harakiri": {"timeout": 5, "shutdown_grace": 30},
                "transport": {"path": "scripted", "kwargs": {"receive_timeout_in_seconds": 5}},
            }
        )

        run(server)

        assert "harakiri.timeout (5 seconds) is not above the transport's receive timeout" in caplog.text


class TestShutdown:
    @pytest.mark.parametrize(
        "step",
        ["teardown", "close caches shutdown=True", "delete heartbeat"],
        ids=["teardown", "caches", "heartbeat"],
    )
    def test_failing_step_does_not_stop_the_ones_after_it(
        self, scripted: type[ScriptedServer], step: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = scripted(scripted.succeed)
        server.failing_steps[step] = RuntimeError("out of order")

        run(server)

        assert server.steps[-5:] == ["teardown", *scripted.SHUTDOWN]
        assert state_of(server).exit_code == 1
        assert "out of order" in caplog.text

    def test_exit_in_teardown_keeps_its_code_and_the_rest_still_happens(
        self, scripted: type[ScriptedServer]
    ) -> None:
        server = scripted(scripted.succeed)
        server.failing_steps["teardown"] = SystemExit(5)

        with pytest.raises(SystemExit) as caught:
            run(server)

        assert caught.value.code == 5
        assert server.steps[-4:] == [*scripted.SHUTDOWN]

    def test_exit_by_service_code_keeps_its_code_and_tears_down(self, scripted: type[ScriptedServer]) -> None:
        server = scripted(scripted.raising(SystemExit(7)))

        with pytest.raises(SystemExit) as caught:
            run(server)

        assert caught.value.code == 7
        assert server.steps[-5:] == ["teardown", *scripted.SHUTDOWN]

    def test_request_that_was_already_taken_is_served_after_the_signal(
        self, scripted: type[ScriptedServer]
    ) -> None:
        def answer_and_wait(server: ScriptedServer) -> None:
            server._receive_is_owed = True
            signal.raise_signal(signal.SIGTERM)

        def serve_owed(server: ScriptedServer) -> None:
            server._receive_is_owed = False
            server.steps.append("served owed request")

        server = scripted(answer_and_wait, serve_owed, scripted.succeed)

        run(server)

        assert "served owed request" in server.steps
        assert len(server.rounds) == 1
        assert state_of(server).exit_code == 0

    def test_failing_wait_for_an_owed_request_ends_the_run(self, scripted: type[ScriptedServer]) -> None:
        def answer_and_wait(server: ScriptedServer) -> None:
            server._receive_is_owed = True
            signal.raise_signal(signal.SIGTERM)

        lost = scripted.raising(errors.MessageReceiveError("connection lost"))
        server = scripted(answer_and_wait, lost, scripted.succeed)

        run(server)

        assert len(server.rounds) == 1


class TestTransportTrouble:
    @pytest.fixture(autouse=True)
    def sleeps(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """Let every back-off take no time, and note how long it was to be."""
        sleeps: list[float] = []

        def note(run_: Any, seconds: float) -> None:
            sleeps.append(seconds)

        monkeypatch.setattr(_run_loop._Run, "_sleep", note)
        return sleeps

    def test_any_number_of_failures_is_survived(
        self, scripted: type[ScriptedServer], sleeps: list[float]
    ) -> None:
        failures = [scripted.raising(errors.MessageReceiveError("down"))] * 100
        server = scripted(*failures, scripted.succeed)

        run(server)

        assert server.rounds == []
        assert len(sleeps) == 100
        assert state_of(server).exit_code == 0

    def test_sleeps_double_up_to_a_cap_and_differ_from_worker_to_worker(
        self, scripted: type[ScriptedServer], sleeps: list[float]
    ) -> None:
        server = scripted(*[scripted.raising(errors.ConnectionError("down"))] * 8)

        run(server)

        for seconds, exponent in zip(sleeps, (0, 1, 2, 3, 4, 5, 5, 5), strict=True):
            assert 2**exponent / 4 <= seconds <= (2**exponent + 1) / 4
        assert len(set(sleeps)) == len(sleeps)

    def test_each_success_shortens_the_next_sleep(
        self, scripted: type[ScriptedServer], sleeps: list[float]
    ) -> None:
        down = scripted.raising(errors.MessageReceiveError("down"))
        server = scripted(down, down, down, scripted.succeed, scripted.succeed, down)

        run(server)

        assert 2 / 4 <= sleeps[-1] <= 3 / 4

    def test_end_of_an_outage_is_logged(
        self, scripted: type[ScriptedServer], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        server = scripted(
            scripted.raising(errors.MessageReceiveError("down")), scripted.succeed, scripted.succeed
        )

        run(server)

        assert caplog.text.count("The transport works again") == 1

    def test_limit_of_the_settings_ends_the_server_with_code_1(
        self,
        scripted: type[ScriptedServer],
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        now = [1000.0]

        def fail(_server: ScriptedServer) -> None:
            now[0] += 4
            raise errors.MessageReceiveError("down")

        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        server = scripted(*[fail] * 9, settings={"maximum_transport_outage_in_seconds": 10})

        run(server)

        assert len(server.rounds) == 5
        assert state_of(server).exit_code == 1
        assert "Too many errors receiving message from transport; shutting down!" in caplog.text


class TestUnexpectedErrors:
    @pytest.fixture(autouse=True)
    def _no_sleep(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def sleep_not(run_: Any, seconds: float) -> None:
            """Take no time."""

        monkeypatch.setattr(_run_loop._Run, "_sleep", sleep_not)

    def test_many_bad_rounds_do_not_end_the_worker(
        self, scripted: type[ScriptedServer], caplog: pytest.LogCaptureFixture
    ) -> None:
        server = scripted(*[scripted.raising(ValueError("odd bytes"))] * 50, scripted.succeed)

        run(server)

        assert server.rounds == []
        assert state_of(server).exit_code == 0
        assert caplog.text.count("Unhandled server error; continuing") == 50

    def test_a_minute_of_nothing_but_errors_ends_the_worker_with_code_1(
        self,
        scripted: type[ScriptedServer],
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        now = [1000.0]

        def fail(_server: ScriptedServer) -> None:
            now[0] += 25
            raise ValueError("broken state")

        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        server = scripted(*[fail] * 9)

        run(server)

        assert len(server.rounds) == 5
        assert state_of(server).exit_code == 1
        assert "Unhandled server error; shutting down" in caplog.text


class TestBackOffSleep:
    def test_heart_beats_and_a_signal_ends_the_sleep(self, scripted: type[ScriptedServer]) -> None:
        server = scripted(*[scripted.raising(errors.MessageReceiveError("down"))] * 30)
        started = time.monotonic()
        threading.Timer(1.2, signal.pthread_kill, (threading.get_ident(), signal.SIGTERM)).start()

        run(server)

        assert time.monotonic() - started < 1.8
        assert server.steps.count("update heartbeat") >= 5
        assert state_of(server).exit_code == 0


def test_metrics_that_cannot_be_published_do_not_end_a_run(
    scripted: type[ScriptedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ConnectionRefusedError("No metrics here")

    def break_metrics_and_receiving(server: ScriptedServer) -> None:
        monkeypatch.setattr(server.metrics, "publish_all", fail)
        raise errors.MessageReceiveError("No transport either")

    def repair_metrics(server: ScriptedServer) -> None:
        monkeypatch.undo()

    server = scripted(break_metrics_and_receiving, repair_metrics)

    run(server)

    assert server.steps.count("round") == 2
    assert state_of(server).exit_code == 0
