"""Enriched requests: their client, their switches and local calls."""

from __future__ import annotations

import copy
from typing import Any

import attr
import pytest

from pysoa.client.client import Client
from pysoa.common.errors import Error
from pysoa.common.types import ActionRequest, ActionResponse
from pysoa.server._lazy_client import LazyClient
from pysoa.server.action.base import Action
from pysoa.server.errors import ActionError
from pysoa.server.internal.types import RequestSwitchSet
from pysoa.server.server import Server
from pysoa.server.settings import ServerSettings
from pysoa.server.types import ActionInterface, EnrichedActionRequest, EnrichedJobRequest

LOCAL = {"path": "pysoa.common.transport.local:LocalServerTransport"}


class Shows(Action):
    """Returns the request that it got."""

    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        return {"request": request}


class Fails(Action):
    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        raise ActionError([Error("CODE", "message")], set_is_caller_error_to=request.body.get("caller"))


class RespondsWithErrors(ActionInterface):
    def __init__(self, settings: ServerSettings | None = None) -> None:
        self.settings = settings

    def __call__(self, action_request: EnrichedActionRequest[Any]) -> ActionResponse:
        return ActionResponse(action_request.action, [Error("CODE", "message")])


class Breaks(Action):
    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        raise ValueError("wrong")


class LocalServer(Server):
    service_name = "local"
    action_class_map = {
        "shows": Shows,
        "fails": Fails,
        "responds_with_errors": RespondsWithErrors,
        "breaks": Breaks,
    }

    clients_made = 0

    def make_client(self, context: Any, extra_context: Any = None, **kwargs: Any) -> Client:
        self.clients_made += 1
        return super().make_client(context, extra_context, **kwargs)


def make_server(server_class: type[Server] = LocalServer, **settings: Any) -> Any:
    return server_class(ServerSettings({"transport": LOCAL, **settings}))


def make_request(server: Any = None, **fields: Any) -> EnrichedActionRequest:
    request = EnrichedActionRequest(action="calls", **fields)
    request._server = server  # pyright: ignore[reportPrivateUsage]  # as the server does
    return request


# -- the classes ---------------------------------------------------------------------------------------------


def test_fields_of_requests_are_those_of_1_4_9_in_their_order() -> None:
    assert [field.name for field in attr.fields(EnrichedActionRequest)] == [
        "action",
        "body",
        "switches",
        "context",
        "control",
        "client",
        "run_coroutine",
    ]
    assert [field.name for field in attr.fields(EnrichedJobRequest)] == [
        "control",
        "context",
        "actions",
        "client",
        "run_coroutine",
    ]


def test_request_is_filled_with_defaults() -> None:
    request = EnrichedActionRequest("name")

    assert (request.body, request.context, request.control) == ({}, {}, {})
    assert request.switches == RequestSwitchSet()
    assert request.client is None
    assert request.run_coroutine is None


def test_any_iterable_of_switches_becomes_a_switch_set() -> None:
    request = EnrichedActionRequest("name", switches=(5, 6))

    assert isinstance(request.switches, RequestSwitchSet)
    assert request.switches.is_active(5)


def test_requests_are_compared_by_value_and_not_hashable() -> None:
    assert EnrichedActionRequest("name", {"x": 1}) == EnrichedActionRequest("name", {"x": 1})
    assert EnrichedActionRequest("name", {"x": 1}) != EnrichedActionRequest("name", {"x": 2})
    with pytest.raises(TypeError):
        hash(EnrichedActionRequest("name"))


def test_attributes_can_be_set_on_a_request() -> None:
    request = EnrichedActionRequest("name")

    request.user = "somebody"  # type: ignore[attr-defined]  # as middleware does
    request.body = {"x": 1}

    assert request.user == "somebody"  # type: ignore[attr-defined]
    assert request.body == {"x": 1}


def test_actions_of_a_job_request_may_be_mappings() -> None:
    request = EnrichedJobRequest(actions=[{"action": "x", "body": {}}])

    assert request.actions == [ActionRequest("x", {})]


