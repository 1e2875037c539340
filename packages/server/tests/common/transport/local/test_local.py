from __future__ import annotations

import threading
import time
from typing import Any

import attr
import pytest
from pymetrics.recorders.noop import noop_metrics

from pysoa.client.client import Client
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import MessageSendTimeout
from pysoa.common.transport.local import LocalClientTransport, LocalServerTransport
from pysoa.common.types import ActionResponse
from pysoa.server.action.base import Action
from pysoa.server.server import HarakiriInterrupt, Server
from pysoa.server.types import EnrichedActionRequest

LIMIT_IN_SECONDS = 20.0
NOTHING = ReceivedMessage(None, None, None)
META = {"client_version": [1, 4, 9]}


class Echo(Action):
    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        return request.body


class Raises(Action):
    exception: BaseException = ValueError("wrong")

    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        raise request.body["exception"]


class Waits(Action):
    """Waits until it is told to go on, and notes how many do so at once."""

    running = 0
    at_once = 0
    go_on = threading.Event()

    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        cls = type(self)
        cls.running += 1
        cls.at_once = max(cls.at_once, cls.running)
        cls.go_on.wait(LIMIT_IN_SECONDS)
        cls.running -= 1
        return {"number": request.body["number"]}


class CallsItself(Action):
    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        depth = request.body["depth"]
        if depth == 0:
            return {"depths": [0]}
        client: Client = request.body["client"]
        inner = client.call_action("embedded", "calls_itself", {"depth": depth - 1, "client": client})
        return {"depths": [depth, *inner.body["depths"]]}


class Embedded(Server):
    """Counts how often it is set up."""

    service_name = "embedded"
    action_class_map = {"echo": Echo, "raises": Raises, "waits": Waits, "calls_itself": CallsItself}
    set_up = 0

    def setup(self) -> None:
        super().setup()
        self.set_up += 1


SETTINGS: dict[str, Any] = {"harakiri": {"timeout": 7}}
NO_SETTINGS = 5


def make_transport(server_class: Any = Embedded, settings: Any = None) -> LocalClientTransport:
    return LocalClientTransport("embedded", noop_metrics, server_class, {} if settings is None else settings)


def job(action: str = "echo", body: Any = None, **control: Any) -> dict[str, Any]:
    return {
        "control": {"continue_on_error": False, **control},
        "context": {"switches": [], "correlation_id": "the-id"},
        "actions": [{"action": action, "body": {} if body is None else body}],
    }


def call(transport: LocalClientTransport, request: dict[str, Any], request_id: int = 1) -> Any:
    transport.send_request_message(request_id, META, request)
    response = transport.receive_response_message()
    assert response.request_id == request_id
    return response.body


def make_client(**settings: Any) -> Client:
    return Client(
        {
            "embedded": {
                "transport": {
                    "path": "pysoa.common.transport.local:LocalClientTransport",
                    "kwargs": {"server_class": Embedded, "server_settings": settings},
                }
            }
        }
    )


# -- construction --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server_class", [Embedded, f"{__name__}:Embedded", f"{__name__}.Embedded"])
@pytest.mark.parametrize("settings", [SETTINGS, f"{__name__}:SETTINGS"])
def test_server_is_made_and_set_up(server_class: Any, settings: Any) -> None:
    transport = make_transport(server_class, settings)

    assert isinstance(transport.server, Embedded)
    assert transport.server.set_up == 1
    assert transport.server.transport is transport
    assert transport.server.settings["harakiri"]["timeout"] == 7


def test_settings_that_were_given_are_not_changed() -> None:
    settings = {"transport": {"path": "no.such:Transport"}}

    make_transport(Embedded, settings)

    assert settings == {"transport": {"path": "no.such:Transport"}}


