"""How pytest sees plans: a class, below it its fixtures, and below these their test cases.

The names of these nodes are the parts of the ids, so each id that pytest shows can be given to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol, cast, runtime_checkable

import pytest

from pysoa.test.plan import _report
from pysoa.test.plan._fixture_data import FixtureTestCaseData
from pysoa.test.plan._fixture_run import FixtureRun
from pysoa.test.plan._plan import ServicePlanTestCase
from pysoa.test.plan.errors import FixtureLoadError, FixtureSyntaxError, StatusError

# Plans have private attributes for what runs them.
# pyright: reportPrivateUsage=false, reportUnknownMemberType=false, reportUnknownVariableType=false

__all__ = ("PlanClass", "PlanFixture", "PlanFunction")


class PlanClass(pytest.Class):
    """A plan. It yields its ordinary test methods first."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """Yield test methods, fixtures, and what was asked for by an old id.

        Raises:
            FixtureLoadError: Files cannot be found or read, or hold no test case.
            FixtureSyntaxError: Files have mistakes; it tells all of them.
            StatusError: Two test cases have the same name.
        """
        yield from super().collect()
        plan = cast("type[ServicePlanTestCase]", self.obj)
        if not getattr(plan, "__test__", True) or _has_constructor(plan):
            return
        if getattr(plan, "__unittest_skip__", False):
            self.add_marker(pytest.mark.skip(reason=getattr(plan, "__unittest_skip_why__", "")))
        fixtures: dict[str, PlanFixture] = {}
        for case in plan.get_fixture_test_information():
            setattr(plan, case.callable.__name__, case.callable)
            fixture = fixtures.get(case.fixture_name)
            if fixture is None:
                fixture = PlanFixture.from_parent(self, name=case.fixture_name)
                fixtures[case.fixture_name] = fixture
            fixture.cases.append(case)
        yield from fixtures.values()
        yield from self._requested_by_old_ids(fixtures)

    def _requested_by_old_ids(self, fixtures: Mapping[str, PlanFixture]) -> Iterator[_OldId]:
        """Yield a collector for each test case that the command line names as PySOA 1.x did."""
        requested = {argument.rpartition("::")[2] for argument in self.config.args if "::plan__" in argument}
        for fixture in fixtures.values():
            for case in fixture.cases:
                if case.callable.__name__ in requested:
                    old_id = _OldId.from_parent(self, name=case.callable.__name__)
                    old_id.fixture, old_id.case_name = fixture, case.name
                    yield old_id

    def repr_failure(  # type: ignore[override]  # as pytest does in its own subclasses
        self, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> Any:
        """Show only the text of errors in fixture files: it has the file, the line and the reason."""
        if isinstance(excinfo.value, (FixtureSyntaxError, FixtureLoadError, StatusError)):
            return f"{type(excinfo.value).__name__}: {excinfo.value}"
        return super().repr_failure(excinfo)


class PlanFixture(pytest.Collector):
    """A fixture of a plan. It is set up with the first of its test cases, and torn down by pytest."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.cases: Final[list[FixtureTestCaseData]] = []
        """Its test cases."""
        self._items: list[PlanFunction] | None = None
        self._run: FixtureRun | None = None

    def collect(self) -> list[PlanFunction]:
        """Return the test cases, always the same objects."""
        if self._items is None:
            self._items = [self._item(case) for case in self.cases]
        return self._items

    def _item(self, case: FixtureTestCaseData) -> PlanFunction:
        plan = cast("type[ServicePlanTestCase]", cast(PlanClass, self.parent).obj)()
        function = getattr(plan, case.callable.__name__)
        item: PlanFunction = PlanFunction.from_parent(self, name=case.name, callobj=function)
        item.case = case
        item.extra_keyword_matches.add(case.callable.__name__)
        if case.skip:
            item.add_marker(pytest.mark.skip(reason=case.skip))
        return item

    def begin(self, plan: ServicePlanTestCase) -> None:
        """Have a plan object set up the fixture, if nothing has done so, before its own set-up."""
        if self._run is None:
            self._run = FixtureRun(self.name, self.cases[0].test_fixture)
            self.addfinalizer(self._end)
        plan._fixture_run = self._run

    def _end(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            run.end()


class _OldId(pytest.Collector):
    """Finds a test case by the name that its test method has, as PySOA 1.x did."""

    fixture: PlanFixture
    case_name: str

    def collect(self) -> list[PlanFunction]:
        """Return the test case."""
        return [item for item in self.fixture.collect() if item.name == self.case_name]


class PlanFunction(pytest.Function):
    """A test case of a plan."""

    case: FixtureTestCaseData
    """What is known about it."""
    next_item: pytest.Item | None = None
    """The item that is run after it."""

    @property
    def plan(self) -> ServicePlanTestCase:
        """The object that it is a method of."""
        return cast(ServicePlanTestCase, self.instance)

    @property
    def titles(self) -> tuple[str, str]:
        """The name of the test case, and its description without the path of the file."""
        return self.case.name, self.case.description.partition("\n")[0]

    def reportinfo(self) -> tuple[str, int, str]:
        """Return the line of the fixture file with the name of the test case, and a label."""
        plan_name = cast(PlanClass, self.getparent(PlanClass)).name
        label = f"{plan_name}.{self.case.fixture_name}.{self.case.name}"
        return self.case.fixture_file, self.case.line_number - 1, label

    def setup(self) -> None:
        """Have the fixture set up before the first of its test cases that is run."""
        __tracebackhide__ = True
        cast(PlanFixture, self.parent).begin(self.plan)
        self.plan._ends_fixture = self._ends_fixture()
        super().setup()

    def _ends_fixture(self) -> bool:
        """Tell whether all that follows here of the fixture is skipped."""
        following = self.next_item
        while isinstance(following, PlanFunction) and following.parent is self.parent:
            if not following.case.skip:
                return False
            items = self.session.items
            index = items.index(following) + 1
            following = items[index] if index < len(items) else None
        return True

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:  # type: ignore[override]  # as pytest's
        """Show the fixture file instead of the code that has executed it."""
        if not self.config.getoption("pysoa_disable_tb_prune"):
            _report.prune_tracebacks(excinfo.value)
            excinfo = pytest.ExceptionInfo.from_exception(excinfo.value)
        report = super().repr_failure(excinfo)
        if isinstance(report, _HasSections) and self.config.getoption("tbstyle") in ("auto", "long", "short"):
            title = f"test case {self.case.name} of fixture {self.case.fixture_name}"
            wide = bool(self.config.getoption("showlocals")) or self.config.get_verbosity() > 1
            report.addsection(title, _report.describe(self.case, self.plan._case_run, excinfo.value, wide))
        return report


@runtime_checkable
class _HasSections(Protocol):
    """A failure that can be given more text."""

    def addsection(self, name: str, content: str, sep: str = "-") -> None:
        """Add a text with a heading."""
        ...


def _has_constructor(plan: type[object]) -> bool:
    return plan.__init__ is not object.__init__ or plan.__new__ is not object.__new__
