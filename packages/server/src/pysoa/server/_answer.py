"""Answering a request: from the job response to the transport, whatever goes wrong on the way."""

from __future__ import annotations

# The names with an underscore are the part of Server that its own modules share.
# pyright: reportPrivateUsage=false
import functools
from typing import TYPE_CHECKING, Any

from pysoa.common._envelope import (
    job_response_to_dict,
    knows_is_caller_error,
    successful_response_to_dict,
)
from pysoa.common._plain import to_plain
from pysoa.common.constants import ERROR_CODE_RESPONSE_NOT_SERIALIZABLE, ERROR_CODE_RESPONSE_TOO_LARGE
from pysoa.common.serializer.errors import InvalidField
from pysoa.common.transport.errors import MessageTooLarge
from pysoa.common.types import JobResponse
from pysoa.server._job import echo_correlation_id
from pysoa.server._request_log import log_response, loggable

if TYPE_CHECKING:  # it imports this module
    from pysoa.server.server import Server

__all__ = ("answer",)


def answer(
    server: Server,
    request_id: int,
    meta: dict[str, Any],
    job_request: Any,
    job_response: JobResponse,
    may_log: bool,
) -> None:
    """Send the response of a job, unless the caller wants none, and log it if it may be logged.

    Never raises: a response that cannot be sent is replaced by one that says so, and if that cannot be sent
    either, it is lost. The job is done in any case, and the next one shall not suffer.
    """
    try:
        response = successful_response_to_dict(job_response) or job_response_to_dict(
            job_response, knows_is_caller_error(meta)
        )
    except Exception as error:
        server._count("server.error.response_conversion_failure")
        job_response = server.handle_unhandled_exception(
            error, JobResponse, variables={"job_response": job_response}
        )
        echo_correlation_id(job_request, job_response)
        response = job_response_to_dict(job_response, knows_is_caller_error(meta))
    try:
        is_wanted = job_request["control"].get("suppress_response") is not True
    except (AttributeError, LookupError, TypeError):
        is_wanted = True  # no job request at all, which its sender should learn

    replacement: JobResponse | None = None
    try:
        if is_wanted:
            _send(server, request_id, meta, job_response, response)
    except Exception as error:
        replacement = _handle_failed_send(server, request_id, job_request, job_response, response, error)
    if replacement is not None:
        _send_replacement(server, request_id, meta, job_request, replacement)

    if not may_log:
        return
    try:
        log_response(server, job_request, job_response, response)
    except Exception as error:  # a logging filter of the service, for one
        server.logger.error("Could not log the response to request %s", request_id, exc_info=error)


def _send(
    server: Server,
    request_id: int,
    meta: dict[str, Any],
    job_response: JobResponse,
    response: dict[str, Any],
) -> None:
    transport: Any = server.transport
    if transport is not server._known_transport:
        server._get_to_know_transport()
    if not server._transport_carries_native_values:
        # Other people's transports get what 1.x gave them: plain values, and a meta that they may consume.
        response = to_plain(response)
        meta = dict(meta)
    if (
        server._may_send_and_wait
        and server._on_request_taken is not None
        and not server.shutting_down
        and not server._is_ending
    ):
        # A run loop is there to keep the promise to receive next. Set first: the wait is owed even if this
        # raises.
        server._receive_is_owed = True
        note_lost = functools.partial(_note_lost_response, server, request_id, job_response)
        transport.send_response_and_wait(request_id, meta, response, note_lost)
    else:
        transport.send_response_message(request_id, meta, response)


def _handle_failed_send(
    server: Server,
    request_id: int,
    job_request: Any,
    job_response: JobResponse,
    response: dict[str, Any],
    error: Exception,
) -> JobResponse | None:
    """Note that a response is lost, or return another one to send in its place."""
    if isinstance(error, MessageTooLarge):
        server._count("server.error.response_too_large")
        return server.handle_job_error_code(
            ERROR_CODE_RESPONSE_TOO_LARGE,
            "Could not send the response because it was too large",
            loggable(server, job_request),
            loggable(server, response),
            extra={"serialized_length_in_bytes": error.message_size_in_bytes},
        )
    if isinstance(error, InvalidField):
        server._count("server.error.response_not_serializable")
        return server.handle_job_error_code(
            ERROR_CODE_RESPONSE_NOT_SERIALIZABLE,
            "Could not send the response because it failed to serialize",
            loggable(server, job_request),
            loggable(server, response),
        )
    _note_lost_response(server, request_id, job_response, error)
    return None


def _send_replacement(
    server: Server, request_id: int, meta: dict[str, Any], job_request: Any, replacement: JobResponse
) -> None:
    echo_correlation_id(job_request, replacement)
    try:
        response = job_response_to_dict(replacement, knows_is_caller_error(meta))
        _send(server, request_id, meta, replacement, response)
    except Exception as error:
        _note_lost_response(server, request_id, replacement, error)


def _note_lost_response(server: Server, request_id: int, job_response: JobResponse, error: Exception) -> None:
    server._count("server.error.response_send_failure")
    server.logger.error(
        "Could not send the response to request %s, which is lost; the job was done and is not repeated. "
        "Outcome: %s. Cause: %s: %s",
        request_id,
        _outcome_of(job_response),
        type(error).__name__,
        error,
        exc_info=error,
    )


def _outcome_of(job_response: JobResponse) -> str:
    if job_response.errors:
        return "job errors " + ", ".join(error.code for error in job_response.errors)
    return ", ".join(
        f"{action.action}: {', '.join(error.code for error in action.errors) or 'success'}"
        for action in job_response.actions
    )
