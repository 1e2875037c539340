# Some of what is tested here is private.
# pyright: reportPrivateUsage=false
from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
import trustme

from pysoa.common.transport.redis_gateway.backend import _sockets
from pysoa.common.transport.redis_gateway.backend._sockets import (
    BrokenOffError,
    CommandSocket,
    command_socket,
)

Pair = tuple[CommandSocket, socket.socket]


def plain_pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair()


def tls_pair() -> tuple[socket.socket, socket.socket]:
    authority = cast(Any, trustme.CA())  # Its stubs are partial.
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_context)
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)
    near, far = socket.socketpair()
    accepted: list[socket.socket] = []
    thread = threading.Thread(
        target=lambda: accepted.append(server_context.wrap_socket(far, server_side=True)), daemon=True
    )
    thread.start()
    wrapped = client_context.wrap_socket(near, server_hostname="localhost")
    thread.join(5)
    return wrapped, accepted[0]


@pytest.fixture(params=[plain_pair, tls_pair], ids=["plain", "tls"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    make: Callable[[], tuple[socket.socket, socket.socket]] = request.param
    near, far = make()
    with near, far:
        far.settimeout(5)
        yield command_socket(near, 1000), far


def soon(seconds: float = 5) -> float:
    return time.monotonic() + seconds


def read_all(far: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += far.recv(size - len(data))
    return data


def send(near: CommandSocket, data: bytes, deadline: float) -> None:
    """Send as a connection does."""
    try:
        sent = near.send_at_once(data)
    except BlockingIOError:
        sent = 0
    if sent < len(data):
        near.send_rest(memoryview(data)[sent:], deadline)


def test_data_goes_both_ways(pair: Pair) -> None:
    near, far = pair

    send(near, b"ping", soon())
    received = far.recv(100)
    far.sendall(b"pong")
    size = near.receive(soon())

    assert received == b"ping"
    assert near.buffer[:size] == b"pong"


@pytest.mark.parametrize("wait_s", [0.0, 0.1, 0.6], ids=["none", "less than a tick", "several ticks"])
def test_wait_ends_by_its_deadline(pair: Pair, wait_s: float) -> None:
    near, _ = pair
    started = time.monotonic()

    with pytest.raises(TimeoutError):
        near.receive(started + wait_s)

    assert wait_s <= time.monotonic() - started < wait_s + 0.25


def test_what_came_in_time_is_read_however_late_it_is_looked_at(pair: Pair) -> None:
    near, far = pair
    far.sendall(b"x")
    send(near, b"-", soon())

    size = near.receive(time.monotonic() - 10)

    assert size == 1


def test_data_that_comes_during_a_long_wait_is_received(pair: Pair) -> None:
    near, far = pair
    timer = threading.Timer(0.4, far.sendall, [b"late"])
    timer.start()

    size = near.receive(soon())

    timer.join()
    assert near.buffer[:size] == b"late"


def test_more_than_the_system_takes_at_once_is_sent(pair: Pair) -> None:
    near, far = pair
    data = bytes(range(256)) * 20_000
    received: list[bytes] = []
    thread = threading.Thread(target=lambda: received.append(read_all(far, len(data))), daemon=True)
    thread.start()

    send(near, data, soon())

    thread.join(5)
    assert received == [data]


def test_sending_to_a_peer_that_reads_nothing_ends_by_its_deadline(pair: Pair) -> None:
    near, _ = pair
    started = time.monotonic()

    with pytest.raises(TimeoutError):
        send(near, b"x" * 20_000_000, started + 0.4)

    assert time.monotonic() - started < 0.4 + 0.5


def test_closed_peer_is_an_error_and_not_an_empty_read(pair: Pair) -> None:
    near, far = pair
    far.close()

    with pytest.raises(OSError, match=r"closed|EOF"):
        near.receive(soon())


def test_open_connection_without_data_has_no_news(pair: Pair) -> None:
    near, far = pair
    send(near, b"ping", soon())
    far.recv(4)
    far.sendall(b"pong")
    near.receive(soon())

    assert not near.has_news()


def test_closed_connection_is_not_quiet(pair: Pair) -> None:
    near, far = pair
    far.close()

    assert near.has_news()


def test_connection_with_unread_data_is_not_quiet(pair: Pair) -> None:
    near, far = pair
    far.sendall(b"unasked for")

    assert near.has_news()


def test_asking_for_news_leaves_the_socket_usable(pair: Pair) -> None:
    near, far = pair
    assert not near.has_news()

    send(near, b"ping", soon())
    far.sendall(b"pong")

    assert near.receive(soon()) == 4


def test_peer_that_closes_in_the_middle_of_a_command_is_told_apart(pair: Pair) -> None:
    near, far = pair
    timer = threading.Timer(0.1, far.close)
    timer.start()

    with pytest.raises(BrokenOffError):
        send(near, b"x" * 20_000_000, soon())

    timer.join()


def test_peer_that_closed_before_a_command_is_told_apart() -> None:
    near, far = plain_pair()
    far.close()

    with near, pytest.raises(BrokenPipeError):
        send(command_socket(near, 100), b"command", soon())


def test_socket_without_kernel_time_limits_works_too(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = plain_pair()
    monkeypatch.setattr(_sockets, "_TICK", b"not a time")

    with near, far:
        connection = command_socket(near, 100)
        with pytest.raises(TimeoutError):
            connection.receive(soon(0.05))
        far.sendall(b"pong")

        assert connection.receive(soon()) == 4
        assert not connection.has_news()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far


@pytest.fixture
def tcp() -> Iterator[Pair]:
    near, far = tcp_pair()
    with near, far:
        yield command_socket(near, 1000), far


@pytest.fixture(params=[tcp_pair, plain_pair, tls_pair], ids=["tcp", "unix", "tls"])
def any_pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    make: Callable[[], tuple[socket.socket, socket.socket]] = request.param
    near, far = make()
    with near, far:
        yield command_socket(near, 1000), far


class TestUninterestingBytes:
    """A wait can be told to sleep on as long as no more has come than a few bytes that are as expected."""

    def test_wait_is_not_ended_by_them(self, tcp: Pair) -> None:
        near, far = tcp
        far.sendall(b"x" * 12)
        timer = threading.Timer(0.1, far.sendall, [b"y"])
        timer.start()

        size = near.receive(soon(), 12)

        timer.join()
        assert near.buffer[:size] == b"x" * 12 + b"y"

    def test_one_byte_more_ends_the_wait_at_once(self, any_pair: Pair) -> None:
        near, far = any_pair
        started = time.monotonic()
        timer = threading.Timer(0.05, far.sendall, [b"x" * 13])
        timer.start()

        size = near.receive(soon(), 12)

        assert time.monotonic() - started < 0.2
        timer.join()
        assert size == 13

    def test_end_of_the_connection_ends_the_wait_at_once(self, any_pair: Pair) -> None:
        near, far = any_pair
        started = time.monotonic()
        timer = threading.Timer(0.05, far.close)
        timer.start()

        with pytest.raises(OSError, match=r"closed|EOF"):
            near.receive(soon(), 12)

        assert time.monotonic() - started < 0.2
        timer.join()

    @pytest.mark.parametrize("wait_s", [0.0, 0.1, 0.6], ids=["none", "less than a tick", "several ticks"])
    def test_they_are_returned_before_the_wait_fails(self, any_pair: Pair, wait_s: float) -> None:
        near, far = any_pair
        far.sendall(b"x" * 12)
        started = time.monotonic()

        size = near.receive(started + wait_s, 12)

        assert size == 12
        assert time.monotonic() - started < wait_s + 0.25

    @pytest.mark.parametrize("wait_s", [0.0, 0.1, 0.6], ids=["none", "less than a tick", "several ticks"])
    def test_wait_for_nothing_ends_by_its_deadline(self, any_pair: Pair, wait_s: float) -> None:
        near, _ = any_pair
        started = time.monotonic()

        with pytest.raises(TimeoutError):
            near.receive(started + wait_s, 12)

        assert wait_s <= time.monotonic() - started < wait_s + 0.25

    def test_next_wait_is_ended_by_any_byte(self, any_pair: Pair) -> None:
        near, far = any_pair
        far.sendall(b"x" * 13)
        near.receive(soon(), 12)
        started = time.monotonic()
        timer = threading.Timer(0.05, far.sendall, [b"y"])
        timer.start()

        size = near.receive(soon())

        assert time.monotonic() - started < 0.2
        timer.join()
        assert size == 1

    def test_more_bytes_that_are_left_are_noticed(self, any_pair: Pair) -> None:
        near, far = any_pair
        far.sendall(b"x" * 13)
        near.receive(soon(), 12)
        assert not near.has_news()

        far.sendall(b"x" * 13)

        assert near.has_news()

    def test_closed_connection_is_not_quiet(self, any_pair: Pair) -> None:
        near, far = any_pair
        far.sendall(b"x" * 13)
        near.receive(soon(), 12)

        far.close()

        assert near.has_news()
