"""Starts the processes of a contestant and adds up what they used."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import redis

import environments
from pysoa.test.redis_server import RedisServer

HERE = Path(__file__).resolve().parent

SERVICE = ["-m", "bench_service.standalone", "-s", "bench_service.settings"]
"""How the interpreter of any environment starts a worker of the measured service."""


class Processes:
    """One contestant: its own Redis, its workers, and a client process that takes orders."""

    def __init__(
        self,
        name: str,
        client: list[str],
        worker: list[str] | None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Keep the commands; ``PORT`` in them stands for the port of the contestant's Redis."""
        self.name = name
        self._client_command = client
        self._worker_command = worker
        self._own_environment = variables or {}
        self._stack = contextlib.ExitStack()
        self._redis: psutil.Process | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start Redis, one worker and the client, and wait until the client is ready."""
        self._port = 0
        if self._worker_command is not None:
            server = self._stack.enter_context(RedisServer())
            self._port = server.port
            self._redis = psutil.Process(server.pid)
            self.add_worker()
        self.client = subprocess.Popen(
            self._filled(self._client_command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE,
            env={**environment(self._port), **self._own_environment},
        )
        self._stack.callback(end, self.client)
        self._answer("ready")

    @property
    def port(self) -> int:
        """The port of the contestant's Redis."""
        return self._port

    def add_worker(self, **variables: str) -> None:
        """Start one more worker, with further environment variables perhaps."""
        assert self._worker_command is not None
        worker = subprocess.Popen(
            self._filled(self._worker_command),
            cwd=HERE,
            env={**environment(self._port), **self._own_environment, **variables},
        )
        self._stack.callback(end, worker)
        self.workers.append(worker)

    def run(self, scenario: str, calls: int, in_flight: int) -> dict[str, Any]:
        """Run one order; return the client's report with the CPU seconds of workers and Redis added."""
        before = self.cpu_seconds()
        report = self.order(f"{scenario} {calls} {in_flight}")
        after = self.cpu_seconds()
        # The client makes one call more than it reports, to see that the answer is right.
        share = calls / (calls + 1)
        report["worker_cpu_s"] = (after[0] - before[0]) * share
        report["redis_cpu_s"] = (after[1] - before[1]) * share
        return report

    def order(self, text: str) -> dict[str, Any]:
        """Have the client carry out one order and return its report."""
        assert self.client.stdin is not None
        self.client.stdin.write(f"{text}\n")
        self.client.stdin.flush()
        report: dict[str, Any] = json.loads(self._answer("{"))
        return report

    def stop(self) -> None:
        """End every process."""
        for worker in self.workers:
            worker.terminate()  # all at once: each may have to wait for a moment before it notices
        self._stack.close()

    def cpu_seconds(self) -> tuple[float, float]:
        """Return the CPU seconds that all the workers and Redis have used so far."""
        workers = sum(cpu_of(psutil.Process(worker.pid)) for worker in self.workers)
        return workers, cpu_of(self._redis) if self._redis else 0.0

    def _filled(self, command: list[str]) -> list[str]:
        return [str(self._port) if word == "PORT" else word for word in command]

    def _answer(self, start: str) -> str:
        assert self.client.stdout is not None
        line = self.client.stdout.readline()
        if not line.startswith(start):
            raise SystemExit(f"the client of {self.name!r} ended or said {line!r} instead of {start!r}...")
        return line


def all_contestants(with_original: bool) -> list[Processes]:
    """Return the contestants, not yet started; the floor, to which all are compared, is the first."""
    python = environments.ours()
    floor = Processes("floor", [python, "floor.py", "client", "PORT"], [python, "floor.py", "worker", "PORT"])
    contestants = [floor, over_redis(), in_process()]
    if with_original:
        old = environments.original()
        contestants.append(Processes("PySOA 1.4.9", [old, "pysoa_client.py", "redis"], [old, *SERVICE]))
    return contestants


def over_redis() -> Processes:
    """Return ours with the Redis transport, not yet started."""
    python = environments.ours()
    return Processes("PySOA 2", [python, "pysoa_client.py", "redis"], [python, *SERVICE])


def in_process() -> Processes:
    """Return ours with the local transport, not yet started."""
    return Processes("PySOA 2 in-process", [environments.ours(), "pysoa_client.py", "local"], None)


@contextlib.contextmanager
def running(contestants: list[Processes]) -> Iterator[None]:
    """Start all the contestants and stop them at the end."""
    with contextlib.ExitStack() as stack:
        for contestant in contestants:
            stack.callback(contestant.stop)
            contestant.start()
        yield


def stop_all_when_told() -> None:
    """Have SIGTERM end this program as an error does, so that no process is left behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def environment(redis_port: int) -> dict[str, str]:
    """Return the environment variables of a contestant's processes."""
    return {
        **os.environ,
        "BENCH_REDIS_PORT": str(redis_port),
        "PYTHONPATH": str(HERE),
        "PYTHONWARNINGS": "ignore",
    }


def wait_for_workers(redis_port: int, count: int, limit_s: float = 300.0) -> None:
    """Wait until so many workers wait at a Redis server."""
    deadline = time.monotonic() + limit_s
    with redis.Redis(port=redis_port) as connection:
        while (ready := int(connection.info("clients")["blocked_clients"])) < count:
            if time.monotonic() > deadline:
                raise SystemExit(f"{ready} of {count} workers were ready after {limit_s} s")
            time.sleep(0.1)


def cpu_of(process: psutil.Process) -> float:
    """Return the CPU seconds that a process has used so far, to the nanosecond if the system tells."""
    try:
        threads = list(Path(f"/proc/{process.pid}/task").glob("*/schedstat"))
        if threads:
            return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
    except OSError:
        pass  # a thread has ended just now, or the process
    times = process.cpu_times()
    return float(times.user + times.system)


def end(process: subprocess.Popen[Any]) -> None:
    """Stop a process, and see that it is gone."""
    if process.stdin:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
