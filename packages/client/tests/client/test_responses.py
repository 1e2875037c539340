"""Responses reach who waits for them: in any order, mixed, abandoned, late, lost, suppressed."""

from __future__ import annotations

import gc
import logging
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

import pytest

from pysoa.client.errors import UnexpectedResponseError
from pysoa.common.transport.errors import (
    InvalidMessageError,
    MessageReceiveError,
    MessageReceiveTimeout,
    MessageSendError,
)
from pysoa.common.types import JobResponse

if TYPE_CHECKING:  # a conftest cannot be imported
    from _typeshed import TraceFunction
    from packages.client.tests.conftest import Broker


@pytest.fixture(params=[False, True], ids=["plain", "native"])
def carries_native_values(request: pytest.FixtureRequest) -> bool:
    """Have all this be true on the shortest way to the transport, too."""
    return bool(request.param)


def test_d01_futures_resolve_in_reverse_order(broker: Broker) -> None:
    client = broker.client()

    first = client.call_action_future("echo", "echo", {"n": 1})
    second = client.call_action_future("echo", "echo", {"n": 2})

    assert second.result().body == {"n": 2}
    assert first.result().body == {"n": 1}


def test_d01_blocking_call_between_sending_and_result_of_a_future(broker: Broker) -> None:
    client = broker.client()
    future = client.call_action_future("echo", "echo", {"n": 1})

    blocking = client.call_action("echo", "echo", {"n": 2})

    assert blocking.body == {"n": 2}
    assert future.result().body == {"n": 1}


def test_d01_fast_future_does_not_wait_for_a_slow_one(broker: Broker) -> None:
    client = broker.client()
    slow = client.call_action_future("echo", "slow")
    fast = client.call_action_future("echo", "echo", {"n": 1})

    assert fast.result(timeout=0.5).body == {"n": 1}

    broker.answer(broker.sent[0], {"n": 0})
    assert slow.result().body == {"n": 0}


def test_d01_time_out_of_one_future_leaves_the_others_their_responses(broker: Broker) -> None:
    client = broker.client()
    slow = client.call_action_future("echo", "slow")
    fast = client.call_action_future("echo", "echo", {"n": 1})

    with pytest.raises(MessageReceiveTimeout):
        slow.result(timeout=0.05)

    assert fast.result().body == {"n": 1}
    broker.answer(broker.sent[0], {"n": 0})
    assert slow.result().body == {"n": 0}


def test_d01_get_all_responses_yields_only_what_was_sent_by_send_request(broker: Broker) -> None:
    client = broker.client()
    future = client.call_action_future("echo", "echo", {"n": 1})
    request_id = client.send_request("echo", [{"action": "echo", "body": {"n": 2}}])
    assert client.call_action("echo", "echo", {"n": 3}).body == {"n": 3}

    responses = list(client.get_all_responses("echo"))

    assert [(number, response.actions[0].body) for number, response in responses] == [(request_id, {"n": 2})]
    assert future.result().body == {"n": 1}


def test_get_all_responses_yields_in_order_of_arrival(broker: Broker) -> None:
    client = broker.client()
    ids = [client.send_request("echo", [{"action": "slow"}]) for _ in range(3)]
    for index in (1, 2, 0):
        broker.answer(broker.sent[index])

    responses = list(client.get_all_responses("echo"))

    assert [request_id for request_id, _ in responses] == [ids[1], ids[2], ids[0]]


def test_get_all_responses_with_nothing_sent_ends_at_once(broker: Broker) -> None:
    client = broker.client()

    assert list(client.get_all_responses("echo")) == []
    assert broker.receives == []


def test_get_all_responses_does_not_wait_for_the_responses_of_futures(broker: Broker) -> None:
    client = broker.client()
    future = client.call_action_future("echo", "slow")

    assert list(client.get_all_responses("echo", receive_timeout_in_seconds=60)) == []

    broker.answer(broker.sent[0])
    assert future.result().action == "slow"


def test_responses_read_before_a_time_out_of_get_all_responses_are_safe(broker: Broker) -> None:
    client = broker.client()
    first = client.send_request("echo", [{"action": "echo"}])
    client.send_request("echo", [{"action": "slow"}])
    generator = client.get_all_responses("echo", 0.05)

    seen = next(generator)

    assert seen[0] == first
    with pytest.raises(MessageReceiveTimeout, match=r"service 'echo', request \d+, time limit 0.05 s"):
        next(generator)
    with pytest.raises(StopIteration):
        next(generator)


def test_d01_clients_with_other_contexts_share_a_transport_but_no_responses(broker: Broker) -> None:
    client = broker.client()
    other = client.with_context({"caller": "other"})

    mine = client.send_request("echo", [{"action": "echo", "body": {"n": 1}}])
    theirs = other.send_request("echo", [{"action": "echo", "body": {"n": 2}}])

    assert len(broker.transports) == 1
    assert [request_id for request_id, _ in other.get_all_responses("echo")] == [theirs]
    assert [request_id for request_id, _ in client.get_all_responses("echo")] == [mine]
    assert broker.sent[1].message["context"]["caller"] == "other"


