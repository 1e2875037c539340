"""Shows where the time of a call goes in client and worker: ``python benchmarks/where.py --help``.

The CPU that both use is measured without a profiler. A profiler then tells how it divides among the parts. It
makes functions look dearer than they are, so parts with many small functions get somewhat too large a share.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, cast

import psutil

import driver
from pysoa.test.redis_server import RedisServer

HERE = Path(__file__).resolve().parent
_WORKER = ["-m", "bench_service.standalone", "-s", "bench_service.settings"]
_WARM_UP_CALLS = 300
_KERNEL = ("'recv_into'", "'send'", "'poll'", "posix.urandom")
# The first that is found in a function's file or name is its part.
_PARTS = (
    ("serializer/", "MessagePack"),
    ("msgpack", "MessagePack"),
    ("_struct", "MessagePack"),
    ("generated from a schema", "validation"),
    ("_schemas.py", "validation"),
    ("_action_schemas.py", "validation"),
    ("bench_service", "the action"),
    ("redis_gateway", "Redis transport"),
    ("hiredis", "Redis transport"),
    ("pysoa/client/", "client: headers, ledger, hand-over"),
    ("pysoa/server/", "server: hooks, job, action, logging, harakiri"),
    ("logging/", "server: hooks, job, action, logging, harakiri"),
    ("pysoa/common/", "common: types, envelopes, log context"),
    ("attrs generated", "common: types, envelopes, log context"),
)


def main() -> None:
    """Measure, and print one table for the client and one for the worker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", choices=sorted(driver.scenarios()), default="small")
    parser.add_argument("--calls", type=int, default=5000, help="how many calls to measure (default 5000)")
    arguments = parser.parse_args()
    scenario = driver.scenarios()[arguments.scenario]
    with RedisServer() as redis, tempfile.TemporaryDirectory() as folder:
        os.environ.update(BENCH_REDIS_PORT=str(redis.port), PYTHONPATH=str(HERE))
        client = _client()
        plain_client, plain_worker = _cpu_us(client, scenario, arguments.calls)
        start, _ = _profiles(client, scenario, 0, Path(folder) / "start")
        worker, profile = _profiles(client, scenario, arguments.calls, Path(folder) / "calls")
        worker.subtract(start)
        _print("client", plain_client, _seconds_by_part(profile))
        _print("worker", plain_worker, worker)


def _profiles(
    client: Any, scenario: driver.Scenario, calls: int, file: Path
) -> tuple[Counter[str], pstats.Stats]:
    """Return the seconds of each part of a worker, with its start, and the profile of the client's calls."""
    profile = cProfile.Profile()
    with _worker("-m", "cProfile", "-o", str(file)):
        _call(client, scenario, _WARM_UP_CALLS)
        profile.enable()
        _call(client, scenario, calls)
        profile.disable()
    return _seconds_by_part(pstats.Stats(str(file))), pstats.Stats(profile)


def _client() -> Any:
    import pysoa_client

    return pysoa_client.PySOAClient(pysoa_client.settings_for("redis"))


class _worker:  # noqa: N801  # used like a function
    """A worker of the measured service, for the time of a ``with`` statement."""

    def __init__(self, *options: str) -> None:
        self._command = [sys.executable, *options, *_WORKER]

    def __enter__(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(self._command, cwd=HERE, stderr=subprocess.DEVNULL)
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)


def _call(client: Any, scenario: driver.Scenario, calls: int) -> None:
    for _ in range(calls):
        client.call(scenario.action, scenario.body)


def _cpu_us(
    client: Any, scenario: driver.Scenario, calls: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return user and system microseconds of a call, of the client and of a worker."""
    with _worker() as process:
        worker = psutil.Process(process.pid)
        _call(client, scenario, _WARM_UP_CALLS)
        before, worker_before = resource.getrusage(resource.RUSAGE_SELF), worker.cpu_times()
        _call(client, scenario, calls)
        after, worker_after = resource.getrusage(resource.RUSAGE_SELF), worker.cpu_times()
    per_call = 1e6 / calls
    return (
        ((after.ru_utime - before.ru_utime) * per_call, (after.ru_stime - before.ru_stime) * per_call),
        (
            (worker_after.user - worker_before.user) * per_call,
            (worker_after.system - worker_before.system) * per_call,
        ),
    )


def _print(name: str, cpu_us: tuple[float, float], seconds_by_part: Counter[str]) -> None:
    user_us, system_us = cpu_us
    total_s = sum(seconds_by_part.values())
    print(f"\n{name}: {user_us + system_us:.0f} us of CPU for a call")
    print(f"  {system_us:6.0f} us  the kernel: one write, one read, one poll")
    for part, seconds in seconds_by_part.most_common():
        print(f"  {user_us * seconds / total_s:6.0f} us  {part}")


def _seconds_by_part(stats: pstats.Stats) -> Counter[str]:
    table: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = stats.stats  # type: ignore[attr-defined]
    found: Any = Counter()  # of seconds, which are no whole numbers
    for (file, _, function), (_, _, own_s, _, callers) in table.items():
        if any(text in function for text in _KERNEL):
            continue
        part = _part_of(f"{file} {function}")
        if part is not None:
            found[part] += own_s
            continue
        # A built-in function counts for whoever calls it.
        for (caller_file, _, caller), caller_stats in callers.items():
            found[_part_of(f"{caller_file} {caller}")] += caller_stats[2]
    del found[None]  # what starts an interpreter and imports modules
    return cast("Counter[str]", found)


def _part_of(text: str) -> str | None:
    return next((part for fragment, part in _PARTS if fragment in text), None)


if __name__ == "__main__":
    main()
