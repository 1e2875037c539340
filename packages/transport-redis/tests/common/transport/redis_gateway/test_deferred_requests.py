"""A request that is sent along with the wait for its response: its outcome may be known only during that."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import pytest
from pymetrics.recorders.noop import noop_metrics

from pysoa.common.interfaces import SendsAndWaits
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import MessageReceiveError, MessageReceiveTimeout, MessageSendError
from pysoa.common.transport.redis_gateway._interfaces import BackendError
from pysoa.common.transport.redis_gateway._mailbox import Mailbox
from pysoa.common.transport.redis_gateway._reply_lists import ReplyList, ReplyLists
from pysoa.common.transport.redis_gateway.backend import _sockets
from pysoa.common.transport.redis_gateway.client import RedisClientTransport
from pysoa.common.transport.redis_gateway.server import RedisServerTransport
from pysoa.test.redis_server import RedisServer

QUEUE = "pysoa:service.example"
META = {"client_version": [2, 0, 0]}
SMALL_CHUNKS = {"chunk_messages_larger_than_bytes": 102_400, "maximum_message_size_in_bytes": 1_024_000}

NewClient = Callable[..., RedisClientTransport]
NewServer = Callable[..., RedisServerTransport]


@pytest.fixture
def gone_alone(monkeypatch: pytest.MonkeyPatch) -> dict[int, str]:
    """The requests that went alone, which is a shorter way, with the names of their own reply lists."""
    lists_by_id: dict[int, str] = {}
    exchange_alone = Mailbox.exchange_alone

    def noting(
        mailbox: Mailbox, lists: ReplyLists, reply_list: ReplyList, request_id: int, *others: Any
    ) -> ReceivedMessage | None:
        lists_by_id[request_id] = reply_list.name
        received = exchange_alone(mailbox, lists, reply_list, request_id, *others)
        if received is None:  # it went the other way
            del lists_by_id[request_id]
        return received

    monkeypatch.setattr(Mailbox, "exchange_alone", noting)
    return lists_by_id


class Way:
    """How the calls of a test are to go: as a client's first one does, or alone."""

    def __init__(self, is_alone: bool, gone_alone: dict[int, str]) -> None:
        self.is_alone = is_alone
        self.was_checked = False
        self._gone_alone = gone_alone

    def prepare(self, client: RedisClientTransport, server: RedisServerTransport) -> None:
        """Let the client have one answer on its shared list, if its calls are to go alone."""
        if self.is_alone:
            get_used_to_new_servers(client, server)

    def check(self, request_id: int) -> None:
        """Assert that a request went the way that is to be tested."""
        assert (request_id in self._gone_alone) == self.is_alone
        self.was_checked = True


@pytest.fixture(params=["first", "alone"])
def way(request: pytest.FixtureRequest, gone_alone: dict[int, str]) -> Iterator[Way]:
    """Both ways, one after the other."""
    way = Way(request.param == "alone", gone_alone)
    yield way
    assert way.was_checked, "the test did not check which way it went"


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Threads for calls that go on beside the test."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


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


def get_used_to_new_servers(client: RedisClientTransport, server: RedisServerTransport) -> None:
    """Have a call answered on the client's shared list, so that the next one goes alone."""
    with ThreadPoolExecutor(1) as pool:
        answered = pool.submit(call, client, 999_999)
        answer_next(server)
        assert answered.result(10).request_id == 999_999


def answer_next(
    server: RedisServerTransport, body: dict[str, Any] | None = None, *, as_older: bool = False
) -> ReceivedMessage:
    """Take the next request, answer it, and return it.

    Args:
        server: The server.
        body: The body of the answer; ``None`` for the one of the request.
        as_older: Answer on the list that is for this request alone, as PySOA 1.4.9 does.
    """
    received = server.receive_request_message()
    meta = {**(received.meta or {})}
    if as_older:
        del meta["shared_reply_to"]
    server.send_response_message(received.request_id or 0, meta, body or received.body or {})
    return received


def answer(server: RedisServerTransport, received: ReceivedMessage) -> None:
    """Answer a request with its own body."""
    server.send_response_message(received.request_id or 0, received.meta or {}, received.body or {})


def server_of(server: RedisServer) -> RedisServerTransport:
    return RedisServerTransport("example", noop_metrics, 1, **settings_of(server))


