"""Assertions about response bodies and errors, whose messages show what differs, by path."""

from __future__ import annotations

import pprint
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pysoa.test.plan.grammar._comparison import (
    Differences,
    Mismatch,
    compare,
    find_equal,
    find_present,
    unmatched,
)
from pysoa.test.plan.grammar._paths import get_all_paths

__all__ = (
    "assert_actual_list_not_subset",
    "assert_exact_structure",
    "assert_expected_list_subset_of_actual",
    "assert_lists_match_any_order",
    "assert_not_expected",
    "assert_not_present",
    "assert_subset_structure",
)

__test_plan_prune_traceback = True  # read by name, by what prunes tracebacks

_LINE: Final = "-" * 70


def assert_subset_structure(
    expected: Any, actual: Any, subset_lists: bool = False, msg: str | None = None
) -> None:
    """Assert that all expected values are there; dictionaries and lists may have more elements.

    Args:
        expected: Dictionaries and lists with the expected values.
        actual: What is there.
        subset_lists: Whether the elements of a list may be in any order.
        msg: What the values are about.

    Raises:
        AssertionError: Values are missing, or are others.
    """
    _report(compare(expected, actual, exact=False, any_order=subset_lists), expected, actual, msg)


def assert_exact_structure(expected: Any, actual: Any, msg: str | None = None) -> None:
    """Assert that exactly the expected values are there.

    Args:
        expected: Dictionaries and lists with the expected values.
        actual: What is there.
        msg: What the values are about.

    Raises:
        AssertionError: Values are missing, are others, or are too many.
    """
    _report(compare(expected, actual, exact=True), expected, actual, msg)


def assert_not_expected(not_expected: Any, actual: Any, msg: str | None = None) -> None:
    """Assert that each of these values is another one, or is not there.

    Args:
        not_expected: Dictionaries and lists with the values that must not be there. One that is listed where
            there is a list must not be an element of it.
        actual: What is there.
        msg: What the values are about.

    Raises:
        AssertionError: At least one of the values is there.
    """
    paths = list(find_equal(not_expected, actual))
    if paths:
        _fail(
            msg,
            "Not Expected fields present:",
            *(f"   `{path}`" for path in paths),
            "Full body NOT expected:",
            pprint.pformat(not_expected),
            "",
            "Full body actual:",
            pprint.pformat(actual),
            "",
        )


def assert_not_present(not_present: Any, actual: Any, msg: str | None = None) -> None:
    """Assert that some paths do not exist.

    Args:
        not_present: Dictionaries and lists with the paths; their innermost values are ignored.
        actual: What is there.
        msg: What the values are about.

    Raises:
        AssertionError: At least one of the paths exists.
    """
    paths = list(find_present(not_present, actual))
    if paths:
        _fail(
            msg,
            "Not present:",
            *(f"   `{path}`" for path in paths),
            "Full body SHOULD NOT be present:",
            pprint.pformat(get_all_paths(not_present)),
            "",
            "Full body actual:",
            pprint.pformat(actual),
            "",
        )


def assert_lists_match_any_order(
    expected: Sequence[Any], actual: Sequence[Any], msg: str | None = None
) -> None:
    """Assert that two lists have the same elements, each as often as in the other.

    Args:
        expected: The expected elements.
        actual: What is there.
        msg: What the lists are about.

    Raises:
        AssertionError: They have not.
    """
    if len(expected) != len(actual) or unmatched(expected, actual, _is_equal):
        _fail_incorrect("Expected exact:  ", expected, actual, msg)


def assert_expected_list_subset_of_actual(
    expected: Iterable[Any], actual: Sequence[Any], msg: str | None = None
) -> None:
    """Assert that each of these values is an element of a list.

    Args:
        expected: The expected elements.
        actual: The list.
        msg: What the lists are about.

    Raises:
        AssertionError: At least one is not.
    """
    expected = list(expected)
    if any(value not in actual for value in expected):
        _fail_incorrect("Expected subset: ", expected, actual, msg)


def assert_actual_list_not_subset(
    not_expected: Iterable[Any], actual: Sequence[Any], msg: str | None = None
) -> None:
    """Assert that none of these values is an element of a list.

    Args:
        not_expected: The values that must not be there.
        actual: The list.
        msg: What the lists are about.

    Raises:
        AssertionError: At least one is.
    """
    not_expected = list(not_expected)
    if any(value in actual for value in not_expected):
        _fail_incorrect("Expected not present: ", not_expected, actual, msg)


def _report(differences: Differences, expected: Any, actual: Any, msg: str | None) -> None:
    if not differences:
        return
    lines: list[str] = []
    mismatches = sorted(differences.mismatches, key=lambda mismatch: mismatch.path)
    for heading, paths in (
        ("Missing values:", differences.missing),
        ("Mismatch values:", [mismatch.path for mismatch in mismatches]),
        ("Extra values:", differences.unexpected),
    ):
        if paths:
            lines += [heading, *(f"  `{path}`" for path in sorted(paths))]
    for mismatch in mismatches:
        lines += ["", *_mismatch_lines(mismatch)]
    lines += ["", "Full body expected:", pprint.pformat(expected)]
    lines += ["", "Full body actual:", pprint.pformat(actual), ""]
    _fail(msg, *lines)


def _mismatch_lines(mismatch: Mismatch) -> list[str]:
    return [
        f"`{mismatch.path}` is incorrect:",
        f"  Expected: {_with_type(mismatch.expected)}",
        f"  Actual:   {_with_type(mismatch.actual)}",
    ]


def _fail_incorrect(label: str, expected: Any, actual: Any, msg: str | None) -> None:
    _fail(
        msg,
        "Encountered values were incorrect:",
        f"  {label}{_with_type(expected)}",
        f"  {'Actual:':{len(label)}}{_with_type(actual)}",
        "",
    )


def _fail(msg: str | None, *lines: str) -> None:
    raise AssertionError("\n".join([*([msg] if msg else []), _LINE, "DATA ERROR:", *lines]))


def _with_type(value: object) -> str:
    return f"{value!r} ({type(value)})"


def _is_equal(expected: object, actual: object) -> bool:
    return bool(expected == actual)
