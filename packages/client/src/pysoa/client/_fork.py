"""Gives what belongs to one process only a fresh start in the child after a fork."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ("call_in_forked_child",)


class _ResetsInForkedChild(Protocol):
    def reset_in_forked_child(self) -> None:
        """Replace locks, ids and whatever else parent and child must not share."""
        ...


_to_reset: weakref.WeakSet[_ResetsInForkedChild] = weakref.WeakSet()


def call_in_forked_child(resettable: _ResetsInForkedChild) -> None:
    """Have ``reset_in_forked_child`` called in every child forked while the object lives."""
    _to_reset.add(resettable)


def _reset_all() -> None:
    for resettable in list(_to_reset):
        resettable.reset_in_forked_child()


os.register_at_fork(after_in_child=_reset_all)
