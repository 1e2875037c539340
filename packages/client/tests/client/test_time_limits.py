"""Time limits: one deadline for a whole result, fractions, retrying after a time-out."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from pysoa.common.transport.errors import MessageReceiveTimeout

if TYPE_CHECKING:  # a conftest cannot be imported
    from packages.client.tests.conftest import Broker


@pytest.fixture(params=[False, True], ids=["plain", "native"])
def carries_native_values(request: pytest.FixtureRequest) -> bool:
    """Have all this be true on the shortest way to the transport, too."""
    return bool(request.param)


def test_d07_fractions_of_a_second_reach_the_transport(broker: Broker) -> None:
    broker.client().call_action("echo", "echo", timeout=0.5)

    assert broker.sent[0].expiry == 0.5
    assert broker.sent[0].message["control"]["timeout"] == 0.5
    assert broker.receives == [("echo", 0.5)]


@pytest.mark.parametrize("timeout", [-1, -0.001, float("nan"), float("inf")])
def test_d07_impossible_time_limits_are_refused_before_sending(broker: Broker, timeout: float) -> None:
    client = broker.client()

    for call in (
        lambda: client.call_action("echo", "echo", timeout=timeout),
        lambda: client.call_actions_future("echo", [{"action": "echo"}], timeout=timeout),
        lambda: client.call_actions_parallel("echo", [{"action": "echo"}], timeout=timeout),
        lambda: client.send_request("echo", [{"action": "echo"}], message_expiry_in_seconds=timeout),
        lambda: client.get_all_responses("echo", receive_timeout_in_seconds=timeout),
    ):
        with pytest.raises(ValueError, match="Pass a positive number of seconds"):
            call()

    assert broker.sent == []


def test_d08_result_has_one_deadline_for_all_its_responses(broker: Broker) -> None:
    client = broker.client()
    future = client.call_actions_parallel_future("echo", [{"action": "slow"}] * 20)
    stop = threading.Event()

    def answer_slowly() -> None:
        for sent in broker.sent:
            if stop.wait(0.1):
                return
            broker.answer(sent)

    thread = threading.Thread(target=answer_slowly)
    thread.start()
    started = time.monotonic()
    with pytest.raises(MessageReceiveTimeout, match=r"time limit 0\.\d+ s"):
        future.result(timeout=0.3)
    duration = time.monotonic() - started
    stop.set()
    thread.join()

    assert 0.3 <= duration < 1.5


def test_d08_result_has_one_deadline_over_several_services(broker: Broker) -> None:
    client = broker.client("a", "b", "c", "d")
    jobs = [{"service_name": name, "actions": [{"action": "slow"}]} for name in "abcd"]

    started = time.monotonic()
    items = client.call_jobs_parallel(jobs, catch_transport_errors=True, timeout=0.2)

    assert all(isinstance(item, MessageReceiveTimeout) for item in items)
    assert 0.2 <= time.monotonic() - started < 0.7


def test_d08_default_of_the_transport_is_the_deadline_if_none_is_given(broker: Broker) -> None:
    broker.default_timeout = 0.1
    client = broker.client("a", "b", "c", "d", "e")
    jobs = [{"service_name": name, "actions": [{"action": "slow"}]} for name in "abcde"]

    started = time.monotonic()
    with pytest.raises(MessageReceiveTimeout, match=r"time limit 0\.1 s"):
        client.call_jobs_parallel(jobs)

    assert time.monotonic() - started < 0.4


def test_time_limit_of_result_wins_over_that_of_the_call(broker: Broker) -> None:
    future = broker.client().call_action_future("echo", "slow", timeout=60)

    started = time.monotonic()
    with pytest.raises(MessageReceiveTimeout, match=r"time limit 0\.02 s"):
        future.result(timeout=0.02)

    assert time.monotonic() - started < 5


def test_d10_retry_after_a_time_out_waits_only_for_the_rest(broker: Broker) -> None:
    client = broker.client("echo", "other")
    jobs = [
        {"service_name": "echo", "actions": [{"action": "echo", "body": {"n": 0}}]},
        {"service_name": "echo", "actions": [{"action": "slow"}]},
        {"service_name": "other", "actions": [{"action": "slow"}]},
    ]
    future = client.call_jobs_parallel_future(jobs)
    with pytest.raises(MessageReceiveTimeout):
        future.result(timeout=0.05)
    assert future.running()

    broker.answer(broker.sent[1], {"n": 1})
    with pytest.raises(MessageReceiveTimeout):
        future.result(timeout=0.05)
    broker.answer(broker.sent[2], {"n": 2})

    assert [response.actions[0].body["n"] for response in future.result()] == [0, 1, 2]
    assert len(broker.sent) == 3


def test_d10_retry_resumes_an_expansion(broker: Broker) -> None:
    route = {"service": "labels", "action": "fetch", "request_field": "ids", "response_field": "labels"}
    expansion = {"type": None, "route": "r", "source_field": "label_id", "destination_field": "label"}
    client = broker.client(
        "echo",
        "labels",
        expansion_config={"type_routes": {"r": route}, "type_expansions": {"track": {"label": expansion}}},
    )
    track = {"_type": "track", "label_id": 7}
    future = client.call_action_future("echo", "echo", track, expansions={"track": ["label"]})
    with pytest.raises(MessageReceiveTimeout, match="service 'labels', action 'fetch'"):
        future.result(timeout=0.05)

    broker.answer(broker.sent[1], {"labels": {7: "seven"}})

    assert future.result().body["label"] == "seven"
    assert [sent.service for sent in broker.sent] == ["echo", "labels"]
