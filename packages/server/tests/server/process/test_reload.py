"""Reloading a service when its files change, with real processes and real files."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from pysoa.common.transport.errors import MessageReceiveTimeout

if TYPE_CHECKING:
    from .conftest import Service, ServiceProcess

_VERSION = """

class Version(Action):
    def run(self, request):
        return {"version": 1}


ProcessServer.action_class_map["version"] = Version
"""
_WATCH = ("--use-file-watcher", "process_service")


@pytest.fixture(autouse=True)
def _versions(service: Service) -> None:
    service.append("server.py", _VERSION)


@pytest.fixture(params=["watchfiles", "polling"])
def start(request: pytest.FixtureRequest, service: Service) -> Callable[..., ServiceProcess]:
    """Start the service with a file watcher of one kind or the other."""
    if request.param == "polling":
        # An installed watchfiles can be hidden from the service.
        service.append("__init__.py", "import sys; sys.modules['watchfiles'] = None\n")

    def start_(*options: str, workers: int = 1, **kwargs: Any) -> ServiceProcess:
        return service.start_and_wait(*_WATCH, *options, workers=workers, **kwargs)

    return start_


def _change_version(service: Service, old: int, new: int) -> None:
    path = service.package / "server.py"
    path.write_text(path.read_text().replace(f'"version": {old}', f'"version": {new}'))


def _wait_for_version(service: Service, version: int) -> None:
    deadline = time.monotonic() + 20
    answer: dict[str, Any] | None = None
    while answer != {"version": version}:
        assert time.monotonic() < deadline, answer
        try:
            answer = service.call("version", timeout=2)
        except MessageReceiveTimeout:
            continue


@pytest.mark.parametrize("forks", [0, 2], ids=["one-process", "forked"])
def test_changed_file_restarts_the_service(
    service: Service, start: Callable[..., ServiceProcess], forks: int
) -> None:
    process = start("--fork", str(forks), workers=forks or 1)
    _wait_for_version(service, 1)

    _change_version(service, 1, 2)
    process.wait_for_output("File change detected; reloading server process")

    _wait_for_version(service, 2)
    assert process.stop() == 0
    assert len(process.everything()) == 0


def test_current_request_is_finished_before_the_restart(service: Service) -> None:
    process = service.start_and_wait(*_WATCH)
    future = service.client().call_action_future(service.name, "sleep", {"seconds": 1.5}, timeout=10)
    process.wait_for_output("sleeping")

    _change_version(service, 1, 2)

    assert future.result().body == {"slept": 1.5}
    _wait_for_version(service, 2)
    assert process.stop() == 0


def test_syntax_error_is_waited_out_until_the_file_is_repaired(service: Service) -> None:
    process = service.start_and_wait(*_WATCH)
    good = (service.package / "server.py").read_text()
    service.append("server.py", "\ndef broken(:\n")
    process.wait_for_output("waiting for a file change to start it again")

    service.write("server.py", good)

    process.wait_for_output("set up", count=2)
    _wait_for_version(service, 1)
    assert process.stop() == 0


def test_service_that_is_broken_from_the_start_is_waited_for_too(service: Service) -> None:
    good = (service.package / "server.py").read_text()
    service.append("server.py", "\ndef broken(:\n")
    process = service.start(*_WATCH)
    process.wait_for_output("waiting for a file change to start it again")

    service.write("server.py", good)

    process.wait_for_output("set up")
    assert process.stop() == 0


def test_module_that_an_action_imports_later_is_watched(service: Service) -> None:
    service.write("late.py", "number = 1\n")
    service.append(
        "server.py",
        """

        class Late(Action):
            def run(self, request):
                from process_service.late import number
                return {"version": number}


        ProcessServer.action_class_map["version"] = Late
        """,
    )
    process = service.start_and_wait(*_WATCH, "--fork", "2", workers=2)
    _wait_for_version(service, 1)
    time.sleep(1.5)  # a service tells once a second what it has loaded

    service.write("late.py", "number = 20\n")

    _wait_for_version(service, 20)
    assert process.stop() == 0


def test_worker_that_does_not_stop_is_forced_and_restarted(service: Service) -> None:
    process = service.start_and_wait(*_WATCH)
    service.client().send_request(service.name, [{"action": "sleep", "body": {"seconds": 60}}])
    process.wait_for_output("sleeping")

    _change_version(service, 1, 2)

    process.wait_for_output("Process took too long to stop after file change; signaling again")
    _wait_for_version(service, 2)
    assert process.stop() == 0


def test_other_modules_may_change(service: Service) -> None:
    (service.folder / "other.py").write_text("number = 1\n")
    service.append("server.py", "\nimport other\n")
    process = service.start_and_wait(*_WATCH)
    time.sleep(1.5)  # a service tells once a second what it has loaded

    (service.folder / "other.py").write_text("number = 20\n")
    time.sleep(1.3)  # long enough for either watcher to notice

    assert "File change detected" not in process.output
    assert process.stop() == 0


def test_interpreter_options_are_passed_on(service: Service) -> None:
    service.append("server.py", "\nimport sys; say('X options', sys._xoptions, sys.flags.optimize)\n")

    process = service.start_and_wait(
        *_WATCH,
        command=[
            "-u",
            "-O",
            "-X",
            "mine=1",
            "-m",
            "process_service.standalone",
            "-s",
            "process_service.settings",
        ],
    )

    assert "X options {'mine': '1'} 1" in process.output
    assert process.stop() == 0


def test_wrapper_command_takes_the_place_of_the_interpreter(service: Service) -> None:
    wrapper = service.folder / "wrapper"
    wrapper.write_text('#!/bin/sh\necho "wrapped $2 $3 $4"\nexec "$TEST_PYTHON" -u "$@"\n')
    wrapper.chmod(0o755)

    process = service.start_and_wait(
        *_WATCH,
        environment={
            "PYSOA_RELOADER_WRAPPER_BIN": f"sh {wrapper} -W ignore",
            "TEST_PYTHON": sys.executable,
        },
    )

    assert "wrapped ignore -m process_service.standalone" in process.output
    assert process.stop() == 0


def test_exit_code_3_asks_for_a_restart(service: Service) -> None:
    service.append(
        "server.py",
        """

        class Restart(Action):
            def run(self, request):
                os._exit(3)


        ProcessServer.action_class_map["restart"] = Restart
        """,
    )
    process = service.start_and_wait(*_WATCH)

    service.client().send_request(service.name, [{"action": "restart"}])

    process.wait_for_output("set up", count=2)
    assert process.stop() == 0


def test_interrupt_of_the_whole_group_ends_everything_with_code_0(service: Service) -> None:
    process = service.start_and_wait(*_WATCH, "--fork", "2", workers=2)

    process.signal_group(signal.SIGINT)

    assert process.wait() == 0
    assert process.output.count("torn down") == 2


def test_service_ends_when_the_watching_process_is_killed(service: Service) -> None:
    process = service.start_and_wait(*_WATCH)
    children = psutil.Process(process.pid).children()

    os.kill(process.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=10)

    assert alive == []


def test_wrong_command_line_is_not_waited_out(service: Service) -> None:
    process = service.start(*_WATCH, command=["-m", "process_service.standalone"])

    assert process.wait() == 2
