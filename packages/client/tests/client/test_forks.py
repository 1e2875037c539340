"""One client, two processes."""

from __future__ import annotations

import json
import os
import sys
import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from pysoa.client.errors import UnexpectedResponseError

if TYPE_CHECKING:  # a conftest cannot be imported
    from packages.client.tests.conftest import Broker

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def in_child(function: Callable[[], Any]) -> Any:
    """Return what a function returns in a forked child, or fail with what it raises there."""
    read_end, write_end = os.pipe()
    with warnings.catch_warnings():
        if sys.version_info >= (3, 12):  # these tests have threads on purpose
            warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            result: dict[str, Any] = {"result": function()}
        except BaseException as error:
            result = {"error": repr(error)}
        os.write(write_end, json.dumps(result).encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        result = json.loads(pipe.read())
    os.waitpid(child, 0)
    assert "error" not in result, result
    return result["result"]


def test_d03_child_starts_with_other_request_ids(broker: Broker) -> None:
    client = broker.client()
    client.call_action("echo", "echo")

    def call() -> int:
        client.call_action("echo", "echo")
        return broker.sent[-1].request_id

    in_childs = {in_child(call) for _ in range(3)}
    in_parent = call()

    assert len({*in_childs, in_parent, in_parent - 1}) == 5


def test_d03_child_does_not_wait_for_what_the_parent_has_sent(broker: Broker) -> None:
    client = broker.client()
    client.send_request("echo", [{"action": "slow"}])

    assert in_child(lambda: list(client.get_all_responses("echo", 60))) == []


def test_d03_future_of_the_parent_fails_at_once_in_the_child(broker: Broker) -> None:
    client = broker.client()
    future = client.call_action_future("echo", "slow")

    def resolve() -> str:
        with pytest.raises(UnexpectedResponseError) as caught:
            future.result(timeout=60)
        return str(caught.value)

    assert "Got unexpected response(s) with ID(s) [] for request with ID" in in_child(resolve)
    broker.answer(broker.sent[0], {"n": 1})
    assert future.result().body == {"n": 1}


def test_d03_future_fails_at_once_in_the_child_though_another_thread_was_waiting_for_it(
    broker: Broker,
) -> None:
    future = broker.client().call_action_future("echo", "slow", timeout=30)
    waiting = threading.Thread(target=future.result)
    waiting.start()
    broker.wait_for_receives(1)

    def resolve() -> str:
        with pytest.raises(UnexpectedResponseError) as caught:
            future.result(timeout=5)
        return type(caught.value).__name__

    assert in_child(resolve) == "UnexpectedResponseError"
    broker.answer(broker.sent[0], {"n": 1})
    waiting.join(30)
    assert future.result().body == {"n": 1}


def test_d03_child_can_call_though_another_thread_was_waiting(broker: Broker) -> None:
    client = broker.client()
    waiting = threading.Thread(target=lambda: client.call_action("echo", "slow", timeout=30))
    waiting.start()
    broker.wait_for_receives(1)

    result = in_child(lambda: _call_with_new_broker_lock(broker, client))
    broker.answer(broker.sent[0])
    waiting.join(30)

    assert result == {"n": 1}
    assert not waiting.is_alive()


def test_abandoning_in_the_child_does_not_concern_the_parent(broker: Broker) -> None:
    client = broker.client()
    futures = [client.call_action_future("echo", "slow")]

    def abandon() -> list[Any]:
        futures.clear()
        client.call_action("echo", "echo")
        return broker.abandoned

    assert in_child(abandon) == []


def _call_with_new_broker_lock(broker: Broker, client: Any) -> Any:
    broker.changed = threading.Condition()  # the parent's other thread may have held the old one
    return client.call_action("echo", "echo", {"n": 1}).body
