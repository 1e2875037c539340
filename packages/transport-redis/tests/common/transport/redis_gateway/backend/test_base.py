# Some of what is tested here is private.
# pyright: reportPrivateUsage=false
from __future__ import annotations

import concurrent.futures
import contextlib
import os
import time
from collections import Counter as Tally
from collections.abc import Callable
from typing import Any, cast

import pytest
import redis
from pymetrics.instruments import Counter

from pysoa.common.transport.redis_gateway.backend.base import (
    BaseRedisClient,
    CannotGetConnectionError,
    LuaRedisCommand,
    SendMessageToQueueCommand,
)
from pysoa.common.transport.redis_gateway.backend.standard import StandardRedisClient
from pysoa.test.redis_server import RedisServer

PING = b"*1\r\n$4\r\nPING\r\n"


def soon(seconds: float = 5) -> float:
    return time.monotonic() + seconds


def backend_of_size(ring_size: int) -> BaseRedisClient:
    return StandardRedisClient([("localhost", 7000 + number) for number in range(ring_size)])


def backend_of(server: RedisServer) -> BaseRedisClient:
    return StandardRedisClient([(server.host, server.port)])


def ask(backend: BaseRedisClient) -> object:
    connection = backend.acquire(0, soon())
    connection.write(PING, soon())
    reply = connection.read(soon())
    backend.release(connection)
    return reply


@pytest.mark.parametrize(
    ("ring_size", "index"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (7, 3), (16, 8)], ids=str
)
def test_reply_list_falls_on_the_master_that_1_x_takes(ring_size: int, index: int) -> None:
    # Recorded from PySOA 1.4.9.
    key = "pysoa:service.example.0123456789abcdef0123456789abcdef!00007f0000000001"
    backend = backend_of_size(ring_size)

    assert backend.index_for(key) == index
    assert backend._get_consistent_hash_index(key) == index


def test_other_lists_use_all_masters_in_turn() -> None:
    backend = backend_of_size(3)

    indexes = [backend.index_for("pysoa:service.example") for _ in range(9)]

    assert sorted(indexes[:3]) == [0, 1, 2]
    assert indexes == indexes[:3] * 3


def test_turns_are_fair_over_threads() -> None:
    backend = backend_of_size(4)

    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        indexes = [turn.result(5) for turn in [executor.submit(backend.next_index) for _ in range(4000)]]

    assert Tally(indexes) == {0: 1000, 1: 1000, 2: 1000, 3: 1000}


def test_order_of_turns_differs_between_backends() -> None:
    orders = {tuple(backend.next_index() for _ in range(8)) for backend in map(backend_of_size, [8] * 20)}

    assert len(orders) > 1


@pytest.mark.parametrize("index", [-1, 2])
def test_index_beyond_the_ring_is_refused(index: int) -> None:
    backend = backend_of_size(2)

    with pytest.raises(ValueError, match=rf"There are only 2 hosts, but you asked for connection {index}\."):
        backend._get_connection(index)
    with pytest.raises(ValueError, match="There are only 2 hosts"):
        backend.acquire(index, soon())


def test_counters_come_from_the_transport_if_it_gives_any() -> None:
    backend = backend_of_size(1)
    unnoticed = backend._get_counter("x")
    backend.metrics_counter_getter = lambda name: Counter(f"prefix.{name}")

    assert isinstance(unnoticed, Counter)
    assert backend._get_counter("x").name == "prefix.x"


def test_no_connection_is_a_plain_exception() -> None:
    assert CannotGetConnectionError.__bases__ == (Exception,)


def test_published_numbers_stay() -> None:
    assert BaseRedisClient.DEFAULT_RECEIVE_TIMEOUT == 5
    assert BaseRedisClient.RESPONSE_QUEUE_SPECIFIER == "!"
    assert issubclass(SendMessageToQueueCommand, LuaRedisCommand)


def test_tools_get_a_client_of_redis_py(clean_redis: RedisServer) -> None:
    backend = backend_of(clean_redis)

    client = cast(Any, backend.get_connection("pysoa:service.example"))

    assert issubclass(type(client), redis.Redis)
    with contextlib.closing(client):
        assert client.echo("hi") == b"hi"


def test_tools_can_push_as_the_transport_does(clean_redis: RedisServer) -> None:
    backend = backend_of(clean_redis)
    with contextlib.closing(backend.get_connection("q")) as client:
        for message in (b"one", b"two"):
            backend.send_message_to_queue(
                queue_key="q", message=message, expiry=50, capacity=2, connection=client
            )

        with pytest.raises(redis.ResponseError, match=r"^queue full$"):
            backend.send_message_to_queue("q", b"three", 50, 2, client)

    assert clean_redis.execute("LRANGE", "q", 0, -1) == [b"one", b"two"]
    assert clean_redis.execute("TTL", "q") in (49, 50)


def in_child(function: Callable[[], bool]) -> int:
    """Run a function in a forked child; return its exit code, 0 if it returned true."""
    pid = os.fork()
    if not pid:
        code = 1
        with contextlib.suppress(BaseException):
            code = 0 if function() else 2
        os._exit(code)
    deadline = soon(10)
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, 9)
        time.sleep(0.005)


def test_child_uses_no_connection_of_its_parent(clean_redis: RedisServer) -> None:
    backend = backend_of(clean_redis)
    lent = backend.acquire(0, soon())
    ask(backend)

    def work_in_child() -> bool:
        backend.release(lent)
        used = backend.acquire(0, soon())
        used.write(b"*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n", soon())
        child_id = used.read(soon())
        backend.release(used)
        return isinstance(child_id, int) and child_id not in parent_ids and used is not lent

    parent_ids = client_ids(clean_redis)
    code = in_child(work_in_child)
    lent.write(PING, soon())

    assert code == 0
    assert lent.read(soon()) == b"PONG"
    assert ask(backend) == b"PONG"
    backend.release(lent)


def client_ids(server: RedisServer) -> set[int]:
    lines = server.execute("CLIENT", "LIST")
    assert isinstance(lines, bytes)
    return {int(line.split()[0].removeprefix(b"id=")) for line in lines.splitlines()}


def test_children_start_their_turns_anywhere() -> None:
    backend = backend_of_size(50)
    parents_next = backend.next_index()
    codes: set[int] = set()
    for _ in range(4):
        # The same order in each child would send the first requests of all of them to one master.
        codes.add(in_child(lambda: backend.next_index() != (parents_next + 1) % 50))

    assert 0 in codes


def test_fork_while_other_threads_work_leaves_the_child_usable(clean_redis: RedisServer) -> None:
    backend = backend_of(clean_redis)
    stop_at = soon(1)

    def work() -> int:
        count = 0
        while time.monotonic() < stop_at:
            assert ask(backend) == b"PONG"
            count += 1
        return count

    with concurrent.futures.ThreadPoolExecutor(3) as executor:
        workers = [executor.submit(work) for _ in range(3)]
        codes = [in_child(lambda: ask(backend) == b"PONG") for _ in range(5)]
        counts = [worker.result(5) for worker in workers]

    assert codes == [0] * 5
    assert all(counts)
