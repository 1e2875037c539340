"""A request that is sent along with the wait for its response: its outcome may be known only during that."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from pymetrics.recorders.noop import noop_metrics

from pysoa.common.interfaces import SendsAndWaits
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import MessageReceiveError, MessageReceiveTimeout, MessageSendError
from pysoa.common.transport.redis_gateway.client import RedisClientTransport
from pysoa.common.transport.redis_gateway.server import RedisServerTransport
from pysoa.test.redis_server import RedisServer

QUEUE = "pysoa:service.example"
META = {"client_version": [2, 0, 0]}

NewClient = Callable[..., RedisClientTransport]
NewServer = Callable[..., RedisServerTransport]


@pytest.fixture
def mortal() -> Iterator[RedisServer]:
    """A server that a test may pause and kill."""
    with RedisServer() as server:
        yield server


def settings_of(server: RedisServer) -> dict[str, Any]:
    return {
        "backend_type": "redis.standard",
        "backend_layer_kwargs": {"hosts": [(server.host, server.port)]},
    }


def client_of(server: RedisServer, **more: Any) -> RedisClientTransport:
    return RedisClientTransport("example", noop_metrics, **{**settings_of(server), **more})


def call(client: RedisClientTransport, request_id: int, timeout_s: float = 5, **body: Any) -> ReceivedMessage:
    """Send a request and wait, as the client does; return the response to it."""
    received = client.send_request_and_wait(request_id, META, body, timeout_s, timeout_s)
    return received if received.request_id is not None else client.receive_response_message(timeout_s)


@contextlib.contextmanager
def echoing(transport: RedisServerTransport) -> Generator[list[int]]:
    """Answer requests with their own bodies, ``slow`` ones as many seconds later; yields their ids."""
    seen: list[int] = []
    is_over = threading.Event()
    later: list[threading.Timer] = []

    def answer(received: ReceivedMessage) -> None:
        transport.send_response_message(received.request_id or 0, received.meta or {}, received.body or {})

    def work() -> None:
        while not is_over.is_set():
            with contextlib.suppress(MessageReceiveTimeout, MessageReceiveError):
                received = transport.receive_request_message()
                seen.append(received.request_id or 0)
                slow = float((received.body or {}).get("slow", 0))
                if slow:
                    later.append(threading.Timer(slow, answer, [received]))
                    later[-1].start()
                else:
                    answer(received)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield seen
    is_over.set()
    transport.interrupt()
    thread.join(15)
    for timer in later:
        timer.join(5)
    assert not thread.is_alive()


def info_of(server: RedisServer, section: str) -> bytes:
    info = server.execute("INFO", section)
    assert isinstance(info, bytes)
    return info


def wait_until(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.002)


def test_it_can_send_and_wait(new_client: NewClient) -> None:
    assert isinstance(new_client(), SendsAndWaits)


def test_calls_are_answered(new_client: NewClient, new_server: NewServer) -> None:
    client = new_client()

    with echoing(new_server()):
        bodies = [call(client, number, n=number).body for number in range(300)]

    assert bodies == [{"n": number} for number in range(300)]
    assert client.requests_outstanding == 0


def test_calls_are_answered_while_somebody_measures(
    new_client: NewClient, new_server: NewServer, metrics: Any
) -> None:
    client = new_client(metrics=metrics)

    with echoing(new_server()):
        bodies = [call(client, number, n=number).body for number in range(20)]

    assert bodies == [{"n": number} for number in range(20)]
    names = set(metrics.names("client.transport.redis_gateway."))
    assert names >= {
        "send",
        "send.serialize",
        "send.message_size",
        "send.get_redis_connection",
        "send.send_message_to_redis_queue",
        "receive",
        "receive.pop_from_redis_queue",
        "receive.deserialize",
    }


class TestFullQueue:
    @pytest.mark.parametrize("capacity", [3, 12], ids=["few", "many"])
    def test_refused_request_is_named_and_nothing_is_left_of_it(
        self, new_client: NewClient, clean_redis: RedisServer, capacity: int
    ) -> None:
        elements = [b"%d" % number for number in range(capacity)]
        clean_redis.execute("RPUSH", QUEUE, *elements)
        client = new_client(queue_capacity=capacity)
        started = time.monotonic()

        with pytest.raises(MessageSendError) as caught:
            call(client, 1)

        assert time.monotonic() - started < 1.5
        assert getattr(caught.value, "is_unsent", False)
        assert clean_redis.execute("LRANGE", QUEUE, 0, -1) == elements
        assert client.requests_outstanding == 0

    def test_request_can_be_sent_again_in_the_way_that_waits_for_room(
        self, new_client: NewClient, new_server: NewServer, clean_redis: RedisServer
    ) -> None:
        clean_redis.execute("RPUSH", QUEUE, "x", "x", "x")
        client = new_client(queue_capacity=3)
        with pytest.raises(MessageSendError):
            call(client, 1)
        timer = threading.Timer(0.1, clean_redis.execute, ["DEL", QUEUE])
        timer.start()
        client.send_request_message(2, META, {"n": 2})

        with echoing(new_server()):
            received = client.receive_response_message(5)
            following = call(client, 3, n=3)

        timer.join()
        assert (received.request_id, received.body) == (2, {"n": 2})
        assert (following.request_id, following.body) == (3, {"n": 3})

    def test_request_that_was_taken_before_it_was_taken_back_is_answered(
        self, new_client: NewClient, new_server: NewServer, clean_redis: RedisServer
    ) -> None:
        # With other requests outstanding, the outcome is read by the receive that follows.
        client, server = new_client(queue_capacity=3), new_server()
        client.send_request_message(1, META, {})
        server.receive_request_message()
        clean_redis.execute("RPUSH", QUEUE, "x", "x", "x")
        clean_redis.execute("CONFIG", "RESETSTAT")
        sent = client.send_request_and_wait(2, META, {"n": 2}, 5, 5)
        assert sent.request_id is None
        wait_until(lambda: clean_redis.execute("LLEN", QUEUE) == 4)
        taken = clean_redis.execute("RPOP", QUEUE)
        assert isinstance(taken, bytes)
        received: list[ReceivedMessage] = []
        waiter = threading.Thread(target=lambda: received.append(client.receive_response_message(5)))
        waiter.start()
        wait_until(lambda: b"cmdstat_lrem" in info_of(clean_redis, "commandstats"))
        clean_redis.execute("DEL", QUEUE)
        clean_redis.execute("RPUSH", QUEUE, taken)

        with echoing(server):
            waiter.join(10)

        assert [(one.request_id, one.body) for one in received] == [(2, {"n": 2})]


class TestErrorReply:
    @pytest.mark.parametrize("others", [0, 2], ids=["alone", "with others"])
    def test_it_is_heard_of_at_once(
        self, new_client: NewClient, clean_redis: RedisServer, others: int
    ) -> None:
        client = new_client()
        for number in range(others):
            client.send_request_message(100 + number, META, {})
        clean_redis.execute("DEL", QUEUE)
        clean_redis.execute("SET", QUEUE, "not a list")
        started = time.monotonic()

        with pytest.raises(MessageSendError) as caught:
            call(client, 1)

        assert caught.value.args[0] == "Redis error sending message for service example"
        assert "wrong kind" in caught.value.args[1]
        assert not getattr(caught.value, "is_unsent", False)
        assert client.requests_outstanding == others
        # Among new servers or not: a wait is for 20 ms or for a second, and the error need not wait for it.
        assert time.monotonic() - started < 1.5

    def test_calls_afterwards_are_answered(
        self, new_client: NewClient, new_server: NewServer, clean_redis: RedisServer
    ) -> None:
        client = new_client()
        clean_redis.execute("SET", QUEUE, "not a list")
        with pytest.raises(MessageSendError):
            call(client, 1)
        clean_redis.execute("DEL", QUEUE)

        with echoing(new_server()):
            bodies = [call(client, number, n=number).body for number in range(2, 6)]

        assert bodies == [{"n": number} for number in range(2, 6)]


class TestOutages:
    def test_broken_connection_is_an_error_and_then_over(self, mortal: RedisServer) -> None:
        client = client_of(mortal)
        server = RedisServerTransport("example", noop_metrics, 1, **settings_of(mortal))
        with echoing(server):
            assert call(client, 1).request_id == 1
        mortal.execute("CLIENT", "PAUSE", 60_000)
        timer = threading.Timer(0.1, mortal.kill)
        timer.start()

        with pytest.raises((MessageSendError, MessageReceiveError)):
            call(client, 2)

        timer.join()
        mortal.start()
        client.abandon_request(2)
        server = RedisServerTransport("example", noop_metrics, 1, **settings_of(mortal))
        with echoing(server):
            assert call(client, 3, n=3).body == {"n": 3}

    def test_silence_ends_with_the_callers_time_and_is_over_when_redis_goes_on(
        self, mortal: RedisServer
    ) -> None:
        client = client_of(mortal)
        server = RedisServerTransport("example", noop_metrics, 1, **settings_of(mortal))
        with echoing(server):
            assert call(client, 1).request_id == 1
        mortal.pause()
        started = time.monotonic()
        with pytest.raises((MessageSendError, MessageReceiveError, MessageReceiveTimeout)):
            call(client, 2, 1.0)
        elapsed_s = time.monotonic() - started
        mortal.resume()
        client.abandon_request(2)

        server = RedisServerTransport("example", noop_metrics, 1, **settings_of(mortal))
        with echoing(server):
            received = [call(client, number, n=number) for number in (3, 4)]

        assert elapsed_s < 2.5
        assert [(one.request_id, one.body) for one in received] == [(3, {"n": 3}), (4, {"n": 4})]

    def test_answer_that_a_silent_redis_gives_late_is_received_by_the_next_wait(
        self, mortal: RedisServer
    ) -> None:
        client = client_of(mortal)
        server = RedisServerTransport("example", noop_metrics, 1, **settings_of(mortal))
        with echoing(server):
            call(client, 1)
        mortal.pause()
        assert client.send_request_and_wait(2, META, {}, 10, 1.0).request_id is None
        with pytest.raises(MessageReceiveError):
            client.receive_response_message(0.5)
        mortal.resume()

        server = RedisServerTransport("example", noop_metrics, 1, **settings_of(mortal))
        with echoing(server):
            received = client.receive_response_message(5)

        assert received.request_id == 2


class Interrupt(BaseException):
    """Stands for Ctrl-C."""


class InterruptedOnce:
    """A connection; what it is first asked to do with one method is interrupted."""

    def __init__(self, connection: Any, name: str) -> None:
        self._connection = connection
        self._name = name

    def relent(self) -> None:
        """Interrupt nothing any more."""
        self._name = ""

    def __getattr__(self, name: str) -> Any:
        if name == self._name:
            self._name = ""
            raise Interrupt
        return getattr(self._connection, name)


class TestInterrupts:
    def test_call_that_was_interrupted_between_sending_and_receiving_leaves_later_ones_right(
        self, new_client: NewClient, new_server: NewServer
    ) -> None:
        client = new_client()

        with echoing(new_server()):
            for number in range(0, 40, 2):
                client.send_request_message(1000 + number, META, {})
                client.send_request_and_wait(number, META, {"n": number}, 5, 5)
                client.abandon_request(number)
                client.abandon_request(1000 + number)
                assert call(client, number + 1, n=number + 1).body == {"n": number + 1}

        assert client.requests_outstanding == 0

    def test_call_that_was_interrupted_anywhere_leaves_later_ones_right(
        self, new_client: NewClient, new_server: NewServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = new_client()
        connect = client.core.pusher.connect_to

        with echoing(new_server()):
            for number, name in enumerate(("write", "read", "read_into") * 5):
                borrowed: list[InterruptedOnce] = []

                def interrupted(
                    *arguments: Any, name: str = name, borrowed: list[InterruptedOnce] = borrowed
                ) -> Any:
                    borrowed.append(InterruptedOnce(connect(*arguments), name))
                    return borrowed[-1]

                with monkeypatch.context() as patch:
                    patch.setattr(client.core.pusher, "connect_to", interrupted)
                    patch.setattr(client.core.receiver, "connect", interrupted)
                    with contextlib.suppress(Interrupt):
                        call(client, 2 * number)
                for connection in borrowed:
                    connection.relent()
                client.abandon_request(2 * number)
                assert call(client, 2 * number + 1, n=number).body == {"n": number}

        assert client.requests_outstanding == 0


class TestThreads:
    def test_every_thread_is_answered(self, new_client: NewClient, new_server: NewServer) -> None:
        client = new_client()
        answers: dict[int, object] = {}
        failures: list[BaseException] = []

        def work(thread: int) -> None:
            try:
                for number in range(thread * 1000, thread * 1000 + 25):
                    received = call(client, number, n=number)
                    # At this level a receive returns whatever comes next, for any thread.
                    answers[received.request_id or 0] = received.body
            except BaseException as error:
                failures.append(error)

        with echoing(new_server()):
            threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)

        assert failures == []
        assert answers == {n: {"n": n} for t in range(1, 6) for n in range(t * 1000, t * 1000 + 25)}
        assert client.requests_outstanding == 0

    def test_answer_to_another_thread_is_not_held_up_by_a_slow_call(
        self, new_client: NewClient, new_server: NewServer
    ) -> None:
        client = new_client()
        arrived_at: dict[object, float] = {}

        def note(received: ReceivedMessage) -> None:
            arrived_at[received.request_id] = time.monotonic()

        with echoing(new_server()) as seen:
            # At this level a receive returns whatever comes next, for any thread.
            slow = threading.Thread(target=lambda: note(call(client, 1, slow=1.5)))
            slow.start()
            wait_until(lambda: 1 in seen)
            started = time.monotonic()
            client.send_request_message(2, META, {"n": 2})

            note(client.receive_response_message(5))
            slow.join(10)

        assert arrived_at.keys() == {1, 2}
        assert arrived_at[2] - started < 1.0
        assert arrived_at[1] - started > 1.0

    def test_calls_with_other_requests_outstanding(
        self, new_client: NewClient, new_server: NewServer
    ) -> None:
        client = new_client()
        bodies: dict[int, object] = {}
        with echoing(new_server()):
            for number in range(100, 110):
                client.send_request_message(number, META, {"n": number, "slow": 0.1 * (number % 3)})
            received = client.send_request_and_wait(1, META, {"n": 1}, 5, 5)
            while len(bodies) < 11:
                if received.request_id is not None:
                    bodies[received.request_id] = (received.body or {})["n"]
                received = client.receive_response_message(5)

        assert bodies == {number: number for number in (1, *range(100, 110))}


class TestFork:
    def test_child_gets_no_answer_of_its_parent(self, new_client: NewClient, new_server: NewServer) -> None:
        client, server = new_client(), new_server()
        client.send_request_message(1, META, {})
        assert client.send_request_and_wait(2, META, {"n": 2}, 5, 5).request_id is None

        pid = os.fork()
        if not pid:
            os._exit(7 if client.receive_response_message(1).request_id is None else 8)
        _, status = os.waitpid(pid, 0)
        with echoing(server):
            received = {client.receive_response_message(5).request_id for _ in range(2)}

        assert os.waitstatus_to_exitcode(status) == 7
        assert received == {1, 2}


def test_calls_over_several_masters(new_client: NewClient, new_server: NewServer) -> None:
    with RedisServer() as first, RedisServer() as second:
        ring = {"backend_layer_kwargs": {"hosts": [(one.host, one.port) for one in (first, second)]}}
        clients = [new_client(**ring) for _ in range(3)]

        with echoing(new_server(**ring)):
            bodies = [call(clients[number % 3], number, n=number).body for number in range(30)]

    assert bodies == [{"n": number} for number in range(30)]
