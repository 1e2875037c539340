"""Lines about a test case as a whole: comments, its name, its description, and whether it is skipped."""

# Hooks have arguments that not all directives need.
# ruff: noqa: ARG002

from __future__ import annotations

from typing import Any

from pyparsing import Optional, ParserElement, ParseResults, Regex

from pysoa.common.types import ActionResponse, JobResponse
from pysoa.test.plan.errors import FixtureSyntaxError
from pysoa.test.plan.grammar._elements import VarValueGrammar, colon, keyword, symbol, text_of
from pysoa.test.plan.grammar.directive import ActionCase, Directive, TestCase, TestFixture

__all__ = (
    "PlanDirective",
    "TestCaseCommentDirective",
    "TestCaseDescriptionDirective",
    "TestCaseNameDirective",
    "TestCaseSkipDirective",
)


class PlanDirective(Directive):
    """A line that has nothing to check when an action has been called."""

    def assert_test_case_action_results(
        self,
        action_name: str,
        action_case: ActionCase,
        test_case: TestCase,
        test_fixture: TestFixture,
        action_response: ActionResponse | None,
        job_response: JobResponse,
        msg: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Do nothing."""


class TestCaseCommentDirective(PlanDirective):
    """``# text``."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "fixture_comment"

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return symbol("#") + VarValueGrammar

    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Do nothing."""


class TestCaseNameDirective(PlanDirective):
    """``test name: NAME``."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "test_name"

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        name = Regex(r"[A-Za-z0-9_]+").set_name("a name of letters, digits and underscores")
        return keyword("test name") + colon + name("value")

    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Store the name and its line.

        Raises:
            FixtureSyntaxError: The test case has a name already.
        """
        if "name" in test_case:
            raise FixtureSyntaxError(
                f"Duplicate test name directive for test case; it is called {test_case['name']!r} already. "
                "Is the blank line between two test cases missing?",
                file_name,
                line_number,
            )
        test_case["name"] = text_of(parse_results, "value")
        test_case["line_number"] = line_number


class TestCaseDescriptionDirective(PlanDirective):
    """``test description: REST``."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "test_description"

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return keyword("test description") + colon + VarValueGrammar

    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Store the description and, on a line of its own, the path of the file.

        Raises:
            FixtureSyntaxError: The test case has a description already.
        """
        if "description" in test_case:
            raise FixtureSyntaxError(
                "Duplicate test description directive for test case. "
                "Is the blank line between two test cases missing?",
                file_name,
                line_number,
            )
        test_case["description"] = f"{text_of(parse_results, 'value')}\n{file_name}"


class TestCaseSkipDirective(PlanDirective):
    """``test skip [global]: REST``; an empty reason does not skip, and takes back a global one."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "test_skip"

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        is_global = Optional(keyword("global")("is_global"))
        return keyword("test skip") + is_global + symbol(":", "'global' or ':'") + VarValueGrammar

    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Store the reason."""
        test_case["skip"] = text_of(parse_results, "value")
