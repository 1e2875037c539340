"""Redis is not where, or not as, the settings say: told in time, in plain words, and without passwords."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme

from pysoa.common.transport.errors import MessageSendError
from pysoa.test.redis_server import RedisServer, RedisTls

SECRET = "hunter2"
TIMEOUT_S = 1.0


@pytest.fixture
def guarded_redis() -> Iterator[RedisServer]:
    """A server with a password."""
    with RedisServer(password=SECRET) as server:
        yield server


@pytest.fixture
def tls_redis(needs_tls: None, tmp_path: pathlib.Path) -> Iterator[RedisServer]:
    """A server that speaks TLS only."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    files = [tmp_path / name for name in ("cert.pem", "key.pem", "ca.pem")]
    certificate.cert_chain_pems[0].write_to_path(str(files[0]))
    certificate.private_key_pem.write_to_path(str(files[1]))
    authority.cert_pem.write_to_path(str(files[2]))
    with RedisServer(tls=RedisTls(files[0], files[1], files[2]), password=SECRET) as server:
        yield server


def assert_refused_in_time(caller: Any, caplog: pytest.LogCaptureFixture, *words: str) -> None:
    caplog.set_level("DEBUG")

    outcome = caller.call(TIMEOUT_S)

    assert isinstance(outcome.error, MessageSendError)
    assert outcome.took_s <= TIMEOUT_S + 0.5
    text = f"{outcome.error} {outcome.error!r}"
    assert all(word in text for word in words)
    shown = "".join((text, repr(outcome.error.args), caplog.text, repr(caller._client)))
    assert SECRET not in shown


