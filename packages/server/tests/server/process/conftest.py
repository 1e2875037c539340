"""A service in real processes, on a real Redis."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from pysoa.client.client import Client
from pysoa.test.redis_server import RedisServer

_SETTINGS = """\
import json
import os

SOA_SERVER_SETTINGS = {
    "transport": {
        "path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport",
        "kwargs": {
            "backend_type": "redis.standard",
            "backend_layer_kwargs": {"hosts": [("127.0.0.1", int(os.environ["TEST_REDIS_PORT"]))]},
            **json.loads(os.environ.get("TEST_TRANSPORT", "{}")),
        },
    },
    "logging": {
        "version": 1,
        "handlers": {"console": {"level": "INFO", "class": "logging.StreamHandler", "formatter": "console"}},
        "formatters": {"console": {"format": "[%(process)d] %(levelname)s %(message)s"}},
        "root": {"handlers": ["console"], "level": "INFO"},
    },
    "request_log_success_level": "DEBUG",
    "request_log_error_level": "DEBUG",
    **json.loads(os.environ.get("TEST_SETTINGS", "{}")),
}
"""

_SERVER = """\
import os
import threading
import time

from pysoa.server.action import Action
from pysoa.server.server import Server


def say(*words):
    # In one piece: several processes write to the same file.
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())


class Pid(Action):
    def run(self, request):
        return {"pid": os.getpid(), "fid": request._server._forked_process_id}


class Sleep(Action):
    def run(self, request):
        say("sleeping")
        time.sleep(request.body["seconds"])
        return {"slept": request.body["seconds"]}


class Busy(Action):
    '''Works for a short while and gives back what it got.'''
    def run(self, request):
        time.sleep(request.body.get("seconds", 0.01))
        return request.body


class Crash(Action):
    def run(self, request):
        os._exit(42)


def from_env(name):
    if name in os.environ:
        exec(os.environ[name], globals())


class ProcessServer(Server):
    service_name = os.environ["TEST_SERVICE_NAME"]
    action_class_map = {"pid": Pid, "sleep": Sleep, "busy": Busy, "crash": Crash}

    def setup(self):
        super().setup()
        from_env("TEST_IN_SETUP")
        say("set up", self._forked_process_id, os.getpid())

    def teardown(self):
        say("torn down", self._forked_process_id)
        from_env("TEST_IN_TEARDOWN")
        super().teardown()

    @classmethod
    def pre_fork(cls):
        super().pre_fork()
        say("pre fork")
        from_env("TEST_IN_PRE_FORK")
"""

_STANDALONE = """\
from pysoa.server.standalone import simple_main


def get_server():
    from process_service.server import ProcessServer
    return ProcessServer


if __name__ == "__main__":
    simple_main(get_server)
"""


def wait_until(condition: Callable[[], Any], timeout_in_seconds: float, what: str) -> None:
    """Poll a condition up to a deadline."""
    deadline = time.monotonic() + timeout_in_seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"Not within {timeout_in_seconds} seconds: {what}")
        time.sleep(0.01)


def _heed_hangups() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class ServiceProcess:
    """One start of the service, with all the processes that come of it."""

    def __init__(self, folder: Path, environment: Mapping[str, str], arguments: Sequence[str]) -> None:
        self._id = uuid.uuid4().hex
        self._output_path = folder / f"output-{self._id}.txt"
        with self._output_path.open("wb") as output:
            self.popen = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=folder,
                env={**os.environ, **environment, "TEST_START_ID": self._id},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # The tests may run under nohup, and a service leaves SIGHUP ignored if it finds it so.
                preexec_fn=_heed_hangups,
            )
        self.pid = self.popen.pid

    @property
    def output(self) -> str:
        """Everything that all its processes have written so far."""
        return self._output_path.read_text(errors="replace")

    def wait_for_output(self, text: str, *, count: int = 1, timeout: float = 20.0) -> None:
        """Wait until the text has been written so many times."""
        deadline = time.monotonic() + timeout
        while self.output.count(text) < count:
            is_over = self.popen.poll() is not None and not self.everything()
            if time.monotonic() > deadline or (is_over and self.output.count(text) < count):
                pytest.fail(f"No {text!r} x {count} within {timeout} seconds in:\n{self.output}")
            time.sleep(0.02)

    def wait(self, timeout: float = 20.0) -> int:
        """Wait until the first process has ended, and return its exit code."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            pytest.fail(f"Still running after {timeout} seconds:\n{self.output}")

    def terminate(self) -> None:
        """Send SIGTERM to the first process alone."""
        self.popen.send_signal(signal.SIGTERM)

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to every process of the group."""
        os.killpg(self.pid, number)

    def stop(self, timeout: float = 20.0) -> int:
        """Send SIGTERM and return the exit code."""
        self.terminate()
        return self.wait(timeout)

    def children(self) -> list[int]:
        """Return the ids of the first process's living children."""
        try:
            return [child.pid for child in psutil.Process(self.pid).children()]
        except psutil.NoSuchProcess:
            return []

    def everything(self) -> list[int]:
        """Return the ids of all processes that came of this start, whoever their parent is by now."""
        found: list[int] = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("TEST_START_ID") == self._id:
                    found.append(process.pid)
        return found

    def destroy(self) -> None:
        """Leave nothing behind."""
        for pid in self.everything():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.popen.wait(10)


