"""Plans in runs of pytest: what is collected, selected, executed and skipped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pysoa.test.plugins.pytest.plans import PLUGIN_STATISTICS

pytest_plugins = ["pytester"]

LayOut = Callable[..., None]
Run = Callable[..., pytest.RunResult]

SAMPLES = Path(__file__).parent / "samples"
MODULE = (SAMPLES / "orders.txt").read_text(encoding="utf-8")
CASES = ["Orders::one::first", "Orders::one::second", "Orders::two::first", "Orders::two::last"]


def executed(result: pytest.RunResult, outcome: str = "PASSED") -> list[str]:
    """Return the ids of the tests with an outcome, as ``pytest -v`` shows them."""
    return [
        line.split()[0].partition("::")[2]
        for line in result.outlines
        if f" {outcome}" in line and "::" in line
    ]


def test_plans_are_collected_whatever_their_name(lay_out: LayOut, run: Run) -> None:
    lay_out()

    result = run("-v")

    result.assert_outcomes(passed=6, skipped=1)
    assert executed(result) == ["Orders::test_ordinary", *CASES, "test_elsewhere"]
    result.stdout.fnmatch_lines(["*Orders::one::skipped*SKIPPED (Is slow)*"])


def test_fixtures_are_set_up_and_torn_down_around_their_test_cases(lay_out: LayOut, run: Run) -> None:
    lay_out()

    result = run("-s")

    each = "setup_method, teardown_method"
    result.stdout.fnmatch_lines(
        [
            f"*LOG setup_class, {each}, set_up one False, {each}, {each}, tear_down one, "
            f"set_up two False, {each}, {each}, tear_down two"
        ]
    )


def test_fixture_is_set_up_anew_when_the_order_of_tests_comes_back_to_it(
    lay_out: LayOut, run: Run, pytester: pytest.Pytester
) -> None:  # P4
    lay_out()
    pytester.makeconftest(
        """
        def pytest_collection_modifyitems(items):
            items.sort(key=lambda item: item.name)
        """
    )

    result = run("-s", "--pysoa-test-case-regex", "f|last|second")

    each = "setup_method, teardown_method"
    one, two = (f"set_up {name} False, {each}, tear_down {name}" for name in ("one", "two"))
    result.stdout.fnmatch_lines(
        [f"*LOG setup_class, {one}, {two[: -len(', tear_down two')]}, {each}, *, {one}"]
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["test_orders.py::Orders::one::second"], ["Orders::one::second"]),
        (["test_orders.py::Orders::two"], ["Orders::two::first", "Orders::two::last"]),
        (["test_orders.py::Orders::plan__one__second"], ["Orders::one::second"]),
        (
            ["test_orders.py::Orders::plan__one__second", "test_orders.py::Orders::one::second"],
            ["Orders::one::second"],
        ),
        (
            ["test_orders.py::Orders::two::last", "test_orders.py::Orders::plan__one__first"],
            ["Orders::two::last", "Orders::one::first"],
        ),
        (["-k", "plan__two__last"], ["Orders::two::last"]),
        (["-k", "second or last"], ["Orders::one::second", "Orders::two::last"]),
        (["-k", "two"], ["Orders::two::first", "Orders::two::last"]),
        (["--deselect", "test_orders.py::Orders::one::first", "-k", "one"], ["Orders::one::second"]),
    ],
)
def test_any_subset_of_a_fixture_runs(
    arguments: list[str], expected: list[str], lay_out: LayOut, run: Run
) -> None:  # P4, P12
    lay_out()

    result = run("-v", *arguments)

    assert sorted(executed(result)) == sorted(expected)
    assert not executed(result, "FAILED")
    assert not executed(result, "ERROR")


def test_displayed_ids_select_their_tests(lay_out: LayOut, run: Run) -> None:  # P12
    lay_out()
    ids = [line for line in run("--collect-only", "-q").outlines if "::" in line]

    result = run("-v", *reversed(ids))

    assert len(ids) == 7
    shown = executed(result) + executed(result, "SKIPPED")
    assert sorted(shown) == sorted(node_id.partition("::")[2] for node_id in ids)


def test_subclasses_of_a_plan_run_its_fixtures_as_well(lay_out: LayOut, run: Run) -> None:  # P12
    lay_out(MODULE.replace("def test_elsewhere():\n    pass", "class More(Orders): pass"))

    result = run("-v", "-k", "first")

    assert executed(result) == [
        f"{plan}::{name}::first" for plan in ("Orders", "More") for name in ("one", "two")
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--pysoa-fixture", "one"], CASES[:2]),
        (["--pysoa-fixture", "on"], []),
        (["--pysoa-fixture", "one", "--pysoa-fixture", "two"], CASES),
        (["--pysoa-test-case", "first"], ["Orders::one::first", "Orders::two::first"]),
        (["--pysoa-test-case", "fir"], []),
        (["--pysoa-test-case", "second", "--pysoa-test-case", "last"], [CASES[1], CASES[3]]),
        (["--pysoa-test-case", "The end"], ["Orders::two::last"]),
        (["--pysoa-test-case-regex", "s"], ["Orders::one::second"]),
        (["--pysoa-test-case-regex", "l", "--pysoa-test-case-regex", ".*again"], [CASES[1], CASES[3]]),
        (["--pysoa-test-case-regex", "All is w"], CASES[:2]),
        (["--pysoa-test-case", "first", "--pysoa-fixture", "two"], ["Orders::two::first"]),
    ],
)
def test_options_select_test_cases_and_nothing_else(
    arguments: list[str], expected: list[str], lay_out: LayOut, run: Run
) -> None:  # P4, P12
    lay_out()

    result = run("-v", *arguments)

    assert executed(result) == expected
    assert not executed(result, "FAILED")
    result.stdout.fnmatch_lines(["*collected 7 items / * deselected / * selected"])


def test_both_options_for_test_cases_exclude_each_other(run: Run) -> None:
    result = run("--pysoa-test-case", "a", "--pysoa-test-case-regex", "b")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*use of mutually exclusive arguments: --pysoa-test-case, --pysoa-test-case-regex*"]
    )


def test_bad_pattern_is_a_usage_error(run: Run) -> None:
    result = run("--pysoa-test-case-regex", "(")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--pysoa-test-case-regex: '(' is no pattern: missing )*"])


def test_fixtures_run_distributed_over_processes(lay_out: LayOut, pytester: pytest.Pytester) -> None:  # P4
    lay_out()

    result = pytester.runpytest_subprocess(
        "-p", "no:cacheprovider", "-n", "2", "-v", "--pysoa-test-case-regex", "."
    )

    result.assert_outcomes(passed=4, skipped=1)
    assert "Orders::two::last" in result.stdout.str()


def test_statistics_count_test_cases(lay_out: LayOut, run: Run) -> None:
    lay_out()
    before = dict(PLUGIN_STATISTICS)

    run("--pysoa-fixture", "one")

    assert {key: PLUGIN_STATISTICS[key] - before[key] for key in before} == {
        "fixture_tests_collected": 5,
        "fixture_tests_executed": 2,
        "fixture_tests_skipped": 1,
    }


def test_marks_and_unittest_skip_on_the_class_hold_for_its_test_cases(
    lay_out: LayOut, run: Run, pytester: pytest.Pytester
) -> None:
    marked = "@pytest.mark.skip(reason='by a mark')\nclass Orders"
    lay_out(MODULE.replace("class Orders", marked))

    run().assert_outcomes(passed=1, skipped=6)

    module = MODULE.replace("class Orders", "@__import__('unittest').skip('by unittest')\nclass Orders")
    pytester.makepyfile(test_orders=module)

    result = run("-rs", "-k", "first")

    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED * by unittest"])


def test_classes_that_pytest_would_not_collect_are_not_collected(
    lay_out: LayOut, run: Run, pytester: pytest.Pytester
) -> None:
    no_test = MODULE.replace("log = []", "__test__ = False\n    log = []")
    lay_out(no_test)

    run().assert_outcomes(passed=1)

    constructor = MODULE.replace("log = []", "log = []\n    def __init__(self): pass")
    pytester.makepyfile(test_orders=constructor)

    result = run()

    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(
        ["*cannot collect test class 'Orders' because it has a __init__ constructor*"]
    )


def test_autouse_fixtures_and_class_marks_work_in_plans(lay_out: LayOut, run: Run) -> None:
    watch = """
@pytest.fixture(autouse=True)
def watch(request):
    print("WATCH", request.node.name, type(request.instance).__name__, request.cls.__name__)
"""
    lay_out(MODULE + watch)

    result = run("-s", "-k", "first")

    result.stdout.fnmatch_lines(["*WATCH first Orders Orders*"])


def test_fixture_that_cannot_be_set_up_fails_all_its_test_cases(lay_out: LayOut, run: Run) -> None:
    marker = "self.marker = test_fixture"
    lay_out(MODULE.replace(marker, f"assert not test_fixture\n        {marker}"))

    result = run("-v", "--pysoa-fixture", "one")

    assert executed(result, "ERROR") == ["Orders::one::first"]
    assert executed(result, "FAILED") == ["Orders::one::second"]
    result.stdout.fnmatch_lines(["*StatusError: Test fixture one not set up"])
