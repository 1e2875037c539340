"""Laying the local directives of a test case over the global ones of its fixture."""

# Values are of any type here, and so is what they contain.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

from typing import Any

from pysoa.test.plan.grammar._paths import copy_containers

__all__ = ("overlay", "with_globals")


def with_globals(test_case: dict[str, Any], global_case: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a test case in which what is global holds too.

    Args:
        test_case: What the lines of the test case have stored.
        global_case: What the global lines have stored. Action cases that the test case lacks are left out.
    """
    merged: dict[str, Any] = {}
    for key, value in global_case.items():
        if not _is_label(key):
            merged[key] = copy_containers(value)
    for key, value in test_case.items():
        if _is_label(key):
            merged[key] = _overlay_case(global_case.get(key, {}), value)
        else:
            merged[key] = overlay(merged.get(key), value)
    return merged


def _is_label(key: str) -> bool:
    return "." in key


def _overlay_case(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = copy_containers(below)
    for key, value in above.items():
        merged[key] = overlay(below[key], value) if key in below else copy_containers(value)
    return merged


def overlay(below: Any, above: Any) -> Any:
    """Return what two values are together.

    Dictionaries are merged key by key, lists position by position. Everywhere else, and where it is an empty
    dictionary or list, the one above is taken.

    Args:
        below: The global value.
        above: The local value.
    """
    if isinstance(above, dict) and isinstance(below, dict) and above:
        merged = copy_containers(below)
        for key, value in above.items():
            merged[key] = overlay(below[key], value) if key in below else copy_containers(value)
        return merged
    if isinstance(above, list) and isinstance(below, list) and above:
        both = [overlay(old, new) for old, new in zip(below, above, strict=False)]
        return both + copy_containers(below[len(both) :]) + copy_containers(above[len(both) :])
    return copy_containers(above)
