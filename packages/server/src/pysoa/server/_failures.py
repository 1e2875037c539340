"""Responses for what no action meant to answer."""

from __future__ import annotations

# The names with an underscore are the part of Server that its own modules share.
# pyright: reportPrivateUsage=false
import traceback
from typing import TYPE_CHECKING, Any, cast

from pysoa.common._plain import copy_plain
from pysoa.common.constants import ERROR_CODE_SERVER_ERROR
from pysoa.common.errors import Error
from pysoa.common.types import JobResponse
from pysoa.server._request_log import loggable

if TYPE_CHECKING:  # it imports this module
    from pysoa.server.server import Server

__all__ = ("unhandled_exception_error",)

_UNFORMATTABLE = "Error formatting variable"


def unhandled_exception_error(
    server: Server, exception: BaseException, variables: dict[str, Any] | None
) -> Error:
    """Log an exception and return the error that tells the caller of it."""
    try:
        text = str(exception)
    except Exception:
        server._count("server.error.error_formatting_failure")
        text = "Error formatting error"
        server.logger.error("Unhandled %s, which has no text", type(exception).__name__)
    else:
        server.logger.error(exception, exc_info=exception)
    details: dict[str, Any] = {}
    if server.settings["send_tracebacks"]:
        details["traceback"] = _format_traceback(server, exception)
        if variables is not None:
            details["variables"] = {name: _describe(server, name, value) for name, value in variables.items()}
    return Error(
        code=ERROR_CODE_SERVER_ERROR,
        message=f"Internal server error: {text}",
        **details,
    )


def _format_traceback(server: Server, exception: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(exception))
    except Exception:
        server._count("server.error.error_formatting_failure")
        return "Error formatting traceback"


def _describe(server: Server, name: str, value: Any) -> str:
    """Return the text of a variable, with what is named like a secret censored."""
    try:
        if name in server.logging_dict_wrapper_class.SENSITIVE_FIELDS:
            return server.logging_dict_wrapper_class.CENSORED_STRING
        if isinstance(value, (dict, JobResponse)):
            return repr(loggable(server, copy_plain(value)))
        return repr(cast("object", value))
    except Exception:
        server._count("server.error.variable_formatting_failure")
        return _UNFORMATTABLE
