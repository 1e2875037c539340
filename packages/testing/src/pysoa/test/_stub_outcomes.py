"""From calls of stubbed actions to job responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import attrs

from pysoa.common.errors import Error
from pysoa.common.transport.errors import MessageReceiveError, MessageReceiveTimeout
from pysoa.common.types import ActionRequest, ActionResponse, JobResponse
from pysoa.server.errors import ActionError, JobError
from pysoa.test._stub_contracts import record_request, record_response
from pysoa.test._stub_object import StubbedAction

__all__ = ("ActiveStub", "StubbedJob", "call_stubs")


@attrs.frozen(eq=False)
class ActiveStub:
    """A ``stub_action`` between its beginning and its end."""

    service: str
    action: str
    stub: StubbedAction
    records_requests: bool
    records_responses: bool


@attrs.define
class StubbedJob:
    """What came of the actions of one job that are stubbed."""

    targets: Sequence[ActiveStub | None]
    """The stub for each action of the job; ``None`` for the actions that are not stubbed."""
    continue_on_error: bool
    responses: dict[int, ActionResponse] = attrs.field(factory=dict[int, ActionResponse])
    """The responses by the position of the action in the job."""
    errors: list[Error] = attrs.field(factory=list[Error])
    """Errors of the job as a whole."""
    receive_error: Exception | None = None
    """What is to be raised in place of a response."""

    def response(self) -> JobResponse:
        """Return the response of a job without other actions."""
        return self.merged_into(JobResponse())

    def merged_into(self, real: JobResponse) -> JobResponse:
        """Complete the response to the other actions of the job."""
        others = iter(real.actions)
        actions: list[ActionResponse] = []
        for position, target in enumerate(self.targets):
            response = next(others, None) if target is None else self.responses.get(position)
            if response is None:
                continue
            actions.append(response)
            if response.errors and not self.continue_on_error:
                break
        return attrs.evolve(real, actions=actions, errors=[*real.errors, *self.errors])


def call_stubs(
    requests: Sequence[ActionRequest], targets: Sequence[ActiveStub | None], continue_on_error: bool
) -> StubbedJob:
    """Call the stubs of one job, in the order of its actions, up to the first error.

    Args:
        requests: The actions of the job.
        targets: The stub for each of them, or ``None``.
        continue_on_error: Whether errors of an action do not end the job.

    Raises:
        Exception: Whatever a stub raised that is not about actions, jobs or receiving.
    """
    job = StubbedJob(targets, continue_on_error)
    for position, (request, target) in enumerate(zip(requests, targets, strict=True)):
        if target is None:
            continue
        response = _call(target, request, job)
        if response is not None:
            job.responses[position] = response
        if job.errors or job.receive_error or (response and response.errors and not continue_on_error):
            break
    return job


def _call(target: ActiveStub, request: ActionRequest, job: StubbedJob) -> ActionResponse | None:
    """Call one stub; return the response of the action if it has one, and note other outcomes in the job."""
    body = request.body or {}
    response: ActionResponse | None = None
    try:
        response = _to_action_response(target.stub(body), request.action, job)
    except ActionError as error:
        response = ActionResponse(request.action, errors=error.errors)
    except JobError as error:
        job.errors.extend(error.errors)
    except (MessageReceiveTimeout, MessageReceiveError) as error:
        job.receive_error = error
    if target.records_requests:
        record_request(target.service, target.action, body)
    if response is not None and target.records_responses:
        record_response(target.service, target.action, response.body)
    return response


def _to_action_response(result: object, action: str, job: StubbedJob) -> ActionResponse | None:
    if isinstance(result, ActionResponse):
        return result
    if isinstance(result, JobResponse):
        job.errors.extend(result.errors)
        return result.actions[0] if result.actions else None
    if isinstance(result, Mapping):
        # The very dictionary, as it was given: tests compare by identity.
        return ActionResponse(action, body=cast("dict[str, Any]", result))
    return ActionResponse(action)
