"""Lines that freeze the time."""

# Hooks have arguments that not all directives need.
# ruff: noqa: ARG002

from __future__ import annotations

import datetime
import importlib
from typing import Any, Final, Protocol, cast

from pyparsing import ParserElement, ParseResults

from pysoa.common.types import ActionResponse, JobResponse
from pysoa.test.plan.errors import FixtureSyntaxError
from pysoa.test.plan.grammar._clock import FREEZE_TIME_KEY
from pysoa.test.plan.grammar._elements import VarValueGrammar, colon, keyword, text_of
from pysoa.test.plan.grammar.directive import ActionCase, ActionDirective, TestCase, TestFixture
from pysoa.test.plan.grammar.directives.plans import PlanDirective

__all__ = ("FreezeTimeActionDirective", "FreezeTimeTestPlanDirective")

_FREEZER_KEY: Final = "_freezegun_freezer"
_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"


class _Freezer(Protocol):
    def start(self) -> object: ...
    def stop(self) -> None: ...


class FreezeTimeTestPlanDirective(PlanDirective):
    """``freeze time: now`` or ``freeze time: YYYY-MM-DDTHH:MM:SSZ``, for a whole test case."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "freeze_time_test"

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return keyword("freeze time") + colon + VarValueGrammar

    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Store the time, which keywords on the following lines refer to.

        Raises:
            FixtureSyntaxError: It is no time, or freezegun is not installed.
        """
        test_case[FREEZE_TIME_KEY] = _parse(text_of(parse_results, "value"), file_name, line_number)

    def set_up_test_case(self, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Freeze the time."""
        _freeze(test_case)

    def tear_down_test_case(self, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Let the time go on."""
        _thaw(test_case)


class FreezeTimeActionDirective(ActionDirective):
    """``CASE freeze time: now`` or ``CASE freeze time: YYYY-MM-DDTHH:MM:SSZ``, for one action case."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "freeze_time_action"

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        return super().get_full_grammar() + keyword("freeze time") + colon + VarValueGrammar

    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Store the time, which keywords on the following lines of the action case refer to.

        Raises:
            FixtureSyntaxError: It is no time, or freezegun is not installed.
        """
        action_case[FREEZE_TIME_KEY] = _parse(text_of(parse_results, "value"), file_name, line_number)

    def set_up_test_case_action(
        self,
        action_name: str,
        action_case: ActionCase,
        test_case: TestCase,
        test_fixture: TestFixture,
        **kwargs: Any,
    ) -> None:
        """Freeze the time."""
        _freeze(action_case)

    def tear_down_test_case_action(
        self,
        action_name: str,
        action_case: ActionCase,
        test_case: TestCase,
        test_fixture: TestFixture,
        **kwargs: Any,
    ) -> None:
        """Let the time go on, or be frozen as it was before."""
        _thaw(action_case)

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


def _parse(text: str, file_name: str, line_number: int) -> datetime.datetime:
    try:
        importlib.import_module("freezegun")
    except ImportError as error:
        raise FixtureSyntaxError(
            "Could not import freezegun to support freeze time syntax. Install pysoa-testing[plans].",
            file_name,
            line_number,
        ) from error
    if text == "now":
        return datetime.datetime.now(datetime.UTC).replace(microsecond=0, tzinfo=None)
    try:
        return datetime.datetime.strptime(text, _FORMAT)
    except ValueError as error:
        raise FixtureSyntaxError(
            "Could not parse datetime value for time freeze: "
            f"expected 'now' or a time like 2031-03-05T23:59:59Z, found {text!r}",
            file_name,
            line_number,
        ) from error


def _freeze(case: dict[str, Any]) -> None:
    moment = case.get(FREEZE_TIME_KEY)
    if moment is None:
        return
    freezegun = importlib.import_module("freezegun")
    # The event loop of a server keeps the real time: coroutines that sleep would never wake up.
    freezer = cast(_Freezer, freezegun.freeze_time(moment, real_asyncio=True))
    freezer.start()
    case[_FREEZER_KEY] = freezer


def _thaw(case: dict[str, Any]) -> None:
    freezer: _Freezer | None = case.pop(_FREEZER_KEY, None)
    if freezer is not None:
        freezer.stop()
