"""One client, many threads."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from pysoa.client._exchange import Exchange
from pysoa.client._ledger import CLAIMED, Outcome
from pysoa.client._wants import NextOf
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import JobResponse

if TYPE_CHECKING:  # a conftest cannot be imported
    from packages.client.tests.conftest import Broker


@pytest.fixture(params=[False, True], ids=["plain", "native"])
def carries_native_values(request: pytest.FixtureRequest) -> bool:
    """Have all this be true on the shortest way to the transport, too."""
    return bool(request.param)


def run_in_threads(functions: list[Callable[[], None]]) -> None:
    """Run all functions at once, and raise what any of them raises."""
    errors: list[BaseException] = []

    def run(function: Callable[[], None]) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(function,), daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "a thread waits for ever"
    if errors:
        raise errors[0]


class AnsweringThreads:
    """Answers what is sent to a broker from several threads, in random order."""

    def __init__(self, broker: Broker, count: int) -> None:
        self._broker = broker
        self._taken = 0
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._answer, args=(seed,)) for seed in range(count)]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _has_work(self) -> bool:
        return len(self._broker.sent) > self._taken

    def _answer(self, seed: int) -> None:
        shuffle = random.Random(seed).shuffle
        while not self._stopped.is_set():
            with self._broker.changed:
                if not self._broker.changed.wait_for(self._has_work, timeout=0.01):
                    continue
                end = min(len(self._broker.sent), self._taken + 5)
                batch, self._taken = self._broker.sent[self._taken : end], end
            shuffle(batch)
            for sent in batch:
                self._broker.answer(sent, sent.body)


def test_d03_16_threads_get_their_own_responses(broker: Broker) -> None:
    client = broker.client()

    def call_often(name: int) -> Callable[[], None]:
        def call() -> None:
            for number in range(100):
                body = {"thread": name, "number": number}
                assert client.call_action("echo", "slow", body, timeout=30).body == body

        return call

    with AnsweringThreads(broker, 2):
        run_in_threads([call_often(name) for name in range(16)])

    assert len(broker.sent) == 1600
    assert len({sent.request_id for sent in broker.sent}) == 1600


def test_d03_threads_mix_all_ways_to_call(broker: Broker) -> None:
    client = broker.client()

    def parallel() -> None:
        for number in range(20):
            bodies = [{"number": number, "part": part} for part in range(5)]
            responses = client.call_actions_parallel(
                "echo", [{"action": "slow", "body": body} for body in bodies], timeout=30
            )
            assert [response.body for response in responses] == bodies

    def futures() -> None:
        for number in range(20):
            sent = [client.call_action_future("echo", "slow", {"f": number, "i": i}) for i in range(4)]
            for i in reversed(range(4)):
                assert sent[i].result(30).body == {"f": number, "i": i}

    def separate() -> None:
        own = client.with_context({})
        for number in range(20):
            request_id = own.send_request("echo", [{"action": "slow", "body": {"s": number}}])
            received = [(i, response.actions[0].body) for i, response in own.get_all_responses("echo", 30)]
            assert received == [(request_id, {"s": number})]

    def abandon() -> None:
        for number in range(20):
            client.call_action_future("echo", "slow", {"a": number})

    with AnsweringThreads(broker, 2):
        run_in_threads([parallel, futures, separate, abandon] * 3)


def test_d03_threads_use_one_handler(broker: Broker) -> None:
    client = broker.client()
    barrier = threading.Barrier(8)

    def call() -> None:
        barrier.wait(10)
        client.call_action("echo", "echo")

    run_in_threads([call] * 8)

    assert len(broker.transports) == 1


def test_waiting_thread_takes_over_when_the_receiving_one_times_out(broker: Broker) -> None:
    client = broker.client()
    leader = client.call_action_future("echo", "slow", {"n": 0})
    follower = client.call_action_future("echo", "slow", {"n": 1})
    timed_out = threading.Event()
    results: list[Any] = []

    def lead() -> None:
        with pytest.raises(MessageReceiveTimeout):
            leader.result(timeout=0.2)
        timed_out.set()

    def follow() -> None:
        broker.wait_for_receives(1)
        results.append(follower.result(timeout=30).body)

    def answer() -> None:
        assert timed_out.wait(10)
        broker.wait_for_receives(2)
        broker.answer(broker.sent[1], {"n": 1})

    run_in_threads([lead, follow, answer])

    assert results == [{"n": 1}]


def test_waiting_thread_takes_over_when_the_receiving_one_is_interrupted(broker: Broker) -> None:
    client = broker.client()
    leader = client.call_action_future("echo", "slow", {"n": 0})
    follower = client.call_action_future("echo", "slow", {"n": 1})
    interrupted = threading.Event()
    results: list[Any] = []

    def lead() -> None:
        with pytest.raises(KeyboardInterrupt):
            leader.result(timeout=30)
        interrupted.set()

    def follow() -> None:
        broker.wait_for_receives(1)
        results.append(follower.result(timeout=30).body)

    def answer() -> None:
        broker.wait_for_receives(1)
        with broker.changed:
            broker.transports[0].inbox.append((broker.sent[0].request_id, KeyboardInterrupt()))
            broker.changed.notify_all()
        assert interrupted.wait(10)
        broker.answer(broker.sent[1], {"n": 1})

    run_in_threads([lead, follow, answer])

    assert results == [{"n": 1}]


def test_time_limit_of_a_waiting_thread_holds_while_another_receives(broker: Broker) -> None:
    client = broker.client()
    leader = client.call_action_future("echo", "slow", {"n": 0})
    follower = client.call_action_future("echo", "slow", {"n": 1})

    def lead() -> None:
        assert leader.result(timeout=30).body == {"n": 0}

    def follow() -> None:
        broker.wait_for_receives(1)
        started = time.monotonic()
        with pytest.raises(MessageReceiveTimeout, match=r"^No message received for service echo \("):
            follower.result(timeout=0.05)
        assert time.monotonic() - started < 5
        broker.answer(broker.sent[0], {"n": 0})

    run_in_threads([lead, follow])


def test_waiting_thread_may_have_a_time_limit_of_centuries(broker: Broker) -> None:
    client = broker.client()
    receiving = client.call_action_future("echo", "slow", timeout=30)
    other = client.call_action_future("echo", "slow", timeout=1e10)
    thread = threading.Thread(target=receiving.result)
    thread.start()
    broker.wait_for_receives(1)
    late = threading.Timer(0.05, broker.answer, (broker.sent[1], {"n": 2}))
    late.start()

    assert other.result().body == {"n": 2}

    broker.answer(broker.sent[0])
    thread.join(30)
    late.join(30)
    assert not thread.is_alive()


def test_waiting_thread_gets_what_came_before_an_error_of_the_receiving_one(broker: Broker) -> None:
    client = broker.client()
    leader = client.call_action_future("echo", "slow", {"n": 0})
    follower = client.call_action_future("echo", "slow", {"n": 1})

    def lead() -> None:
        with pytest.raises(RuntimeError, match="broken"):
            leader.result(timeout=30)

    def follow() -> None:
        broker.wait_for_receives(1)
        assert follower.result(timeout=30).body == {"n": 1}

    def answer() -> None:
        broker.wait_for_receives(1)
        with broker.changed:
            broker.answer(broker.sent[1], {"n": 1})
            broker.transports[0].inbox.append((broker.sent[0].request_id, RuntimeError("broken")))

    run_in_threads([lead, follow, answer])


def test_middleware_may_receive_while_it_receives() -> None:
    inner: list[bool] = []
    received = iter([1, 2])

    def receive(_: float | None) -> tuple[int | None, JobResponse | None]:
        if not inner:
            inner.append(True)
            outcomes: dict[int, Outcome] = {}
            exchange.collect({1}, outcomes, None, time.monotonic() + 5)
            assert outcomes == {1: JobResponse()}
        return next(received), JobResponse()

    exchange = Exchange("echo", receive, 5.0)
    for request_id in (1, 2):
        assert exchange.expect(CLAIMED, 60) == request_id

    outcomes: dict[int, Outcome] = {}
    exchange.collect({2}, outcomes, None, time.monotonic() + 5)

    assert outcomes == {2: JobResponse()}


def test_both_kinds_of_waiting_share_one_receiver(broker: Broker) -> None:
    client = broker.client()
    future = client.call_action_future("echo", "slow", {"n": 0})
    client.send_request("echo", [{"action": "slow", "body": {"n": 1}}])
    got: list[Any] = []

    def claim() -> None:
        got.append(future.result(timeout=30).body)

    def next_of() -> None:
        got.extend(response.actions[0].body for _, response in client.get_all_responses("echo", 30))

    def answer() -> None:
        broker.wait_for_receives(1)
        broker.answer(broker.sent[0], {"n": 0})
        broker.answer(broker.sent[1], {"n": 1})

    run_in_threads([claim, next_of, answer])

    assert sorted(body["n"] for body in got) == [0, 1]


def test_nothing_is_received_for_who_waits_for_nothing() -> None:
    def receive(_: float | None) -> tuple[int | None, JobResponse | None]:
        assert not exchange.is_receive_wanted()
        return None, None

    exchange = Exchange("echo", receive, 5.0)
    exchange.expect(CLAIMED, 60)

    assert exchange.wait(NextOf(("somebody",)), None, time.monotonic() + 5) is False
