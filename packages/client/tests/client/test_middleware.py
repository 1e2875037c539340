"""Client middleware: order, what it sees, what it may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from conformity import fields

from pysoa.client.client import Client
from pysoa.client.errors import UnexpectedResponseError
from pysoa.client.middleware import (
    ClientMiddleware,
    ClientRequestMiddlewareTask,
    ClientResponseMiddlewareTask,
)
from pysoa.common._conformity import accepts_kwargs
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import ActionResponse, JobRequest, JobResponse

if TYPE_CHECKING:  # a conftest cannot be imported
    from packages.client.tests.conftest import Broker

log: list[Any] = []


@pytest.fixture(autouse=True)
def empty_log() -> None:
    log.clear()


@accepts_kwargs(fields.SchemalessDictionary())
class Noting(ClientMiddleware):
    """Writes down what passes."""

    def __init__(self, name: str) -> None:
        self.name = name
        log.append(f"{name} built")

    def request(self, send_request: ClientRequestMiddlewareTask) -> ClientRequestMiddlewareTask:
        log.append(f"{self.name} wraps sending")

        def handler(
            request_id: int,
            meta: dict[str, Any],
            job_request: JobRequest,
            message_expiry_in_seconds: int | None,
        ) -> None:
            log.append((self.name, "sends", message_expiry_in_seconds))
            send_request(request_id, meta, job_request, message_expiry_in_seconds)

        return handler

    def response(self, get_response: ClientResponseMiddlewareTask) -> ClientResponseMiddlewareTask:
        log.append(f"{self.name} wraps receiving")

        def handler(receive_timeout_in_seconds: int | None) -> tuple[int | None, JobResponse | None]:
            result = get_response(receive_timeout_in_seconds)
            log.append((self.name, "received", result[0] is not None, receive_timeout_in_seconds))
            return result

        return handler


class Caching(ClientMiddleware):
    """Answers every other request itself, and counts what reaches it."""

    def __init__(self) -> None:
        self.pending: list[int] = []

    def request(self, send_request: ClientRequestMiddlewareTask) -> ClientRequestMiddlewareTask:
        def handler(
            request_id: int,
            meta: dict[str, Any],
            job_request: JobRequest,
            message_expiry_in_seconds: int | None,
        ) -> None:
            if job_request.actions[0].action == "cached":
                self.pending.append(request_id)
            elif job_request.actions[0].action != "swallowed":
                send_request(request_id, meta, job_request, message_expiry_in_seconds)

        return handler

    def response(self, get_response: ClientResponseMiddlewareTask) -> ClientResponseMiddlewareTask:
        def handler(receive_timeout_in_seconds: int | None) -> tuple[int | None, JobResponse | None]:
            if self.pending:
                return self.pending.pop(0), JobResponse(actions=[ActionResponse("cached")])
            return get_response(receive_timeout_in_seconds)

        return handler


class Changing(ClientMiddleware):
    """Changes requests in place, and fails on demand."""

    def request(self, send_request: ClientRequestMiddlewareTask) -> ClientRequestMiddlewareTask:
        def handler(
            request_id: int,
            meta: dict[str, Any],
            job_request: JobRequest,
            message_expiry_in_seconds: int | None,
        ) -> None:
            if job_request.actions[0].action == "forbidden":
                raise PermissionError("not allowed")
            meta["trace"] = "t1"
            job_request.context["tenant"] = "x"
            job_request.actions[0].body["added"] = True
            send_request(request_id, meta, job_request, message_expiry_in_seconds)

        return handler

    def response(self, get_response: ClientResponseMiddlewareTask) -> ClientResponseMiddlewareTask:
        def handler(receive_timeout_in_seconds: int | None) -> tuple[int | None, JobResponse | None]:
            request_id, response = get_response(receive_timeout_in_seconds)
            if response is not None and response.actions[0].body.get("end"):
                return None, None
            return request_id, response

        return handler


def middleware(cls: type[ClientMiddleware], **kwargs: Any) -> dict[str, Any]:
    return {"path": f"{__name__}:{cls.__name__}", **({"kwargs": kwargs} if kwargs else {})}


def client_with(broker: Broker, *configurations: dict[str, Any]) -> Client:
    return broker.client(settings={"middleware": list(configurations)})


def test_first_middleware_is_the_outermost_in_both_directions(broker: Broker) -> None:
    client = client_with(broker, middleware(Noting, name="outer"), middleware(Noting, name="inner"))

    client.call_action("echo", "echo", timeout=3)

    assert log == [
        "outer built",
        "inner built",
        "inner wraps sending",
        "outer wraps sending",
        "inner wraps receiving",
        "outer wraps receiving",
        ("outer", "sends", 3),
        ("inner", "sends", 3),
        ("inner", "received", True, 3),
        ("outer", "received", True, 3),
    ]


def test_middleware_is_built_once_per_service(broker: Broker) -> None:
    client = client_with(broker, middleware(Noting, name="m"))

    for _ in range(3):
        client.call_action("echo", "echo")

    assert log.count("m built") == 1
    assert [type(item) for item in vars(client.handlers["echo"])["_middleware"]] == [Noting]


def test_middleware_sees_the_end_of_get_all_responses(broker: Broker) -> None:
    client = client_with(broker, middleware(Noting, name="m"))
    client.send_request("echo", [{"action": "echo"}])
    log.clear()

    assert len(list(client.get_all_responses("echo", 4))) == 1

    assert log == [("m", "received", True, 4), ("m", "received", False, 4)]


def test_middleware_changes_what_is_sent(broker: Broker) -> None:
    client = client_with(broker, middleware(Changing))

    response = client.call_action("echo", "echo", {"n": 1})

    assert broker.sent[0].meta == {"client_version": [1, 4, 9], "trace": "t1"}
    assert broker.sent[0].message["context"]["tenant"] == "x"
    assert response.body == {"n": 1, "added": True}


def test_exceptions_of_middleware_pass_unchanged_and_leave_nothing_behind(broker: Broker) -> None:
    client = client_with(broker, middleware(Changing))

    with pytest.raises(PermissionError, match=r"^not allowed$"):
        client.call_action("echo", "forbidden")

    assert list(client.get_all_responses("echo")) == []
    assert client.call_action("echo", "echo").body == {"added": True}


def test_middleware_answers_a_request_itself(broker: Broker) -> None:
    client = client_with(broker, middleware(Caching))
    slow = client.call_action_future("echo", "slow")

    assert client.call_action("echo", "cached").action == "cached"

    assert [sent.actions for sent in broker.sent] == [["slow"]]
    broker.answer(broker.sent[0])
    assert slow.result().action == "slow"


def test_request_that_middleware_keeps_to_itself_fails_at_once(broker: Broker) -> None:
    client = client_with(broker, middleware(Caching))
    slow = client.call_action_future("echo", "slow")

    with pytest.raises(
        UnexpectedResponseError,
        match=r"^Got unexpected response\(s\) with ID\(s\) \[\] for request with ID \d+ \(service 'echo'",
    ):
        client.call_action("echo", "swallowed", timeout=60)
    with pytest.raises(
        UnexpectedResponseError, match=r"^There was no response for service echo, request \d+"
    ):
        client.call_jobs_parallel([{"service_name": "echo", "actions": [{"action": "swallowed"}]}])

    broker.answer(broker.sent[0])
    assert slow.result().action == "slow"


def test_missing_response_is_raised_even_if_transport_errors_are_caught(broker: Broker) -> None:
    client = client_with(broker, middleware(Caching))

    with pytest.raises(UnexpectedResponseError, match="There was no response for service echo"):
        client.call_actions_parallel("echo", [{"action": "swallowed"}], catch_transport_errors=True)


def test_response_middleware_ends_the_reception_by_returning_nothing(broker: Broker) -> None:
    client = client_with(broker, middleware(Changing))

    with pytest.raises(UnexpectedResponseError, match="Got unexpected response"):
        client.call_action("echo", "echo", {"end": True}, timeout=60)


def test_middleware_without_methods_of_its_own_changes_nothing(broker: Broker) -> None:
    client = client_with(broker, {"path": "pysoa.client.middleware:ClientMiddleware"})

    assert client.call_action("echo", "echo", {"n": 1}).body == {"n": 1}
    with pytest.raises(MessageReceiveTimeout):
        client.call_action("echo", "slow", timeout=0.01)
