"""Measures what it costs to import the client and to keep a worker idle."""

from __future__ import annotations

import statistics
import subprocess
from typing import Any

import psutil

import contestants
import environments

_TIMED_IMPORT = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
_CLIENT = "import pysoa.client.client"
_COUNT_REDIS = "print(sum(name.split('.')[0] == 'redis' for name in sys.modules))"
_LIBRARIES = (
    "import conformity.fields, conformity.settings, pymetrics.instruments, pymetrics.recorders.noop, msgpack"
)


def measure(chosen: list[contestants.Processes], repeats: int = 15) -> dict[str, Any]:
    """Return import times as medians of alternating runs, and the memory of each first worker."""
    client, libraries = [], []
    for _ in range(repeats):
        client.append(_seconds(_CLIENT))
        libraries.append(_seconds(_LIBRARIES))
    loaded = _output(
        f"{_CLIENT}; import sys; print(sum(name.split('.')[0] == 'redis' for name in sys.modules))"
    )
    return {
        "import_ms": statistics.median(client) * 1e3,
        "import_ratio": statistics.median(a / b for a, b in zip(client, libraries, strict=True)),
        "redis_modules_loaded": int(loaded),
        "idle_worker_rss_mib": {
            contestant.name: psutil.Process(contestant.workers[0].pid).memory_info().rss / 2**20
            for contestant in chosen
            if contestant.workers
        },
    }


def _seconds(statement: str) -> float:
    return float(_output(_TIMED_IMPORT.format(statement)))


def _output(code: str) -> str:
    return subprocess.check_output([environments.ours(), "-W", "ignore", "-c", code], text=True)
