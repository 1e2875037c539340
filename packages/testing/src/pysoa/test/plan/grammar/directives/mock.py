"""Lines that patch names with mocks, and say how these are to be called."""

# Hooks have arguments that not all directives need.
# ruff: noqa: ARG002

from __future__ import annotations

from typing import Any, Final

from pyparsing import Optional, ParserElement, ParseResults, Regex

from pysoa.common.types import ActionResponse, JobResponse
from pysoa.test.plan.grammar._elements import VarValueGrammar, colon, keyword, symbol, text_of
from pysoa.test.plan.grammar._mocks import (
    DELETE,
    MOCK_PATCHES_KEY,
    check_mocks,
    parse_calls,
    parse_exception,
    parse_json,
    start_mocks,
    stop_mocks,
)
from pysoa.test.plan.grammar.directive import (
    ActionCase,
    ActionDirective,
    ActionResults,
    TestCase,
    TestFixture,
)
from pysoa.test.plan.grammar.directives.plans import PlanDirective

__all__ = (
    "MockAssertCalledActionDirective",
    "MockAssertCalledTestPlanDirective",
    "MockPathResultForActionDirective",
    "MockPathResultForTestPlanDirective",
)

__test_plan_prune_traceback = True  # read by name, by what prunes tracebacks

_NAMES: Final = r"[A-Za-z0-9_][A-Za-z0-9_.]*"
_TARGET: Final = (
    keyword("mock") + colon + Regex(_NAMES).set_name("the dotted name of what to mock")("mock_target") + colon
)
_CALLED: Final = (
    _TARGET
    + keyword("expect")
    + Optional(keyword("not")("not"))
    + keyword("called")
    + Optional(Regex(_NAMES)("mock_path"))
    + symbol(":", "an attribute of the mock or ':'")
    + VarValueGrammar
)
_RESULT: Final = (
    _TARGET
    + Regex(_NAMES).set_name("an attribute of the mock")("mock_path")
    + colon
    + Optional((keyword("exception") | keyword("delete"))("instruction"))
    + VarValueGrammar
)


class MockAssertCalledTestPlanDirective(PlanDirective):
    """``mock: TARGET: expect [not] called [PATH]: JSON``, for a whole test case."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "mock_assert_called_for_test"

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
            ValueError: The call is not described in JSON, or must not happen according to another line.
        """
        _add_expectation(test_case, parse_results)

    def post_parse_test_case(self, test_case: TestCase) -> None:
        """Check what came together.

        Raises:
            ValueError: A call is both expected and not expected.
        """
        _check_expectations(test_case)

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
            AssertionError: The mocks were called in another way.
        """
        check_mocks(test_case, msg or test_case["name"])


class MockAssertCalledActionDirective(ActionDirective):
    """``CASE mock: TARGET: expect [not] called [PATH]: JSON``, for one action case."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "mock_assert_called_for_action"

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
            ValueError: The call is not described in JSON, or must not happen according to another line.
        """
        _add_expectation(action_case, parse_results)

    def post_parse_test_case_action(self, action_case: ActionCase, test_case: TestCase) -> None:
        """Check what came together.

        Raises:
            ValueError: A call is both expected and not expected.
        """
        _check_expectations(action_case)

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
            AssertionError: The mocks were called in another way.
        """
        check_mocks(action_case, msg or action_name)


class MockPathResultForTestPlanDirective(PlanDirective):
    """``mock: TARGET: PATH: JSON``, ``... exception NAME`` or ``... delete``, for a whole test case."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "mock_result_for_test"

    @classmethod
    def supplies_additional_grammar_types(cls) -> dict[str, str]:
        """Return how targets, paths and values are written."""
        return {
            "mock_target": "NAME (NAME | '.')*",
            "mock_path": "NAME (NAME | '.')*",
            "instruction": "'exception' | 'delete'",
            "json": "PLAIN_LANGUAGE",
        }

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return _RESULT

    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Store the value.

        Raises:
            ValueError: The value is no JSON or no exception, or cannot be deleted.
        """
        _add_result(test_case, parse_results)

    def set_up_test_case(self, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Begin to patch."""
        start_mocks(test_case)

    def tear_down_test_case(self, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Take back what was patched."""
        stop_mocks(test_case)

    def assert_test_case_action_results(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing."""


class MockPathResultForActionDirective(ActionDirective):
    """``CASE mock: TARGET: PATH: JSON``, ``... exception NAME`` or ``... delete``, for one action case."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "mock_result_for_action"

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return super().get_full_grammar() + _RESULT

    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Store the value.

        Raises:
            ValueError: The value is no JSON or no exception, or cannot be deleted.
        """
        _add_result(action_case, parse_results)

    def set_up_test_case_action(
        self,
        action_name: str,
        action_case: ActionCase,
        test_case: TestCase,
        test_fixture: TestFixture,
        **kwargs: Any,
    ) -> None:
        """Begin to patch."""
        start_mocks(action_case)

    def tear_down_test_case_action(
        self,
        action_name: str,
        action_case: ActionCase,
        test_case: TestCase,
        test_fixture: TestFixture,
        **kwargs: Any,
    ) -> None:
        """Take back what was patched."""
        stop_mocks(action_case)

    def assert_test_case_action_results(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing."""


def _part(case: dict[str, Any], parse_results: ParseResults, key: str) -> dict[Any, Any]:
    target = text_of(parse_results, "mock_target")
    if "." not in target.strip("."):
        raise ValueError(
            f"Expected what to mock with the module it is in, such as package.module.name; found {target!r}"
        )
    patches = case.setdefault(MOCK_PATCHES_KEY, {})
    part: dict[Any, Any] = patches.setdefault(target, {}).setdefault(key, {})
    return part


def _add_expectation(case: dict[str, Any], parse_results: ParseResults) -> None:
    expectations = _part(case, parse_results, "expectations")
    path = text_of(parse_results, "mock_path") or None
    expectation = expectations.setdefault(path, {"calls": [], "not_called": False})
    if text_of(parse_results, "not"):
        expectation["not_called"] = True
    else:
        expectation["calls"].append(parse_calls(text_of(parse_results, "value")))
    _check_expectations(case)


def _check_expectations(case: dict[str, Any]) -> None:
    for target, patch in case.get(MOCK_PATCHES_KEY, {}).items():
        for path, expectation in patch.get("expectations", {}).items():
            if expectation["calls"] and expectation["not_called"]:
                raise ValueError(
                    "Cannot combine not-called expectations with other expectations for path "
                    f'"{path or ""}" of mock {target}'
                )


def _add_result(case: dict[str, Any], parse_results: ParseResults) -> None:
    configuration = _part(case, parse_results, "configure")
    path = text_of(parse_results, "mock_path")
    value = _result(path, text_of(parse_results, "instruction"), text_of(parse_results, "value"))
    if path.rpartition(".")[2] == "side_effect":
        configuration.setdefault(path, []).append(value)
    else:
        configuration[path] = value


def _result(path: str, instruction: str, text: str) -> Any:
    if instruction == "exception":
        return parse_exception(text)
    if instruction != "delete":
        return parse_json(text)
    if path.rpartition(".")[2] in ("side_effect", "return_value"):
        raise ValueError(
            f"Cannot delete paths ending in special Mock attributes `side_effect` or `return_value`: `{path}`"
        )
    if text:
        raise ValueError(f"Expected nothing after 'delete', found {text!r}")
    return DELETE
