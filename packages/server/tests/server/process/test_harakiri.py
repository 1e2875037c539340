"""Harakiri in a real worker: both stages, and what a signal cannot reach."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pysoa.client.client import Client

if TYPE_CHECKING:
    from .conftest import Service, ServiceProcess

_ACTIONS = """

import ctypes
from pysoa.server.middleware import ServerMiddleware


class Swallow(Action):
    '''Does what no action must.'''
    def run(self, request):
        while True:
            try:
                time.sleep(60)
            except BaseException:
                say("swallowed")


class Loop(Action):
    def run(self, request):
        while True:
            pass


class BlockInC(Action):
    '''Waits in C code, without looking at signals; other threads can run.'''
    def run(self, request):
        say("blocking")
        ctypes.CDLL(None).pthread_mutex_lock(self.locked_mutex())

    def locked_mutex(self):
        mutex = ctypes.create_string_buffer(256)
        ctypes.CDLL(None).pthread_mutex_lock(mutex)
        return mutex


class BlockAll(BlockInC):
    '''Waits in C code, and no other thread can run.'''
    def run(self, request):
        say("blocking")
        ctypes.PyDLL(None).pthread_mutex_lock(self.locked_mutex())


class SlowJobs(ServerMiddleware):
    def job(self, process_job):
        def wrapper(request):
            if request.context.get("be_slow"):
                time.sleep(60)
            return process_job(request)
        return wrapper


ProcessServer.action_class_map.update(swallow=Swallow, loop=Loop, block_in_c=BlockInC, block_all=BlockAll)
"""


@pytest.fixture(autouse=True)
def _actions(service: Service) -> None:
    service.append("server.py", _ACTIONS)


def _start(
    service: Service, *options: str, timeout: int = 1, grace: int = 1, **settings: object
) -> ServiceProcess:
    harakiri = {"timeout": timeout, "shutdown_grace": grace}
    workers = 2 if "--fork" in options else 1
    return service.start_and_wait(
        *options, workers=workers, settings=json.dumps({"harakiri": harakiri, **settings})
    )


def _send(service: Service, action: str, **body: object) -> Client:
    client = service.client()
    client.send_request(service.name, [{"action": action, "body": body}])
    return client


class TestFirstStage:
    @pytest.mark.parametrize(
        ("action", "body"), [("sleep", {"seconds": 60}), ("loop", {})], ids=["sleeping", "looping"]
    )
    def test_action_is_interrupted_answered_and_the_worker_ends_with_code_1(
        self, service: Service, action: str, body: dict[str, object]
    ) -> None:
        process = _start(service, grace=10)

        response = service.client().call_actions(
            service.name,
            [{"action": "pid"}, {"action": action, "body": body}, {"action": "pid"}],
            continue_on_error=True,
            raise_action_errors=False,
            timeout=10,
        )

        assert [answer.action for answer in response.actions] == ["pid", action]
        assert response.actions[1].errors[0].code == "ACTION_TIMEOUT"
        assert response.actions[1].errors[0].message == (
            f'The action "{action}" ran for too long and had to be interrupted.'
        )
        assert process.wait() == 1
        assert "triggering harakiri with grace period of 10 seconds" in process.output
        assert "torn down" in process.output

    def test_middleware_is_interrupted_and_the_job_answered(self, service: Service) -> None:
        process = _start(service, grace=10, middleware=[{"path": "process_service.server:SlowJobs"}])
        client = service.client()

        response = client.call_actions(
            service.name,
            [{"action": "pid"}],
            context={"be_slow": True},
            raise_job_errors=False,
            timeout=10,
        )

        assert [error.code for error in response.errors] == ["JOB_TIMEOUT"]
        assert response.actions == []
        assert process.wait() == 1

    def test_idle_worker_with_a_timeout_below_the_receive_timeout_lives(self, service: Service) -> None:
        process = _start(service, timeout=1, grace=1)
        time.sleep(1.5)  # idle for longer than a job may take

        answer = service.call("pid")

        assert answer["pid"] == process.pid
        assert process.stop() == 0

    def test_waiting_time_is_not_taken_from_the_time_of_the_job(self, service: Service) -> None:
        process = _start(service, timeout=2)
        time.sleep(1.5)  # idle, for most of what a job may take

        answer = service.call("sleep", {"seconds": 1})

        assert answer == {"slept": 1}
        assert process.stop() == 0

    def test_forked_worker_is_replaced(self, service: Service) -> None:
        process = _start(service, "--fork", "2", grace=10)
        before = process.children()

        _send(service, "sleep", seconds=60)
        process.wait_for_output("set up", count=3)

        assert len(set(process.children()) - set(before)) == 1
        assert process.stop() == 0

    def test_job_that_outlives_a_shutdown_signal_is_still_answered(self, service: Service) -> None:
        process = _start(service, timeout=2, grace=10)
        client = service.client()
        future = client.call_action_future(
            service.name, "sleep", {"seconds": 60}, raise_action_errors=False, timeout=10
        )
        process.wait_for_output("sleeping")

        process.terminate()

        assert [error.code for error in future.result().errors] == ["ACTION_TIMEOUT"]
        assert process.wait() == 1


class TestSecondStage:
    def test_swallowed_interrupt_ends_the_process_after_the_grace(
        self, service: Service, tmp_path: Path
    ) -> None:
        process = _start(service, heartbeat_file=str(tmp_path / "beat"))
        _send(service, "swallow")

        exit_code = process.wait()

        assert exit_code == 1
        assert "swallowed" in process.output
        assert "Graceful shutdown failed 1 seconds after harakiri. Exiting now!" in process.output
        assert "torn down" not in process.output
        assert (tmp_path / "beat").exists()

    def test_exit_functions_run_but_cannot_hold_the_process_up(self, service: Service) -> None:
        service.append("server.py", "\nimport atexit\natexit.register(lambda: time.sleep(60))\n")
        service.append("server.py", "atexit.register(lambda: say('exit function'))\n")
        process = _start(service)
        _send(service, "swallow")

        assert process.wait() == 1
        assert "exit function" in process.output

    def test_action_that_blocks_every_thread_ends_the_process(self, service: Service) -> None:
        process = _start(service)
        _send(service, "block_all")

        assert process.wait() == 1
        assert "block_all" in process.output or "Timeout (" in process.output

    def test_worker_blocked_in_c_code_is_replaced(self, service: Service) -> None:
        process = _start(service, "--fork", "2")

        _send(service, "block_in_c")
        process.wait_for_output("set up", count=3)

        assert "Exiting now!" in process.output
        assert service.call("pid")["fid"] in (1, 2)
        assert process.stop() == 0


def test_alarm_from_outside_ends_an_idle_worker_in_order(service: Service) -> None:
    process = _start(service, timeout=300, grace=10)

    os.kill(process.pid, signal.SIGALRM)

    assert process.wait() == 1
    assert "Harakiri interrupt occurred outside of action or job handling" in process.output
    assert "torn down" in process.output
