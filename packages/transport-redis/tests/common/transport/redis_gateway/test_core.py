from __future__ import annotations

import logging
import math
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pysoa.common.serializer.base import Serializer
from pysoa.common.serializer.errors import InvalidField, InvalidMessage
from pysoa.common.serializer.json_serializer import JSONSerializer
from pysoa.common.transport.errors import (
    InvalidMessageError,
    MessageReceiveError,
    MessageReceiveTimeout,
    MessageSendError,
    MessageTooLarge,
)
from pysoa.common.transport.redis_gateway import core as core_module
from pysoa.common.transport.redis_gateway.core import (
    RedisTransportClientCore,
    RedisTransportCore,
    RedisTransportServerCore,
)
from pysoa.test.redis_server import RedisServer

LIST = "pysoa:list"
CLIENT = "client.transport.redis_gateway."
SERVER = "server.transport.redis_gateway."


@pytest.fixture
def new_core(settings: dict[str, Any]) -> Callable[..., RedisTransportClientCore]:
    def new(**more: Any) -> RedisTransportClientCore:
        arguments: dict[str, Any] = {**settings, "service_name": "example", **more}
        return RedisTransportClientCore(**arguments)

    return new


@pytest.fixture
def new_server_core(settings: dict[str, Any]) -> Callable[..., RedisTransportServerCore]:
    def new(**more: Any) -> RedisTransportServerCore:
        arguments: dict[str, Any] = {**settings, "service_name": "example", **more}
        return RedisTransportServerCore(**arguments)

    return new


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Makes sleeping take no time, and the clock jump instead; returns what was slept."""
    slept: list[float] = []
    real_time = time.time

    def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "time", lambda: real_time() + sum(slept))
    monkeypatch.setattr(random, "random", lambda: 0.5)
    return slept


class TestConstruction:
    def test_unknown_backend_type_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"backend_type must be one of \(.*\), got redis\.cluster"):
            RedisTransportClientCore("redis.cluster")

    def test_numbers_may_be_text(self) -> None:
        core = RedisTransportClientCore("redis.standard", queue_capacity="12", queue_full_retries=0.9)  # type: ignore[arg-type]  # tests of 1.x do this

        assert (core.queue_capacity, core.queue_full_retries) == (12, 0)

    def test_bad_protocol_version_is_refused(self) -> None:
        with pytest.raises(ValueError, match="9 is not a valid ProtocolVersion"):
            RedisTransportClientCore("redis.standard", protocol_version=9)

    @pytest.mark.parametrize("name", ["receive_timeout_in_seconds", "message_expiry_in_seconds"])
    def test_time_limit_of_nothing_is_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
            RedisTransportServerCore("redis.standard", **{name: 0})  # type: ignore[arg-type]  # one name of several

    @pytest.mark.parametrize("size", [0, 1, 102_399])
    def test_parts_below_the_minimum_are_refused(self, size: int) -> None:
        with pytest.raises(ValueError, match=f"must be >= 102400, got {size}"):
            RedisTransportServerCore("redis.standard", chunk_messages_larger_than_bytes=size)

    def test_parts_need_a_larger_maximum(self) -> None:
        with pytest.raises(ValueError, match="at least 5 times larger"):
            RedisTransportServerCore("redis.standard", chunk_messages_larger_than_bytes=102_400)

    def test_defaults_are_those_of_1_4_9(self) -> None:
        client, server = (
            RedisTransportClientCore("redis.standard"),
            RedisTransportServerCore("redis.standard"),
        )

        assert client.maximum_message_size_in_bytes == client.log_messages_larger_than_bytes == 102_400
        assert server.maximum_message_size_in_bytes == server.log_messages_larger_than_bytes == 256_000
        assert server.chunk_messages_larger_than_bytes == -1
        assert (client.is_server, server.is_server) == (False, True)
        assert client.default_serializer.mime_type == "application/msgpack"
        assert core_module.__all__ == (
            "RedisTransportClientCore",
            "RedisTransportCore",
            "RedisTransportServerCore",
        )

    def test_the_callers_settings_are_not_changed(self) -> None:
        kwargs = {"hosts": ["a"], "redis_db": 3, "redis_port": 7, "connection_kwargs": {"x": 1}}

        core = RedisTransportClientCore("redis.standard", backend_layer_kwargs=kwargs)

        assert kwargs == {"hosts": ["a"], "redis_db": 3, "redis_port": 7, "connection_kwargs": {"x": 1}}
        assert core.backend_layer_kwargs == {"hosts": [("a", 7)], "connection_kwargs": {"x": 1, "db": 3}}

    def test_repr_shows_no_password(self) -> None:
        core = RedisTransportClientCore(
            "redis.standard", backend_layer_kwargs={"connection_kwargs": {"password": "hunter2"}}
        )

        assert "hunter2" not in repr(core)
        assert "redis.standard" in repr(core)


class TestBackends:
    def test_cores_with_equal_settings_share_a_backend(
        self, new_core: Callable[..., RedisTransportClientCore], settings: dict[str, Any]
    ) -> None:
        other = RedisTransportServerCore(**settings)

        assert new_core().backend_layer is other.backend_layer

    def test_clearing_the_cache_makes_new_cores_connect_anew(
        self, new_core: Callable[..., RedisTransportClientCore], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = new_core().backend_layer

        monkeypatch.setattr(RedisTransportCore, "_backend_layer_cache", {})

        assert new_core().backend_layer is not before

    def test_backend_counts_for_the_core_that_looked_last(
        self, new_core: Callable[..., RedisTransportClientCore]
    ) -> None:
        first, second = new_core(), new_core()

        backend = first.backend_layer
        assert backend.metrics_counter_getter == first.meters.counter
        assert second.backend_layer.metrics_counter_getter == second.meters.counter


class TestSending:
    def test_message_without_request_id_is_refused(
        self, new_core: Callable[..., RedisTransportClientCore]
    ) -> None:
        with pytest.raises(InvalidMessageError, match=r"^No request ID$"):
            new_core().send_message("list", None, {}, {})

    def test_meta_is_not_changed(self, new_core: Callable[..., RedisTransportClientCore]) -> None:
        core = new_core()
        core.send_message("list", 0, {"a": 1}, {})
        received = core.receive_message("list")
        meta = dict(received.meta or {})

        core.send_message("list", 0, meta, {})

        assert meta == received.meta
        assert "serializer" in meta

    def test_keys_keep_their_order_and_live_objects_stay_behind(
        self, new_core: Callable[..., RedisTransportClientCore], redis_server: RedisServer
    ) -> None:
        core = new_core()
        live = {"serializer": core.default_serializer, "protocol_version": core.protocol_version}

        core.send_message("list", 1, {"a": 1, "__expiry__": 5, **live, "b": 2}, {"c": 3})

        element: Any = redis_server.execute("LPOP", LIST)
        envelope = core.default_serializer.blob_to_dict(element.partition(b"msgpack;")[2])
        assert list(envelope) == ["request_id", "meta", "body"]
        assert list(envelope["meta"]) == ["a", "__expiry__", "b"]
        assert envelope["meta"]["__expiry__"] > time.time()

    def test_message_of_exactly_the_maximum_size_passes(
        self, new_core: Callable[..., RedisTransportClientCore]
    ) -> None:
        size = new_core().prepare_message(1, {}, {"a": "x" * 1000}, None).size

        new_core(maximum_message_size_in_bytes=size).send_message("list", 1, {}, {"a": "x" * 1000})
        with pytest.raises(MessageTooLarge, match="Message exceeds maximum message size") as caught:
            new_core(maximum_message_size_in_bytes=size - 1).send_message("list", 1, {}, {"a": "x" * 1000})

        assert caught.value.message_size_in_bytes == size

    def test_large_message_is_logged_with_censored_content(
        self, new_core: Callable[..., RedisTransportClientCore], caplog: pytest.LogCaptureFixture
    ) -> None:
        core = new_core(log_messages_larger_than_bytes=100)

        core.send_message("list", 1, {}, {"password": "hunter2", "filler": "x" * 200})

        (record,) = [one for one in caplog.records if one.name == "pysoa.transport.oversized_message"]
        assert record.getMessage() == "Oversized message sent for PySOA service example"
        data: Any = record.__dict__["data"]
        assert data["threshold"] == 100
        assert data["serialized_length_in_bytes"] > 200
        assert "hunter2" not in repr(data["message"])

    @pytest.mark.parametrize("threshold", [0, 100_000])
    def test_message_below_the_threshold_is_not_logged(
        self,
        new_core: Callable[..., RedisTransportClientCore],
        caplog: pytest.LogCaptureFixture,
        threshold: int,
    ) -> None:
        new_core(log_messages_larger_than_bytes=threshold).send_message("list", 1, {}, {"a": "x" * 200})

        assert not caplog.records

    def test_message_that_cannot_be_serialized_is_not_sent(
        self, new_core: Callable[..., RedisTransportClientCore], clean_redis: RedisServer
    ) -> None:
        with pytest.raises(InvalidField):
            new_core().send_message("list", 1, {}, {"a": object()})

        assert clean_redis.execute("EXISTS", LIST) == 0

    def test_serializer_of_the_settings_is_used(
        self, new_core: Callable[..., RedisTransportClientCore], clean_redis: RedisServer
    ) -> None:
        core = new_core(default_serializer_config={"object": JSONSerializer, "kwargs": {}})

        core.send_message("list", 1, {}, {"a": (1, 2)})
        core.send_message("list", 1, {}, {"a": (1, 2)})

        element = clean_redis.execute("LPOP", LIST)
        assert isinstance(element, bytes)
        assert element.startswith(b'pysoa-redis/3//content-type:application/json;{"request_id": 1, ')
        assert core.receive_message("list").body == {"a": [1, 2]}


class TestTimeToLive:
    def ttl(self, server: RedisServer) -> object:
        return server.execute("TTL", LIST)

    def test_short_message_does_not_shorten_the_life_of_longer_ones(
        self, new_core: Callable[..., RedisTransportClientCore], clean_redis: RedisServer
    ) -> None:
        core = new_core()
        core.send_message("list", 1, {}, {})
        assert self.ttl(clean_redis) == 60

        core.send_message("list", 2, {}, {}, 5)

        assert self.ttl(clean_redis) == 60

    def test_long_message_lengthens_the_life_of_the_list(
        self, new_core: Callable[..., RedisTransportClientCore], clean_redis: RedisServer
    ) -> None:
        core = new_core()
        core.send_message("list", 1, {}, {}, 5)
        assert self.ttl(clean_redis) == 15

        core.send_message("list", 2, {}, {}, 10**9)

        assert self.ttl(clean_redis) == 10**9 + 10

    def test_fraction_of_a_second_is_rounded_up(
        self, new_core: Callable[..., RedisTransportClientCore], clean_redis: RedisServer
    ) -> None:
        new_core().send_message("list", 1, {}, {}, 0.5)

        assert self.ttl(clean_redis) == 11

    @pytest.mark.parametrize("expiry", [-1, -10, -60, math.nan, math.inf])
    def test_impossible_expiry_sends_nothing_and_deletes_nothing(
        self, new_core: Callable[..., RedisTransportClientCore], clean_redis: RedisServer, expiry: float
    ) -> None:
        core = new_core()
        core.send_message("list", 1, {}, {})

        with pytest.raises(ValueError, match="message_expiry_in_seconds"):
            core.send_message("list", 2, {}, {}, expiry)

        assert clean_redis.execute("LLEN", LIST) == 1
        assert self.ttl(clean_redis) == 60

    @pytest.mark.parametrize("expiry", [None, 0, 0.0])
    def test_without_expiry_the_setting_counts_and_the_list_gets_no_slack(
        self,
        new_core: Callable[..., RedisTransportClientCore],
        clean_redis: RedisServer,
        expiry: float | None,
    ) -> None:
        core = new_core(message_expiry_in_seconds=42)
        before = time.time()

        core.send_message("list", 1, {}, {}, expiry)

        assert self.ttl(clean_redis) == 42
        expires_at = (core.receive_message("list").meta or {})["__expiry__"]
        assert before + 42 <= expires_at <= time.time() + 42

    def test_what_is_no_list_is_left_alone_and_named(
        self, new_core: Callable[..., RedisTransportClientCore], clean_redis: RedisServer
    ) -> None:
        clean_redis.execute("SET", LIST, "not a list")

        with pytest.raises(MessageSendError) as caught:
            new_core().send_message("list", 1, {}, {})

        assert caught.value.args[0] == "Redis error sending message for service example"
        assert "WRONGTYPE" in str(caught.value.args[1]) or "wrong kind" in str(caught.value.args[1])
        assert clean_redis.execute("GET", LIST) == b"not a list"


class TestFullList:
    def fill(self, server: RedisServer, count: int) -> None:
        server.execute("RPUSH", LIST, *(b"x" for _ in range(count)))

    def test_back_off_grows_and_is_counted(
        self,
        new_core: Callable[..., RedisTransportClientCore],
        clean_redis: RedisServer,
        sleeps: list[float],
        metrics: Any,
    ) -> None:
        self.fill(clean_redis, 3)
        core = new_core(queue_capacity=3, queue_full_retries=5, metrics=metrics)

        with pytest.raises(MessageSendError, match=r"^Redis queue list was full after 5 retries$"):
            core.send_message("list", 1, {}, {})

        assert sleeps == [(2**retry + 0.5) / 4.0 for retry in range(5)]
        assert metrics.count_of(CLIENT + "send.queue_full_retry") == 5
        assert [metrics.count_of(f"{CLIENT}send.queue_full_retry.retry_{n}") for n in range(1, 7)] == [
            1
        ] * 5 + [0]
        assert metrics.count_of(CLIENT + "send.error.redis_queue_full") == 1
        assert clean_redis.execute("LLEN", LIST) == 3

    def test_sender_gives_up_when_its_own_message_has_expired(
        self, new_core: Callable[..., RedisTransportClientCore], clean_redis: RedisServer, sleeps: list[float]
    ) -> None:
        self.fill(clean_redis, 3)
        core = new_core(queue_capacity=3, queue_full_retries=10)

        with pytest.raises(MessageSendError, match=r"^Redis queue list was full after 3 retries$"):
            core.send_message("list", 1, {}, {}, 3)

        assert sum(sleeps) < 3

    def test_message_goes_in_as_soon_as_there_is_room(
        self,
        new_core: Callable[..., RedisTransportClientCore],
        clean_redis: RedisServer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.fill(clean_redis, 3)

        def take_one(_seconds: float) -> None:
            clean_redis.execute("LPOP", LIST)

        monkeypatch.setattr(time, "sleep", take_one)

        new_core(queue_capacity=3).send_message("list", 1, {}, {})

        assert clean_redis.execute("LLEN", LIST) == 3

    @pytest.mark.parametrize("retries", [0, -1])
    def test_without_retries_there_is_no_waiting(
        self,
        new_core: Callable[..., RedisTransportClientCore],
        clean_redis: RedisServer,
        sleeps: list[float],
        retries: int,
    ) -> None:
        self.fill(clean_redis, 3)
        core = new_core(queue_capacity=3, queue_full_retries=retries)

        with pytest.raises(MessageSendError, match=rf"was full after {retries} retries"):
            core.send_message("list", 1, {}, {})

        assert sleeps == []


class TestChunks:
    BODY = {"a": "x" * 350_000}

    @pytest.fixture
    def server_core(
        self, new_server_core: Callable[..., RedisTransportServerCore]
    ) -> RedisTransportServerCore:
        return new_server_core(
            chunk_messages_larger_than_bytes=102_400,
            maximum_message_size_in_bytes=1_000_000,
            queue_capacity=10,
        )

    def test_large_response_goes_in_parts_and_comes_out_whole(
        self,
        server_core: RedisTransportServerCore,
        new_core: Callable[..., RedisTransportClientCore],
        clean_redis: RedisServer,
    ) -> None:
        server_core.send_message("list", 1, {}, self.BODY)

        assert clean_redis.execute("LLEN", LIST) == 4
        assert new_core().receive_message("list").body == self.BODY

    def test_size_of_parts_may_be_changed_later(
        self, server_core: RedisTransportServerCore, clean_redis: RedisServer
    ) -> None:
        server_core.chunk_messages_larger_than_bytes = -1
        server_core.send_message("list", 1, {}, self.BODY)

        assert clean_redis.execute("LLEN", LIST) == 1

    def test_full_list_takes_all_parts_or_none(
        self, server_core: RedisTransportServerCore, clean_redis: RedisServer, sleeps: list[float]
    ) -> None:
        clean_redis.execute("RPUSH", LIST, *(b"x" for _ in range(9)))
        server_core.send_message("list", 1, {}, self.BODY)
        assert clean_redis.execute("LLEN", LIST) == 13

        with pytest.raises(MessageSendError, match="was full"):
            server_core.send_message("list", 2, {}, self.BODY)

        assert clean_redis.execute("LLEN", LIST) == 13

    def test_parts_of_one_response_are_neighbours(
        self,
        server_core: RedisTransportServerCore,
        new_server_core: Callable[..., RedisTransportServerCore],
        clean_redis: RedisServer,
    ) -> None:
        other = new_server_core(
            chunk_messages_larger_than_bytes=102_400, maximum_message_size_in_bytes=1_000_000
        )
        barrier = threading.Barrier(2)

        def send(core: RedisTransportServerCore, request_id: int) -> None:
            barrier.wait(5)
            for _ in range(10):
                core.send_message("list", request_id, {}, self.BODY)

        threads = [
            threading.Thread(target=send, args=(core, number))
            for number, core in enumerate(
                (
                    new_server_core(
                        chunk_messages_larger_than_bytes=102_400, maximum_message_size_in_bytes=1_000_000
                    ),
                    other,
                )
            )
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)

        elements = clean_redis.execute("LRANGE", LIST, 0, -1)
        assert isinstance(elements, list)
        ids = [bytes(element).split(b"chunk-id:")[1][:1] for element in elements]  # type: ignore[arg-type]
        assert ids == [b"1", b"2", b"3", b"4"] * 20

    def test_client_that_cannot_join_parts_gets_an_error_instead(
        self, server_core: RedisTransportServerCore, metrics: Any
    ) -> None:
        with pytest.raises(MessageTooLarge, match="client does not support chunking"):
            server_core.send_message("list", 1, {"protocol_version": 2}, self.BODY)

    def test_missing_part_is_waited_for_within_one_time_limit(
        self, new_core: Callable[..., RedisTransportClientCore], clean_redis: RedisServer
    ) -> None:
        clean_redis.execute("RPUSH", LIST, b"pysoa-redis/3//chunk-count:2;chunk-id:1;x")
        started = time.monotonic()

        with pytest.raises(MessageReceiveTimeout, match=r"^No message received for service example$"):
            new_core().receive_message("list", 0.3)

        assert time.monotonic() - started < 1.5


class TestReceiving:
    @pytest.mark.parametrize("timeout", [-1, -0.5, math.nan])
    def test_impossible_timeout_is_refused(
        self, new_core: Callable[..., RedisTransportClientCore], timeout: float
    ) -> None:
        with pytest.raises(ValueError, match="receive_timeout_in_seconds must be above 0"):
            new_core().receive_message("list", timeout)

    def test_nothing_is_a_timeout(
        self,
        new_core: Callable[..., RedisTransportClientCore],
        new_server_core: Callable[..., RedisTransportServerCore],
    ) -> None:
        for core in (new_core(), new_server_core()):
            started = time.monotonic()
            with pytest.raises(MessageReceiveTimeout, match=r"^No message received for service example$"):
                core.receive_message("list", 0.2)
            assert 0.15 < time.monotonic() - started < 1.0

    def test_expired_message_is_counted_and_logged_with_its_age(
        self,
        clean_redis: RedisServer,
        new_server_core: Callable[..., RedisTransportServerCore],
        metrics: Any,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        core = new_server_core(metrics=metrics)
        message = {"request_id": 5, "meta": {"__expiry__": 1.0}, "body": {}}
        clean_redis.execute("RPUSH", LIST, core.default_serializer.dict_to_blob(message))
        caplog.set_level(logging.DEBUG)

        with pytest.raises(MessageReceiveTimeout, match=r"^Message expired for service example$"):
            core.receive_message("list")

        assert metrics.count_of(SERVER + "receive.error.message_expired") == 1
        (record,) = [one for one in caplog.records if "expired" in one.getMessage()]
        assert record.levelno == logging.DEBUG
        assert "seconds before" in record.getMessage()

    def test_invalid_message_is_counted_and_logged_once_without_its_content(
        self,
        new_server_core: Callable[..., RedisTransportServerCore],
        clean_redis: RedisServer,
        metrics: Any,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        core = new_server_core(metrics=metrics)
        clean_redis.execute("RPUSH", LIST, b"\xc1" * 30 + b"hunter2" * 1000)

        with pytest.raises(InvalidMessage):
            core.receive_message("list")

        assert metrics.count_of(SERVER + "receive.error.invalid_message") == 1
        (record,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
        assert record.levelno == logging.ERROR
        text = record.getMessage()
        assert "7030 bytes" in text
        assert LIST in text
        assert "c1c1c1" in text
        assert "hunter" not in text
        assert b"hunter".hex() not in text

    def test_message_without_id_is_counted(
        self, new_server_core: Callable[..., RedisTransportServerCore], clean_redis: RedisServer, metrics: Any
    ) -> None:
        clean_redis.execute("RPUSH", LIST, b"\x81\xa4body\x80")

        with pytest.raises(InvalidMessageError, match=r"^No request ID for service example$"):
            new_server_core(metrics=metrics).receive_message("list")

        assert metrics.count_of(SERVER + "receive.error.no_request_id") == 1

    @pytest.mark.parametrize("packed_id", [b"\x90", b"\x80", b"\xcb" + b"\0" * 8, b"\xc3", b"\xc4\x01a"])
    def test_request_id_of_an_impossible_type_is_invalid(
        self,
        new_server_core: Callable[..., RedisTransportServerCore],
        clean_redis: RedisServer,
        packed_id: bytes,
    ) -> None:
        clean_redis.execute("RPUSH", LIST, b"\x82\xaarequest_id" + packed_id + b"\xa4body\x80")

        with pytest.raises(InvalidMessageError, match=r"^Invalid request ID for service example"):
            new_server_core().receive_message("list")

    def test_serializer_that_raises_something_odd_makes_an_invalid_message(
        self, new_server_core: Callable[..., RedisTransportServerCore], clean_redis: RedisServer
    ) -> None:
        clean_redis.execute("RPUSH", LIST, b"content-type:application/x-odd;data")

        with pytest.raises(InvalidMessage, match="ZeroDivisionError"):
            new_server_core().receive_message("list")

    def test_wrong_kind_of_key_is_a_receive_error(
        self,
        new_core: Callable[..., RedisTransportClientCore],
        new_server_core: Callable[..., RedisTransportServerCore],
        clean_redis: RedisServer,
        metrics: Any,
    ) -> None:
        clean_redis.execute("SET", LIST, "not a list")

        for core in (new_core(metrics=metrics), new_server_core(metrics=metrics)):
            with pytest.raises(MessageReceiveError) as caught:
                core.receive_message("list")
            assert caught.value.args[:2] == (
                "Unknown error receiving message for service example",
                "ResponseError",
            )
        assert metrics.count_of(CLIENT + "receive.error.unknown") == 1
        assert metrics.count_of(SERVER + "receive.error.unknown") == 1


class OddSerializer(Serializer):
    mime_type = "application/x-odd"

    def dict_to_blob(self, message_dict: dict[Any, Any]) -> bytes:
        raise ZeroDivisionError

    def blob_to_dict(self, blob: bytes) -> dict[Any, Any]:
        raise ZeroDivisionError("odd")


class TestTrouble:
    @pytest.fixture
    def dead_settings(self) -> dict[str, Any]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        return {
            "backend_type": "redis.standard",
            "backend_layer_kwargs": {
                "hosts": [("127.0.0.1", port)],
                "connection_kwargs": {"password": "hunter2"},
            },
            "service_name": "example",
        }

    @pytest.fixture
    def silent_settings(self) -> Iterator[dict[str, Any]]:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            yield {
                "backend_type": "redis.standard",
                "backend_layer_kwargs": {"hosts": [("127.0.0.1", listener.getsockname()[1])]},
                "service_name": "example",
            }

    def test_unreachable_redis_is_a_transport_error_without_secrets(
        self, dead_settings: dict[str, Any], metrics: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        client = RedisTransportClientCore(**dead_settings, metrics=metrics)
        server = RedisTransportServerCore(**dead_settings, metrics=metrics)

        with pytest.raises(MessageSendError) as on_send:
            client.send_message("list", 1, {}, {})
        with pytest.raises(MessageReceiveError) as on_receive:
            client.receive_message("list")
        with pytest.raises(MessageReceiveError):
            server.receive_message("list")

        assert on_send.value.args[0] == "Unknown error sending message for service example"
        assert on_receive.value.args[0] == "Unknown error receiving message for service example"
        assert on_send.value.args[1] == "ConnectionError"
        assert metrics.count_of(CLIENT + "send.error.unknown") == 1
        assert metrics.count_of(CLIENT + "receive.error.unknown") == 1
        assert metrics.count_of(SERVER + "receive.error.unknown") == 1
        assert "Unknown error sending message in Redis transport core" in caplog.text
        assert "hunter2" not in caplog.text + str(on_send.value) + str(on_receive.value)

    @pytest.mark.parametrize("limit_s", [0.5, 1.0])
    def test_silent_server_costs_no_more_than_the_callers_own_time(
        self, silent_settings: dict[str, Any], limit_s: float
    ) -> None:
        core = RedisTransportClientCore(**silent_settings)

        started = time.monotonic()
        with pytest.raises(MessageSendError):
            core.send_message("list", 1, {}, {}, limit_s)
        sent = time.monotonic()
        with pytest.raises((MessageReceiveError, MessageReceiveTimeout)):
            core.receive_message("list", limit_s)

        assert sent - started < limit_s + 0.5
        assert time.monotonic() - sent < limit_s + 0.5

    def test_script_that_redis_forgot_is_sent_again(
        self, new_core: Callable[..., RedisTransportClientCore], clean_redis: RedisServer
    ) -> None:
        core = new_core()
        core.send_message("list", 1, {}, {})
        clean_redis.execute("SCRIPT", "FLUSH")

        core.send_message("list", 2, {}, {})

        assert clean_redis.execute("LLEN", LIST) == 2

    def test_killed_connection_does_not_lose_the_next_message(
        self, new_core: Callable[..., RedisTransportClientCore], clean_redis: RedisServer
    ) -> None:
        core = new_core()
        core.send_message("list", 1, {}, {})
        clean_redis.execute("CLIENT", "KILL", "TYPE", "normal")

        core.send_message("list", 2, {}, {})

        assert [core.receive_message("list").request_id for _ in range(2)] == [1, 2]


class TestMetrics:
    def test_client_send(
        self, new_core: Callable[..., RedisTransportClientCore], metrics: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(RedisTransportCore, "_backend_layer_cache", {})

        new_core(metrics=metrics).send_message("list", 1, {}, {})

        assert metrics.names(CLIENT) == [
            "send.serialize",
            "send.message_size",
            "backend.initialize",
            "send.get_redis_connection",
            "send.send_message_to_redis_queue",
        ]
        assert all(instrument.value is not None for instrument in metrics.instruments)

    def test_receive(
        self,
        new_core: Callable[..., RedisTransportClientCore],
        new_server_core: Callable[..., RedisTransportServerCore],
        metrics: Any,
    ) -> None:
        new_core().send_message("list", 1, {}, {})

        new_server_core(metrics=metrics).receive_message("list")

        assert sorted(metrics.names(SERVER)) == [
            "receive.deserialize",
            "receive.get_redis_connection",
            "receive.pop_from_redis_queue",
        ]

    def test_too_large(self, new_core: Callable[..., RedisTransportClientCore], metrics: Any) -> None:
        with pytest.raises(MessageTooLarge):
            new_core(metrics=metrics, maximum_message_size_in_bytes=5).send_message("list", 1, {}, {})

        assert metrics.names(CLIENT) == [
            "send.serialize",
            "send.message_size",
            "send.error.message_too_large",
        ]

    def test_chunks(self, new_server_core: Callable[..., RedisTransportServerCore], metrics: Any) -> None:
        core = new_server_core(
            metrics=metrics, chunk_messages_larger_than_bytes=102_400, maximum_message_size_in_bytes=600_000
        )

        core.send_message("list", 1, {}, {"a": "x" * 300_000})

        assert "send.chunk_count" in metrics.names(SERVER)

    def test_nobody_listening_means_nothing_is_made(
        self, new_core: Callable[..., RedisTransportClientCore], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise AssertionError("an instrument was made")

        for kind in ("counter", "histogram", "timer", "gauge"):
            monkeypatch.setattr(f"pymetrics.recorders.noop.NonOperationalMetricsRecorder.{kind}", refuse)
        core = new_core()

        core.send_message("list", 1, {}, {})

        assert core.receive_message("list").request_id == 1
