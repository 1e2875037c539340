from __future__ import annotations

import logging
import os
import threading
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from pysoa.common.interfaces import AbandonsRequests
from pysoa.common.serializer.errors import InvalidField, InvalidMessage
from pysoa.common.serializer.msgpack_serializer import MsgpackSerializer
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import (
    InvalidMessageError,
    MessageReceiveError,
    MessageReceiveTimeout,
    MessageSendError,
)
from pysoa.common.transport.redis_gateway._chunking import split_message
from pysoa.common.transport.redis_gateway._framing import frame_header
from pysoa.common.transport.redis_gateway.client import RedisClientTransport
from pysoa.common.transport.redis_gateway.constants import ProtocolVersion
from pysoa.common.transport.redis_gateway.server import RedisServerTransport
from pysoa.test.redis_server import RedisServer

QUEUE = "pysoa:service.example"
META = {"client_version": [1, 4, 9]}
NOTHING = ReceivedMessage(None, None, None)
PREFIX = "client.transport.redis_gateway."

NewClient = Callable[..., RedisClientTransport]
NewServer = Callable[..., RedisServerTransport]


def pack(request_id: object, body: object, **meta: object) -> bytes:
    return MsgpackSerializer().dict_to_blob({"request_id": request_id, "meta": meta, "body": body})


def body_of(message: ReceivedMessage) -> object:
    """Return the body; the older server of these tests answers with texts."""
    return message.body


