"""Finding the action of a name on a server."""

from __future__ import annotations

# The names with an underscore are the part of Server that its own modules share.
# pyright: reportPrivateUsage=false
import types
from typing import TYPE_CHECKING, Any

from pysoa.common.constants import ERROR_CODE_UNKNOWN
from pysoa.common.errors import Error

if TYPE_CHECKING:  # both import this module
    from pysoa.server.server import Server
    from pysoa.server.types import ActionType

__all__ = (
    "default_introspection_action",
    "default_status_action",
    "find_action",
    "unknown_action_error",
)


def find_action(server: Server, name: str) -> ActionType | None:
    """Return what makes the action of this name, given the server settings; ``None`` if the server has none.

    The server's action map wins over the actions that every server has by default.
    """
    actions = server.action_class_map
    if name in actions:
        action = actions[name]
        if getattr(action, "_needs_server", None) is True:
            make: Any = action
            return lambda _settings: make(server)
        return action
    if name == "status":
        return default_status_action(server)
    if name == "introspect":
        return lambda _settings: default_introspection_action(server)
    return None


def unknown_action_error(name: str, is_caller_error: bool) -> Error:
    """Return the error for an action that :func:`find_action` did not find."""
    return Error(
        code=ERROR_CODE_UNKNOWN,
        message=f'The action "{name}" was not found on this server.',
        field="action",
        is_caller_error=is_caller_error,
    )


def default_status_action(server: Server) -> ActionType:
    """Return the status action of a service that has none of its own; made once per server."""
    if server._default_status_action_class is None:
        from pysoa.server.action.status import make_default_status_action_class

        server._default_status_action_class = make_default_status_action_class(type(server))
    return server._default_status_action_class


def default_introspection_action(server: Server) -> Any:
    """Return a new introspection action, of the server's own kind if it has one."""
    make: Any = server.introspection_action
    if make is None:
        from pysoa.server.action.introspection import IntrospectionAction

        make = IntrospectionAction
    elif isinstance(make, types.MethodType) and make.__self__ is server:
        make = make.__func__  # a plain function in the class body, which is meant to get the server just once
    return make(server)
