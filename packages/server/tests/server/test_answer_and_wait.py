"""Sending a response together with the wait for the next request."""

from __future__ import annotations

# pyright: reportPrivateUsage=false
# What the run loop uses of Server is tested here, too.
from collections.abc import Callable
from typing import Any

import pytest

from pysoa.common.transport.base import ReceivedMessage, ServerTransport
from pysoa.server.action.base import Action
from pysoa.server.server import Server
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


class WaitingTransport(ScriptedTransport):
    """Can also send a response together with the wait for the next request."""

    def __init__(self, *script: ReceivedMessage | BaseException) -> None:
        super().__init__(*script)
        self.sent_and_waited: list[int] = []
        self.note_lost: Callable[[Exception], None] = lambda error: None

    def send_response_and_wait(
        self,
        request_id: int,
        meta: dict[str, Any],
        body: dict[str, Any],
        note_lost: Callable[[Exception], None],
    ) -> None:
        self.while_sending()
        self.sent_and_waited.append(request_id)
        self.note_lost = note_lost


class Ping(Action):
    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        return {"pong": True}


class PingServer(Server):
    service_name = "scripted"
    action_class_map = {"ping": Ping}


def message(request_id: int = 1) -> ReceivedMessage:
    job: dict[str, Any] = {
        "control": {"continue_on_error": False},
        "context": {"switches": [], "correlation_id": "the-id"},
        "actions": [{"action": "ping", "body": {}}],
    }
    return ReceivedMessage(request_id, META, job)


def make_server(transport: ScriptedTransport, server_class: type[Server] = PingServer) -> Server:
    server = server_class(ServerSettings({"transport": LOCAL}))
    server.transport = transport
    return server


NEXT = message(request_id=2)


def waits_with_its_answer(server: Server) -> bool:
    transport = server.transport
    assert isinstance(transport, WaitingTransport)
    server.handle_next_request()
    assert bool(transport.sent) != bool(transport.sent_and_waited)
    assert server._receive_is_owed == bool(transport.sent_and_waited)
    return bool(transport.sent_and_waited)


def make_looping_server(server_class: type[Server] = PingServer) -> Server:
    server = make_server(WaitingTransport(message(), NEXT), server_class)
    server._on_request_taken = lambda: None  # what shows that a run loop is at work
    return server


def test_answer_is_sent_with_the_next_wait_in_a_run_loop() -> None:
    server = make_looping_server()

    assert waits_with_its_answer(server)


def test_owed_wait_is_paid_by_the_next_receive() -> None:
    server = make_looping_server()
    assert waits_with_its_answer(server)
    server.shutting_down = True

    server.handle_next_request()

    assert not server._receive_is_owed


def test_answer_is_sent_alone_without_a_run_loop() -> None:
    server = make_server(WaitingTransport(message()))

    assert not waits_with_its_answer(server)


def test_answer_is_sent_alone_once_a_shutdown_was_asked_for() -> None:
    server = make_looping_server()
    server.shutting_down = True

    assert not waits_with_its_answer(server)


class EndsTheProcess(Action):
    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        raise SystemExit(5)


def test_answer_is_sent_alone_if_the_action_ends_the_process() -> None:
    """Nobody would serve what the wait took from the queue."""
    ending = type("EndingServer", (PingServer,), {"action_class_map": {"ping": EndsTheProcess}})
    server = make_looping_server(ending)
    transport = server.transport
    assert isinstance(transport, WaitingTransport)

    with pytest.raises(SystemExit):
        server.handle_next_request()

    assert [request_id for request_id, _, _ in transport.sent] == [1]
    assert transport.sent_and_waited == []
    assert not server._receive_is_owed


def _do_nothing(server: Server) -> None:
    """Override a hook."""


@pytest.mark.parametrize("hook", ["perform_pre_request_actions", "perform_post_request_actions"])
def test_answer_is_sent_alone_if_a_hook_is_overridden(hook: str) -> None:
    overriding = type("OverridingServer", (PingServer,), {hook: _do_nothing})
    server = make_looping_server(overriding)

    assert not waits_with_its_answer(server)


def test_wait_is_owed_even_if_sending_failed() -> None:
    server = make_looping_server()
    transport = server.transport
    assert isinstance(transport, WaitingTransport)

    def fail() -> None:
        raise OSError("cannot send")

    transport.while_sending = fail

    server.handle_next_request()

    assert server._receive_is_owed


def test_loss_that_is_found_out_later_is_reported_like_any_other(caplog: pytest.LogCaptureFixture) -> None:
    server = make_looping_server()
    server.handle_next_request()
    transport = server.transport
    assert isinstance(transport, WaitingTransport)

    transport.note_lost(OSError("the list is full"))

    assert [record.getMessage() for record in caplog.records] == [
        "Could not send the response to request 1, which is lost; the job was done and is not repeated. "
        "Outcome: ping: success. Cause: OSError: the list is full"
    ]


def test_loss_that_is_found_out_later_is_counted() -> None:
    server = make_looping_server()
    counted: list[str] = []
    server._count = counted.append  # type: ignore[method-assign, assignment]
    server.handle_next_request()
    transport = server.transport
    assert isinstance(transport, WaitingTransport)

    transport.note_lost(OSError("the list is full"))

    assert counted == ["server.error.response_send_failure"]