class OldServer:
    """Answers as a server of PySOA 1.4.9 does: to ``reply_to`` only, part by part."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._serializer = MsgpackSerializer()

    def take(self) -> dict[str, Any]:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            message = self._server.execute("LPOP", QUEUE)
            if isinstance(message, bytes):
                return self._serializer.blob_to_dict(message.partition(b";")[2])
        raise AssertionError("no request came")

    def parts(self, request: dict[str, Any], body: object, size: int = 0) -> list[bytes]:
        blob = pack(request["request_id"], body, **request["meta"])
        if not size:
            return [frame_header(ProtocolVersion.VERSION_3, "application/msgpack") + blob]
        payloads = split_message(blob, size)
        return [
            frame_header(ProtocolVersion.VERSION_3, "application/msgpack", len(payloads), number)
            + bytes(payload)
            for number, payload in enumerate(payloads, start=1)
        ]

    def push(self, request: dict[str, Any], element: bytes) -> None:
        self._server.execute("RPUSH", "pysoa:" + request["meta"]["reply_to"], element)

    def answer(self, request: dict[str, Any], body: object, size: int = 0) -> None:
        for element in self.parts(request, body, size):
            self.push(request, element)


@pytest.fixture
def old_server(clean_redis: RedisServer) -> OldServer:
    return OldServer(clean_redis)


def push_shared(server: RedisServer, request: dict[str, Any], *elements: bytes) -> None:
    server.execute("RPUSH", "pysoa:" + request["meta"]["shared_reply_to"], *elements)


def wait_until(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.002)


class TestConstruction:
    def test_it_can_abandon_requests_and_takes_bodies_as_they_are(self, new_client: NewClient) -> None:
        transport = new_client()

        assert isinstance(transport, AbandonsRequests)
        assert transport.carries_native_values

    def test_service_name_that_looks_like_a_reply_list_is_refused(
        self, settings: dict[str, Any], metrics: Any
    ) -> None:
        for transport_class, arguments in ((RedisClientTransport, ()), (RedisServerTransport, (1,))):
            with pytest.raises(ValueError, match="contains '!'"):
                transport_class("exam!ple", metrics, *arguments, **settings)

    def test_building_one_touches_no_redis(self, metrics: Any) -> None:
        transport = RedisClientTransport("example", metrics, backend_type="redis.standard")

        assert transport.receive_response_message() == NOTHING
        assert transport.requests_outstanding == 0
        assert len(transport.client_id) == 32
        transport.abandon_request(5)
        assert metrics.instruments == []

    def test_repr_shows_no_password(self, metrics: Any) -> None:
        kwargs = {"connection_kwargs": {"password": "hunter2"}}
        transport = RedisClientTransport(
            "example", metrics, backend_type="redis.standard", backend_layer_kwargs=kwargs
        )

        assert "hunter2" not in repr(transport)


class TestCalls:
    def test_response_of_a_new_server_comes_by_the_shared_list(
        self, new_client: NewClient, new_server: NewServer, clean_redis: RedisServer
    ) -> None:
        client, server = new_client(), new_server()
        client.send_request_message(5, META, {"a": (1, 2), "b": {3}})
        request = server.receive_request_message()
        assert request.meta is not None
        assert list(request.meta)[:4] == ["client_version", "reply_to", "shared_reply_to", "__expiry__"]

        server.send_response_message(5, request.meta, {"r": 1})

        assert clean_redis.execute("EXISTS", "pysoa:" + request.meta["shared_reply_to"]) == 1
        assert clean_redis.execute("EXISTS", "pysoa:" + request.meta["reply_to"]) == 0
        response = client.receive_response_message()
        assert (response.request_id, response.body) == (5, {"r": 1})
        assert request.body == {"a": [1, 2], "b": [3]}
        assert client.requests_outstanding == 0
        assert META == {"client_version": [1, 4, 9]}

    def test_response_of_an_older_server_comes_by_the_requests_own_list(
        self, new_client: NewClient, old_server: OldServer
    ) -> None:
        client = new_client()
        client.send_request_message(5, META, {})
        client.send_request_message(6, META, {})
        first, second = old_server.take(), old_server.take()
        assert first["meta"]["reply_to"] != second["meta"]["reply_to"]

        old_server.answer(second, "two")
        old_server.answer(first, "one")

        responses = [client.receive_response_message() for _ in range(2)]
        assert {response.request_id: body_of(response) for response in responses} == {5: "one", 6: "two"}

    def test_receive_with_nothing_outstanding_returns_at_once(
        self, new_client: NewClient, new_server: NewServer
    ) -> None:
        client, server = new_client(), new_server()
        client.send_request_message(5, META, {})
        request = server.receive_request_message()
        server.send_response_message(5, request.meta or {}, {})
        client.receive_response_message()

        assert client.receive_response_message() == NOTHING

    @pytest.mark.parametrize("version", [1, 2, 3])
    def test_every_protocol_version_is_answered_in_kind(
        self, new_client: NewClient, new_server: NewServer, version: int, clean_redis: RedisServer
    ) -> None:
        client, server = new_client(protocol_version=version), new_server()
        client.send_request_message(5, META, {})
        request = server.receive_request_message()

        server.send_response_message(5, request.meta or {}, {"r": 1})

        element = clean_redis.execute("LINDEX", "pysoa:" + (request.meta or {})["shared_reply_to"], 0)
        assert isinstance(element, bytes)
        assert ProtocolVersion.extract_version(element)[0] == version
        assert client.receive_response_message().body == {"r": 1}

    def test_text_may_be_a_request_id(self, new_client: NewClient, old_server: OldServer) -> None:
        client = new_client()
        client.send_request_message("five", META, {})  # type: ignore[arg-type]  # other transports' users do it

        old_server.answer(old_server.take(), "x")

        request_id: object = client.receive_response_message().request_id
        assert request_id == "five"

    def test_failed_send_is_not_outstanding(self, new_client: NewClient, clean_redis: RedisServer) -> None:
        client = new_client(queue_capacity=1, queue_full_retries=0)
        with pytest.raises(InvalidField):
            client.send_request_message(1, META, {"a": object()})
        with pytest.raises(InvalidMessageError):
            client.send_request_message(None, META, {})  # type: ignore[arg-type]  # what is tested
        clean_redis.execute("RPUSH", QUEUE, "x")
        with pytest.raises(MessageSendError, match="was full after 0 retries"):
            client.send_request_message(2, META, {})

        assert client.requests_outstanding == 0

    def test_suppressed_request_is_never_outstanding(
        self, new_client: NewClient, new_server: NewServer
    ) -> None:
        client, server = new_client(), new_server()

        client.send_request_message(1, META, {"control": {"suppress_response": True}})

        assert client.requests_outstanding == 0
        assert client.receive_response_message() == NOTHING
        request = server.receive_request_message()
        assert isinstance((request.meta or {})["reply_to"], str)
        client.send_request_message(2, META, {})
        server.send_response_message(2, server.receive_request_message().meta or {}, {})
        assert client.receive_response_message(1).request_id == 2

    @pytest.mark.parametrize("body", [{"control": None}, {"control": 5}, {"control": {}}], ids=str)
    def test_odd_control_means_that_an_answer_is_awaited(
        self, new_client: NewClient, body: dict[str, Any]
    ) -> None:
        client = new_client()

        client.send_request_message(1, META, body)

        assert client.requests_outstanding == 1

    def test_fraction_of_a_second_is_a_good_time_limit(
        self, new_client: NewClient, clean_redis: RedisServer
    ) -> None:
        client = new_client()

        client.send_request_message(1, META, {}, 1.5)

        assert clean_redis.execute("TTL", QUEUE) == 12

    def test_negative_time_limit_is_refused_before_sending(
        self, new_client: NewClient, clean_redis: RedisServer
    ) -> None:
        client = new_client()

        with pytest.raises(ValueError, match="message_expiry_in_seconds"):
            client.send_request_message(1, META, {}, -1)

        assert clean_redis.execute("EXISTS", QUEUE) == 0
        assert client.requests_outstanding == 0


class TestLateAndLost:
    def test_late_response_does_not_reach_the_next_call(
        self, new_client: NewClient, new_server: NewServer, old_server: OldServer, clean_redis: RedisServer
    ) -> None:
        client, server = new_client(), new_server()
        for request_id, answer in ((1, old_server.answer), (2, None)):
            client.send_request_message(request_id, META, {})
            with pytest.raises(MessageReceiveTimeout):
                client.receive_response_message(0.05)
            client.abandon_request(request_id)
            late = old_server.take()
            if answer is not None:
                answer(late, "late")
            else:
                push_shared(clean_redis, late, old_server.parts(late, "late")[0])

        client.send_request_message(3, META, {})
        server.send_response_message(3, server.receive_request_message().meta or {}, "good")  # type: ignore[arg-type]

        response = client.receive_response_message()
        assert (response.request_id, body_of(response)) == (3, "good")
        assert client.receive_response_message() == NOTHING

    def test_timed_out_request_is_still_answered_if_nobody_abandons_it(
        self, new_client: NewClient, old_server: OldServer
    ) -> None:
        client = new_client()
        client.send_request_message(1, META, {})
        with pytest.raises(MessageReceiveTimeout, match=r"^No message received for service example$"):
            client.receive_response_message(0.05)

        old_server.answer(old_server.take(), "late")

        assert client.requests_outstanding == 1
        assert body_of(client.receive_response_message()) == "late"

    def test_expired_response_fails_its_own_request_only(
        self, new_client: NewClient, old_server: OldServer, clean_redis: RedisServer, metrics: Any
    ) -> None:
        client = new_client(metrics=metrics)
        client.send_request_message(1, META, {})
        client.send_request_message(2, META, {})
        first, second = old_server.take(), old_server.take()
        push_shared(clean_redis, first, pack(1, "old", __expiry__=1.0), old_server.parts(second, "good")[0])

        with pytest.raises(MessageReceiveTimeout, match=r"^Message expired for service example$") as caught:
            client.receive_response_message()

        assert caught.value.request_id == 1  # type: ignore[attr-defined]  # set by the transport
        assert body_of(client.receive_response_message()) == "good"
        assert client.requests_outstanding == 0
        assert metrics.count_of(PREFIX + "receive.error.message_expired") == 1

    def test_expired_response_to_nobody_is_dropped(
        self, new_client: NewClient, old_server: OldServer, clean_redis: RedisServer
    ) -> None:
        client = new_client()
        client.send_request_message(1, META, {})
        request = old_server.take()
        push_shared(clean_redis, request, pack(9, "old", __expiry__=1.0), pack([], "old", __expiry__=1.0))
        old_server.answer(request, "good")

        assert body_of(client.receive_response_message()) == "good"

    def test_response_to_another_request_on_an_exclusive_list_is_not_delivered(
        self, new_client: NewClient, old_server: OldServer, metrics: Any
    ) -> None:
        client = new_client(metrics=metrics)
        client.send_request_message(1, META, {})
        client.send_request_message(2, META, {})
        first, second = old_server.take(), old_server.take()
        old_server.push(first, pack(2, "not for you"))

        with pytest.raises(InvalidMessageError, match="another request") as caught:
            client.receive_response_message()

        assert caught.value.request_id == 1  # type: ignore[attr-defined]  # set by the transport
        old_server.answer(second, "two")
        assert body_of(client.receive_response_message()) == "two"

    def test_outage_loses_no_later_call(
        self, new_client: NewClient, new_server: NewServer, clean_redis: RedisServer
    ) -> None:
        client = new_client()
        server = new_server()
        client.send_request_message(1, META, {})
        clean_redis.kill()
        with pytest.raises(MessageReceiveError):
            client.receive_response_message(1)
        with pytest.raises(MessageSendError):
            client.send_request_message(2, META, {})
        clean_redis.restart()
        client.abandon_request(1)

        client.send_request_message(3, META, {})
        server.send_response_message(3, server.receive_request_message().meta or {}, {})

        assert client.receive_response_message().request_id == 3

    def test_paused_redis_ends_the_wait_within_its_time_limit(
        self, new_client: NewClient, clean_redis: RedisServer
    ) -> None:
        client = new_client()
        client.send_request_message(1, META, {})
        clean_redis.pause()
        started = time.monotonic()
        try:
            with pytest.raises((MessageReceiveError, MessageReceiveTimeout)):
                client.receive_response_message(1)
        finally:
            clean_redis.resume()

        assert time.monotonic() - started < 1.5

    def test_requests_that_nobody_abandons_do_not_pile_up(
        self, new_client: NewClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = new_client()
        for request_id in range(20):
            client.send_request_message(request_id, META, {}, 1)
        real = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: real() + 7200)

        for request_id in range(20, 60):
            client.send_request_message(request_id, META, {}, 1)

        assert client.requests_outstanding == 40

    def test_answer_of_a_long_job_outlives_its_request_while_others_are_called(
        self, new_client: NewClient, old_server: OldServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = new_client()
        client.send_request_message(0, META, {}, 1)
        long_job = old_server.take()
        real = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: real() + 600)
        for request_id in range(1, 70):
            client.send_request_message(request_id, META, {})

        old_server.answer(long_job, "done at last")

        assert body_of(client.receive_response_message()) == "done at last"

    def test_memory_is_flat_over_timed_out_calls(self, new_client: NewClient) -> None:
        client = new_client(queue_capacity=100_000)

        def time_out(first: int, count: int) -> None:
            for request_id in range(first, first + count):
                client.send_request_message(request_id, META, {})
                client.abandon_request(request_id)

        time_out(0, 500)
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            time_out(500, 5_000)
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()

        assert grown < 100_000
        assert client.requests_outstanding == 0


class TestParts:
    def test_parts_of_parallel_answers_of_older_servers_never_mix(
        self, new_client: NewClient, old_server: OldServer
    ) -> None:
        client = new_client()
        for request_id in range(6):
            client.send_request_message(request_id, META, {})
        requests = [old_server.take() for _ in range(6)]
        queues = [old_server.parts(request, "x" * (100 + request["request_id"]), 37) for request in requests]
        while any(queues):
            for request, queue in zip(requests, queues, strict=True):
                if queue:
                    old_server.push(request, queue.pop(0))

        responses = [client.receive_response_message() for _ in range(6)]

        assert {response.request_id: body_of(response) for response in responses} == {
            number: "x" * (100 + number) for number in range(6)
        }

    def test_parts_that_come_slowly_are_waited_for_while_others_are_delivered(
        self, new_client: NewClient, old_server: OldServer
    ) -> None:
        client = new_client()
        client.send_request_message(1, META, {})
        client.send_request_message(2, META, {})
        slow, fast = old_server.take(), old_server.take()
        parts = old_server.parts(slow, "s" * 100, 40)
        old_server.push(slow, parts[0])
        old_server.answer(fast, "fast")

        assert body_of(client.receive_response_message(2)) == "fast"

        for part in parts[1:]:
            old_server.push(slow, part)
        assert body_of(client.receive_response_message(2)) == "s" * 100

    def test_broken_sequence_fails_only_its_own_request(
        self, new_client: NewClient, old_server: OldServer, metrics: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        client = new_client(metrics=metrics)
        client.send_request_message(1, META, {})
        client.send_request_message(2, META, {})
        broken, sound = old_server.take(), old_server.take()
        parts = old_server.parts(broken, "x" * 200, 40)
        for part in (parts[0], parts[2], *parts[1:]):
            old_server.push(broken, part)

        with pytest.raises(InvalidMessageError, match="incorrect chunk ID 3 expected 2") as caught:
            client.receive_response_message()

        assert caught.value.request_id == 1  # type: ignore[attr-defined]  # set by the transport
        old_server.answer(sound, "sound")
        assert body_of(client.receive_response_message()) == "sound"
        client.send_request_message(3, META, {})
        old_server.answer(old_server.take(), "next")
        assert body_of(client.receive_response_message()) == "next"
        assert metrics.count_of(PREFIX + "receive.error.invalid_message") == 1
        assert len([one for one in caplog.records if one.levelno >= logging.WARNING]) == 1

    def test_response_in_parts_from_a_new_server(self, new_client: NewClient, new_server: NewServer) -> None:
        client = new_client()
        server = new_server(chunk_messages_larger_than_bytes=102_400, maximum_message_size_in_bytes=2_000_000)
        body = {"rows": ["x" * 1000] * 1000}
        for request_id in (1, 2, 3):
            client.send_request_message(request_id, META, {})
        for _ in range(3):
            request = server.receive_request_message()
            server.send_response_message(request.request_id or 0, request.meta or {}, body)

        responses = [client.receive_response_message() for _ in range(3)]

        assert [response.request_id for response in responses] == [1, 2, 3]
        assert all(response.body == body for response in responses)

    def test_junk_between_parts_on_the_shared_list_costs_one_response(
        self, new_client: NewClient, old_server: OldServer, clean_redis: RedisServer
    ) -> None:
        client = new_client()
        client.send_request_message(1, META, {})
        client.send_request_message(2, META, {})
        first, second = old_server.take(), old_server.take()
        parts = old_server.parts(first, "x" * 100, 40)
        push_shared(clean_redis, first, parts[0], *old_server.parts(second, "good"), *parts[1:])

        assert body_of(client.receive_response_message()) == "good"
        with pytest.raises(MessageReceiveTimeout):
            client.receive_response_message(0.1)


class TestThreads:
    def test_many_threads_share_a_client(self, new_client: NewClient, new_server: NewServer) -> None:
        client = new_client()
        stop = threading.Event()
        servers = [new_server(receive_timeout_in_seconds=1) for _ in range(2)]

        def serve(server: RedisServerTransport) -> None:
            while not stop.is_set():
                try:
                    request = server.receive_request_message()
                except MessageReceiveTimeout:
                    continue
                server.send_response_message(request.request_id or 0, request.meta or {}, request.body or {})

        answers: dict[int, Any] = {}

        def call(first: int) -> None:
            for request_id in range(first, first + 100):
                client.send_request_message(request_id, META, {"n": request_id})
                response = client.receive_response_message(5)
                answers[response.request_id or 0] = (response.body or {})["n"]

        workers = [threading.Thread(target=serve, args=(server,)) for server in servers]
        callers = [threading.Thread(target=call, args=(number * 1000 + 1,)) for number in range(4)]
        for thread in workers + callers:
            thread.start()
        for thread in callers:
            thread.join(30)
        stop.set()
        for server in servers:
            server.interrupt()
        for thread in workers:
            thread.join(5)

        # Each receive gets the next answer to any request of the client; in the end, each was got once.
        assert len(answers) == 400
        assert all(request_id == body for request_id, body in answers.items())
        assert client.requests_outstanding == 0

    def test_sender_wakes_a_waiting_thread_for_the_answer_of_an_older_server(
        self, new_client: NewClient, old_server: OldServer, clean_redis: RedisServer
    ) -> None:
        client = new_client()
        client.send_request_message(1, META, {})
        unanswered = old_server.take()
        got: list[ReceivedMessage] = []
        waiter = threading.Thread(target=lambda: got.append(client.receive_response_message(5)))
        waiter.start()
        wait_until(lambda: b"blpop" in bytes(clean_redis.execute("CLIENT", "LIST")).lower())  # type: ignore[arg-type]

        started = time.monotonic()
        client.send_request_message(2, META, {})
        old_server.answer(old_server.take(), "quick")
        waiter.join(5)

        assert [body_of(response) for response in got] == ["quick"]
        assert time.monotonic() - started < 0.8
        assert unanswered["request_id"] == 1

    def test_second_receiver_waits_no_longer_than_it_wants_to(
        self, new_client: NewClient, clean_redis: RedisServer
    ) -> None:
        client = new_client()
        client.send_request_message(1, META, {})
        errors: list[BaseException] = []

        def wait() -> None:
            try:
                client.receive_response_message(1)
            except MessageReceiveTimeout as error:
                errors.append(error)

        waiter = threading.Thread(target=wait)
        waiter.start()
        wait_until(lambda: b"blpop" in bytes(clean_redis.execute("CLIENT", "LIST")).lower())  # type: ignore[arg-type]
        started = time.monotonic()

        with pytest.raises(MessageReceiveTimeout):
            client.receive_response_message(0.1)

        assert time.monotonic() - started < 0.6
        waiter.join(5)
        assert len(errors) == 1


class TestForks:
    def test_child_and_parent_never_get_each_others_responses(
        self, new_client: NewClient, old_server: OldServer
    ) -> None:
        client = new_client()
        client.send_request_message(1, META, {})
        request = old_server.take()
        name = client.client_id
        reader, writer = os.pipe()

        pid = os.fork()
        if not pid:
            outstanding = client.requests_outstanding
            client.send_request_message(1, META, {"from": "child"})
            os.write(writer, f"{client.client_id} {outstanding}".encode())
            os._exit(0)
        os.waitpid(pid, 0)
        child_name, child_outstanding = os.read(reader, 100).decode().split()
        os.close(reader)
        os.close(writer)

        childs_request = old_server.take()
        old_server.answer(childs_request, "for the child")
        old_server.answer(request, "for the parent")
        assert body_of(client.receive_response_message()) == "for the parent"
        assert client.client_id == name != child_name
        assert child_outstanding == "0"
        assert childs_request["meta"]["reply_to"].split("!")[0].endswith(child_name)


class TestMetrics:
    def test_a_call_is_measured_under_the_published_names(
        self, new_client: NewClient, old_server: OldServer, metrics: Any
    ) -> None:
        client = new_client(metrics=metrics)
        client.core.backend()
        metrics.clear()

        client.send_request_message(1, META, {})
        sent = metrics.names(PREFIX)
        old_server.answer(old_server.take(), {})
        metrics.clear()
        client.receive_response_message()

        assert sent == [
            "send",
            "send.serialize",
            "send.message_size",
            "send.get_redis_connection",
            "send.send_message_to_redis_queue",
        ]
        assert metrics.names(PREFIX) == [
            "receive",
            "receive.get_redis_connection",
            "receive.pop_from_redis_queue",
            "receive.deserialize",
        ]
        assert all(instrument.value is not None for instrument in metrics.instruments)

    def test_timeout_and_trouble_are_counted(
        self, new_client: NewClient, clean_redis: RedisServer, metrics: Any
    ) -> None:
        client = new_client(metrics=metrics)
        client.send_request_message(1, META, {})

        with pytest.raises(MessageReceiveTimeout):
            client.receive_response_message(0.05)
        clean_redis.kill()
        with pytest.raises(MessageReceiveError):
            client.receive_response_message(1)
        with pytest.raises(MessageSendError):
            client.send_request_message(2, META, {})

        assert metrics.count_of(PREFIX + "receive.error.timeout") == 1
        assert metrics.count_of(PREFIX + "receive.error.transient") == 1
        assert metrics.count_of(PREFIX + "send.error.transient") == 1

    def test_undecodable_response_is_counted_and_fails_its_request(
        self, new_client: NewClient, old_server: OldServer, metrics: Any
    ) -> None:
        client = new_client(metrics=metrics)
        client.send_request_message(1, META, {})
        old_server.push(old_server.take(), b"\xc1")

        with pytest.raises(InvalidMessage) as caught:
            client.receive_response_message()

        assert caught.value.request_id == 1  # type: ignore[attr-defined]  # set by the transport
        assert metrics.count_of(PREFIX + "receive.error.invalid_message") == 1
        assert client.requests_outstanding == 0


class TestPermissions:
    COMMANDS = "blpop lpop rpush lrem llen ltrim ttl expire del eval evalsha multi exec ping"

    def test_user_with_the_documented_permissions_can_call(self, metrics: Any) -> None:
        rules = " ".join("+" + command for command in self.COMMANDS.split())
        with RedisServer(config=[f"user worker on >secret ~pysoa:* -@all {rules}"]) as server:
            settings = {
                "backend_type": "redis.standard",
                "backend_layer_kwargs": {
                    "hosts": [(server.host, server.port)],
                    "connection_kwargs": {"username": "worker", "password": "secret"},
                },
            }
            client = RedisClientTransport("example", metrics, **settings)
            worker = RedisServerTransport(
                "example",
                metrics,
                1,
                chunk_messages_larger_than_bytes=102_400,
                maximum_message_size_in_bytes=600_000,
                **settings,
            )
            lost: list[Exception] = []
            for number, size in enumerate((1, 10_000, 300_000)):
                client.send_request_message(number, META, {"a": "x" * min(size, 50_000)})
                client.send_request_message(number + 10, META, {})
                for _ in range(2):
                    request = worker.receive_request_message()
                    worker.send_response_and_wait(
                        request.request_id or 0, request.meta or {}, {"a": "x" * size}, lost.append
                    )

                sizes = [len((client.receive_response_message().body or {})["a"]) for _ in range(2)]

                assert sizes == [size, size]
            with pytest.raises(MessageReceiveTimeout):
                worker.receive_request_message()
            assert lost == []
