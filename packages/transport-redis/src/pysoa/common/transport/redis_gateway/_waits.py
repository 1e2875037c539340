"""Waiting for elements of Redis lists, within time limits and without stealing from other waiters."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn, TypeAlias, cast

from pysoa.common.transport.errors import MessageReceiveError
from pysoa.common.transport.redis_gateway._commands import (
    pack_blocking_pop,
    pack_key,
    pack_pop_many,
)
from pysoa.common.transport.redis_gateway._interfaces import (
    Backend,
    BackendError,
    CommandConnection,
    ErrorReply,
)
from pysoa.common.transport.redis_gateway._metrics import Meters
from pysoa.common.transport.redis_gateway._push import PushInFlight

__all__ = (
    "PATIENCE_S",
    "READ_SLACK_S",
    "Receiver",
    "RequestWait",
    "popped_element",
    "popped_elements",
    "popped_key_and_element",
)

READ_SLACK_S: Final = 0.25
"""How much later than asked for the end of a wait may be heard of before the connection counts as broken.

Together with the shortest wait it is longer than the kernel waits at a time; see ``backend/_sockets.py``.
Else every call would have to poll.
"""
PATIENCE_S: Final = 10.0
"""How long the answer to a wait is hoped for from a Redis server that says nothing at all."""
CONNECT_LIMIT_S: Final = 2.0
"""How long a receiver tries to connect."""
_SLICE_S: Final = 0.5
_PICK_UP_WITHIN_S: Final = 0.08
_SHORTEST_SLICE_S: Final = 0.01
_SHUN_MASTER_S: Final = 1.0
_BYTES: Final = frozenset({bytes})

_logger = logging.getLogger(__name__)

Settle: TypeAlias = Callable[[PushInFlight, BaseException | None], None]
"""Takes note of the outcome of a push, or of the reason why it will never be known. Raises nothing."""


class Receiver:
    """What all waits of one transport share: its instruments, its backend and the errors that they end with.

    Args:
        service_name: The service, for the texts of errors.
        meters: The transport's instruments.
        backend: Returns the backend, which may have to be built first.
    """

    def __init__(self, service_name: str, meters: Meters, backend: Callable[[], Backend]) -> None:
        self._service_name = service_name
        self._meters = meters
        self.backend = backend
        self.connect: Callable[[int, float], CommandConnection] = self._connect
        """Borrow a connection to a master."""

    def _connect(self, index: int, deadline: float) -> CommandConnection:
        self.connect = self._meters.timed("receive.get_redis_connection", self.backend().acquire)
        return self.connect(index, deadline)

    def fail(self, error: Exception) -> NoReturn:
        """Raise the documented error for something that went wrong while waiting.

        Args:
            error: What went wrong.

        Raises:
            MessageReceiveError: Always.
        """
        raise self.failure(error) from error

    def failure(self, error: Exception) -> MessageReceiveError:
        """Count what went wrong while waiting, and return the documented error for it.

        Args:
            error: What went wrong.
        """
        if isinstance(error, BackendError) and error.is_connection_error:
            self._meters.count("receive.error.connection")
            return MessageReceiveError(f"Cannot get connection: {error.text}")
        self._meters.count("receive.error.unknown")
        try:
            self.backend().reset_clients()
        except Exception:
            # It may be the very backend that cannot be built; the first error is the one to tell.
            _logger.debug("The backend could not be reset", exc_info=True)
        if isinstance(error, BackendError):
            arguments: tuple[object, ...] = (error.cause_name, error.text)
        else:
            arguments = (type(error).__name__, *error.args)
        return MessageReceiveError(
            f"Unknown error receiving message for service {self._service_name}", *arguments
        )


class RequestWait:
    """Takes requests from a service's queue, which may live on several masters.

    It waits on one master at a time, so that it never takes a request before it can be run, and moves on
    every few hundredths of a second, so that no request lies on any master for long.

    A master that falls silent is not left at once. It may be paused, and give the next request to the wait
    that was begun before; if nobody listened any more, that request would be lost.

    Args:
        receiver: The instruments, the backend and the errors.
        queue_key: The queue's full key.
        meters: The transport's instruments.
    """

    def __init__(self, receiver: Receiver, queue_key: str, meters: Meters) -> None:
        self.is_interrupted = False
        """Whether to wait no more. May be set at any time, by a signal handler for instance."""
        self.queue_key = queue_key
        """The queue's full key."""
        self._receiver = receiver
        self._packed_key = pack_key(queue_key)
        self._one_key = (self._packed_key,)
        self.commands_to_start: Final = pack_blocking_pop(self._one_key, _SLICE_S)
        """Packed commands that start a wait, to be written along with something else."""
        self.backend: Backend | None = None
        """The backend, once it has been needed."""
        self.pending: dict[int, Question] = {}
        """Waits that have been started, and may have taken a request already, by the master's index."""
        self._shunned_until: dict[int, float] = {}
        self.next_message: Callable[[float], bytes | None] = meters.timed(
            "receive.pop_from_redis_queue", self._next_message
        )
        """Wait for the next request; see :meth:`_next_message`."""

    def adopt(self, connection: CommandConnection, push: PushInFlight, settle: Settle) -> None:
        """Take over a connection to the only master, on which :attr:`commands_to_start` was written.

        Args:
            connection: The connection.
            push: What was written on it before, and has not been answered either.
            settle: What to do as soon as the outcome of the push is known, or the reason why it never will.
        """
        self.pending[0] = Question(connection, popped_element, _SLICE_S, push, settle)

    def forget(self) -> None:
        """Leave waits that were started by the parent of this process to the parent."""
        self.pending = {}

    def _next_message(self, timeout_s: float) -> bytes | None:
        """Wait for the next request.

        Args:
            timeout_s: For how long.

        Returns:
            The message, or ``None`` if there is none or the wait was interrupted.

        Raises:
            MessageReceiveError: No master could be asked.
        """
        if self.is_interrupted and not self.pending:
            return None
        deadline = time.monotonic() + timeout_s
        try:
            backend = self.backend or self.find_backend()
            question = self.pending.get(0)
            if question is not None and not question.is_overdue and backend.has_one_master:
                del self.pending[0]
                message = self._answer(backend, 0, question, deadline)
                if message is not None:
                    backend.release(question.connection)
                    return message
                return self._wait_on_one(backend, question.connection, deadline)
            first = backend.next_index(time.monotonic() + CONNECT_LIMIT_S)
            if backend.has_one_master:
                return self._wait_on_one(backend, None, deadline)
            return self._wait_on_ring(backend, first, deadline)
        except MessageReceiveError:
            raise
        except Exception as error:
            self._receiver.fail(error)

    def find_backend(self) -> Backend:
        """Return the backend, built if there is none yet."""
        self.backend = self._receiver.backend()
        return self.backend

    def _wait_on_one(
        self, backend: Backend, connection: CommandConnection | None, deadline: float
    ) -> bytes | None:
        message = None
        if connection is None:
            question = self._open_question(backend, 0)
            if question is not None:
                connection = question.connection
                message = self._answer(backend, 0, question, deadline)
            else:
                connection = self._receiver.connect(0, time.monotonic() + CONNECT_LIMIT_S)
        while message is None and not self.is_interrupted:
            now = time.monotonic()
            if now >= deadline:
                break
            question = self._ask(backend, connection, min(deadline - now, _SLICE_S))
            message = self._answer(backend, 0, question, deadline)
        backend.release(connection)
        return message

    def _wait_on_ring(self, backend: Backend, first: int, deadline: float) -> bytes | None:
        ring_size = backend.ring_size
        slice_s = max(_PICK_UP_WITHIN_S / (ring_size - 1), _SHORTEST_SLICE_S)
        turn = 0
        while not self.is_interrupted:
            now = time.monotonic()
            is_first_round = turn < ring_size
            if now >= deadline and not is_first_round:
                break
            index = (first + turn) % ring_size
            turn += 1
            if self._shunned_until.get(index, 0.0) > now:
                if len(self._shunned_until) == ring_size and min(self._shunned_until.values()) > now:
                    raise MessageReceiveError(
                        f"Cannot get connection: all {ring_size} Redis masters have just failed"
                    )
                continue
            # The first round only looks; whoever comes with requests waiting somewhere gets one at once.
            message = self._try(backend, index, 0.0 if is_first_round else min(slice_s, deadline - now))
            if message is not None:
                return message
        return None

    def _try(self, backend: Backend, index: int, timeout_s: float) -> bytes | None:
        try:
            question = self._open_question(backend, index)
            if question is None:
                connection = self._receiver.connect(index, time.monotonic() + CONNECT_LIMIT_S)
                question = self._ask(backend, connection, timeout_s)
            message = self._answer(backend, index, question, 0.0)
            backend.release(question.connection)
        except Exception as error:
            # The other masters may be well. This one gets a rest, so that it does not hold them up.
            failure = self._receiver.failure(error)
            self._shunned_until[index] = time.monotonic() + _SHUN_MASTER_S
            if len(self._shunned_until) == backend.ring_size:
                raise failure from error
            _logger.warning("Leaving out Redis master %d for %.0f s: %s", index, _SHUN_MASTER_S, failure)
            return None
        self._shunned_until.pop(index, None)
        return message

    def _open_question(self, backend: Backend, index: int) -> Question | None:
        question = self.pending.get(index)
        # After a fail-over the old master's answer would be waited for in vain.
        if question is not None and question.is_overdue:
            limit = time.monotonic() + CONNECT_LIMIT_S
            if not backend.is_master(question.connection, index, limit):
                left = BackendError("the server is no master any more", cause_name="ReadOnlyError")
                question.give_up(backend, left)
                question = None
        self.pending.pop(index, None)
        return question

    def _ask(self, backend: Backend, connection: CommandConnection, timeout_s: float) -> Question:
        if timeout_s:
            question = Question(connection, popped_element, timeout_s)
            command = pack_blocking_pop(self._one_key, timeout_s)
        else:
            question = Question(connection, _first_popped_element, 0.0)
            command = pack_pop_many(self._packed_key, 1)
        try:
            connection.write(command, question.answer_by)
        except BaseException:
            backend.discard(connection)
            raise
        return question

    def _answer(self, backend: Backend, index: int, question: Question, deadline: float) -> bytes | None:
        """Read the answer to a question. If it does not come, it can still be read the next time.

        Args:
            backend: The backend.
            index: Which master was asked.
            question: What was asked.
            deadline: Until when to be patient with a master that is silent.
        """
        read_by = question.answer_by
        connection = question.connection
        while True:
            try:
                push = question.push
                if push is not None:
                    form = push.form
                    connection.read_into(push.replies, form.reply_count, read_by, form.bytes_of_success)
                    question.push = None
                    if not push.is_done() and question.settle is not None:
                        question.settle(push, None)
                taken = question.taken
                return taken(connection.read(read_by))
            except BackendError as error:
                now = time.monotonic()
                if not error.is_silence or now > question.forget_at:
                    question.give_up(backend, error)
                    raise
                if self.is_interrupted or now >= deadline:
                    question.is_overdue = True
                    self.pending[index] = question
                    raise
                read_by = min(now + _SLICE_S, deadline + READ_SLACK_S)
            except BaseException as error:
                question.give_up(backend, error)
                raise


