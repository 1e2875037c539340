"""Shows that the cost of a call does not grow with what a system grows by, and what idle workers cost.

``make bench`` includes this. ``python benchmarks/scale.py --calls-made 1000000`` measures nothing else.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import contestants
import scale_growth
import scale_idle


def main() -> None:
    """Measure, print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--json", metavar="FILE", help="write everything measured to this file")
    arguments = parser.parse_args()
    contestants.stop_all_when_told()
    result = measure(arguments)
    print_table(result)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(result, indent=1) + "\n")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how far to go."""
    group = parser.add_argument_group("scale")
    group.add_argument("--actions", type=int, default=2_000, help="of the large service (default 2,000)")
    group.add_argument("--services", type=int, default=50, help="that the client knows (default 50)")
    group.add_argument("--queued", type=int, default=10_000, help="jobs waiting at once (default 10,000)")
    group.add_argument(
        "--calls-made",
        type=int,
        default=100_000,
        help="by one client per transport (default 100,000; 1,000,000 take some minutes)",
    )
    group.add_argument("--idle-workers", type=int, default=200, help="on one Redis (default 200)")
    group.add_argument("--idle-seconds", type=float, default=10.0, help="of looking at them (default 10)")
    group.add_argument(
        "--scale-rounds", type=int, default=9, help="how often variants take turns (default 9)"
    )
    group.add_argument("--scale-seconds", type=float, default=0.4, help="of a turn, about (default 0.4)")


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure everything, with the options that :func:`add_arguments` adds."""
    turns = scale_growth.Turns(arguments.scale_rounds, arguments.scale_seconds)
    comparisons = [
        *scale_growth.measure_actions(arguments.actions, turns),
        *scale_growth.measure_services(arguments.services, turns),
        scale_growth.measure_queue(arguments.queued, turns),
        scale_growth.measure_calls_made(
            "Redis", contestants.over_redis(), contestants.over_redis(), arguments.calls_made, turns
        ),
        scale_growth.measure_calls_made(
            "in-process", contestants.in_process(), contestants.in_process(), arguments.calls_made, turns
        ),
    ]
    idle = scale_idle.measure(arguments.idle_workers, arguments.idle_seconds, turns)
    return {"comparisons": [*comparisons, idle.pop("calls")], "idle": idle}


def print_table(result: dict[str, Any]) -> None:
    """Print what was measured."""
    print(f"\n{'scale':34}{'from':>13}{'to':>13}{'CPU us per call':>18}{'ratio (range)':>20}{'time':>20}")
    for found in result["comparisons"]:
        base, scaled = found["base"], found["scaled"]
        costs = f"{base['cpu_us']:.0f} -> {scaled['cpu_us']:.0f}"
        print(
            f"{found['title']:34}{base['what']:>13}{scaled['what']:>13}{costs:>18}"
            f"{_ratio(found['cpu_ratio']):>20}{_ratio(found.get('time_ratio')):>20}"
        )
    for found in result["comparisons"]:
        if "tenths" in found:
            _print_memory(found["title"], found["tenths"])
    _print_idle(result["idle"])


def _ratio(found: list[float] | None) -> str:
    return "{:.2f} ({:.2f}-{:.2f})".format(*found) if found else ""


def _print_memory(title: str, tenths: list[dict[str, Any]]) -> None:
    first, last = tenths[0], tenths[-1]
    workers = zip(first["worker_rss_mb"], last["worker_rss_mb"], strict=True)
    sizes = [("client", first["client_rss_mb"], last["client_rss_mb"])]
    sizes += [("worker", before, after) for before, after in workers]
    memory = ", ".join(f"{name} {before:.1f} -> {after:.1f} MB" for name, before, after in sizes)
    print(f"{title}, after the first and the last tenth: {memory} resident")


def _print_idle(idle: dict[str, Any]) -> None:
    print(
        f"one idle worker: {idle['one_worker_cpu_percent']:.2f} % CPU (target: < 1), and Redis "
        f"{idle['one_worker_redis_cpu_percent']:.2f} %\n"
        f"{idle['workers']} idle workers and their parents: {idle['workers_cpu_percent_sum']:.1f} % CPU in "
        f"all, {idle['workers_cpu_percent_highest']:.2f} % the busiest one, and Redis "
        f"{idle['workers_redis_cpu_percent']:.2f} %"
    )


if __name__ == "__main__":
    main()
