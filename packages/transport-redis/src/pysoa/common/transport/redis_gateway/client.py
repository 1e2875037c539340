"""The client's side of the Redis transport."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from pymetrics.recorders.base import MetricsRecorder

from pysoa.common._conformity import accepts_kwargs
from pysoa.common.transport.base import ClientTransport, ReceivedMessage
from pysoa.common.transport.errors import (
    MessageReceiveTimeout,
    MessageSendError,
    TransientPySOATransportError,
)
from pysoa.common.transport.redis_gateway._commands import pack_key
from pysoa.common.transport.redis_gateway._interfaces import BackendError
from pysoa.common.transport.redis_gateway._mailbox import NOTHING, Mailbox
from pysoa.common.transport.redis_gateway._names import check_service_name
from pysoa.common.transport.redis_gateway._reply_lists import (
    FIRST_SLICE_S,
    Awaited,
    ReplyList,
    ReplyLists,
)
from pysoa.common.transport.redis_gateway.core import RedisTransportClientCore
from pysoa.common.transport.redis_gateway.settings import client_transport_schema
from pysoa.common.transport.redis_gateway.utils import make_redis_queue_name

__all__ = ("RedisClientTransport",)


@accepts_kwargs(client_transport_schema)
class RedisClientTransport(ClientTransport):
    """Sends requests to a service's Redis list, and receives the responses from lists of its own.

    Any number of threads may use it at once: each receive returns the next response to any request of this
    transport. After a fork, parent and child go on with different lists.

    Args:
        service_name: The name of the service to which this transport will send requests (and from which it
            will receive responses).
        metrics: The metrics recorder.
        kwargs: The settings of the transport, see :class:`~.core.RedisTransportClientCore`.

    Raises:
        ValueError: A setting or the name of the service makes no sense.
    """

    carries_native_values = True

    def __init__(self, service_name: str, metrics: MetricsRecorder, **kwargs: Any) -> None:
        super().__init__(service_name, metrics)
        check_service_name(service_name)
        self._send_queue_name = make_redis_queue_name(service_name)
        self.core: RedisTransportClientCore = RedisTransportClientCore(
            service_name=service_name, metrics=metrics, **kwargs
        )
        self._send_queue_key = self.core.QUEUE_NAME_PREFIX + self._send_queue_name
        self._packed_send_queue_key = pack_key(self._send_queue_key)
        meters = self.core.meters
        self._send: Callable[
            [int, dict[str, Any], dict[str, Any], float | None, float | None], ReceivedMessage
        ]
        self._send = meters.timed("send", self._send_request)
        self.start_afresh()
        _transports.add(self)

    def start_afresh(self) -> None:
        """Take a new name and await nothing. Done in every child that is forked off this process."""
        self._mailbox = Mailbox(self.core, self._send_queue_name)
        self._receive: Callable[[ReplyLists, float], ReceivedMessage]
        self._receive = self.core.meters.timed("receive", self._mailbox.receive)

    @property
    def client_id(self) -> str:
        """The name of this client on Redis, different in every process."""
        return self._mailbox.client_id

    @property
    def requests_outstanding(self) -> int:
        """How many requests still await their response.

        If this is less than 1, calling ``receive_response_message`` returns ``(None, None, None)`` instead of
        raising a ``MessageReceiveTimeout``.
        """
        lists = self._mailbox.known_lists
        return lists.outstanding if lists is not None else 0

    # Sending

    def send_request_message(
        self,
        request_id: int,
        meta: dict[str, Any],
        body: dict[str, Any],
        message_expiry_in_seconds: float | None = None,
    ) -> None:
        """Send a request message.

        Args:
            request_id: The request ID.
            meta: Meta information about the message. It is not changed.
            body: The message body. If its control says ``suppress_response``, no response is awaited.
            message_expiry_in_seconds: How soon the message should expire if not retrieved by a server;
                ``None`` and 0 mean the setting.

        Raises:
            ValueError: The expiry is negative or no finite number.
            InvalidField: The message cannot be serialized.
            MessageTooLarge: It is larger than allowed.
            MessageSendError: Redis did not take it. Whether it was sent is unknown, unless its queue was
                full.
        """
        send = self._send
        send(request_id, meta, body, message_expiry_in_seconds, None)

    def send_request_and_wait(
        self,
        request_id: int,
        meta: dict[str, Any],
        body: dict[str, Any],
        message_expiry_in_seconds: float | None,
        receive_timeout_in_seconds: float | None,
    ) -> ReceivedMessage:
        """Send a request, and already ask for responses; see :class:`~pysoa.common.interfaces.SendsAndWaits`.

        With several masters, or while another thread waits, the request is only sent. Arguments and errors
        are those of :meth:`send_request_message` and :meth:`receive_response_message`.

        Returns:
            The response, if it came very soon, or one to another request; else a message of which all is
            ``None``, and :meth:`receive_response_message` is to be called.
        """
        core, mailbox = self.core, self._mailbox
        wait_s = (
            core.timeout_or_default(receive_timeout_in_seconds)
            if receive_timeout_in_seconds
            else core.receive_timeout_in_seconds
        )
        lists = mailbox.known_lists
        if (
            lists is not None
            and wait_s >= FIRST_SLICE_S
            and not (core.meters.enabled or _wants_no_answer(body))
        ):
            reply_list = mailbox.lend_list(lists)
            if reply_list is not None:
                received = self._send_alone(
                    lists, reply_list, request_id, meta, body, message_expiry_in_seconds
                )
                if received is not None:
                    return received
                mailbox.take_back(lists, reply_list)
        return self._send(request_id, meta, body, message_expiry_in_seconds, wait_s)

    def _send_alone(
        self,
        lists: ReplyLists,
        reply_list: ReplyList,
        request_id: int,
        meta: dict[str, Any],
        body: dict[str, Any],
        message_expiry_in_seconds: float | None,
    ) -> ReceivedMessage | None:
        core = self.core
        try:
            outgoing = core.prepare_message(
                request_id,
                {**meta, "reply_to": reply_list.name, "shared_reply_to": lists.shared.name},
                body,
                message_expiry_in_seconds,
            )
            try:
                return self._mailbox.exchange_alone(
                    lists,
                    reply_list,
                    request_id,
                    self._send_queue_name,
                    self._packed_send_queue_key,
                    outgoing,
                )
            except BackendError as error:
                core.pusher.fail(error)
        except TransientPySOATransportError:
            core.meters.count("send.error.transient")
            raise

    def _send_request(
        self,
        request_id: int,
        meta: dict[str, Any],
        body: dict[str, Any],
        message_expiry_in_seconds: float | None,
        wait_s: float | None,
    ) -> ReceivedMessage:
        core, mailbox = self.core, self._mailbox
        lists: ReplyLists | None = None
        awaited: Awaited | None = None
        try:
            lists = mailbox.known_lists or mailbox.lists()
            if _wants_no_answer(body):
                reply_list = lists.void
            else:
                life_s = message_expiry_in_seconds or core.message_expiry_in_seconds
                awaited = mailbox.begin(lists, request_id, life_s)
                reply_list = awaited.exclusive_list
            outgoing = core.prepare_message(
                request_id,
                {**meta, "reply_to": reply_list.name, "shared_reply_to": lists.shared.name},
                body,
                message_expiry_in_seconds,
            )
            queue_name, packed_key = self._send_queue_name, self._packed_send_queue_key
            if wait_s is not None and awaited is not None:
                try:
                    if mailbox.exchange(lists, awaited, queue_name, packed_key, outgoing, wait_s):
                        return NOTHING
                except BackendError as error:
                    core.pusher.fail(error)
            if wait_s is None and lists.ring_size == 1:
                core.pusher.push_to(0, queue_name, packed_key, outgoing)
            elif wait_s is None:
                core.pusher.push(queue_name, self._send_queue_key, packed_key, outgoing)
            else:
                # No other thread receives as long as this one is going to. So it must not wait for room.
                core.pusher.push_once(queue_name, self._send_queue_key, packed_key, outgoing)
        except BaseException as error:
            if lists is not None and awaited is not None:
                mailbox.stop(lists, awaited, error)
            if isinstance(error, TransientPySOATransportError):
                core.meters.count("send.error.transient")
            raise
        if awaited is not None and mailbox.current_plan is not None:
            mailbox.wake_receiver_for(lists, awaited, mailbox.current_plan)
        return NOTHING

    def abandon_request(self, request_id: int) -> None:
        """Stop counting this request as outstanding, and drop its response if it still comes.

        Args:
            request_id: Its id. Unknown ids are ignored.
        """
        self._mailbox.abandon(request_id)

    # Receiving

    def receive_response_message(self, receive_timeout_in_seconds: float | None = None) -> ReceivedMessage:
        """Receive the next response to any request that is still awaited.

        Args:
            receive_timeout_in_seconds: How long to wait for it; ``None`` and 0 mean the setting.

        Returns:
            The request ID, meta and body; all ``None``, at once, when no request is outstanding.

        Raises:
            ValueError: The timeout is negative or not a number.
            MessageReceiveTimeout: Nothing came. All requests stay outstanding. Or a response had expired: its
                request is outstanding no longer, and the error's attribute ``request_id`` names it.
            MessageReceiveError: Redis cannot be asked.
            InvalidMessageError: A response makes no sense. Its request is outstanding no longer, and the
                error's attribute ``request_id`` names it.
            InvalidMessage: A response cannot be deserialized. Likewise.
        """
        core = self.core
        timeout_s = (
            core.timeout_or_default(receive_timeout_in_seconds)
            if receive_timeout_in_seconds
            else core.receive_timeout_in_seconds
        )
        lists = self._mailbox.known_lists
        if lists is None or not lists.outstanding:
            return NOTHING
        receive = self._receive
        try:
            return receive(lists, timeout_s)
        except MessageReceiveTimeout:
            self.core.meters.count("receive.error.timeout")
            raise
        except MessageSendError:
            raise  # of a request that was sent together with the wait; it has been counted
        except TransientPySOATransportError:
            self.core.meters.count("receive.error.transient")
            raise

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.core!r})"


def _wants_no_answer(body: Mapping[str, Any]) -> bool:
    control: object = body.get("control")
    return isinstance(control, dict) and bool(control.get("suppress_response"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


_transports: weakref.WeakSet[RedisClientTransport] = weakref.WeakSet()


def _start_all_afresh() -> None:
    for transport in list(_transports):
        transport.start_afresh()


os.register_at_fork(after_in_child=_start_all_afresh)
