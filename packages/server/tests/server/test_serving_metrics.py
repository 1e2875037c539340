"""What a server counts and measures while it serves."""

from __future__ import annotations

# pyright: reportPrivateUsage=false
# What the run loop uses of Server is tested here, too.
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from pymetrics.instruments import Metric
from pymetrics.publishers.base import MetricsPublisher

from pysoa.common._conformity import accepts_kwargs, dictionary
from pysoa.common.serializer.errors import InvalidMessage
from pysoa.common.transport.base import ReceivedMessage, ServerTransport
from pysoa.common.transport.errors import InvalidMessageError, MessageReceiveTimeout
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


@accepts_kwargs(dictionary({}))
class KeepingPublisher(MetricsPublisher):
    """Keeps the names, tags and values of published metrics."""

    published: list[tuple[str, dict[str, Any], int | None]] = []

    def publish(
        self,
        metrics: Iterable[Metric],
        error_logger: str | None = None,
        enable_meta_metrics: bool = False,
    ) -> None:
        self.published.extend((metric.name, dict(metric.tags), metric.value) for metric in metrics)


def counted(server: Server, name: str) -> list[dict[str, Any]]:
    server.metrics.publish_all()
    return [tags for metric, tags, value in KeepingPublisher.published if metric == name and value]


@pytest.fixture
def metrics_settings() -> dict[str, Any]:
    KeepingPublisher.published.clear()
    return {
        "path": "pymetrics.recorders.default:DefaultMetricsRecorder",
        "kwargs": {
            "prefix": None,
            "config": {
                "version": 2,
                "publishers": [{"path": f"{__name__}:KeepingPublisher"}],
            },
        },
    }


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


@pytest.mark.parametrize(
    "error", [InvalidMessageError("no request ID"), InvalidMessage("not MessagePack")], ids=repr
)
def test_message_that_cannot_be_read_is_counted_and_the_next_is_served(
    error: Exception, metrics_settings: dict[str, Any]
) -> None:
    transport = ScriptedTransport(error, NEXT)
    server = make_server(transport, metrics=metrics_settings)

    server.handle_next_request()
    server.handle_next_request()

    assert counted(server, "server.error.invalid_message") == [{}]
    assert response_to(transport, 2)["errors"] == []


def test_harakiri_in_an_action_is_answered_and_counted(metrics_settings: dict[str, Any]) -> None:
    """D-36."""

    class SlowServer(PingServer):
        action_class_map = {"slow": raises(HarakiriInterrupt())}

    transport = ScriptedTransport(message(job("slow")))
    server = make_server(transport, SlowServer, metrics=metrics_settings)

    server.handle_next_request()

    assert response_to(transport, 1)["actions"][0]["errors"][0]["code"] == "ACTION_TIMEOUT"
    assert counted(server, "server.error.harakiri") == [{"harakiri_level": "action"}]


def test_harakiri_in_job_middleware_is_counted(metrics_settings: dict[str, Any]) -> None:
    """D-36."""
    transport = ScriptedTransport(message())
    server = make_server(transport, metrics=metrics_settings)
    server._middleware_job_wrapper = raises(HarakiriInterrupt())(None)

    server.handle_next_request()

    assert response_to(transport, 1)["errors"][0]["code"] == "JOB_TIMEOUT"
    assert counted(server, "server.error.harakiri") == [{"harakiri_level": "job"}]


def test_busy_gauge_is_up_while_a_request_is_served_and_down_after_it(
    metrics_settings: dict[str, Any],
) -> None:
    transport = ScriptedTransport(message())
    server = make_server(transport, metrics=metrics_settings)
    while_sending: list[Any] = []
    transport.while_sending = lambda: while_sending.extend(KeepingPublisher.published)

    server.handle_next_request()

    assert ("server.worker.busy", {}, 1) in while_sending
    assert ("server.worker.running", {}, 1) in while_sending
    server.metrics.publish_all()
    assert KeepingPublisher.published[-1] == ("server.worker.busy", {}, 0)


def test_idle_time_is_measured_while_waiting(metrics_settings: dict[str, Any]) -> None:
    server = make_server(ScriptedTransport(MessageReceiveTimeout()), metrics=metrics_settings)

    server.handle_next_request()

    assert "server.idle_time" in {name for name, _, _ in KeepingPublisher.published}


def test_job_errors_and_unhandled_errors_are_counted(metrics_settings: dict[str, Any]) -> None:
    class FailingServer(PingServer):
        action_class_map = {"fails": raises(ValueError("wrong"))}

    transport = ScriptedTransport(message({}), message(job("fails")))
    server = make_server(transport, FailingServer, metrics=metrics_settings)

    server.handle_next_request()
    server.handle_next_request()

    assert counted(server, "server.error.job_error") == [{}]
    assert counted(server, "server.error.unhandled_error") == [{}]


def test_request_is_answered_when_metrics_cannot_be_published(
    metrics_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise ConnectionRefusedError("No metrics here")

    transport = ScriptedTransport(ReceivedMessage(1, META, job()), MessageReceiveTimeout("Nothing came"))
    server = PingServer(ServerSettings({"transport": LOCAL, "metrics": metrics_settings}))
    server.transport = transport
    monkeypatch.setattr(KeepingPublisher, "publish", fail)

    server.handle_next_request()
    server.handle_next_request()

    assert [body["actions"][0]["body"] for _, _, body in transport.sent] == [{"pong": True}]
