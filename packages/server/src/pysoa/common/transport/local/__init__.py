"""A transport that runs the service inside of the client's own process, without a broker.

For embedding a service as a library, and for tests.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar, cast

from conformity.fields import Base, Dictionary, PythonPath
from pymetrics.recorders.base import MetricsRecorder

from pysoa.common._conformity import accepts_kwargs
from pysoa.common._plain import copy_plain
from pysoa.common.transport.base import ClientTransport, ReceivedMessage, ServerTransport
from pysoa.common.transport.errors import MessageSendTimeout
from pysoa.server._fields import fields
from pysoa.server.server import Server

__all__ = (
    "LocalClientTransport",
    "LocalClientTransportSchema",
    "LocalServerTransport",
    "LocalServerTransportSchema",
)

_DEFAULT_TURN_LIMIT_IN_SECONDS = 60
_NOTHING = ReceivedMessage(None, None, None)

_server_settings = fields.SchemalessDictionary(
    key_type=fields.UnicodeString(),
    description="A dictionary of settings for the server (which will further validate them).",
)


class LocalClientTransportSchema(Dictionary):
    """What the ``kwargs`` of a local client transport may be."""

    contents: Mapping[Hashable, Base] = {
        "server_class": fields.Any(
            fields.TypePath(
                description="The importable Python path to the `Server`-extending class.",
                base_classes=Server,
            ),
            fields.TypeReference(
                description="A reference to the `Server`-extending class",
                base_classes=Server,
            ),
            description="The path to the `Server` class to use locally (as a library), or a reference to the "
            "`Server`-extending class/type itself.",
        ),
        "server_settings": fields.Any(
            fields.PythonPath(
                value_schema=_server_settings,
                description="The importable Python path to the settings dict, in the format "
                '"module.name:VARIABLE".',
            ),
            _server_settings,
            description="The settings to use when instantiating the `server_class`.",
        ),
    }

    optional_keys: tuple[Hashable, ...] | frozenset[Hashable] = ()

    description: str | None = "The constructor kwargs for the local client transport."


@accepts_kwargs(LocalClientTransportSchema())
class LocalClientTransport(ClientTransport, ServerTransport):
    """Both ends of a transport in one object, with a server between them.

    A request is handled completely, in the calling thread, before :meth:`send_request_message` returns. The
    bodies are not serialized: the values in them can be of any type and of any size. But the containers are
    copied, and tuples, sets and attrs objects become lists and dictionaries, as over any other transport.

    Several threads may use one transport. The server serves one request at a time, so they take turns; only a
    call that an action makes of its own service, in its own thread, goes before.
    """

    carries_native_values: ClassVar[bool] = True

    def __init__(
        self,
        service_name: str,
        metrics: MetricsRecorder,
        server_class: str | type[Server],
        server_settings: str | dict[str, Any],
    ) -> None:
        """Construct and set up the server; its settings for a transport are ignored.

        Args:
            service_name: The name of the service.
            metrics: Where the client's side of the transport counts and measures.
            server_class: The server class, or its importable path.
            server_settings: The settings of the server, or their importable path. They are not changed.

        Raises:
            ImportError, AttributeError, ValueError: A path cannot be resolved.
            TypeError: What was given or found is no server class, or no dictionary.
            ValueError: The server class is that of another service.
            ImproperlyConfigured: The settings are not acceptable.
        """
        super().__init__(service_name, metrics)
        server_class = _resolve_server_class(server_class)
        if server_class.service_name != service_name:
            raise ValueError(
                f'Server {server_class} service name "{server_class.service_name}" does not match '
                f'"{service_name}"'
            )
        settings = {
            **_resolve_server_settings(server_settings),
            "transport": {"path": "pysoa.common.transport.local:LocalServerTransport"},
        }

        self._turn = threading.RLock()
        self._requests: list[ReceivedMessage] = []
        self._responses: deque[ReceivedMessage] = deque()
        self._responses_of_turn: list[ReceivedMessage] = []

        self.server: Server = server_class(server_class.settings_class(settings))
        self.server.transport = self
        self.server.setup()

    def send_request_message(  # type: ignore[override]  # its fifth parameter was never named otherwise
        self,
        request_id: int,
        meta: dict[str, Any],
        body: dict[str, Any],
        _: int | None = None,
        *,
        message_expiry_in_seconds: int | None = None,
    ) -> None:
        """Have the server handle a request, and return when it is done.

        Args:
            request_id: The request ID.
            meta: Meta information about the message.
            body: The message body.
            _: The same as ``message_expiry_in_seconds``.
            message_expiry_in_seconds: For how long to wait for another thread's turn to end; 60 seconds if
                ``None``. A request never expires once it is being handled.

        Raises:
            MessageSendTimeout: The server was busy for all that time.
            BaseException: What ended the server's work for good, such as ``SystemExit`` raised by an action.
                The transport stays usable.
        """
        limit = message_expiry_in_seconds or _ or _DEFAULT_TURN_LIMIT_IN_SECONDS
        if not self._turn.acquire(timeout=limit):
            raise MessageSendTimeout(
                f"The local server of service {self.service_name!r} has been busy with another thread's "
                f"request for "
                f"{limit} seconds. If that request waits for this thread, let the action call in its own "
                f"thread."
            )
        outer_responses = self._responses_of_turn
        try:
            self._responses_of_turn = []
            self._requests.append(ReceivedMessage(request_id, dict(meta), copy_plain(body)))
            self.server.handle_next_request()
            self._responses.extend(self._responses_of_turn)
        finally:
            self._responses_of_turn = outer_responses
            self._requests.clear()
            self._turn.release()

    def receive_request_message(self) -> ReceivedMessage:
        """Give the server the request that is being sent.

        Raises:
            RuntimeError: Nothing is being sent, or the server has taken it already.
        """
        if not self._requests:
            raise RuntimeError("Local server tried to receive message more than once")
        return self._requests.pop()

    def send_response_message(self, request_id: int, meta: dict[str, Any], body: dict[str, Any]) -> None:
        """Keep a response of the server for :meth:`receive_response_message`.

        Args:
            request_id: The request ID.
            meta: Meta information about the message.
            body: The message body.
        """
        self._responses_of_turn.append(ReceivedMessage(request_id, meta, copy_plain(body)))

    def receive_response_message(  # type: ignore[override]  # its parameter was never named otherwise
        self,
        _: int | None = None,
        *,
        receive_timeout_in_seconds: int | None = None,  # noqa: ARG002 - what the base class calls it
    ) -> ReceivedMessage:
        """Return the next response.

        This never waits: a response is there as soon as its request has been sent, or there will never be
            one.

        Args:
            _: Ignored.
            receive_timeout_in_seconds: Ignored.

        Returns:
            The request ID, meta and body of the oldest response; all ``None`` if there is none.
        """
        try:
            return self._responses.popleft()
        except IndexError:
            return _NOTHING


class LocalServerTransportSchema(Dictionary):
    """What the ``kwargs`` of a local server transport may be."""

    contents: Mapping[Hashable, Base] = {}

    description: str | None = "The local server transport takes no constructor kwargs."


@accepts_kwargs(LocalServerTransportSchema())
class LocalServerTransport(ServerTransport):
    """Stands in the settings of a server that is run by a :class:`LocalClientTransport`, and does nothing."""

    def receive_request_message(self) -> ReceivedMessage:
        """Refuse.

        Raises:
            TypeError: Always.
        """
        raise TypeError("The LocalServerTransport cannot be used directly; it is a stub.")

    def send_response_message(
        self,
        request_id: int,  # noqa: ARG002
        meta: dict[str, Any],  # noqa: ARG002
        body: dict[str, Any],  # noqa: ARG002
    ) -> None:
        """Refuse.

        Args:
            request_id: Ignored.
            meta: Ignored.
            body: Ignored.

        Raises:
            TypeError: Always.
        """
        raise TypeError("The LocalServerTransport cannot be used directly; it is a stub.")


def _resolve_server_class(server_class: str | type[Server]) -> type[Server]:
    resolved = _resolve(server_class, "server class") if isinstance(server_class, str) else server_class
    if not isinstance(resolved, type) or not issubclass(resolved, Server):
        raise TypeError("server_class must be or extend Server")
    return resolved


def _resolve_server_settings(server_settings: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(server_settings, str):
        resolved = _resolve(server_settings, "settings")
        if not isinstance(resolved, Mapping):
            raise TypeError(f"Imported settings path {server_settings} is not a dictionary.")
        return cast("Mapping[str, Any]", resolved)
    if not isinstance(server_settings, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
        raise TypeError(f"server_settings must be a dictionary or its path, not {server_settings!r}")
    return server_settings


def _resolve(path: str, what: str) -> Any:
    try:
        return PythonPath.resolve_python_path(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise type(error)(f"Could not resolve {what} path {path}: {error!r}") from error
