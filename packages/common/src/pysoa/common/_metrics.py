"""Metrics on the road of a request, at no cost when nobody records them.

The instruments themselves cannot be kept between calls: a recorder forgets them when it publishes, and what
an old one counts afterwards is lost. So what is kept is their full names, and whether to ask for them at all.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from pymetrics.instruments import TimerResolution
from pymetrics.recorders.base import MetricsRecorder
from pymetrics.recorders.noop import noop_metrics

__all__ = (
    "Instruments",
    "is_noop",
)

_NO_TIMER: Final[AbstractContextManager[None]] = nullcontext()


def is_noop(recorder: MetricsRecorder) -> bool:
    """Tell whether a recorder drops everything, so that no instrument needs to be made.

    Subclasses of PyMetrics' own no-operation recorder may do something, so they do not count as one.
    """
    return type(recorder) is type(noop_metrics)


class Instruments:
    """Counts and measures under names with a common prefix; does nothing if nobody records.

    Args:
        recorder: Where the metrics go.
        prefix: What comes before every name, such as ``client.transport.redis_gateway.``; with its final dot.
    """

    __slots__ = ("_names", "_prefix", "_recorder", "enabled")

    def __init__(self, recorder: MetricsRecorder, prefix: str = "") -> None:
        self.enabled: Final = not is_noop(recorder)
        """``False`` if all methods do nothing; for callers that would have to compute a value first."""
        self._recorder: Any = recorder
        self._prefix = prefix
        self._names: dict[str, str] = {}

    def count(self, name: str, amount: int = 1) -> None:
        """Increment the counter of this name."""
        if self.enabled:
            self._recorder.counter(self._full_name(name)).increment(amount)

    def observe(self, name: str, value: float) -> None:
        """Add a value to the histogram of this name."""
        if self.enabled:
            self._recorder.histogram(self._full_name(name)).set(value)

    def gauge(self, name: str, value: int) -> None:
        """Set the gauge of this name."""
        if self.enabled:
            self._recorder.gauge(self._full_name(name)).set(value)

    def timer(self, name: str) -> AbstractContextManager[Any]:
        """Return a context manager that measures in microseconds how long it was entered.

        Every call makes a timer of its own, so that threads do not share one. Entering it again adds to its
        value.
        """
        if not self.enabled:
            return _NO_TIMER
        timer: AbstractContextManager[Any] = self._recorder.timer(
            self._full_name(name), force_new=True, resolution=TimerResolution.MICROSECONDS
        )
        return timer

    def _full_name(self, name: str) -> str:
        full_name = self._names.get(name)
        if full_name is None:
            full_name = self._names[name] = self._prefix + name
        return full_name
