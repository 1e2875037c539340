"""What the layers of PySOA ask of each other, as structural types.

A layer names here what it needs of its neighbour, and the neighbour's concrete class happens to fit. The
published abstract base classes (``ClientTransport``, ``ServerTransport``, ``Serializer``, ...) stay what
users extend; these protocols are how our own layers refer to each other, so that each can be used, tested and
replaced alone.

The optional abilities of a transport (:class:`AbandonsRequests`, :class:`Interruptible`,
:class:`RespondsAndWaits`, :class:`SendsAndWaits`) are looked for once, when the transport is built, never on
the road of a request. A transport of a service team that has none of them works; it only gets slower to stop
or to answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from pysoa.common.transport.base import ReceivedMessage

__all__ = (
    "AbandonsRequests",
    "Clock",
    "Interruptible",
    "RequestReceiver",
    "RequestSender",
    "RespondsAndWaits",
    "ResponseReceiver",
    "ResponseSender",
    "Schema",
    "SchemaError",
    "SendsAndWaits",
)


class SchemaError(Protocol):
    """One thing that a schema found wrong with a value."""

    code: str
    """Which kind of mistake, such as ``INVALID``, ``MISSING`` or ``UNKNOWN``."""
    message: str
    """The mistake in words."""
    pointer: str | None
    """Where it is, as dotted keys and indexes (``actions.0.body``); ``None`` for the value as a whole."""


@runtime_checkable
class Schema(Protocol):
    """Decides whether a value is acceptable. Every Conformity field is one."""

    def errors(self, value: Any) -> Sequence[Any]:
        """Return everything that is wrong with the value, each a :class:`SchemaError`."""
        ...

    def introspect(self) -> dict[str, Any]:
        """Return a description of this schema in plain, serializable values."""
        ...


class Clock(Protocol):
    """Where the current time comes from; tests pass one that they control."""

    def now(self) -> float:
        """Return seconds since the Unix epoch."""
        ...


class RequestSender(Protocol):
    """The sending half of a client transport."""

    def send_request_message(
        self,
        request_id: int,
        meta: dict[str, Any],
        body: dict[str, Any],
        message_expiry_in_seconds: int | None = None,
    ) -> None:
        """Put one request on its way, or raise a transport error and send nothing."""
        ...


class ResponseReceiver(Protocol):
    """The receiving half of a client transport."""

    def receive_response_message(self, receive_timeout_in_seconds: int | None = None) -> ReceivedMessage:
        """Return the next response to any request of this transport that is still awaited."""
        ...


class RequestReceiver(Protocol):
    """The receiving half of a server transport."""

    def receive_request_message(self) -> ReceivedMessage:
        """Return the next request, or raise ``MessageReceiveTimeout`` when none came for a while."""
        ...


class ResponseSender(Protocol):
    """The sending half of a server transport."""

    def send_response_message(self, request_id: int, meta: dict[str, Any], body: dict[str, Any]) -> None:
        """Send one response to where its request's meta says."""
        ...


@runtime_checkable
class AbandonsRequests(Protocol):
    """A client transport that can be told that nobody waits for a response any more."""

    def abandon_request(self, request_id: int) -> None:
        """Stop counting this request as outstanding, and drop its response if it still comes.

        Unknown ids are ignored. Safe to call from any thread.
        """
        ...


@runtime_checkable
class SendsAndWaits(Protocol):
    """A client transport that can write a request and its wait for responses together."""

    def send_request_and_wait(
        self,
        request_id: int,
        meta: dict[str, Any],
        body: dict[str, Any],
        message_expiry_in_seconds: float | None,
        receive_timeout_in_seconds: float | None,
    ) -> ReceivedMessage:
        """Do what ``send_request_message`` does, and already ask for responses.

        While this runs the caller receives nothing in any other thread. What this raises is about this
        request.

        Returns a response if one comes very soon, most probably the one to this request. Else all parts of
        the message are ``None``, and the caller promises to call ``receive_response_message`` next, with the
        same time limit. Whether the other side took the request may become known only then. If it did not,
        that raises what ``send_request_message`` would have raised, with the request's id as its attribute
        ``request_id``. If the attribute ``is_unsent`` of an error of either method is true, the queue was
        full, and ``send_request_message``, which waits for room, may be tried.
        """
        ...


@runtime_checkable
class Interruptible(Protocol):
    """A server transport whose wait for a request can be ended early, by a signal handler for instance."""

    def interrupt(self) -> None:
        """Make a running or the next ``receive_request_message`` end within a second.

        It ends with ``MessageReceiveTimeout``, or with a request if it had already taken one. Async-signal-
        safe: it takes no lock and does no I/O. Every later ``receive_request_message`` returns at once what
        was already taken, else raises ``MessageReceiveTimeout``.
        """
        ...


@runtime_checkable
class RespondsAndWaits(Protocol):
    """A server transport that can write a response and its wait for the next request together."""

    def send_response_and_wait(
        self,
        request_id: int,
        meta: dict[str, Any],
        body: dict[str, Any],
        note_lost: Callable[[Exception], None],
    ) -> None:
        """Do what ``send_response_message`` does, and already ask for the next request.

        The caller promises to call ``receive_request_message`` next, and to serve what it returns even when
        it has been told to stop meanwhile: the request is no longer in the queue. Raises what
        ``send_response_message`` raises. Whether the other side took the response may become known only
        during the next ``receive_request_message``; if it did not, that calls ``note_lost`` with the reason,
        and goes on.
        """
        ...
