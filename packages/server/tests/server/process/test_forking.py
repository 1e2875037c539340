"""Forked workers and their parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from pysoa.common.transport.errors import MessageReceiveTimeout

if TYPE_CHECKING:
    from .conftest import Service, ServiceProcess

_DIE_AT_ONCE = {"TEST_IN_SETUP": "say('dying'); os._exit(9)"}


def _wait_until_gone(pids: list[int], timeout: float = 15.0) -> None:
    deadline = time.monotonic() + timeout
    while any(psutil.pid_exists(pid) and _is_alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            pytest.fail(f"Still alive: {pids}")
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _ask_for_pids(service: Service, count: int) -> set[int]:
    """Ask until as many different workers have answered."""
    client = service.client()
    pids: set[int] = set()
    deadline = time.monotonic() + 20
    while len(pids) < count:
        assert time.monotonic() < deadline, pids
        jobs = [{"action": "pid"}] * 4
        for answer in client.call_actions_parallel(service.name, jobs, timeout=10):
            pids.add(answer.body["pid"])
    return pids


class TestStart:
    def test_workers_are_children_with_numbers_and_pre_fork_runs_once(self, service: Service) -> None:
        process = service.start_and_wait("--fork", "3", workers=3)

        children = process.children()

        assert len(children) == 3
        assert _ask_for_pids(service, 3) == set(children)
        assert process.stop() == 0
        assert process.output.count("pre fork") == 1
        for number in (1, 2, 3):
            assert f"set up {number} " in process.output
            assert f"torn down {number}" in process.output

    def test_number_of_workers_is_capped_at_five_per_cpu(self, service: Service) -> None:
        process = service.start(
            "--fork",
            "6",
            command=[
                "-c",  # a machine with one CPU, for the sake of the others
                "import multiprocessing; multiprocessing.cpu_count = lambda: 1\n"
                "from process_service.standalone import *; simple_main(get_server)",
                "-s",
                "process_service.settings",
            ],
        )
        process.wait_for_output("set up", count=5)

        assert len(process.children()) == 5
        assert (
            "WARNING: Number of requested process forks (6) is greater than five times the number of CPU "
            "cores "
            "available (1 cores). Capping number of forks at 5."
        ) in process.output
        assert process.stop() == 0

    def test_what_pre_fork_has_loaded_is_there_in_every_worker(self, service: Service) -> None:
        process = service.start_and_wait(
            "--fork",
            "2",
            workers=2,
            environment={
                "TEST_IN_PRE_FORK": "loaded = 'by the parent'",
                "TEST_IN_SETUP": "say('found', loaded)",
            },
        )

        assert process.stop() == 0
        assert process.output.count("found by the parent") == 2

    def test_workers_are_forked_by_a_process_with_one_thread(self, service: Service) -> None:
        process = service.start_and_wait("--fork", "2", workers=2)

        assert psutil.Process(process.pid).num_threads() == 1
        assert process.stop() == 0


class TestRespawn:
    def test_killed_worker_is_replaced_and_the_others_go_on(self, service: Service) -> None:
        process = service.start_and_wait("--fork", "3", workers=3)
        first, *others = process.children()

        os.kill(first, signal.SIGKILL)
        process.wait_for_output("set up", count=4)

        assert set(others) < set(process.children())
        assert len(process.children()) == 3
        assert "Re-spawning failed server process #" in process.output
        assert process.output.count("pre fork") == 1
        assert process.stop() == 0

    def test_lost_call_of_a_crashed_worker_times_out_and_nothing_else_breaks(self, service: Service) -> None:
        process = service.start_and_wait("--fork", "2", workers=2)
        client = service.client()
        client.send_request(service.name, [{"action": "crash"}])

        answers = [service.call("busy", {"number": number}) for number in range(20)]
        with pytest.raises(MessageReceiveTimeout):
            list(client.get_all_responses(service.name, receive_timeout_in_seconds=1))
        process.wait_for_output("set up", count=3)

        assert answers == [{"number": number} for number in range(20)]
        assert process.stop() == 0

    def test_worker_that_dies_at_once_runs_four_times_and_the_parent_ends_with_code_1(
        self, service: Service
    ) -> None:
        process = service.start("--fork", "2", environment=_DIE_AT_ONCE)

        assert process.wait(30) == 1
        assert process.output.count("dying") == 8
        assert process.output.count("Re-spawning failed server process #1") == 3
        for number in (1, 2):
            assert (
                f"Server process #{number} has crashed too many times (3) in the last 15 seconds; not "
                f"respawning."
            ) in process.output

    def test_worker_that_gives_up_leaves_the_others_at_work(self, service: Service) -> None:
        process = service.start(
            "--fork",
            "2",
            environment={
                "TEST_IN_SETUP": "import multiprocessing\n"
                "if multiprocessing.current_process().name == 'pysoa-worker-1': os._exit(9)"
            },
        )
        process.wait_for_output("not respawning", count=1)

        assert service.call("pid")["fid"] == 2
        assert process.stop() == 1

    def test_no_respawn_leaves_a_dead_worker_dead(self, service: Service) -> None:
        process = service.start_and_wait("--fork", "2", "--no-respawn", workers=2)
        first, second = process.children()

        os.kill(first, signal.SIGKILL)
        # Only then have all its threads ended, and with them its connection to Redis.
        process.wait_for_output("Worker process #1 ended with exit code -9")
        answer = service.call("pid")

        assert answer["pid"] == second
        assert process.children() == [second]
        assert process.stop() == 1
        assert "Re-spawning" not in process.output

    def test_worker_stopped_by_its_operator_is_replaced(self, service: Service) -> None:
        process = service.start_and_wait("--fork", "2", workers=2)

        os.kill(process.children()[0], signal.SIGTERM)
        process.wait_for_output("set up", count=3)

        assert process.stop() == 0


class TestParent:
    def test_workers_end_in_order_when_the_parent_is_killed(self, service: Service) -> None:
        process = service.start_and_wait("--fork", "2", workers=2)
        children = process.children()

        process.popen.kill()
        process.wait()
        _wait_until_gone(children)

        assert process.output.count("torn down") == 2

    def test_workers_still_in_setup_end_when_the_parent_is_told_to_stop(self, service: Service) -> None:
        process = service.start("--fork", "2", environment={"TEST_IN_SETUP": "say('slow'); time.sleep(60)"})
        process.wait_for_output("slow", count=2)
        started = time.monotonic()

        exit_code = process.stop()

        assert exit_code == 0
        assert time.monotonic() - started < 5

    def test_respawned_worker_still_in_setup_ends_too(self, service: Service) -> None:
        process = service.start(
            "--fork",
            "2",
            environment={
                "TEST_IN_SETUP": "import pathlib\n"
                "mark = pathlib.Path('mark')\n"
                "if mark.exists(): say('slow'); time.sleep(60)"
            },
        )
        process.wait_for_output("set up", count=2)
        (service.folder / "mark").touch()
        victim, healthy = process.children()
        os.kill(victim, signal.SIGKILL)
        process.wait_for_output("slow")
        started = time.monotonic()

        exit_code = process.stop()

        assert exit_code == 0
        assert time.monotonic() - started < 5
        assert not _is_alive(healthy)

    def test_signal_during_pre_fork_ends_the_service_with_code_0(self, service: Service) -> None:
        process = service.start("--fork", "2", environment={"TEST_IN_PRE_FORK": "time.sleep(60)"})
        process.wait_for_output("pre fork")

        assert process.stop(5) == 0

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_each_stop_signal_is_passed_on_to_the_workers(
        self, service: Service, number: signal.Signals
    ) -> None:
        process = service.start_and_wait("--fork", "2", workers=2)

        process.popen.send_signal(number)

        assert process.wait() == 0
        assert process.output.count("torn down") == 2

    def test_second_signal_to_the_parent_forces_the_workers(self, service: Service) -> None:
        process = _start_with_sleeping_job(service, seconds=60)
        process.terminate()
        process.wait_for_output("Received interrupt, initiating shutdown", count=2)
        time.sleep(1.05)  # what the second signal is for, is decided by the time between the two
        started = time.monotonic()

        exit_code = process.stop()

        assert exit_code == 1
        assert time.monotonic() - started < 10
        assert "Received double interrupt, forcing shutdown" in process.output

    def test_workers_that_do_not_heed_the_force_are_killed(self, service: Service) -> None:
        process = service.start_and_wait(
            "--fork",
            "2",
            workers=2,
            environment={
                "TEST_IN_TEARDOWN": "while True:\n    try: time.sleep(60)\n    except BaseException: pass"
            },
        )
        process.terminate()
        process.wait_for_output("torn down", count=2)
        time.sleep(1.05)  # what the second signal is for, is decided by the time between the two
        process.terminate()
        process.wait_for_output("Received double interrupt, forcing shutdown of all workers")
        time.sleep(1.05)  # and the third one's

        exit_code = process.stop()

        assert exit_code == 1
        assert "killing them" in process.output

    def test_parent_that_fails_names_the_cause_and_leaves_no_worker_behind(self) -> None:
        done = subprocess.run(
            [sys.executable, "-c", _FAILING_PARENT], capture_output=True, text=True, timeout=30, check=False
        )

        assert done.returncode == 1
        assert done.stderr.rstrip().endswith("RuntimeError: No logging")
        assert done.stdout == "children: 0\n"

    def test_worker_whose_threads_do_not_end_is_ended_after_the_grace(self) -> None:
        done = subprocess.run(
            [sys.executable, "-c", _WORKER_WITH_ENDLESS_THREAD],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

        assert done.stdout == "exit code of the group: 1\n"
        assert "Timeout" in done.stderr
        assert "in wait_for_ever" in done.stderr


_WORKER_WITH_ENDLESS_THREAD = """
import threading
from pysoa.server._forking import WorkerGroup

