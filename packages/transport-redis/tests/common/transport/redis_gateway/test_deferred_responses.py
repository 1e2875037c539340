"""A response that is sent along with the wait for the next request: its outcome is known only during that."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymetrics.recorders.noop import noop_metrics

from pysoa.common.serializer.msgpack_serializer import MsgpackSerializer
from pysoa.common.transport.errors import MessageReceiveError, MessageReceiveTimeout, MessageSendError
from pysoa.common.transport.redis_gateway import _waits
from pysoa.common.transport.redis_gateway._push import FullListError
from pysoa.common.transport.redis_gateway.server import RedisServerTransport
from pysoa.test.redis_server import RedisServer

QUEUE = "pysoa:service.example"
META = {"client_version": [1, 4, 9], "reply_to": "service.example.me!1"}
REPLIES = "pysoa:service.example.me!1"
FULL_TEXT = r"Redis queue service\.example\.me!1 was full after [0-9] retries"

NewServer = Callable[..., RedisServerTransport]


class Lost:
    """Is told of lost responses, and remembers when."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.at: list[float] = []

    def note(self, error: Exception) -> None:
        self.errors.append(error)
        self.at.append(time.monotonic())


@pytest.fixture
def lost() -> Lost:
    return Lost()


@pytest.fixture
def mortal() -> Iterator[RedisServer]:
    """A server that a test may pause and kill."""
    with RedisServer() as server:
        yield server


def server_of(server: RedisServer, **more: Any) -> RedisServerTransport:
    settings = {
        "backend_type": "redis.standard",
        "backend_layer_kwargs": {"hosts": [(server.host, server.port)]},
    }
    return RedisServerTransport("example", noop_metrics, 1, **{**settings, **more})


def request(request_id: int) -> bytes:
    return MsgpackSerializer().dict_to_blob({"request_id": request_id, "meta": META, "body": {}})


def warm_up(transport: RedisServerTransport, server: RedisServer) -> None:
    """Let a transport have a connection in its pool."""
    server.execute("RPUSH", QUEUE, request(1000))
    assert transport.receive_request_message().request_id == 1000


def blocked_clients(server: RedisServer) -> int:
    info = server.execute("INFO", "clients")
    assert isinstance(info, bytes)
    return int(info.split(b"blocked_clients:")[1].split()[0])


def wait_until(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.002)