def test_action_interface_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        ActionInterface()  # type: ignore[abstract]


# -- D-40: the client ----------------------------------------------------------------------------------------


def test_client_is_made_by_its_first_use_and_only_once() -> None:
    server = make_server()
    lazy: Any = LazyClient(server.make_client, {"correlation_id": "the-id"})
    first, second = make_request(client=lazy), make_request(client=lazy)
    assert server.clients_made == 0

    client = first.client

    assert isinstance(client, Client)
    assert second.client is client
    assert server.clients_made == 1


def test_client_hands_on_the_context_with_which_the_job_arrived() -> None:
    class Adds(Shows):
        def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
            request.context["added"] = "by an action"
            return super().run(request)

    class AddingServer(LocalServer):
        action_class_map = {"adds": Adds}

    response = make_server(AddingServer).process_job(
        {
            "control": {"continue_on_error": False},
            "context": {"correlation_id": "the-id", "switches": [1]},
            "actions": [{"action": "adds", "body": {}}],
        }
    )

    request: EnrichedActionRequest = response.actions[0].body["request"]
    assert request.context["added"] == "by an action"
    assert request.client.context == {
        "correlation_id": "the-id",
        "switches": [1],
        "calling_service": "local",
    }


def test_client_can_be_replaced() -> None:
    request = make_request()
    client = Client({})

    request.client = client

    assert request.client is client
    assert attr.evolve(request, action="other").client is client
    assert copy.copy(request).client is client


def test_clients_of_several_jobs_share_settings_and_connections_but_no_context() -> None:
    server = make_server(
        client_routing={
            "other": {
                "transport": {
                    "path": "pysoa.common.transport.local:LocalClientTransport",
                    "kwargs": {"server_class": OtherServer, "server_settings": {}},
                }
            }
        }
    )

    first, second = server.make_client({"number": 1}), server.make_client({"number": 2})

    assert first is not second
    assert first.settings is second.settings
    assert first.handlers is second.handlers
    assert (first.context["number"], second.context["number"]) == (1, 2)


class OtherServer(LocalServer):
    service_name = "other"


class OwnConstructorClient(Client):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.constructed_for = self.context["number"]


def test_client_class_with_its_own_constructor_is_constructed_for_every_job() -> None:
    server = make_server()
    server.client_class = OwnConstructorClient

    clients = [server.make_client({"number": number}) for number in (1, 2)]

    assert [client.constructed_for for client in clients] == [1, 2]


def test_make_client_takes_extra_context_and_constructor_arguments() -> None:
    context = {"a": 1, "calling_service": "caller"}

    client = make_server().make_client(
        context,
        {"b": 2},
        expansion_config={"type_routes": {}, "type_expansions": {}},
    )

    assert client.context == {"a": 1, "b": 2, "calling_service": "local"}
    assert client.expansion_converter is not None
    assert context == {"a": 1, "calling_service": "caller"}


def test_wrong_client_routing_fails_where_a_client_is_used() -> None:
    server = make_server(client_routing={"other": {"foo": 1}})
    lazy: Any = LazyClient(server.make_client, {})

    with pytest.raises(Exception, match="Unknown setting"):
        _ = make_request(client=lazy).client


# -- local calls ---------------------------------------------------------------------------------------------


@attr.s
class MyRequest(EnrichedActionRequest):
    user: str | None = attr.ib(default=None)
    _hidden: int = attr.ib(default=0)


def call(request: EnrichedActionRequest, action: str = "shows", **kwargs: Any) -> EnrichedActionRequest:
    response = request.call_local_action(action, {"x": 1}, **kwargs)
    called: EnrichedActionRequest = response.body["request"]
    return called


def test_called_action_gets_a_copy_of_the_request_with_another_name_and_body() -> None:
    request = make_request(
        make_server(), switches=[5], context={"correlation_id": "the-id"}, control={"continue_on_error": True}
    )

    called = call(request)

    assert called is not request
    assert (called.action, called.body) == ("shows", {"x": 1})
    assert called.switches is request.switches
    assert called.control is request.control
    assert called.context == request.context
    assert called.context is not request.context
    assert called._server is request._server  # pyright: ignore[reportPrivateUsage]


