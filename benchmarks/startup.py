"""Measures what it costs to import the client and to keep a worker idle."""

from __future__ import annotations

import statistics
import subprocess
import time
from typing import Any

import psutil

import contestants
import environments
from pysoa.test.redis_server import RedisServer

_TIMED_IMPORT = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
_CLIENT = "import pysoa.client.client"
_COUNT_REDIS = "import sys; print(sum(name.split('.')[0] == 'redis' for name in sys.modules))"
_LIBRARIES = (
    "import conformity.fields, conformity.settings, pymetrics.instruments, pymetrics.recorders.noop, msgpack"
)
_WORKERS_LIBRARIES = f"{_LIBRARIES}, redis, hiredis, logging.config, argparse"
_SETTLE_S = 1.0


def measure(with_original: bool, repeats: int = 15) -> dict[str, Any]:
    """Return import times as medians of alternating runs, and the memory of an idle worker.

    All of it is measured in an environment that has what a service needs, and nothing else.
    """
    python = environments.production()
    client, libraries = [], []
    for _ in range(repeats):
        client.append(_seconds(python, _CLIENT))
        libraries.append(_seconds(python, _LIBRARIES))
    memory = {
        "PySOA 2": _idle_worker_mb(python),
        "the libraries it imports, alone": _libraries_mb(python),
    }
    if with_original:
        memory["PySOA 1.4.9"] = _idle_worker_mb(environments.original())
    return {
        "environment": environments.describe(python),
        "import_ms": statistics.median(client) * 1e3,
        "import_ratio": statistics.median(a / b for a, b in zip(client, libraries, strict=True)),
        "redis_modules_loaded": int(_output(python, f"{_CLIENT}; {_COUNT_REDIS}")),
        "idle_worker_rss_mb": memory,
    }


def print_table(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(
        f"\nimport pysoa.client.client: {found['import_ms']:.0f} ms, "
        f"{found['import_ratio']:.2f} times its three libraries alone (target: < 1.5); "
        f"modules of redis loaded: {found['redis_modules_loaded']}"
    )
    for name, megabytes in found["idle_worker_rss_mb"].items():
        print(f"idle worker, {name}: {megabytes:.1f} MB ({megabytes * 1e6 / 2**20:.1f} MiB) resident")


def _seconds(python: str, statement: str) -> float:
    return float(_output(python, _TIMED_IMPORT.format(statement)))


def _output(python: str, code: str) -> str:
    return subprocess.check_output([python, "-W", "ignore", "-c", code], text=True)


def _idle_worker_mb(python: str) -> float:
    with RedisServer() as server:
        worker = subprocess.Popen(
            [python, *contestants.SERVICE], cwd=contestants.HERE, env=contestants.environment(server.port)
        )
        try:
            contestants.wait_for_workers(server.port, 1)
            time.sleep(_SETTLE_S)
            return _rss_mb(worker.pid)
        finally:
            contestants.end(worker)


def _libraries_mb(python: str) -> float:
    process = subprocess.Popen(
        [python, "-W", "ignore", "-c", f"{_WORKERS_LIBRARIES}; print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        return _rss_mb(process.pid)
    finally:
        contestants.end(process)


def _rss_mb(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss / 1e6)
