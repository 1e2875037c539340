"""The server's side of the Redis transport."""

from __future__ import annotations

import functools
import os
import time
import weakref
from collections.abc import Callable
from typing import Any, TypeAlias, TypeGuard

from pymetrics.recorders.base import MetricsRecorder

from pysoa.common._conformity import accepts_kwargs
from pysoa.common._envelope import job_response_to_dict, knows_is_caller_error
from pysoa.common.constants import ERROR_CODE_SERVER_ERROR
from pysoa.common.errors import Error, PySOAError
from pysoa.common.serializer.errors import InvalidMessage
from pysoa.common.transport.base import ReceivedMessage, ServerTransport
from pysoa.common.transport.errors import InvalidMessageError, MessageReceiveTimeout, MessageSendError
from pysoa.common.transport.redis_gateway._commands import PackedKey, pack_key
from pysoa.common.transport.redis_gateway._full_lists import FullLists
from pysoa.common.transport.redis_gateway._interfaces import CommandConnection
from pysoa.common.transport.redis_gateway._messages import Envelope
from pysoa.common.transport.redis_gateway._names import check_service_name
from pysoa.common.transport.redis_gateway._push import (
    COMMAND_LIMIT_S,
    FullListError,
    PushInFlight,
    RefusedPushError,
)
from pysoa.common.transport.redis_gateway.core import RedisTransportServerCore
from pysoa.common.transport.redis_gateway.settings import RedisServerTransportSchema
from pysoa.common.transport.redis_gateway.utils import make_redis_queue_name
from pysoa.common.types import JobResponse

__all__ = ("RedisServerTransport",)

NoteLost: TypeAlias = Callable[[Exception], None]

_MAXIMUM_USUAL_LISTS = 1024
_RETRY_BUDGET_S = 1.0
"""For how long a worker waits for room in a reply list; meanwhile it serves nobody."""


