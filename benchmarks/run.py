"""Measures calls per second, latency and CPU of every contestant, side by side, as ratios to the floor.

``make bench`` runs this with its defaults. ``python benchmarks/run.py --help`` shows what can be chosen.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import statistics
import sys
from pathlib import Path
from typing import Any, NamedTuple

import contestants
import environments
import scale
import startup


class Row(NamedTuple):
    """One line of the table."""

    title: str
    scenario: str
    in_flight: int
    workers: int
    target_rate: float | None
    target_cpu: float | None


PARTS = ("rows", "start-up", "scale")

ROWS = (
    Row("one in flight, small bodies", "small", 1, 1, 0.70, 1.35),
    Row("one in flight, 9 KB bodies", "medium", 1, 1, 0.75, 1.30),
    Row("one in flight, 1 MB response", "large", 1, 1, 0.55, 1.8),
    Row("64 in flight, small bodies, 1 worker", "small", 64, 1, 1.0, 1.1),
    Row("64 in flight, 9 KB bodies, 1 worker", "medium", 64, 1, 0.80, 1.25),
    Row("64 in flight, small bodies, 2 workers", "small", 64, 2, None, 0.85),
)


def main() -> None:
    """Measure, print the table and write the JSON."""
    arguments = _arguments()
    contestants.stop_all_when_told()
    chosen = contestants.all_contestants(not arguments.without_original)
    result: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", *sys.argv]),
        "machine": {
            "processor": platform.machine(),
            "system": platform.system(),
            "kernel": platform.release(),
        },
        "environments": {"PySOA 2": environments.describe(environments.ours())},
        "rounds": arguments.rounds,
        "seconds_per_slice": arguments.seconds,
        "rows": [],
    }
    if not arguments.without_original:
        result["environments"]["PySOA 1.4.9"] = environments.describe(environments.original())
    rows = _rows(arguments)
    with contestants.running(chosen if rows else []):
        for row in rows:
            while row.workers > len(chosen[0].workers):
                for contestant in chosen:
                    if contestant.workers:
                        contestant.add_worker()
            measured = _measure(row, [c for c in chosen if c.workers or row.workers == 1], arguments)
            result["rows"].append(measured)
            _print_row(measured)
    if "start-up" in arguments.part:
        result["start_up"] = startup.measure(not arguments.without_original)
        startup.print_table(result["start_up"])
    if "scale" in arguments.part:
        result["scale"] = scale.measure(arguments)
        scale.print_table(result["scale"])
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(result, indent=1) + "\n")
        print(f"\nwritten to {arguments.json}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=7, help="how often the contestants take turns (default 7)"
    )
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="about how long one slice lasts (default 1)"
    )
    parser.add_argument("--json", metavar="FILE", help="write everything measured to this file")
    parser.add_argument("--row", action="append", metavar="TEXT", help="only rows whose title contains this")
    parser.add_argument("--without-original", action="store_true", help="leave out PySOA 1.4.9")
    parser.add_argument(
        "--part",
        action="append",
        choices=PARTS,
        help="measure only this (default: all; with --row only rows)",
    )
    scale.add_arguments(parser)
    arguments = parser.parse_args()
    arguments.part = arguments.part or (["rows"] if arguments.row else PARTS)
    return arguments


def _rows(arguments: argparse.Namespace) -> list[Row]:
    if "rows" not in arguments.part:
        return []
    return [row for row in ROWS if not arguments.row or any(text in row.title for text in arguments.row)]


def _measure(row: Row, chosen: list[contestants.Processes], arguments: argparse.Namespace) -> dict[str, Any]:
    calls = {contestant.name: _calibrated(contestant, row, arguments.seconds) for contestant in chosen}
    slices: dict[str, list[dict[str, Any]]] = {contestant.name: [] for contestant in chosen}
    for number in range(arguments.rounds):
        # Every other round runs backwards, so that nobody always comes after the same neighbour.
        for contestant in chosen if number % 2 == 0 else reversed(chosen):
            slices[contestant.name].append(
                contestant.run(row.scenario, calls[contestant.name], row.in_flight)
            )
    return {
        **row._asdict(),
        "contestants": {name: _summary(found, slices[chosen[0].name]) for name, found in slices.items()},
    }


def _calibrated(contestant: contestants.Processes, row: Row, seconds: float) -> int:
    """Return how many calls fill the time; the trial warms everything up as well."""
    trial = 10 if row.scenario == "large" else 300
    wall: float = contestant.run(row.scenario, trial, row.in_flight)["wall_s"]
    return max(trial // 2, int(trial * seconds / wall))


def _summary(slices: list[dict[str, Any]], floor: list[dict[str, Any]]) -> dict[str, Any]:
    def per_call(report: dict[str, Any], *keys: str) -> float:
        return float(sum(report[key] for key in keys) / report["calls"])

    cpu = ("client_cpu_s", "worker_cpu_s", "redis_cpu_s")
    pairs = list(zip(slices, floor, strict=True))
    rate_ratios = [per_call(base, "wall_s") / per_call(report, "wall_s") for report, base in pairs]
    cpu_ratios = [per_call(report, *cpu) / per_call(base, *cpu) for report, base in pairs]
    return {
        "calls_per_s": statistics.median(1 / per_call(report, "wall_s") for report in slices),
        "rate_to_floor": statistics.median(rate_ratios),
        "rate_to_floor_range": [min(rate_ratios), max(rate_ratios)],
        "cpu_to_floor": statistics.median(cpu_ratios),
        "cpu_to_floor_range": [min(cpu_ratios), max(cpu_ratios)],
        "p50_ms": statistics.median(report["p50_s"] for report in slices) * 1e3,
        "p99_ms": statistics.median(report["p99_s"] for report in slices) * 1e3,
        **{
            key.replace("_s", "_s_per_1000_calls"): statistics.median(
                per_call(report, key) for report in slices
            )
            * 1e3
            for key in cpu
        },
    }


def _print_row(row: dict[str, Any]) -> None:
    wanted = [
        text
        for text, value in (("rate >= {}", row["target_rate"]), ("CPU <= {}", row["target_cpu"]))
        if value is not None
        for text in [text.format(value)]
    ]
    print(f"\n{row['title']}   (target: {', '.join(wanted)})")
    print(
        f"  {'':20}{'calls/s':>9}{'rate':>7}{'(range)':>14}{'CPU':>7}{'(range)':>14}{'p50 ms':>9}"
        f"{'p99 ms':>9}{'client':>8}{'worker':>8}{'redis':>8}  CPU s per 1,000 calls"
    )
    for name, found in row["contestants"].items():
        rate, cpu = found["rate_to_floor_range"], found["cpu_to_floor_range"]
        print(
            f"  {name:20}{found['calls_per_s']:9.0f}{found['rate_to_floor']:7.2f}"
            f"{f'({rate[0]:.2f}-{rate[1]:.2f})':>14}{found['cpu_to_floor']:7.2f}{f'({cpu[0]:.2f}-{cpu[1]:.2f})':>14}"
            f"{found['p50_ms']:9.3f}{found['p99_ms']:9.3f}{found['client_cpu_s_per_1000_calls']:8.3f}"
            f"{found['worker_cpu_s_per_1000_calls']:8.3f}{found['redis_cpu_s_per_1000_calls']:8.3f}"
        )


if __name__ == "__main__":
    main()