def test_d01_response_of_an_abandoned_future_is_dropped(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    client = broker.client()
    future = client.call_action_future("echo", "slow")
    abandoned = broker.sent[0]
    del future
    gc.collect()

    with caplog.at_level(logging.DEBUG, logger="pysoa.client"):
        broker.deliver(abandoned, {"errors": [], "context": {}, "actions": []})
        responses = client.call_jobs_parallel(
            [{"service_name": "echo", "actions": [{"action": "echo", "body": {"n": n}}]} for n in range(3)]
        )

    assert [response.actions[0].body for response in responses] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert broker.abandoned == [("echo", abandoned.request_id)]
    assert f"Dropped the response to request {abandoned.request_id} of service echo" in caplog.text


def test_d01_jobs_of_a_failed_parallel_send_are_abandoned(broker: Broker) -> None:
    client = broker.client()
    job = {"service_name": "echo", "actions": [{"action": "echo", "body": {"n": 1}}]}

    with pytest.raises(TypeError):
        client.call_jobs_parallel([job, {"service_name": "echo", "actions": None}])

    assert len(broker.sent) == 1
    assert ("echo", broker.sent[0].request_id) in broker.abandoned
    assert client.call_jobs_parallel([job])[0].actions[0].body == {"n": 1}


def test_d01_late_response_that_comes_during_the_next_call_is_dropped(broker: Broker) -> None:
    client = broker.client()
    with pytest.raises(MessageReceiveTimeout):
        client.call_action("echo", "slow", timeout=0.05)

    broker.answer(broker.sent[0], {"late": True})

    assert client.call_action("echo", "echo", {"n": 1}).body == {"n": 1}
    assert list(client.get_all_responses("echo")) == []


def test_d01_unknown_and_repeated_responses_are_dropped(broker: Broker) -> None:
    client = broker.client()
    client.call_action("echo", "echo")
    transport = broker.transports[0]
    transport.inbox.append((broker.sent[0].request_id, {"errors": [], "context": {}, "actions": []}))
    transport.inbox.append((-5, {"errors": [], "context": {}, "actions": []}))

    assert client.call_action("echo", "echo", {"n": 1}).body == {"n": 1}


@pytest.mark.parametrize("how", ["argument", "control_extra"])
@pytest.mark.parametrize("transport", ["tracking ids", "counting"])
def test_d02_suppressed_request_does_not_disturb_later_calls(
    broker: Broker, how: str, transport: str
) -> None:
    broker.responders.clear()
    client = broker.client(counting=transport == "counting")
    actions = [{"action": "forget"}]

    if how == "argument":
        client.send_request("echo", actions, suppress_response=True)
    else:
        client.send_request("echo", actions, control_extra={"suppress_response": True})

    assert broker.sent[0].message["control"]["suppress_response"] is True
    assert list(client.get_all_responses("echo")) == []
    broker.on("echo", "echo", lambda body: body)
    started = time.monotonic()
    assert client.call_action("echo", "echo", {"n": 1}).body == {"n": 1}
    assert time.monotonic() - started < 2


def test_d02_timed_out_calls_do_not_disturb_later_calls(broker: Broker) -> None:
    client = broker.client(counting=True)
    for _ in range(3):
        with pytest.raises(MessageReceiveTimeout):
            client.call_action("echo", "slow", timeout=0.02)

    started = time.monotonic()
    for number in range(3):
        assert client.call_action("echo", "echo", {"n": number}, timeout=5).body == {"n": number}
    assert time.monotonic() - started < 2


def test_d02_request_without_response_is_forgotten_after_its_expiry(broker: Broker) -> None:
    client = broker.client()
    client.send_request("echo", [{"action": "slow"}], message_expiry_in_seconds=0.01)
    _wait_until_expired(0.02)

    started = time.monotonic()
    responses = list(client.get_all_responses("echo", receive_timeout_in_seconds=5))

    assert responses == []
    assert time.monotonic() - started < 2
    assert broker.abandoned == [("echo", broker.sent[0].request_id)]


def test_response_that_is_collected_after_the_expiry_of_its_request_is_there(broker: Broker) -> None:
    client = broker.client()
    request_id = client.send_request(
        "echo", [{"action": "echo", "body": {"n": 1}}], message_expiry_in_seconds=0.01
    )
    _wait_until_expired(0.02)

    responses = list(client.get_all_responses("echo"))

    assert [(number, response.actions[0].body) for number, response in responses] == [(request_id, {"n": 1})]


def test_d02_failed_send_leaves_nothing_behind(broker: Broker) -> None:
    client = broker.client()
    broker.send_errors.append(MessageSendError("no"))

    with pytest.raises(MessageSendError, match=r"^no \(service 'echo', action 'echo', request \d+\)$"):
        client.call_action("echo", "echo")

    assert list(client.get_all_responses("echo")) == []
    assert client.call_action("echo", "echo", {"n": 1}).body == {"n": 1}


def test_error_about_one_response_fails_only_its_request(broker: Broker) -> None:
    client = broker.client()
    broken = client.call_action_future("echo", "slow")
    whole = client.call_action_future("echo", "echo", {"n": 1})
    error = InvalidMessageError("Invalid chunked response")
    error.__dict__["request_id"] = broker.sent[0].request_id
    broker.receive_errors.append(error)

    assert whole.result(timeout=5).body == {"n": 1}

    with pytest.raises(InvalidMessageError, match="Invalid chunked response") as caught:
        broken.result(timeout=5)
    assert caught.value is error


def test_response_that_is_no_job_response_fails_only_its_request(broker: Broker) -> None:
    client = broker.client()
    broken = client.call_action_future("echo", "slow")
    broker.deliver(broker.sent[0], {"actions": 5})

    assert client.call_action("echo", "echo", {"n": 1}).body == {"n": 1}

    with pytest.raises(InvalidMessageError, match="actions is of type int, not list"):
        broken.result()


def test_response_without_body_fails_only_its_request(broker: Broker) -> None:
    client = broker.client()
    broken = client.call_action_future("echo", "slow")
    good = client.call_action_future("echo", "slow")
    broker.deliver(broker.sent[0], None)
    broker.answer(broker.sent[1], {"n": 1})

    assert good.result().body == {"n": 1}
    with pytest.raises(InvalidMessageError, match="the body is of type NoneType, not dict"):
        broken.result()


def test_error_that_names_no_request_is_for_who_receives(broker: Broker) -> None:
    client = broker.client()
    other = client.call_action_future("echo", "echo", {"n": 1})
    broker.receive_errors.append(MessageReceiveError("connection lost"))

    with pytest.raises(
        MessageReceiveError, match=r"^connection lost \(service 'echo', action 'echo', request"
    ):
        client.call_action("echo", "echo")

    assert other.result().body == {"n": 1}


def test_expired_response_of_another_request_does_not_end_the_wait(broker: Broker) -> None:
    client = broker.client()
    expired = client.call_action_future("echo", "slow")
    broker.receive_errors.append(MessageReceiveTimeout("Message expired for service echo"))

    assert client.call_action("echo", "echo", {"n": 1}, timeout=5).body == {"n": 1}

    with pytest.raises(MessageReceiveTimeout):
        expired.result(timeout=0.01)


def test_expired_response_of_the_only_request_ends_the_wait_at_once(broker: Broker) -> None:
    client = broker.client()
    broker.receive_errors.append(MessageReceiveTimeout("Message expired for service echo"))

    with pytest.raises(MessageReceiveTimeout, match=r"^Message expired for service echo \("):
        client.call_action("echo", "slow", timeout=60)


def test_d16_unknown_fields_in_responses_are_ignored(broker: Broker) -> None:
    error = {"code": "A", "message": "b", "is_caller_error": True, "severity": 3}
    action = {"action": "new", "errors": [error], "body": {"n": 1}, "took_ms": 5}
    broker.on("echo", "new", lambda _: {"errors": [], "context": {}, "actions": [action], "server": "x"})
    client = broker.client()

    response = client.call_action("echo", "new", raise_action_errors=False)

    assert response.body == {"n": 1}
    assert (response.errors[0].code, response.errors[0].is_caller_error) == ("A", True)


@pytest.mark.parametrize("call", ["call_action", "call_action_future", "call_actions_parallel"])
def test_d16_answer_without_actions_is_a_client_error(broker: Broker, call: str) -> None:
    broker.on("echo", "empty", lambda _: {"errors": [], "context": {}, "actions": []})
    client = broker.client()

    calls: dict[str, Callable[[], object]] = {
        "call_action": lambda: client.call_action("echo", "empty"),
        "call_action_future": lambda: client.call_action_future("echo", "empty").result(),
        "call_actions_parallel": lambda: list(client.call_actions_parallel("echo", [{"action": "empty"}])),
    }

    with pytest.raises(UnexpectedResponseError, match="service 'echo' holds no response to"):
        calls[call]()


def test_empty_response_is_an_empty_success(broker: Broker) -> None:
    client = broker.client()
    future = client.call_actions_future("echo", [{"action": "slow"}])
    broker.deliver(broker.sent[0], {})

    assert future.result() == JobResponse()


def test_cost_of_get_all_responses_does_not_grow_with_what_is_outstanding(broker: Broker) -> None:
    def lines_per_response(outstanding: int) -> float:
        client = broker.client()
        before = len(broker.sent)
        futures = [client.call_action_future("echo", "slow") for _ in range(outstanding)]
        for _ in range(outstanding):
            client.send_request("echo", [{"action": "slow"}])
        for sent in broker.sent[before + outstanding :][:10]:
            broker.answer(sent)
        responses = client.get_all_responses("echo")
        next(responses)
        count = 0

        def trace(_frame: FrameType, event: str, _argument: object) -> TraceFunction:
            nonlocal count
            count += event == "line"
            return trace

        previous = sys.gettrace()
        sys.settrace(trace)
        try:
            for _ in range(9):
                next(responses)
        finally:
            sys.settrace(previous)
        assert len(futures) == outstanding
        return count / 9

    assert lines_per_response(1000) < 1.5 * lines_per_response(10)


def _wait_until_expired(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.001)
