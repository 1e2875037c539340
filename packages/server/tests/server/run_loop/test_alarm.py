"""The alarm of harakiri, which is set much less often than its time starts anew."""

from __future__ import annotations

import gc
import os
import signal
import time
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from pysoa.server._interrupts import HarakiriInterrupt
from pysoa.server._process_state import state_of
from pysoa.server._run_loop import run

if TYPE_CHECKING:
    from .conftest import ScriptedServer

SETTINGS = {
    "harakiri": {"timeout": 300, "shutdown_grace": 30},
    "transport": {"path": "scripted", "kwargs": {"receive_timeout_in_seconds": 5}},
}


class Clock:
    """Time passes when the test says so, and the alarm goes off only then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.alarms: list[float] = []
        self.before_next_setting: Callable[[], None] | None = None
        real = signal.setitimer

        def note(which: int, seconds: float) -> tuple[float, float]:
            action, self.before_next_setting = self.before_next_setting, None
            if action is not None:
                action()
            self.alarms.append(seconds)
            return real(which, seconds)

        monkeypatch.setattr(signal, "setitimer", note)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def pass_to(self, now: float) -> None:
        self.now = now


@pytest.fixture
def clock() -> Iterator[Clock]:
    left = signal.setitimer(signal.ITIMER_REAL, 0)[0]  # the test runner's, which has real time
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Clock(monkeypatch)
    signal.setitimer(signal.ITIMER_REAL, left)


def ring() -> None:
    signal.raise_signal(signal.SIGALRM)


@pytest.mark.parametrize(("seconds_each", "most"), [(0.01, 2), (1.0, 2), (10.0, 14)])
def test_100_requests_set_the_alarm_a_few_times(
    scripted: type[ScriptedServer], clock: Clock, seconds_each: float, most: int
) -> None:
    def serve(server: ScriptedServer) -> None:
        server.take_request()
        clock.now += seconds_each
        server.finish_request()

    run(scripted(*[serve] * 100, settings=SETTINGS))

    assert 1 <= len([seconds for seconds in clock.alarms if seconds]) <= most


def test_alarm_is_never_later_than_the_deadline(scripted: type[ScriptedServer], clock: Clock) -> None:
    late: list[float] = []

    def serve(server: ScriptedServer) -> None:
        for seconds in (0.0, 1.0, 120.0, 290.0, 5.0):
            server.take_request()
            state = state_of(server)
            assert state.alarm_at is not None
            assert state.deadline is not None
            assert state.deadline == clock.now + 300
            late.append(state.alarm_at - state.deadline)
            clock.now += seconds
            server.finish_request()

    run(scripted(serve, serve, settings=SETTINGS))

    assert max(late) <= 0


def test_early_alarm_interrupts_nothing_and_the_real_one_comes_in_time(
    scripted: type[ScriptedServer], clock: Clock
) -> None:
    steps: list[str] = []

    def serve(server: ScriptedServer) -> None:
        clock.pass_to(1100)  # the alarm is set for the wait that has begun, which may last until 1305
        server.take_request()
        clock.pass_to(1305)
        ring()
        steps.append("went on")
        assert 90 < signal.getitimer(signal.ITIMER_REAL)[0] <= 95
        assert not server.shutting_down
        clock.pass_to(1400)
        with pytest.raises(HarakiriInterrupt):
            ring()
        steps.append("interrupted")
        assert 29 < signal.getitimer(signal.ITIMER_REAL)[0] <= 30

    server = scripted(serve, settings=SETTINGS)

    run(server)

    assert steps == ["went on", "interrupted"]
    assert clock.alarms[1:3] == [305, 95]
    assert state_of(server).exit_code == 1


def test_alarm_of_another_program_triggers_harakiri_at_once(
    scripted: type[ScriptedServer], clock: Clock
) -> None:
    def serve(server: ScriptedServer) -> None:
        server.take_request()
        clock.now += 1
        with pytest.raises(HarakiriInterrupt):
            ring()

    server = scripted(serve, settings=SETTINGS)

    run(server)

    assert state_of(server).harakiri_hit_request
    assert 30 in clock.alarms


def test_alarm_of_another_program_after_an_early_one_triggers_harakiri_at_once(
    scripted: type[ScriptedServer], clock: Clock
) -> None:
    def serve(server: ScriptedServer) -> None:
        clock.pass_to(1100)
        server.take_request()
        clock.pass_to(1305)
        ring()
        clock.pass_to(1306)
        with pytest.raises(HarakiriInterrupt):
            ring()

    server = scripted(serve, settings=SETTINGS)

    run(server)

    assert state_of(server).harakiri_triggered


def test_alarm_that_goes_off_while_it_is_set_anew_interrupts_nothing(
    scripted: type[ScriptedServer], clock: Clock
) -> None:
    def ring_at_1305() -> None:
        clock.pass_to(1305)
        ring()

    def serve(server: ScriptedServer) -> None:
        clock.pass_to(1304.999)  # just before the alarm that was set for the wait
        clock.before_next_setting = ring_at_1305
        server.take_request()

    server = scripted(serve, settings=SETTINGS)

    run(server)

    assert not state_of(server).harakiri_triggered
    assert clock.before_next_setting is None


def test_alarm_that_goes_off_while_it_is_stopped_interrupts_nothing(
    scripted: type[ScriptedServer], clock: Clock
) -> None:
    class LastStep(scripted):  # type: ignore[valid-type,misc]  # a class that a fixture gives
        def _delete_heartbeat_file(self) -> None:
            alarm_at = state_of(self).alarm_at
            assert alarm_at is not None
            clock.pass_to(alarm_at)
            clock.before_next_setting = ring

    server: ScriptedServer = LastStep(settings=SETTINGS)

    run(server)

    assert not state_of(server).harakiri_triggered
    assert state_of(server).exit_code == 0
    assert clock.before_next_setting is None
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_timeout_0_leaves_the_alarm_alone(scripted: type[ScriptedServer], clock: Clock) -> None:
    def serve(server: ScriptedServer) -> None:
        server.take_request()
        clock.now += 1000
        server.finish_request()

    run(scripted(*[serve] * 10, settings={"harakiri": {"timeout": 0, "shutdown_grace": 30}}))

    assert [seconds for seconds in clock.alarms[:-1] if seconds] == []


def test_request_is_interrupted_in_time_though_the_alarm_goes_off_early(
    scripted: type[ScriptedServer],
) -> None:
    lasted: list[float] = []

    def serve(server: ScriptedServer) -> None:
        time.sleep(0.2)  # what a wait takes; the alarm is due 0.5 s after its start
        server.take_request()
        started = time.monotonic()
        try:
            time.sleep(10)
        except HarakiriInterrupt:
            lasted.append(time.monotonic() - started)

    server = scripted(
        serve,
        settings={
            "harakiri": {"timeout": 0.4, "shutdown_grace": 30},
            "transport": {"path": "scripted", "kwargs": {"receive_timeout_in_seconds": 0.1}},
        },
    )

    run(server)

    assert 0.38 <= lasted[0] < 1


class _Cycle:
    def __init__(self) -> None:
        self.itself = self


class TestGarbage:
    def test_worker_spares_what_lives_long_and_collects_what_requests_leave(
        self, scripted: type[ScriptedServer]
    ) -> None:
        frozen: list[int] = []
        leftovers: list[weakref.ref[_Cycle]] = []

        def serve(_server: ScriptedServer) -> None:
            frozen.append(gc.get_freeze_count())
            leftovers.append(weakref.ref(_Cycle()))

        child = os.fork()
        if child == 0:  # a process that the server may keep
            is_right = False
            try:
                server = scripted(serve, serve, serve)
                state_of(server).owns_process = True
                run(server)
                gc.collect()
                is_right = (
                    frozen[0] > 1000
                    and frozen[0] == frozen[1] == frozen[2]
                    and [leftover() for leftover in leftovers] == [None] * 3
                )
            finally:
                os._exit(0 if is_right else 1)
        _, status = os.waitpid(child, 0)

        assert os.waitstatus_to_exitcode(status) == 0

    def test_embedded_server_leaves_the_garbage_collector_alone(self, scripted: type[ScriptedServer]) -> None:
        before = gc.get_freeze_count()
        server = scripted(scripted.succeed)

        run(server)

        assert gc.get_freeze_count() == before
