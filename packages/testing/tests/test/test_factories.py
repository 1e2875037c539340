"""Factories of settings, servers and actions."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from pysoa.client.errors import CallActionError
from pysoa.common.errors import Error
from pysoa.server.errors import ActionError
from pysoa.server.server import Server
from pysoa.server.settings import ServerSettings
from pysoa.test import factories
from pysoa.test.factories import ActionFactory
from pysoa.test.server import BaseServerTestCase

# What calling a factory returns, the types of factory_boy do not tell.
ServerSettingsFactory: Any = factories.ServerSettingsFactory
ServerFactory: Any = factories.ServerFactory
LOCAL = "pysoa.common.transport.local:LocalServerTransport"


def test_settings_are_made_for_the_local_transport() -> None:
    settings = ServerSettingsFactory(data={"heartbeat_file": "x", "transport": {"path": "no.such:Thing"}})

    assert isinstance(settings, ServerSettings)
    assert (settings["heartbeat_file"], settings["transport"]["path"]) == ("x", LOCAL)
    assert ServerSettingsFactory()["transport"]["path"] == LOCAL


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("SOA_SERVER_SETTINGS", "my_settings"),
        ("settings", "my_settings"),
        ("OTHER", "my_settings:OTHER"),
    ],
)
def test_settings_are_made_from_a_module(monkeypatch: pytest.MonkeyPatch, name: str, path: str) -> None:
    module = types.ModuleType("my_settings")
    setattr(module, name, {"heartbeat_file": "x"})
    monkeypatch.setitem(sys.modules, "my_settings", module)

    assert ServerSettingsFactory.from_module(path)["heartbeat_file"] == "x"


def test_servers_are_made_with_settings(echo_server: type[Server]) -> None:
    class EchoServerFactory(ServerFactory):  # type: ignore[misc]  # see above
        """Makes servers of one class."""

        class Meta:
            """Names the class."""

            model = echo_server

    server = EchoServerFactory(settings__data={"heartbeat_file": "x"})

    assert isinstance(server, echo_server)
    assert server.settings["heartbeat_file"] == "x"


def test_a_server_needs_a_name() -> None:
    with pytest.raises(AttributeError, match="Server subclass must set service_name"):
        ServerFactory()


def test_actions_are_made_that_return_or_raise() -> None:
    class MyServer(Server):
        """Has actions of the factory."""

        service_name = "mine"
        action_class_map = {
            "empty": ActionFactory(),
            "body": ActionFactory(body={"n": 1}),
            "error": ActionFactory(exception=ActionError([Error(code="X", message="m")])),
        }

    case = BaseServerTestCase()
    case.server_class, case.server_settings = MyServer, {}
    case.setup_pysoa()

    assert ActionFactory().__name__ == "TestAction"
    assert case.call_action("empty").body == {}
    assert case.call_action("body").body == {"n": 1}
    with pytest.raises(CallActionError):
        case.call_action("error")