class Question:
    """A wait that Redis has been asked for, and has not answered yet.

    Args:
        connection: Where the answer will come.
        taken: Takes the element out of the answer; ``None`` if there is none.
        timeout_s: How long Redis was asked to wait.
        push: What was written on the connection before, and has not been answered either.
        settle: What to do as soon as the outcome of the push is known, or the reason why it never will.
    """

    __slots__ = ("answer_by", "connection", "forget_at", "is_overdue", "push", "settle", "taken")

    def __init__(
        self,
        connection: CommandConnection,
        taken: Callable[[object], bytes | None],
        timeout_s: float,
        push: PushInFlight | None = None,
        settle: Settle | None = None,
    ) -> None:
        now = time.monotonic()
        self.connection = connection
        self.answer_by = now + timeout_s + READ_SLACK_S
        self.forget_at = now + PATIENCE_S
        self.is_overdue = False
        self.taken = taken
        self.push = push
        self.settle = settle

    def give_up(self, backend: Backend, error: BaseException) -> None:
        """Wait for an answer no longer."""
        backend.discard(self.connection)
        push, self.push = self.push, None
        if push is not None and self.settle is not None:
            self.settle(push, error)


def _unexpected(reply: object) -> BackendError:
    text = reply.text if isinstance(reply, ErrorReply) else f"unexpected answer: {type(reply).__name__}"
    return BackendError(text, cause_name="ResponseError")