class TestFullList:
    @pytest.mark.parametrize("capacity", [3, 12], ids=["few", "many"])
    def test_request_taken_meanwhile_is_returned_and_nothing_is_left_of_the_response(
        self, new_server: NewServer, clean_redis: RedisServer, lost: Lost, capacity: int
    ) -> None:
        elements = [b"%d" % number for number in range(capacity)]
        clean_redis.execute("RPUSH", REPLIES, *elements)
        clean_redis.execute("RPUSH", QUEUE, request(2))
        transport = new_server(queue_capacity=capacity)
        started = time.monotonic()

        transport.send_response_and_wait(1, META, {}, lost.note)
        received = transport.receive_request_message()

        assert received.request_id == 2
        assert 0.2 < time.monotonic() - started < 2
        assert [type(error) for error in lost.errors] == [FullListError]
        assert re.fullmatch(FULL_TEXT, str(lost.errors[0]))
        assert clean_redis.execute("LRANGE", REPLIES, 0, -1) == elements

    def test_response_that_its_client_took_before_it_was_taken_back_is_not_lost(
        self, new_server: NewServer, clean_redis: RedisServer, lost: Lost
    ) -> None:
        clean_redis.execute("RPUSH", REPLIES, "x", "x", "x")
        clean_redis.execute("RPUSH", QUEUE, request(2))
        transport = new_server(queue_capacity=3)
        transport.send_response_and_wait(1, META, {"mine": True}, lost.note)
        wait_until(lambda: clean_redis.execute("LLEN", REPLIES) == 4)
        taken = clean_redis.execute("RPOP", REPLIES)

        assert transport.receive_request_message().request_id == 2

        assert b"mine" in (taken if isinstance(taken, bytes) else b"")
        assert lost.errors == []
        assert clean_redis.execute("LRANGE", REPLIES, 0, -1) == [b"x", b"x", b"x"]

    def test_room_that_comes_within_a_second_is_used(
        self, new_server: NewServer, clean_redis: RedisServer, lost: Lost
    ) -> None:
        clean_redis.execute("RPUSH", REPLIES, "x", "x", "x")
        clean_redis.execute("RPUSH", QUEUE, request(2))
        transport = new_server(queue_capacity=3)
        timer = threading.Timer(0.2, clean_redis.execute, ["LPOP", REPLIES])
        timer.start()

        transport.send_response_and_wait(1, META, {"mine": True}, lost.note)
        assert transport.receive_request_message().request_id == 2

        timer.join()
        last = clean_redis.execute("LINDEX", REPLIES, -1)
        assert b"mine" in (last if isinstance(last, bytes) else b"")
        assert lost.errors == []

    def test_interrupt_while_waiting_for_room_is_told_of(
        self,
        new_server: NewServer,
        clean_redis: RedisServer,
        lost: Lost,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        clean_redis.execute("RPUSH", REPLIES, "x", "x", "x")
        transport = new_server(queue_capacity=3, receive_timeout_in_seconds=1)
        transport.send_response_and_wait(1, META, {}, lost.note)

        def interrupt(_seconds: float) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(time, "sleep", interrupt)
            with pytest.raises(KeyboardInterrupt):
                transport.receive_request_message()

        assert [str(error) for error in lost.errors] == [
            "Interrupted by KeyboardInterrupt while a list was full"
        ]
        wait_until(lambda: not blocked_clients(clean_redis))
        clean_redis.execute("RPUSH", QUEUE, request(2))
        assert transport.receive_request_message().request_id == 2
        assert len(lost.errors) == 1

    def test_it_is_heard_of_at_once_though_no_request_comes(
        self, new_server: NewServer, clean_redis: RedisServer, lost: Lost
    ) -> None:
        clean_redis.execute("RPUSH", REPLIES, *range(12))
        transport = new_server(queue_capacity=12, queue_full_retries=0, receive_timeout_in_seconds=1)
        started = time.monotonic()

        transport.send_response_and_wait(1, META, {}, lost.note)
        with pytest.raises(MessageReceiveTimeout):
            transport.receive_request_message()

        assert len(lost.at) == 1
        assert lost.at[0] - started < 0.2


class TestErrorReply:
    def test_it_is_heard_of_at_once_though_no_request_comes(
        self, new_server: NewServer, clean_redis: RedisServer, lost: Lost
    ) -> None:
        clean_redis.execute("SET", REPLIES, "not a list")
        transport = new_server(receive_timeout_in_seconds=1)
        warm_up(transport, clean_redis)
        started = time.monotonic()

        transport.send_response_and_wait(1, META, {}, lost.note)
        with pytest.raises(MessageReceiveTimeout):
            transport.receive_request_message()

        assert [type(error) for error in lost.errors] == [MessageSendError]
        assert lost.errors[0].args[0] == "Redis error sending message for service example"
        assert lost.at[0] - started < 0.2

    @pytest.mark.parametrize("size", [1, 10_000, 300_000], ids=["plain", "large", "parts"])
    def test_worker_goes_on(
        self, new_server: NewServer, clean_redis: RedisServer, lost: Lost, size: int
    ) -> None:
        clean_redis.execute("SET", REPLIES, "not a list")
        clean_redis.execute("RPUSH", QUEUE, request(2), request(3))
        transport = new_server(
            chunk_messages_larger_than_bytes=102_400, maximum_message_size_in_bytes=600_000
        )

        transport.send_response_and_wait(1, META, {"a": "x" * size}, lost.note)

        assert [transport.receive_request_message().request_id for _ in range(2)] == [2, 3]
        assert len(lost.errors) == 1
        assert clean_redis.execute("GET", REPLIES) == b"not a list"

    def test_interrupted_transport_still_tells(
        self, new_server: NewServer, clean_redis: RedisServer, lost: Lost
    ) -> None:
        clean_redis.execute("SET", REPLIES, "not a list")
        transport = new_server(receive_timeout_in_seconds=10)
        transport.send_response_and_wait(1, META, {}, lost.note)
        transport.interrupt()

        for _ in range(2):
            with pytest.raises(MessageReceiveTimeout):
                transport.receive_request_message()

        assert len(lost.errors) == 1


class TestBrokenConnection:
    def test_response_that_was_taken_is_not_lost(
        self, new_server: NewServer, clean_redis: RedisServer, lost: Lost
    ) -> None:
        transport = new_server(receive_timeout_in_seconds=2)
        transport.send_response_and_wait(1, META, {}, lost.note)
        wait_until(lambda: blocked_clients(clean_redis))
        clean_redis.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

        with pytest.raises(MessageReceiveError):
            transport.receive_request_message()

        assert lost.errors == []
        assert clean_redis.execute("LLEN", REPLIES) == 1
        clean_redis.execute("RPUSH", QUEUE, request(2))
        assert transport.receive_request_message().request_id == 2
        assert lost.errors == []

    def test_response_that_redis_never_saw_is_lost_once(self, mortal: RedisServer, lost: Lost) -> None:
        transport = server_of(mortal, receive_timeout_in_seconds=2)
        warm_up(transport, mortal)
        mortal.execute("CLIENT", "PAUSE", 60_000)
        transport.send_response_and_wait(1, META, {}, lost.note)
        mortal.restart()

        with pytest.raises(MessageReceiveError):
            transport.receive_request_message()

        assert [type(error) for error in lost.errors] == [MessageSendError]
        mortal.execute("RPUSH", QUEUE, request(2))
        assert transport.receive_request_message().request_id == 2
        assert len(lost.errors) == 1

    def test_stale_connection_is_replaced_before_anything_is_sent(
        self, mortal: RedisServer, lost: Lost
    ) -> None:
        transport = server_of(mortal, receive_timeout_in_seconds=2)
        warm_up(transport, mortal)
        mortal.restart()
        mortal.execute("RPUSH", QUEUE, request(2))

        transport.send_response_and_wait(1, META, {}, lost.note)

        assert transport.receive_request_message().request_id == 2
        assert mortal.execute("LLEN", REPLIES) == 1
        assert lost.errors == []


class TestSilence:
    def test_paused_redis_loses_neither_response_nor_request(self, mortal: RedisServer, lost: Lost) -> None:
        transport = server_of(mortal, receive_timeout_in_seconds=1)
        warm_up(transport, mortal)
        mortal.pause()
        transport.send_response_and_wait(1, META, {}, lost.note)
        with pytest.raises(MessageReceiveError, match="did not answer within the time limit"):
            transport.receive_request_message()
        mortal.resume()
        mortal.execute("RPUSH", QUEUE, request(2))

        assert transport.receive_request_message().request_id == 2

        assert mortal.execute("LLEN", REPLIES) == 1
        assert lost.errors == []

    def test_refusal_that_comes_late_is_told_once(self, mortal: RedisServer, lost: Lost) -> None:
        transport = server_of(mortal, receive_timeout_in_seconds=1, queue_capacity=3, queue_full_retries=0)
        warm_up(transport, mortal)
        mortal.execute("RPUSH", REPLIES, "x", "x", "x")
        mortal.pause()
        transport.send_response_and_wait(1, META, {}, lost.note)
        with pytest.raises(MessageReceiveError):
            transport.receive_request_message()
        assert lost.errors == []
        mortal.resume()
        mortal.execute("RPUSH", QUEUE, request(2))

        assert transport.receive_request_message().request_id == 2

        assert [type(error) for error in lost.errors] == [FullListError]
        assert mortal.execute("LRANGE", REPLIES, 0, -1) == [b"x", b"x", b"x"]

    def test_response_counts_as_lost_once_patience_is_over(
        self, mortal: RedisServer, lost: Lost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_waits, "PATIENCE_S", 1.5)
        transport = server_of(mortal, receive_timeout_in_seconds=1)
        warm_up(transport, mortal)
        mortal.pause()
        transport.send_response_and_wait(1, META, {}, lost.note)
        for _ in range(3):
            with pytest.raises(MessageReceiveError):
                transport.receive_request_message()
        mortal.resume()
        mortal.execute("RPUSH", QUEUE, request(2), request(3))

        # Redis gave the first one to the wait that was given up, unless it had noticed that that was over.
        assert transport.receive_request_message().request_id in (2, 3)

        assert [type(error) for error in lost.errors] == [MessageSendError]


class TestFork:
    def test_child_leaves_the_outcome_to_its_parent(
        self, new_server: NewServer, clean_redis: RedisServer, lost: Lost
    ) -> None:
        clean_redis.execute("SET", REPLIES, "not a list")
        transport = new_server(receive_timeout_in_seconds=1)
        transport.send_response_and_wait(1, META, {}, lost.note)

        pid = os.fork()
        if not pid:
            transport.interrupt()
            try:
                transport.receive_request_message()
            except MessageReceiveTimeout:
                os._exit(8 if lost.errors else 7)
            os._exit(9)
        _, status = os.waitpid(pid, 0)
        clean_redis.execute("RPUSH", QUEUE, request(2))

        assert os.waitstatus_to_exitcode(status) == 7
        assert transport.receive_request_message().request_id == 2
        assert len(lost.errors) == 1


class TestManyResponses:
    def test_every_response_arrives_or_is_told_of(
        self, new_server: NewServer, clean_redis: RedisServer, lost: Lost
    ) -> None:
        jobs = 60
        clean_redis.execute("RPUSH", QUEUE, *(request(number) for number in range(jobs)))
        transport = new_server(queue_capacity=20, queue_full_retries=0, receive_timeout_in_seconds=1)
        refused = taken = 0
        for number in range(jobs):
            received = transport.receive_request_message()
            assert received.request_id == number
            try:
                transport.send_response_and_wait(number, received.meta or {}, {}, lost.note)
            except MessageSendError:
                refused += 1
            if number == 40:
                popped = clean_redis.execute("LPOP", REPLIES, 15)
                taken += len(popped) if isinstance(popped, list) else 0
        with pytest.raises(MessageReceiveTimeout):
            transport.receive_request_message()

        kept = clean_redis.execute("LLEN", REPLIES)
        assert isinstance(kept, int)
        assert taken == 15
        assert kept <= 20
        assert refused
        assert lost.errors
        assert taken + kept + refused + len(lost.errors) == jobs