class Service:
    """A service package in a folder, which can be started any number of times."""

    def __init__(self, folder: Path, redis: RedisServer) -> None:
        self.folder = folder
        self.name = f"process-{uuid.uuid4().hex[:8]}"
        self.redis = redis
        self.started: list[ServiceProcess] = []
        self.package = folder / "process_service"
        self.package.mkdir()
        self.write("__init__.py", "")
        self.write("settings.py", _SETTINGS)
        self.write("server.py", _SERVER)
        self.write("standalone.py", _STANDALONE)

    def write(self, name: str, text: str) -> None:
        """Write one file of the package."""
        (self.package / name).write_text(textwrap.dedent(text))

    def append(self, name: str, text: str) -> None:
        """Add to one file of the package."""
        path = self.package / name
        path.write_text(path.read_text() + textwrap.dedent(text))

    def start(
        self,
        *options: str,
        settings: str = "{}",
        transport: str = "{}",
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = ("-u", "-m", "process_service.standalone", "-s", "process_service.settings"),
    ) -> ServiceProcess:
        """Start the service.

        Args:
            options: Further command line options.
            settings: What to change in the settings, as JSON.
            transport: What to change in the transport's settings, as JSON.
            environment: Further environment variables.
            command: What precedes the options.
        """
        process = ServiceProcess(
            self.folder,
            {
                "TEST_SERVICE_NAME": self.name,
                "TEST_REDIS_PORT": str(self.redis.port),
                "TEST_SETTINGS": settings,
                "TEST_TRANSPORT": transport,
                # Compiled files go by the second of a change and the size; tests change both too little.
                "PYTHONDONTWRITEBYTECODE": "1",
                **(environment or {}),
            },
            [*command, *options],
        )
        self.started.append(process)
        return process

    def start_and_wait(self, *options: str, workers: int = 1, **kwargs: Any) -> ServiceProcess:
        """Start the service and wait until its workers are set up."""
        process = self.start(*options, **kwargs)
        process.wait_for_output("set up", count=workers)
        return process

    def client(self) -> Client:
        """Return a new client of the service."""
        return Client(
            {
                self.name: {
                    "transport": {
                        "path": "pysoa.common.transport.redis_gateway.client:RedisClientTransport",
                        "kwargs": {
                            "backend_type": "redis.standard",
                            "backend_layer_kwargs": {"hosts": [("127.0.0.1", self.redis.port)]},
                        },
                    }
                }
            }
        )

    def call(self, action: str, body: dict[str, Any] | None = None, timeout: int = 10) -> dict[str, Any]:
        """Call one action with a new client, and return the response's body."""
        return self.client().call_action(self.name, action, body or {}, timeout=timeout).body


@pytest.fixture
def service(tmp_path: Path, redis_server: RedisServer) -> Iterator[Service]:
    """A service on the test run's Redis; whatever is left of its processes is killed at the end."""
    redis_server.start()
    service = Service(tmp_path, redis_server)
    yield service
    for process in service.started:
        process.destroy()
