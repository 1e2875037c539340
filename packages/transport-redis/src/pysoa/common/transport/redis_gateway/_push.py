"""Getting a framed message into a list: capacity, back-off, time limits, and what to say when it fails."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Final, NoReturn, cast

import attrs

from pysoa.common.transport.errors import MessageSendError
from pysoa.common.transport.redis_gateway._commands import (
    FULL,
    PLAIN_PUSH,
    SCRIPTED_PUSH,
    TRANSACTIONAL_PUSH,
    URGENT_PLAIN_PUSH,
    PackedKey,
    Part,
    PushForm,
    pack_plain_push,
    pack_push,
    pack_push_with_script_text,
    pack_raise_ttl,
    pack_remove,
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
    "PushInFlight",
    "Pusher",
    "RefusedPushError",
    "push_limit",
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


@attrs.define
class Outgoing:
    """A message that is ready to be pushed."""

    parts: Sequence[Part]
    """The list elements that it consists of."""
    size: int
    """The serialized size in bytes, without headers."""
    expires_at: float
    """When it becomes worthless, in seconds since the Unix epoch."""
    ttl_s: int
    """For how many seconds its list must live at least."""
    push_within_s: float
    """How many seconds Redis gets to take it, from when it was made ready."""


def push_limit(life_s: float) -> float:
    """Return how many seconds Redis gets to take a message.

    Args:
        life_s: For how many seconds the message is good.
    """
    return COMMAND_LIMIT_S if life_s >= COMMAND_LIMIT_S else max(life_s, _SHORTEST_LIMIT_S)


def _last(reply: object) -> object:
    if not isinstance(reply, list):
        return reply
    replies = cast("list[object]", reply)
    return replies[-1] if replies else None


def _telling(replies: list[object]) -> object:
    # A command that cannot be part of a transaction ends that, too, but the first error says why.
    errors = (reply for reply in replies if isinstance(reply, ErrorReply))
    return next(errors, None) or _last(replies[-1])


class FullListError(MessageSendError):
    """The list stayed full."""


class RefusedPushError(MessageSendError):
    """A list was full when it was tried once to push to it."""

    is_unsent: Final = True
    """For the client, which does not know this class: nothing is left of the message."""


class PushInFlight:
    """A push that was written, and whose outcome has not been read yet.

    Args:
        queue_name: The list's name, for texts.
        packed_key: Its packed key.
        outgoing: The message.
        deadline: Until when Redis may take to accept it, in ``time.monotonic()`` seconds.
        form: How it was written.
        capacity: At how many elements the list counts as full.
    """

    __slots__ = ("_capacity", "deadline", "form", "outgoing", "packed_key", "queue_name", "replies")

    def __init__(
        self,
        queue_name: str,
        packed_key: PackedKey,
        outgoing: Outgoing,
        deadline: float,
        form: PushForm,
        capacity: int,
    ) -> None:
        self.queue_name: str = queue_name
        self.packed_key: PackedKey = packed_key
        self.outgoing: Outgoing = outgoing
        self.deadline: float = deadline
        self.form: PushForm = form
        self._capacity = capacity
        self.replies: list[object] = []
        """What Redis has answered."""

    def is_done(self) -> bool:
        """Tell whether the answer says that the message was taken, and that nothing remains to be done."""
        replies = self.replies
        if self.form.is_plain:
            length = replies[0]
            return type(length) is int and length <= self._capacity and type(replies[1]) is int
        return _last(replies[-1]) == 1


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
        self.connect_to: Callable[[int, float], CommandConnection] = self._connect_to
        """Borrow a connection to a master."""
        self.start: Callable[[CommandConnection, str, PackedKey, Outgoing, bytes], PushInFlight]
        self.start = meters.timed("send.send_message_to_redis_queue", self._start)
        """Write a push, and what comes next along with it; see :meth:`_start`."""
        self.attempt_and_release: Callable[[CommandConnection, str, PackedKey, Outgoing], bool]
        self.attempt_and_release = meters.timed("send.send_message_to_redis_queue", self._attempt_and_release)
        """Push once, and give the connection back; see :meth:`_attempt_and_release`."""
        self._needs_script = False
        # A full list has a length of more digits than 1, so that the reply to a refused push is longer.
        self._plain_push = PLAIN_PUSH if queue_capacity >= 9 else URGENT_PLAIN_PUSH

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
        try:
            index = self._backend().index_for(queue_key, time.monotonic() + COMMAND_LIMIT_S)
        except Exception as error:
            self.fail(error)
        self.push_to(index, queue_name, packed_key, outgoing, retry_budget_s)

    def push_once(self, queue_name: str, queue_key: str, packed_key: PackedKey, outgoing: Outgoing) -> None:
        """Push a message as :meth:`push` does, but do not wait for room.

        Raises:
            RefusedPushError: The list is full. Nothing is left of the message there.
            MessageSendError: Redis did not take it.
        """
        try:
            self.push(queue_name, queue_key, packed_key, outgoing, 0.0)
        except FullListError as error:
            raise RefusedPushError(f"Redis queue {queue_name} is full") from error

    def push_to(
        self,
        index: int,
        queue_name: str,
        packed_key: PackedKey,
        outgoing: Outgoing,
        retry_budget_s: float | None = None,
    ) -> None:
        """Push a message to a list on a certain master; see :meth:`push`."""
        if self._queue_full_retries < 0:
            raise self._full_list_error(queue_name, self._queue_full_retries)
        connect_to, attempt_and_release = self.connect_to, self.attempt_and_release
        try:
            connection = connect_to(index, time.monotonic() + outgoing.push_within_s)
            if attempt_and_release(connection, queue_name, packed_key, outgoing):
                return
        except MessageSendError:
            raise
        except Exception as error:
            self.fail(error)
        self._push_again(index, queue_name, packed_key, outgoing, retry_budget_s)

    def _attempt_and_release(
        self, connection: CommandConnection, queue_name: str, packed_key: PackedKey, outgoing: Outgoing
    ) -> bool:
        """Push once, and give the connection back.

        Returns:
            Whether the list had room. If not, nothing was pushed.

        Raises:
            BackendError: The connection broke.
            MessageSendError: Redis answered with an error.
        """
        backend = self._backend()
        try:
            push = self._start(connection, queue_name, packed_key, outgoing, b"")
            connection.read_into(push.replies, push.form.reply_count, push.deadline)
            has_room = push.is_done() or self._complete(connection, push)
        except BaseException:
            backend.discard(connection)
            raise
        backend.release(connection)
        return has_room

    def conclude(self, push: PushInFlight, index: int) -> None:
        """Look at the outcome of a push that has been read, and do what remains to be done.

        Args:
            push: The push.
            index: The master that it went to.

        Raises:
            BackendError: The connection for what remained to be done broke.
            RefusedPushError: The list was full. Nothing is left of the message there.
            MessageSendError: Redis answered with an error.
        """
        if push.is_done():
            return
        backend = self._backend()
        connection = backend.acquire(index, time.monotonic() + COMMAND_LIMIT_S)
        try:
            has_room = self._complete(connection, push)
        except BaseException:
            backend.discard(connection)
            raise
        backend.release(connection)
        if not has_room:
            raise RefusedPushError(
                f"Redis queue {push.queue_name} is full. Nothing was sent: try again, or start more servers."
            )

    def _push_again(
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
                life_s = outgoing.expires_at - time.time()
                outgoing = attrs.evolve(outgoing, push_within_s=push_limit(life_s))
                connection = self._backend().acquire(index, time.monotonic() + outgoing.push_within_s)
                if self.attempt_and_release(connection, queue_name, packed_key, outgoing):
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

    def _connect_to(self, index: int, deadline: float) -> CommandConnection:
        self.connect_to = self._meters.timed("send.get_redis_connection", self._backend().acquire)
        return self.connect_to(index, deadline)

    def _start(
        self,
        connection: CommandConnection,
        queue_name: str,
        packed_key: PackedKey,
        outgoing: Outgoing,
        next_commands: bytes,
    ) -> PushInFlight:
        """Write a push and what comes next in one breath, and read nothing.

        Args:
            connection: A borrowed connection; it stays borrowed.
            queue_name: The list's name, for texts.
            packed_key: Its packed key.
            outgoing: The message.
            next_commands: Packed commands.

        Raises:
            BackendError: The connection broke.
        """
        deadline = time.monotonic() + outgoing.push_within_s
        if len(outgoing.parts) == 1 and not self._needs_script:
            form = self._plain_push
            data = pack_plain_push(packed_key, outgoing.ttl_s, outgoing.parts[0], next_commands)
        else:
            is_large = outgoing.size >= _TRANSACTION_FROM_BYTES
            form = TRANSACTIONAL_PUSH if is_large else SCRIPTED_PUSH
            pack = pack_transactional_push if is_large else pack_push
            data = pack(packed_key, self._queue_capacity, outgoing.ttl_s, outgoing.parts, next_commands)
        connection.write(data, deadline)
        return PushInFlight(queue_name, packed_key, outgoing, deadline, form, self._queue_capacity)

    def _complete(self, connection: CommandConnection, push: PushInFlight) -> bool:
        """Do what remains to be done for a push that did not just succeed.

        Returns:
            Whether the message is, or was, in the list.
        """
        reply = push.replies[0] if push.form.is_plain else _telling(push.replies)
        if push.form.is_plain and type(reply) is int:
            if reply > self._queue_capacity:
                return not self._take_back(connection, push)
            # Redis 6.2 does not know the conditions of EXPIRE.
            self._needs_script = True
            reply = self._run(connection, push, pack_raise_ttl(push.packed_key, push.outgoing.ttl_s))
        elif isinstance(reply, ErrorReply) and reply.is_missing_script:
            outgoing = push.outgoing
            reply = self._run(
                connection,
                push,
                pack_push_with_script_text(
                    push.packed_key, self._queue_capacity, outgoing.ttl_s, outgoing.parts
                ),
            )
        if reply == 1:
            return True
        if reply == FULL:
            return False
        raise self._error_for(reply)

    def _take_back(self, connection: CommandConnection, push: PushInFlight) -> bool:
        """Remove a message from a list that had been full; tell whether it was still there."""
        reply = self._run(connection, push, pack_remove(push.packed_key, push.outgoing.parts[0]))
        if type(reply) is int:
            return reply > 0
        raise self._error_for(reply)

    @staticmethod
    def _run(connection: CommandConnection, push: PushInFlight, command: bytes) -> object:
        deadline = max(push.deadline, time.monotonic() + _SHORTEST_LIMIT_S)
        connection.write(command, deadline)
        return connection.read(deadline)

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
