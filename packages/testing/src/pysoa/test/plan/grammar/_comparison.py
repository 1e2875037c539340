"""What differs between expected and actual values, by path. Nothing here raises or formats anything."""

# Values are of any type here, and so is what they contain.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any, TypeVar

import attrs
from typing_extensions import TypeIs

from pysoa.test.plan.grammar._paths import get_all_paths, join_path, path_get

__all__ = ("Differences", "Mismatch", "compare", "find_equal", "find_present", "unmatched")

_Expected = TypeVar("_Expected")
_Actual = TypeVar("_Actual")


@attrs.frozen
class Mismatch:
    """A value that is there, and is another one."""

    path: str
    """Where it is."""
    expected: Any
    """The value that was expected."""
    actual: Any
    """The value that is there."""


@attrs.define
class Differences:
    """How a value differs from the expected one."""

    missing: list[str] = attrs.field(factory=list[str])
    """The paths of values that are not there."""
    mismatches: list[Mismatch] = attrs.field(factory=list[Mismatch])
    """The values that are others."""
    unexpected: list[str] = attrs.field(factory=list[str])
    """The paths of values that are too many."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.mismatches or self.unexpected)


def compare(expected: Any, actual: Any, *, exact: bool, any_order: bool = False) -> Differences:
    """Compare a value with the expected one.

    Args:
        expected: What is expected.
        actual: What is there.
        exact: Whether dictionaries and lists must have no more elements than expected.
        any_order: Whether each expected element of a list may be anywhere in the list.
    """
    differences = Differences()
    _Comparison(differences, exact, any_order).compare(expected, actual, "")
    return differences


@attrs.frozen
class _Comparison:
    differences: Differences
    exact: bool
    any_order: bool

    def compare(self, expected: Any, actual: Any, path: str) -> None:
        if isinstance(expected, Mapping) and isinstance(actual, Mapping) and expected:
            self._compare_mappings(expected, actual, path)
        elif _is_list(expected) and _is_list(actual) and expected and type(expected) is type(actual):
            if self.any_order:
                self._find_elements(expected, actual, path)
            else:
                self._compare_lists(expected, actual, path)
        elif not _equal(expected, actual):
            self.differences.mismatches.append(Mismatch(path, expected, actual))

    def _compare_mappings(self, expected: Mapping[Any, Any], actual: Mapping[Any, Any], path: str) -> None:
        for key, value in expected.items():
            if key in actual:
                self.compare(value, actual[key], join_path(path, key))
            else:
                self._add_missing(value, join_path(path, key))
        if self.exact:
            extra = [join_path(path, key) for key in actual if key not in expected]
            self.differences.unexpected.extend(extra)

    def _compare_lists(self, expected: Sequence[Any], actual: Sequence[Any], path: str) -> None:
        for index, value in enumerate(expected):
            if index < len(actual):
                self.compare(value, actual[index], join_path(path, index))
            else:
                self._add_missing(value, join_path(path, index))
        if self.exact:
            extra = [join_path(path, index) for index in range(len(expected), len(actual))]
            self.differences.unexpected.extend(extra)

    def _find_elements(self, expected: Sequence[Any], actual: Sequence[Any], path: str) -> None:
        left_over = unmatched(
            expected, actual, lambda value, other: not compare(value, other, exact=self.exact, any_order=True)
        )
        for index in left_over:
            self._add_missing(expected[index], join_path(path, index))
        if self.exact and len(actual) > len(expected):
            self.differences.unexpected.append(path)

    def _add_missing(self, value: Any, path: str) -> None:
        paths = get_all_paths(value, path, allow_blank=True)
        self.differences.missing.extend(paths or [path])


def find_equal(not_expected: Any, actual: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of values that are there, though they are listed as not expected.

    A scalar that is listed where there is a list must not be among the elements, wherever they are.

    Args:
        not_expected: The values that must not be there, each of which is judged on its own.
        actual: What is there.
        path: Where that is.
    """
    if isinstance(not_expected, Mapping) and not_expected and isinstance(actual, Mapping):
        for key, value in not_expected.items():
            if key in actual:
                yield from find_equal(value, actual[key], join_path(path, key))
    elif _is_list(actual) and _is_list(not_expected) and not_expected:
        for index, value in enumerate(not_expected):
            here = join_path(path, index)
            if not _is_container(value):
                if any(_equal(value, item) for item in actual):
                    yield here
            elif index < len(actual) and (value or index == len(not_expected) - 1):
                yield from find_equal(value, actual[index], here)
    elif _is_list(actual) and not _is_container(not_expected):
        if any(_equal(not_expected, item) for item in actual):
            yield path
    elif _equal(not_expected, actual):
        yield path


def find_present(not_present: Any, actual: Any) -> Iterator[str]:
    """Yield the paths that exist, though they are listed as not present.

    Args:
        not_present: Dictionaries and lists whose innermost values are ignored; empty ones fill gaps in lists.
        actual: What is there.
    """
    for path in get_all_paths(not_present):
        try:
            path_get(actual, path)
        except (LookupError, TypeError):
            continue
        yield path


def unmatched(
    expected: Sequence[_Expected], actual: Sequence[_Actual], matches: Callable[[_Expected, _Actual], bool]
) -> list[int]:
    """Return the positions of those expected values that find no actual value of their own.

    As many as possible find one: a value that could be paired with several is paired so that the others get
    theirs (the augmenting paths of a bipartite matching).

    Args:
        expected: The expected values, some of which may match many.
        actual: The actual values.
        matches: Tells whether an actual value is the expected one.
    """
    owner: dict[int, int] = {}

    def place(index: int, tried: set[int]) -> bool:
        for candidate, value in enumerate(actual):
            if candidate not in tried and matches(expected[index], value):
                tried.add(candidate)
                if candidate not in owner or place(owner[candidate], tried):
                    owner[candidate] = index
                    return True
        return False

    return [index for index in range(len(expected)) if not place(index, set())]


def _equal(expected: Any, actual: Any) -> bool:
    if _is_container(expected) and not expected:
        return type(expected) is type(actual) and not actual
    return bool(expected == actual)


def _is_list(value: object) -> TypeIs[list[Any] | tuple[Any, ...]]:
    return isinstance(value, (list, tuple))


def _is_container(value: object) -> bool:
    return isinstance(value, (Mapping, list, tuple, Set))
