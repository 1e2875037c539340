"""What a line of a fixture means: the base classes of directives, and the registry of all of them.

To add a line of your own to the language, extend :class:`ActionDirective` or :class:`Directive` and register
the class with :func:`register_directive`, or as an entry point of the group
``pysoa.test.plan.grammar.directives``::

    class DeadlineDirective(ActionDirective):
        @classmethod
        def name(cls):
            return "deadline"

        @classmethod
        def get_full_grammar(cls):
            return super().get_full_grammar() + Keyword("deadline") + ":" + VarValueGrammar

        def ingest_from_parsed_test_fixture(self, action_case, test_case, results, file_name, line_number):
            action_case["deadline"] = float(results.value)

        def assert_test_case_action_results(
            self, action_name, action_case, test_case, test_fixture, response, job, msg=None, **kwargs
        ):
            assert response.body["duration"] < action_case.get("deadline", math.inf), msg
"""

# Most hooks do nothing here.
# ruff: noqa: B027

from __future__ import annotations

import abc
from typing import Any, TypeAlias

from pyparsing import ParserElement, ParseResults

from pysoa.common.types import ActionResponse, JobResponse
from pysoa.test.plan.grammar._elements import ActionCaseGrammar, VarNameGrammar, VarValueGrammar
from pysoa.test.plan.grammar._registry import all_directives, register
from pysoa.test.plan.grammar.data_types import DataTypeGrammar

__all__ = (
    "ActionCase",
    "ActionDirective",
    "ActionResults",
    "DataTypeGrammar",
    "Directive",
    "TestCase",
    "TestFixture",
    "TestFixtureResults",
    "VarNameGrammar",
    "VarValueGrammar",
    "get_all_directives",
    "register_directive",
)

ActionCase: TypeAlias = dict[str, Any]
"""What the directives of one action case have stored, under their own keys."""
TestCase: TypeAlias = dict[str, Any]
"""What the directives of one test case have stored.

Always there are ``name``, ``description``, ``actions`` (the labels ``ACTION.INDEX`` in the order of
execution), an :data:`ActionCase` under each label, ``line_number``, ``fixture_name``, ``fixture_file_name``,
``source`` and ``fixture_source``.
"""
TestFixture: TypeAlias = list[TestCase]
"""The test cases of a fixture file."""
ActionResults: TypeAlias = dict[str, ActionResponse]
"""The response of each action case, by its label; without those whose job failed."""
TestFixtureResults: TypeAlias = list[ActionResults]
"""The results of the test cases that were executed."""


class Directive(abc.ABC):
    """One kind of line in fixtures.

    An object is made for each call of a method, so keep state in the dictionaries that methods are given.
    """

    @classmethod
    @abc.abstractmethod
    def name(cls) -> str:
        """Return a name that no other directive has."""

    @classmethod
    def supplies_additional_grammar_types(cls) -> dict[str, str]:
        """Return how the results of the grammar that are special to this directive are written, by name."""
        return {}

    @classmethod
    @abc.abstractmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of a whole line.

        The results ``action``, ``action_index`` and ``is_global`` say to what the line belongs.
        """

    @abc.abstractmethod
    def ingest_from_parsed_test_fixture(
        self,
        action_case: ActionCase,
        test_case: TestCase,
        parse_results: ParseResults,
        file_name: str,
        line_number: int,
    ) -> None:
        """Store what a line says.

        Args:
            action_case: Where to store what is about an action; the test case for lines without an action.
            test_case: Where to store what is about the test case.
            parse_results: What the line was parsed to.
            file_name: The path of the fixture file.
            line_number: The number of the line.

        Raises:
            Exception: The line is wrong. Anything raised here is reported as a ``FixtureSyntaxError``.
        """

    def post_parse_test_case_action(self, action_case: ActionCase, test_case: TestCase) -> None:
        """Complete or check an action case, when all lines of its test case are known."""

    def post_parse_test_case(self, test_case: TestCase) -> None:
        """Complete or check a test case, when all its lines are known."""

    def set_up_test_fixture(self, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Do what is needed before the first test case of a fixture."""

    def tear_down_test_fixture(self, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Undo it after the last one."""

    def set_up_test_case(self, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Do what is needed before a test case."""

    def tear_down_test_case(self, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Undo it; also called if :meth:`set_up_test_case` failed half-way."""

    def set_up_test_case_action(
        self,
        action_name: str,
        action_case: ActionCase,
        test_case: TestCase,
        test_fixture: TestFixture,
        **kwargs: Any,
    ) -> None:
        """Do what is needed before an action is called."""

    def tear_down_test_case_action(
        self,
        action_name: str,
        action_case: ActionCase,
        test_case: TestCase,
        test_fixture: TestFixture,
        **kwargs: Any,
    ) -> None:
        """Undo it; also called if :meth:`set_up_test_case_action` failed half-way."""

    @abc.abstractmethod
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
        """Check what an action has returned.

        Args:
            action_name: The name of the action.
            action_case: What its lines have stored.
            test_case: The test case it belongs to.
            test_fixture: All test cases of the fixture.
            action_response: The response of the action; ``None`` if the job failed.
            job_response: The response of the job.
            msg: The label of the action case, which is for the messages of assertions.
            kwargs: For what may come.

        Raises:
            AssertionError: The response is not as the lines say.
        """

    def assert_test_case_results(
        self,
        test_action_results_dict: ActionResults,
        test_case: TestCase,
        test_fixture: TestFixture,
        msg: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Check a test case after all its actions."""

    def assert_test_fixture_results(
        self,
        test_fixture_results: TestFixtureResults,
        test_fixture: TestFixture,
        msg: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Check a fixture after all its test cases."""


class ActionDirective(Directive):
    """One kind of line about an action case, which begins with ``ACTION[.INDEX]: [global]``."""

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """Return the grammar of the beginning, to which subclasses add theirs."""
        return ActionCaseGrammar


def get_all_directives() -> list[type[Directive]]:
    """Return all directives in the order in which lines are tried and hooks run.

    Those of PySOA come first, then those of entry points, then those that were registered. An entry point
    that cannot be imported is reported on the standard error stream.

    Raises:
        DirectiveError: One of them is no directive, or lacks methods.
    """
    return list(all_directives())


def register_directive(directive: type[Directive]) -> None:
    """Add a directive to the language, for all fixtures that are parsed from now on.

    Args:
        directive: The class. Registering it again does nothing.

    Raises:
        DirectiveError: It is no directive, or lacks methods.
    """
    register(directive)
