"""What is set up once for all test cases of a fixture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pysoa.test.plan._failures import Failures
from pysoa.test.plan._hooks import Scope, call_directives
from pysoa.test.plan.errors import StatusError
from pysoa.test.plan.grammar.directive import ActionResults, TestFixture, TestFixtureResults

if TYPE_CHECKING:  # It imports this module.
    from pysoa.test.plan._plan import ServicePlanTestCase

__all__ = ("FixtureRun",)

__test_plan_prune_traceback = True  # read by name, by what prunes tracebacks


class FixtureRun:
    """The set-up of a fixture: it begins with the first test case that is run, and ends after the last one.

    Args:
        fixture_name: The name of the fixture.
        test_fixture: All its test cases.
    """

    def __init__(self, fixture_name: str, test_fixture: TestFixture) -> None:
        self.fixture_name: Final = fixture_name
        self.test_fixture: Final = test_fixture
        self.results: TestFixtureResults = []
        """What the actions of the test cases that were run have returned."""
        self._scope: Scope | None = None
        self._is_set_up = False

    def begin(self, plan: ServicePlanTestCase) -> None:
        """Set up the fixture, unless that was tried already.

        Args:
            plan: The object for the first test case; :meth:`end` uses it too.

        Raises:
            Exception: A hook failed.
        """
        if self._scope is None:
            self._scope = Scope(plan, "test_fixture", self.test_fixture)
            self._scope.set_up()
            self._is_set_up = True

    def require_set_up(self) -> None:
        """Make sure that the fixture was set up.

        Raises:
            StatusError: That was not done, or failed.
        """
        if not self._is_set_up:
            raise StatusError(f"Test fixture {self.fixture_name} not set up")

    def add_results(self, action_results: ActionResults) -> None:
        """Add what the actions of a test case have returned, perhaps not all of them."""
        self.results.append(action_results)

    def check_results(self) -> None:
        """Have the directives check the whole fixture, after its last test case.

        Raises:
            AssertionError: Results are not as they must be.
        """
        call_directives("assert_test_fixture_results", self.results, self.test_fixture, msg=self.fixture_name)

    def end(self) -> None:
        """Tear down what was set up, so that the fixture may begin anew; otherwise do nothing.

        Raises:
            Exception: A hook failed.
        """
        scope, self._scope = self._scope, None
        self._is_set_up = False
        self.results = []
        if scope is not None:
            failures = Failures()
            scope.tear_down(failures)
            failures.raise_first()
