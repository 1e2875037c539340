"""Clients whose services are real servers with made-up actions."""

from __future__ import annotations

from typing import Any

import pytest

from pysoa.client.client import Client
from pysoa.client.errors import CallActionError, ImproperlyConfigured
from pysoa.common.errors import Error
from pysoa.server.server import Server
from pysoa.server.settings import ServerSettings
from pysoa.test.stub_service import (
    StubClient,
    StubClientSettings,
    StubClientTransport,
    StubServer,
    stub_action,
)

ERRORS: list[dict[str, Any]] = [
    {"code": "X", "message": "m", "field": "f", "variables": {"v": 1}, "denied_permissions": ["p"]}
]


def test_actions_of_the_map_respond_as_told() -> None:
    actions = {"get": {"body": {"n": 1}}, "list": {"body": {"n": 2}}}
    client = StubClient({"user": actions, "other": {"get": {}}})

    assert client.call_action("user", "get").body == {"n": 1}
    assert client.call_action("user", "list").body == {"n": 2}
    assert client.call_action("other", "get").body == {}


@pytest.mark.parametrize("errors", [ERRORS, [Error(**ERRORS[0])]], ids=["dictionaries", "objects"])
def test_errors_win_over_the_body_and_are_the_callers_fault(errors: Any) -> None:
    client = StubClient({"user": {"get": {"body": {"n": 1}, "errors": errors}}})

    with pytest.raises(CallActionError) as raised:
        client.call_action("user", "get")

    (error,) = raised.value.actions[0].errors
    assert error == Error("X", "m", "f", None, {"v": 1}, ["p"], is_caller_error=True)


def test_values_of_none_are_as_good_as_none() -> None:
    client = StubClient({"user": {"get": {"body": None, "errors": None}}})

    assert client.call_action("user", "get").body == {}


def test_other_arguments_are_ignored() -> None:
    assert StubClient(context={"a": 1}, anything=2).context == {}


def test_actions_and_services_can_be_added_and_replaced_later() -> None:
    client = StubClient({"user": {"get": {"body": {"n": 1}}}})

    client.stub_action("user", "get", body={"n": 2})
    client.stub_action("user", "drop", errors=ERRORS)
    client.stub_action("other", "get", body={"n": 3})

    assert client.call_action("user", "get").body == {"n": 2}
    with pytest.raises(CallActionError):
        client.call_action("user", "drop")
    assert client.call_action("other", "get").body == {"n": 3}


def test_what_was_never_mentioned_is_unknown() -> None:
    client = StubClient({"user": {}})

    with pytest.raises(ImproperlyConfigured, match='Unrecognized service name "other"'):
        client.call_action("other", "get")
    with pytest.raises(CallActionError) as raised:
        client.call_action("user", "get")
    assert (raised.value.actions[0].errors[0].code, raised.value.actions[0].errors[0].field) == (
        "UNKNOWN",
        "action",
    )


def test_the_built_in_actions_work() -> None:
    client = StubClient({"user": {"get": {}}})

    assert client.call_action("user", "status", {"verbose": False}).body["version"]
    assert "get" in client.call_action("user", "introspect").body["action_names"]


def test_stubs_may_lie_above() -> None:
    client = StubClient({"user": {"get": {"body": {"n": 1}}}})

    with stub_action("user", "get", body={"n": 2}):
        assert client.call_action("user", "get").body == {"n": 2}


def test_classes_are_named_after_services_and_actions() -> None:
    transport = StubClientTransport("my-svc.v2", action_map={"update_foo": {"body": {}}})

    assert type(transport.server).__name__ == "MySvcV2Server"
    assert transport.server.action_class_map["update_foo"].__name__ == "UpdateFoo"


def test_the_transport_can_be_named_in_settings() -> None:
    transport = {
        "path": "pysoa.test.stub_service:StubClientTransport",
        "kwargs": {"action_map": {"write": {"body": {"ok": True}}}},
    }

    assert Client({"audit": {"transport": transport}}).call_action("audit", "write").body == {"ok": True}
    assert StubClientSettings({})["transport"]["object"] is StubClientTransport


@pytest.mark.parametrize(
    "response",
    [
        pytest.param({"bodyy": {}}, id="unknown key"),
        pytest.param({"body": []}, id="body of a wrong type"),
        pytest.param({"errors": [{"code": "X"}]}, id="error without message"),
        pytest.param({"errors": [{"code": "X", "message": "m", "is_caller_error": True}]}, id="whose fault"),
    ],
)
def test_a_map_that_makes_no_sense_is_refused(response: dict[str, Any]) -> None:
    with pytest.raises(ImproperlyConfigured):
        StubClient({"user": {"get": response}}).call_action("user", "get")


def test_adding_an_action_leaves_other_server_classes_alone() -> None:
    """T12: not even the map of the base class is changed."""

    class First(StubServer):
        """Has no map of its own."""

        service_name = "first"

    class Second(StubServer):
        """Has none either."""

        service_name = "second"

    settings = ServerSettings({"transport": {"path": "pysoa.common.transport.local:LocalServerTransport"}})
    First(settings).stub_action("get", body={"n": 1})

    assert "get" in First.action_class_map
    assert "get" not in Second.action_class_map
    assert "get" not in Server.action_class_map
