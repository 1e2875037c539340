"""The floor: the four Redis list operations of a call over a raw socket with MessagePack, and nothing else.

No validation, no types, no time limits, no errors, no expiry, no framing: what remains is what Redis, the
kernel and MessagePack cost a Python program. Run as ``python floor.py worker PORT`` or ``... client PORT``.
"""

from __future__ import annotations

import datetime
import socket
import sys
from typing import Any, NoReturn

import msgpack  # type: ignore[import-untyped]  # it ships no types

import driver
from bench_service import bodies

QUEUE = b"floor:requests"


class RawRedis:
    """Speaks just enough of the Redis protocol to push to a list and to pop from one."""

    def __init__(self, port: int) -> None:
        """Connect to a server on the loopback interface."""
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(4 * 1024 * 1024)
        self._view = memoryview(self._buffer)

    def push(self, key: bytes, value: bytes) -> None:
        """RPUSH one value and read the answer."""
        self._socket.sendall(
            b"*3\r\n$5\r\nRPUSH\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(key), key, len(value), value)
        )
        self._socket.recv(64)

    def pop(self, key: bytes) -> memoryview:
        """BLPOP one value, waiting for ever."""
        self._socket.sendall(b"*3\r\n$5\r\nBLPOP\r\n$%d\r\n%b\r\n$1\r\n0\r\n" % (len(key), key))
        prefix = len(b"*2\r\n$%d\r\n%b\r\n$" % (len(key), key))
        received = self._socket.recv_into(self._buffer)
        end = self._buffer.find(b"\r\n", prefix, received)
        while end < 0:
            received += self._more(received)
            end = self._buffer.find(b"\r\n", prefix, received)
        start = end + 2
        total = start + int(self._view[prefix:end]) + 2
        while received < total:
            received += self._more(received)
        return self._view[start : total - 2]

    def _more(self, received: int) -> int:
        size = self._socket.recv_into(self._view[received:])
        if not size:
            raise SystemExit("Redis has closed the connection")
        return size


def encode_time(value: object) -> msgpack.ExtType:
    """Encode a date-time as PySOA does, so that the same bodies can be carried."""
    if isinstance(value, datetime.datetime):
        delta = value - _EPOCH
        return msgpack.ExtType(
            1, ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds).to_bytes(8)
        )
    raise TypeError(type(value))


def decode_time(_code: int, data: bytes) -> datetime.datetime:
    """Decode what :func:`encode_time` made."""
    return _EPOCH + datetime.timedelta(microseconds=int.from_bytes(data))


_EPOCH = datetime.datetime(1970, 1, 1)


def pack(value: object) -> bytes:
    """Turn a value into MessagePack."""
    packed: bytes = msgpack.packb(value, default=encode_time)
    return packed


def unpack(data: memoryview) -> Any:
    """Turn MessagePack into a value."""
    return msgpack.unpackb(data, ext_hook=decode_time)


def work(port: int) -> NoReturn:
    """Answer requests for ever: an echo, or the rows that were asked for."""
    redis = RawRedis(port)
    rows: dict[int, dict[str, Any]] = {}
    while True:
        request = unpack(redis.pop(QUEUE))
        body = request["body"]
        count = body.get("rows")
        if isinstance(count, int):
            if count not in rows:
                rows[count] = bodies.large(count)
            body = rows[count]
        redis.push(request["reply_to"].encode(), pack({"request_id": request["request_id"], "body": body}))


class FloorClient(driver.Contestant):
    """Calls the worker above."""

    def __init__(self, port: int) -> None:
        """Connect and choose a reply list."""
        self._redis = RawRedis(port)
        self._reply_to = f"floor:replies:{driver.unique()}"
        self._reply_key = self._reply_to.encode()
        self._number = 0

    def send(self, _action: str, body: dict[str, Any]) -> None:
        """Push one request."""
        self._number += 1
        request = {"request_id": self._number, "reply_to": self._reply_to, "body": body}
        self._redis.push(QUEUE, pack(request))

    def receive(self) -> dict[str, Any]:
        """Pop one response and return its body."""
        response_body: dict[str, Any] = unpack(self._redis.pop(self._reply_key))["body"]
        return response_body

    def call(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        """Push one request and pop its response."""
        self.send(action, body)
        return self.receive()


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        work(int(sys.argv[2]))
    driver.serve(FloorClient(int(sys.argv[2])))
