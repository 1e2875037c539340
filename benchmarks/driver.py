"""What every contestant's client process does: take orders on standard input, run them, report as JSON.

An order is one line ``SCENARIO CALLS IN_FLIGHT``; the report has the wall seconds, the CPU seconds of this
process and the latencies. It runs under Python 3.9 to 3.13, with the environment of any contestant.
"""

from __future__ import annotations

import abc
import gc
import json
import os
import resource
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from bench_service import bodies

LARGE_ROWS = 1000


class Contestant(abc.ABC):
    """A way to call the measured service."""

    @abc.abstractmethod
    def call(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        """Make one call and return the response body."""

    @abc.abstractmethod
    def send(self, action: str, body: dict[str, Any]) -> None:
        """Send one request without waiting."""

    @abc.abstractmethod
    def receive(self) -> dict[str, Any]:
        """Return the body of the next response to anything sent."""


class Scenario:
    """What is called with what, and how the answer is known to be right."""

    def __init__(self, action: str, body: dict[str, Any], check: Callable[[dict[str, Any]], bool]) -> None:
        """Keep the parts."""
        self.action = action
        self.body = body
        self.check = check


def scenarios() -> dict[str, Scenario]:
    """Return the scenarios by name."""
    small, medium = bodies.small(), bodies.medium()
    return {
        "small": Scenario("echo_record", small, lambda answer: answer == small),
        "medium": Scenario("echo_orders", medium, lambda answer: answer == medium),
        "large": Scenario(
            "list_rows", {"rows": LARGE_ROWS}, lambda answer: len(answer["rows"]) == LARGE_ROWS
        ),
    }


def serve(contestant: Contestant) -> None:
    """Carry out orders until standard input ends."""
    known = scenarios()
    print("ready", flush=True)
    for line in sys.stdin:
        name, calls, in_flight = line.split()
        scenario = known[name]
        if not scenario.check(contestant.call(scenario.action, scenario.body)):
            raise SystemExit(f"wrong answer in scenario {name}")
        gc.collect()
        if in_flight == "1":
            report = _one_at_a_time(contestant, scenario, int(calls))
        else:
            report = _windowed(contestant, scenario, int(calls), int(in_flight))
        print(json.dumps(report), flush=True)


def _one_at_a_time(contestant: Contestant, scenario: Scenario, calls: int) -> dict[str, Any]:
    latencies = [0.0] * calls
    cpu_before, start = cpu_seconds(), time.perf_counter()
    before = start
    for number in range(calls):
        contestant.call(scenario.action, scenario.body)
        after = time.perf_counter()
        latencies[number] = after - before
        before = after
    return _report(calls, before - start, cpu_seconds() - cpu_before, latencies)


def _windowed(contestant: Contestant, scenario: Scenario, calls: int, in_flight: int) -> dict[str, Any]:
    sent_at: deque[float] = deque()
    latencies = []
    cpu_before, start = cpu_seconds(), time.perf_counter()
    for _ in range(min(in_flight, calls)):
        sent_at.append(time.perf_counter())
        contestant.send(scenario.action, scenario.body)
    to_send = calls - len(sent_at)
    for _ in range(calls):
        contestant.receive()
        now = time.perf_counter()
        # Several workers' answers may overtake each other; the oldest request stands for whichever it was.
        latencies.append(now - sent_at.popleft())
        if to_send:
            to_send -= 1
            sent_at.append(now)
            contestant.send(scenario.action, scenario.body)
    return _report(calls, time.perf_counter() - start, cpu_seconds() - cpu_before, latencies)


def _report(calls: int, wall: float, cpu: float, latencies: list[float]) -> dict[str, Any]:
    latencies.sort()
    return {
        "calls": calls,
        "wall_s": wall,
        "client_cpu_s": cpu,
        "p50_s": latencies[len(latencies) // 2],
        "p99_s": latencies[min(len(latencies) - 1, int(len(latencies) * 0.99))],
    }


def cpu_seconds() -> float:
    """Return the CPU seconds that this process has used so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def unique() -> str:
    """Return a text that no other process has."""
    return f"{os.getpid()}-{os.urandom(6).hex()}"
