"""Serving one request, whatever it contains and whatever fails around it."""

from __future__ import annotations

# pyright: reportPrivateUsage=false
# What the run loop uses of Server is tested here, too.
import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from pysoa.common.logging import PySOALogContextFilter
from pysoa.common.serializer.errors import InvalidMessage
from pysoa.common.transport.base import ReceivedMessage, ServerTransport
from pysoa.common.transport.errors import (
    InvalidMessageError,
    MessageReceiveError,
    MessageReceiveTimeout,
)
from pysoa.common.types import ActionResponse
from pysoa.server.action.base import Action
from pysoa.server.server import HarakiriInterrupt, Server
from pysoa.server.settings import ServerSettings
from pysoa.server.types import EnrichedActionRequest

META = {"client_version": [1, 4, 9]}
LOCAL = {"path": "pysoa.common.transport.local:LocalServerTransport"}


class ScriptedTransport(ServerTransport):
    """Gives a server one message after another, or raises what stands in its place, and keeps the answers."""

    def __init__(self, *script: ReceivedMessage | BaseException) -> None:
        super().__init__("scripted")
        self.script = list(script)
        self.sent: list[tuple[Any, Any, Any]] = []
        self.while_sending: Callable[[], None] = lambda: None

    def receive_request_message(self) -> ReceivedMessage:
        message = self.script.pop(0)
        if isinstance(message, BaseException):
            raise message
        return message

    def send_response_message(self, request_id: int, meta: dict[str, Any], body: dict[str, Any]) -> None:
        self.while_sending()
        self.sent.append((request_id, meta, body))


class Ping(Action):
    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        return {"pong": True}


def raises(exception: BaseException) -> Any:
    def action(settings: Any) -> Callable[[Any], ActionResponse]:
        def run(request: Any) -> ActionResponse:
            raise exception

        return run

    return action


class PingServer(Server):
    service_name = "scripted"
    action_class_map = {"ping": Ping}


def job(action: str = "ping", **context: Any) -> dict[str, Any]:
    return {
        "control": {"continue_on_error": False},
        "context": {"switches": [], "correlation_id": "the-id", **context},
        "actions": [{"action": action, "body": {}}],
    }


def message(body: Any = None, meta: Any = META, request_id: Any = 1) -> ReceivedMessage:
    return ReceivedMessage(request_id, meta, job() if body is None else body)


def make_server(
    transport: ScriptedTransport, server_class: type[Server] = PingServer, **settings: Any
) -> Server:
    server = server_class(ServerSettings({"transport": LOCAL, **settings}))
    server.transport = transport
    return server


NEXT = message(request_id=2)


def response_to(transport: ScriptedTransport, request_id: int) -> Any:
    (body,) = (body for sent_id, _, body in transport.sent if sent_id == request_id)
    return body


# -- D-01: the content of a message never ends a worker ------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        pytest.param([], [None], id="body is a list"),
        pytest.param("text", [None], id="body is a string"),
        pytest.param({**job(), "control": None}, ["control"], id="control is None"),
        pytest.param({**job(), "control": []}, ["control"], id="control is a list"),
        pytest.param({**job(), "context": None}, ["context"], id="context is None"),
        pytest.param({**job(), "context": "text"}, ["context"], id="context is a string"),
        pytest.param({**job(), "actions": None}, ["actions"], id="actions is None"),
        pytest.param({b"control": {}}, ["control", "context", "actions", None], id="keys are bytes"),
        pytest.param({1: 1}, ["control", "context", "actions", None], id="key is a number"),
    ],
)
def test_malformed_job_is_answered_with_validation_errors_and_the_next_request_is_served(
    body: Any, fields: list[str | None]
) -> None:
    transport = ScriptedTransport(message(body), NEXT)
    server = make_server(transport)

    server.handle_next_request()
    server.handle_next_request()

    assert [error["field"] for error in response_to(transport, 1)["errors"]] == fields
    assert response_to(transport, 2)["actions"][0]["body"] == {"pong": True}