def test_wrong_password(
    guarded_redis: RedisServer, kwargs_of: Any, new_caller: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caller = new_caller(kwargs_of(guarded_redis, connection_kwargs={"password": f"not{SECRET}"}))

    assert_refused_in_time(caller, caplog, "AuthenticationError", "refused to log in")


def test_missing_password(
    guarded_redis: RedisServer, kwargs_of: Any, new_caller: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert_refused_in_time(new_caller(kwargs_of(guarded_redis)), caplog, "Authentication required")


def test_wrong_port(kwargs_of: Any, new_caller: Any, caplog: pytest.LogCaptureFixture) -> None:
    kwargs = {
        "backend_type": "redis.standard",
        "backend_layer_kwargs": {"hosts": [("127.0.0.1", 1)], "connection_kwargs": {"password": SECRET}},
    }

    assert_refused_in_time(new_caller(kwargs), caplog, "Connection refused", "127.0.0.1:1")


def test_tls_to_a_plain_port(
    redis: RedisServer, kwargs_of: Any, new_caller: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caller = new_caller(kwargs_of(redis, connection_kwargs={"password": SECRET, "ssl": True}))

    assert_refused_in_time(caller, caplog, f"127.0.0.1:{redis.port}")


def test_plain_to_a_tls_port(
    tls_redis: RedisServer, kwargs_of: Any, new_caller: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caller = new_caller(kwargs_of(tls_redis, connection_kwargs={"password": SECRET}))

    assert_refused_in_time(caller, caplog, f"127.0.0.1:{tls_redis.port}")


def test_url_with_a_password_that_is_wrong(
    guarded_redis: RedisServer, new_caller: Any, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"redis://somebody:{SECRET}@127.0.0.1:{guarded_redis.port}/0"
    kwargs = {"backend_type": "redis.standard", "backend_layer_kwargs": {"hosts": [url]}}

    assert_refused_in_time(new_caller(kwargs), caplog, "refused to log in")


class TcpProxy:
    """Passes bytes on between a client and a server, and can stop or break that at any byte."""

    def __init__(self, port: int | None) -> None:
        """Listen; without a port to pass on to, accept and stay silent."""
        self.fuse: int | None = None
        """After how many more bytes from clients every connection is reset; ``None`` for never."""
        self._target_port = port
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.host, self.port = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def is_armed(self) -> bool:
        """Tell whether the connections are still to be reset."""
        return self.fuse is not None

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                with self._lock:
                    self._sockets.append(near)
                if self._target_port is not None:
                    self._connect(near, self._target_port)

    def _connect(self, near: socket.socket, port: int) -> None:
        far = socket.create_connection(("127.0.0.1", port))
        with self._lock:
            self._sockets.append(far)
        for source, target, burns in ((near, far, True), (far, near, False)):
            threading.Thread(target=self._copy, args=(source, target, burns), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket, burns: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if burns and self.fuse is not None and len(data) >= self.fuse:
                    target.sendall(data[: self.fuse])
                    self.fuse = None
                    self.reset_all()
                    return
                if burns and self.fuse is not None:
                    self.fuse -= len(data)
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def reset_all(self) -> None:
        """End every connection in the rudest way."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for end in sockets:
            with end, contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                # Wakes the thread that reads from it; closing alone would not.
                end.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Accept no more, and end what is open."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset_all()


@pytest.fixture
def new_proxy() -> Iterator[Callable[[int | None], TcpProxy]]:
    """How to make a proxy that ends with the test."""
    with contextlib.ExitStack() as stack:

        def make(port: int | None) -> TcpProxy:
            proxy = TcpProxy(port)
            stack.callback(proxy.close)
            return proxy

        yield make


def test_server_that_accepts_and_stays_silent(
    new_proxy: Any, kwargs_of: Any, new_caller: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caller = new_caller(kwargs_of(new_proxy(None), connection_kwargs={"password": SECRET}))

    assert_refused_in_time(caller, caplog, "TimeoutError", "did not answer within the time limit")


@pytest.mark.parametrize("fuse", [1, 20, 150, 300, 700, 1500])
def test_connections_reset_in_the_middle_of_a_command(
    redis: RedisServer, workers: Any, new_proxy: Any, kwargs_of: Any, new_caller: Any, fuse: int
) -> None:
    proxy = new_proxy(redis.port)
    workers.start(kwargs_of(redis), count=1)
    caller = new_caller(kwargs_of(proxy))
    caller.wait_until_served()
    caller.outcomes.clear()

    for offset in range(10):
        proxy.fuse = fuse + offset * 7
        deadline = time.monotonic() + 10
        while proxy.is_armed():
            assert time.monotonic() < deadline
            caller.call(TIMEOUT_S)
        caller.wait_until_served()

    caller.assert_all_in_order(TIMEOUT_S)
    caller.assert_served(50)


def test_workers_outlive_connections_reset_in_the_middle_of_a_command(
    redis: RedisServer, workers: Any, new_proxy: Any, kwargs_of: Any, new_caller: Any
) -> None:
    proxy = new_proxy(redis.port)
    workers.start(kwargs_of(proxy), count=2)
    caller = new_caller(kwargs_of(redis))
    caller.wait_until_served()
    caller.outcomes.clear()

    for fuse in (1, 33, 60, 200, 500):
        proxy.fuse = fuse
        deadline = time.monotonic() + 10
        while proxy.is_armed():
            assert time.monotonic() < deadline
            caller.call(TIMEOUT_S)

    caller.assert_all_in_order(TIMEOUT_S)
    caller.wait_until_served()
    caller.assert_served(100)


def test_workers_with_a_wrong_password_keep_trying_and_come_back(
    guarded_redis: RedisServer, workers: Any, kwargs_of: Any, new_caller: Any
) -> None:
    wrong = f"not{SECRET}"
    workers.start(kwargs_of(guarded_redis, connection_kwargs={"password": wrong}))
    workers.wait_for_log("refused to log in")

    guarded_redis.execute("CONFIG", "SET", "requirepass", wrong)
    caller = new_caller(kwargs_of(guarded_redis, connection_kwargs={"password": wrong}))

    caller.wait_until_served()
    caller.assert_served(50)
    assert SECRET not in workers.log
