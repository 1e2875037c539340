"""Real clients, and real workers in processes of their own, on a Redis to which bad things happen."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import attrs
import pytest

from pysoa.client.client import Client
from pysoa.common.transport.errors import TransientPySOATransportError
from pysoa.test.redis_server import RedisServer

_PEERS = pathlib.Path(__file__).parent / "peers"
_START_LIMIT_S = 20.0
# What a call may take beyond the time that it was given.
SLACK_S = 0.5

Kwargs = dict[str, Any]


def transport_kwargs(*servers: RedisServer, **extra: Any) -> Kwargs:
    """Return the arguments of a transport on fixed masters; ``connection_kwargs`` go where they belong."""
    layer: Kwargs = {"hosts": [(server.host, server.port) for server in servers]}
    connection_kwargs = extra.pop("connection_kwargs", None)
    if connection_kwargs:
        layer["connection_kwargs"] = connection_kwargs
    return {"backend_type": "redis.standard", "backend_layer_kwargs": layer, **extra}


@attrs.frozen
class Outcome:
    """How one call went."""

    started_at: float
    took_s: float
    error: Exception | None


class Caller:
    """A client that keeps book of its calls. Threads may share it."""

    def __init__(self, kwargs: Kwargs) -> None:
        """Build the client; nothing is connected yet."""
        path = "pysoa.common.transport.redis_gateway.client:RedisClientTransport"
        self._client = Client({"fault": {"transport": {"path": path, "kwargs": kwargs}}})
        self.outcomes: list[Outcome] = []
        self._machine_lateness_s = 0.0

    def call(self, timeout_s: float, text: str = "hello") -> Outcome:
        """Make a call, and note how it went. A wrong answer is an assertion error."""
        started_at = time.monotonic()
        error: Exception | None = None
        try:
            response = self._client.call_action(
                "fault", "echo", {"text": text, "id": started_at}, timeout=timeout_s
            )
            assert response.body == {"text": text, "id": started_at}
        except AssertionError:
            raise
        except Exception as caught:
            error = caught
        outcome = Outcome(started_at, time.monotonic() - started_at, error)
        self.outcomes.append(outcome)
        return outcome

    def wait_until_served(self, limit_s: float = 20.0, timeout_s: float = 1.0) -> None:
        """Call until an answer comes."""
        deadline = time.monotonic() + limit_s
        while (outcome := self.call(timeout_s)).error is not None:
            assert time.monotonic() < deadline, f"no answer within {limit_s} seconds: {outcome.error!r}"
            time.sleep(0.02)

    @contextlib.contextmanager
    def calling(self, timeout_s: float, threads: int = 4) -> Generator[None]:
        """Call without a break in several threads."""
        is_over = threading.Event()
        failures: list[BaseException] = []

        def work() -> None:
            try:
                while not is_over.is_set():
                    self.call(timeout_s)
                    is_over.wait(0.005)
            except BaseException as error:
                failures.append(error)

        def watch_machine() -> None:
            # How late a busy machine wakes a thread that asks for nothing but that.
            while not is_over.is_set():
                asleep_at = time.monotonic()
                time.sleep(0.01)
                lateness_s = time.monotonic() - asleep_at - 0.01
                self._machine_lateness_s = max(self._machine_lateness_s, lateness_s)

        workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
        workers.append(threading.Thread(target=watch_machine, daemon=True))
        for worker in workers:
            worker.start()
        try:
            yield
        finally:
            is_over.set()
            for worker in workers:
                worker.join(timeout_s + 5)
        assert not failures
        assert not any(worker.is_alive() for worker in workers)

    def errors(self) -> list[Exception]:
        """Return the errors of all calls so far."""
        return [outcome.error for outcome in self.outcomes if outcome.error is not None]

    def assert_all_in_order(self, timeout_s: float) -> None:
        """Check that each call ended in time, with an answer or with a documented error of the transport."""
        undocumented = [e for e in self.errors() if not isinstance(e, TransientPySOATransportError)]
        slowest = max(self.outcomes, key=lambda outcome: outcome.took_s)
        assert not undocumented
        limit_s = timeout_s + SLACK_S + self._machine_lateness_s
        assert slowest.took_s <= limit_s, (slowest, self._machine_lateness_s)

    def assert_served(self, count: int, timeout_s: float = 5.0) -> None:
        """Make calls, none of which may fail."""
        lost = [outcome for outcome in (self.call(timeout_s) for _ in range(count)) if outcome.error]
        assert not lost


class Workers:
    """Worker processes of the service, and all that they log."""

    def __init__(self, log_file: pathlib.Path) -> None:
        """Start none yet."""
        self._log_file = log_file
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, kwargs: Mapping[str, Any], count: int = 2) -> None:
        """Start workers that need not be able to reach Redis."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(_PEERS),
            "FAULT_TRANSPORT": json.dumps({"receive_timeout_in_seconds": 2, **kwargs}),
        }
        command = [sys.executable, "-m", "fault_service.standalone", "-s", "fault_service.settings"]
        with self._log_file.open("ab") as log:
            for _ in range(count):
                self._processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))

    def are_alive(self) -> bool:
        """Tell whether all of them still run."""
        return all(process.poll() is None for process in self._processes)

    @property
    def log(self) -> str:
        """All that they have logged."""
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else ""

    def wait_for_log(self, text: str) -> None:
        """Wait until one of them has logged a text."""
        deadline = time.monotonic() + _START_LIMIT_S
        while text not in self.log:
            assert time.monotonic() < deadline, f"{text!r} is not in the log:\n{self.log[-3000:]}"
            time.sleep(0.02)

    def stop(self) -> None:
        """End them in an orderly way; each must follow."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
        self._processes.clear()


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A server that a test may treat as badly as it likes."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def workers(tmp_path: pathlib.Path) -> Iterator[Workers]:
    """Workers that end with the test, and that must have lived until then."""
    running = Workers(tmp_path / "workers.log")
    yield running
    were_alive = running.are_alive()
    running.stop()
    assert were_alive, running.log[-3000:]


@pytest.fixture
def kwargs_of() -> Callable[..., Kwargs]:
    """How to name servers to a transport."""
    return transport_kwargs


@pytest.fixture
def new_caller() -> Callable[[Kwargs], Caller]:
    """How to make a client."""
    return Caller
