"""The instruments of a Redis transport."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from pymetrics.instruments import Counter
from pymetrics.recorders.base import MetricsRecorder

from pysoa.common._metrics import Instruments

__all__ = ("Meters",)

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class Meters(Instruments):
    """Counts and measures under one prefix, and wraps functions that are always timed.

    Args:
        recorder: Where the figures go.
        prefix: What the name of every instrument starts with.
    """

    __slots__ = ("_counter_prefix", "_counters")

    def __init__(self, recorder: MetricsRecorder, prefix: str) -> None:
        super().__init__(recorder, prefix)
        self._counters = recorder
        self._counter_prefix = prefix

    def counter(self, name: str) -> Counter:
        """Return the counter of this name, also if nobody records; backends ask for them."""
        return self._counters.counter(self._counter_prefix + name)

    def timed(self, name: str, function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        """Return a function that does the same and is timed, also when it fails.

        If nobody records, that is the given function itself.
        """
        if not self.enabled:
            return function

        @functools.wraps(function)
        def timed_function(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            with self.timer(name):
                return function(*args, **kwargs)

        return timed_function