@accepts_kwargs(RedisServerTransportSchema)
class RedisServerTransport(ServerTransport):
    """Receives requests from a service's Redis list, and sends responses to the lists that requests name.

    One thread may use it at a time, but :meth:`interrupt` may be called from anywhere.

    Args:
        service_name: The name of the service for which this transport will receive requests and send
            responses.
        metrics: The metrics recorder.
        instance_index: The 1-based index of this process among multiple forks.
        kwargs: The settings of the transport, see :class:`~.core.RedisTransportServerCore`.

    Raises:
        ValueError: A setting or the name of the service makes no sense.
    """

    carries_native_values = True

    def __init__(
        self, service_name: str, metrics: MetricsRecorder, instance_index: int, **kwargs: Any
    ) -> None:
        super().__init__(service_name, metrics, instance_index)
        check_service_name(service_name)
        self._receive_queue_name = make_redis_queue_name(service_name)
        self.core: RedisTransportServerCore = RedisTransportServerCore(
            service_name=service_name, metrics=metrics, **kwargs
        )
        self._wait = self.core.request_wait(self._receive_queue_name)
        self._full_lists = FullLists()
        self._usual_lists: dict[str, PackedKey] = {}
        """The packed keys of lists that 2.x clients share among their requests, and that had room."""
        self._impossible_reply_addresses = ("", self._receive_queue_name)
        meters = self.core.meters
        self._receive = self._receive_and_measure if meters.enabled else self._receive_request
        self._send: Callable[[int, dict[str, Any], dict[str, Any]], None]
        self._send = meters.timed("send", self._send_response)
        self._send_and_wait: Callable[[int, dict[str, Any], dict[str, Any], NoteLost], None]
        self._send_and_wait = meters.timed("send", self._send_response_and_wait)
        _transports.add(self)

    # Receiving

    def receive_request_message(self) -> ReceivedMessage:
        """Receive a request, waiting as long as ``receive_timeout_in_seconds`` says.

        Returns:
            The request. Its body has not been looked at, and is ``None`` if there was none.

        Raises:
            MessageReceiveTimeout: Nothing came, what came had expired, or the wait was interrupted.
            MessageReceiveError: Redis cannot be asked.
            InvalidMessageError: What came makes no sense. It has been counted and logged, and its sender
                has got an answer if it could be found out; the attribute ``was_reported`` of the error is
                true.
            InvalidMessage: What came cannot be deserialized. Likewise.
        """
        receive = self._receive
        return receive()

    def _receive_and_measure(self) -> ReceivedMessage:
        timer = self.core.meters.timer("receive")
        timer.__enter__()
        try:
            message = self._receive_request()
        except MessageReceiveTimeout:
            # The time that a server is idle is not the time that receiving takes: the timer is left running.
            raise
        except BaseException:
            timer.__exit__(None, None, None)
            raise
        timer.__exit__(None, None, None)
        return message

    def interrupt(self) -> None:
        """End the wait for a request within a second, and let every later one end at once.

        It ends with ``MessageReceiveTimeout``, or with a request if one had already been taken.
        Async-signal-safe: it takes no lock and does no I/O.
        """
        self._wait.is_interrupted = True

    def _receive_request(self) -> ReceivedMessage:
        core = self.core
        next_message = self._wait.next_message
        message = next_message(core.receive_timeout_in_seconds)
        if message is None:
            raise MessageReceiveTimeout(f"No message received for service {self.service_name}")
        usual = core.usual_message(message)
        if usual is not None:
            reply_to: object = meta.get("reply_to") if (meta := usual[1]) else None
            if (
                type(reply_to) is str
                and reply_to.isascii()
                and reply_to not in self._impossible_reply_addresses
            ):
                return usual
        envelope: Envelope | None = None
        try:
            envelope = self.core.opened_request(message)
            received = self.core.checked_message(self._wait.queue_key, envelope)
            self._check_reply_address(envelope)
            return received
        except (InvalidMessageError, InvalidMessage) as error:
            self.core.note_invalid(self._wait.queue_key, message, error)
            error.was_reported = True  # type: ignore[union-attr]  # for the server, so that it logs nothing
            if envelope is not None:
                self._answer_unusable_request(envelope, error)
            raise

    def _check_reply_address(self, envelope: Envelope) -> None:
        reply_to = envelope.meta.get("reply_to")
        if reply_to is not None and type(reply_to) is not str:
            raise InvalidMessageError(
                f"The reply address of a request is of type {type(reply_to).__name__}, not text"
            )
        if reply_to and not _is_list_name(reply_to):
            raise InvalidMessageError("The reply address of a request has a lone surrogate in it")
        if reply_to == self._receive_queue_name:
            # The answer would be taken for a request, and so would be the answer to that, for ever.
            raise InvalidMessageError("The reply address of a request is the queue that it came from")

    def _answer_unusable_request(self, envelope: Envelope, reason: Exception) -> None:
        """Tell a caller that the request was dropped, as far as it can be found out who that is."""
        try:
            self._check_reply_address(envelope)
            if type(envelope.request_id) not in (int, str) or _wants_no_answer(envelope.body):
                return
            error = Error(ERROR_CODE_SERVER_ERROR, f"The request could not be read: {reason}")
            body = job_response_to_dict(JobResponse(errors=[error]), knows_is_caller_error(envelope.meta))
            self.send_response_message(envelope.request_id, envelope.meta, body)
        except PySOAError:
            # The invalid request has been reported; that nobody could be told is part of that.
            return

    # Sending

    def send_response_message(self, request_id: int, meta: dict[str, Any], body: dict[str, Any]) -> None:
        """Send a response to where its request's meta says.

        Args:
            request_id: The request ID.
            meta: The request's meta. It is sent back with a new expiry, and not changed.
            body: The message body.

        Raises:
            InvalidMessageError: There is no request id, or the request did not say where to send the
                response.
            InvalidField: The response cannot be serialized.
            MessageTooLarge: It is larger than allowed, or the client could not take it.
            MessageSendError: Redis did not take it.
        """
        self._send(request_id, meta, body)

    def send_response_and_wait(
        self, request_id: int, meta: dict[str, Any], body: dict[str, Any], note_lost: NoteLost
    ) -> None:
        """Send a response, and already ask for the next request; see :class:`RespondsAndWaits`.

        With several masters, it is not known where the next request will be, so only the response is sent.
        Errors are those of :meth:`send_response_message`.

        Args:
            request_id: The request ID.
            meta: The request's meta. It is sent back with a new expiry, and not changed.
            body: The message body.
            note_lost: Called during the next :meth:`receive_request_message` if Redis did not take the
                response.
        """
        send_and_wait = self._send_and_wait
        send_and_wait(request_id, meta, body, note_lost)

    def _send_response(self, request_id: int, meta: dict[str, Any], body: dict[str, Any]) -> None:
        queue_name = self._reply_queue_name(meta)
        outgoing = self.core.prepare_message(request_id, {**meta}, body, None)
        queue_key = self.core.QUEUE_NAME_PREFIX + queue_name
        budget_s = 0.0 if queue_name in self._full_lists else _RETRY_BUDGET_S
        try:
            self.core.pusher.push(queue_name, queue_key, pack_key(queue_key), outgoing, budget_s)
        except MessageSendError as error:
            self._remember_if_full(queue_name, error)
            raise
        self._full_lists.discard(queue_name)

    def _send_response_and_wait(
        self, request_id: int, meta: dict[str, Any], body: dict[str, Any], note_lost: NoteLost
    ) -> None:
        wait = self._wait
        backend = wait.backend or wait.find_backend()
        queue_name: Any = meta.get("shared_reply_to")
        packed_key = self._usual_lists.get(queue_name) if type(queue_name) is str else None
        if packed_key is None:
            queue_name, packed_key = self._new_list(meta)
        if wait.pending or packed_key is None or not backend.has_one_master:
            self._send_response(request_id, meta, body)
            return
        outgoing = self.core.prepare_message(request_id, {**meta}, body, None)
        pusher = self.core.pusher
        connect_to, start = pusher.connect_to, pusher.start
        connection: CommandConnection | None = None
        try:
            connection = connect_to(0, time.monotonic() + COMMAND_LIMIT_S)
            push = start(connection, queue_name, packed_key, outgoing, wait.commands_to_start)
        except BaseException as error:
            if connection is not None:
                backend.discard(connection)
            if isinstance(error, Exception):
                pusher.fail(error)
            raise
        wait.adopt(connection, push, functools.partial(self._settle, note_lost))

    def _settle(self, note_lost: NoteLost, push: PushInFlight, reason: BaseException | None) -> None:
        """Take note that Redis did not accept a response, after a last attempt if that makes sense."""
        pusher = self.core.pusher
        try:
            if reason is not None:
                pusher.fail(reason if isinstance(reason, Exception) else RuntimeError(type(reason).__name__))
            try:
                pusher.conclude(push, 0)
            except RefusedPushError:
                pusher.push_to(0, push.queue_name, push.packed_key, push.outgoing, _RETRY_BUDGET_S)
            except MessageSendError:
                raise
            except Exception as error:
                pusher.fail(error)
        except MessageSendError as error:
            self._remember_if_full(push.queue_name, error)
            note_lost(error)
        except BaseException as interrupt:
            note_lost(MessageSendError(f"Interrupted by {type(interrupt).__name__} while a list was full"))
            raise

    def _reply_queue_name(self, meta: dict[str, Any]) -> str:
        # Clients from 2.0 on name a second list. Whole answers may go there, since they are pushed in one
        # step.
        shared_reply_to = meta.get("shared_reply_to")
        if type(shared_reply_to) is str and shared_reply_to.isascii() and "!" in shared_reply_to:
            return shared_reply_to
        reply_to = meta.get("reply_to")
        if not _is_list_name(reply_to):
            self.core.meters.count("send.error.missing_reply_queue")
            raise InvalidMessageError("Missing reply queue name")
        return reply_to

    def _new_list(self, meta: dict[str, Any]) -> tuple[str, PackedKey | None]:
        """Return where to send a response, and its packed key unless that list was full lately."""
        queue_name = self._reply_queue_name(meta)
        if queue_name in self._full_lists:
            return queue_name, None
        packed_key = pack_key(self.core.QUEUE_NAME_PREFIX + queue_name)
        if queue_name == meta.get("shared_reply_to"):
            if len(self._usual_lists) >= _MAXIMUM_USUAL_LISTS:
                self._usual_lists.clear()
            self._usual_lists[queue_name] = packed_key
        return queue_name, packed_key

    def _remember_if_full(self, queue_name: str, error: MessageSendError) -> None:
        if isinstance(error, FullListError):
            self._usual_lists.pop(queue_name, None)
            self._full_lists.add(queue_name)

    def leave_to_parent(self) -> None:
        """Leave a wait that was started before this process was forked to the parent."""
        self._wait.forget()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.core!r})"


def _is_list_name(value: object) -> TypeGuard[str]:
    """Tell whether a response could be pushed to a list of this name."""
    if not isinstance(value, str) or not value:
        return False
    if value.isascii():
        return True
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # JSON can carry lone surrogates; Redis has no key for them
        return False
    return True


def _wants_no_answer(body: Any) -> bool:
    control = body.get("control") if isinstance(body, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return isinstance(control, dict) and bool(control.get("suppress_response"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


_transports: weakref.WeakSet[RedisServerTransport] = weakref.WeakSet()


def _leave_waits_to_parent() -> None:
    for transport in list(_transports):
        transport.leave_to_parent()


os.register_at_fork(after_in_child=_leave_waits_to_parent)
