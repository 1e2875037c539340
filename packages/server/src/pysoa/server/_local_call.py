"""How an action calls another action of the same service."""

from __future__ import annotations

# The names with an underscore are the part of Server that its own modules share.
# pyright: reportPrivateUsage=false
from typing import TYPE_CHECKING, Any

import attr

from pysoa.common.constants import ERROR_CODE_SERVER_ERROR
from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse, Body, Context
from pysoa.server._actions import find_action, unknown_action_error
from pysoa.server._lazy_client import LazyClient
from pysoa.server.errors import ActionError
from pysoa.server.internal.types import RequestSwitchSet

if TYPE_CHECKING:  # both import this module
    from pysoa.server.server import Server
    from pysoa.server.types import EnrichedActionRequest

__all__ = ("call_local_action",)


def call_local_action(
    request: EnrichedActionRequest[Any],
    server: Server | None,
    action: str,
    body: Body,
    raise_action_errors: bool,
    is_caller_error: bool,
    context: Context | None,
) -> ActionResponse:
    """Do what ``EnrichedActionRequest.call_local_action`` promises."""
    if server is None:
        error = Error(
            code=ERROR_CODE_SERVER_ERROR,
            message="No `_server` attribute set on action request object (and can't make request without it)",
        )
        return _failure(action, error, raise_action_errors)
    action_type = find_action(server, action)
    if action_type is None:
        return _failure(action, unknown_action_error(action, is_caller_error=False), raise_action_errors)

    local_request = _derive(request, action, body, context)
    local_request._server = server
    try:
        response = action_type(server.settings)(local_request)
    except ActionError as error:
        if raise_action_errors:
            raise
        return ActionResponse(action, error.errors)
    if raise_action_errors and response.errors:
        raise ActionError(response.errors, set_is_caller_error_to=is_caller_error)
    return response


def _failure(action: str, error: Error, raise_it: bool) -> ActionResponse:
    if raise_it:
        raise ActionError([error], set_is_caller_error_to=None)
    return ActionResponse(action, [error])


def _derive(
    request: EnrichedActionRequest[Any], action: str, body: Body, context: Context | None
) -> EnrichedActionRequest[Any]:
    """Return a request of the same class with another action, body and context."""
    values: dict[str, Any] = {
        # Without this detour, reading the field would build the client.
        field.name: vars(request).get("client") if field.name == "client" else getattr(request, field.name)
        for field in attr.fields(type(request))
        if field.init
    }
    values.update(action=action, body=body, context=dict(request.context))
    if context:
        values["context"].update(context)
        if "switches" in context:
            values["switches"] = RequestSwitchSet(context["switches"])
        if type(values["client"]) is LazyClient:
            values["client"] = values["client"].with_context(values["context"])
    # attrs takes the name of a private field without its underscore.
    return type(request)(**{name.lstrip("_"): value for name, value in values.items()})
