"""The calls that return at once, with futures."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, Final

from pysoa.client._base import (
    ActionRequestArgumentIterable,
    ActionRequestArgumentList,
    BaseClient,
    JobRequestArgument,
    is_original,
)
from pysoa.client._calls import Call, CallOptions
from pysoa.client._exchange import Exchange
from pysoa.client._futures import FutureSOAResponse
from pysoa.client._ledger import Outcome
from pysoa.client._requests import (
    check_control_of_call,
    check_seconds,
    make_context,
    make_control,
    new_correlation_id,
)
from pysoa.client._responses import only_action, only_actions, successful_action
from pysoa.client._shortcut import SingleJob
from pysoa.client.expander import Expansions
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import ActionRequest, ActionResponse, Body, Context, Control, JobRequest, JobResponse

__all__ = ("FutureCalls",)


class FutureCalls(BaseClient):
    """The ``call_*_future`` methods of a client.

    See :class:`pysoa.client.client.Client`.
    """

    def call_action_future(
        self,
        service_name: str,
        action: str,
        body: Body | None = None,
        expansions: Expansions | None = None,
        raise_job_errors: bool = True,
        raise_action_errors: bool = True,
        timeout: float | None = None,
        switches: Iterable[Any] | None = None,
        correlation_id: str | None = None,
        context: Context | None = None,
        control_extra: Control | None = None,
    ) -> FutureSOAResponse[ActionResponse]:
        """Do what :meth:`call_action` does, but return at once with a future of the action response.

        The request is sent before this method returns, and errors of sending are raised by it. All others are
        raised by the ``result`` of the future.
        """
        actions = [ActionRequest(action, body or {})]
        if not expansions and is_original(self, "call_actions_future", _CALL_ACTIONS_FUTURE):
            job = self._send_single(
                service_name, actions, timeout, switches, correlation_id, context, control_extra
            )
            if job is not None:
                return self._future_of(
                    job, service_name, actions, raise_job_errors, raise_action_errors, timeout
                )
        job_response = self.call_actions_future(
            service_name=service_name,
            actions=actions,
            expansions=expansions,
            raise_job_errors=raise_job_errors,
            raise_action_errors=raise_action_errors,
            timeout=timeout,
            switches=switches,
            correlation_id=correlation_id,
            context=context,
            control_extra=control_extra,
        )

        def get_response(result_timeout: float | None) -> ActionResponse:
            return only_action(job_response.result(result_timeout), service_name, action)

        return self.FutureResponse(get_response)

    def call_actions_future(
        self,
        service_name: str,
        actions: ActionRequestArgumentList,
        expansions: Expansions | None = None,
        raise_job_errors: bool = True,
        raise_action_errors: bool = True,
        timeout: float | None = None,
        switches: Iterable[Any] | None = None,
        correlation_id: str | None = None,
        continue_on_error: bool = False,
        context: Context | None = None,
        control_extra: Control | None = None,
    ) -> FutureSOAResponse[JobResponse]:
        """Do what :meth:`call_actions` does, but return at once with a future of the job response.

        The request is sent before this method returns, and errors of sending are raised by it. All others are
        raised by the ``result`` of the future.
        """
        call = self._new_call(
            expansions,
            raise_job_errors,
            raise_action_errors,
            timeout,
            switches,
            correlation_id,
            context,
            control_extra,
            continue_on_error=continue_on_error,
        )
        call.send(service_name, actions)
        return self.FutureResponse(call.only_result)

    def call_actions_parallel_future(
        self,
        service_name: str,
        actions: ActionRequestArgumentIterable,
        expansions: Expansions | None = None,
        raise_job_errors: bool = True,
        raise_action_errors: bool = True,
        catch_transport_errors: bool = False,
        timeout: float | None = None,
        switches: Iterable[Any] | None = None,
        correlation_id: str | None = None,
        context: Context | None = None,
        control_extra: Control | None = None,
    ) -> FutureSOAResponse[Generator[ActionResponse, None, None]]:
        """Do what :meth:`call_actions_parallel` does, but return at once with a future of the generator.

        The requests are sent before this method returns, and errors of sending are raised by it. All others
        are raised by the ``result`` of the future.
        """
        job_responses = self.call_jobs_parallel_future(
            jobs=({"service_name": service_name, "actions": [action]} for action in actions),
            expansions=expansions,
            raise_job_errors=raise_job_errors,
            raise_action_errors=raise_action_errors,
            catch_transport_errors=catch_transport_errors,
            timeout=timeout,
            switches=switches,
            correlation_id=correlation_id,
            context=context,
            control_extra=control_extra,
        )

        def get_response(result_timeout: float | None) -> Generator[ActionResponse, None, None]:
            return only_actions(job_responses.result(result_timeout), service_name)

        return self.FutureResponse(get_response)

    def call_jobs_parallel_future(
        self,
        jobs: Iterable[JobRequestArgument],
        expansions: Expansions | None = None,
        raise_job_errors: bool = True,
        raise_action_errors: bool = True,
        catch_transport_errors: bool = False,
        timeout: float | None = None,
        switches: Iterable[Any] | None = None,
        correlation_id: str | None = None,
        continue_on_error: bool = False,
        context: Context | None = None,
        control_extra: Control | None = None,
    ) -> FutureSOAResponse[list[JobResponse]]:
        """Do what :meth:`call_jobs_parallel` does, but return at once with a future of the job responses.

        The requests are sent before this method returns, and errors of sending are raised by it. All others
        are raised by the ``result`` of the future.
        """
        call = self._new_call(
            expansions,
            raise_job_errors,
            raise_action_errors,
            timeout,
            switches,
            correlation_id,
            context,
            control_extra,
            continue_on_error=continue_on_error,
            catch_transport_errors=catch_transport_errors,
            is_parallel=True,
        )
        try:
            for job in jobs:
                call.send(job["service_name"], job["actions"])
        except BaseException:
            call.abandon()
            raise
        return self.FutureResponse(call.result)

    # The shortest way, for single actions

    def _send_single(
        self,
        service_name: str,
        actions: list[ActionRequest],
        timeout: float | None,
        switches: Iterable[Any] | None,
        correlation_id: str | None,
        context: Context | None,
        control_extra: Control | None,
    ) -> SingleJob | None:
        """Send a job for which there is nothing to plan; ``None`` if it must go the usual way."""
        check_seconds("timeout", timeout)
        check_control_of_call(control_extra)
        handler = self._plain_handler(service_name)
        if handler is None:
            return None
        job_request = JobRequest(
            make_control(False, False, control_extra, timeout),
            make_context(self.context, switches, correlation_id, context),
            actions,
        )
        return SingleJob(handler, job_request, timeout or None)

    def _future_of(
        self,
        job: SingleJob,
        service_name: str,
        actions: list[ActionRequest],
        raise_job_errors: bool,
        raise_action_errors: bool,
        timeout: float | None,
    ) -> FutureSOAResponse[ActionResponse]:
        def get_response(result_timeout: float | None) -> ActionResponse:
            try:
                response = job.wait(result_timeout)
            except MessageReceiveTimeout:
                raise
            except Exception:
                job.abandon()
                raise
            action_response = successful_action(response)
            if action_response is not None:
                return action_response
            call = self._continue_call(
                job.exchange,
                job.request_id,
                service_name,
                actions,
                response,
                raise_job_errors,
                raise_action_errors,
                timeout,
            )
            return only_action(call.only_result(result_timeout), service_name, actions[0].action)

        return self.FutureResponse(get_response)

    def _continue_call(
        self,
        exchange: Exchange,
        request_id: int,
        service_name: str,
        actions: list[ActionRequest],
        response: Outcome | None,
        raise_job_errors: bool,
        raise_action_errors: bool,
        timeout: float | None,
    ) -> Call:
        """Return a usual call in the state of a job, to deal with what is odd about its response."""
        call = self._new_call(None, raise_job_errors, raise_action_errors, timeout, None, None, None, None)
        call.adopt(service_name, actions, request_id, exchange, response)
        return call

    # The usual way

    def _new_call(
        self,
        expansions: Expansions | None,
        raise_job_errors: bool,
        raise_action_errors: bool,
        timeout: float | None,
        switches: Iterable[Any] | None,
        correlation_id: str | None,
        context: Context | None,
        control_extra: Control | None,
        *,
        continue_on_error: bool = False,
        catch_transport_errors: bool = False,
        is_parallel: bool = False,
    ) -> Call:
        """Check what was asked for, before anything is sent."""
        check_seconds("timeout", timeout)
        check_control_of_call(control_extra)
        options = CallOptions(
            raise_job_errors=raise_job_errors,
            raise_action_errors=raise_action_errors,
            catch_transport_errors=catch_transport_errors,
            continue_on_error=continue_on_error,
            timeout=timeout or None,
            switches=switches,
            correlation_id=correlation_id,
            shared_correlation_id=new_correlation_id(),
            context=context,
            control_extra=control_extra,
            trees=self._make_trees(expansions) if expansions else (),
            is_parallel=is_parallel,
        )
        return Call(self._dispatch, self, options)


_CALL_ACTIONS_FUTURE: Final = FutureCalls.call_actions_future
