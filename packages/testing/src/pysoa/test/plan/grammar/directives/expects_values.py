"""Lines about the values that a response must or must not have."""

# Hooks have arguments that not all directives need.
# ruff: noqa: ARG002

from __future__ import annotations

from typing import Any

from pyparsing import CaselessKeyword, Optional, ParserElement, ParseResults

from pysoa.common.types import ActionResponse, JobResponse
from pysoa.test.plan.errors import FixtureSyntaxError
from pysoa.test.plan.grammar._elements import (
    OptionalTypeGrammar,
    VarNameGrammar,
    VarValueGrammar,
    colon,
    keyword,
    text_of,
)
from pysoa.test.plan.grammar._storing import put, value_of
from pysoa.test.plan.grammar.assertions import (
    assert_not_expected,
    assert_not_present,
    assert_subset_structure,
)
from pysoa.test.plan.grammar.data_types import AnyValue
from pysoa.test.plan.grammar.directive import ActionCase, ActionDirective, TestCase, TestFixture

__all__ = (
    "ActionExpectsAnyDirective",
    "ActionExpectsFieldValueDirective",
    "ActionExpectsNoneDirective",
    "ActionExpectsNotPresentDirective",
)

__test_plan_prune_traceback = True  # read by name, by what prunes tracebacks


class ActionExpectsFieldValueDirective(ActionDirective):
    """``CASE expect [TYPE]: [not] attribute value: PATH: REST``."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "expect_value"

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return (
            super().get_full_grammar()
            + keyword("expect")
            + OptionalTypeGrammar
            + Optional(keyword("not")("not"))
            + keyword("attribute value")
            + colon
            + VarNameGrammar
            + colon
            + VarValueGrammar
        )

    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Store the value among those that are, or are not, expected."""
        value = value_of(parse_results, action_case, test_case)
        key = "not_expects" if text_of(parse_results, "not") else "expects"
        put(action_case, key, text_of(parse_results, "variable_name"), value)

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
        """Check the values, also those of ``any`` and ``none``.

        Raises:
            AssertionError: Values are missing, are others, or are there though they must not be.
        """
        if "expects" in action_case:
            assert_subset_structure(
                action_case["expects"], _body(action_response, job_response, msg), msg=msg
            )
        if "not_expects" in action_case:
            assert_not_expected(
                action_case["not_expects"], _body(action_response, job_response, msg), msg=msg
            )


class ActionExpectsAnyDirective(ActionDirective):
    """``CASE expect any [TYPE]: attribute value: PATH[:]``."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "expect_any_value"

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return (
            super().get_full_grammar()
            + keyword("expect")
            + keyword("any")
            + OptionalTypeGrammar
            + keyword("attribute value")
            + colon
            + VarNameGrammar
            + Optional(colon)
        )

    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Store that any value of the type is expected.

        Raises:
            FixtureSyntaxError: No value is of that type; it only says how a value is written.
        """
        type_name = text_of(parse_results, "data_type") or "str"
        if type_name not in AnyValue.type_names:
            raise FixtureSyntaxError(
                f"No value is of type {type_name!r}. "
                f"After 'expect any' there must be one of {', '.join(AnyValue.type_names)}",
                file_name,
                line_number,
            )
        put(action_case, "expects", text_of(parse_results, "variable_name"), AnyValue(type_name))

    def assert_test_case_action_results(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing; :class:`ActionExpectsFieldValueDirective` checks all values."""


class ActionExpectsNoneDirective(ActionDirective):
    """``CASE expect none: attribute value: PATH[:]``."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "expect_none"

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return (
            super().get_full_grammar()
            + keyword("expect")
            + CaselessKeyword("none").set_name("'none'")
            + colon
            + keyword("attribute value")
            + colon
            + VarNameGrammar
            + Optional(colon)
        )

    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Store that ``None`` is expected."""
        put(action_case, "expects", text_of(parse_results, "variable_name"), None)

    def assert_test_case_action_results(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing; :class:`ActionExpectsFieldValueDirective` checks all values."""


class ActionExpectsNotPresentDirective(ActionDirective):
    """``CASE expect not present: attribute value: PATH[:]``."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "expect_not_present"

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return (
            super().get_full_grammar()
            + keyword("expect not present")
            + colon
            + keyword("attribute value")
            + colon
            + VarNameGrammar
            + Optional(colon)
        )

    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Store the path."""
        put(action_case, "expects_not_present", text_of(parse_results, "variable_name"), "")

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
        """Check that the paths do not exist.

        Raises:
            AssertionError: One of them does.
        """
        if "expects_not_present" in action_case:
            body = _body(action_response, job_response, msg)
            assert_not_present(action_case["expects_not_present"], body, msg=msg)


def _body(action_response: ActionResponse | None, job_response: JobResponse, msg: str | None) -> Any:
    if action_response is None:
        raise AssertionError(
            f"{msg or ''}: There is no response body to check, because the job failed with the errors "
            f"{job_response.errors}"
        )
    return action_response.body
