"""A request goes the shortest way or, with anything around the transport, the usual one: it is the same."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from pysoa.client.client import Client
from pysoa.client.middleware import ClientMiddleware
from pysoa.common.transport.errors import MessageSendError
from pysoa.common.types import ActionRequest, JobResponse

if TYPE_CHECKING:  # a conftest cannot be imported
    from packages.client.tests.conftest import Broker

CONTEXT: dict[Any, Any] = {"correlation_id": "base", "switches": [3], 5: "five"}


@attrs.define(slots=False)
class OwnActionRequest(ActionRequest):
    """As services have them."""

    priority: int = 7


def send(broker: Broker, client: Client, kwargs: dict[str, Any]) -> object:
    """Send a request; return what the transport got, or the error."""
    try:
        request_id = client.send_request("echo", **kwargs)
    except Exception as error:
        return type(error), str(error)
    sent = broker.sent[-1]
    assert sent.request_id == request_id
    order = [list(sent.message), list(sent.message["control"]), list(sent.message["context"])]
    return sent.message, sent.meta, sent.expiry, order


@pytest.fixture(params=["as it is", "with a base context"])
def clients(broker: Broker, request: pytest.FixtureRequest) -> tuple[Client, Client]:
    """One whose requests go the shortest way, and one with a middleware that does nothing."""
    context = CONTEXT if request.param == "with a base context" else None
    middleware = {"middleware": [{"path": f"{ClientMiddleware.__module__}:{ClientMiddleware.__name__}"}]}
    broker.carries_native_values = True
    return broker.client(context=context), broker.client(context=context, settings=middleware)


ACTIONS: list[Any] = [
    [],
    [{"action": "a", "body": {"n": 1}}],
    [{"body": {"n": 1}, "action": "a"}],
    [{"action": "a"}],
    [{"action": "a", "body": None}],
    ({"action": "a", "body": {}},),
    [ActionRequest("a", {"n": 1}), {"action": "b", "body": {"n": 2}}],
    [OwnActionRequest("a", {"n": 1})],
    [{"action": "a", "body": {}}, OwnActionRequest("a")],
    [{}],
    [{"action": "a", "bdoy": {}}],
    [{"action": "a", "body": {}, "extra": 1}],
    [{1: 2, "action": "a"}],
    ["a"],
    [None],
    None,
    {"action": "a", "body": {}},
    5,
]


@pytest.mark.parametrize("actions", ACTIONS, ids=repr)
def test_any_actions_are_sent_or_refused_alike(
    broker: Broker, clients: tuple[Client, Client], actions: Any
) -> None:
    shortest, usual = (
        send(broker, client, {"actions": actions, "correlation_id": "id"}) for client in clients
    )

    assert shortest == usual


def test_actions_that_can_be_read_once_are_sent_alike(broker: Broker, clients: tuple[Client, Client]) -> None:
    one: Any = {"action": "a", "body": {}}

    shortest, usual = (
        send(broker, client, {"actions": iter([one, one]), "correlation_id": "id"}) for client in clients
    )

    assert shortest == usual
    assert broker.sent[0].actions == ["a", "a"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"correlation_id": ""},
        {"correlation_id": "id", "switches": [1, 2]},
        {"correlation_id": "id", "switches": ["no switch"]},
        {"correlation_id": "id", "switches": 5},
        {"correlation_id": "id", "continue_on_error": True},
        {"correlation_id": "id", "suppress_response": True},
        {"correlation_id": "id", "control_extra": {"suppress_response": True, "more": 1}},
        {"correlation_id": "id", "control_extra": {"timeout": 1}, "message_expiry_in_seconds": 2},
        {"correlation_id": "id", "message_expiry_in_seconds": 2.5},
        {"correlation_id": "id", "message_expiry_in_seconds": 0},
        {"message_expiry_in_seconds": -1},
        {"message_expiry_in_seconds": math.nan},
        {"message_expiry_in_seconds": "soon"},
        {"context": {"correlation_id": "call", "switches": [9], 6: "six"}},
        {"correlation_id": "id", "context": {}, "control_extra": {}},
        {"correlation_id": "id", "context": {"correlation_id": None}},
    ],
    ids=repr,
)
def test_any_arguments_are_sent_or_refused_alike(
    broker: Broker, clients: tuple[Client, Client], arguments: dict[str, Any]
) -> None:
    shortest, usual = (
        send(broker, client, {"actions": [{"action": "a", "body": {}}], **arguments}) for client in clients
    )

    assert shortest == usual


def test_error_of_sending_tells_of_the_request_and_leaves_nothing_awaited(
    broker: Broker, clients: tuple[Client, Client]
) -> None:
    texts: list[str] = []
    for client in clients:
        broker.send_errors.append(MessageSendError("No"))
        with pytest.raises(MessageSendError) as caught:
            client.send_request("echo", [{"action": "a", "body": {}}])
        handler = client.handlers["echo"]
        texts.append(str(caught.value).replace(str(handler.request_counter - 1), "ID"))
        assert list(client.get_all_responses("echo")) == []

    assert texts == ["No (service 'echo', action 'a', request ID)"] * 2


@pytest.mark.parametrize("name", ["_get_handler", "_make_control_header", "_make_context_header"])
def test_replaced_methods_of_the_client_are_used(
    broker: Broker, clients: tuple[Client, Client], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = clients[0]
    client.send_request("echo", [{"action": "a", "body": {}}])
    original: Any = getattr(client, name)
    calls: list[str] = []

    def noting(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return original(*args, **kwargs)

    monkeypatch.setattr(client, name, noting)
    client.send_request("echo", [{"action": "a", "body": {}}])

    assert calls == [name]


def test_request_counter_can_be_read_and_set(clients: tuple[Client, Client]) -> None:
    client = clients[0]
    first = client.send_request("echo", [{"action": "a", "body": {}}])
    assert client.handlers["echo"].request_counter == first + 1

    client.handlers["echo"].request_counter = 7_000_000

    assert client.send_request("echo", [{"action": "a", "body": {}}]) == 7_000_000


def test_responses_come_whatever_the_way(broker: Broker, clients: tuple[Client, Client]) -> None:
    for client in clients:
        sent = [client.send_request("echo", [{"action": "echo", "body": {"n": n}}]) for n in range(3)]

        received = list(client.get_all_responses("echo"))

        assert client.handlers["echo"].is_bare is (client is clients[0])
        assert [request_id for request_id, _ in received] == sent
        assert [response.actions[0].body for _, response in received] == [{"n": n} for n in range(3)]
        assert all(isinstance(response, JobResponse) for _, response in received)
