"""Lines that put a value into the request of an action."""

# Hooks have arguments that not all directives need.
# ruff: noqa: ARG002

from __future__ import annotations

from typing import Any, Final

from pyparsing import Optional, ParserElement, ParseResults

from pysoa.common.types import ActionResponse, JobResponse
from pysoa.test.plan.grammar._elements import (
    OptionalTypeGrammar,
    VarNameGrammar,
    VarValueGrammar,
    colon,
    keyword,
    text_of,
)
from pysoa.test.plan.grammar._storing import put, value_of
from pysoa.test.plan.grammar.directive import ActionCase, ActionDirective, TestCase, TestFixture

__all__ = ("ActionInputDirective",)

_KEYS: Final = {"": "inputs", "context": "job_context_inputs", "control": "job_control_inputs"}


class ActionInputDirective(ActionDirective):
    """``CASE [job control|context] input [TYPE]: PATH: REST``."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the directive."""
        return "input"

    @classmethod
    def supplies_additional_grammar_types(cls) -> dict[str, str]:
        """Return how the part of the job is written."""
        return {"job_slot": "'control' | 'context'"}

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the line."""
        slot = (keyword("context") | keyword("control")).set_name("'context' or 'control'")
        return (
            super().get_full_grammar()
            + Optional(keyword("job") + slot("job_slot"))
            + keyword("input")
            + OptionalTypeGrammar
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
        """Store the value."""
        value = value_of(parse_results, action_case, test_case)
        key = _KEYS[text_of(parse_results, "job_slot")]
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
        """Do nothing."""
