"""Lines that stub actions of other services, and say with what these are to be called."""

# Hooks have arguments that not all directives need.
# ruff: noqa: ARG002

from __future__ import annotations

from typing import Any, Final

from pyparsing import Optional, ParserElement, ParseResults, Regex

from pysoa.common.types import ActionResponse, JobResponse
from pysoa.test.plan.grammar._elements import (
    OptionalTypeGrammar,
    VarNameGrammar,
    VarValueGrammar,
    colon,
    keyword,
    symbol,
    text_of,
)
from pysoa.test.plan.grammar._storing import put, value_of
from pysoa.test.plan.grammar._stubs import STUBBED_ACTIONS_KEY, check_stubs, start_stubs, stop_stubs
from pysoa.test.plan.grammar.directive import (
    ActionCase,
    ActionDirective,
    ActionResults,
    TestCase,
    TestFixture,
)
from pysoa.test.plan.grammar.directives.plans import PlanDirective

__all__ = (
    "AssertStubActionCalledForActionDirective",
    "AssertStubActionCalledForTestPlanDirective",
    "StubActionBodyForActionDirective",
    "StubActionBodyForTestPlanDirective",
    "StubActionErrorForActionDirective",
    "StubActionErrorForTestPlanDirective",
)

__test_plan_prune_traceback = True  # read by name, by what prunes tracebacks

_STUB: Final = (
    keyword("stub action")
    + colon
    + Regex(r"[A-Za-z0-9_]+").set_name("the name of a service")("stub_service")
    + colon
    + Regex(r"[A-Za-z0-9_.]+").set_name("the name of its action")("stub_action")
    + colon
)
_BODY: Final = _STUB + keyword("body") + OptionalTypeGrammar + VarNameGrammar + colon + VarValueGrammar
_ERROR: Final = (
    _STUB
    + keyword("error")
    + colon
    + keyword("code")
    + symbol("=")
    + Regex(r"[A-Za-z0-9\-_]+").set_name("an error code")("error_code")
    + symbol(",")
    + keyword("field")
    + symbol("=")
    + Regex(r"[A-Za-z0-9\-_.{}\[\]]+").set_name("the name of a field or 'none'")("field_name")
    + symbol(",")
    + keyword("message")
    + symbol("=")
    + VarValueGrammar("error_message")
)
_CALLED: Final = (
    _STUB
    + keyword("expect")
    + Optional(keyword("not")("not"))
    + keyword("called")
    + OptionalTypeGrammar
    + Optional(VarNameGrammar + colon + VarValueGrammar)
)


class StubActionBodyForTestPlanDirective(PlanDirective):
    """``stub action: SERVICE: ACTION: body [TYPE]: PATH: REST``, for a whole test case.

    This directive also begins and ends the stubs of all others for test cases.
    """

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "stub_action_body_for_test"

    @classmethod
    def supplies_additional_grammar_types(cls) -> dict[str, str]:
        """Return how services and actions are written."""
        return {"stub_service": "NAME", "stub_action": "NAME (NAME | '.')*"}

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return _BODY

    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Store a value of the body.

        Raises:
            ValueError: Another line stubs the action with errors.
        """
        _add_body(test_case, parse_results, value_of(parse_results, action_case, test_case))

    def post_parse_test_case(self, test_case: TestCase) -> None:
        """Check what came together.

        Raises:
            ValueError: A stub has two kinds of responses, or must both be called and not be called.
        """
        _check(test_case)

    def set_up_test_case(self, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Begin to stub."""
        start_stubs(test_case)

    def tear_down_test_case(self, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any) -> None:
        """End the stubs."""
        stop_stubs(test_case)


class StubActionBodyForActionDirective(ActionDirective):
    """``CASE stub action: SERVICE: ACTION: body [TYPE]: PATH: REST``, for one action case.

    This directive also begins and ends the stubs of all others for action cases.
    """

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "stub_action_body_for_action"

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return super().get_full_grammar() + _BODY

    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Store a value of the body.

        Raises:
            ValueError: Another line stubs the action with errors.
        """
        _add_body(action_case, parse_results, value_of(parse_results, action_case, test_case))

    def post_parse_test_case_action(self, action_case: ActionCase, test_case: TestCase) -> None:
        """Check what came together.

        Raises:
            ValueError: A stub has two kinds of responses, or must both be called and not be called.
        """
        _check(action_case)

    def set_up_test_case_action(
        self,
        action_name: str,
        action_case: ActionCase,
        test_case: TestCase,
        test_fixture: TestFixture,
        **kwargs: Any,
    ) -> None:
        """Begin to stub."""
        start_stubs(action_case)

    def tear_down_test_case_action(
        self,
        action_name: str,
        action_case: ActionCase,
        test_case: TestCase,
        test_fixture: TestFixture,
        **kwargs: Any,
    ) -> None:
        """End the stubs."""
        stop_stubs(action_case)

    def assert_test_case_action_results(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing."""


