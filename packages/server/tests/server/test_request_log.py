"""The log lines of requests and responses."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from pysoa.common.transport.base import ReceivedMessage, ServerTransport
from pysoa.server.action.base import Action
from pysoa.server.errors import ActionError
from pysoa.server.server import Server
from pysoa.server.settings import ServerSettings
from pysoa.server.types import EnrichedActionRequest

LOCAL = {"path": "pysoa.common.transport.local:LocalServerTransport"}


class Rendered:
    """Notes when somebody looks at it."""

    def __init__(self) -> None:
        self.count = 0

    def __repr__(self) -> str:
        self.count += 1
        return "rendered"


class OneJobTransport(ServerTransport):
    def __init__(self, action: str, body: dict[str, Any]) -> None:
        super().__init__("logging")
        self.body: Any = {
            "control": {"continue_on_error": False},
            "context": {"switches": [], "correlation_id": "the-id"},
            "actions": [{"action": action, "body": body}],
        }
        self.sent: list[dict[str, Any]] = []

    def receive_request_message(self) -> ReceivedMessage:
        return ReceivedMessage(1, {"client_version": [1, 4, 9]}, self.body)

    def send_response_message(self, request_id: int, meta: dict[str, Any], body: dict[str, Any]) -> None:
        self.sent.append(body)


class Succeeds(Action):
    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        return dict(request.body)


class Fails(Action):
    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        assert request.client is not None
        raise ActionError([])  # an error response without errors is a success


class FailsWithErrors(Action):
    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        raise ValueError("wrong")


class LoggingServer(Server):
    service_name = "logging"
    action_class_map = {"succeeds": Succeeds, "fails": FailsWithErrors, "fails_without_errors": Fails}


@pytest.fixture
def job_level() -> Iterator[logging.Logger]:
    """The logger of jobs, whose level the test may change."""
    logger = logging.getLogger("pysoa.server.job")
    before = logger.level
    yield logger
    logger.setLevel(before)


def serve(
    caplog: pytest.LogCaptureFixture, action: str, body: dict[str, Any] | None = None, **settings: Any
) -> tuple[list[tuple[str, str]], list[str]]:
    """Serve one job, and return level and beginning of the log lines about it, and their texts."""
    server = LoggingServer(ServerSettings({"transport": LOCAL, **settings}))
    server.transport = OneJobTransport(action, body or {})
    caplog.clear()
    server.handle_next_request()
    lines = [record for record in caplog.records if record.name == "pysoa.server.job"]
    return (
        [(record.levelname, record.getMessage().partition(":")[0]) for record in lines],
        [record.getMessage() for record in lines],
    )


REQUEST, RESPONSE = "Job request", "Job response"


@pytest.mark.parametrize(
    ("level", "success", "error", "action", "expected"),
    [
        ("DEBUG", "INFO", "INFO", "succeeds", [("INFO", REQUEST), ("INFO", RESPONSE)]),
        ("DEBUG", "INFO", "INFO", "fails", [("INFO", REQUEST), ("INFO", RESPONSE)]),
        ("DEBUG", "DEBUG", "WARNING", "succeeds", [("DEBUG", REQUEST), ("DEBUG", RESPONSE)]),
        ("DEBUG", "DEBUG", "WARNING", "fails", [("DEBUG", REQUEST), ("WARNING", RESPONSE)]),
        ("INFO", "DEBUG", "WARNING", "succeeds", []),
        ("INFO", "DEBUG", "WARNING", "fails", [("WARNING", REQUEST), ("WARNING", RESPONSE)]),
        ("WARNING", "DEBUG", "INFO", "fails", []),
        ("WARNING", "INFO", "INFO", "fails", []),
        ("INFO", "WARNING", "DEBUG", "fails", [("WARNING", REQUEST)]),
        ("INFO", "DEBUG", "WARNING", "unknown", [("WARNING", REQUEST), ("WARNING", RESPONSE)]),
        ("INFO", "DEBUG", "WARNING", "fails_without_errors", []),
    ],
)
def test_request_is_logged_again_with_its_failure_if_it_was_not_before(
    job_level: logging.Logger,
    caplog: pytest.LogCaptureFixture,
    level: str,
    success: str,
    error: str,
    action: str,
    expected: list[tuple[str, str]],
) -> None:
    job_level.setLevel(level)

    lines, _ = serve(caplog, action, request_log_success_level=success, request_log_error_level=error)

    assert lines == expected


@pytest.mark.parametrize(
    "names", [{"shoe_size"}, ["shoe_size"], ("shoe_size",), frozenset({"shoe_size"})], ids=repr
)
def test_secrets_and_extra_fields_are_censored(
    job_level: logging.Logger, caplog: pytest.LogCaptureFixture, names: Any
) -> None:
    """D-49: any collection of names will do."""
    job_level.setLevel("INFO")

    _, texts = serve(
        caplog, "succeeds", {"password": "hunter2", "shoe_size": 4711}, extra_fields_to_redact=names
    )

    assert len(texts) == 2
    assert "hunter2" not in str(texts)
    assert "4711" not in str(texts)


def test_request_logged_after_its_failure_is_the_request_as_it_came(
    job_level: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    """D-37: nothing was added to it."""
    job_level.setLevel("INFO")

    _, texts = serve(caplog, "fails", request_log_success_level="DEBUG", request_log_error_level="INFO")

    assert "client" not in texts[0]
    assert "run_coroutine" not in texts[0]


def test_received_request_is_not_changed() -> None:
    """D-37."""
    server = LoggingServer(ServerSettings({"transport": LOCAL}))
    server.transport = transport = OneJobTransport("succeeds", {})

    server.handle_next_request()

    assert set(transport.body) == {"control", "context", "actions"}


def test_nothing_is_rendered_for_lines_that_nobody_reads(
    job_level: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    """D-42."""
    job_level.setLevel("WARNING")
    value = Rendered()

    serve(caplog, "succeeds", {"x": value})

    assert value.count == 0


def test_body_that_is_no_dictionary_is_logged_by_its_type(
    job_level: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    job_level.setLevel("INFO")
    server = LoggingServer(ServerSettings({"transport": LOCAL}))
    server.transport = transport = OneJobTransport("succeeds", {})
    transport.body = "password: hunter2"

    server.handle_next_request()

    assert "hunter2" not in caplog.text
    assert "'str'" in caplog.text
