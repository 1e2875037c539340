"""Actions that choose another action by the switches of the request."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, ClassVar, SupportsInt, cast

from pysoa.common.types import ActionResponse
from pysoa.server.internal.types import SupportsIntValue, get_switch, is_switch
from pysoa.server.settings import ServerSettings
from pysoa.server.types import ActionType, EnrichedActionRequest

__all__ = ("SwitchedAction",)


class _DefaultAction:
    """The switch that no caller can turn on."""

    def __int__(self) -> int:
        # Switches are not negative, so that this equals none of them.
        return -5

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _DefaultAction)

    __hash__ = None  # type: ignore[assignment]  # it is compared, never looked up

    def __repr__(self) -> str:
        return "SwitchedAction.DEFAULT_ACTION"


_DEFAULT_ACTION = _DefaultAction()


class _SwitchedActionMetaClass(abc.ABCMeta):
    """Checks subclasses of :class:`SwitchedAction` when they are defined."""

    def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> Any:
        is_base = not any(isinstance(base, _SwitchedActionMetaClass) for base in bases)
        if not is_base:
            if len(bases) > 1:
                raise TypeError("You cannot use multiple inheritance with SwitchedActions")
            if body.get("DEFAULT_ACTION", _DEFAULT_ACTION) is not _DEFAULT_ACTION:
                raise TypeError("Overriding SwitchedAction.DEFAULT_ACTION is not permitted")
        cls = super().__new__(mcs, name, bases, body)
        if not is_base:
            _check_map(cls.__dict__.get("switch_to_action_map", getattr(cls, "switch_to_action_map", ())))
        return cls


def _check_map(switch_to_action_map: Any) -> None:
    try:
        items = list(switch_to_action_map)
        size = len(switch_to_action_map)
    except TypeError:
        size, items = 0, []
    if size < 2:
        raise ValueError(
            "Class attribute switch_to_action_map must be an iterable, such as a tuple or list, that "
            "provides __len__ and has at least two items"
        )
    for item in items:
        if not _is_pair(item) or not is_switch(item[0]) or not callable(item[1]):
            raise ValueError(
                "Class attribute switch_to_action_map must contain only indexable items of exactly two "
                "elements, a "
                f"switch and an action; this one is something else: {item!r}"
            )


def _is_pair(item: Any) -> bool:
    return hasattr(item, "__len__") and hasattr(item, "__getitem__") and len(item) == 2


class SwitchedAction(metaclass=_SwitchedActionMetaClass):
    """An action that defers to one of several actions, chosen by the switches that the caller turned on.

    A subclass overrides :attr:`switch_to_action_map` and nothing else::

        class UserTransitionAction(SwitchedAction):
            switch_to_action_map = (
                (USER_VERSION_2_ENABLED, UserActionV2),
                (SwitchedAction.DEFAULT_ACTION, UserActionV1),
            )
    """

    DEFAULT_ACTION: ClassVar[SupportsInt] = _DEFAULT_ACTION
    """Stands where a switch would, beside the action to use when no switch of the map is on."""

    switch_to_action_map: ClassVar[Sequence[tuple[SupportsInt | SupportsIntValue, ActionType]]] = ()
    """At least two pairs of a switch and an action.

    The first pair wins whose switch is on. If there is none, the pair of :attr:`DEFAULT_ACTION` wins, and
    without one the last pair.
    """

    def __init__(self, settings: ServerSettings | None = None) -> None:
        """Construct the action, for one execution; not to be overridden.

        Args:
            settings: The server settings, passed on to the chosen action.
        """
        if type(self) is SwitchedAction:
            raise TypeError("Cannot instantiate abstract SwitchedAction")
        self.settings = settings

    def get_uninitialized_action(self, action_request: EnrichedActionRequest[Any]) -> ActionType:
        """Return the action that this request is for, not yet constructed.

        Args:
            action_request: The request.
        """
        active = action_request.switches
        default: ActionType | None = None
        action: ActionType | None = None
        for switch, action in self.switch_to_action_map:
            if switch == self.DEFAULT_ACTION:
                default = action
            elif active and get_switch(switch) in active:
                return action
        return cast("ActionType", action if default is None else default)  # the map has two items at least

    def __call__(self, action_request: EnrichedActionRequest[Any]) -> ActionResponse:
        """Execute the action that the request is for.

        Args:
            action_request: The request.

        Returns:
            What the chosen action returns.

        Raises:
            ActionError: The chosen action raised it.
            ResponseValidationError: The chosen action raised it.
        """
        return self.get_uninitialized_action(action_request)(self.settings)(action_request)
