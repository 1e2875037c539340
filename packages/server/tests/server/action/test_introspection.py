from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import conformity.fields
import pytest

from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse
from pysoa.server.action.base import Action
from pysoa.server.action.introspection import IntrospectionAction
from pysoa.server.action.switched import SwitchedAction
from pysoa.server.errors import ActionError
from pysoa.server.server import Server
from pysoa.server.settings import ServerSettings
from pysoa.server.types import EnrichedActionRequest

fields: Any = conformity.fields
LOCAL = {"path": "pysoa.common.transport.local:LocalServerTransport"}
SCHEMA = fields.Dictionary({"x": fields.Integer()})


class First(Action):
    """Documentation of First"""

    request_schema = SCHEMA

    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        return {}


class Second(First):
    description = "Description of Second"
    request_schema = None
    response_schema = SCHEMA


def plain_callable(settings: Any) -> Callable[[Any], ActionResponse]:
    """Documentation of a callable"""
    return lambda request: ActionResponse(request.action)


class Switch(enum.Enum):
    SEVEN = 7


class WithDefault(SwitchedAction):
    switch_to_action_map = (
        (SwitchedAction.DEFAULT_ACTION, First),
        (3, Second),
        (Switch.SEVEN, First),
        (0, Second),
    )


class WithoutDefault(SwitchedAction):
    switch_to_action_map = ((7, First), (3, Second))


class Documented(Server):
    """Documentation of the server"""

    service_name = "documented"
    action_class_map = {
        "first": First,
        "second": Second,
        "plain_callable": plain_callable,
        "switched": WithDefault,
        "other": WithoutDefault,
    }


FIRST = {
    "documentation": "Documentation of First",
    "request_schema": SCHEMA.introspect(),
    "response_schema": None,
}
SECOND = {
    "documentation": "Description of Second",
    "request_schema": None,
    "response_schema": SCHEMA.introspect(),
}
CALLABLE = {"documentation": "Documentation of a callable", "request_schema": None, "response_schema": None}


def introspect(server_class: type[Server] = Documented, **body: Any) -> dict[str, Any]:
    server = server_class(ServerSettings({"transport": LOCAL}))
    return IntrospectionAction(server)(EnrichedActionRequest("introspect", body)).body


def call(server_class: type[Server], action: str, body: dict[str, Any] | None = None) -> ActionResponse:
    server = server_class(ServerSettings({"transport": LOCAL}))
    response = server.process_job(
        {
            "control": {"continue_on_error": False},
            "context": {"switches": [], "correlation_id": "the-id"},
            "actions": [{"action": action, "body": body or {}}],
        }
    )
    assert response.errors == []
    return response.actions[0]


def test_service_is_described_with_all_its_actions() -> None:
    body = introspect()

    assert body["documentation"] == "Documentation of the server"
    assert body["action_names"] == [
        "first",
        "introspect",
        "other[DEFAULT]",
        "other[switch:7]",
        "plain_callable",
        "second",
        "status",
        "switched[DEFAULT]",
        "switched[switch:0]",
        "switched[switch:3]",
        "switched[switch:7]",
    ]
    assert sorted(body["actions"]) == body["action_names"]
    assert body["actions"]["first"] == FIRST
    assert body["actions"]["switched[DEFAULT]"] == FIRST
    assert body["actions"]["other[DEFAULT]"] == SECOND


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("first", {"first": FIRST}),
        ("plain_callable", {"plain_callable": CALLABLE}),
        (
            "switched",
            {
                "switched[DEFAULT]": FIRST,
                "switched[switch:3]": SECOND,
                "switched[switch:7]": FIRST,
                "switched[switch:0]": SECOND,
            },
        ),
        ("other", {"other[DEFAULT]": SECOND, "other[switch:7]": FIRST}),
        ("switched[switch:3]", {"switched[switch:3]": SECOND}),
        # D-25: what follows was answered with the last entry of the map, or with all of them.
        ("switched[DEFAULT]", {"switched[DEFAULT]": FIRST}),
        ("switched[switch:7]", {"switched[switch:7]": FIRST}),
        ("switched[switch:0]", {"switched[switch:0]": SECOND}),
        ("other[DEFAULT]", {"other[DEFAULT]": SECOND}),
        ("other[switch:3]", {"other[switch:3]": SECOND}),
    ],
)
def test_one_action_is_described_as_it_would_be_resolved(name: str, expected: dict[str, Any]) -> None:
    assert introspect(action_name=name) == {"action_names": sorted(expected), "actions": expected}


