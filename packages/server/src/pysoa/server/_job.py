"""Processing a job: checking it, running its actions, and turning every failure into a response.

Whatever an action or a middleware raises becomes an error in the response. Only what must end the process
passes: ``SystemExit``, ``KeyboardInterrupt`` and the like.
"""

from __future__ import annotations

# The names with an underscore are the part of Server that its own modules share.
# pyright: reportPrivateUsage=false
import asyncio
from typing import TYPE_CHECKING, Any

from pysoa.common._envelope import new_instance, successful_job_response
from pysoa.common._log_context import action_names
from pysoa.common.constants import ERROR_CODE_ACTION_TIMEOUT, ERROR_CODE_JOB_TIMEOUT
from pysoa.common.errors import Error
from pysoa.common.types import ActionRequest, ActionResponse, JobResponse
from pysoa.server._actions import find_action, unknown_action_error
from pysoa.server._interrupts import HarakiriInterrupt
from pysoa.server._job_envelope import is_usual_job_request, job_request_errors
from pysoa.server._lazy_client import LazyClient
from pysoa.server.errors import ActionError, JobError
from pysoa.server.internal.types import RequestSwitchSet
from pysoa.server.types import EnrichedActionRequest, EnrichedJobRequest

if TYPE_CHECKING:  # it imports this module
    from pysoa.server.server import Server

__all__ = (
    "echo_correlation_id",
    "execute_job",
    "job_timeout_response",
    "process_job",
)

_NO_SWITCHES = RequestSwitchSet()
# Found once, since Python 3.11 looks for methods of imported objects each time anew.
_get_action_names = action_names.get
_set_action_names = action_names.set
_reset_action_names = action_names.reset


def process_job(server: Server, job_request: Any) -> JobResponse:
    """Do what ``Server.process_job`` promises, for anything that may have arrived as a job request."""
    try:
        if not is_usual_job_request(job_request):
            _refuse_invalid(job_request)
        context = job_request["context"]
        run_job = server._middleware_job_wrapper
        response = run_job(_enriched_job_request(server, job_request, context))
        _check_response(response)
        correlation_id = context.get("correlation_id")
        if isinstance(correlation_id, str):
            response.context["correlation_id"] = correlation_id
        return response
    except HarakiriInterrupt:
        return job_timeout_response(server, job_request)
    except JobError as error:
        server._count("server.error.job_error")
        response = JobResponse(errors=error.errors)
    except (Exception, asyncio.CancelledError) as error:
        response = server.handle_unhandled_exception(error, JobResponse)
    echo_correlation_id(job_request, response)
    return response


def _check_response(response: Any) -> None:
    if response.__class__ is JobResponse and response.errors is not None and response.context is not None:
        return  # as nearly always
    if getattr(response, "errors", None) is None or getattr(response, "context", None) is None:
        raise TypeError(f"The job middleware returned {type(response).__name__!r} instead of a JobResponse.")


def _refuse_invalid(job_request: Any) -> None:
    errors = job_request_errors(job_request)
    if errors:
        raise JobError(
            [Error(code=error.code, message=error.message, field=error.pointer) for error in errors],
            set_is_caller_error_to=None,
        )


def _enriched_job_request(server: Server, job_request: Any, context: Any) -> EnrichedJobRequest:
    # It has been checked, so there is nothing for the constructors to convert.
    actions: list[ActionRequest] = []
    for fields in job_request["actions"]:
        action = new_instance(ActionRequest)
        action.action, action.body = fields["action"], fields.get("body", {})
        actions.append(action)
    request = new_instance(EnrichedJobRequest)
    request.__dict__ = {
        "control": job_request["control"],
        "context": context,
        "actions": actions,
        "client": LazyClient(server.make_client, context.copy()),
        "run_coroutine": server._async_event_loop_thread.run_coroutine,
    }
    return request


def job_timeout_response(server: Server, job_request: Any) -> JobResponse:
    """Count a job that harakiri has interrupted outside of its actions, and return the response to it."""
    server._count("server.error.harakiri", harakiri_level="job")
    response = JobResponse(
        errors=[
            Error(
                code=ERROR_CODE_JOB_TIMEOUT,
                message="The service job ran for too long and had to be interrupted (probably a middleware "
                "issue).",
            )
        ]
    )
    echo_correlation_id(job_request, response)
    return response


def echo_correlation_id(job_request: Any, response: JobResponse) -> None:
    """Put the correlation id of the request into the response's context, whenever the request has one."""
    try:
        correlation_id = job_request["context"]["correlation_id"]
    except (LookupError, TypeError):
        return
    if isinstance(correlation_id, str):
        response.context["correlation_id"] = correlation_id


def execute_job(server: Server, job_request: EnrichedJobRequest) -> JobResponse:
    """Do what ``Server.execute_job`` promises."""
    continue_on_error = job_request.control.get("continue_on_error", False)
    switches = job_request.context["switches"]
    switches = RequestSwitchSet(switches) if switches else _NO_SWITCHES
    client = vars(job_request).get("client")  # the lazy one: reading the attribute would build the client
    responses: list[ActionResponse] = []
    for action_request in job_request.actions:
        name = action_request.action
        before = _set_action_names((*_get_action_names(), name))
        try:
            response = _execute_action(server, job_request, action_request, switches, client)
            responses.append(response)
            if response.errors and not continue_on_error:
                break
        except HarakiriInterrupt:
            server._count("server.error.harakiri", harakiri_level="action")
            responses.append(ActionResponse(name, [_action_timeout(name)]))
            break
        finally:
            _reset_action_names(before)
    return successful_job_response({}, responses)


def _execute_action(
    server: Server,
    job_request: EnrichedJobRequest,
    action_request: Any,
    switches: RequestSwitchSet,
    client: Any,
) -> ActionResponse:
    name = action_request.action
    try:
        action_type = find_action(server, name)
        if action_type is None:
            return ActionResponse(name, [unknown_action_error(name, is_caller_error=True)])
        fields: dict[str, Any] = {
            "action": name,
            "body": action_request.body,
            "switches": switches,
            "context": job_request.context,
            "control": job_request.control,
            "client": client,
            "run_coroutine": job_request.run_coroutine,
        }
        request_class = server.request_class
        if request_class is EnrichedActionRequest:
            enriched_request: Any = new_instance(request_class)
            enriched_request.__dict__ = fields  # as the constructor would do it, but at once
        else:
            enriched_request = request_class(**fields)
        enriched_request._server = server
        run: Any = action_type(server.settings)
        if server._middleware:
            run = server.make_middleware_stack([middleware.action for middleware in server._middleware], run)
        response: Any = run(enriched_request)  # whatever it is declared as
        if (
            response.errors if response.__class__ is ActionResponse else getattr(response, "errors", None)
        ) is None:
            raise TypeError(f"The action returned {type(response).__name__!r} instead of an ActionResponse.")
    except ActionError as error:
        return ActionResponse(name, error.errors)
    except JobError:
        raise
    except (Exception, asyncio.CancelledError) as error:
        return server.handle_unhandled_exception(error, ActionResponse, action=name)
    checked: ActionResponse = response
    return checked


def _action_timeout(name: str) -> Error:
    return Error(
        code=ERROR_CODE_ACTION_TIMEOUT,
        message=f'The action "{name}" ran for too long and had to be interrupted.',
    )
