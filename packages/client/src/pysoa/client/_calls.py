"""A call on its way: one or more jobs that were sent, what has come back, and the expansions that follow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import attrs

from pysoa.client._details import add_details, describe_call
from pysoa.client._exchange import SHORTEST_WAIT_IN_SECONDS, Exchange, left_after_sending
from pysoa.client._ledger import Outcome
from pysoa.client._requests import check_seconds
from pysoa.client.errors import UnexpectedResponseError
from pysoa.client.expander import TypeNode
from pysoa.common.errors import Error
from pysoa.common.transport.errors import MessageReceiveTimeout, PySOATransportError
from pysoa.common.types import ActionRequest, ActionResponse, JobResponse

if TYPE_CHECKING:  # at run time, only who expands something needs it
    from pysoa.client._expansion import Batch, ExpansionPlan, ExpansionTrouble

__all__ = (
    "Call",
    "CallOptions",
    "Dispatch",
    "ErrorClasses",
    "Route",
)


class Route(Protocol):
    """The way on which the responses of one service come."""

    receive_timeout_in_seconds: float
    """How long a receive without time limit takes at most."""

    def collect(
        self, missing: set[int], outcomes: dict[int, Outcome], timeout: float | None, deadline: float
    ) -> list[int]:
        """Move outcomes from ``missing`` to ``outcomes`` as they come in; return the ids of others."""
        ...

    def abandon(self, request_id: int) -> None:
        """Await a response no longer."""
        ...

    def give_up(self, request_id: int) -> None:
        """Do the same, from a finalizer."""
        ...


class ErrorClasses(Protocol):
    """What to raise: the class attributes of a client, which its subclasses may replace."""

    @property
    def JobError(self) -> Callable[[list[Error]], Exception]:  # noqa: N802 - a class
        """Raised with the errors of a job."""
        ...

    @property
    def CallActionError(self) -> Callable[[list[ActionResponse]], Exception]:  # noqa: N802
        """Raised with the failed actions."""
        ...

    @property
    def InvalidExpansionKey(self) -> Callable[[str], Exception]:  # noqa: N802
        """Raised with a text."""
        ...


@attrs.define
class CallOptions:
    """What the caller of a ``call_***`` method asked for, besides the jobs themselves.

    Nobody changes it. It is made for every call, and attrs makes frozen objects at several times the cost.
    """

    raise_job_errors: bool
    raise_action_errors: bool
    catch_transport_errors: bool
    continue_on_error: bool
    timeout: float | None
    switches: Any
    correlation_id: str | None
    """The correlation id that the caller gave."""
    shared_correlation_id: str
    """The one for all jobs of this call if neither the caller nor a context gives one."""
    context: dict[str, Any] | None
    control_extra: dict[str, Any] | None
    trees: Sequence[TypeNode]
    """What to expand in the responses."""
    is_parallel: bool = False
    """Whether this may be more than one job."""


Dispatch: TypeAlias = Callable[[str, Iterable[Any], CallOptions, bool], tuple[int, Route]]
"""Sends one job, given the service, the actions, the options and ``continue_on_error``.

