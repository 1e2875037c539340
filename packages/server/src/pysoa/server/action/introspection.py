"""The action that describes a service and its actions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, cast

from pysoa.common.constants import ERROR_CODE_INVALID
from pysoa.common.errors import Error
from pysoa.common.interfaces import Schema
from pysoa.common.types import Body
from pysoa.server._fields import fields
from pysoa.server.action.base import Action
from pysoa.server.action.status import BaseStatusAction
from pysoa.server.action.switched import SwitchedAction
from pysoa.server.errors import ActionError
from pysoa.server.internal.types import get_switch
from pysoa.server.types import EnrichedActionRequest

if TYPE_CHECKING:  # it imports this module
    from pysoa.server.server import Server

__all__ = ("SWITCHED_ACTION_RE", "IntrospectionAction")

SWITCHED_ACTION_RE = re.compile(
    r"^(?P<action>[a-zA-Z0-9_-]+)(\[(switch:(?P<switch>\d+)|(?P<default>DEFAULT))\])$"
)


class IntrospectionAction(Action):
    """Describes the service, its actions and their schemas; all of them, or the one that is asked for.

    A server without an action named ``introspect`` has this one under that name; a service may also map this
    class, or one that extends it, itself.

    The documentation of a service or action is its attribute ``description``, or else its docstring.
    """

    _needs_server: ClassVar[bool] = True

    description: ClassVar[str | None] = (
        "This action returns detailed information about the service's defined actions and the request and "
        "response schemas for each action, along with any documentation defined for the action or for the "
        "service itself. It can be passed a single action name to return information limited to that single "
        "action. Otherwise, it will return information for all of the service's actions. If an action is a "
        "switched action (meaning the action extends `SwitchedAction`, and which action code runs is "
        "controlled with SOA switches), multiple action introspection results will be returned for that "
        "action, each with a name ending in either `[switch:N]` (where `N` is the switch value) or "
        "`[DEFAULT]` for the default action."
    )

    request_schema: ClassVar[Schema | None] = fields.Dictionary(
        {
            "action_name": fields.UnicodeString(
                min_length=1,
                allow_blank=False,
                description="Specify this to limit your introspection to a single action. It will be the "
                "only action present in the `actions` response attribute. If the requested action does not "
                "exist, an error will be returned.",
            ),
        },
        optional_keys=("action_name",),
    )

    response_schema: ClassVar[Schema | None] = fields.Dictionary(
        {
            "documentation": fields.Nullable(
                fields.UnicodeString(
                    description="The documentation for the server, unless `action_name` is specified in the "
                    "request body, in which case this is omitted.",
                )
            ),
            "action_names": fields.List(
                fields.UnicodeString(description="The name of an action."),
                description="An alphabetized list of every action name included in `actions`.",
            ),
            "actions": fields.SchemalessDictionary(
                key_type=fields.UnicodeString(description="The name of the action."),
                value_type=fields.Dictionary(
                    {
                        "documentation": fields.Nullable(
                            fields.UnicodeString(description="The documentation for the action")
                        ),
                        "request_schema": fields.Nullable(
                            fields.Anything(
                                description="A description of the expected request schema, including any "
                                "documentation specified in the schema definition.",
                            )
                        ),
                        "response_schema": fields.Nullable(
                            fields.Anything(
                                description="A description of the guaranteed response schema, including any "
                                "documentation specified in the schema definition.",
                            )
                        ),
                    },
                    description="A introspection of a single action",
                ),
                description="A dict mapping action names to action description dictionaries. This contains "
                "details about every action in the service unless `action_name` is specified in the request "
                "body, in which case it contains details only for that action.",
            ),
        },
        optional_keys=("documentation",),
    )

    def __init__(self, server: Server) -> None:
        """Construct the action, for one execution.

        Args:
            server: The server to describe; not its settings, as for all other actions.

        Raises:
            TypeError: It is not a server.
        """
        from pysoa.server.server import Server

        if not isinstance(server, Server):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
            raise TypeError("First argument (server) must be a Server instance")
        super().__init__(server.settings)
        self.server = server

    def run(self, request: EnrichedActionRequest) -> Body:
        """Describe the service, or the one action that the request names.

        Args:
            request: The request.

        Returns:
            The response body.

        Raises:
            ActionError: The service has no such action.
        """
        if "action_name" in request.body:
            return self._describe(dict(self._find(request.body["action_name"])))
        return {"documentation": _documentation_of(type(self.server)), **self._describe(dict(self._all()))}

    @staticmethod
    def _describe(actions: dict[str, Any]) -> Body:
        return {
            "action_names": sorted(actions),
            "actions": {name: _introspect(action) for name, action in actions.items()},
        }

    def _find(self, name: str) -> Iterator[tuple[str, Any]]:
        """Return the action with this name, or all of them if it is switched and the name does not choose."""
        action = self._get(name)
        if action is not None:
            return _expand(name, action)
        match = SWITCHED_ACTION_RE.match(name)
        if match:
            action = _choose(self._get(match["action"]), match["switch"])
            if action is not None:
                return iter([(name, action)])
        raise ActionError(
            [Error(code=ERROR_CODE_INVALID, message="Action not defined in service", field="action_name")]
        )

    def _get(self, name: str) -> Any:
        actions = self.server.action_class_map
        return actions[name] if name in actions else self._default_actions().get(name)

    def _all(self) -> Iterator[tuple[str, Any]]:
        actions = self.server.action_class_map
        # The server itself needs no more of its action map than "in" and [].
        for name in _names_in(actions):
            yield from _expand(name, actions[name])
        for name, action in self._default_actions().items():
            if name not in actions:
                yield name, action

    def _default_actions(self) -> dict[str, Any]:
        return {"introspect": type(self), "status": BaseStatusAction}


def _names_in(actions: object) -> Iterable[str]:
    return cast("Iterable[str]", actions) if isinstance(actions, Iterable) else ()


def _expand(name: str, action: Any) -> Iterator[tuple[str, Any]]:
    """Yield the action under its name, or each choice of a switched action under a name with its switch."""
    if not _is_switched(action):
        yield name, action
        return
    default = _choose(action, None)
    yield f"{name}[DEFAULT]", default
    items = list(action.switch_to_action_map)
    has_default = any(switch == SwitchedAction.DEFAULT_ACTION for switch, _ in items)
    for switch, choice in items if has_default else items[:-1]:
        if switch != SwitchedAction.DEFAULT_ACTION:
            yield f"{name}[switch:{get_switch(switch)}]", choice


def _choose(action: Any, switch: str | None) -> Any:
    """Return what a switched action chooses for just this switch, or for none; ``None`` if it has no such."""
    if not _is_switched(action):
        return None
    default = last = None
    for item_switch, choice in action.switch_to_action_map:
        if item_switch == SwitchedAction.DEFAULT_ACTION:
            default = choice
        elif switch is not None and get_switch(item_switch) == int(switch):
            return choice
        last = choice
    if switch is not None:
        return None
    return last if default is None else default


def _is_switched(action: Any) -> bool:
    return isinstance(action, type) and issubclass(action, SwitchedAction)


def _introspect(action: Any) -> dict[str, Any]:
    return {
        "documentation": getattr(action, "description", None) or getattr(action, "__doc__", None) or None,
        "request_schema": _introspect_schema(getattr(action, "request_schema", None)),
        "response_schema": _introspect_schema(getattr(action, "response_schema", None)),
    }


def _introspect_schema(schema: Any) -> dict[str, Any] | None:
    return schema.introspect() if schema else None


def _documentation_of(server_class: Any) -> str | None:
    return (
        server_class.description if hasattr(server_class, "description") else server_class.__doc__
    ) or None