@pytest.mark.parametrize(
    ("server_class", "settings", "error", "message"),
    [
        ("nope.mod:X", {}, ModuleNotFoundError, "Could not resolve server class path nope.mod:X: Module"),
        ("os:X", {}, AttributeError, "Could not resolve server class path os:X: AttributeError"),
        ("nothing", {}, ValueError, "Could not resolve server class path nothing: ValueError"),
        ("os.path:join", {}, TypeError, "server_class must be or extend Server"),
        (5, {}, TypeError, "server_class must be or extend Server"),
        (Embedded, "nope.mod:X", ModuleNotFoundError, "Could not resolve settings path nope.mod:X: Module"),
        (Embedded, f"{__name__}:NO_SETTINGS", TypeError, "NO_SETTINGS is not a dictionary."),
        (Embedded, 5, TypeError, "server_settings must be a dictionary"),
    ],
)
def test_wrong_argument_is_refused(
    server_class: Any, settings: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        make_transport(server_class, settings)

    assert message in str(raised.value)


def test_server_of_another_service_is_refused() -> None:
    with pytest.raises(Exception, match='service name "embedded" does not match "other"'):
        LocalClientTransport("other", noop_metrics, Embedded, {})


# -- calling -------------------------------------------------------------------------------------------------


@attr.s(auto_attribs=True)
class Point:
    x: int


def test_request_is_handled_when_sending_returns() -> None:
    transport = make_transport()

    response = call(transport, job(body={"x": 1}), request_id=5)

    assert response == {
        "errors": [],
        "context": {"correlation_id": "the-id"},
        "actions": [{"action": "echo", "errors": [], "body": {"x": 1}}],
    }


def test_responses_come_in_the_order_of_their_requests_and_then_nothing() -> None:
    transport = make_transport()
    for number in (1, 2, 3):
        transport.send_request_message(number, META, job())

    assert [transport.receive_response_message().request_id for _ in range(4)] == [1, 2, 3, None]
    assert transport.receive_response_message() == NOTHING


def test_keywords_of_the_base_class_are_accepted() -> None:
    """T23."""
    transport = make_transport()

    transport.send_request_message(1, META, job(), message_expiry_in_seconds=5)
    response = transport.receive_response_message(receive_timeout_in_seconds=5)

    assert response.request_id == 1


def test_limits_may_be_given_by_position() -> None:
    transport = make_transport()

    transport.send_request_message(1, META, job(), 5)

    assert transport.receive_response_message(5).request_id == 1


def test_any_value_passes_but_containers_are_copied_and_made_plain() -> None:
    thing = object()
    body = {"list": [1, (2,)], "set": {3}, "point": Point(4), "thing": thing}

    response = call(make_transport(), job(body=body))

    returned = response["actions"][0]["body"]
    assert returned == {"list": [1, [2]], "set": [3], "point": {"x": 4}, "thing": thing}
    assert returned["list"] is not body["list"]
    assert body["list"] == [1, (2,)]


def test_suppressed_response_is_nowhere() -> None:
    transport = make_transport()

    transport.send_request_message(1, META, job(suppress_response=True))

    assert transport.receive_response_message() == NOTHING


@pytest.mark.parametrize("exception", [KeyboardInterrupt(), SystemExit(3)], ids=repr)
def test_what_ends_a_process_reaches_the_caller_and_leaves_the_transport_usable(
    exception: BaseException,
) -> None:
    transport = make_transport()

    with pytest.raises(type(exception)):
        transport.send_request_message(1, META, job("raises", {"exception": exception}))

    assert transport.receive_response_message() == NOTHING
    assert call(transport, job(), 2)["errors"] == []


def test_harakiri_in_an_action_is_a_response() -> None:
    response = call(make_transport(), job("raises", {"exception": HarakiriInterrupt()}))

    assert response["actions"][0]["errors"][0]["code"] == "ACTION_TIMEOUT"


def test_server_cannot_receive_twice() -> None:
    with pytest.raises(RuntimeError, match="Local server tried to receive message more than once"):
        make_transport().receive_request_message()


def test_stub_in_the_settings_cannot_be_used() -> None:
    stub = LocalServerTransport("embedded")

    with pytest.raises(TypeError, match="The LocalServerTransport cannot be used directly; it is a stub"):
        stub.receive_request_message()
    with pytest.raises(TypeError, match="The LocalServerTransport cannot be used directly; it is a stub"):
        stub.send_response_message(1, {}, {})


# -- with the client -----------------------------------------------------------------------------------------


def test_client_calls_an_embedded_service() -> None:
    response = make_client().call_action("embedded", "echo", {"x": (1, 2)})

    assert response == ActionResponse("echo", [], {"x": [1, 2]})


def test_client_calls_many_actions_in_parallel() -> None:
    responses = make_client().call_actions_parallel(
        "embedded", [{"action": "echo", "body": {"number": number}} for number in range(20)]
    )

    assert [response.body["number"] for response in responses] == list(range(20))


def test_action_may_call_its_own_service_through_the_same_client() -> None:
    client = make_client()

    response = client.call_action("embedded", "calls_itself", {"depth": 3, "client": client})

    assert response.body == {"depths": [3, 2, 1, 0]}


# -- threads -------------------------------------------------------------------------------------------------


def test_threads_take_turns_and_each_gets_its_own_response() -> None:
    client = make_client()
    Waits.running = Waits.at_once = 0
    Waits.go_on.set()
    results: dict[int, list[int]] = {}

    def call_often(number: int) -> None:
        results[number] = [
            client.call_action("embedded", "waits", {"number": number}).body["number"] for _ in range(25)
        ]

    threads = [threading.Thread(target=call_often, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_IN_SECONDS)

    assert results == {number: [number] * 25 for number in range(4)}
    assert Waits.at_once == 1


def test_thread_that_does_not_get_its_turn_in_time_is_told() -> None:
    transport = make_transport()
    Waits.running = Waits.at_once = 0
    Waits.go_on.clear()
    busy = threading.Thread(
        target=transport.send_request_message, args=(1, META, job("waits", {"number": 1}))
    )
    busy.start()
    deadline = time.monotonic() + LIMIT_IN_SECONDS
    while not Waits.running:
        assert time.monotonic() < deadline
        time.sleep(0.001)

    with pytest.raises(MessageSendTimeout, match="has been busy with another thread's request"):
        transport.send_request_message(2, META, job(), message_expiry_in_seconds=1)

    Waits.go_on.set()
    busy.join(LIMIT_IN_SECONDS)
    assert transport.receive_response_message().request_id == 1
