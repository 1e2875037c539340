"""From the responses of jobs to those of their single actions."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, cast

from pysoa.client._ledger import Outcome
from pysoa.client.errors import UnexpectedResponseError
from pysoa.common.types import ActionResponse, JobResponse

__all__ = (
    "only_action",
    "only_actions",
    "successful_action",
)


def successful_action(outcome: Outcome | None) -> ActionResponse | None:
    """Return the only action response if there is one and nothing else to say about the outcome of a job."""
    if isinstance(outcome, JobResponse) and not outcome.errors and outcome.actions:
        action = outcome.actions[0]
        return None if action.errors else action
    return None


def only_action(response: JobResponse, service_name: str, action: str | None = None) -> ActionResponse:
    if response.errors:
        return cast(ActionResponse, response.errors)  # not one: so documented for raise_job_errors=False
    if not response.actions:
        name = "the action" if action is None else repr(action)
        raise UnexpectedResponseError(
            f"The job response of service {service_name!r} holds no response to {name}, and no errors. "
            "A middleware of the client or of the service may have removed it."
        )
    return response.actions[0]


def only_actions(responses: Iterable[Any], service_name: str) -> Generator[ActionResponse, None, None]:
    # A function of its own: it is the generator, so that whoever gets it gets what was received already.
    for response in responses:
        item: Any = response if isinstance(response, Exception) else only_action(response, service_name)
        yield item
