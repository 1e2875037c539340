from __future__ import annotations

from typing import Any

import pytest
from pymetrics.recorders.noop import noop_metrics

from pysoa.common.transport.redis_gateway._metrics import Meters


def half(number: int) -> float:
    return 10 / number


def test_nobody_listening_leaves_functions_alone() -> None:
    meters = Meters(noop_metrics, "p.")

    assert meters.timed("t", half) is half
    assert meters.counter("c").name == "p.c"


def test_functions_are_timed_even_when_they_fail(metrics: Any) -> None:
    timed = Meters(metrics, "p.").timed("t", half)

    assert timed(5) == 2
    with pytest.raises(ZeroDivisionError):
        timed(0)

    assert metrics.names("p.") == ["t", "t"]
    assert all(one.value is not None for one in metrics.instruments)
