"""The pytest plugin for test plans.

pytest loads this module in every run of an environment in which pysoa-testing is installed. What it needs for
plans, pyparsing first of all, is imported only by modules that define plans, so it costs nothing otherwise.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

if TYPE_CHECKING:  # It imports pyparsing.
    from pysoa.test.plan._nodes import PlanFunction

__all__ = ("PLUGIN_STATISTICS",)

PLUGIN_STATISTICS: Final[dict[str, int]] = {
    "fixture_tests_collected": 0,
    "fixture_tests_executed": 0,
    "fixture_tests_skipped": 0,
}
"""How many test cases of plans this process has collected, executed and skipped."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that select test cases of plans."""
    group = parser.getgroup("pysoa", "PySOA test plans")
    group.addoption(
        "--pysoa-fixture",
        action="append",
        default=[],
        dest="pysoa_fixture",
        metavar="NAME",
        help="Run only test cases of fixtures with this name (the name of the file without its extension).",
    )
    group.addoption(
        "--pysoa-test-case",
        action="append",
        default=[],
        dest="pysoa_test_case",
        metavar="NAME",
        help="Run only test cases of plans with this name or description.",
    )
    group.addoption(
        "--pysoa-test-case-regex",
        action="append",
        default=[],
        dest="pysoa_test_case_regex",
        metavar="PATTERN",
        help="Run only test cases of plans whose name or description begins with a match of this pattern.",
    )
    group.addoption(
        "--pysoa-disable-tb-prune",
        action="store_true",
        default=False,
        dest="pysoa_disable_tb_prune",
        help="Keep the frames of PySOA's own code in the tracebacks of test cases of plans.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Check the options."""
    if config.getoption("pysoa_test_case") and config.getoption("pysoa_test_case_regex"):
        raise pytest.UsageError(
            "use of mutually exclusive arguments: --pysoa-test-case, --pysoa-test-case-regex"
        )
    for pattern in _values(config, "pysoa_test_case_regex"):
        try:
            re.compile(pattern)
        except re.error as error:
            raise pytest.UsageError(f"--pysoa-test-case-regex: {pattern!r} is no pattern: {error}") from error


def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> Any:
    """Collect classes that are plans."""
    # No class can be one before this module was imported by the one that defines it.
    if not isinstance(obj, type) or "pysoa.test.plan" not in sys.modules:
        return None
    from pysoa.test.plan import ServicePlanTestCase
    from pysoa.test.plan._nodes import PlanClass

    if not issubclass(obj, ServicePlanTestCase):
        return None
    if obj is ServicePlanTestCase:
        return []
    plan_class: PlanClass = PlanClass.from_parent(collector, name=name, obj=obj)  # pyright: ignore[reportUnknownMemberType]
    return plan_class


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Count test cases of plans, and deselect what the options do not name."""
    unique = list(dict.fromkeys(items))  # a test case may be named by its old and by its new id
    PLUGIN_STATISTICS["fixture_tests_collected"] += len(_plan_functions(unique))
    names = _values(config, "pysoa_test_case")
    patterns = [re.compile(f"^{pattern}") for pattern in _values(config, "pysoa_test_case_regex")]
    fixtures = _values(config, "pysoa_fixture")
    if fixtures or names or patterns:
        selected = {
            item
            for item in _plan_functions(unique)
            if (not fixtures or item.case.fixture_name in fixtures)
            and (not names or any(name in names for name in item.titles))
            and (not patterns or any(p.search(title) for p in patterns for title in item.titles))
        }
        config.hook.pytest_deselected(items=[item for item in unique if item not in selected])
        unique = [item for item in unique if item in selected]
    items[:] = unique


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Let test cases of plans know what follows, so that the last one of a fixture can check it."""
    for function in _plan_functions([item]):
        function.next_item = nextitem


def pytest_runtest_call(item: pytest.Item) -> None:
    """Count test cases of plans that are executed."""
    PLUGIN_STATISTICS["fixture_tests_executed"] += len(_plan_functions([item]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Count test cases of plans that are skipped."""
    report = yield
    if report.when == "setup" and report.skipped:
        PLUGIN_STATISTICS["fixture_tests_skipped"] += len(_plan_functions([item]))
    return report


def _values(config: pytest.Config, option: str) -> list[str]:
    return cast(list[str], config.getoption(option))


def _plan_functions(items: Iterable[pytest.Item]) -> list[PlanFunction]:
    if "pysoa.test.plan._nodes" not in sys.modules:
        return []
    from pysoa.test.plan._nodes import PlanFunction

    return [item for item in items if isinstance(item, PlanFunction)]
