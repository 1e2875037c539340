"""Starts the processes of a contestant and adds up what they used."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

import environments
from pysoa.test.redis_server import RedisServer

HERE = Path(__file__).resolve().parent


class Processes:
    """One contestant: its own Redis, its workers, and a client process that takes orders."""

    def __init__(self, name: str, client: list[str], worker: list[str] | None) -> None:
        """Keep the commands; ``PORT`` in them stands for the port of the contestant's Redis."""
        self.name = name
        self._client_command = client
        self._worker_command = worker
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
        self._client = subprocess.Popen(
            self._filled(self._client_command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE,
            env=self._environment(),
        )
        self._stack.callback(_end, self._client)
        self._answer("ready")

    def add_worker(self) -> None:
        """Start one more worker."""
        assert self._worker_command is not None
        worker = subprocess.Popen(self._filled(self._worker_command), cwd=HERE, env=self._environment())
        self._stack.callback(_end, worker)
        self.workers.append(worker)

    def run(self, scenario: str, calls: int, in_flight: int) -> dict[str, Any]:
        """Run one order; return the client's report with the CPU seconds of workers and Redis added."""
        before = self._cpu_seconds()
        assert self._client.stdin is not None
        self._client.stdin.write(f"{scenario} {calls} {in_flight}\n")
        self._client.stdin.flush()
        report: dict[str, Any] = json.loads(self._answer("{"))
        after = self._cpu_seconds()
        # The client makes one call more than it reports, to see that the answer is right.
        share = calls / (calls + 1)
        report["worker_cpu_s"] = (after[0] - before[0]) * share
        report["redis_cpu_s"] = (after[1] - before[1]) * share
        return report

    def stop(self) -> None:
        """End every process."""
        self._stack.close()

    def _cpu_seconds(self) -> tuple[float, float]:
        workers = sum(_cpu_of(psutil.Process(worker.pid)) for worker in self.workers)
        return workers, _cpu_of(self._redis) if self._redis else 0.0

    def _filled(self, command: list[str]) -> list[str]:
        return [str(self._port) if word == "PORT" else word for word in command]

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "BENCH_REDIS_PORT": str(self._port),
            "PYTHONPATH": str(HERE),
            "PYTHONWARNINGS": "ignore",
        }

    def _answer(self, start: str) -> str:
        assert self._client.stdout is not None
        line = self._client.stdout.readline()
        if not line.startswith(start):
            raise SystemExit(f"the client of {self.name!r} ended or said {line!r} instead of {start!r}...")
        return line


def all_contestants(with_original: bool) -> list[Processes]:
    """Return the contestants, not yet started; the floor, to which all are compared, is the first."""
    python = environments.ours()
    service = ["-m", "bench_service.standalone", "-s", "bench_service.settings"]
    contestants = [
        Processes("floor", [python, "floor.py", "client", "PORT"], [python, "floor.py", "worker", "PORT"]),
        Processes("PySOA 2", [python, "pysoa_client.py", "redis"], [python, *service]),
        Processes("PySOA 2 in-process", [python, "pysoa_client.py", "local"], None),
    ]
    if with_original:
        old = environments.original()
        contestants.append(Processes("PySOA 1.4.9", [old, "pysoa_client.py", "redis"], [old, *service]))
    return contestants


@contextlib.contextmanager
def running(contestants: list[Processes]) -> Iterator[None]:
    """Start all the contestants and stop them at the end."""
    with contextlib.ExitStack() as stack:
        for contestant in contestants:
            stack.callback(contestant.stop)
            contestant.start()
        yield


def _cpu_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _end(process: subprocess.Popen[Any]) -> None:
    if process.stdin:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
