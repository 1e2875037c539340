from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from pymetrics.recorders.noop import noop_metrics

from pysoa.common.transport.errors import MessageReceiveError, MessageReceiveTimeout
from pysoa.common.transport.redis_gateway.client import RedisClientTransport
from pysoa.common.transport.redis_gateway.server import RedisServerTransport
from pysoa.test.redis_server import RedisServer

META = {"client_version": [2, 0, 0]}


@pytest.fixture
def stallable() -> Iterator[RedisServer]:
    """A server that a test may pause."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def second() -> Iterator[RedisServer]:
    """Another one."""
    with RedisServer() as server:
        yield server


def settings_of(*servers: RedisServer, **more: Any) -> dict[str, Any]:
    hosts = [(server.host, server.port) for server in servers]
    return {"backend_type": "redis.standard", "backend_layer_kwargs": {"hosts": hosts}, **more}


def server_of(*servers: RedisServer, **more: Any) -> RedisServerTransport:
    return RedisServerTransport("example", noop_metrics, 1, **settings_of(*servers, **more))


def client_of(*servers: RedisServer) -> RedisClientTransport:
    return RedisClientTransport("example", noop_metrics, **settings_of(*servers))


def is_waited_on(server: RedisServer) -> bool:
    return "blocked_clients:0" not in str(server.execute("INFO", "clients"))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@contextlib.contextmanager
def running(function: Callable[[], object]) -> Generator[list[object]]:
    """Run a function in a thread; what it returns or raises is in the list afterwards."""
    results: list[object] = []

    def work() -> None:
        try:
            results.append(function())
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield results
    thread.join(15)
    assert not thread.is_alive()


def test_request_that_a_stalled_redis_gives_late_is_received(stallable: RedisServer) -> None:
    server, client = server_of(stallable), client_of(stallable)
    client.send_request_message(1, META, {"n": 1})
    server.receive_request_message()

    with running(server.receive_request_message) as received:
        wait_until(lambda: is_waited_on(stallable))
        stallable.pause()
        with running(lambda: client.send_request_message(2, META, {"n": 2})):
            threading.Event().wait(1.2)
            stallable.resume()

    assert getattr(received[0], "request_id", received[0]) == 2


def test_wait_that_ended_in_silence_is_listened_to_by_the_next_receive(stallable: RedisServer) -> None:
    server, client = server_of(stallable, receive_timeout_in_seconds=1), client_of(stallable)
    client.send_request_message(1, META, {"n": 1})
    server.receive_request_message()

    with running(server.receive_request_message) as received:
        wait_until(lambda: is_waited_on(stallable))
        stallable.pause()
        with running(lambda: client.send_request_message(2, META, {"n": 2})):
            wait_until(lambda: bool(received))
            stallable.resume()

    assert isinstance(received[0], MessageReceiveError)
    assert "did not answer within the time limit" in str(received[0])
    assert server.receive_request_message().request_id == 2


def test_interrupted_wait_on_a_stalled_redis_ends_within_a_second(stallable: RedisServer) -> None:
    server = server_of(stallable, receive_timeout_in_seconds=10)

    with running(server.receive_request_message) as received:
        wait_until(lambda: is_waited_on(stallable))
        stallable.pause()
        threading.Event().wait(0.8)
        server.interrupt()
        interrupted_at = time.monotonic()

    assert time.monotonic() - interrupted_at < 1
    assert isinstance(received[0], MessageReceiveError)
    stallable.resume()


def test_response_that_a_stalled_redis_gives_late_is_received(stallable: RedisServer) -> None:
    server, client = server_of(stallable), client_of(stallable)
    client.send_request_message(1, META, {"n": 1})
    request_id, meta, body = server.receive_request_message()
    assert request_id is not None
    assert meta is not None
    assert body is not None
    response = (request_id, meta, body)

    with running(lambda: client.receive_response_message(8)) as received:
        wait_until(lambda: is_waited_on(stallable))
        stallable.pause()
        with running(lambda: server.send_response_message(*response)):
            threading.Event().wait(1.2)
            stallable.resume()

    assert getattr(received[0], "request_id", received[0]) == 1


def test_response_that_comes_after_a_silent_wait_is_received_by_the_next_one(stallable: RedisServer) -> None:
    server, client = server_of(stallable), client_of(stallable)
    client.send_request_message(1, META, {"n": 1})
    request_id, meta, body = server.receive_request_message()
    assert request_id is not None
    assert meta is not None
    assert body is not None
    response = (request_id, meta, body)

    with running(lambda: client.receive_response_message(0.5)) as received:
        wait_until(lambda: is_waited_on(stallable))
        stallable.pause()
        with running(lambda: server.send_response_message(*response)):
            wait_until(lambda: bool(received))
            stallable.resume()

    assert isinstance(received[0], (MessageReceiveError, MessageReceiveTimeout))
    assert client.receive_response_message(5).request_id == 1


def test_request_on_a_master_that_stalls_is_received_when_it_goes_on(
    stallable: RedisServer, second: RedisServer
) -> None:
    server, client = server_of(stallable, second), client_of(stallable, second)
    for number in (1, 2):
        client.send_request_message(number, META, {"n": number})
        server.receive_request_message()

    wanted = {3, 4, 5, 6}
    received: set[object] = set()

    def send_all() -> None:
        for number in sorted(wanted):
            client.send_request_message(number, META, {"n": number})

    with running(send_all):
        stallable.pause()
        deadline = time.monotonic() + 12
        threading.Timer(2, stallable.resume).start()
        while received != wanted and time.monotonic() < deadline:
            with contextlib.suppress(MessageReceiveTimeout, MessageReceiveError):
                received.add(server.receive_request_message().request_id)

    assert received == wanted
