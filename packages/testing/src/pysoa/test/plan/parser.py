"""Reading fixture files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
from pyparsing import ParseResults

from pysoa.test.plan._merging import with_globals
from pysoa.test.plan.errors import DataTypeConversionError, FixtureLoadError, FixtureSyntaxError
from pysoa.test.plan.grammar._elements import text_of
from pysoa.test.plan.grammar._lines import UnparsableLine, line_grammar_of
from pysoa.test.plan.grammar.directive import Directive, TestCase, TestFixture, get_all_directives

__all__ = ("ServiceTestPlanFixtureParser",)


class ServiceTestPlanFixtureParser:
    """Reads one fixture file.

    Args:
        fixture_file_name: The path of the file.
        fixture_name: What the fixture is called.
    """

    def __init__(self, fixture_file_name: str, fixture_name: str) -> None:
        self._file_name = fixture_file_name
        self._fixture_name = fixture_name
        self._directives = tuple(get_all_directives())
        self._grammar = line_grammar_of(self._directives)
        self._mistakes: list[FixtureSyntaxError] = []
        self._globals: TestCase = {}
        self._has_globals = False
        self._fixture: TestFixture = []
        self._block = _Block()

    def parse_test_fixture(self) -> TestFixture:
        """Return the test cases of the file, each as what its directives have stored.

        Raises:
            FixtureLoadError: The file cannot be read, or holds no test case.
            FixtureSyntaxError: The file has mistakes; it tells all of them.
        """
        source = self._read()
        for line_number, line in enumerate(source, 1):
            if line.strip():
                self._add_line(line, line_number)
            else:
                self._finish_block(line_number)
        self._finish_block(len(source) + 1)
        if self._mistakes:
            raise FixtureSyntaxError.of(self._mistakes)
        if not self._fixture:
            raise FixtureLoadError(f"Failed to find any test cases in file: {self._file_name}")
        for test_case in self._fixture:
            test_case["fixture_source"] = source
        return self._fixture

    def _read(self) -> list[str]:
        try:
            text = Path(self._file_name).read_bytes().decode("utf-8-sig")
        except OSError as error:
            raise FixtureLoadError(str(error)) from error
        except UnicodeDecodeError as error:
            line_number = error.object.count(b"\n", 0, error.start) + 1
            raise FixtureLoadError(
                f"{self._file_name}:{line_number}: The file must be UTF-8, but there is {error.reason}"
            ) from error
        return [line.removesuffix("\r") for line in text.split("\n")]

    def _add_line(self, line: str, line_number: int) -> None:
        self._block.source.append(line)
        self._block.last_line = line_number
        try:
            directive, results = self._grammar.parse(line.expandtabs())
        except UnparsableLine as error:
            self._report([f"Failed to parse line: {line}"], [str(error)], line, line_number, error.column)
            return
        try:
            self._ingest(directive, results, line_number)
        except DataTypeConversionError as error:
            self._report(["Data type conversion error"], [str(error)], line, line_number)
        except Exception as error:
            self._report([_describe(error)], [], line, line_number)

    def _ingest(self, directive: type[Directive], results: ParseResults, line_number: int) -> None:
        is_global = "is_global" in results
        self._has_globals |= is_global
        test_case = self._globals if is_global else self._block.test_case
        action_case = test_case
        if "action" in results:
            label = f"{text_of(results, 'action')}.{text_of(results, 'action_index') or '0'}"
            if label not in test_case and not is_global:
                test_case.setdefault("actions", []).append(label)
            action_case = test_case.setdefault(label, {})
        directive().ingest_from_parsed_test_fixture(
            action_case, test_case, results, self._file_name, line_number
        )

    def _report(
        self, headline: list[str], reason: list[str], line: str, line_number: int, column: int = 0
    ) -> None:
        """Keep a mistake for the end, when all are told."""
        self._block.is_broken = True
        shown = line.expandtabs()
        lines = [*headline, f"in file: {self._file_name}:{line_number}", *reason, f"    {shown}"]
        if column:
            lines.append(f"    {'^':>{column}}")
        self._mistakes.append(
            FixtureSyntaxError("\n".join(lines), self._file_name, line_number, column, line.strip())
        )

    def _finish_block(self, line_number: int) -> None:
        block, self._block = self._block, _Block()
        if not block.test_case or block.is_broken:
            return
        problems = block.problems(self._has_globals)
        for problem in problems:
            message = f"{self._file_name}:{line_number}: {problem}\n    {block.source[-1]}"
            self._mistakes.append(FixtureSyntaxError(message, self._file_name, block.last_line))
        if problems:
            return
        test_case = with_globals(block.test_case, self._globals)
        test_case.setdefault("actions", [])
        try:
            self._complete(test_case, block.source)
        except Exception as error:
            line_number = test_case["line_number"]
            self._report([_describe(error)], [], f"test name: {test_case['name']}", line_number)
            self._block.is_broken = False
        self._fixture.append(test_case)

    def _complete(self, test_case: TestCase, source: list[str]) -> None:
        for label in test_case["actions"]:
            for directive in self._directives:
                directive().post_parse_test_case_action(test_case[label], test_case)
        test_case["fixture_name"] = self._fixture_name
        test_case["fixture_file_name"] = self._file_name
        test_case["source"] = source
        for directive in self._directives:
            directive().post_parse_test_case(test_case)


@attrs.define
class _Block:
    """The lines up to the next blank one."""

    test_case: TestCase = attrs.field(factory=dict[str, Any])
    """What local directives have stored; empty if there are only comments and global ones."""
    source: list[str] = attrs.field(factory=list[str])
    """The lines."""
    last_line: int = 0
    """The number of the last line."""
    is_broken: bool = False
    """Whether mistakes were reported, so that what seems to be missing may be in a line with one."""

    def problems(self, has_globals: bool) -> list[str]:
        """Say what a test case lacks."""
        problems = [
            f"Test case without {part}; expected a line 'test {part}: ...' in this block"
            for part in ("name", "description")
            if part not in self.test_case
        ]
        if not has_globals and "actions" not in self.test_case:
            problems.append("Empty test case; expected at least one line about an action")
        return problems


def _describe(error: Exception) -> str:
    if isinstance(error, FixtureSyntaxError):
        return str(error)
    if isinstance(error, (ValueError, TypeError)):
        return str(error)
    return f"{type(error).__name__}: {error}"