def test_request_without_body_is_answered_with_a_validation_error() -> None:
    transport = ScriptedTransport(ReceivedMessage(1, META, None), NEXT)
    server = make_server(transport)

    server.handle_next_request()

    assert [error["message"] for error in response_to(transport, 1)["errors"]] == ["Not a dict"]


@pytest.mark.parametrize("key", ["request_id", "cls", "self", "context"])
def test_context_key_that_is_a_parameter_name_somewhere_does_no_harm(key: str) -> None:
    transport = ScriptedTransport(message(job(**{key: "value"})))
    server = make_server(transport)

    server.handle_next_request()

    assert response_to(transport, 1)["errors"] == []


def test_context_key_that_is_no_string_does_no_harm() -> None:
    body = job()
    body["context"][b"key"] = 1
    transport = ScriptedTransport(message(body))
    server = make_server(transport)

    server.handle_next_request()

    assert response_to(transport, 1)["errors"] == []


@pytest.mark.parametrize("version", [None, 5, "1.4.9", {}, [], [None], ["1"]], ids=repr)
def test_unreadable_client_version_does_no_harm(version: Any) -> None:
    transport = ScriptedTransport(message(meta={"client_version": version}), NEXT)
    server = make_server(transport)

    server.handle_next_request()
    server.handle_next_request()

    assert response_to(transport, 1)["errors"] == []
    assert response_to(transport, 2)["errors"] == []


