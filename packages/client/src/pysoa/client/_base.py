"""The foundation of a client: its settings and handlers, the headers of requests, sending and receiving."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final, Self, TypeAlias

from pysoa.client import errors
from pysoa.client._calls import CallOptions, Route
from pysoa.client._fork import call_in_forked_child
from pysoa.client._futures import FutureSOAResponse
from pysoa.client._handler import ServiceHandler
from pysoa.client._ledger import CLAIMED
from pysoa.client._postbox import Postbox
from pysoa.client._requests import check_seconds, make_context, make_control, plain_actions
from pysoa.client.expander import ExpansionConverter, ExpansionSettings, TypeNode
from pysoa.client.settings import ClientSettings
from pysoa.common.types import ActionRequest, Context, Control, JobRequest, JobResponse

__all__ = (
    "ActionRequestArgument",
    "ActionRequestArgumentIterable",
    "ActionRequestArgumentList",
    "BaseClient",
    "JobRequestArgument",
    "is_original",
)

ActionRequestArgument: TypeAlias = ActionRequest | Mapping[str, Any]
"""One action: the request itself, or a dictionary with its fields ``action`` and ``body``."""
ActionRequestArgumentList: TypeAlias = Iterable[ActionRequestArgument]
"""The actions of a job."""
ActionRequestArgumentIterable: TypeAlias = Iterable[ActionRequestArgument]
"""Actions of which each becomes a job."""
JobRequestArgument: TypeAlias = Mapping[str, Any]
"""One job: a dictionary with ``service_name`` and ``actions``."""

_TIME_LIMIT_OF_UNKNOWN_SERVICE_IN_SECONDS: Final = 5.0

# The correlation id that all jobs of the call in progress share. It is handed on so, not as an argument, when
# a subclass overrides send_request: that may have its own idea of what to do if no correlation id is given.
_call_correlation_id: ContextVar[str | None] = ContextVar("pysoa_call_correlation_id", default=None)


class _HandlerLock:
    """Makes sure that each handler is built once. Shared by a client and those derived from it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        call_in_forked_child(self)

    def reset_in_forked_child(self) -> None:
        self.lock = threading.RLock()