@contextlib.contextmanager
def echoing(transport: RedisServerTransport) -> Generator[list[int]]:
    """Answer requests with their own bodies, ``slow`` ones as many seconds later; yields their ids."""
    seen: list[int] = []
    is_over = threading.Event()
    later: list[threading.Timer] = []

    def work() -> None:
        while not is_over.is_set():
            with contextlib.suppress(MessageReceiveTimeout, MessageReceiveError):
                received = transport.receive_request_message()
                seen.append(received.request_id or 0)
                slow = float((received.body or {}).get("slow", 0))
                if slow:
                    later.append(threading.Timer(slow, answer, [transport, received]))
                    later[-1].start()
                else:
                    answer(transport, received)

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


def test_calls_are_answered(new_client: NewClient, new_server: NewServer, gone_alone: dict[int, str]) -> None:
    client = new_client()

    with echoing(new_server()):
        bodies = [call(client, number, n=number).body for number in range(300)]

    assert bodies == [{"n": number} for number in range(300)]
    assert client.requests_outstanding == 0
    assert list(gone_alone) == list(range(1, 300)), "all but the first call should have gone alone"


def test_usual_call_does_not_poll_for_its_answer(
    new_client: NewClient, new_server: NewServer, monkeypatch: pytest.MonkeyPatch, gone_alone: dict[int, str]
) -> None:
    """The kernel is to wait in the read itself; a poll before it would be one more system call per call."""
    polls: list[float] = []
    socket_class: Any = vars(_sockets)["_TickingSocket"]
    poll_to_the_end: Callable[[object, float], bool] = socket_class._poll_to_the_end

    def noting(socket: object, left_s: float) -> bool:
        polls.append(left_s)
        return poll_to_the_end(socket, left_s)

    client, server = new_client(), new_server()
    get_used_to_new_servers(client, server)

    with echoing(server), monkeypatch.context() as patch:
        patch.setattr(socket_class, "_poll_to_the_end", noting)
        for number in range(1, 51):
            call(client, number)

    assert len(gone_alone) >= 50
    # A machine that is busy elsewhere may let some calls wait for longer than a tick of the kernel.
    assert len(polls) < 10


