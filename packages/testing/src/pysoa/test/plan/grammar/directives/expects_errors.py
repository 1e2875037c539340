"""Lines about the errors that a response must or must not have."""

# Hooks have arguments that not all directives need.
# ruff: noqa: ARG002

from __future__ import annotations

import pprint
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

import attrs
from pyparsing import Optional, ParserElement, ParseResults, Regex

from pysoa.common.constants import ERROR_CODE_SERVER_ERROR
from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse, JobResponse
from pysoa.test.plan.grammar._elements import VarValueGrammar, colon, keyword, symbol, text_of
from pysoa.test.plan.grammar.assertions import (
    assert_actual_list_not_subset,
    assert_expected_list_subset_of_actual,
    assert_lists_match_any_order,
)
from pysoa.test.plan.grammar.directive import ActionCase, ActionDirective, TestCase, TestFixture

__all__ = (
    "ActionExpectsErrorsDirective",
    "ActionExpectsFieldErrorsDirective",
    "ActionExpectsFieldMessageErrorsDirective",
    "ActionExpectsMessageErrorsDirective",
    "ActionExpectsNoErrorsDirective",
    "ExpectedError",
)

__test_plan_prune_traceback = True  # read by name, by what prunes tracebacks


@attrs.frozen(eq=False, repr=False)
class ExpectedError:
    """Equals all errors that have this code and, if they are not ``None``, this field and this message."""

    code: str
    """The code."""
    field: str | None = None
    """The field; ``None`` for any, also for none."""
    message: str | None = None
    """The message; ``None`` for any."""

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Error):
            return (
                self.code == other.code
                and self.field in (None, other.field)
                and self.message in (None, other.message)
            )
        if isinstance(other, ExpectedError):
            return attrs.astuple(self) == attrs.astuple(other)
        return NotImplemented

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # it is equal to values with different hashes

    def __repr__(self) -> str:
        parts = {"code": self.code, "field": self.field, "message": self.message}
        return (
            f"Error({', '.join(f'{name}={value!r}' for name, value in parts.items() if value is not None)})"
        )


def _equals(name: str) -> ParserElement:
    return keyword(name) + symbol("=")


_CODE: Final = _equals("code") + Regex(r"[A-Za-z0-9\-_]+").set_name("an error code")("error_code")
_FIELD: Final = (
    symbol(",")
    + _equals("field")
    + Regex(r"[A-Za-z0-9\-_.{}\[\]]+").set_name("the name of a field")("field_name")
)
_MESSAGE: Final = symbol(",") + _equals("message") + VarValueGrammar("error_message")


class ActionExpectsErrorsDirective(ActionDirective):
    """``CASE expect: [not] [exact] [job] error: code=CODE``."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "expect_error"

    @classmethod
    def supplies_additional_grammar_types(cls) -> dict[str, str]:
        """Return how codes, fields and messages are written."""
        return {
            "error_code": "(LETTER | DIGIT | '-' | '_')+",
            "field_name": "(LETTER | DIGIT | '-' | '_' | '.' | '{' | '}' | '[' | ']')+",
            "error_message": "PLAIN_LANGUAGE",
        }

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return (
            super().get_full_grammar()
            + keyword("expect")
            + colon
            + Optional(keyword("not")("not"))
            + Optional(keyword("exact")("exact"))
            + Optional(keyword("job")("job"))
            + keyword("error")
            + colon
            + _CODE
        )

    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Store the expectation in the list for its modifiers."""
        modifiers = "".join(f"{name}_" for name in ("not", "job", "exact") if text_of(parse_results, name))
        action_case.setdefault(f"expects_{modifiers}error", []).append(
            ExpectedError(
                code=text_of(parse_results, "error_code"),
                field=text_of(parse_results, "field_name") or None,
                message=text_of(parse_results, "error_message") or None,
            )
        )

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
        """Check the errors of the action and of the job.

        Raises:
            AssertionError: Errors are missing, or there are such as must not be.
        """
        action_errors = action_response.errors if action_response else []
        for job, errors in (("", action_errors), ("job_", job_response.errors)):
            expected = action_case.get(f"expects_{job}error")
            _check(assert_expected_list_subset_of_actual, expected, errors, f"EXPECTED ERRORS: {msg}")
            expected = action_case.get(f"expects_{job}exact_error")
            _check(assert_lists_match_any_order, expected, errors, f"EXPECTED EXACT ERRORS: {msg}")
            for exact in ("", "exact_"):
                expected = action_case.get(f"expects_not_{job}{exact}error")
                _check(assert_actual_list_not_subset, expected, errors, f"NOT EXPECTED ERRORS: {msg}")


class ActionExpectsFieldErrorsDirective(ActionExpectsErrorsDirective):
    """``CASE expect: [not] [exact] [job] error: code=CODE, field=FIELD``."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "expect_error_field"

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return super().get_full_grammar() + _FIELD

    def assert_test_case_action_results(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing; :class:`ActionExpectsErrorsDirective` checks the errors of all forms."""


class ActionExpectsMessageErrorsDirective(ActionExpectsErrorsDirective):
    """``CASE expect: [not] [exact] [job] error: code=CODE, message=REST``."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "expect_error_message"

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return super().get_full_grammar() + _MESSAGE

    def assert_test_case_action_results(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing; :class:`ActionExpectsErrorsDirective` checks the errors of all forms."""


class ActionExpectsFieldMessageErrorsDirective(ActionExpectsFieldErrorsDirective):
    """``CASE expect: [not] [exact] [job] error: code=CODE, field=FIELD, message=REST``."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "expect_error_field_message"

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return super().get_full_grammar() + _MESSAGE


class ActionExpectsNoErrorsDirective(ActionDirective):
    """``CASE expect: no errors``."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "expect_no_errors"

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return super().get_full_grammar() + keyword("expect") + colon + keyword("no errors")

    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Store the expectation."""
        action_case["expects_no_errors"] = True

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
        """Check that neither the job nor the action has errors.

        Raises:
            AssertionError: One of them has.
        """
        if not action_case.get("expects_no_errors"):
            return
        action_errors = action_response.errors if action_response else []
        for kind, errors in (("job", job_response.errors), ("action", action_errors)):
            if errors:
                raise AssertionError(
                    f"{msg or ''}: Expected no {kind} errors, but got: {pprint.pformat(_readable(errors))}"
                    + _server_errors(errors)
                )


def _check(
    assertion: Callable[[Sequence[Any], Sequence[Any], str], None],
    expected: Sequence[ExpectedError] | None,
    errors: Sequence[Error],
    header: str,
) -> None:
    if not expected:
        return
    try:
        assertion(expected, _readable(errors), header)
    except AssertionError as failure:
        text = f"{failure}{_server_errors(errors)}"
    else:
        return
    raise AssertionError(text)  # out here it drags no second traceback along


def _readable(errors: Sequence[Error]) -> list[Error]:
    """Return the errors without tracebacks, which are unreadable in the middle of a line."""
    return [attrs.evolve(error, traceback=None) if error.traceback else error for error in errors]


def _server_errors(errors: Sequence[Error]) -> str:
    return "".join(
        f"\n\nSERVER_ERROR: {error.message}\n{error.traceback or ''}"
        for error in errors
        if error.code == ERROR_CODE_SERVER_ERROR
    )
