"""Futures: caching, retrying, other threads."""

from __future__ import annotations

import threading
import traceback
from typing import TYPE_CHECKING

import pytest

from pysoa.client._futures import FutureSOAResponse
from pysoa.common.transport.errors import MessageReceiveError, MessageReceiveTimeout

if TYPE_CHECKING:  # a conftest cannot be imported
    from packages.client.tests.conftest import Broker


class Source:
    """Gives what a test tells it to, and counts how often it is asked."""

    def __init__(self, *outcomes: object) -> None:
        self.outcomes = list(outcomes)
        self.timeouts: list[float | None] = []

    def __call__(self, timeout: float | None) -> object:
        self.timeouts.append(timeout)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def test_result_is_asked_for_once() -> None:
    source = Source({"n": 1})
    future = FutureSOAResponse(source)

    first, second = future.result(3), future.result(9)

    assert first is second
    assert source.timeouts == [3]


@pytest.mark.parametrize("empty", [[], {}, None, 0], ids=repr)
def test_d09_empty_results_are_results(empty: object) -> None:
    future = FutureSOAResponse(Source(empty))
    assert not future.done()

    assert future.result() == empty

    assert future.done()
    assert not future.running()
    assert future.result() == empty
    assert future.exception() is None


def test_d09_future_of_no_jobs_is_done_after_its_result(broker: Broker) -> None:
    future = broker.client().call_jobs_parallel_future([])

    assert future.result() == []
    assert future.done()


def test_d09_zero_as_time_limit_means_the_default(broker: Broker) -> None:
    client = broker.client()

    future = client.call_action_future("echo", "echo", timeout=0)
    future.result(timeout=0)

    assert broker.sent[0].expiry is None
    assert "timeout" not in broker.sent[0].message["control"]
    assert broker.receives == [("echo", None)]


def test_exception_is_kept_and_raised_again_as_the_same_object() -> None:
    error = MessageReceiveError("gone")
    future = FutureSOAResponse(Source(error))

    lengths: list[int] = []
    for _ in range(4):
        with pytest.raises(MessageReceiveError) as caught:
            future.result()
        assert caught.value is error
        lengths.append(len(traceback.extract_tb(error.__traceback__)))

    assert future.exception() is error
    assert future.done()
    assert lengths[1] == lengths[2] == lengths[3], "the traceback grows with every raise"


def test_exception_resolves_the_future() -> None:
    error = MessageReceiveError("gone")

    assert FutureSOAResponse(Source(error)).exception() is error
    assert FutureSOAResponse(Source(5)).exception() is None


def test_time_out_is_raised_and_not_kept() -> None:
    future = FutureSOAResponse(Source(MessageReceiveTimeout("1"), MessageReceiveTimeout("2"), "late"))

    with pytest.raises(MessageReceiveTimeout, match="1"):
        future.exception()
    with pytest.raises(MessageReceiveTimeout, match="2"):
        future.result()

    assert future.running()
    assert future.result() == "late"


def test_interrupts_pass_and_are_not_kept() -> None:
    future = FutureSOAResponse(Source(KeyboardInterrupt(), "later"))

    with pytest.raises(KeyboardInterrupt):
        future.result()

    assert future.result() == "later"


def test_time_limit_of_centuries_is_a_time_limit() -> None:
    source = Source({"n": 1})

    assert FutureSOAResponse(source).result(1e10) == {"n": 1}
    assert source.timeouts == [1e10]


def test_delayed_exception_is_a_named_tuple() -> None:
    assert FutureSOAResponse.DelayedException._fields == ("tp", "value", "tb")


def test_negative_time_limit_is_refused(broker: Broker) -> None:
    future = broker.client().call_action_future("echo", "echo", {"n": 1})

    with pytest.raises(ValueError, match="timeout is -1"):
        future.result(timeout=-1)

    assert future.result().body == {"n": 1}


def test_d03_future_is_usable_from_another_thread(broker: Broker) -> None:
    future = broker.client().call_action_future("echo", "echo", {"n": 1})
    results: list[object] = []

    thread = threading.Thread(target=lambda: results.append(future.result().body))
    thread.start()
    thread.join(10)

    assert results == [{"n": 1}]


def test_d03_two_threads_wait_for_the_same_future(broker: Broker) -> None:
    client = broker.client()
    future = client.call_action_future("echo", "slow", timeout=10)
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(future.result().body)) for _ in range(2)]
    for thread in threads:
        thread.start()
    broker.wait_for_receives(1)

    with pytest.raises(MessageReceiveTimeout):
        future.result(timeout=0.02)
    broker.answer(broker.sent[0], {"n": 1})
    for thread in threads:
        thread.join(10)

    assert results == [{"n": 1}, {"n": 1}]


def test_repeated_result_of_parallel_actions_is_the_same_generator(broker: Broker) -> None:
    future = broker.client().call_actions_parallel_future("echo", [{"action": "echo"}])

    generator = future.result()
    list(generator)

    assert future.result() is generator
    assert list(future.result()) == []


def test_requests_are_sent_before_the_future_is_returned(broker: Broker) -> None:
    client = broker.client()

    client.call_action_future("echo", "echo")
    client.call_actions_future("echo", [{"action": "echo"}])
    client.call_actions_parallel_future("echo", [{"action": "echo"}] * 2)
    client.call_jobs_parallel_future([{"service_name": "echo", "actions": [{"action": "echo"}]}])

    assert len(broker.sent) == 5
