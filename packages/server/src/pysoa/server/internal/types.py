"""Switches: constants with which callers choose between versions of a behaviour.

A switch is an integer, an object with ``__int__``, or an object whose ``value`` is one of these, such as a
member of an :class:`enum.Enum`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, Self, SupportsInt, cast, runtime_checkable

__all__ = (
    "RequestSwitchSet",
    "SupportsIntValue",
    "SwitchSet",
    "get_switch",
    "is_switch",
)


@runtime_checkable
class SupportsIntValue(Protocol):
    """An object whose ``value`` can be made an integer."""

    @property
    def value(self) -> SupportsInt:
        """The integer, or something that has one."""
        ...


def get_switch(item: SupportsInt | SupportsIntValue) -> int:
    """Return the integer that a switch stands for.

    Args:
        item: The switch.

    Raises:
        TypeError: The item has neither ``__int__`` nor a ``value`` with ``__int__``.
    """
    if type(item) is int:
        return item
    if hasattr(item, "__int__"):
        return int(cast("SupportsInt", item))
    value = getattr(item, "value", None)
    if hasattr(value, "__int__"):
        return int(cast("SupportsInt", value))
    raise TypeError("switch does not implement the switch constant interface")


def is_switch(item: object) -> bool:
    """Tell whether :func:`get_switch` accepts the item."""
    return hasattr(item, "__int__") or hasattr(getattr(item, "value", None), "__int__")


class SwitchSet(frozenset[int]):
    """An immutable set of switches, held as integers.

    ``in`` takes any switch. The set operators return a plain :class:`frozenset`.
    """

    def __new__(cls, switches: Iterable[SupportsInt | SupportsIntValue] | None = None) -> Self:
        """Make the set of the integers of the given switches."""
        return super().__new__(cls, [get_switch(switch) for switch in switches or ()])

    def __contains__(self, switch: Any) -> bool:
        return super().__contains__(get_switch(switch))


class RequestSwitchSet(SwitchSet):
    """The switches of one request."""

    def is_active(self, switch: SupportsInt | SupportsIntValue) -> bool:
        """Tell whether the caller turned this switch on.

        Raises:
            TypeError: It is not a switch.
        """
        return switch in self
