"""What stubs were asked and what they answered is recorded for the whole process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pysoa.client.client import Client
from pysoa.common.errors import Error
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.server.errors import ActionError, JobError
from pysoa.test.stub_service import get_stubbed_requests, get_stubbed_responses, stub_action

ERRORS = [Error(code="X", message="m")]
REQUEST: dict[str, Any] = {"service": "user", "action": "a", "body": {}}


@pytest.fixture
def recorded() -> Iterator[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """Copies of what is recorded after this; the lists themselves only grow."""
    requests, responses = get_stubbed_requests(), get_stubbed_responses()
    lengths = len(requests), len(responses)
    news: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])

    yield news

    assert requests[lengths[0] :] == news[0]
    assert responses[lengths[1] :] == news[1]


def test_requests_and_responses_are_recorded(nobody: Client, recorded: Any) -> None:
    with stub_action("user", "a", {"n": 1}):
        nobody.call_action("user", "a", {"q": 1})

    recorded[0].append({"service": "user", "action": "a", "body": {"q": 1}})
    recorded[1].append({"service": "user", "action": "a", "body": {"n": 1}})


@pytest.mark.parametrize(
    ("error", "responses"),
    [
        pytest.param(ActionError(ERRORS), [REQUEST], id="action error"),
        pytest.param(JobError(ERRORS), [], id="job error"),
        pytest.param(MessageReceiveTimeout("late"), [], id="time-out"),
    ],
)
def test_requests_that_fail_are_recorded(
    nobody: Client, recorded: Any, error: Exception, responses: list[Any]
) -> None:
    with stub_action("user", "a", side_effect=error):
        nobody.send_request("user", [{"action": "a"}])

    recorded[0].append(REQUEST)
    recorded[1].extend(responses)


def test_requests_of_a_stub_that_breaks_are_not_recorded(nobody: Client, recorded: Any) -> None:
    with stub_action("user", "a", side_effect=ValueError), pytest.raises(ValueError):  # noqa: PT011 - no text
        nobody.send_request("user", [{"action": "a"}])


def test_recording_can_be_switched_off_for_a_stub(nobody: Client, recorded: Any) -> None:
    with stub_action("user", "a", {"n": 1}, register_request_schema_contract=False):
        nobody.call_action("user", "a")
    with stub_action("user", "a", {"n": 2}, register_response_schema_contract=False):
        nobody.call_action("user", "a", {"q": 2})

    recorded[0].append({"service": "user", "action": "a", "body": {"q": 2}})
    recorded[1].append({"service": "user", "action": "a", "body": {"n": 1}})