def wait_for_ever():
    threading.Event().wait()

group = WorkerGroup(
    lambda number: threading.Thread(target=wait_for_ever).start(),
    1,
    respawn=False,
    shutdown_grace_in_seconds=0.2,
    before_first_fork=lambda: None,
    before_each_fork=lambda: None,
    after_first_fork=lambda: None,
)
print("exit code of the group:", group.run())
"""

_FAILING_PARENT = """
import atexit, os, signal, time
import psutil
from pysoa.server._forking import WorkerGroup

def work(number):
    if number == 1:
        os._exit(7)  # at once, so that the fork of the next worker reaps it
    time.sleep(60)

def wait_for_a_zombie():
    children = psutil.Process().children()
    while children and all(child.status() != psutil.STATUS_ZOMBIE for child in children):
        time.sleep(0.01)

def fail():
    raise RuntimeError("No logging")

parent = os.getpid()
atexit.register(lambda: print("children:", len(psutil.Process(parent).children())))
WorkerGroup(
    work,
    2,
    respawn=True,
    shutdown_grace_in_seconds=5,
    before_first_fork=lambda: None,
    before_each_fork=wait_for_a_zombie,
    after_first_fork=fail,
).run()
"""


def _start_with_sleeping_job(service: Service, seconds: float, **settings: object) -> ServiceProcess:
    process = service.start_and_wait("--fork", "2", workers=2, settings=json.dumps(settings))
    job = [{"action": "sleep", "body": {"seconds": seconds}}]
    service.client().send_request(service.name, job, message_expiry_in_seconds=60)
    process.wait_for_output("sleeping")
    return process
