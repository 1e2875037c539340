"""A service inside of the test's own process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pysoa.client.client import Client
from pysoa.common.transport.local import LocalClientTransport
from pysoa.common.types import ActionResponse, Body
from pysoa.server.server import Server

# The handlers of a client and this switch of a server are there for tests.
# pyright: reportPrivateUsage=false

__all__ = ("client_settings", "make_client", "make_client_class", "settings_of_django", "with_server")

_Client = TypeVar("_Client", bound=Client)


def client_settings(
    server_class: type[Server], server_settings: Mapping[str, Any] | str
) -> dict[str, dict[str, Any]]:
    """Return the settings of a client that reaches a server of its own by the local transport."""
    return {
        server_class.service_name or "": {
            "transport": {
                "path": "pysoa.common.transport.local:LocalClientTransport",
                "kwargs": {"server_class": server_class, "server_settings": server_settings},
            }
        }
    }


def make_client(server_class: type[Server], server_settings: Mapping[str, Any] | str) -> Client:
    """Return a client for a server, which is constructed and set up at once."""
    return with_server(
        Client(client_settings(server_class, server_settings)), server_class.service_name or ""
    )


def make_client_class(server_class: type[Server]) -> type[Client]:
    """Return a client class whose ``call_action`` needs no name of the service."""

    class ServiceClient(Client):
        """A client for the service under test."""

        def call_action(  # type: ignore[override]  # that is what it is for
            self, action: str, body: Body | None = None, service_name: str | None = None, **kwargs: Any
        ) -> ActionResponse:
            """Call an action, of the service under test unless another one is named."""
            return super().call_action(
                service_name or server_class.service_name or "", action, body=body, **kwargs
            )

    return ServiceClient


def with_server(client: _Client, service_name: str) -> _Client:
    """Have a client construct its local server now; it leaves the database connections of tests open."""
    transport = client._get_handler(service_name).transport
    if isinstance(transport, LocalClientTransport):
        transport.server._skip_django_database_cleanup = True
    return client


def settings_of_django() -> Any:
    """Return the settings object of Django, which is imported only now."""
    from django.conf import settings  # type: ignore[import-untyped]  # Django brings no types

    return settings