def popped_key_and_element(reply: object) -> tuple[bytes, bytes] | None:
    """Return what a blocking pop took, and from which list; ``None`` if there was nothing.

    Args:
        reply: The reply.

    Raises:
        BackendError: Redis answered something else, probably an error.
    """
    if reply is None:
        return None
    elements: Any = reply
    if isinstance(reply, list) and len(elements) == 2:
        key, element = elements
        if isinstance(key, bytes) and isinstance(element, bytes):
            return key, element
    raise _unexpected(elements)


def popped_element(reply: object) -> bytes | None:
    """Return what a blocking pop took, or ``None`` if there was nothing.

    Args:
        reply: The reply.

    Raises:
        BackendError: Redis answered something else, probably an error.
    """
    if reply is None:
        return None
    elements: Any = reply
    if isinstance(reply, list) and len(elements) == 2 and isinstance(elements[1], bytes):
        return elements[1]
    raise _unexpected(elements)


def popped_elements(reply: object) -> Sequence[bytes]:
    """Return the elements that a pop of many took.

    Args:
        reply: The reply.

    Raises:
        BackendError: Redis answered something else, probably an error.
    """
    if reply is None:
        return ()
    elements: Any = reply
    if isinstance(reply, list) and _BYTES.issuperset(map(type, elements)):
        return cast("list[bytes]", reply)
    raise _unexpected(elements)


def _first_popped_element(reply: object) -> bytes | None:
    elements = popped_elements(reply)
    return elements[0] if elements else None
