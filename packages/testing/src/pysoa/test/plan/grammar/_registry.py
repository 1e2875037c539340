"""Which directives there are. They are collected once, as finding entry points is slow."""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
import sys
import traceback
from typing import TYPE_CHECKING, Final

from pysoa.test.plan.errors import DirectiveError

if TYPE_CHECKING:  # The module of the class imports this one.
    from pysoa.test.plan.grammar.directive import Directive

__all__ = ("all_directives", "register")

_ENTRY_POINT_GROUP: Final = "pysoa.test.plan.grammar.directives"

_registered: list[type[Directive]] = []


@functools.cache
def all_directives() -> tuple[type[Directive], ...]:
    """Return the directives: built in, then from entry points, then registered."""
    # They import the module of their base class, which imports this one.
    from pysoa.test.plan.grammar.directives import BUILT_IN_DIRECTIVES

    directives = dict.fromkeys([*BUILT_IN_DIRECTIVES, *_from_entry_points(), *_registered])
    return tuple(directives)


def register(directive: type[Directive]) -> None:
    """Add a directive."""
    _require_complete(directive)
    if directive not in _registered:
        _registered.append(directive)
        all_directives.cache_clear()


@functools.cache
def _from_entry_points() -> tuple[type[Directive], ...]:
    directives: list[type[Directive]] = []
    for entry_point in importlib.metadata.entry_points(group=_ENTRY_POINT_GROUP):
        try:
            directive = entry_point.load()
        except Exception:
            sys.stderr.write(f"WARNING: Could not load test plan directive {entry_point.value!r}; skipped.\n")
            traceback.print_exc(file=sys.stderr)
            continue
        _require_complete(directive)
        directives.append(directive)
    return tuple(directives)


def _require_complete(directive: object) -> None:
    from pysoa.test.plan.grammar.directive import Directive  # it imports this module

    if not (isinstance(directive, type) and issubclass(directive, Directive)):
        raise DirectiveError(f"{directive!r} is no directive: it must be a subclass of Directive")
    if inspect.isabstract(directive):
        missing = ", ".join(sorted(directive.__abstractmethods__))
        raise DirectiveError(f"Directive {directive.__name__} lacks methods; define {missing}")