class StubActionErrorForTestPlanDirective(PlanDirective):
    """``stub action: SERVICE: ACTION: error: code=CODE, ...``, for a whole test case."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "stub_action_error_for_test"

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return _ERROR

    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Store the error.

        Raises:
            ValueError: Another line stubs the action with a body.
        """
        _add_error(test_case, parse_results)


class StubActionErrorForActionDirective(ActionDirective):
    """``CASE stub action: SERVICE: ACTION: error: code=CODE, ...``, for one action case."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "stub_action_error_for_action"

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return super().get_full_grammar() + _ERROR

    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Store the error.

        Raises:
            ValueError: Another line stubs the action with a body.
        """
        _add_error(action_case, parse_results)

    def assert_test_case_action_results(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing."""


class AssertStubActionCalledForTestPlanDirective(PlanDirective):
    """``stub action: SERVICE: ACTION: expect [not] called ...``, for a whole test case."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "stub_action_called_for_test"

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return _CALLED

    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Store the expectation.

        Raises:
            ValueError: Another line says the opposite.
        """
        _add_expectation(test_case, parse_results, value_of(parse_results, action_case, test_case))

    def assert_test_case_results(
        self,
        test_action_results_dict: ActionResults,
        test_case: TestCase,
        test_fixture: TestFixture,
        msg: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Check the calls.

        Raises:
            AssertionError: The stubs were called in another way.
        """
        check_stubs(test_case, msg or test_case["name"])


class AssertStubActionCalledForActionDirective(ActionDirective):
    """``CASE stub action: SERVICE: ACTION: expect [not] called ...``, for one action case."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "stub_action_called_for_action"

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return super().get_full_grammar() + _CALLED

    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Store the expectation.

        Raises:
            ValueError: Another line says the opposite.
        """
        _add_expectation(action_case, parse_results, value_of(parse_results, action_case, test_case))

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
        """Check the calls.

        Raises:
            AssertionError: The stubs were called in another way.
        """
        check_stubs(action_case, msg or action_name)


def _stub(case: dict[str, Any], parse_results: ParseResults) -> dict[str, Any]:
    key = (text_of(parse_results, "stub_service"), text_of(parse_results, "stub_action"))
    stub: dict[str, Any] = case.setdefault(STUBBED_ACTIONS_KEY, {}).setdefault(key, {})
    return stub


def _add_body(case: dict[str, Any], parse_results: ParseResults, value: Any) -> None:
    put(_stub(case, parse_results), "body", text_of(parse_results, "variable_name"), value)
    _check(case)


def _add_error(case: dict[str, Any], parse_results: ParseResults) -> None:
    field = text_of(parse_results, "field_name")
    message = text_of(parse_results, "error_message")
    _stub(case, parse_results).setdefault("errors", []).append(
        {
            "code": text_of(parse_results, "error_code"),
            "field": None if field.lower() == "none" else field,
            "message": None if message.lower() == "none" else message,
        }
    )
    _check(case)


def _add_expectation(case: dict[str, Any], parse_results: ParseResults, value: Any) -> None:
    stub = _stub(case, parse_results)
    path = text_of(parse_results, "variable_name")
    if text_of(parse_results, "not"):
        stub["expect_not_called"] = True
    elif path:
        put(stub, "expect_request", path, value)
    else:
        stub.setdefault("expect_request", {})
    _check(case)


def _check(case: dict[str, Any]) -> None:
    for (service, action), stub in case.get(STUBBED_ACTIONS_KEY, {}).items():
        if "body" in stub and "errors" in stub:
            raise ValueError(
                f"Cannot combine stub action body and errors (must choose one) for {service}.{action}"
            )
        if "expect_request" in stub and stub.get("expect_not_called"):
            raise ValueError(
                'Cannot combine "expect called" and "expect not called" on the same stub action for '
                f"{service}.{action}"
            )