Returns the request id and the way on which the response will come.
"""


class _Job:
    """One job of a call."""

    __slots__ = ("actions", "outcome", "request_id", "route", "service_name")

    def __init__(self, service_name: str, actions: Iterable[Any]) -> None:
        self.service_name = service_name
        self.actions = actions
        self.request_id = -1
        self.route: Route | None = None
        self.outcome: Outcome | None = None

    def action_names(self) -> list[str]:
        if not isinstance(self.actions, (list, tuple)):
            return []  # used up by sending
        actions: Sequence[Any] = self.actions
        return [
            action.action if isinstance(action, ActionRequest) else action["action"] for action in actions
        ]


class Call:
    """One or more jobs that were sent together, and whose responses are wanted together.

    It keeps what has been received, so that :meth:`result` can be called again after a time-out. When it is
    garbage collected, the responses that it still awaits are abandoned. One thread at a time may use it.

    Args:
        dispatch: Sends one job.
        error_classes: What to raise.
        options: What was asked for.
    """

    __slots__ = ("_dispatch", "_error_classes", "_jobs", "_options", "_plan", "_round", "_sending_took_s")

    def __init__(self, dispatch: Dispatch, error_classes: ErrorClasses, options: CallOptions) -> None:
        self._dispatch = dispatch
        self._error_classes = error_classes
        self._options = options
        self._jobs: list[_Job] = []
        self._sending_took_s = 0.0
        self._plan: ExpansionPlan | None = None
        self._round: list[tuple[Batch, _Job]] = []

    def __del__(self) -> None:
        for job in self._all_jobs():
            if job.outcome is None and job.route is not None:
                job.route.give_up(job.request_id)

    def send(self, service_name: str, actions: Iterable[Any]) -> None:
        """Send one job.

        Raises:
            PySOATransportError: It could not be sent, and transport errors are not to be caught.
            Exception: Whatever else was in its way. All jobs are abandoned then.
        """
        job = _Job(service_name, actions)
        started_at = time.monotonic()
        try:
            self._send(job, self._options.continue_on_error)
        except PySOATransportError as error:
            if not self._options.catch_transport_errors:
                self.abandon()
                raise
            job.outcome = error
        except BaseException:
            self.abandon()
            raise
        self._sending_took_s += time.monotonic() - started_at
        self._jobs.append(job)

    def adopt(
        self,
        service_name: str,
        actions: Iterable[Any],
        request_id: int,
        route: Route,
        outcome: Outcome | None,
    ) -> None:
        """Take over a job that was sent already, and whose outcome, if any, has been received."""
        job = _Job(service_name, actions)
        job.request_id, job.route, job.outcome = request_id, route, outcome
        self._jobs.append(job)

    def result(self, timeout: float | None = None) -> list[Any]:
        """Wait for all responses, raise what has to be raised, and expand the objects in the responses.

        Args:
            timeout: How many seconds to wait for the responses together, and again for each round of
                expansions; ``None`` and 0 mean the time limit of the call, or else the default of the
                transport.

        Returns:
            The job responses, in the order of the jobs; transport errors in their places if these are to be
            caught.

        Raises:
            MessageReceiveTimeout: Something was missing in the end. Another call of this method goes on
                waiting.
            Exception: Whatever else went wrong, for good.
        """
        check_seconds("timeout", timeout)
        limit = timeout or self._options.timeout or None
        receive_limit = timeout or left_after_sending(limit, self._sending_took_s)
        try:
            self._collect(self._jobs, receive_limit, self._options.catch_transport_errors)
            outcomes = self._checked_outcomes(limit)
            if self._options.trees:
                self._expand(outcomes, limit)
        except MessageReceiveTimeout:
            raise
        except Exception:
            self.abandon()
            raise
        return outcomes

    def only_result(self, timeout: float | None = None) -> JobResponse:
        """Return what :meth:`result` returns for a call of one job."""
        response: JobResponse = self.result(timeout)[0]
        return response

    def abandon(self) -> None:
        """Await no response any longer."""
        for job in self._all_jobs():
            if job.outcome is None and job.route is not None:
                job.route.abandon(job.request_id)
                job.route = None

    # Sending and receiving

    def _all_jobs(self) -> Iterable[_Job]:
        return (*self._jobs, *(job for _, job in self._round)) if self._round else self._jobs

    def _send(self, job: _Job, continue_on_error: bool) -> None:
        job.request_id, job.route = self._dispatch(
            job.service_name, job.actions, self._options, continue_on_error
        )

    def _collect(self, jobs: Sequence[_Job], limit: float | None, catch_transport_errors: bool) -> None:
        """Wait until each job has an outcome, all of them until the same deadline."""
        if len(jobs) == 1:
            job = jobs[0]
            route = job.route
            if job.outcome is None and route is not None:
                deadline = time.monotonic() + (limit or route.receive_timeout_in_seconds)
                group = {job.request_id: job}
                self._collect_group(route, group, limit, deadline, catch_transport_errors)
            return
        groups: dict[Route, dict[int, _Job]] = {}
        for job in jobs:
            if job.outcome is None and job.route is not None:
                groups.setdefault(job.route, {})[job.request_id] = job
        if not groups:
            return
        started = time.monotonic()
        timeout = limit
        deadline = started + (limit or max(route.receive_timeout_in_seconds for route in groups))
        for route, awaited in groups.items():
            self._collect_group(route, awaited, timeout, deadline, catch_transport_errors)
            timeout = max(deadline - time.monotonic(), SHORTEST_WAIT_IN_SECONDS)

    def _collect_group(
        self,
        route: Route,
        awaited: dict[int, _Job],
        timeout: float | None,
        deadline: float,
        catch_transport_errors: bool,
    ) -> None:
        missing = set(awaited)
        outcomes: dict[int, Outcome] = {}
        error: Exception | None = None
        strangers: list[int] = []
        try:
            strangers = route.collect(missing, outcomes, timeout, deadline)
        except PySOATransportError as caught:
            self._explain(caught, [awaited[i] for i in missing], timeout)
            if not catch_transport_errors:
                raise
            error = caught
        finally:
            for request_id, outcome in outcomes.items():
                awaited[request_id].outcome = outcome
        for request_id in missing:
            job = awaited[request_id]
            route.abandon(request_id)
            job.outcome = error or self._no_response(job, strangers)

    @staticmethod
    def _explain(error: Exception, jobs: Sequence[_Job], timeout: float | None) -> None:
        for job in jobs[:1]:
            if isinstance(job.route, Exchange):  # what a test double raises is its own business
                names = (name for each in jobs for name in each.action_names())
                ids = [each.request_id for each in jobs]
                limit = timeout or job.route.receive_timeout_in_seconds
                add_details(error, job.service_name, names, ids, limit)

    def _no_response(self, job: _Job, strangers: list[int]) -> UnexpectedResponseError:
        details = describe_call(job.service_name, job.action_names(), (job.request_id,), None)
        if job is self._jobs[0] and not self._options.is_parallel:
            text = f"Got unexpected response(s) with ID(s) {strangers} for request with ID {job.request_id}"
        else:
            text = f"There was no response for service {job.service_name}, request {job.request_id}"
        return UnexpectedResponseError(
            f"{text} ({details}). A client middleware may have kept the request or its response to itself, "
            "or the future may be used in a forked process or after the test double that served it is gone."
        )

    # Results

    def _checked_outcomes(self, limit: float | None) -> list[Any]:
        options = self._options
        outcomes: list[Any] = []
        for job in self._jobs:
            outcome = job.outcome
            if isinstance(outcome, Exception):
                self._explain(outcome, [job], limit)
                if not (options.catch_transport_errors and isinstance(outcome, PySOATransportError)):
                    raise outcome
            elif outcome is not None:
                if outcome.errors and options.raise_job_errors:
                    raise self._with_note(self._error_classes.JobError(outcome.errors), job, limit)
                if options.raise_action_errors:
                    failed = [action for action in outcome.actions if action.errors]
                    if failed:
                        raise self._with_note(self._error_classes.CallActionError(failed), job, limit)
            outcomes.append(outcome)
        return outcomes

    def _with_note(self, error: Exception, job: _Job, limit: float | None) -> Exception:
        # The text of these errors is compared as a whole by users' tests, so a traceback tells the rest.
        error.add_note(f"({describe_call(job.service_name, job.action_names(), (job.request_id,), limit)})")
        return error

    # Expansions

    def _expand(self, outcomes: Sequence[Any], limit: float | None) -> None:
        if self._plan is None:
            from pysoa.client._expansion import ExpansionPlan

            responses = (outcome for outcome in outcomes if isinstance(outcome, JobResponse))
            self._plan = ExpansionPlan(
                self._options.trees, [action for response in responses for action in response.actions]
            )
        while self._round or self._plan_round(self._plan):
            for _, job in self._round:
                if job.route is None and job.outcome is None:
                    self._send(job, continue_on_error=False)
            self._collect([job for _, job in self._round], limit, catch_transport_errors=False)
            trouble = self._plan.take_responses(self._responses_of_round())
            self._round = []
            if trouble:
                raise self._error_for(trouble)

    def _plan_round(self, plan: ExpansionPlan) -> bool:
        self._round = [
            (batch, _Job(batch.service, [ActionRequest(batch.action, batch.body)]))
            for batch in plan.next_round()
        ]
        return bool(self._round)

    def _responses_of_round(self) -> list[tuple[Batch, JobResponse]]:
        responses: list[tuple[Batch, JobResponse]] = []
        for batch, job in self._round:
            if isinstance(job.outcome, Exception):
                self._explain(job.outcome, [job], None)
                raise job.outcome
            if job.outcome is not None:
                responses.append((batch, job.outcome))
        return responses

    def _error_for(self, trouble: ExpansionTrouble) -> Exception:
        if trouble.actions:
            return self._error_classes.CallActionError(trouble.actions)
        if trouble.errors:
            return self._error_classes.JobError(trouble.errors)
        if trouble.no_action_in:
            keys = ", ".join(batch.guard_key for batch in trouble.no_action_in)
            return UnexpectedResponseError(
                f"The response to expansion request {keys} holds no action response."
            )
        return self._error_classes.InvalidExpansionKey(
            f"Invalid response field in expansion: {'; '.join(trouble.bad_response_fields)}. "
            "Correct the response_field of the route, or the service."
        )
