"""The log lines that show requests and responses, without secrets, and without work if nobody reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pysoa.common._plain import is_dict

if TYPE_CHECKING:  # it imports this module
    from pysoa.common.types import JobResponse
    from pysoa.server.server import Server

__all__ = ("has_errors", "log_request", "log_response", "loggable")


def log_request(server: Server, job_request: Any) -> None:
    """Log a request that has just arrived, at the level of success, which must be enabled."""
    server.job_logger.log(server.request_log_success_level, "Job request: %s", loggable(server, job_request))


def log_response(
    server: Server, job_request: Any, job_response: JobResponse, response: dict[str, Any]
) -> None:
    """Log a response; if it has errors, the request before it, unless that has been logged already."""
    logger = server.job_logger
    success_level = server.request_log_success_level
    level = server.request_log_error_level
    if not has_errors(job_response):
        if logger.isEnabledFor(success_level):
            logger.log(success_level, "Job response: %s", loggable(server, response))
        return
    if level > success_level and not logger.isEnabledFor(success_level):
        logger.log(level, "Job request: %s", loggable(server, job_request))
    if logger.isEnabledFor(level):
        logger.log(level, "Job response: %s", loggable(server, response))


def has_errors(job_response: JobResponse) -> bool:
    """Tell whether the job or any of its actions failed."""
    return bool(job_response.errors or any(action.errors for action in job_response.actions))


def loggable(server: Server, message: Any) -> Any:
    """Return what shows the message without its secrets when a log record is written."""
    # What is no dictionary has no names by which secrets could be told.
    wrapped: dict[Any, Any] = message if is_dict(message) else {"not a dictionary": type(message).__name__}
    return server.logging_dict_wrapper_class(wrapped)
