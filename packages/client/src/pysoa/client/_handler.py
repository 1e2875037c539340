"""The part of a client that talks to one service."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar, cast

from pymetrics.recorders.base import MetricsRecorder

from pysoa.client._details import add_details
from pysoa.client._exchange import SHORTEST_WAIT_IN_SECONDS, Exchange, ReceiveTask
from pysoa.client._fork import call_in_forked_child
from pysoa.client._requests import check_seconds
from pysoa.client._wants import NextOf
from pysoa.client.middleware import (
    ClientMiddleware,
    ClientRequestMiddlewareTask,
    ClientResponseMiddlewareTask,
)
from pysoa.common._envelope import job_request_to_dict, job_response_from_dict, to_plain
from pysoa.common._metrics import Instruments
from pysoa.common.errors import PySOAError
from pysoa.common.interfaces import AbandonsRequests, SendsAndWaits
from pysoa.common.serializer._trouble import too_deep_path
from pysoa.common.serializer.errors import InvalidField
from pysoa.common.transport.base import ClientTransport
from pysoa.common.transport.errors import InvalidMessageError, MessageReceiveTimeout
from pysoa.common.types import JobRequest, JobResponse

__all__ = ("ServiceHandler",)

_LARGEST_FIRST_REQUEST_ID: Final = 1_000_000
_DEFAULT_RECEIVE_TIMEOUT_IN_SECONDS: Final = 5.0
_DEFAULT_MESSAGE_EXPIRY_IN_SECONDS: Final = 60.0
_NO_ATTRIBUTES: Final[dict[str, object]] = {}
_WAYS_OF_TRANSPORT: Final = frozenset(
    ("receive_response_message", "send_request_and_wait", "send_request_message")
)

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_SendTask: TypeAlias = Callable[[int, dict[str, Any], JobRequest, float | None], None]


class ServiceHandler:
    """Does the low-level work of communicating with an individual service through its configured transport.

    Safe to use from several threads at once. A forked child may go on using its copy: it starts with new
    request ids and awaits nothing.

    Args:
        service_name: The name of the service which this handler calls.
        settings: The client settings object for this service (and only this service).
    """

    _client_version: tuple[int, ...] | list[int] = [1, 4, 9]
    """What servers are told to decide what this client understands.

    Wire fact: servers compare it as a tuple with the version in which a field was added, so it never goes
    below 1.4.9, whatever the version of this distribution.
    """

    def __init__(self, service_name: str, settings: Mapping[str, Any]) -> None:
        self.service_name = service_name
        self.metrics: MetricsRecorder = _build(settings["metrics"])
        self._instruments = Instruments(self.metrics)
        self._measures = self._instruments.enabled
        self.transport: ClientTransport = self._timed("client.transport.initialize", _build)(
            settings["transport"], service_name, self.metrics
        )
        self._carries_native_values = getattr(self.transport, "carries_native_values", False)
        self._receive_timeout_in_seconds = _limit_of(
            self.transport, "receive_timeout_in_seconds", _DEFAULT_RECEIVE_TIMEOUT_IN_SECONDS
        )
        self._message_expiry_in_seconds = _limit_of(
            self.transport, "message_expiry_in_seconds", _DEFAULT_MESSAGE_EXPIRY_IN_SECONDS
        )
        self._timed("client.middleware.initialize", self._build_middleware)(settings["middleware"])
        self.is_bare: bool = self._find_nothing_around_transport()
        """Whether there is nothing around the transport, and it takes requests as they are."""
        self.direct_transport: SendsAndWaits | None = self._find_direct_transport()
        """The transport, if it can also send and wait in one step."""
        self._start_afresh()
        call_in_forked_child(self)

    @property
    def request_counter(self) -> int:
        """The id of the next request."""
        return self.exchange.next_request_id

    @request_counter.setter
    def request_counter(self, request_id: int) -> None:
        self.exchange.next_request_id = request_id

    def send_request(self, job_request: JobRequest, message_expiry_in_seconds: float | None = None) -> int:
        """Send a JobRequest, and return a request ID.

        Args:
            job_request: The job request object to send.
            message_expiry_in_seconds: How soon the message will expire if not received by a server (defaults
                to sixty seconds unless the settings are otherwise). ``None`` and 0 mean the default.

        Returns:
            The request ID.

        Raises:
            ConnectionError: No connection could be had.
            InvalidField: The request holds something that cannot be sent; nothing was sent.
            MessageSendError: Sending failed.
            MessageSendTimeout: Sending took too long.
            MessageTooLarge: The message is larger than allowed.
            ValueError: The expiry is negative or not finite; nothing was sent.
        """
        check_seconds("message_expiry_in_seconds", message_expiry_in_seconds)
        return self.send_for(None, job_request, message_expiry_in_seconds)

    def get_all_responses(
        self, receive_timeout_in_seconds: float | None = None
    ) -> Generator[tuple[int, JobResponse], None, None]:
        """Receive all available responses from the transport as a generator.

        Args:
            receive_timeout_in_seconds: How long to block without receiving a message before raising
                ``MessageReceiveTimeout`` (defaults to five seconds unless the settings are otherwise).
                ``None`` and 0 mean the default.

        Yields:
            The request ID and the job response of each request that was sent through this handler's
            :meth:`send_request`, in the order of arrival.

        Raises:
            ConnectionError: No connection could be had.
            MessageReceiveError: Receiving failed.
            MessageReceiveTimeout: No response came in time.
            InvalidMessage: A response could not be decoded.
            StopIteration: There is nothing to wait for any more.
        """
        check_seconds("receive_timeout_in_seconds", receive_timeout_in_seconds)
        return self.responses_for((None,), receive_timeout_in_seconds)

    # What the client uses, and no one else

    def send_for(
        self, owner: object, job_request: JobRequest, message_expiry_in_seconds: float | None
    ) -> int:
        """Send a request whose response is for the given owner; see :meth:`Exchange.expect`."""
        exchange = self.exchange
        request_id = exchange.expect(owner, message_expiry_in_seconds or self._message_expiry_in_seconds)
        if self._middleware:  # one of these may keep the request to itself
            exchange.mark_unsent(request_id)
        try:
            self._middleware_send_request_wrapper(
                request_id,
                {"client_version": list(self._client_version)},
                job_request,
                message_expiry_in_seconds,
            )
        except BaseException as error:
            exchange.abandon(request_id)
            if isinstance(error, PySOAError):
                names = [action.action for action in job_request.actions]
                add_details(error, self.service_name, names, (request_id,), message_expiry_in_seconds)
            raise
        finally:
            if self._measures:
                self.metrics.publish_all()
        return request_id

    def send_directly(
        self, owner: object, body: dict[str, Any], message_expiry_in_seconds: float | None
    ) -> int:
        """Do what :meth:`send_for` does if :attr:`is_bare`, with the job request as a dictionary."""
        exchange = self.exchange
        request_id = exchange.expect(owner, message_expiry_in_seconds or self._message_expiry_in_seconds)
        try:
            if body["control"].get("suppress_response"):
                exchange.drop(request_id)
            self.transport.send_request_message(
                request_id,
                {"client_version": list(self._client_version)},
                body,
                message_expiry_in_seconds,  # type: ignore[arg-type]  # published as int, but takes fractions  # pyright: ignore[reportArgumentType]
            )
        except BaseException as error:
            exchange.abandon(request_id)
            if isinstance(error, PySOAError):
                names = [action["action"] for action in body["actions"]]
                add_details(error, self.service_name, names, (request_id,), message_expiry_in_seconds)
            raise
        return request_id

    def responses_for(
        self, owners: tuple[object, ...], timeout: float | None
    ) -> Generator[tuple[int, JobResponse], None, None]:
        """Yield the responses to the requests of these owners, waiting for each up to the timeout."""
        exchange = self.exchange
        limit = timeout or self._receive_timeout_in_seconds
        want = NextOf(owners)
        try:
            while True:
                try:
                    if not exchange.collect_next(want, timeout, limit):
                        _wait_for_next(exchange, want, timeout, limit)
                except MessageReceiveTimeout as error:
                    add_details(error, self.service_name, (), exchange.awaited_of(owners), limit)
                    raise
                if want.outcome is None:
                    return
                (request_id, outcome), want.outcome = want.outcome, None
                if isinstance(outcome, Exception):
                    raise outcome
                yield request_id, outcome
        finally:
            if self._measures:
                self.metrics.publish_all()

    def put_back(self, request_id: int, owner: object, response: JobResponse) -> bool:
        """Keep a response for the next :meth:`responses_for`; tell whether the request was ours."""
        if not self._first_request_id <= request_id < self.exchange.next_request_id:
            return False
        self.exchange.put_back(request_id, owner, response, self._message_expiry_in_seconds)
        return True

    # The innermost parts of the middleware stacks

    def _base_send_request(
        self,
        request_id: int,
        meta: dict[str, Any],
        job_request: JobRequest,
        message_expiry_in_seconds: int | None = None,
    ) -> None:
        if self._middleware:
            self.exchange.mark_sent(request_id)
        body = job_request_to_dict(job_request)
        if not self._carries_native_values:
            body = _to_plain(body)
        if job_request.control.get("suppress_response"):
            self.exchange.drop(request_id)
        self.transport.send_request_message(request_id, meta, body, message_expiry_in_seconds)

    def _base_get_response(
        self, receive_timeout_in_seconds: float | None = None
    ) -> tuple[int | None, JobResponse | None]:
        if not self.exchange.is_receive_wanted():
            return None, None
        return self._receive_response(receive_timeout_in_seconds)

    def _receive_response(
        self, receive_timeout_in_seconds: float | None
    ) -> tuple[int | None, JobResponse | None]:
        try:
            request_id, _, body = self.transport.receive_response_message(
                receive_timeout_in_seconds  # type: ignore[arg-type]  # published as int, but takes fractions  # pyright: ignore[reportArgumentType]
            )
        except Exception as error:
            about = getattr(error, "request_id", None)
            if about is not None:
                self.exchange.note_failure(about, error)
            raise
        if request_id is None:
            return None, None
        try:
            return request_id, job_response_from_dict(body)
        except InvalidMessageError as error:
            self.exchange.note_failure(request_id, error)
            raise

    # Construction

    def _build_middleware(self, settings: list[Mapping[str, Any]]) -> None:
        self._middleware: list[ClientMiddleware] = [_build(configuration) for configuration in settings]
        send: ClientRequestMiddlewareTask = self._timed(
            "client.send.excluding_middleware", self._base_send_request
        )
        receive: ClientResponseMiddlewareTask = self._timed(
            "client.receive.excluding_middleware", self._base_get_response
        )
        for middleware in reversed(self._middleware):
            send = middleware.request(send)
        for middleware in reversed(self._middleware):
            receive = middleware.response(receive)
        # Published as taking whole seconds, but they take fractions just as well; see the type aliases.
        self._middleware_send_request_wrapper = cast(
            _SendTask, self._timed("client.send.including_middleware", send)
        )
        self._middleware_get_response_wrapper = cast(
            ReceiveTask, self._timed("client.receive.including_middleware", receive)
        )

    def _timed(self, name: str, function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        """Return the function with a timer around it; the function itself if nobody looks at timers."""
        if not self._measures:
            return function
        timer = self._instruments.timer

        def timed(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            with timer(name):
                return function(*args, **kwargs)

        return timed

    def _start_afresh(self) -> None:
        self._first_request_id = random.randint(1, _LARGEST_FIRST_REQUEST_ID)
        transport: object = self.transport
        self.exchange: Exchange = Exchange(
            self.service_name,
            self._middleware_get_response_wrapper,
            self._receive_timeout_in_seconds,
            transport if isinstance(transport, AbandonsRequests) else None,
            self.metrics.publish_all if self._measures else None,
            self._receive_response if self.is_bare else None,
            self._first_request_id,
        )

    def _find_nothing_around_transport(self) -> bool:
        own: Any = type(self)
        return (
            not self._middleware
            and not self._measures
            and self._carries_native_values
            and own._base_send_request is ServiceHandler._base_send_request
            and own._base_get_response is ServiceHandler._base_get_response
        )

    def _find_direct_transport(self) -> SendsAndWaits | None:
        transport = self.transport
        if not self.is_bare or not isinstance(transport, SendsAndWaits):
            return None
        cls: Any = type(transport)
        self._original_send = cls.send_request_message
        self._original_receive = cls.receive_response_message
        # A subclass that overrides one way of sending or receiving expects that all goes through it.
        parents: tuple[type, ...] = cls.__mro__
        nearest = next(parent for parent in parents if not _WAYS_OF_TRANSPORT.isdisjoint(vars(parent)))
        return transport if "send_request_and_wait" in vars(nearest) else None

    def usable_direct_transport(self) -> SendsAndWaits | None:
        """Return the direct transport if it is still to be used: tests replace it, or its methods."""
        transport = self.direct_transport
        current: Any = self.transport
        cls: Any = type(transport)
        if (
            transport is None
            or transport is not current
            or cls.send_request_message is not self._original_send
            or cls.receive_response_message is not self._original_receive
            or not getattr(transport, "__dict__", _NO_ATTRIBUTES).keys().isdisjoint(_WAYS_OF_TRANSPORT)
        ):
            return None
        return transport

    def reset_in_forked_child(self) -> None:
        """Start with new ids, and await nothing: the responses to what was sent before are the parent's."""
        self.exchange.disown()
        self._start_afresh()


