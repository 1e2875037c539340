from __future__ import annotations

from typing import Any, cast

from pymetrics.instruments import TimerResolution
from pymetrics.recorders import default
from pymetrics.recorders.noop import noop_metrics

from pysoa.common._metrics import Instruments, is_noop


def _recorder() -> Any:
    return cast("Any", default).DefaultMetricsRecorder(prefix=None)


def _recorded(recorder: Any) -> dict[str, list[Any]]:
    recorded: dict[str, list[Any]] = {}
    for metric in recorder.get_all_metrics():
        recorded.setdefault(metric.name, []).append(metric)
    return recorded


class _RecordingNoop(type(noop_metrics)):  # type: ignore[misc]  # PyMetrics does not export the class with types
    pass


def test_only_the_recorder_that_drops_everything_counts_as_none() -> None:
    assert is_noop(noop_metrics)
    assert not is_noop(_recorder())
    assert not is_noop(_RecordingNoop())


def test_metrics_get_the_prefix_and_their_values() -> None:
    recorder = _recorder()
    instruments = Instruments(recorder, "client.")

    instruments.count("calls")
    instruments.count("calls", 2)
    instruments.observe("size", 5)
    instruments.observe("size", 7)
    instruments.gauge("busy", 3)

    recorded = _recorded(recorder)
    assert [metric.value for metric in recorded["client.calls"]] == [3]
    assert [metric.value for metric in recorded["client.size"]] == [5, 7]
    assert [metric.value for metric in recorded["client.busy"]] == [3]


def test_timers_measure_microseconds_each_for_itself() -> None:
    recorder = _recorder()
    instruments = Instruments(recorder, "server.")

    with instruments.timer("outer"), instruments.timer("outer"):
        pass

    timers = _recorded(recorder)["server.outer"]
    assert len(timers) == 2
    assert {timer.resolution for timer in timers} == {TimerResolution.MICROSECONDS}


def test_counts_after_publication_are_not_lost() -> None:
    recorder = _recorder()
    instruments = Instruments(recorder)
    instruments.count("calls")
    recorder.clear()

    instruments.count("calls")

    assert [metric.value for metric in _recorded(recorder)["calls"]] == [1]


def test_nothing_happens_when_nobody_records() -> None:
    instruments = Instruments(noop_metrics, "client.")

    instruments.count("calls")
    instruments.observe("size", 5)
    instruments.gauge("busy", 3)
    with instruments.timer("time") as timer:
        pass

    assert not instruments.enabled
    assert timer is None