@pytest.mark.parametrize("name", ["status", "introspect"])
def test_default_action_is_described(name: str) -> None:
    body = introspect(action_name=name)

    assert body["action_names"] == [name]
    assert body["actions"][name]["response_schema"]["type"] == "dictionary"


@pytest.mark.parametrize(
    "name",
    [
        "unknown",
        "unknown[DEFAULT]",
        "first[DEFAULT]",  # D-25: not switched, so there is nothing to choose
        "first[switch:3]",
        "status[DEFAULT]",
        "switched[switch:99]",
        "switched[switch:x]",
        "switched[]",
        "switched[DEFAULT]x",
    ],
)
def test_action_that_does_not_exist_is_the_callers_fault(name: str) -> None:
    with pytest.raises(ActionError) as raised:
        introspect(action_name=name)

    assert raised.value.errors == [
        Error("INVALID", "Action not defined in service", field="action_name", is_caller_error=True)
    ]


@pytest.mark.parametrize("name", ["", " "])
def test_blank_action_name_is_refused(name: str) -> None:
    with pytest.raises(ActionError) as raised:
        introspect(action_name=name)

    assert [error.field for error in raised.value.errors] == ["action_name"]


@pytest.mark.parametrize(("description", "expected"), [("Described", "Described"), ("", None), (None, None)])
def test_description_of_a_server_wins_over_its_docstring(description: Any, expected: str | None) -> None:
    described = type("Described", (Documented,), {"description": description, "__doc__": "Documentation"})

    assert introspect(described)["documentation"] == expected


def test_server_without_documentation_has_none() -> None:
    undocumented = type("Undocumented", (Documented,), {})

    assert introspect(undocumented)["documentation"] is None


def test_action_needs_a_server() -> None:
    with pytest.raises(TypeError, match=r"First argument \(server\) must be a Server instance"):
        IntrospectionAction(ServerSettings({"transport": LOCAL}))  # type: ignore[arg-type]


# -- D-26: other maps, and other introspection actions -------------------------------------------------------


class MinimalMap:
    """Provides what the server asks of its action map, and no more."""

    def __contains__(self, name: object) -> bool:
        return name == "first"

    def __getitem__(self, name: str) -> type[Action]:
        assert name == "first"
        return First


class Minimal(Documented):
    action_class_map = MinimalMap()  # type: ignore[assignment]  # documented as enough


def test_map_that_cannot_be_iterated_shows_the_default_actions_only() -> None:
    assert introspect(Minimal)["action_names"] == ["introspect", "status"]


def test_map_that_cannot_be_iterated_serves_and_shows_each_action() -> None:
    assert introspect(Minimal, action_name="first")["actions"] == {"first": FIRST}
    assert call(Minimal, "first", {"x": 1}).errors == []


class MyIntrospection(IntrospectionAction):
    """My own"""

    description = "My own"


class Mapped(Documented):
    action_class_map = {"introspect": MyIntrospection}


class Configured(Documented):
    introspection_action = MyIntrospection


class ConfiguredByFunction(Documented):
    def introspection_action(self) -> MyIntrospection:  # type: ignore[override]  # a plain function in the class
        return MyIntrospection(self)


class ConfiguredByStaticMethod(Documented):
    @staticmethod
    def introspection_action(server: Server) -> MyIntrospection:
        return MyIntrospection(server)


@pytest.mark.parametrize(
    "server_class", [Documented, Mapped, Configured, ConfiguredByFunction, ConfiguredByStaticMethod]
)
def test_introspection_is_served_however_it_is_configured(server_class: type[Server]) -> None:
    response = call(server_class, "introspect", {"action_name": "introspect"})

    assert response.errors == []
    documentation = response.body["actions"]["introspect"]["documentation"]
    assert (documentation == "My own") is (server_class is not Documented)
