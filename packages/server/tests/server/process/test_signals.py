"""Signals to one worker, idle and busy, alone and in a group."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Service


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_idle_worker_stops_within_a_second(service: Service, number: signal.Signals) -> None:
    process = service.start_and_wait()
    service.call("pid")
    started = time.monotonic()

    process.popen.send_signal(number)
    process.wait_for_output("torn down")
    seconds = time.monotonic() - started

    assert seconds < 1
    assert process.wait() == 0
    assert "Received interrupt, initiating shutdown" in process.output


@pytest.mark.parametrize("forks", [0, 2], ids=["one-process", "forked"])
def test_current_request_is_finished_and_answered(service: Service, forks: int) -> None:
    process = service.start_and_wait("--fork", str(forks), workers=forks or 1)
    client = service.client()
    future = client.call_action_future(service.name, "sleep", {"seconds": 1}, timeout=10)
    process.wait_for_output("sleeping")

    process.terminate()

    assert future.result().body == {"slept": 1}
    assert process.wait() == 0


@pytest.mark.parametrize("forks", [0, 2], ids=["one-process", "forked"])
def test_signal_to_the_whole_group_breaks_nothing_off(service: Service, forks: int) -> None:
    process = service.start_and_wait("--fork", str(forks), workers=forks or 1)
    client = service.client()
    future = client.call_action_future(service.name, "sleep", {"seconds": 1.5}, timeout=10)
    process.wait_for_output("sleeping")

    process.signal_group(signal.SIGTERM)

    assert future.result().body == {"slept": 1.5}
    assert process.wait() == 0


@pytest.mark.parametrize("forks", [0, 2], ids=["one-process", "forked"])
def test_signal_sent_twice_within_a_second_breaks_nothing_off(service: Service, forks: int) -> None:
    process = service.start_and_wait("--fork", str(forks), workers=forks or 1)
    client = service.client()
    future = client.call_action_future(service.name, "sleep", {"seconds": 1.5}, timeout=10)
    process.wait_for_output("sleeping")

    process.terminate()
    process.wait_for_output("Received interrupt, initiating shutdown")
    process.terminate()

    assert future.result().body == {"slept": 1.5}
    assert process.wait() == 0


def test_second_signal_after_a_second_breaks_the_job_off_with_code_1(service: Service) -> None:
    process = service.start_and_wait()
    service.client().send_request(service.name, [{"action": "sleep", "body": {"seconds": 60}}])
    process.wait_for_output("sleeping")
    process.terminate()
    process.wait_for_output("Received interrupt, initiating shutdown")
    time.sleep(1.05)  # what the second signal is for, is decided by the time between the two

    exit_code = process.stop()

    assert exit_code == 1
    assert "Received double interrupt, forcing shutdown" in process.output
    assert "torn down" in process.output


def test_forced_shutdown_does_not_wait_longer_than_the_grace_for_teardown(service: Service) -> None:
    process = service.start_and_wait(
        settings='{"harakiri": {"timeout": 60, "shutdown_grace": 1}}',
        environment={"TEST_IN_TEARDOWN": "time.sleep(60)"},
    )
    service.client().send_request(service.name, [{"action": "sleep", "body": {"seconds": 60}}])
    process.wait_for_output("sleeping")
    process.terminate()
    process.wait_for_output("Received interrupt, initiating shutdown")
    time.sleep(1.05)  # what the second signal is for, is decided by the time between the two
    started = time.monotonic()

    exit_code = process.stop()

    assert exit_code == 1
    assert time.monotonic() - started < 5
    assert "Graceful shutdown failed" in process.output


def test_signal_during_setup_ends_the_service_with_code_0(service: Service) -> None:
    process = service.start(environment={"TEST_IN_SETUP": "say('slow'); time.sleep(60)"})
    process.wait_for_output("slow")

    assert process.stop(5) == 0
    assert "torn down" not in process.output


def test_failing_setup_ends_the_service_with_code_1(service: Service) -> None:
    process = service.start(environment={"TEST_IN_SETUP": "raise LookupError('no such table')"})

    assert process.wait() == 1
    assert "LookupError: no such table" in process.output


def test_failing_teardown_does_not_leave_the_process_hanging(service: Service) -> None:
    process = service.start_and_wait(environment={"TEST_IN_TEARDOWN": "raise LookupError('no such table')"})

    assert process.stop(5) == 1
    assert "LookupError: no such table" in process.output
    assert "Server shutdown complete" in process.output


def test_signals_while_the_process_ends_do_not_change_its_exit_code(service: Service) -> None:
    process = service.start_and_wait(
        environment={"TEST_IN_SETUP": "import atexit; atexit.register(lambda: (say('bye'), time.sleep(1)))"}
    )
    process.terminate()
    process.wait_for_output("bye")

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        process.popen.send_signal(number)

    assert process.wait() == 0
