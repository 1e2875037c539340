"""Metrics of the client: which, and when they are published."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest
from conformity import fields
from pymetrics.instruments import Timer, TimerResolution
from pymetrics.recorders.base import MetricsRecorder

from pysoa.common._conformity import accepts_kwargs
from pysoa.common.transport.errors import MessageReceiveTimeout, MessageSendError

if TYPE_CHECKING:  # a conftest cannot be imported
    from packages.client.tests.conftest import Broker

recorded: list[str] = []
resolutions: set[TimerResolution] = set()

INITIALIZE = ["timer client.transport.initialize", "timer client.middleware.initialize"]
SEND = ["timer client.send.including_middleware", "timer client.send.excluding_middleware", "publish"]
RECEIVE = ["timer client.receive.including_middleware", "timer client.receive.excluding_middleware"]


@accepts_kwargs(fields.SchemalessDictionary())
class Recorder(MetricsRecorder):
    """Writes down which timers are made and when metrics are published."""

    def timer(
        self,
        name: str,
        force_new: bool = False,
        resolution: TimerResolution = TimerResolution.MILLISECONDS,
        initial_value: int = 0,
        **tags: Any,
    ) -> Timer:
        recorded.append(f"timer {name}")
        resolutions.add(resolution)
        assert not tags
        return Timer(name)

    def publish_all(self) -> None:
        recorded.append("publish")

    def _unused(self, *_: object, **__: object) -> Any:
        raise AssertionError("the client uses timers only")

    counter = histogram = gauge = _unused
    publish_if_full_or_old = throttled_publish_all = clear = _unused


@pytest.fixture(autouse=True)
def nothing_recorded() -> None:
    recorded.clear()
    resolutions.clear()


def settings(broker: Broker) -> dict[str, Any]:
    return {"metrics": {"path": f"{__name__}:Recorder"}}


def without_initialization(lines: Iterable[str]) -> list[str]:
    return [line for line in lines if line not in INITIALIZE]


def test_call_is_measured_and_published_after_sending_and_after_receiving(broker: Broker) -> None:
    client = broker.client(settings=settings(broker))

    client.call_action("echo", "echo")

    assert recorded == [*INITIALIZE, *SEND, *RECEIVE, "publish"]
    assert resolutions == {TimerResolution.MICROSECONDS}


def test_failed_send_is_measured_and_published(broker: Broker) -> None:
    client = broker.client(settings=settings(broker))
    broker.send_errors.append(MessageSendError("no"))

    with pytest.raises(MessageSendError):
        client.send_request("echo", [{"action": "echo"}])

    assert without_initialization(recorded) == SEND


def test_failed_receive_is_measured_and_published(broker: Broker) -> None:
    client = broker.client(settings=settings(broker))

    with pytest.raises(MessageReceiveTimeout):
        client.call_action("echo", "slow", timeout=0.01)

    assert without_initialization(recorded) == [*SEND, *RECEIVE, "publish"]


def test_get_all_responses_publishes_when_it_ends(broker: Broker) -> None:
    client = broker.client(settings=settings(broker))
    client.send_request("echo", [{"action": "echo"}])
    recorded.clear()

    list(client.get_all_responses("echo"))

    assert recorded == [*RECEIVE, *RECEIVE, "publish"]


def test_get_all_responses_publishes_when_it_is_closed(broker: Broker) -> None:
    client = broker.client(settings=settings(broker))
    client.send_request("echo", [{"action": "echo"}])
    recorded.clear()

    responses = client.get_all_responses("echo")
    next(responses)
    responses.close()

    assert recorded == [*RECEIVE, "publish"]


def test_recorder_that_drops_everything_is_not_asked_for_instruments(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nobody looks at this")

    path = "pymetrics.recorders.noop.NonOperationalMetricsRecorder"
    monkeypatch.setattr(f"{path}.timer", refuse)
    monkeypatch.setattr(f"{path}.publish_all", refuse)
    client = broker.client()

    assert client.call_action("echo", "echo", {"n": 1}).body == {"n": 1}