def _wait_for_next(exchange: Exchange, want: NextOf, timeout: float | None, limit: float) -> None:
    now = time.monotonic()
    if exchange.awaits_unexpired_of(want.owners, now) or not exchange.awaited_of(want.owners):
        exchange.wait(want, timeout, now + limit)
        return
    # All requests have expired. Nothing is to be expected, but what came late is welcome, if it is there.
    try:
        exchange.wait(want, SHORTEST_WAIT_IN_SECONDS, now + SHORTEST_WAIT_IN_SECONDS)
    except MessageReceiveTimeout:
        for request_id in exchange.awaited_of(want.owners):
            exchange.abandon(request_id)


def _build(configuration: Mapping[str, Any], *args: object) -> Any:
    return configuration["object"](*args, **configuration.get("kwargs", {}))


def _to_plain(body: dict[str, Any]) -> Any:
    try:
        return to_plain(body)
    except RecursionError as error:
        raise InvalidField(
            f"Cannot send {too_deep_path(body)}: it is nested too deeply, or contains itself. Flatten it."
        ) from error


def _limit_of(transport: object, name: str, default: float) -> float:
    """Return a time limit for calls that set none: the transport's own, or else what 1.x had."""
    for holder in (transport, getattr(transport, "core", None)):
        limit: object = getattr(holder, name, None)
        if isinstance(limit, (int, float)) and limit > 0:
            return limit
    return default
