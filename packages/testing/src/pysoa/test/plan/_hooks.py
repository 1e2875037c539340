"""Calling the hooks of a plan and of all directives, in pairs of set-up and tear-down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pysoa.test.plan._failures import Failures
from pysoa.test.plan.grammar.directive import get_all_directives

__all__ = ("Scope", "call_directives")

__test_plan_prune_traceback = True  # read by name, by what prunes tracebacks


def call_directives(hook: str, *arguments: Any, **keywords: Any) -> None:
    """Call a hook of each directive, with a new object of it."""
    for directive in get_all_directives():
        getattr(directive(), hook)(*arguments, **keywords)


class Scope:
    """What is set up for a fixture, a test case or an action case.

    Whatever was begun is torn down, even if setting up was not completed.

    Args:
        plan: The plan, whose hooks have the same names as those of directives.
        name: What the hooks are about: the end of their names.
        arguments: What they are called with.
    """

    def __init__(self, plan: object, name: str, *arguments: Any) -> None:
        self._set_up_hook: Final = f"set_up_{name}"
        self._tear_down_hook: Final = f"tear_down_{name}"
        self._plan: Final = plan
        self._arguments: Final = arguments
        self._begun: list[Callable[..., object]] = []
        self._plan_is_set_up = False

    def set_up(self) -> None:
        """Call the plan's hook, then those of the directives.

        Raises:
            Exception: A hook failed.
        """
        getattr(self._plan, self._set_up_hook)(*self._arguments)
        self._plan_is_set_up = True
        for directive in get_all_directives():
            self._begun.append(getattr(directive(), self._tear_down_hook))
            getattr(directive(), self._set_up_hook)(*self._arguments)

    def tear_down(self, failures: Failures) -> None:
        """Call the directives' hooks, then the plan's, all of them, whatever they raise.

        Args:
            failures: Where errors go.
        """
        begun, self._begun = self._begun, []
        for tear_down in begun:
            with failures.caught():
                tear_down(*self._arguments)
        if self._plan_is_set_up:
            self._plan_is_set_up = False
            with failures.caught():
                getattr(self._plan, self._tear_down_hook)(*self._arguments)
