"""The run loop, with a server that does what a test tells it to."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pymetrics.recorders.base import MetricsRecorder
from pymetrics.recorders.noop import (
    NonOperationalMetricsRecorder,  # pyright: ignore[reportUnknownVariableType]  # an untyped decorator made it
)

from pysoa.common.transport import errors
from pysoa.common.transport.base import ReceivedMessage, ServerTransport
from pysoa.server import _run_loop
from pysoa.server._harakiri import handle_alarm
from pysoa.server._interrupts import HarakiriInterrupt
from pysoa.server._process_state import state_of
from pysoa.server._run_loop import run
from pysoa.server._signals import ForcedShutdown, handle_shutdown_signal

# The run loop works with names of Server that are not for everybody; so does this stand-in for it.
# pyright: reportPrivateUsage=false

Round = Callable[["ScriptedServer"], None]


class _Transport(ServerTransport):
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
        self.transport: ServerTransport = _Transport()
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


def _raise(error: BaseException) -> Round:
    def round_(_server: ScriptedServer) -> None:
        raise error

    return round_


def _succeed(_server: ScriptedServer) -> None:
    """Serve a request, or wait in vain."""


_SHUTDOWN = [
    "busy=False running=False",
    "join",
    "close caches shutdown=True",
    "delete heartbeat",
]


def test_life_of_a_server_in_order() -> None:
    server = ScriptedServer(_succeed)

    run(server)

    assert server.steps == [
        "setup",
        "busy=False running=True",
        "create heartbeat",
        "round",
        "teardown",
        *_SHUTDOWN,
    ]
    assert state_of(server).exit_code == 0


def test_handlers_and_timer_of_the_embedding_program_come_back() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    foreign_timer, _ = signal.setitimer(signal.ITIMER_REAL, 50)
    during: list[Any] = []
    server = ScriptedServer(lambda _: during.extend(signal.getsignal(number) for number in numbers))

    run(server)

    assert during == [server.handle_shutdown_signal] * 3 + [server.harakiri]
    assert [signal.getsignal(number) for number in numbers] == before
    left, _ = signal.setitimer(signal.ITIMER_REAL, foreign_timer)
    assert 40 < left < 50


def test_runs_outside_the_main_thread_until_told_to_stop() -> None:
    serving = threading.Event()
    server = ScriptedServer()

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
    assert server.steps[-4:] == _SHUTDOWN


class TestStart:
    def test_failing_setup_is_raised_and_nothing_is_torn_down(self) -> None:
        server = ScriptedServer()
        server.failing_steps["setup"] = LookupError("no such table")

        with pytest.raises(LookupError, match="no such table"):
            run(server)

        assert server.steps == ["setup", *_SHUTDOWN]
        assert state_of(server).exit_code == 1

    def test_failing_heartbeat_file_ends_the_run_with_teardown(self) -> None:
        server = ScriptedServer(_succeed)
        server.failing_steps["create heartbeat"] = FileNotFoundError(2, "No such file", "/missing/beat")

        with pytest.raises(FileNotFoundError):
            run(server)

        assert server.steps[-5:] == ["teardown", *_SHUTDOWN]
        assert "round" not in server.steps
        assert state_of(server).exit_code == 1

    def test_harakiri_timeout_below_the_receive_timeout_is_a_warning(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = ScriptedServer(
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
        self, step: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = ScriptedServer(_succeed)
        server.failing_steps[step] = RuntimeError("out of order")

        run(server)

        assert server.steps[-5:] == ["teardown", *_SHUTDOWN]
        assert state_of(server).exit_code == 1
        assert "out of order" in caplog.text

    def test_exit_in_teardown_keeps_its_code_and_the_rest_still_happens(self) -> None:
        server = ScriptedServer(_succeed)
        server.failing_steps["teardown"] = SystemExit(5)

        with pytest.raises(SystemExit) as caught:
            run(server)

        assert caught.value.code == 5
        assert server.steps[-4:] == _SHUTDOWN

    def test_exit_by_service_code_keeps_its_code_and_tears_down(self) -> None:
        server = ScriptedServer(_raise(SystemExit(7)))

        with pytest.raises(SystemExit) as caught:
            run(server)

        assert caught.value.code == 7
        assert server.steps[-5:] == ["teardown", *_SHUTDOWN]

    def test_request_that_was_already_taken_is_served_after_the_signal(self) -> None:
        def answer_and_wait(server: ScriptedServer) -> None:
            server._receive_is_owed = True
            signal.raise_signal(signal.SIGTERM)

        def serve_owed(server: ScriptedServer) -> None:
            server._receive_is_owed = False
            server.steps.append("served owed request")

        server = ScriptedServer(answer_and_wait, serve_owed, _succeed)

        run(server)

        assert "served owed request" in server.steps
        assert len(server.rounds) == 1
        assert state_of(server).exit_code == 0

    def test_failing_wait_for_an_owed_request_ends_the_run(self) -> None:
        def answer_and_wait(server: ScriptedServer) -> None:
            server._receive_is_owed = True
            signal.raise_signal(signal.SIGTERM)

        lost = _raise(errors.MessageReceiveError("connection lost"))
        server = ScriptedServer(answer_and_wait, lost, _succeed)

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

    def test_any_number_of_failures_is_survived(self, sleeps: list[float]) -> None:
        failures = [_raise(errors.MessageReceiveError("down"))] * 100
        server = ScriptedServer(*failures, _succeed)

        run(server)

        assert server.rounds == []
        assert len(sleeps) == 100
        assert state_of(server).exit_code == 0

    def test_sleeps_double_up_to_a_cap_and_differ_from_worker_to_worker(self, sleeps: list[float]) -> None:
        server = ScriptedServer(*[_raise(errors.ConnectionError("down"))] * 8)

        run(server)

        for seconds, exponent in zip(sleeps, (0, 1, 2, 3, 4, 5, 5, 5), strict=True):
            assert 2**exponent / 4 <= seconds <= (2**exponent + 1) / 4
        assert len(set(sleeps)) == len(sleeps)

    def test_each_success_shortens_the_next_sleep(self, sleeps: list[float]) -> None:
        down = _raise(errors.MessageReceiveError("down"))
        server = ScriptedServer(down, down, down, _succeed, _succeed, down)

        run(server)

        assert 2 / 4 <= sleeps[-1] <= 3 / 4

    def test_end_of_an_outage_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        server = ScriptedServer(_raise(errors.MessageReceiveError("down")), _succeed, _succeed)

        run(server)

        assert caplog.text.count("The transport works again") == 1

    def test_limit_of_the_settings_ends_the_server_with_code_1(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [1000.0]

        def fail(_server: ScriptedServer) -> None:
            now[0] += 4
            raise errors.MessageReceiveError("down")

        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        server = ScriptedServer(*[fail] * 9, settings={"maximum_transport_outage_in_seconds": 10})

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

    def test_many_bad_rounds_do_not_end_the_worker(self, caplog: pytest.LogCaptureFixture) -> None:
        server = ScriptedServer(*[_raise(ValueError("odd bytes"))] * 50, _succeed)

        run(server)

        assert server.rounds == []
        assert state_of(server).exit_code == 0
        assert caplog.text.count("Unhandled server error; continuing") == 50

    def test_a_minute_of_nothing_but_errors_ends_the_worker_with_code_1(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [1000.0]

        def fail(_server: ScriptedServer) -> None:
            now[0] += 25
            raise ValueError("broken state")

        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        server = ScriptedServer(*[fail] * 9)

        run(server)

        assert len(server.rounds) == 5
        assert state_of(server).exit_code == 1
        assert "Unhandled server error; shutting down" in caplog.text


class TestBackOffSleep:
    def test_heart_beats_and_a_signal_ends_the_sleep(self) -> None:
        server = ScriptedServer(*[_raise(errors.MessageReceiveError("down"))] * 30)
        started = time.monotonic()
        threading.Timer(1.2, signal.pthread_kill, (threading.get_ident(), signal.SIGTERM)).start()

        run(server)

        assert time.monotonic() - started < 1.8
        assert server.steps.count("update heartbeat") >= 5
        assert state_of(server).exit_code == 0


class TestSignals:
    def test_first_signal_interrupts_the_wait_of_the_transport(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = ScriptedServer(lambda _: signal.raise_signal(signal.SIGTERM), _succeed)

        run(server)

        assert isinstance(server.transport, _Transport)
        assert server.transport.interrupted == 1
        assert len(server.rounds) == 1
        assert "Received interrupt, initiating shutdown" in caplog.text

    @pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM], ids=["other", "same"])
    def test_second_signal_within_a_second_breaks_nothing_off(
        self, second: signal.Signals, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)

        def work(server: ScriptedServer) -> None:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(second)
            server.steps.append("work finished")

        server = ScriptedServer(work)

        run(server)

        assert "work finished" in server.steps
        assert state_of(server).exit_code == 0
        assert "Ignoring duplicate shutdown signal received within one second" in caplog.text

    @pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM], ids=["other", "same"])
    def test_second_signal_after_a_second_forces_the_end(
        self, second: signal.Signals, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        now = [1000.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])

        def work(server: ScriptedServer) -> None:
            signal.raise_signal(signal.SIGTERM)
            now[0] += 1.01
            signal.raise_signal(second)
            server.steps.append("work finished")

        server = ScriptedServer(work)

        with pytest.raises(ForcedShutdown) as caught:
            run(server)

        assert caught.value.code == 1
        assert "work finished" not in server.steps
        assert server.steps[-5:] == ["teardown", *_SHUTDOWN]
        assert "Received double interrupt, forcing shutdown" in caplog.text

    def test_signal_repeated_on_and_on_forces_the_end_after_a_second(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [1000.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])

        def work(server: ScriptedServer) -> None:
            for _ in range(4):
                signal.raise_signal(signal.SIGINT)
                now[0] += 0.4
            server.steps.append("work finished")

        server = ScriptedServer(work)

        with pytest.raises(ForcedShutdown):
            run(server)

        assert "work finished" not in server.steps

    def test_different_signal_restarts_the_second(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [1000.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])

        def work(server: ScriptedServer) -> None:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
                signal.raise_signal(number)
                now[0] += 0.7
            server.steps.append("work finished")

        server = ScriptedServer(work)

        run(server)

        assert "work finished" in server.steps

    def test_signal_after_harakiri_forces_the_end(self) -> None:
        def work(server: ScriptedServer) -> None:
            server.take_request()
            try:
                signal.raise_signal(signal.SIGALRM)
            except HarakiriInterrupt:
                signal.raise_signal(signal.SIGTERM)
            server.steps.append("work finished")

        server = ScriptedServer(work)

        with pytest.raises(ForcedShutdown):
            run(server)

        assert "work finished" not in server.steps

    def test_hanging_teardown_of_a_forced_shutdown_is_given_the_grace_only(
        self, monkeypatch: pytest.MonkeyPatch
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

        server = ScriptedServer(work, settings={"harakiri": {"timeout": 0, "shutdown_grace": 17}})

        with pytest.raises(ForcedShutdown):
            run(server)

        assert timers[1:-1] == [17, 0]  # the first and the last are about the timer of the test runner


class TestHarakiri:
    def test_waiting_for_a_request_may_take_longer_than_the_timeout(self) -> None:
        left: list[float] = []
        server = ScriptedServer(
            lambda _: left.append(signal.getitimer(signal.ITIMER_REAL)[0]),
            settings={
                "harakiri": {"timeout": 3, "shutdown_grace": 30},
                "transport": {"path": "scripted", "kwargs": {"receive_timeout_in_seconds": 5}},
            },
        )

        run(server)

        assert 7 < left[0] <= 8

    def test_time_of_a_request_starts_when_it_arrives(self) -> None:
        left: list[float] = []

        def work(server: ScriptedServer) -> None:
            server.take_request()
            left.append(signal.getitimer(signal.ITIMER_REAL)[0])
            server.finish_request()

        server = ScriptedServer(work, settings={"harakiri": {"timeout": 3, "shutdown_grace": 30}})

        run(server)

        assert 2 < left[0] <= 3

    def test_timeout_0_sets_no_timer(self) -> None:
        left: list[float] = []

        def work(server: ScriptedServer) -> None:
            server.take_request()
            left.append(signal.getitimer(signal.ITIMER_REAL)[0])

        server = ScriptedServer(work, settings={"harakiri": {"timeout": 0, "shutdown_grace": 30}})

        run(server)

        assert left == [0]

    def test_response_that_exists_is_sent_before_the_worker_ends(self) -> None:
        def work(server: ScriptedServer) -> None:
            server.take_request()
            server._finishing_response = True
            signal.raise_signal(signal.SIGALRM)
            server.steps.append("response sent")
            server._finishing_response = False
            server.finish_request()

        server = ScriptedServer(work, _succeed)

        run(server)

        assert "response sent" in server.steps
        assert len(server.rounds) == 1
        assert state_of(server).exit_code == 1

    def test_hanging_wait_ends_the_worker_in_order_with_code_1(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = ScriptedServer(lambda _: signal.raise_signal(signal.SIGALRM), _succeed)

        run(server)

        assert len(server.rounds) == 1
        assert server.steps[-5:] == ["teardown", *_SHUTDOWN]
        assert state_of(server).exit_code == 1
        assert "Harakiri interrupt occurred outside of action or job handling" in caplog.text

    def test_trigger_logs_the_stack_of_every_thread(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        server = ScriptedServer(lambda _: signal.raise_signal(signal.SIGALRM))

        run(server)

        warning = next(record for record in caplog.records if record.levelname == "WARNING")
        assert warning.getMessage() == (
            "No activity for 300 seconds, triggering harakiri with grace period of 30 seconds"
        )
        status: dict[str, list[str]] = vars(warning)["data"]["thread_status"]
        assert "raise_signal" in "".join(status["MainThread"])
        assert "Current thread status at harakiri trigger:\nThread " in caplog.text
