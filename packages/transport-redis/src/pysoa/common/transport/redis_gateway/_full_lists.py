"""Remembers full reply lists, so that a dead client's list does not hold up the answers to others."""

from __future__ import annotations

__all__ = ("FullLists",)

_MAXIMUM_REMEMBERED = 256


class FullLists:
    """The reply lists of one server that have been found full lately. Bounded, and used by one thread."""

    __slots__ = ("_names",)

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def __contains__(self, queue_name: str) -> bool:
        return queue_name in self._names

    def add(self, queue_name: str) -> None:
        """Remember that a list stayed full."""
        self._names.pop(queue_name, None)
        while len(self._names) >= _MAXIMUM_REMEMBERED:
            del self._names[next(iter(self._names))]
        self._names[queue_name] = None

    def discard(self, queue_name: str) -> None:
        """Remember no longer, since the list had room."""
        if self._names:
            self._names.pop(queue_name, None)
