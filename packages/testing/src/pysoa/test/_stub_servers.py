"""Real servers whose actions are made up, and a client that calls them."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, ClassVar, TypeAlias

from conformity import fields as conformity_fields
from conformity.settings import SettingsData
from pymetrics.recorders.base import MetricsRecorder
from pymetrics.recorders.noop import noop_metrics

from pysoa.client.client import Client
from pysoa.client.settings import ClientSettings
from pysoa.common._conformity import accepts_kwargs
from pysoa.common.errors import Error
from pysoa.common.transport.local import LocalClientTransport
from pysoa.common.types import Body
from pysoa.server._fields import fields
from pysoa.server.action.base import Action
from pysoa.server.errors import ActionError
from pysoa.server.server import Server
from pysoa.server.types import ActionType, EnrichedActionRequest

__all__ = (
    "Errors",
    "StubClient",
    "StubClientSettings",
    "StubClientTransport",
    "StubClientTransportSchema",
    "StubServer",
)

Errors: TypeAlias = Iterable[Mapping[str, Any] | Error]
"""Errors of an action: objects, or dictionaries of their fields."""

_MODULE = "pysoa.test.stub_service"


class StubServer(Server):
    """A server to whose class actions can be added."""

    def stub_action(self, action: str, body: Body | None = None, errors: Errors | None = None) -> None:
        """Add or replace an action of this server's class.

        The class of the action is named after the action: ``update_foo`` is an ``UpdateFoo``.

        Args:
            action: The action name.
            body: The body to respond with, if there are no errors.
            errors: The errors to respond with.

        Raises:
            TypeError: ``errors`` holds a dictionary that is no error.
        """
        cls = type(self)
        actions: dict[str, ActionType] = dict(cls.action_class_map)
        actions[action] = _stub_action_class(action, body, errors)
        # A new mapping: the old one may be that of a base class, which other servers share.
        cls.action_class_map = actions


class StubClientTransportSchema(conformity_fields.Dictionary):
    """What the ``kwargs`` of a :class:`StubClientTransport` may be."""

    contents: Mapping[Hashable, conformity_fields.Base] = {
        "action_map": fields.SchemalessDictionary(
            key_type=fields.UnicodeString(description="The name of the action to stub"),
            value_type=fields.Dictionary(
                {
                    "body": fields.SchemalessDictionary(
                        description="The body with which the action should respond, if no errors",
                    ),
                    "errors": fields.List(
                        fields.Any(
                            fields.ObjectInstance(Error),
                            fields.Dictionary(
                                {
                                    "code": fields.UnicodeString(),
                                    "message": fields.UnicodeString(),
                                    "field": fields.UnicodeString(),
                                    "traceback": fields.UnicodeString(),
                                    "variables": fields.SchemalessDictionary(),
                                    "denied_permissions": fields.List(fields.UnicodeString()),
                                },
                                optional_keys=("field", "traceback", "variables", "denied_permissions"),
                            ),
                        ),
                        description="The errors with which the action should respond, if no body",
                    ),
                },
                optional_keys=("body", "errors"),
                description="A dictionary containing either a body dict or an errors list, providing an "
                "instruction on how the stub action should respond to requests",
            ),
        ),
    }

    optional_keys: tuple[Hashable, ...] | frozenset[Hashable] = ("action_map",)

    description: str | None = "The settings for the local transport"


@accepts_kwargs(StubClientTransportSchema())
class StubClientTransport(LocalClientTransport):
    """A transport around a :class:`StubServer` of its own."""

    def __init__(
        self,
        service_name: str = "test",
        metrics: MetricsRecorder | None = None,
        action_map: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Make a new subclass of :class:`StubServer` with these actions, and run it.

        Args:
            service_name: The service name.
            metrics: Where the transport counts and measures; ``None`` means nowhere.
            action_map: ``{action name: {"body": ..., "errors": ...}}``, both optional.
        """
        server_class = type(
            f"{_camel_case(service_name)}Server",
            (StubServer,),
            {"service_name": service_name, "action_class_map": {}},
        )
        super().__init__(service_name, metrics or noop_metrics, server_class, {})
        for action, response in (action_map or {}).items():
            self.stub_action(action, **response)

    def stub_action(self, action: str, body: Body | None = None, errors: Errors | None = None) -> None:
        """Add or replace an action; see :meth:`StubServer.stub_action`.

        Args:
            action: The action name.
            body: The body to respond with, if there are no errors.
            errors: The errors to respond with.
        """
        server = self.server
        assert isinstance(server, StubServer)  # as the constructor says
        server.stub_action(action, body, errors)


class StubClientSettings(ClientSettings):
    """Client settings with the :class:`StubClientTransport` as the default transport."""

    defaults: SettingsData = {"transport": {"path": f"{_MODULE}:StubClientTransport"}}
    """The values of the keys that may be left out, besides what all settings have."""


class StubClient(Client):
    """A client whose services are :class:`StubServer` objects, for code that takes a client as an argument.

    Calls go through the whole of a real client and a real server; only the actions are made up.
    """

    settings_class: type[ClientSettings] = StubClientSettings

    def __init__(
        self, service_action_map: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None, **_: Any
    ) -> None:
        """Make a client for these services.

        Args:
            service_action_map: ``{service name: {action name: {"body": ..., "errors": ...}}}``, the innermost
                keys both optional.
            _: Ignored, so that this class can stand in for another client.
        """
        super().__init__(
            {
                service: _settings_for({name: _plain(response) for name, response in actions.items()})
                for service, actions in (service_action_map or {}).items()
            }
        )

    def stub_action(
        self, service_name: str, action: str, body: Body | None = None, errors: Errors | None = None
    ) -> None:
        """Add or replace an action of a service, and the service too if it is new.

        Args:
            service_name: The service name.
            action: The action name.
            body: The body to respond with, if there are no errors.
            errors: The errors to respond with.
        """
        if service_name not in self.settings:
            self.settings[service_name] = self.settings_class(_settings_for({}))
        transport = self._get_handler(service_name).transport
        assert isinstance(transport, StubClientTransport)  # as the settings say
        transport.stub_action(action, body, errors)


class _StubAction(Action):
    stub_body: ClassVar[Body] = {}
    stub_errors: ClassVar[list[Error]] = []

    def run(self, request: EnrichedActionRequest[Any]) -> Body:
        """Respond as it was told."""
        del request
        if self.stub_errors:
            raise ActionError(errors=self.stub_errors)
        return self.stub_body


def _stub_action_class(action: str, body: Body | None, errors: Errors | None) -> type[_StubAction]:
    stub_errors = [error if isinstance(error, Error) else Error(**error) for error in errors or ()]
    attributes = {"stub_body": body or {}, "stub_errors": stub_errors}
    return type(_camel_case(action), (_StubAction,), attributes)


def _settings_for(action_map: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {"transport": {"path": f"{_MODULE}:StubClientTransport", "kwargs": {"action_map": action_map}}}


def _plain(response: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is ``None``, and turn any iterable of errors into the list that settings ask for."""
    plain = {key: value for key, value in response.items() if value is not None}
    if "errors" in plain:
        plain["errors"] = list(plain["errors"])
    return plain


def _camel_case(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^0-9A-Za-z]+", name))


# What users see of these classes, in settings and in the reference, is where they can be imported from.
for _public in (StubServer, StubClientTransportSchema, StubClientTransport, StubClientSettings, StubClient):
    _public.__module__ = _MODULE
