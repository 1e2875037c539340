"""Sending the response of a job, and what happens when that fails."""

from __future__ import annotations

# pyright: reportPrivateUsage=false
import logging
from collections.abc import Callable
from typing import Any

import attr
import pytest

from pysoa.common.errors import Error
from pysoa.common.logging import RecursivelyCensoredDictWrapper
from pysoa.common.serializer.errors import InvalidField
from pysoa.common.transport.base import ReceivedMessage, ServerTransport
from pysoa.common.transport.errors import ConnectionError as TransportConnectionError
from pysoa.common.transport.errors import MessageSendError, MessageSendTimeout, MessageTooLarge
from pysoa.common.types import ActionResponse, JobResponse
from pysoa.server.server import Server
from pysoa.server.settings import ServerSettings
from pysoa.server.types import EnrichedJobRequest

LOCAL = {"path": "pysoa.common.transport.local:LocalServerTransport"}


class FailingTransport(ServerTransport):
    """Gives one request after another to a server; sends fail in the given order, then succeed."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__("answering")
        self.failures = list(failures)
        self.request: Any = job()
        self.meta: dict[str, Any] = {"client_version": [1, 4, 9], "protocol_version": 1, "serializer": "x"}
        self.attempts: list[dict[str, Any]] = []
        self.metas: list[dict[str, Any]] = []

    def receive_request_message(self) -> ReceivedMessage:
        return ReceivedMessage(1, self.meta, self.request)

    def send_response_message(self, request_id: int, meta: dict[str, Any], body: dict[str, Any]) -> None:
        self.attempts.append(body)
        self.metas.append(dict(meta))
        meta.clear()  # as transports of 1.x did with parts of it
        if self.failures:
            raise self.failures.pop(0)


class NativeTransport(FailingTransport):
    carries_native_values = True


@attr.s(auto_attribs=True)
class Point:
    x: int


class AnsweringServer(Server):
    service_name = "answering"
    runs = 0

    def answer(self, settings: Any) -> Callable[[Any], ActionResponse]:
        def run(request: Any) -> ActionResponse:
            self.runs += 1
            return ActionResponse(request.action, [], {"secret": "s3cr3t", "point": Point(1), "set": {1}})

        return run

    @property
    def action_class_map(self) -> Any:  # type: ignore[override]  # made of methods, to count
        return {"answer": self.answer}


def job(action: str = "answer", **control: Any) -> dict[str, Any]:
    return {
        "control": {"continue_on_error": False, **control},
        "context": {"switches": [], "correlation_id": "the-id"},
        "actions": [{"action": action, "body": {"password": "hunter2"}}],
    }


def make_server(transport: FailingTransport, **settings: Any) -> AnsweringServer:
    server = AnsweringServer(ServerSettings({"transport": LOCAL, **settings}))
    server.transport = transport
    return server


def records(caplog: pytest.LogCaptureFixture, text: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if text in record.getMessage()]


# -- D-02: a response that cannot be sent --------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure",
    [
        MessageSendError("queue full"),
        MessageSendTimeout("slow"),
        TransportConnectionError("gone"),
        OSError("broken"),
        ValueError("mistake"),
    ],
    ids=repr,
)
def test_failed_send_is_logged_as_an_error_and_the_worker_goes_on(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    transport = FailingTransport(failure)
    server = make_server(transport)

    server.handle_next_request()
    server.handle_next_request()

    (record,) = records(caplog, "Could not send the response to request 1")
    assert record.levelname == "ERROR"
    assert "answer: success" in record.getMessage()
    assert str(failure) in record.getMessage()
    assert len(transport.attempts) == 2
    assert server.runs == 2


def test_failed_send_tells_the_errors_of_the_job(caplog: pytest.LogCaptureFixture) -> None:
    transport = FailingTransport(MessageSendError("queue full"), MessageSendError("queue full"))
    server = make_server(transport)

    transport.request = {}
    server.handle_next_request()
    transport.request = job("unknown")
    server.handle_next_request()

    first, second = records(caplog, "Could not send the response to request 1")
    assert "job errors MISSING, MISSING, MISSING" in first.getMessage()
    assert "unknown: UNKNOWN" in second.getMessage()


# -- responses that are replaced -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "code", "message"),
    [
        (
            MessageTooLarge(300_000, "too large"),
            "RESPONSE_TOO_LARGE",
            "Could not send the response because it was too large",
        ),
        (
            InvalidField("no"),
            "RESPONSE_NOT_SERIALIZABLE",
            "Could not send the response because it failed to serialize",
        ),
    ],
    ids=["too large", "not serializable"],
)
def test_unsendable_response_is_replaced_by_a_job_error(
    failure: Exception, code: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    transport = FailingTransport(failure)
    server = make_server(transport)

    server.handle_next_request()

    replacement = transport.attempts[1]
    assert [(error["code"], error["message"]) for error in replacement["errors"]] == [(code, message)]
    assert replacement["actions"] == []
    assert replacement["context"] == {"correlation_id": "the-id"}
    (record,) = records(caplog, message)
    data = vars(record)["data"]
    assert record.exc_info
    assert data.get("serialized_length_in_bytes") == getattr(failure, "message_size_in_bytes", None)
    assert "hunter2" not in f"{data['request']}{data['response']}"


def test_replacement_gets_the_same_meta_as_the_response() -> None:
    """D-14."""
    transport = FailingTransport(MessageTooLarge(300_000))
    server = make_server(transport)

    server.handle_next_request()

    assert transport.metas == [transport.meta, transport.meta]
    assert set(transport.meta) == {"client_version", "protocol_version", "serializer"}


def test_replacement_for_an_old_client_has_only_fields_that_it_knows() -> None:
    transport = FailingTransport(MessageTooLarge(300_000))
    transport.meta = {"client_version": [0, 69, 0]}
    server = make_server(transport)

    server.handle_next_request()

    assert "is_caller_error" not in transport.attempts[1]["errors"][0]


def test_replacement_that_cannot_be_sent_either_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    transport = FailingTransport(MessageTooLarge(300_000), MessageTooLarge(300_001))
    server = make_server(transport)

    server.handle_next_request()
    server.handle_next_request()

    (record,) = records(caplog, "Could not send the response to request 1")
    assert "job errors RESPONSE_TOO_LARGE" in record.getMessage()
    assert len(transport.attempts) == 3


# -- conversion ----------------------------------------------------------------------------------------------


def test_transport_of_others_gets_plain_values() -> None:
    transport = FailingTransport()
    make_server(transport).handle_next_request()

    assert transport.attempts[0]["actions"][0]["body"] == {"secret": "s3cr3t", "point": {"x": 1}, "set": [1]}


def test_transport_that_carries_native_values_gets_the_body_as_it_is() -> None:
    transport = NativeTransport()
    make_server(transport).handle_next_request()

    assert transport.attempts[0]["actions"][0]["body"] == {"secret": "s3cr3t", "point": Point(1), "set": {1}}


class MalformedResponse(JobResponse):
    """A response that cannot be converted, with something in it that must not get out."""

    def __init__(self) -> None:
        super().__init__(actions=[ActionResponse("answer", [], {"password": "hunter2"})])
        self.errors = 5  # type: ignore[assignment]  # that is the point

    def __bool__(self) -> bool:
        return True


def answer_malformed(request: EnrichedJobRequest) -> JobResponse:
    return MalformedResponse()


def test_response_that_cannot_be_converted_is_replaced_by_a_server_error() -> None:
    transport = FailingTransport()
    server = make_server(transport)
    server._middleware_job_wrapper = answer_malformed

    server.handle_next_request()

    (response,) = transport.attempts
    (error,) = response["errors"]
    assert error["code"] == "SERVER_ERROR"
    assert set(error["variables"]) == {"job_response"}
    assert "hunter2" not in str(response)
    assert response["context"] == {"correlation_id": "the-id"}


# -- suppressed responses ------------------------------------------------------------------------------------


def test_suppressed_response_is_not_sent_but_the_job_is_done() -> None:
    transport = FailingTransport(MessageTooLarge(300_000))
    transport.request = job(suppress_response=True)
    server = make_server(transport)

    server.handle_next_request()

    assert transport.attempts == []
    assert server.runs == 1


def test_invalid_wish_for_no_response_is_answered() -> None:
    transport = FailingTransport()
    transport.request = job(suppress_response="yes")

    make_server(transport).handle_next_request()

    assert transport.attempts[0]["errors"][0]["field"] == "control.suppress_response"


# -- D-24: what goes to the caller ---------------------------------------------------------------------------


def unhandled(server: Server, variables: dict[str, Any]) -> Error:
    (error,) = server.handle_unhandled_exception(ValueError("wrong"), JobResponse, variables=variables).errors
    return error


def test_variables_are_a_dictionary_with_secrets_censored() -> None:
    class Unprintable:
        def __repr__(self) -> str:
            raise ValueError("no text")

    error = unhandled(
        make_server(FailingTransport()),
        {"number": 1, "password": "hunter2", "body": {"token": "hunter2", "x": 1}, "bad": Unprintable()},
    )

    assert error.variables is not None
    assert "hunter2" not in str(error.variables)
    assert error.variables["number"] == "1"
    assert error.variables["bad"] == "Error formatting variable"
    assert "'x': 1" in error.variables["body"]


def test_traceback_is_sent_by_default() -> None:
    error = unhandled(make_server(FailingTransport()), {})

    assert error.traceback is not None
    assert "ValueError: wrong" in error.traceback


def test_traceback_and_variables_stay_at_home_if_the_settings_say_so() -> None:
    error = unhandled(make_server(FailingTransport(), send_tracebacks=False), {"number": 1})

    assert error == Error(code="SERVER_ERROR", message="Internal server error: wrong")


def test_extra_keyword_arguments_go_to_the_response() -> None:
    response = make_server(FailingTransport()).handle_unhandled_exception(
        ValueError("wrong"), ActionResponse, action="answer"
    )

    assert response.action == "answer"
    assert response.errors[0].code == "SERVER_ERROR"


def test_job_error_code_is_logged_and_made_a_response(caplog: pytest.LogCaptureFixture) -> None:
    wrapper = RecursivelyCensoredDictWrapper({"password": "hunter2"})

    response = make_server(FailingTransport()).handle_job_error_code(
        "MY_CODE", "My message", wrapper, wrapper, extra={"more": 1}
    )

    assert response == JobResponse(errors=[Error(code="MY_CODE", message="My message")])
    (record,) = records(caplog, "My message")
    assert vars(record)["data"] == {"request": wrapper, "response": wrapper, "more": 1}
