"""Finding the test cases of a plan, and making test functions of them."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, cast

import attrs

from pysoa.test.plan.errors import FixtureLoadError, FixtureSyntaxError, StatusError
from pysoa.test.plan.grammar.directive import TestCase, TestFixture
from pysoa.test.plan.parser import ServiceTestPlanFixtureParser

__all__ = ("FixtureTestCaseData", "FixtureTestCaseFunction", "find_fixture_files", "load_fixtures")

__test_plan_prune_traceback = True  # read by name, by what prunes tracebacks


class FixtureTestCaseFunction(Protocol):
    """A test function made from a test case."""

    __name__: str
    __doc__: str | None

    def __call__(self, plan: Any, /) -> None:
        """Run the test case.

        Args:
            plan: The object whose method the function is.
        """
        ...


@attrs.frozen(slots=False)
class FixtureTestCaseData:
    """One test case of a plan."""

    name: str
    """The name of the test case."""
    description: str
    """Its description and, on a line of its own, the path of the fixture file."""
    fixture_name: str
    """The name of the fixture."""
    fixture_file: str
    """The path of the fixture file."""
    line_number: int
    """The line with the name of the test case, counted from 1."""
    skip: str | None
    """Why the test case is skipped; ``None`` if it is not."""
    callable: FixtureTestCaseFunction
    """The test function."""
    test_fixture: TestFixture
    """All test cases of the fixture."""
    is_first_fixture_case: bool
    """Whether it is the first test case of the fixture that is not skipped."""
    is_last_fixture_case: bool
    """Whether it is the last test case of the fixture that is not skipped."""


def find_fixture_files(directory: str, name_pattern: re.Pattern[str]) -> list[str]:
    """Return the sorted paths of all fixture files below a directory.

    Args:
        directory: The path of the directory.
        name_pattern: What the names of fixture files match.

    Raises:
        FixtureLoadError: There is no such directory, or no fixture file in it.
    """
    if not Path(directory).exists():
        raise FixtureLoadError(
            f'Tried loading fixtures from "{directory}", however this path does not exist. '
            "Set `fixture_path` to a directory: an absolute path, or one relative to the module of the plan."
        )
    paths = sorted(
        str(Path(folder) / name)
        for folder, _, names in os.walk(directory)
        for name in names
        if name_pattern.search(name)
    )
    if not paths:
        raise FixtureLoadError(
            f"Could not find any fixture files in {directory} with names that match {name_pattern.pattern!r}."
        )
    return paths


def load_fixtures(
    file_names: Sequence[str], run: Callable[[Any, TestCase, TestFixture], None]
) -> Iterator[FixtureTestCaseData]:
    """Yield the test cases of fixture files.

    Args:
        file_names: The paths of the files.
        run: What runs a test case: it is called with the plan, the test case and the fixture.

    Raises:
        FixtureLoadError: A file cannot be read, or holds no test case.
        FixtureSyntaxError: Files have mistakes; it tells all of them.
        StatusError: Two test cases have the same name.
    """
    fixtures: list[tuple[str, str, TestFixture]] = []
    mistakes: list[FixtureSyntaxError] = []
    for file_name in file_names:
        fixture_name = Path(file_name).stem
        try:
            fixture = ServiceTestPlanFixtureParser(file_name, fixture_name).parse_test_fixture()
        except FixtureSyntaxError as error:
            mistakes.extend(error.mistakes)
        else:
            fixtures.append((file_name, fixture_name, fixture))
    if mistakes:
        raise FixtureSyntaxError.of(mistakes)
    _require_unique_names(fixtures)
    for file_name, fixture_name, fixture in fixtures:
        executed = [index for index, test_case in enumerate(fixture) if not test_case.get("skip")]
        for index, test_case in enumerate(fixture):
            yield FixtureTestCaseData(
                name=test_case["name"],
                description=test_case["description"],
                fixture_name=fixture_name,
                fixture_file=file_name,
                line_number=test_case["line_number"],
                skip=test_case.get("skip") or None,
                callable=_make_function(test_case, fixture, run),
                test_fixture=fixture,
                is_first_fixture_case=executed[:1] == [index],
                is_last_fixture_case=executed[-1:] == [index],
            )


def _require_unique_names(fixtures: Sequence[tuple[str, str, TestFixture]]) -> None:
    lines: dict[tuple[str, str], str] = {}
    for file_name, fixture_name, fixture in fixtures:
        for test_case in fixture:
            key = (fixture_name, test_case["name"])
            here = f"{file_name}:{test_case['line_number']}"
            if key in lines:
                raise StatusError(
                    f'Duplicate test name "{test_case["name"]}" in fixture "{file_name}": '
                    f"the test case at {here} is called like the one at {lines[key]}. Rename one of them."
                )
            lines[key] = here


_NOWHERE: Final = ast.Pass(lineno=1, col_offset=0, end_lineno=1, end_col_offset=0)


def _make_function(
    test_case: TestCase, fixture: TestFixture, run: Callable[[Any, TestCase, TestFixture], None]
) -> FixtureTestCaseFunction:
    """Return a function whose code lies, as far as tracebacks can tell, in the fixture file."""
    tree = ast.parse("def test_case(self): run(self)")
    for node in ast.walk(tree):
        if hasattr(node, "lineno"):
            # pytest underlines columns, and these are not those of the fixture file.
            ast.copy_location(node, _NOWHERE)
    ast.increment_lineno(tree, test_case["line_number"] - 1)

    def run_case(plan: object) -> None:
        run(plan, test_case, fixture)

    namespace: dict[str, Any] = {"run": run_case}
    exec(compile(tree, test_case["fixture_file_name"], "exec"), namespace)
    function = namespace["test_case"]
    name = f"plan__{test_case['fixture_name']}__{test_case['name']}"
    function.__code__ = function.__code__.replace(co_name=name, co_qualname=name)
    function.__name__ = function.__qualname__ = name
    function.__doc__ = test_case["description"]
    return cast(FixtureTestCaseFunction, function)
