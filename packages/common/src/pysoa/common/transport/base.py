"""The interface between a client or a server and the system that carries their messages.

A transport extends :class:`ClientTransport`, :class:`ServerTransport` or both. All methods take or return a
*meta* dictionary, which holds whatever is needed to process a message but is no business of the caller, such
as where to send the reply.
"""

from __future__ import annotations

import abc
import threading
from typing import Any, ClassVar, NamedTuple

from pymetrics.recorders.base import MetricsRecorder
from pymetrics.recorders.noop import noop_metrics

__all__ = (
    "ClientTransport",
    "ReceivedMessage",
    "ServerTransport",
    "Transport",
    "get_hex_thread_id",
)


class ReceivedMessage(NamedTuple):
    """A message received through a transport; all parts are ``None`` when there is nothing to wait for."""

    request_id: int | None
    """The id that the client gave to the request."""
    meta: dict[str, Any] | None
    """What the transport needs to answer, for a request; what the server sent along, for a response."""
    body: dict[str, Any] | None
    """The job request or job response as a dictionary."""


class Transport(metaclass=abc.ABCMeta):  # noqa: B024 - the abstract methods differ by side
    """What client and server transports have in common.

    Args:
        service_name: The name of the service to which this transport sends requests, or for which it receives
            them.
        metrics: Where the transport counts and measures.

    Raises:
        ValueError: An argument has the wrong type.
    """

    carries_native_values: ClassVar[bool] = False
    """Whether bodies may be given to this transport as they are.

    ``False``, the default, promises what PySOA 1.x promised: bodies come as plain dictionaries and lists,
    with sets, tuples and attrs instances already converted. A transport that sets it to ``True`` converts
    these itself, for instance with ``Serializer.message_to_blob``, and saves a walk through every body.
    """

    def __init__(self, service_name: str, metrics: MetricsRecorder = noop_metrics) -> None:
        if not isinstance(service_name, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
            raise ValueError("service_name must be a unicode string")
        if not isinstance(metrics, MetricsRecorder):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
            raise ValueError("metrics must be a MetricsRecorder")
        self.service_name = service_name
        self.metrics = metrics


class ClientTransport(Transport):
    """The client's side of a transport. Built as ``cls(service_name, metrics, **kwargs)``."""

    @abc.abstractmethod
    def send_request_message(
        self,
        request_id: int,
        meta: dict[str, Any],
        body: dict[str, Any],
        message_expiry_in_seconds: int | None = None,
    ) -> None:
        """Send a request message.

        Args:
            request_id: The request ID.
            meta: Meta information about the message.
            body: The message body.
            message_expiry_in_seconds: How soon the message expires if no server takes it; ``None`` means the
                transport's own default.

        Raises:
            ConnectionError: No connection could be had.
            MessageSendError: Sending failed.
            MessageSendTimeout: Sending took too long.
            MessageTooLarge: The message is larger than allowed.
        """

    @abc.abstractmethod
    def receive_response_message(self, receive_timeout_in_seconds: int | None = None) -> ReceivedMessage:
        """Receive a response message from the backend.

        Args:
            receive_timeout_in_seconds: How long to block until a response is there; ``None`` means the
                transport's own default.

        Returns:
            The request ID, meta and body of a response; all ``None``, at once, when no request is
            outstanding.

        Raises:
            ConnectionError: No connection could be had.
            MessageReceiveError: Receiving failed.
            MessageReceiveTimeout: No response came in time.
        """


class ServerTransport(Transport):
    """The server's side of a transport. Built as ``cls(service_name, metrics, instance_index, **kwargs)``.

    Args:
        service_name: The name of the service for which this transport receives requests and sends responses.
        metrics: Where the transport counts and measures.
        instance_index: The 1-based index of this process among multiple forks.
    """

    def __init__(
        self, service_name: str, metrics: MetricsRecorder = noop_metrics, instance_index: int = 1
    ) -> None:
        super().__init__(service_name, metrics)
        self.instance_index = instance_index

    @abc.abstractmethod
    def receive_request_message(self) -> ReceivedMessage:
        """Receive a request message from the backend.

        Returns:
            The request ID, meta and body. The meta may say where to send the response, and is to be passed to
            :meth:`send_response_message` as it is.

        Raises:
            ConnectionError: No connection could be had.
            MessageReceiveError: Receiving failed.
            MessageReceiveTimeout: No request came for a while.
        """

    @abc.abstractmethod
    def send_response_message(self, request_id: int, meta: dict[str, Any], body: dict[str, Any]) -> None:
        """Send a response message.

        Args:
            request_id: The request ID.
            meta: What :meth:`receive_request_message` returned as meta, verbatim.
            body: The message body.

        Raises:
            ConnectionError: No connection could be had.
            MessageSendError: Sending failed.
            MessageSendTimeout: Sending took too long.
            MessageTooLarge: The message is larger than allowed.
        """


def get_hex_thread_id() -> str:
    """Return the identifier of the current thread as at least 12 hexadecimal digits."""
    return f"{threading.get_ident():012x}"