class BaseClient:
    """Sends job requests to services and receives job responses, one by one.

    See :class:`pysoa.client.client.Client`.
    """

    settings_class: type[ClientSettings] = ClientSettings
    """Which class the settings of services are checked by, unless the constructor is given one."""
    handler_class: type[ServiceHandler] = ServiceHandler
    """What talks to a service."""
    FutureResponse: type[FutureSOAResponse[Any]] = FutureSOAResponse
    """What the ``call_*_future`` methods return."""

    ImproperlyConfigured = errors.ImproperlyConfigured
    InvalidExpansionKey = errors.InvalidExpansionKey
    JobError = errors.CallJobError
    CallJobError = errors.CallJobError
    CallActionError = errors.CallActionError

    def __init__(
        self,
        config: Mapping[str, Mapping[str, Any]] | None,
        expansion_config: Mapping[str, Any] | None = None,
        settings_class: type[ClientSettings] | None = None,
        context: Context | None = None,
    ) -> None:
        self.settings_class = settings_class or self.settings_class
        self.config: Mapping[str, Mapping[str, Any]] = config or {}
        self.settings: dict[str, ClientSettings] = {
            name: self.settings_class(settings) for name, settings in self.config.items()
        }
        self.handlers: dict[str, ServiceHandler] = {}
        self.context: Context = context or {}
        if expansion_config:
            expansions = ExpansionSettings(expansion_config)
            self.expansion_converter: ExpansionConverter = ExpansionConverter(
                expansions["type_routes"], expansions["type_expansions"]
            )
        self._handler_lock = _HandlerLock()
        self._owner: object = object()
        self._postboxes: dict[str, Postbox] = {}
        # Known once and for all, unlike what _plain_handler asks each time.
        self._has_own_ways: bool = self._overrides_anything()

    def with_context(self, context: Context | None) -> Self:
        """Return a client with another base context that shares everything else with this one.

        It shares the settings, and also the connections, so this is cheap enough to be done for every
        request. :meth:`get_all_responses` of either client yields only responses to what was sent through the
        same client.

        Args:
            context: The base request context of the new client, in place of this client's. Kept by reference.
        """
        client = object.__new__(type(self))
        client.__dict__.update(self.__dict__)
        client.context = context or {}
        client._owner = object()
        client._postboxes = {}
        return client

    def send_request(
        self,
        service_name: str,
        actions: ActionRequestArgumentList,
        switches: Iterable[Any] | None = None,
        correlation_id: str | None = None,
        continue_on_error: bool = False,
        context: Context | None = None,
        control_extra: Control | None = None,
        message_expiry_in_seconds: float | None = None,
        suppress_response: bool = False,
    ) -> int:
        """Build and send a JobRequest, and return a request ID.

        The context and control_extra arguments may be used to include extra values in the context and control
        headers, respectively. Get the response from :meth:`get_all_responses`.

        Args:
            service_name: The name of the service to which the request goes.
            actions: A list of ``ActionRequest`` objects or dictionaries. Request middleware gets the very
                objects.
            switches: A list of switch value integers, or of switch constants.
            correlation_id: The request correlation ID. ``None`` means the one of the client's context, or a
                new one.
            continue_on_error: Whether to continue executing further actions once one action has returned
                errors.
            context: A dictionary of extra values to include in the context header. They win over the other
                arguments, but switches are united.
            control_extra: A dictionary of extra values to include in the control header. They win over the
                other arguments.
            message_expiry_in_seconds: How soon the message will expire if not received by a server (defaults
                to sixty seconds unless the settings are otherwise). ``None`` and 0 mean the default.
            suppress_response: If ``True``, the service will process the request normally but omit the step of
                sending a response back to the client (use this feature to implement send-and-forget patterns
                for asynchronous execution).

        Returns:
            The request ID. IDs of different services may be equal.

        Raises:
            ConnectionError: No connection could be had.
            ImproperlyConfigured: The client has no settings for this service.
            InvalidField: The request holds something that cannot be sent; nothing was sent.
            MessageSendError: Sending failed.
            MessageSendTimeout: Sending took too long.
            MessageTooLarge: The message is larger than allowed.
            TypeError: The actions or switches are none.
            ValueError: The expiry is negative or not finite; nothing was sent.
        """
        if message_expiry_in_seconds is not None:
            check_seconds("message_expiry_in_seconds", message_expiry_in_seconds)
        handler = self._plain_handler(service_name)
        if handler is None:
            handler = self._get_handler(service_name)
        elif handler.is_bare and (wire_actions := plain_actions(actions)) is not None:
            control: Control = {
                "continue_on_error": continue_on_error,
                "suppress_response": suppress_response,
            }
            if control_extra or message_expiry_in_seconds:
                control = make_control(
                    continue_on_error, suppress_response, control_extra, message_expiry_in_seconds
                )
            context = make_context(
                self.context, switches, correlation_id, context, _call_correlation_id.get()
            )
            body = {"control": control, "context": context, "actions": wire_actions}
            return handler.send_directly(self._owner, body, message_expiry_in_seconds)
        if message_expiry_in_seconds:
            control_extra = {**(control_extra or {})}
            control_extra.setdefault("timeout", message_expiry_in_seconds)
        job_request = JobRequest(
            self._make_control_header(continue_on_error, control_extra, suppress_response),
            self._make_context_header(switches, correlation_id, context),
            actions,
        )
        # A handler that overrides how to receive finds only what is sent by its public method.
        if _is_unchanged(handler):
            return handler.send_for(self._owner, job_request, message_expiry_in_seconds)
        return handler.send_request(job_request, message_expiry_in_seconds)

    def get_all_responses(
        self, service_name: str, receive_timeout_in_seconds: float | None = None
    ) -> Generator[tuple[int, JobResponse], None, None]:
        """Receive all available responses from the service as a generator.

        These are the responses to what was sent by :meth:`send_request`. Those of ``call_***`` methods and of
        their futures are not among them.

        Args:
            service_name: The name of the service from which to receive responses.
            receive_timeout_in_seconds: How long to block without receiving a message before raising
                ``MessageReceiveTimeout`` (defaults to five seconds unless the settings are otherwise).
                ``None`` and 0 mean the default.

        Returns:
            A generator that yields a two-tuple of request ID, job response, in the order of arrival. It ends
            when there is nothing to wait for any more.

        Raises:
            ConnectionError: No connection could be had.
            ImproperlyConfigured: The client has no settings for this service.
            InvalidMessage: A response could not be decoded.
            MessageReceiveError: Receiving failed.
            MessageReceiveTimeout: No response came in time.
            StopIteration: There is nothing to wait for any more.
            ValueError: The time limit is negative or not finite.
        """
        if receive_timeout_in_seconds is not None:
            check_seconds("receive_timeout_in_seconds", receive_timeout_in_seconds)
        handler = self._get_handler(service_name)
        if is_original(handler, "get_all_responses", _HANDLER_GET_ALL_RESPONSES):
            return handler.responses_for((self._owner, None), receive_timeout_in_seconds)
        return handler.get_all_responses(receive_timeout_in_seconds)

    # Building requests

    def _get_handler(self, service_name: str) -> ServiceHandler:
        if not isinstance(service_name, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
            raise ValueError(f'Called service name "{service_name}" must be unicode')
        handler = self.handlers.get(service_name)
        if handler is not None:
            return handler
        with self._handler_lock.lock:
            handler = self.handlers.get(service_name)
            if handler is None:
                if service_name not in self.settings:
                    known = ", ".join(sorted(self.settings)) or "none"
                    raise self.ImproperlyConfigured(
                        f'Unrecognized service name "{service_name}". '
                        f"Add it to the config of the client, which has settings for: {known}."
                    )
                handler = self.handlers[service_name] = self.handler_class(
                    service_name, self.settings[service_name]
                )
        return handler

    @staticmethod
    def _make_control_header(
        continue_on_error: bool = False, control_extra: Control | None = None, suppress_response: bool = False
    ) -> Control:
        return make_control(continue_on_error, suppress_response, control_extra)

    def _make_context_header(
        self,
        switches: Iterable[Any] | None = None,
        correlation_id: str | None = None,
        context_extra: Context | None = None,
    ) -> Context:
        return make_context(self.context, switches, correlation_id, context_extra, _call_correlation_id.get())

    def _make_trees(self, expansions: Mapping[str, list[str]] | None) -> Sequence[TypeNode]:
        if not expansions or not hasattr(self, "expansion_converter"):
            return ()
        try:
            return self.expansion_converter.dict_to_trees(expansions)
        except KeyError as error:
            raise self.InvalidExpansionKey(f"Invalid key in expansion request: {error.args[0]}") from error

    # Sending for calls

    def _dispatch(
        self, service_name: str, actions: Iterable[Any], options: CallOptions, continue_on_error: bool
    ) -> tuple[int, Route]:
        """Send one job of a call; see :data:`pysoa.client._calls.Dispatch`.

        Tests replace the two public methods, and subclasses override them; then everything goes through
        these. Else the response is claimed for the call from the start, and comes by the shortest way.
        """
        handler = self._plain_handler(service_name)
        if handler is None:
            if is_original(self, "get_all_responses", _GET_ALL_RESPONSES):
                return self._send_and_claim(service_name, actions, options, continue_on_error)
            return self._send_and_expect(service_name, actions, options, continue_on_error)
        job_request = JobRequest(
            make_control(continue_on_error, False, options.control_extra, options.timeout),
            make_context(
                self.context,
                options.switches,
                options.correlation_id,
                options.context,
                options.shared_correlation_id,
            ),
            actions,
        )
        exchange = handler.exchange
        return handler.send_for(CLAIMED, job_request, options.timeout), exchange

    def _plain_handler(self, service_name: str) -> ServiceHandler | None:
        """Return the handler of a service, or ``None`` if the public methods must be used."""
        # Tests replace the two public methods of the class, and any method of an object, at any time. This is
        # asked for every job, and Python 3.11 takes long to find attributes of classes.
        cls = type(self)
        if (
            self._has_own_ways
            or cls.send_request is not _SEND_REQUEST
            or cls.get_all_responses is not _GET_ALL_RESPONSES
            or not self.__dict__.keys().isdisjoint(_CHANGES)
        ):
            return None
        handler = self.handlers.get(service_name) if type(service_name) is str else None
        if handler is None:
            handler = self._get_handler(service_name)
        return handler if _is_unchanged(handler) else None

    def _overrides_anything(self) -> bool:
        """Tell whether a subclass has its own ways to build requests, or to send and receive them."""
        cls = type(self)
        return (
            cls._get_handler is not _GET_HANDLER
            or cls._make_context_header is not _MAKE_CONTEXT_HEADER
            or cls._make_control_header is not _MAKE_CONTROL_HEADER
        )

    def _send_and_claim(
        self, service_name: str, actions: Iterable[Any], options: CallOptions, continue_on_error: bool
    ) -> tuple[int, Route]:
        request_id = self._send_publicly(service_name, actions, options, continue_on_error)
        handler = self.handlers.get(service_name)
        if handler is not None and _is_unchanged(handler) and handler.exchange.claim(request_id):
            return request_id, handler.exchange
        return request_id, self._expect(service_name, request_id)

    def _send_and_expect(
        self, service_name: str, actions: Iterable[Any], options: CallOptions, continue_on_error: bool
    ) -> tuple[int, Route]:
        request_id = self._send_publicly(service_name, actions, options, continue_on_error)
        return request_id, self._expect(service_name, request_id)

    def _send_publicly(
        self, service_name: str, actions: Any, options: CallOptions, continue_on_error: bool
    ) -> int:
        token = _call_correlation_id.set(options.shared_correlation_id)
        try:
            return self.send_request(
                service_name=service_name,
                actions=actions,
                switches=options.switches,
                correlation_id=options.correlation_id,
                continue_on_error=continue_on_error,
                context=options.context,
                control_extra=options.control_extra,
                message_expiry_in_seconds=options.timeout,
            )
        finally:
            _call_correlation_id.reset(token)

    def _expect(self, service_name: str, request_id: int) -> Postbox:
        postbox = self._postboxes.get(service_name)
        if postbox is None:
            postbox = self._postboxes.setdefault(service_name, self._new_postbox(service_name))
        postbox.expect(request_id)
        return postbox

    def _new_postbox(self, service_name: str) -> Postbox:
        def drain(timeout: float | None) -> Iterable[tuple[int, JobResponse]]:
            return self.get_all_responses(service_name, receive_timeout_in_seconds=timeout)

        def put_back(request_id: int, response: JobResponse) -> bool:
            handler = self.handlers.get(service_name)
            return handler is not None and handler.put_back(request_id, self._owner, response)

        handler = self.handlers.get(service_name)
        limit = (
            handler.exchange.receive_timeout_in_seconds
            if isinstance(handler, ServiceHandler)
            else _TIME_LIMIT_OF_UNKNOWN_SERVICE_IN_SECONDS
        )
        return Postbox(service_name, drain, put_back, limit)


def is_original(target: object, name: str, function: object) -> bool:
    """Tell whether a method is the one of our class: neither overridden nor replaced by a test."""
    return getattr(type(target), name, None) is function and name not in target.__dict__


def _is_unchanged(handler: ServiceHandler) -> bool:
    cls: Any = type(handler)
    return (
        getattr(cls, "send_request", None) is _HANDLER_SEND_REQUEST
        and getattr(cls, "get_all_responses", None) is _HANDLER_GET_ALL_RESPONSES
        and handler.__dict__.keys().isdisjoint(_CHANGES_OF_A_HANDLER)
    )


_SEND_REQUEST: Final = BaseClient.send_request
_GET_ALL_RESPONSES: Final = BaseClient.get_all_responses
_GET_HANDLER: Final = BaseClient._get_handler  # pyright: ignore[reportPrivateUsage] - same module
_MAKE_CONTEXT_HEADER: Final = BaseClient._make_context_header  # pyright: ignore[reportPrivateUsage] - same module
_MAKE_CONTROL_HEADER: Final = BaseClient._make_control_header  # pyright: ignore[reportPrivateUsage] - same module
_HANDLER_SEND_REQUEST: Final = ServiceHandler.send_request
_HANDLER_GET_ALL_RESPONSES: Final = ServiceHandler.get_all_responses
_CHANGES: Final = frozenset(
    (
        "FutureResponse",
        "_get_handler",
        "_make_context_header",
        "_make_control_header",
        "call_action_future",
        "call_actions_future",
        "get_all_responses",
        "send_request",
    )
)
_CHANGES_OF_A_HANDLER: Final = frozenset(("send_request", "get_all_responses"))