def test_calls_are_answered_while_somebody_measures(
    new_client: NewClient, new_server: NewServer, metrics: Any, gone_alone: dict[int, str]
) -> None:
    client = new_client(metrics=metrics)

    with echoing(new_server()):
        bodies = [call(client, number, n=number).body for number in range(20)]

    assert bodies == [{"n": number} for number in range(20)]
    assert gone_alone == {}
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
        self,
        new_client: NewClient,
        new_server: NewServer,
        clean_redis: RedisServer,
        capacity: int,
        way: Way,
    ) -> None:
        client = new_client(queue_capacity=capacity)
        way.prepare(client, new_server())
        elements = [b"%d" % number for number in range(capacity)]
        clean_redis.execute("RPUSH", QUEUE, *elements)
        started = time.monotonic()

        with pytest.raises(MessageSendError) as caught:
            call(client, 1)

        way.check(1)
        assert time.monotonic() - started < 1.5
        assert getattr(caught.value, "is_unsent", False)
        assert str(caught.value) == (
            "Redis queue service.example is full. Nothing was sent: try again, or start more servers."
        )
        assert clean_redis.execute("LRANGE", QUEUE, 0, -1) == elements
        assert client.requests_outstanding == 0

    def test_request_can_be_sent_again_in_the_way_that_waits_for_room(
        self, new_client: NewClient, new_server: NewServer, clean_redis: RedisServer, way: Way
    ) -> None:
        client = new_client(queue_capacity=3)
        way.prepare(client, new_server())
        clean_redis.execute("RPUSH", QUEUE, "x", "x", "x")
        with pytest.raises(MessageSendError):
            call(client, 1)
        way.check(1)
        timer = threading.Timer(0.1, clean_redis.execute, ["DEL", QUEUE])
        timer.start()
        client.send_request_message(2, META, {"n": 2})

        with echoing(new_server()):
            received = client.receive_response_message(5)
            following = call(client, 3, n=3)

        timer.join()
        assert (received.request_id, received.body) == (2, {"n": 2})
        assert (following.request_id, following.body) == (3, {"n": 3})
        assert client.requests_outstanding == 0

    def test_list_is_not_used_again_if_the_request_could_not_be_taken_back(
        self,
        new_client: NewClient,
        new_server: NewServer,
        clean_redis: RedisServer,
        way: Way,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        client, server = new_client(queue_capacity=3), new_server()
        way.prepare(client, server)
        clean_redis.execute("RPUSH", QUEUE, "x", "x", "x")

        def fail(*_: object) -> NoReturn:
            raise BackendError("gone", cause_name="ConnectionError")

        with monkeypatch.context() as patch:
            patch.setattr(client.core.pusher, "_take_back", fail)
            with pytest.raises(MessageSendError) as caught:
                call(client, 1)
        way.check(1)
        clean_redis.execute("LTRIM", QUEUE, -1, -1)
        sent_after_all = server.receive_request_message()
        client.send_request_message(2, META, {})
        following = server.receive_request_message()

        assert not getattr(caught.value, "is_unsent", False)
        assert (sent_after_all.request_id, following.request_id) == (1, 2)
        assert (sent_after_all.meta or {})["reply_to"] != (following.meta or {})["reply_to"]

    def test_request_that_was_taken_from_a_full_queue_is_answered(
        self,
        new_client: NewClient,
        new_server: NewServer,
        clean_redis: RedisServer,
        way: Way,
        threads: ThreadPoolExecutor,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        client, server = new_client(queue_capacity=3), new_server()
        way.prepare(client, server)
        clean_redis.execute("RPUSH", QUEUE, "x", "x", "x")
        clean_redis.execute("CONFIG", "RESETSTAT")
        was_taken = threading.Event()
        conclude = client.core.pusher.conclude

        def conclude_later(*arguments: Any) -> None:
            assert was_taken.wait(10)
            conclude(*arguments)

        monkeypatch.setattr(client.core.pusher, "conclude", conclude_later)
        called = threads.submit(call, client, 1, n=1)
        wait_until(lambda: clean_redis.execute("LLEN", QUEUE) == 4)
        taken = clean_redis.execute("RPOP", QUEUE)
        assert isinstance(taken, bytes)
        was_taken.set()
        wait_until(lambda: b"cmdstat_lrem" in info_of(clean_redis, "commandstats"))
        clean_redis.execute("DEL", QUEUE)
        clean_redis.execute("RPUSH", QUEUE, taken)

        answer_next(server)

        received = called.result(10)
        way.check(1)
        assert (received.request_id, received.body) == (1, {"n": 1})
        assert client.requests_outstanding == 0

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
        self, new_client: NewClient, new_server: NewServer, clean_redis: RedisServer, others: int, way: Way
    ) -> None:
        client = new_client()
        way.prepare(client, new_server())
        way.is_alone = way.is_alone and not others
        for number in range(others):
            client.send_request_message(100 + number, META, {})
        clean_redis.execute("DEL", QUEUE)
        clean_redis.execute("SET", QUEUE, "not a list")
        started = time.monotonic()

        with pytest.raises(MessageSendError) as caught:
            call(client, 1)

        way.check(1)
        assert caught.value.args[0] == "Redis error sending message for service example"
        assert "wrong kind" in caught.value.args[1]
        assert not getattr(caught.value, "is_unsent", False)
        assert client.requests_outstanding == others
        # Among new servers or not: a wait is for 20 ms or for a second, and the error need not wait for it.
        assert time.monotonic() - started < 1.5

    def test_calls_afterwards_are_answered(
        self, new_client: NewClient, new_server: NewServer, clean_redis: RedisServer, way: Way
    ) -> None:
        client = new_client()
        way.prepare(client, new_server())
        clean_redis.execute("SET", QUEUE, "not a list")
        with pytest.raises(MessageSendError):
            call(client, 1)
        way.check(1)
        clean_redis.execute("DEL", QUEUE)

        with echoing(new_server()):
            bodies = [call(client, number, n=number).body for number in range(2, 6)]

        assert bodies == [{"n": number} for number in range(2, 6)]
        assert client.requests_outstanding == 0

    def test_redis_without_memory_is_told_of(
        self, new_client: NewClient, new_server: NewServer, clean_redis: RedisServer, way: Way
    ) -> None:
        client = new_client()
        way.prepare(client, new_server())
        clean_redis.execute("CONFIG", "SET", "maxmemory", "1")
        try:
            with pytest.raises(MessageSendError) as caught:
                call(client, 1)
        finally:
            clean_redis.execute("CONFIG", "SET", "maxmemory", "0")

        way.check(1)
        assert "OOM" in caught.value.args[1]
        assert client.requests_outstanding == 0


class TestOutages:
    def test_broken_connection_is_an_error_and_then_over(self, mortal: RedisServer, way: Way) -> None:
        client = client_of(mortal)
        way.prepare(client, server_of(mortal))
        mortal.execute("CLIENT", "PAUSE", 60_000)
        timer = threading.Timer(0.1, mortal.kill)
        timer.start()

        with pytest.raises((MessageSendError, MessageReceiveError)):
            call(client, 2)

        way.check(2)
        timer.join()
        mortal.start()
        client.abandon_request(2)
        with echoing(server_of(mortal)):
            assert call(client, 3, n=3).body == {"n": 3}
        assert client.requests_outstanding == 0

    def test_silence_ends_with_the_callers_time_and_is_over_when_redis_goes_on(
        self, mortal: RedisServer, way: Way
    ) -> None:
        client = client_of(mortal)
        way.prepare(client, server_of(mortal))
        mortal.pause()
        started = time.monotonic()
        with pytest.raises((MessageSendError, MessageReceiveError, MessageReceiveTimeout)):
            call(client, 2, 1.0)
        elapsed_s = time.monotonic() - started
        mortal.resume()
        client.abandon_request(2)

        with echoing(server_of(mortal)):
            received = [call(client, number, n=number) for number in (3, 4)]

        way.check(2)
        assert elapsed_s < 2.5
        assert [(one.request_id, one.body) for one in received] == [(3, {"n": 3}), (4, {"n": 4})]
        assert client.requests_outstanding == 0

    def test_answer_that_a_silent_redis_gives_late_is_received_by_the_next_wait(
        self, mortal: RedisServer, way: Way
    ) -> None:
        client = client_of(mortal)
        way.prepare(client, server_of(mortal))
        mortal.pause()
        assert client.send_request_and_wait(2, META, {}, 10, 1.0).request_id is None
        way.check(2)
        with pytest.raises(MessageReceiveError):
            client.receive_response_message(0.5)
        mortal.resume()

        with echoing(server_of(mortal)):
            received = client.receive_response_message(5)
            following = [call(client, number, n=number).body for number in (3, 4)]

        assert received.request_id == 2
        assert following == [{"n": 3}, {"n": 4}]
        assert client.requests_outstanding == 0

    def test_call_goes_on_if_only_the_wait_for_its_answer_failed(
        self,
        new_client: NewClient,
        new_server: NewServer,
        gone_alone: dict[int, str],
        threads: ThreadPoolExecutor,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        client, server = new_client(), new_server()
        get_used_to_new_servers(client, server)
        borrowed: list[WithoutLastReply] = []
        connect_to = client.core.pusher.connect_to

        def connect_for_less(index: int, deadline: float) -> Any:
            borrowed.append(WithoutLastReply(connect_to(index, deadline)))
            return borrowed[-1]

        monkeypatch.setattr(client.core.pusher, "connect_to", connect_for_less)

        called = threads.submit(call, client, 1, n=1)
        wait_until(lambda: borrowed and borrowed[0].is_broken)
        answer_next(server)

        received = called.result(10)
        assert (received.request_id, received.body) == (1, {"n": 1})
        assert 1 in gone_alone
        assert client.requests_outstanding == 0
        assert borrowed[0].connection is not connect_to(0, time.monotonic() + 5)


class WithoutLastReply:
    """A connection that breaks when of several replies all but one have been read."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.is_broken = False

    def read_into(self, replies: list[object], count: int, deadline: float, _uninteresting: int) -> None:
        self.connection.read_into(replies, count, deadline)
        assert replies.pop() is None
        self.is_broken = True
        raise BackendError("gone", cause_name="ConnectionError")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


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
    @pytest.mark.parametrize("others", [0, 1], ids=["alone", "with another"])
    def test_call_that_was_interrupted_between_sending_and_receiving_leaves_later_ones_right(
        self, new_client: NewClient, new_server: NewServer, gone_alone: dict[int, str], others: int
    ) -> None:
        client = new_client()
        server = new_server()
        get_used_to_new_servers(client, server)

        with echoing(server):
            for number in range(0, 40, 2):
                if others:
                    client.send_request_message(1000 + number, META, {})
                client.send_request_and_wait(number, META, {"n": number}, 5, 5)
                assert (number in gone_alone) == (not others)
                client.abandon_request(number)
                client.abandon_request(1000 + number)
                assert call(client, number + 1, n=number + 1).body == {"n": number + 1}

        assert client.requests_outstanding == 0

    def test_call_that_was_interrupted_anywhere_leaves_later_ones_right(
        self, new_client: NewClient, new_server: NewServer, monkeypatch: pytest.MonkeyPatch, way: Way
    ) -> None:
        client = new_client()
        server = new_server()
        way.prepare(client, server)

        with echoing(server):
            for number, name in enumerate(("write", "read", "read_into") * 5):
                if not way.is_alone:
                    client = new_client()
                with interrupted_at(client, name, monkeypatch), contextlib.suppress(Interrupt):
                    call(client, 2 * number)
                way.check(2 * number)
                client.abandon_request(2 * number)
                assert call(client, 2 * number + 1, n=number).body == {"n": number}
                assert client.requests_outstanding == 0

    def test_interrupted_call_that_went_alone_is_not_awaited(
        self,
        new_client: NewClient,
        new_server: NewServer,
        gone_alone: dict[int, str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        client, server = new_client(), new_server()
        get_used_to_new_servers(client, server)

        with interrupted_at(client, "read_into", monkeypatch), pytest.raises(Interrupt):
            call(client, 1)

        assert 1 in gone_alone
        assert client.requests_outstanding == 0
        assert client.receive_response_message(5).request_id is None

    @pytest.mark.parametrize("name", ["write", "read_into"])
    def test_interrupted_calls_leave_no_connection_taken(
        self,
        new_client: NewClient,
        new_server: NewServer,
        settings: dict[str, Any],
        gone_alone: dict[int, str],
        monkeypatch: pytest.MonkeyPatch,
        threads: ThreadPoolExecutor,
        name: str,
    ) -> None:
        few = {**settings["backend_layer_kwargs"], "connection_kwargs": {"max_connections": 2}}
        client, server = new_client(backend_layer_kwargs=few), new_server()
        get_used_to_new_servers(client, server)

        for number in range(1, 5):
            with interrupted_at(client, name, monkeypatch), pytest.raises(Interrupt):
                call(client, number)
            assert number in gone_alone

        called = threads.submit(call, client, 5)
        wait_until(lambda: answer_next(server).request_id == 5)
        assert called.result(10).request_id == 5

    def test_interrupt_right_after_the_connection_was_given_back_does_not_close_it(
        self,
        new_client: NewClient,
        new_server: NewServer,
        gone_alone: dict[int, str],
        monkeypatch: pytest.MonkeyPatch,
        threads: ThreadPoolExecutor,
    ) -> None:
        client, server = new_client(), new_server()
        get_used_to_new_servers(client, server)
        backend, own_thread = client.core.backend(), threading.get_ident()
        release = backend.release
        released: list[Any] = []

        def release_and_interrupt(connection: Any) -> None:
            release(connection)
            if threading.get_ident() == own_thread:
                released.append(connection)
                raise Interrupt

        answered = threads.submit(answer_next, server)
        with monkeypatch.context() as patch:
            patch.setattr(backend, "release", release_and_interrupt)
            with pytest.raises(Interrupt):
                call(client, 1)

        answered.result(10)
        assert 1 in gone_alone
        released[0].write(b"*1\r\n$4\r\nPING\r\n", time.monotonic() + 5)
        assert released[0].read(time.monotonic() + 5) == b"PONG"

    def test_late_answer_to_an_interrupted_call_is_no_answer_to_the_next(
        self,
        new_client: NewClient,
        new_server: NewServer,
        gone_alone: dict[int, str],
        monkeypatch: pytest.MonkeyPatch,
        threads: ThreadPoolExecutor,
    ) -> None:
        client, server = new_client(), new_server()
        get_used_to_new_servers(client, server)
        with interrupted_at(client, "read_into", monkeypatch), pytest.raises(Interrupt):
            call(client, 1, n=1)
        answer_next(server)

        called = threads.submit(call, client, 2, n=2)
        answer_next(server)

        received = called.result(10)
        assert gone_alone.keys() == {1, 2}
        assert (received.request_id, received.body) == (2, {"n": 2})
        assert client.requests_outstanding == 0


@contextlib.contextmanager
def interrupted_at(
    client: RedisClientTransport, name: str, monkeypatch: pytest.MonkeyPatch
) -> Generator[None]:
    """Interrupt one method of every connection that the client borrows."""
    borrowed: list[InterruptedOnce] = []
    acquire = client.core.backend().acquire

    def acquire_and_interrupt(index: int, deadline: float) -> Any:
        borrowed.append(InterruptedOnce(acquire(index, deadline), name))
        return borrowed[-1]

    with monkeypatch.context() as patch:
        patch.setattr(client.core.pusher, "connect_to", acquire_and_interrupt)
        patch.setattr(client.core.receiver, "connect", acquire_and_interrupt)
        yield
    for connection in borrowed:
        connection.relent()


class TestOwnReplyList:
    """A list for one request alone is used again if, and only if, nothing can come to it any more."""

    @pytest.fixture
    def client(self, new_client: NewClient, new_server: NewServer) -> RedisClientTransport:
        """A client whose calls go alone."""
        client = new_client(queue_capacity=20)
        get_used_to_new_servers(client, new_server())
        return client

    def call_once_more(
        self,
        client: RedisClientTransport,
        server: RedisServerTransport,
        request_id: int,
        threads: ThreadPoolExecutor,
    ) -> None:
        called = threads.submit(call, client, request_id, n=request_id)
        wait_until(lambda: answer_next(server).request_id == request_id)
        received = called.result(10)
        assert (received.request_id, received.body) == (request_id, {"n": request_id})
        assert client.requests_outstanding == 0

    def test_it_is_used_again_after_the_answer(
        self,
        client: RedisClientTransport,
        new_server: NewServer,
        gone_alone: dict[int, str],
        threads: ThreadPoolExecutor,
    ) -> None:
        server = new_server()

        for number in range(5):
            self.call_once_more(client, server, number, threads)

        assert gone_alone.keys() == set(range(5))
        assert len(set(gone_alone.values())) == 1

    def test_it_is_the_one_that_the_request_names(
        self,
        client: RedisClientTransport,
        new_server: NewServer,
        gone_alone: dict[int, str],
        threads: ThreadPoolExecutor,
    ) -> None:
        server = new_server()
        called = threads.submit(call, client, 1)

        request = answer_next(server)

        called.result(10)
        assert (request.meta or {})["reply_to"] == gone_alone[1]
        assert (request.meta or {})["shared_reply_to"] not in gone_alone.values()

    def test_it_is_used_again_after_a_late_answer(
        self,
        client: RedisClientTransport,
        new_server: NewServer,
        gone_alone: dict[int, str],
        threads: ThreadPoolExecutor,
    ) -> None:
        server = new_server()
        assert client.send_request_and_wait(1, META, {}, 5, 5).request_id is None
        assert client.requests_outstanding == 1
        answer_next(server)
        assert client.receive_response_message(5).request_id == 1

        self.call_once_more(client, server, 2, threads)

        assert gone_alone.keys() == {1, 2}
        assert gone_alone[1] == gone_alone[2]

    def test_it_is_used_again_after_a_full_queue(
        self,
        client: RedisClientTransport,
        new_server: NewServer,
        gone_alone: dict[int, str],
        clean_redis: RedisServer,
        threads: ThreadPoolExecutor,
    ) -> None:
        clean_redis.execute("RPUSH", QUEUE, *["x"] * 20)
        with pytest.raises(MessageSendError):
            call(client, 1)
        clean_redis.execute("DEL", QUEUE)

        self.call_once_more(client, new_server(), 2, threads)

        assert gone_alone.keys() == {1, 2}
        assert gone_alone[1] == gone_alone[2]

    def test_it_is_never_used_again_after_a_time_out(
        self,
        client: RedisClientTransport,
        new_server: NewServer,
        gone_alone: dict[int, str],
        threads: ThreadPoolExecutor,
    ) -> None:
        server = new_server()
        client.send_request_and_wait(1, META, {}, 5, 5)
        with pytest.raises(MessageReceiveTimeout):
            client.receive_response_message(0.05)
        assert client.requests_outstanding == 1
        client.abandon_request(1)
        assert client.requests_outstanding == 0

        for number in range(2, 5):
            self.call_once_more(client, server, number, threads)

        assert gone_alone.keys() == {1, 2, 3, 4}
        assert gone_alone[1] not in {gone_alone[2], gone_alone[3], gone_alone[4]}

    @pytest.mark.parametrize("name", ["write", "read_into"])
    def test_it_is_never_used_again_after_an_interrupt(
        self,
        client: RedisClientTransport,
        new_server: NewServer,
        gone_alone: dict[int, str],
        threads: ThreadPoolExecutor,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
    ) -> None:
        server = new_server()
        with interrupted_at(client, name, monkeypatch), pytest.raises(Interrupt):
            call(client, 1)

        for number in range(2, 5):
            self.call_once_more(client, server, number, threads)

        assert gone_alone.keys() == {1, 2, 3, 4}
        assert gone_alone[1] not in {gone_alone[2], gone_alone[3], gone_alone[4]}

    def test_it_is_never_used_again_after_the_connection_broke(
        self, mortal: RedisServer, gone_alone: dict[int, str], threads: ThreadPoolExecutor
    ) -> None:
        client = client_of(mortal)
        get_used_to_new_servers(client, server_of(mortal))
        mortal.execute("CLIENT", "PAUSE", 60_000)
        timer = threading.Timer(0.1, mortal.kill)
        timer.start()
        with pytest.raises(MessageSendError):
            call(client, 1)
        timer.join()
        mortal.start()
        server = server_of(mortal)

        for number in range(2, 5):
            self.call_once_more(client, server, number, threads)

        assert gone_alone.keys() == {1, 2, 3, 4}
        assert gone_alone[1] not in {gone_alone[2], gone_alone[3], gone_alone[4]}

    def test_it_is_never_used_again_after_redis_refused_the_request_with_an_error(
        self,
        client: RedisClientTransport,
        new_server: NewServer,
        gone_alone: dict[int, str],
        clean_redis: RedisServer,
        threads: ThreadPoolExecutor,
    ) -> None:
        # Of what it refused, only some may have been done.
        clean_redis.execute("SET", QUEUE, "not a list")
        with pytest.raises(MessageSendError):
            call(client, 1)
        clean_redis.execute("DEL", QUEUE)

        self.call_once_more(client, new_server(), 2, threads)

        assert gone_alone.keys() == {1, 2}
        assert gone_alone[1] != gone_alone[2]

    @pytest.mark.parametrize("parts", [1, 3], ids=["whole", "in parts"])
    def test_what_an_older_server_answers_on_it_is_received(
        self,
        client: RedisClientTransport,
        new_server: NewServer,
        gone_alone: dict[int, str],
        threads: ThreadPoolExecutor,
        parts: int,
    ) -> None:
        server = new_server(**SMALL_CHUNKS)
        body = {"n": "x" * (102_400 * (parts - 1) + 10)}

        called = threads.submit(call, client, 1)
        answer_next(server, body, as_older=True)

        received = called.result(10)
        assert 1 in gone_alone
        assert (received.request_id, received.body) == (1, body)
        assert client.requests_outstanding == 0

    def test_after_an_answer_of_an_older_server_no_call_goes_alone_for_a_while(
        self,
        client: RedisClientTransport,
        new_server: NewServer,
        gone_alone: dict[int, str],
        threads: ThreadPoolExecutor,
    ) -> None:
        server = new_server()
        called = threads.submit(call, client, 1)
        answer_next(server, as_older=True)
        called.result(10)

        for number in range(2, 5):
            self.call_once_more(client, server, number, threads)

        assert gone_alone.keys() == {1}

    def test_answer_in_parts_to_a_call_that_went_alone_is_received(
        self,
        client: RedisClientTransport,
        new_server: NewServer,
        gone_alone: dict[int, str],
        threads: ThreadPoolExecutor,
    ) -> None:
        server = new_server(**SMALL_CHUNKS)
        bodies = [{"n": str(number) * 300_000} for number in range(3)]

        for number, body in enumerate(bodies):
            called = threads.submit(call, client, number)
            answer_next(server, body)
            assert called.result(10).body == body

        # From then on, parts are expected, which is for the other way.
        assert gone_alone.keys() == {0}
        assert client.requests_outstanding == 0

    def test_answer_to_an_older_request_that_comes_first_is_dropped(
        self,
        client: RedisClientTransport,
        new_server: NewServer,
        gone_alone: dict[int, str],
        threads: ThreadPoolExecutor,
    ) -> None:
        server = new_server()
        client.send_request_and_wait(1, META, {}, 5, 5)
        client.abandon_request(1)
        client.send_request_message(2, META, {})
        client.abandon_request(2)
        for _ in range(2):
            answer_next(server)

        self.call_once_more(client, server, 3, threads)

        assert gone_alone.keys() == {1, 3}


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

    def test_two_threads_whose_calls_begin_at_the_same_time_are_answered(
        self,
        new_client: NewClient,
        new_server: NewServer,
        gone_alone: dict[int, str],
        threads: ThreadPoolExecutor,
    ) -> None:
        client, server = new_client(), new_server()
        get_used_to_new_servers(client, server)
        both = threading.Barrier(2)
        answers: dict[int, object] = {}

        def work(first: int) -> None:
            for number in range(first, first + 100):
                both.wait(10)
                received = call(client, number, n=number)
                # At this level a receive returns whatever comes next, for any thread.
                answers[received.request_id or 0] = received.body

        with echoing(server):
            for done in [threads.submit(work, first) for first in (1000, 2000)]:
                done.result(60)

        expected = {*range(1000, 1100), *range(2000, 2100)}
        assert answers == {number: {"n": number} for number in expected}
        assert gone_alone.keys() & expected
        assert client.requests_outstanding == 0

    def test_answer_to_another_threads_request_that_comes_first_is_for_that_thread(
        self,
        new_client: NewClient,
        new_server: NewServer,
        gone_alone: dict[int, str],
        threads: ThreadPoolExecutor,
    ) -> None:
        client, server = new_client(), new_server()
        get_used_to_new_servers(client, server)
        for number in range(0, 40, 2):
            called = threads.submit(call, client, number, n=number)
            alone = server.receive_request_message()
            assert alone.request_id == number
            client.send_request_message(number + 1, META, {"n": number + 1})
            other = server.receive_request_message()

            answer(server, other)
            answer(server, alone)

            # At this level a receive returns whatever comes next, for any thread.
            received = [called.result(10), client.receive_response_message(5)]
            assert {one.request_id: one.body for one in received} == {
                number: {"n": number},
                number + 1: {"n": number + 1},
            }
            assert number in gone_alone
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
    def test_child_gets_no_answer_of_its_parent(
        self, new_client: NewClient, new_server: NewServer, way: Way
    ) -> None:
        client, server = new_client(), new_server()
        way.prepare(client, server)
        if not way.is_alone:
            client.send_request_message(1, META, {})
        assert client.send_request_and_wait(2, META, {"n": 2}, 5, 5).request_id is None
        way.check(2)

        pid = os.fork()
        if not pid:
            os._exit(7 if client.receive_response_message(1).request_id is None else 8)
        _, status = os.waitpid(pid, 0)
        with echoing(server):
            received = [
                client.receive_response_message(5).request_id for _ in range(client.requests_outstanding)
            ]

        assert os.waitstatus_to_exitcode(status) == 7
        assert sorted(one or 0 for one in received) == ([2] if way.is_alone else [1, 2])
        assert client.requests_outstanding == 0

    def test_parent_and_child_go_on_calling(
        self, new_client: NewClient, new_server: NewServer, gone_alone: dict[int, str]
    ) -> None:
        client, server = new_client(), new_server()
        get_used_to_new_servers(client, server)

        pid = os.fork()
        numbers = range(5)
        if not pid:
            bodies = [call(client, number, n=number).body for number in numbers]
            is_right = bodies == [{"n": number} for number in numbers] and list(gone_alone) == [1, 2, 3, 4]
            os._exit(7 if is_right and not client.requests_outstanding else 8)
        with echoing(server):
            bodies = [call(client, number, n=number).body for number in numbers]
            _, status = os.waitpid(pid, 0)

        assert os.waitstatus_to_exitcode(status) == 7
        assert bodies == [{"n": number} for number in numbers]
        assert list(gone_alone) == [0, 1, 2, 3, 4]
        assert client.requests_outstanding == 0


def test_calls_over_several_masters(new_client: NewClient, new_server: NewServer) -> None:
    with RedisServer() as first, RedisServer() as second:
        ring = {"backend_layer_kwargs": {"hosts": [(one.host, one.port) for one in (first, second)]}}
        clients = [new_client(**ring) for _ in range(3)]

        with echoing(new_server(**ring)):
            bodies = [call(clients[number % 3], number, n=number).body for number in range(30)]

    assert bodies == [{"n": number} for number in range(30)]
