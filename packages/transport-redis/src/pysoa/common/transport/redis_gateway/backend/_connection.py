"""A logged-in connection on which packed commands are written and replies are read."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

from pysoa.common.transport.redis_gateway._interfaces import BackendError
from pysoa.common.transport.redis_gateway.backend._endpoint import Endpoint
from pysoa.common.transport.redis_gateway.backend._errors import translate
from pysoa.common.transport.redis_gateway.backend._redis_py import open_socket
from pysoa.common.transport.redis_gateway.backend._replies import (
    INCOMPLETE,
    UnavailableReply,
    new_reply_reader,
)
from pysoa.common.transport.redis_gateway.backend._sockets import command_socket

__all__ = ("RedisConnection",)

# What has begun to come by the deadline is read to its end, since it may hold a message that is no longer in
# its list. But a peer that keeps dripping bytes gets no more than this.
_READING_ON_S: Final = 0.25
# What Redis answers to nearly every push. To have it read by a reader would take several times as long.
_INTEGERS: Final = 3
_find_integers: Final = re.compile(rb":(\d{1,10})\r\n" * _INTEGERS).match
_PING: Final = b"*1\r\n$4\r\nPING\r\n"


class RedisConnection:
    """One connection, used by one thread at a time; see :class:`CommandConnection` for the contract."""

    __slots__ = (
        "_buffer",
        "_endpoint",
        "_feed",
        "_gets",
        "_link",
        "_receive",
        "_send_at_once",
        "_send_rest",
        "_socket",
        "has_news",
        "has_unread_data",
        "is_unused",
        "pool",
        "returned_at",
    )

    def __init__(self, endpoint: Endpoint, pool: object, deadline: float) -> None:
        """Connect.

        Args:
            endpoint: The server.
            pool: Whom the connection is to be given back to.
            deadline: When to give up, in ``time.monotonic()`` seconds.

        Raises:
            BackendError: It did not work.
        """
        self.pool = pool
        self._endpoint = endpoint
        self._open(deadline)

    def _open(self, deadline: float) -> None:
        self._link = self._endpoint.connect(deadline)
        connected = open_socket(self._link)
        if connected is None:
            raise self._translated(ConnectionResetError("closed while logging in"))
        reader = new_reply_reader()
        self._feed = reader.feed
        self._gets = reader.gets
        self.has_unread_data: Callable[[], bool] = reader.has_data
        """Tells whether bytes that came were not read as replies."""
        self._socket = command_socket(connected, self._endpoint.read_size)
        self.has_news: Callable[[], object] = self._socket.has_news
        """Returns something true if anything has come, or the connection is closed. Never waits."""
        self._send_at_once = self._socket.send_at_once
        self._send_rest = self._socket.send_rest
        self._receive = self._socket.receive
        self._buffer = self._socket.buffer
        # A new connection that fails at its first command is no stale one.
        self.is_unused = False
        """Whether nothing was written since the connection was taken from its pool, where it had lain."""
        self.returned_at = 0.0
        """When it came back to its pool, if anybody has to know, in ``time.monotonic()`` seconds."""

    def write(self, data: bytes, deadline: float) -> None:
        """Write packed commands.

        Args:
            data: One or more complete commands.
            deadline: When to give up, in ``time.monotonic()`` seconds.

        Raises:
            BackendError: The connection broke or the deadline passed. Discard the connection.
        """
        send_at_once = self._send_at_once
        try:
            try:
                sent = send_at_once(data)
            except BlockingIOError:
                sent = 0
            if sent != len(data):
                self._send_rest(memoryview(data)[sent:], deadline)
        except (BrokenPipeError, ConnectionResetError) as error:
            if not self.is_unused:
                raise self._translated(error) from None
            self._write_on_new_connection(data, deadline)
        except Exception as error:
            raise self._translated(error) from None
        self.is_unused = False

    def _write_on_new_connection(self, data: bytes, deadline: float) -> None:
        # The server closed the connection while it lay in the pool, and not one byte has left since it was
        # taken from there. So nothing can have been run, and it is safe to send it once more.
        self.close()
        self._open(deadline)
        self.write(data, deadline)

    def read(self, deadline: float) -> object:
        """Read the reply to one command.

        Args:
            deadline: When to give up, in ``time.monotonic()`` seconds.

        Returns:
            The reply, see :class:`CommandConnection`.

        Raises:
            BackendError: The connection broke, the deadline passed or Redis cannot serve now. Discard the
                connection, unless the error says ``is_silence`` and the reply is still hoped for.
        """
        gets = self._gets
        try:
            reply = gets()
            if reply is INCOMPLETE:
                feed, receive = self._feed, self._receive
                feed(self._buffer, 0, receive(deadline))
                reply = gets()
                if reply is INCOMPLETE:
                    reply = self._rest_of_reply(deadline)
        except Exception as error:
            raise self._failure(error) from None
        if reply.__class__ is UnavailableReply:
            raise self._unavailable(reply)
        return reply

    def read_into(self, replies: list[object], count: int, deadline: float, uninteresting: int = 0) -> None:
        """Append replies to a list until it has so many; see :class:`CommandConnection`."""
        gets, feed, receive = self._gets, self._feed, self._receive
        has_unread_data = self.has_unread_data
        try:
            if not replies and count >= _INTEGERS and not has_unread_data():
                start, size = 0, receive(deadline, uninteresting)
                answer = _find_integers(self._buffer, 0, size)
                if answer is not None:
                    replies.extend(map(int, answer.groups()))
                    start = answer.end()
                if start < size:
                    feed(self._buffer, start, size - start)
            while len(replies) < count:
                reply = gets()
                if reply is INCOMPLETE:
                    feed(self._buffer, 0, receive(deadline, 0 if replies else uninteresting))
                    reply = gets()
                    if reply is INCOMPLETE:
                        reply = self._rest_of_reply(deadline)
                if reply.__class__ is UnavailableReply:
                    raise self._unavailable(reply)
                replies.append(reply)
        except Exception as error:
            raise self._failure(error) from None

    def _rest_of_reply(self, deadline: float) -> object:
        stop_at: float | None = None
        while True:
            now = time.monotonic()
            if now > deadline:
                stop_at = stop_at or now + _READING_ON_S
                if now > stop_at:
                    raise TimeoutError
            self._feed(self._buffer, 0, self._receive(deadline))
            reply = self._gets()
            if reply is not INCOMPLETE:
                return reply

    def _failure(self, error: Exception) -> BackendError:
        if isinstance(error, BackendError):
            return error
        failure = self._translated(error)
        failure.is_silence = isinstance(error, TimeoutError)
        return failure

    def _translated(self, error: Exception) -> BackendError:
        return translate(error, self._endpoint.name, self._endpoint.secrets)

    def _unavailable(self, reply: object) -> BackendError:
        assert isinstance(reply, UnavailableReply)
        text = self._endpoint.secrets.hide_in(reply.text)
        return BackendError(f"{self._endpoint.name} cannot serve now: {text}", cause_name=reply.cause_name)

    # For the pool

    def answers_ping(self, deadline: float) -> bool:
        """Tell whether the server answers.

        Args:
            deadline: When to give up, in ``time.monotonic()`` seconds.
        """
        try:
            self.write(_PING, deadline)
            is_answered = self.read(deadline) == b"PONG"
        except BackendError:
            return False
        self.is_unused = True
        return is_answered

    def close(self) -> None:
        """Close the connection; in a process forked off since, only this process' end of it. Never raises."""
        try:
            self._link.disconnect()
        except Exception:
            # There is nobody to tell: the connection was of no use before.
            return

    def __repr__(self) -> str:
        return f"<{type(self).__name__} to {self._endpoint.name}>"
