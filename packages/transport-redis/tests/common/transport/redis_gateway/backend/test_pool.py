from __future__ import annotations

import concurrent.futures
import contextlib
import os
import threading
import time

import pytest

from pysoa.common.transport.redis_gateway._interfaces import BackendError
from pysoa.common.transport.redis_gateway.backend._endpoint import Endpoint
from pysoa.common.transport.redis_gateway.backend._pool import ConnectionPool
from pysoa.test.redis_server import RedisServer

PING = b"*1\r\n$4\r\nPING\r\n"


def soon(seconds: float = 5) -> float:
    return time.monotonic() + seconds


def pool_of(server: RedisServer, **arguments: object) -> ConnectionPool:
    return ConnectionPool(Endpoint({"host": server.host, "port": server.port, **arguments}))


def number_of_clients(server: RedisServer) -> int:
    return str(server.execute("CLIENT", "LIST")).count("id=") - 1


def wait_for_clients(server: RedisServer, count: int) -> None:
    deadline = soon()
    while number_of_clients(server) != count:
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def server(clean_redis: RedisServer) -> RedisServer:
    clean_redis.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    return clean_redis


def test_connection_that_came_back_last_is_lent_first(server: RedisServer) -> None:
    pool = pool_of(server)
    first, second = pool.acquire(soon()), pool.acquire(soon())
    pool.release(first)
    pool.release(second)

    again = pool.acquire(soon())

    assert again is second
    pool.release(again)
    pool.close()


def test_connections_that_the_server_closed_are_not_lent(server: RedisServer) -> None:
    pool = pool_of(server)
    connections = [pool.acquire(soon()) for _ in range(3)]
    for connection in connections:
        pool.release(connection)
    server.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    wait_for_clients(server, 0)

    connection = pool.acquire(soon())
    connection.write(PING, soon())

    assert connection.read(soon()) == b"PONG"
    assert connection not in connections
    assert number_of_clients(server) == 1
    pool.discard(connection)


def test_connection_with_a_reply_that_nobody_read_is_not_lent_again(server: RedisServer) -> None:
    pool = pool_of(server)
    connection = pool.acquire(soon())
    connection.write(PING, soon())
    while not connection.has_news():
        time.sleep(0.002)
    pool.release(connection)

    other = pool.acquire(soon())
    other.write(b"*2\r\n$4\r\nECHO\r\n$5\r\nright\r\n", soon())

    assert other.read(soon()) == b"right"
    pool.discard(other)


def test_discarded_connection_is_closed(server: RedisServer) -> None:
    pool = pool_of(server)

    pool.discard(pool.acquire(soon()))

    wait_for_clients(server, 0)


def test_closed_pool_keeps_no_connection(server: RedisServer) -> None:
    pool = pool_of(server)
    lent, idle = pool.acquire(soon()), pool.acquire(soon())
    pool.release(idle)

    pool.close()
    pool.release(lent)

    wait_for_clients(server, 0)


def test_limit_of_connections_is_waited_for_until_the_deadline(server: RedisServer) -> None:
    pool = pool_of(server, max_connections=1)
    connection = pool.acquire(soon())
    started = time.monotonic()

    with pytest.raises(BackendError, match=r"All 1 connections .* Raise max_connections"):
        pool.acquire(started + 0.2)

    assert 0.2 <= time.monotonic() - started < 0.5
    pool.release(connection)
    pool.discard(pool.acquire(soon(0.2)))
    pool.discard(pool.acquire(soon(0.2)))


def test_failed_connecting_does_not_use_up_the_limit(server: RedisServer) -> None:
    pool = pool_of(server, max_connections=1, password="wrong", username="nobody")

    for _ in range(3):
        with pytest.raises(BackendError, match="refused to log in"):
            pool.acquire(soon(0.5))


def test_threads_never_share_a_connection(server: RedisServer) -> None:
    pool = pool_of(server)
    everyone_waits = threading.Barrier(8)

    def work(number: int) -> int:
        everyone_waits.wait(5)
        text = b"%d" % number
        wrong = 0
        for _ in range(100):
            connection = pool.acquire(soon())
            connection.write(b"*2\r\n$4\r\nECHO\r\n$%d\r\n%b\r\n" % (len(text), text), soon())
            wrong += connection.read(soon()) != text
            pool.release(connection)
        return wrong

    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        wrong = sum(executor.map(work, range(8)))

    assert wrong == 0
    assert number_of_clients(server) <= 8
    pool.close()


def test_repr_shows_no_secret(server: RedisServer) -> None:
    pool = pool_of(server, password="hunter2")

    assert "hunter2" not in repr(pool)
    assert str(server.port) in repr(pool)


def in_child(function: object) -> int:
    """Run a function without arguments in a forked child; return its exit code, 0 if it returned true."""
    assert callable(function)
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


def test_child_that_closes_its_end_leaves_the_parents_connection_open(server: RedisServer) -> None:
    pool = pool_of(server)
    connection = pool.acquire(soon())

    def close() -> bool:
        pool.discard(connection)
        return True

    code = in_child(close)
    connection.write(PING, soon())

    assert code == 0
    assert connection.read(soon()) == b"PONG"
    pool.discard(connection)
