"""A caller of services as a team would write it, with pysoa-client alone installed."""

from __future__ import annotations

from typing import assert_type

from pysoa.client.client import Client
from pysoa.client.errors import CallActionError, CallJobError
from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse, JobResponse


def make_client() -> Client:
    """Return a client."""
    return Client(
        {"square": {"transport": {"kwargs": {"backend_type": "redis.standard"}}}}, context={"team": "a"}
    )


def call_one(client: Client) -> int:
    """Call one action."""
    response = client.call_action("square", "square", {"number": 7}, timeout=3)
    assert_type(response, ActionResponse)
    assert_type(response.errors, list[Error])
    return int(response.body["square"])


def call_several(client: Client) -> list[str]:
    """Send a job."""
    response = client.call_actions(
        "square", [{"action": "square", "body": {"number": 7}}], continue_on_error=True
    )
    assert_type(response, JobResponse)
    assert_type(response.actions, list[ActionResponse])
    return [error.code for action in response.actions for error in action.errors]


def codes(client: Client) -> list[str]:
    """Catch what a call raises."""
    try:
        client.call_action("square", "square")
    except CallJobError as error:
        return [e.code for e in error.errors]
    except CallActionError as error:
        return [e.code for action in error.actions for e in action.errors]
    return []
