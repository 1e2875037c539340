"""Measures what workers cost that have nothing to do, and whether hundreds of them disturb others' calls."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import psutil

import contestants
import environments
import rounds
import scale_growth

_FORKS = 10
_SETTLE_S = 1.0


def measure(count: int, seconds: float, turns: scale_growth.Turns) -> dict[str, Any]:
    """Measure one idle worker, then many on one Redis, then calls on a Redis with and without them.

    Args:
        count: How many idle workers.
        seconds: For how long their CPU is measured.
        turns: How calls are compared.
    """
    alone = scale_growth.scaled("alone", "calls", 1, 1, 1)
    crowded = scale_growth.scaled("crowded", "calls", 1, 1, 1)
    with contestants.running([alone, crowded]), _crowd(crowded.port, count) as crowd:
        return {
            **_idle_costs(alone, crowded, crowd, seconds),
            "calls": rounds.compare(
                "idle workers on the same Redis",
                ("0", lambda *order: _run_without(crowd, alone, *order)),
                (f"{count:,}", crowded.run),
                *turns,
            ),
        }


@contextlib.contextmanager
def _crowd(port: int, count: int) -> Iterator[list[psutil.Process]]:
    """Start so many idle workers, forked by as many parents as it takes, and return all these processes."""
    cap = min(_FORKS, 5 * (os.cpu_count() or 1))
    sizes = [cap] * (count // cap) + ([count % cap] if count % cap else [])
    parents = [_fork_workers(port, size) for size in sizes]
    try:
        # One more: whoever owns this Redis has a worker there.
        contestants.wait_for_workers(port, count + 1)
        time.sleep(_SETTLE_S)
        yield [
            process
            for parent in parents
            for process in (psutil.Process(parent.pid), *psutil.Process(parent.pid).children())
        ]
    finally:
        for parent in parents:
            parent.terminate()
        for parent in parents:
            contestants.end(parent)


def _fork_workers(port: int, count: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            environments.ours(), "-m", "bench_service.scaled", "-s", "bench_service.scaled_settings",
            "--fork", str(count),
        ],
        cwd=contestants.HERE,
        env={**contestants.environment(port), "BENCH_SERVICE": "bench_idle"},
    )  # fmt: skip


def _idle_costs(
    alone: contestants.Processes,
    crowded: contestants.Processes,
    crowd: list[psutil.Process],
    seconds: float,
) -> dict[str, Any]:
    """Return CPU percentages over some seconds in which nobody calls."""
    start = time.perf_counter()
    before = alone.cpu_seconds(), crowded.cpu_seconds(), [contestants.cpu_of(process) for process in crowd]
    time.sleep(seconds)
    after = alone.cpu_seconds(), crowded.cpu_seconds(), [contestants.cpu_of(process) for process in crowd]
    percent = 100 / (time.perf_counter() - start)
    used = [(b - a) * percent for a, b in zip(before[2], after[2], strict=True)]
    return {
        "seconds": seconds,
        "one_worker_cpu_percent": (after[0][0] - before[0][0]) * percent,
        "one_worker_redis_cpu_percent": (after[0][1] - before[0][1]) * percent,
        "workers": len(used) - sum(bool(process.children()) for process in crowd),
        "workers_cpu_percent_sum": sum(used),
        "workers_cpu_percent_highest": max(used),
        "workers_redis_cpu_percent": (after[1][1] - before[1][1]) * percent,
    }


def _run_without(
    crowd: list[psutil.Process], contestant: contestants.Processes, scenario: str, calls: int, in_flight: int
) -> dict[str, Any]:
    """Make calls while the crowd is stopped, as if it were not on this machine."""
    for process in crowd:
        process.suspend()
    try:
        return contestant.run(scenario, calls, in_flight)
    finally:
        for process in crowd:
            process.resume()
        time.sleep(_SETTLE_S)  # all their waits have ended meanwhile
