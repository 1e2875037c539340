"""Lets variants take turns, and compares what their calls cost round by round."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Run: TypeAlias = Callable[[str, int, int], dict[str, Any]]
"""Makes calls, as :meth:`contestants.Processes.run` does."""

_CPU = ("client_cpu_s", "worker_cpu_s", "redis_cpu_s")
_TRIAL_CALLS = 300


def compare(
    title: str, base: tuple[str, Run], scaled: tuple[str, Run], rounds: int, seconds: float
) -> dict[str, Any]:
    """Return what small calls cost, one at a time, in two variants, and by how much the second costs more.

    Args:
        title: What the comparison is about.
        base: A description of the first variant, and what makes its calls.
        scaled: The same of the second.
        rounds: How often each has its turn.
        seconds: About how long a turn takes.
    """
    slices = take_turns({"base": base[1], "scaled": scaled[1]}, rounds, seconds)
    return {
        "title": title,
        "base": {"what": base[0], **cost(slices["base"])},
        "scaled": {"what": scaled[0], **cost(slices["scaled"])},
        **growth(slices["base"], slices["scaled"]),
    }


def take_turns(variants: Mapping[str, Run], rounds: int, seconds: float) -> dict[str, list[dict[str, Any]]]:
    """Return the reports of each variant's slices.

    A trial warms everything up and says how many calls fill a slice. All variants make the same number.
    """
    trials = [run("small", _TRIAL_CALLS, 1)["wall_s"] for run in variants.values()]
    calls = max(_TRIAL_CALLS // 3, int(_TRIAL_CALLS * seconds / statistics.mean(trials)))
    slices: dict[str, list[dict[str, Any]]] = {name: [] for name in variants}
    for number in range(rounds):
        # Every other round runs backwards, so that nobody always comes after the same neighbour.
        for name in variants if number % 2 == 0 else reversed(list(variants)):
            slices[name].append(variants[name]("small", calls, 1))
    return slices


def cost(slices: list[dict[str, Any]]) -> dict[str, float]:
    """Return medians over slices: the CPU of client, workers and Redis for a call, the rate, the latency."""
    return {
        "cpu_us": statistics.median(_us(report, *_CPU) for report in slices),
        **{
            key.replace("_s", "_us"): statistics.median(_us(report, key) for report in slices) for key in _CPU
        },
        "calls_per_s": statistics.median(report["calls"] / report["wall_s"] for report in slices),
        "p50_ms": statistics.median(report["p50_s"] for report in slices) * 1e3,
        "p99_ms": statistics.median(report["p99_s"] for report in slices) * 1e3,
    }


def growth(base: list[dict[str, Any]], scaled: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the ratios of CPU and of time per call, each as the median over the rounds and its range."""
    pairs = list(zip(base, scaled, strict=True))
    return {
        "cpu_ratio": median_and_range([_us(b, *_CPU) / _us(a, *_CPU) for a, b in pairs]),
        "time_ratio": median_and_range([_us(b, "wall_s") / _us(a, "wall_s") for a, b in pairs]),
    }


def median_and_range(ratios: list[float]) -> list[float]:
    """Return median, lowest and highest."""
    return [statistics.median(ratios), min(ratios), max(ratios)]


def _us(report: dict[str, Any], *keys: str) -> float:
    return float(sum(report[key] for key in keys) / report["calls"] * 1e6)
