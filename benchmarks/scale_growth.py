"""Measures whether a call costs more with many actions, services, waiting jobs, or calls already made."""

from __future__ import annotations

import statistics
import time
from typing import Any, NamedTuple

import psutil
import redis

import contestants
import environments
import rounds
from bench_service.names import service_names

CALLS_PER_ORDER = 2_000
"""An order keeps a latency per call, so orders of many sizes would blur how memory grows."""


class Turns(NamedTuple):
    """How variants are compared."""

    rounds: int
    seconds: float


def scaled(
    name: str, *client: object, actions: int = 1, options: tuple[str, ...] = ()
) -> contestants.Processes:
    """Return a contestant, not yet started, that runs the scaled service as the first of the services.

    Args:
        name: Its name.
        client: The arguments of ``scale_client.py``.
        actions: How many actions the service has.
        options: Further options on the worker's command line.
    """
    python = environments.ours()
    return contestants.Processes(
        name,
        [python, "scale_client.py", *map(str, client)],
        [python, "-m", "bench_service.scaled", "-s", "bench_service.scaled_settings", *options],
        {"BENCH_ACTIONS": str(actions), "BENCH_SERVICE": service_names(1)[0]},
    )


def measure_actions(many: int, turns: Turns) -> list[dict[str, Any]]:
    """Compare a service of ten actions with one of many; call the same one, then each of them in its turn."""
    few = 10
    variants = {
        (actions, called): scaled(f"{called} of {actions}", "calls", 1, 1, called, actions=actions)
        for actions in (few, many)
        for called in (1, actions)
    }
    with contestants.running(list(variants.values())):
        variants[many, many].run("small", many, 1)  # the first call of an action compiles its schemas
        return [
            rounds.compare(
                title, (f"{few:,}", variants[few, x].run), (f"{many:,}", variants[many, y].run), *turns
            )
            for title, x, y in (("actions, one called", 1, 1), ("actions called in turn", few, many))
        ]


def measure_services(many: int, turns: Turns) -> list[dict[str, Any]]:
    """Compare clients that know one service and many services; of those, call one, or all in turn.

    Whoever calls many services wakes many workers, each of which finds the processor's caches full of others'
    data. So the last are compared with one service that has as many workers: they have their turns, too.
    """
    one, shared = scaled("one", "calls", 1, 1, 1), scaled("shared", "calls", 1, 1, 1)
    routed, called = scaled("routed", "calls", many, 1, 1), scaled("called", "calls", many, many, 1)
    with contestants.running([one, routed]):
        known = rounds.compare(
            "services known, one called", ("1", one.run), (f"{many:,}", routed.run), *turns
        )
    with contestants.running([shared, called]):
        for name in service_names(many)[1:]:
            shared.add_worker()
            called.add_worker(BENCH_SERVICE=name)
        contestants.wait_for_workers(shared.port, many)
        contestants.wait_for_workers(called.port, many)
        in_turn = rounds.compare(
            f"services for {many:,} workers, in turn", ("1", shared.run), (f"{many:,}", called.run), *turns
        )
    return [known, in_turn]


def measure_queue(waiting: int, turns: Turns) -> dict[str, Any]:
    """Compare jobs that are sent, done and answered while many others wait with those while few wait."""
    contestant = scaled("queue", "queue")
    with contestants.running([contestant]):
        _queue_once(contestant, waiting // 10)
        found = [_queue_once(contestant, waiting) for _ in range(max(1, turns.rounds // 3))]
    few, many = ([_sum_of_steps(steps, which) for steps in found] for which in (slice(3), slice(-3, None)))
    return {
        "title": "jobs waiting",
        "base": {"what": f"up to {waiting * 3 // 10:,}", "cpu_us": statistics.median(few)},
        "scaled": {"what": f"up to {waiting:,}", "cpu_us": statistics.median(many)},
        "cpu_ratio": rounds.median_and_range([b / a for a, b in zip(few, many, strict=True)]),
        "steps": found,
    }


def _queue_once(contestant: contestants.Processes, waiting: int) -> dict[str, list[float]]:
    """Return the CPU microseconds per job of sending, doing and taking, by tenths, the emptiest first."""
    worker = psutil.Process(contestant.workers[0].pid)
    tenth = waiting // 10
    worker.suspend()
    try:
        sending = [_ordered(contestant, f"fill {tenth}") / tenth for _ in range(10)]
    finally:
        worker.resume()
    doing = _cpu_while_done(contestant, tenth)
    taking = [_ordered(contestant, f"empty {tenth}") / tenth for _ in range(10)]
    return {"sending_us": sending, "doing_us": doing[::-1], "taking_us": taking[::-1]}


def _ordered(contestant: contestants.Processes, order: str) -> float:
    before = sum(contestant.cpu_seconds())
    client = contestant.order(order)["cpu_s"]
    return float(client + sum(contestant.cpu_seconds()) - before) * 1e6


def _cpu_while_done(contestant: contestants.Processes, tenth: int) -> list[float]:
    """Return the CPU microseconds of worker and Redis per job while the queue becomes empty, by tenths."""
    key = f"pysoa:service.{service_names(1)[0]}"
    result: list[float] = []
    with redis.Redis(port=contestant.port) as connection:
        before, depth = sum(contestant.cpu_seconds()), tenth * 10
        while depth > 0:
            waiting = int(connection.llen(key))
            if waiting <= max(0, depth - tenth):
                now = sum(contestant.cpu_seconds())
                result.append((now - before) / (depth - waiting) * 1e6)
                before, depth = now, waiting
            time.sleep(0.002)
    return result


def _sum_of_steps(steps: dict[str, list[float]], which: slice) -> float:
    return sum(statistics.mean(found[which]) for found in steps.values())


def measure_calls_made(
    transport: str, new: contestants.Processes, old: contestants.Processes, calls: int, turns: Turns
) -> dict[str, Any]:
    """Compare a client and a worker that have made many calls with new ones; look at their memory.

    Args:
        transport: How they call.
        new: Contestants of the same kind, not yet started.
        old: The one that makes many calls.
        calls: How many.
        turns: How they are compared.
    """
    with contestants.running([old]):
        tenths = [_many_calls(old, max(1, calls // 10)) for _ in range(10)]
        with contestants.running([new]):
            compared = rounds.compare(
                f"calls made before, {transport}",
                ("0", new.run),
                (f"{calls:,}", old.run),
                *turns,
            )
    return {**compared, "tenths": tenths}


def _many_calls(contestant: contestants.Processes, calls: int) -> dict[str, Any]:
    left, reports = calls, []
    while left > 0:
        reports.append(contestant.run("small", min(left, CALLS_PER_ORDER), 1))
        left -= CALLS_PER_ORDER
    return {
        "cpu_us": sum(
            report[key] for report in reports for key in ("client_cpu_s", "worker_cpu_s", "redis_cpu_s")
        )
        / calls
        * 1e6,
        "calls_per_s": calls / sum(report["wall_s"] for report in reports),
        "client_rss_mb": _rss_mb(contestant.client.pid),
        "worker_rss_mb": [_rss_mb(worker.pid) for worker in contestant.workers],
    }


def _rss_mb(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss / 1e6)