def test_fields_that_a_request_class_adds_are_copied() -> None:
    make: Any = MyRequest  # attrs takes private fields by their names without the underscore
    request = make("calls", user="somebody", hidden=3)
    request._server = make_server()  # pyright: ignore[reportPrivateUsage]

    called = call(request)

    assert isinstance(called, MyRequest)
    assert (called.user, called._hidden) == ("somebody", 3)  # pyright: ignore[reportPrivateUsage]


def test_local_call_builds_no_client_that_nobody_uses() -> None:
    server = make_server()
    lazy: Any = LazyClient(server.make_client, {})

    called = call(make_request(server, client=lazy))

    assert server.clients_made == 0
    assert called.client is lazy.get()


def test_switches_and_client_follow_a_changed_context() -> None:
    """D-28."""
    server = make_server()
    lazy: Any = LazyClient(server.make_client, {"a": 1})
    request = make_request(server, client=lazy, switches=[5], context={"a": 1, "switches": [5]})

    called = call(request, context={"switches": [6], "b": 2})

    assert called.context == {"a": 1, "b": 2, "switches": [6]}
    assert set(called.switches) == {6}
    assert called.client.context == {"a": 1, "b": 2, "switches": [6], "calling_service": "local"}
    assert request.context == {"a": 1, "switches": [5]}
    assert request.client.context == {"a": 1, "calling_service": "local"}


@pytest.mark.parametrize("name", ["status", "introspect"])
def test_default_actions_can_be_called_locally(name: str) -> None:
    """D-28."""
    request = make_request(make_server())

    response = request.call_local_action(name, {})

    assert response.errors == []
    assert response.body


@pytest.mark.parametrize(
    ("server", "action", "error"),
    [
        (
            None,
            "shows",
            Error(
                "SERVER_ERROR",
                "No `_server` attribute set on action request object (and can't make request without it)",
            ),
        ),
        (
            "a server",
            "nope",
            Error("UNKNOWN", 'The action "nope" was not found on this server.', field="action"),
        ),
    ],
    ids=["no server", "unknown action"],
)
def test_impossible_local_call_fails_by_raising_or_returning(server: Any, action: str, error: Error) -> None:
    request = make_request(make_server() if server else None)

    with pytest.raises(ActionError) as raised:
        request.call_local_action(action, {}, is_caller_error=True)
    response = request.call_local_action(action, {}, raise_action_errors=False)

    assert raised.value.errors == [error]
    assert (response.action, response.errors) == (action, [error])


@pytest.mark.parametrize("is_at_fault", [True, False])
def test_error_raised_by_the_called_action_is_passed_on_unchanged(is_at_fault: bool) -> None:
    request = make_request(make_server())
    body = {"caller": is_at_fault}

    with pytest.raises(ActionError) as raised:
        request.call_local_action("fails", body, is_caller_error=not is_at_fault)
    response = request.call_local_action("fails", body, raise_action_errors=False)

    expected = [Error("CODE", "message", is_caller_error=is_at_fault)]
    assert raised.value.errors == expected
    assert response == ActionResponse("fails", expected)


@pytest.mark.parametrize("is_at_fault", [True, False])
def test_errors_in_the_response_are_raised_as_the_fault_of_who_is_named(is_at_fault: bool) -> None:
    request = make_request(make_server())

    with pytest.raises(ActionError) as raised:
        request.call_local_action("responds_with_errors", {}, is_caller_error=is_at_fault)
    response = request.call_local_action("responds_with_errors", {}, raise_action_errors=False)

    assert [error.is_caller_error for error in raised.value.errors] == [is_at_fault]
    assert response.errors == [Error("CODE", "message")]


@pytest.mark.parametrize("raise_action_errors", [True, False])
def test_other_exceptions_of_the_called_action_propagate(raise_action_errors: bool) -> None:
    request = make_request(make_server())

    with pytest.raises(ValueError, match="wrong"):
        request.call_local_action("breaks", {}, raise_action_errors)
