"""Sends and receives over a connected socket by a deadline, in as few system calls as it takes.

Python waits for a socket with a time limit by two calls, ``poll`` and ``recv``. A plain socket is spared the
first: it is left blocking, and the kernel wakes it a few times per second (``SO_RCVTIMEO``) to look at the
clock. For the same reason it can be told not to be woken for too few bytes (``SO_RCVLOWAT``).
"""

from __future__ import annotations

import functools
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable
from typing import Final, Protocol

__all__ = (
    "BrokenOffError",
    "CommandSocket",
    "command_socket",
)

_TICK_S: Final = 0.25
_TICK: Final = struct.pack("ll", 0, int(_TICK_S * 1_000_000))


class BrokenOffError(Exception):
    """The connection broke after a part of a command had been sent, or may have been."""


class CommandSocket(Protocol):
    """A connected socket."""

    buffer: bytearray
    """Where :meth:`receive` puts what came."""

    def has_news(self) -> object:
        """Return something true if anything has come, or the connection is closed. Never waits.

        After a wait that few bytes did not end, as few bytes that have come since may go unnoticed.
        """
        ...

    def send_at_once(self, data: bytes, /) -> int:
        """Send what can be sent without a time limit, and return how many bytes these are; 0 perhaps.

        Raises:
            BlockingIOError: None.
            OSError: The connection is broken; nothing at all was sent.
        """
        ...

    def send_rest(self, rest: memoryview, deadline: float) -> None:
        """Send what :attr:`send_at_once` has left.

        Raises:
            BrokenOffError: The connection broke, and some of the data may have been sent.
            TimeoutError: Not all was sent by the deadline.
        """
        ...

    def receive(self, deadline: float, uninteresting: int = 0) -> int:
        """Wait for bytes, put them into :attr:`buffer` and return how many there are.

        Args:
            deadline: When to give up, in ``time.monotonic()`` seconds.
            uninteresting: If no more bytes than these come, there is no hurry to return. To be woken for
                them only to wait again would cost as much as the rest of a call.

        Raises:
            TimeoutError: Nothing came by the deadline. What did come is returned, however late it is seen.
            OSError: The connection is broken.
        """
        ...


def command_socket(connected: socket.socket, buffer_size: int) -> CommandSocket:
    """Return the best way to use a socket.

    Args:
        connected: The socket. It stays its owner's task to close it.
        buffer_size: How many bytes to take from it at once.
    """
    if not isinstance(connected, ssl.SSLSocket):
        try:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TICK)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TICK)
        except OSError:
            return _TimedSocket(connected, buffer_size)
        return _TickingSocket(connected, buffer_size)
    return _TimedSocket(connected, buffer_size)


class _TickingSocket:
    """A blocking socket that the kernel wakes regularly."""

    def __init__(self, connected: socket.socket, buffer_size: int) -> None:
        connected.settimeout(None)
        self.buffer = bytearray(buffer_size)
        self._send = connected.send
        self.send_at_once: Callable[[bytes], int] = connected.send
        self._receive_into = connected.recv_into
        self._set_option = connected.setsockopt
        self._low_water = 1
        self._is_unix = connected.family == socket.AF_UNIX
        poller = select.poll()
        poller.register(connected, select.POLLIN)
        self._poll = poller.poll
        self.has_news: Callable[[], object] = functools.partial(poller.poll, 0)

    def send_rest(self, rest: memoryview, deadline: float) -> None:
        while rest:
            if time.monotonic() >= deadline:
                raise TimeoutError
            try:
                rest = rest[self._send(rest) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise BrokenOffError from error

    def receive(self, deadline: float, uninteresting: int = 0) -> int:
        if self._low_water != uninteresting + 1:
            self._set_low_water(uninteresting + 1)
        receive_into = self._receive_into
        while True:
            left_s = deadline - time.monotonic()
            if left_s < _TICK_S and not self._poll_to_the_end(left_s):
                raise TimeoutError
            try:
                size = receive_into(self.buffer)
            except BlockingIOError:
                continue
            if not size:
                raise _closed()
            return size

    def _poll_to_the_end(self, left_s: float) -> bool:
        has_come = bool(self._poll(max(left_s * 1000, 0)))
        if self._low_water > 1 and (self._is_unix or not has_come):
            # There is no time left to wait for more. To poll a Unix socket tells of too few bytes, too, so
            # that the read would wait for more.
            self._set_low_water(1)
            return has_come or bool(self._poll(0))
        return has_come

    def _set_low_water(self, size: int) -> None:
        self._set_option(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
        self._low_water = size


class _TimedSocket:
    """A socket that is given a time limit before each step. With TLS, the kernel cannot wake a read."""

    def __init__(self, connected: socket.socket, buffer_size: int) -> None:
        self.buffer = bytearray(buffer_size)
        self._socket = connected

    @staticmethod
    def send_at_once(_data: bytes) -> int:
        return 0

    def send_rest(self, rest: memoryview, deadline: float) -> None:
        while rest:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                rest = rest[self._socket.send(rest) :]
            except TimeoutError:
                raise
            except OSError as error:
                # One call may send many TLS records, so that it is not known whether nothing has left.
                raise BrokenOffError from error

    def receive(self, deadline: float, uninteresting: int = 0) -> int:  # noqa: ARG002  # TLS has its own buffer
        self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
        size = self._socket.recv_into(self.buffer)
        if not size:
            raise _closed()
        return size

    def has_news(self) -> bool:
        self._socket.setblocking(False)
        try:
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            # TLS may have read something after all, such as tickets and new keys, but no data.
            return False
        except OSError:
            return True
        return True


def _closed() -> ConnectionResetError:
    return ConnectionResetError("closed by the other side")
