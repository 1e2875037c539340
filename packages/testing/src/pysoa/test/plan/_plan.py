"""The base class of plans."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pysoa.test.plan._case_run import CaseRun
from pysoa.test.plan._failures import Failures
from pysoa.test.plan._fixture_data import FixtureTestCaseData, find_fixture_files, load_fixtures
from pysoa.test.plan._fixture_run import FixtureRun
from pysoa.test.plan.grammar.directive import ActionCase, TestCase, TestFixture, get_all_directives
from pysoa.test.server import PyTestServerTestCase

__all__ = ("ServicePlanTestCase",)

__test_plan_prune_traceback = True  # read by name, by what prunes tracebacks


class ServicePlanTestCase(PyTestServerTestCase):
    """A test class whose tests come from fixture files.

    ::

        class TestLibrary(ServicePlanTestCase):
            server_class = LibraryServer
            server_settings = {}
            fixture_path = "fixtures"

    It may have ordinary test methods, too. If you override a hook, call that of ``super()`` first. An action
    ``X`` that fixtures call but the server lacks is served by the method ``_process_stub_action_X``, if there
    is one: it takes the body of the request and returns the body of the response, or an ``ActionResponse`` or
    ``JobResponse``, or raises ``ActionError`` or ``JobError``.
    """

    fixture_path: str | None = None
    """The directory with the fixture files and directories of such, absolute or relative to the module."""
    fixture_regex: re.Pattern[str] = re.compile(r"^[^.].*?\.pysoa$")
    """What is found in the names of fixture files."""
    custom_fixtures: Sequence[str] = ()
    """The fixture files; if there are any, :attr:`fixture_path` does not matter."""
    model_constants: Mapping[str, Any] = {}
    """Values for placeholders in fixtures, besides the responses of actions."""

    _fixture_run: FixtureRun | None = None
    _case_run: CaseRun | None = None
    _ends_fixture: bool = False

    @classmethod
    def get_fixture_file_names(cls) -> Sequence[str]:
        """Return the paths of the fixture files, in the order in which they are run.

        Raises:
            FixtureLoadError: There are none where they must be.
        """
        if cls.custom_fixtures:
            return [cls._absolute("custom_fixtures", str(name)) for name in cls.custom_fixtures]
        if cls.fixture_path:
            directory = cls._absolute("fixture_path", str(cls.fixture_path))
            return find_fixture_files(directory, cls.fixture_regex)
        return []

    @classmethod
    def _absolute(cls, attribute: str, path: str) -> str:
        """Resolve a path against the directory of the class that has it, else against the current one."""
        if Path(path).is_absolute():
            return path
        owner = next((base for base in cls.__mro__ if attribute in vars(base)), cls)
        beside_owner = Path(inspect.getfile(owner)).resolve().parent / path
        return str(beside_owner if beside_owner.exists() else Path.cwd() / path)

    @classmethod
    def get_fixture_test_information(cls) -> Iterable[FixtureTestCaseData]:
        """Yield all test cases.

        Raises:
            FixtureLoadError: Files cannot be found or read, or hold no test case.
            FixtureSyntaxError: Files have mistakes; it tells all of them.
            StatusError: Two test cases have the same name.
        """
        return cls._load(cls.get_fixture_file_names())

    @classmethod
    def _load(cls, file_names: Sequence[str]) -> Iterator[FixtureTestCaseData]:
        yield from load_fixtures(file_names, _run)

    @classmethod
    def setup_class(cls) -> None:
        """Do what is needed before the first test of the class."""
        get_all_directives()
        super().setup_class()

    def setup_method(self) -> None:
        """Do what is needed before each test: set up its fixture if it is the first, then a server."""
        if self._fixture_run is not None:
            self._fixture_run.begin(self)
        super().setup_method()

    def set_up_test_fixture(self, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Do what is needed before the first test case of a fixture; there is no client yet.

        Args:
            test_fixture: All test cases of the fixture.
            kwargs: For what may come.
        """

    def tear_down_test_fixture(self, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Undo what :meth:`set_up_test_fixture` of the same object did.

        Args:
            test_fixture: All test cases of the fixture.
            kwargs: For what may come.
        """

    def set_up_test_case(self, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Do what is needed before each test case.

        Args:
            test_case: The test case.
            test_fixture: All test cases of its fixture.
            kwargs: For what may come.
        """

    def tear_down_test_case(self, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Undo it.

        Args:
            test_case: The test case.
            test_fixture: All test cases of its fixture.
            kwargs: For what may come.
        """

    def set_up_test_case_action(
        self,
        action_name: str,
        action_case: ActionCase,
        test_case: TestCase,
        test_fixture: TestFixture,
        **kwargs: Any,
    ) -> None:
        """Do what is needed before each call of an action.

        Args:
            action_name: The name of the action.
            action_case: What the lines about the call have stored.
            test_case: The test case.
            test_fixture: All test cases of its fixture.
            kwargs: For what may come.
        """

    def tear_down_test_case_action(
        self,
        action_name: str,
        action_case: ActionCase,
        test_case: TestCase,
        test_fixture: TestFixture,
        **kwargs: Any,
    ) -> None:
        """Undo it.

        Args:
            action_name: The name of the action.
            action_case: What the lines about the call have stored.
            test_case: The test case.
            test_fixture: All test cases of its fixture.
            kwargs: For what may come.
        """


def _run(plan: ServicePlanTestCase, test_case: TestCase, test_fixture: TestFixture) -> None:
    fixture_run = plan._fixture_run  # pyright: ignore[reportPrivateUsage]
    if fixture_run is not None:
        fixture_run.require_set_up()
    case_run = plan._case_run = CaseRun(plan, test_case, test_fixture)  # pyright: ignore[reportPrivateUsage]
    failures = Failures()
    with failures.caught():
        case_run.run()
    if fixture_run is not None:
        fixture_run.add_results(case_run.action_results)
        if plan._ends_fixture:  # pyright: ignore[reportPrivateUsage]
            with failures.caught():
                fixture_run.check_results()
    failures.raise_first()


_DOCUMENTED_AT: Final = "pysoa.test.plan"
for _class in (FixtureTestCaseData, ServicePlanTestCase):
    _class.__module__ = _DOCUMENTED_AT  # what users see in tracebacks is where it can be imported from