@pytest.mark.parametrize(
    "error", [InvalidMessageError("no request ID"), InvalidMessage("not MessagePack")], ids=repr
)
def test_message_that_cannot_be_read_is_logged_and_the_next_is_served(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    transport = ScriptedTransport(error, NEXT)
    server = make_server(transport)

    server.handle_next_request()
    server.handle_next_request()

    lines = [record for record in caplog.records if "could not be read" in record.getMessage()]
    assert [record.levelname for record in lines] == ["ERROR"]
    assert response_to(transport, 2)["errors"] == []


@pytest.mark.parametrize(
    "incomplete",
    [ReceivedMessage(None, META, job()), ReceivedMessage(1, None, job()), ReceivedMessage(None, None, None)],
    ids=["no request id", "no meta", "nothing"],
)
def test_message_without_return_address_counts_as_none(
    incomplete: ReceivedMessage, caplog: pytest.LogCaptureFixture
) -> None:
    transport = ScriptedTransport(incomplete)
    server = make_server(transport)

    server.handle_next_request()

    assert transport.sent == []
    assert "Thought to be impossible, but the transport returned None" in caplog.text


def test_message_that_the_transport_has_reported_is_not_logged_as_an_error_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = InvalidMessageError("no request ID")
    error.was_reported = True  # type: ignore[attr-defined]  # as the Redis transport sets it
    server = make_server(ScriptedTransport(error))

    server.handle_next_request()

    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_trouble_with_receiving_is_for_the_run_loop_to_handle() -> None:
    server = make_server(ScriptedTransport(MessageReceiveError("no connection")))

    with pytest.raises(MessageReceiveError):
        server.handle_next_request()


# -- hooks ---------------------------------------------------------------------------------------------------


class HookServer(PingServer):
    """Notes what happens, in order, and raises in the hook that it is told."""

    failing: str | None = None
    exception: BaseException = OSError("hook failed")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.events: list[str] = []
        super().__init__(*args, **kwargs)

    def _note(self, event: str) -> None:
        self.events.append(event)
        if event == self.failing:
            raise self.exception

    def perform_pre_request_actions(self) -> None:
        super().perform_pre_request_actions()
        self._note("pre")

    def process_job(self, job_request: dict[str, Any]) -> Any:
        self._note("job")
        return super().process_job(job_request)

    def perform_post_request_actions(self) -> None:
        super().perform_post_request_actions()
        self._note("post")

    def perform_idle_actions(self) -> None:
        super().perform_idle_actions()
        self._note("idle")


def make_hook_server(
    transport: ScriptedTransport, failing: str | None = None, exception: BaseException | None = None
) -> HookServer:
    server = make_server(transport, HookServer)
    assert isinstance(server, HookServer)
    server.failing = failing
    server.exception = exception or server.exception
    transport.while_sending = lambda: server.events.append("send")
    server._on_request_taken = lambda: server.events.append("taken")
    server._on_request_done = lambda: server.events.append("done")
    return server


def test_hooks_run_around_a_request_in_the_documented_order() -> None:
    server = make_hook_server(ScriptedTransport(message()))

    server.handle_next_request()

    assert server.events == ["taken", "pre", "job", "send", "post", "done"]


def test_idle_actions_run_when_no_request_came() -> None:
    server = make_hook_server(ScriptedTransport(MessageReceiveTimeout()))

    server.handle_next_request()

    assert server.events == ["idle"]


def test_failing_pre_request_hook_is_answered_with_a_server_error() -> None:
    """D-06."""
    transport = ScriptedTransport(message(), NEXT)
    server = make_hook_server(transport, failing="pre")

    server.handle_next_request()

    response = response_to(transport, 1)
    assert [(error["code"], error["message"]) for error in response["errors"]] == [
        ("SERVER_ERROR", "Internal server error: hook failed")
    ]
    assert response["context"] == {"correlation_id": "the-id"}
    assert server.events == ["taken", "pre", "send", "post", "done"]


def test_failing_post_request_hook_is_logged_and_the_worker_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """D-06."""
    transport = ScriptedTransport(message(), NEXT)
    server = make_hook_server(transport, failing="post")

    server.handle_next_request()
    server.handle_next_request()

    assert "The post-request actions failed" in caplog.text
    assert response_to(transport, 1)["errors"] == []
    assert response_to(transport, 2)["errors"] == []


def test_failing_override_of_process_job_is_answered_with_a_server_error() -> None:
    transport = ScriptedTransport(message())
    server = make_hook_server(transport, failing="job")

    server.handle_next_request()

    assert response_to(transport, 1)["errors"][0]["code"] == "SERVER_ERROR"


# -- harakiri ------------------------------------------------------------------------------------------------


def test_harakiri_in_the_pre_request_hook_is_answered_as_job_timeout() -> None:
    transport = ScriptedTransport(message())
    server = make_hook_server(transport, failing="pre", exception=HarakiriInterrupt())

    server.handle_next_request()

    assert response_to(transport, 1)["errors"][0]["code"] == "JOB_TIMEOUT"


@pytest.mark.parametrize("script", [HarakiriInterrupt(), MessageReceiveTimeout()], ids=["receive", "idle"])
def test_harakiri_while_nothing_is_served_is_for_the_run_loop_to_handle(script: BaseException) -> None:
    server = make_hook_server(ScriptedTransport(script), failing="idle", exception=HarakiriInterrupt())

    with pytest.raises(HarakiriInterrupt):
        server.handle_next_request()


def test_harakiri_is_put_off_while_a_computed_response_is_sent() -> None:
    """D-08."""
    transport = ScriptedTransport(message())
    server = make_server(transport)
    seen: list[bool] = []
    transport.while_sending = lambda: seen.append(server._finishing_response)

    server.handle_next_request()

    assert seen == [True]
    assert not server._finishing_response


# -- what ends the process -----------------------------------------------------------------------------------


class Unusual(BaseException):
    """Something that no "except Exception" catches."""


@pytest.mark.parametrize("exception", [SystemExit(3), Unusual()], ids=repr)
def test_action_that_ends_the_process_still_gets_its_caller_an_answer(exception: BaseException) -> None:
    class ExitingServer(PingServer):
        action_class_map = {"exit": raises(exception)}

    transport = ScriptedTransport(message(job("exit")))
    server = make_server(transport, ExitingServer)

    with pytest.raises(type(exception)):
        server.handle_next_request()

    response = response_to(transport, 1)
    assert [error["code"] for error in response["errors"]] == ["SERVER_ERROR"]
    assert response["context"] == {"correlation_id": "the-id"}


def test_cancelled_task_in_an_action_is_an_error_of_that_action() -> None:
    class CancelledServer(PingServer):
        action_class_map = {"cancelled": raises(asyncio.CancelledError())}

    transport = ScriptedTransport(message(job("cancelled")))

    make_server(transport, CancelledServer).handle_next_request()

    assert response_to(transport, 1)["actions"][0]["errors"][0]["code"] == "SERVER_ERROR"


def test_interrupt_from_the_keyboard_is_not_held_up_by_an_answer() -> None:
    class InterruptedServer(PingServer):
        action_class_map = {"interrupted": raises(KeyboardInterrupt())}

    transport = ScriptedTransport(message(job("interrupted")))
    server = make_server(transport, InterruptedServer)

    with pytest.raises(KeyboardInterrupt):
        server.handle_next_request()

    assert transport.sent == []


# -- log context ---------------------------------------------------------------------------------------------


def test_log_records_of_a_request_show_its_ids_and_action(caplog: pytest.LogCaptureFixture) -> None:
    def logs(settings: Any) -> Callable[[Any], ActionResponse]:
        def run(request: Any) -> ActionResponse:
            logging.getLogger("service").warning("from the action")
            return ActionResponse(request.action)

        return run

    class LoggingServer(PingServer):
        action_class_map = {"logs": logs}

    transport = ScriptedTransport(message(job("logs"), request_id=77))
    server = make_server(transport, LoggingServer)
    caplog.handler.addFilter(PySOALogContextFilter())

    server.handle_next_request()
    logging.getLogger("service").warning("after the request")

    during, after = (vars(record) for record in caplog.records if record.name == "service")
    assert (during["correlation_id"], during["request_id"], during["action_name"]) == ("the-id", 77, "logs")
    assert (after["correlation_id"], after["request_id"], after["action_name"]) == ("--", "--", "(n/a)")


def _set_too_often() -> None:
    PySOALogContextFilter.set_logging_request_context(request_id="of the action")
    PySOALogContextFilter.set_logging_action_name("another")


def _clear_too_often() -> None:
    for _ in range(3):
        PySOALogContextFilter.clear_logging_request_context()
        PySOALogContextFilter.clear_logging_action_name()


@pytest.mark.parametrize("meddle", [_set_too_often, _clear_too_often])
def test_what_was_current_before_a_request_is_so_again_whatever_its_action_sets_or_clears(
    meddle: Callable[[], None],
) -> None:
    def meddles(settings: Any) -> Callable[[Any], ActionResponse]:
        def run(request: Any) -> ActionResponse:
            meddle()
            return ActionResponse(request.action)

        return run

    class MeddlingServer(PingServer):
        action_class_map = {"meddles": meddles}

    server = make_server(ScriptedTransport(message(job("meddles"))), MeddlingServer)
    PySOALogContextFilter.set_logging_request_context(request_id="of the program")
    PySOALogContextFilter.set_logging_action_name("of the program")

    server.handle_next_request()

    context = PySOALogContextFilter.get_logging_request_context()
    action_name = PySOALogContextFilter.get_logging_action_name()
    PySOALogContextFilter.clear_logging_request_context()
    PySOALogContextFilter.clear_logging_action_name()
    assert context == {"request_id": "of the program"}
    assert action_name == "of the program"
    assert PySOALogContextFilter.get_logging_request_context() is None
    assert PySOALogContextFilter.get_logging_action_name() is None


@pytest.mark.parametrize("failing_line", ["Job request", "Job response"])
def test_request_is_answered_when_it_cannot_be_logged(
    failing_line: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(record: logging.LogRecord) -> bool:
        if str(record.msg).startswith(failing_line):
            raise ValueError("This filter is broken")
        return True

    transport = ScriptedTransport(message())
    server = make_server(transport)
    monkeypatch.setattr(server.job_logger, "filters", [fail])
    caplog.set_level(logging.INFO, server.job_logger.name)

    server.handle_next_request()

    assert len(transport.sent) == 1


def test_harakiri_while_the_request_is_logged_is_answered_as_job_timeout(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def interrupt(record: logging.LogRecord) -> bool:
        if str(record.msg).startswith("Job request"):
            raise HarakiriInterrupt
        return True

    transport = ScriptedTransport(message())
    server = make_server(transport)
    monkeypatch.setattr(server.job_logger, "filters", [interrupt])
    caplog.set_level(logging.INFO, server.job_logger.name)

    server.handle_next_request()

    assert response_to(transport, 1)["errors"][0]["code"] == "JOB_TIMEOUT"
