"""Transports and a recorder of metrics for the tests of the transport."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from pymetrics.instruments import Counter, Gauge, Histogram, Metric, Timer, TimerResolution
from pymetrics.recorders.base import MetricsRecorder
from pymetrics.recorders.noop import noop_metrics

from pysoa.common.serializer.errors import SerializationError
from pysoa.common.transport.errors import PySOATransportError
from pysoa.common.transport.redis_gateway.client import RedisClientTransport
from pysoa.common.transport.redis_gateway.server import RedisServerTransport
from pysoa.test.redis_server import RedisServer

_Instrument = TypeVar("_Instrument", bound=Metric)


class RecordingMetrics(MetricsRecorder):
    """Keeps every instrument that it hands out, in order."""

    def __init__(self) -> None:
        self.instruments: list[Metric] = []

    def _kept(self, instrument: _Instrument) -> _Instrument:
        self.instruments.append(instrument)
        return instrument

    def counter(self, name: str, initial_value: int = 0, **tags: Any) -> Counter:
        return self._kept(Counter(name, initial_value, **tags))

    def histogram(self, name: str, force_new: bool = False, initial_value: int = 0, **tags: Any) -> Histogram:
        return self._kept(Histogram(name, initial_value, **tags))

    def timer(
        self,
        name: str,
        force_new: bool = False,
        resolution: TimerResolution = TimerResolution.MILLISECONDS,
        initial_value: int = 0,
        **tags: Any,
    ) -> Timer:
        return self._kept(Timer(name, initial_value, resolution, **tags))

    def gauge(self, name: str, force_new: bool = False, initial_value: int = 0, **tags: Any) -> Gauge:
        return self._kept(Gauge(name, initial_value, **tags))

    def publish_all(self) -> None:
        return None

    def publish_if_full_or_old(self, max_metrics: int = 18, max_age: int = 10) -> None:
        return None

    def throttled_publish_all(self, delay: int = 10) -> None:
        return None

    def clear(self, only_published: bool = False) -> None:
        self.instruments.clear()

    def names(self, prefix: str) -> list[str]:
        """Return the names of all instruments in the order in which they were made, without the prefix."""
        names = [str(instrument.name) for instrument in self.instruments]
        assert all(name.startswith(prefix) for name in names)
        return [name[len(prefix) :] for name in names]

    def count_of(self, name: str) -> int:
        """Return the sum of all counters of a name."""
        return sum(instrument.value or 0 for instrument in self.instruments if instrument.name == name)


@pytest.fixture
def metrics() -> RecordingMetrics:
    """A recorder that keeps what it hands out."""
    return RecordingMetrics()


@pytest.fixture
def settings(clean_redis: RedisServer) -> dict[str, Any]:
    """The settings of a transport that reaches an empty Redis."""
    return {
        "backend_type": "redis.standard",
        "backend_layer_kwargs": {"hosts": [(clean_redis.host, clean_redis.port)]},
    }


@pytest.fixture
def new_client(settings: dict[str, Any]) -> Callable[..., RedisClientTransport]:
    """Makes client transports of the service ``example``; takes settings, and ``metrics``."""

    def new(*, metrics: MetricsRecorder = noop_metrics, **more: Any) -> RedisClientTransport:
        return RedisClientTransport("example", metrics, **{**settings, **more})

    return new


@pytest.fixture
def new_server(settings: dict[str, Any]) -> Iterator[Callable[..., RedisServerTransport]]:
    """Makes server transports of the service ``example``; takes settings, and ``metrics``."""
    made: list[RedisServerTransport] = []

    def new(*, metrics: MetricsRecorder = noop_metrics, **more: Any) -> RedisServerTransport:
        made.append(RedisServerTransport("example", metrics, 1, **{**settings, **more}))
        return made[-1]

    yield new
    for transport in made:
        # A wait that is still going on would take the requests of the next test.
        transport.interrupt()
        with contextlib.suppress(PySOATransportError, SerializationError):
            transport.receive_request_message()
