"""Getting a framed message into a list: capacity, back-off, time limits, and what to say when it fails."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, NoReturn, cast

from pysoa.common.transport.errors import MessageSendError
from pysoa.common.transport.redis_gateway._commands import (
    REPLIES_TO_TRANSACTIONAL_PUSH,
    PackedKey,
    Part,
    pack_push,
    pack_push_with_script_text,
    pack_transactional_push,
)
from pysoa.common.transport.redis_gateway._interfaces import (
    Backend,
    BackendError,
    CommandConnection,
    ErrorReply,
)
from pysoa.common.transport.redis_gateway._metrics import Meters

__all__ = (
    "COMMAND_LIMIT_S",
    "FullListError",
    "Outgoing",
    "Pusher",
)

COMMAND_LIMIT_S: Final = 5.0
"""Redis gets so many seconds to take a message, or less if the message expires earlier."""
_SHORTEST_LIMIT_S: Final = 0.25
"""Even a message that expires at once may take so long to be pushed."""
BACK_OFF_DIVISOR: Final = 4.0
_TRANSACTION_FROM_BYTES: Final = 4_096
"""From about this size on, leading the data through a script costs Redis more than a transaction does.

Measured with Redis 7.0, microseconds of its CPU for script and transaction: 17 and 18 with 3 KB, 31 and 20
with 9 KB, 2,400 and 780 with ten parts of 100 KB.
"""

# 1.x deployments configure this name.
_logger = logging.getLogger("pysoa.common.transport.redis_gateway.core")


class Outgoing(NamedTuple):
    """A message that is ready to be pushed."""

    parts: Sequence[Part]
    """The list elements that it consists of."""
    size: int
    """The serialized size in bytes, without headers."""
    expires_at: float
    """When it becomes worthless, in seconds since the Unix epoch."""
    ttl_s: int
    """For how many seconds its list must live at least."""


def _last(reply: object) -> object:
    if not isinstance(reply, list):
        return reply
    replies = cast("list[object]", reply)
    return replies[-1] if replies else None


class FullListError(MessageSendError):
    """The list stayed full."""


class Pusher:
    """Pushes the messages of one transport.

    Args:
        service_name: The service, for the texts of errors.
        meters: The transport's instruments.
        backend: Returns the backend, which may have to be built first.
        queue_capacity: At how many elements a list counts as full.
        queue_full_retries: How often to try again then.
    """

    def __init__(
        self,
        service_name: str,
        meters: Meters,
        backend: Callable[[], Backend],
        queue_capacity: int,
        queue_full_retries: int,
    ) -> None:
        self._service_name = service_name
        self._meters = meters
        self._backend = backend
        self._queue_capacity = queue_capacity
        self._queue_full_retries = queue_full_retries
        self.connect: Callable[[str, float], tuple[int, CommandConnection]] = meters.timed(
            "send.get_redis_connection", self._connect
        )
        """Choose the master for a queue key and borrow a connection to it."""
        self.attempt: Callable[[CommandConnection, PackedKey, Outgoing, float, bytes], bool | None]
        self.attempt = meters.timed("send.send_message_to_redis_queue", self._attempt)
        """Push once; see :meth:`_attempt`."""

    def deadline_for(self, outgoing: Outgoing) -> float:
        """Return until when, in ``time.monotonic()`` seconds, Redis may take to accept the message."""
        life_s = outgoing.expires_at - time.time()
        if life_s >= COMMAND_LIMIT_S:
            return time.monotonic() + COMMAND_LIMIT_S
        return time.monotonic() + max(life_s, _SHORTEST_LIMIT_S)

    def push(
        self,
        queue_name: str,
        queue_key: str,
        packed_key: PackedKey,
        outgoing: Outgoing,
        retry_budget_s: float | None = None,
    ) -> None:
        """Push a message, and wait for room if the list is full.

        Args:
            queue_name: The list's name, for texts.
            queue_key: The list's full key.
            packed_key: The same, packed.
            outgoing: The message.
            retry_budget_s: For how long to try again at most; ``None`` for as long as the message lives.

        Raises:
            MessageSendError: Redis did not take it.
        """
        if self._queue_full_retries < 0:
            raise self._full_list_error(queue_name, self._queue_full_retries)
        try:
            deadline = self.deadline_for(outgoing)
            index, connection = self.connect(queue_key, deadline)
            if self.attempt_and_release(connection, packed_key, outgoing, deadline):
                return
        except MessageSendError:
            raise
        except Exception as error:
            self.fail(error)
        self.push_again(index, queue_name, packed_key, outgoing, retry_budget_s)

    def attempt_and_release(
        self, connection: CommandConnection, packed_key: PackedKey, outgoing: Outgoing, deadline: float
    ) -> bool:
        """Push once, and give the connection back.

        Returns:
            Whether the list had room.

        Raises:
            BackendError: The connection broke.
            MessageSendError: Redis answered with an error.
        """
        backend = self._backend()
        try:
            has_room = self.attempt(connection, packed_key, outgoing, deadline, b"")
            if has_room is None:
                has_room = self._attempt_with_script_text(connection, packed_key, outgoing, deadline)
        except BaseException:
            backend.discard(connection)
            raise
        backend.release(connection)
        return has_room

    def push_again(
        self,
        index: int,
        queue_name: str,
        packed_key: PackedKey,
        outgoing: Outgoing,
        retry_budget_s: float | None,
    ) -> None:
        """Push a message to a list that has just been full.

        Args:
            index: The master that the list is on.
            queue_name: The list's name, for texts.
            packed_key: Its packed key.
            outgoing: The message.
            retry_budget_s: For how long to try at most; ``None`` for as long as the message lives.

        Raises:
            MessageSendError: Redis did not take it.
        """
        give_up_at = outgoing.expires_at
        if retry_budget_s is not None:
            give_up_at = min(give_up_at, time.time() + retry_budget_s)
        for retries in range(self._queue_full_retries):
            sleep_s = (2**retries + random.random()) / BACK_OFF_DIVISOR
            if time.time() + sleep_s >= give_up_at:
                raise self._full_list_error(queue_name, retries)
            time.sleep(sleep_s)
            self._meters.count("send.queue_full_retry")
            self._meters.count(f"send.queue_full_retry.retry_{retries + 1}")
            try:
                deadline = self.deadline_for(outgoing)
                connection = self._backend().acquire(index, deadline)
                if self.attempt_and_release(connection, packed_key, outgoing, deadline):
                    return
            except MessageSendError:
                raise
            except Exception as error:
                self.fail(error)
        raise self._full_list_error(queue_name, self._queue_full_retries)

    def fail(self, error: Exception) -> NoReturn:
        """Raise the documented error for something that went wrong while sending.

        Args:
            error: What went wrong.

        Raises:
            MessageSendError: Always.
        """
        if isinstance(error, BackendError) and error.is_connection_error:
            self._meters.count("send.error.connection")
            raise MessageSendError(f"Cannot get connection: {error.text}") from error
        self._meters.count("send.error.unknown")
        _logger.exception("Unknown error sending message in Redis transport core", exc_info=error)
        self._backend_may_have_moved()
        if isinstance(error, BackendError):
            arguments: tuple[object, ...] = (error.cause_name, error.text)
        else:
            arguments = (type(error).__name__, *error.args)
        raise MessageSendError(
            f"Unknown error sending message for service {self._service_name}", *arguments
        ) from error

    def _connect(self, queue_key: str, deadline: float) -> tuple[int, CommandConnection]:
        backend = self._backend()
        index = backend.index_for(queue_key, deadline)
        return index, backend.acquire(index, deadline)

    def _attempt(
        self,
        connection: CommandConnection,
        packed_key: PackedKey,
        outgoing: Outgoing,
        deadline: float,
        next_commands: bytes,
    ) -> bool | None:
        """Push once, and write what comes next along with it.

        Args:
            connection: A borrowed connection; it stays borrowed.
            packed_key: The list.
            outgoing: The message.
            deadline: When to give up, in ``time.monotonic()`` seconds.
            next_commands: Packed commands to write in the same breath; their replies are left to be read.

        Returns:
            Whether the list had room, or ``None`` if Redis does not know the script. If it is not true,
            nothing was pushed.

        Raises:
            BackendError: The connection broke.
            MessageSendError: Redis answered with an error.
        """
        arguments = (packed_key, self._queue_capacity, outgoing.ttl_s, outgoing.parts)
        if outgoing.size < _TRANSACTION_FROM_BYTES:
            connection.write(pack_push(*arguments) + next_commands, deadline)
            reply = connection.read(deadline)
        else:
            connection.write(pack_transactional_push(*arguments), deadline)
            if next_commands:
                connection.write(next_commands, deadline)
            for _ in range(REPLIES_TO_TRANSACTIONAL_PUSH - 1):
                connection.read(deadline)
            reply = connection.read(deadline)
            reply = _last(reply)
        if reply == 1:
            return True
        if reply == 0:
            return False
        if isinstance(reply, ErrorReply) and reply.is_missing_script:
            return None
        raise self._error_for(reply)

    def _attempt_with_script_text(
        self, connection: CommandConnection, packed_key: PackedKey, outgoing: Outgoing, deadline: float
    ) -> bool:
        data = pack_push_with_script_text(packed_key, self._queue_capacity, outgoing.ttl_s, outgoing.parts)
        connection.write(data, deadline)
        reply = connection.read(deadline)
        if isinstance(reply, int):
            return reply == 1
        raise self._error_for(reply)

    def _error_for(self, reply: object) -> MessageSendError:
        self._meters.count("send.error.response")
        self._backend_may_have_moved()
        text = reply.text if isinstance(reply, ErrorReply) else f"unexpected answer: {type(reply).__name__}"
        return MessageSendError(f"Redis error sending message for service {self._service_name}", text)

    def _full_list_error(self, queue_name: str, retries: int) -> FullListError:
        self._meters.count("send.error.redis_queue_full")
        return FullListError(f"Redis queue {queue_name} was full after {retries} retries")

    def _backend_may_have_moved(self) -> None:
        try:
            self._backend().reset_clients()
        except Exception:
            # It may be the very backend that cannot be built; the first error is the one to tell.
            _logger.debug("The backend could not be reset", exc_info=True)
