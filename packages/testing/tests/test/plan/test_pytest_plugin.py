"""Plans in runs of pytest: what is collected, selected, executed, skipped and shown."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from pysoa.test.plugins.pytest.plans import PLUGIN_STATISTICS

pytest_plugins = ["pytester"]

MODULE = """
    import pytest
    from pysoa.server.action import Action
    from pysoa.server.server import Server
    from pysoa.test.plan import ServicePlanTestCase

    class Echo(Action):
        def run(self, request):
            return dict(request.body)

    class SampleServer(Server):
        service_name = "sample"
        action_class_map = {"echo": Echo}

    class Orders(ServicePlanTestCase):
        server_class = SampleServer
        server_settings = {}
        fixture_path = "fixtures"
        log = []

        @classmethod
        def setup_class(cls):
            super().setup_class()
            cls.log.append("setup_class")

        def set_up_test_fixture(self, test_fixture, **kwargs):
            super().set_up_test_fixture(test_fixture, **kwargs)
            self.marker = test_fixture[0]["fixture_name"]
            self.log.append(f"set_up {self.marker} {hasattr(self, 'client')}")

        def setup_method(self):
            super().setup_method()
            self.log.append("setup_method")

        def teardown_method(self):
            super().teardown_method()
            self.log.append("teardown_method")

        def tear_down_test_fixture(self, test_fixture, **kwargs):
            super().tear_down_test_fixture(test_fixture, **kwargs)
            self.log.append(f"tear_down {self.marker}")

        @classmethod
        def teardown_class(cls):
            super().teardown_class()
            print("LOG", ", ".join(cls.log))

        def test_ordinary(self):
            assert self.call_action("echo", {"a": 1}).body == {"a": 1}

    def test_elsewhere():
        pass
"""

ONE = """
    test name: first
    test description: All is well
    echo: input: a: b
    echo: expect: attribute value: a: b

    test name: second
    test description: All is well again
    echo: expect: no errors

    test name: skipped
    test description: Takes too long
    test skip: Is slow
    echo: expect: no errors
"""

TWO = """
    test name: first
    test description: Something else
    echo: expect: no errors

    test name: last
    test description: The end
    echo: expect: no errors
"""

BROKEN = """
    # what is wrong
    test name: wrong
    test description: Expects another value
    echo.0: input: a.b: x
    echo.0: expect: no errors
    echo.1: input: a.b: x
    echo.1: expect: attribute value: a.b: y
    echo.1: expect: attribute value: a.c: z

    test name: after
    test description: Another one
    echo: expect: no errors
"""


def lay_out(pytester: pytest.Pytester, module: str = MODULE, **fixtures: str) -> None:
    (pytester.path / "fixtures").mkdir()
    for name, text in (fixtures or {"one": ONE, "two": TWO}).items():
        (pytester.path / "fixtures" / f"{name}.pysoa").write_text(textwrap.dedent(text).strip("\n"))
    pytester.makepyfile(test_orders=textwrap.dedent(module))


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-W", "default", *arguments)


def executed(result: pytest.RunResult, outcome: str = "PASSED") -> list[str]:
    """Return the ids of the tests with an outcome, as ``pytest -v`` shows them."""
    return [
        line.split()[0].partition("::")[2]
        for line in result.outlines
        if f" {outcome}" in line and "::" in line
    ]


CASES = ["Orders::one::first", "Orders::one::second", "Orders::two::first", "Orders::two::last"]


def test_plans_are_collected_whatever_their_name(pytester: pytest.Pytester) -> None:
    lay_out(pytester)

    result = run(pytester, "-v")

    result.assert_outcomes(passed=6, skipped=1)
    assert executed(result) == ["Orders::test_ordinary", *CASES, "test_elsewhere"]
    result.stdout.fnmatch_lines(["*Orders::one::skipped*SKIPPED (Is slow)*"])


def test_fixtures_are_set_up_and_torn_down_around_their_test_cases(pytester: pytest.Pytester) -> None:
    lay_out(pytester)

    result = run(pytester, "-s")

    each = "setup_method, teardown_method"
    result.stdout.fnmatch_lines(
        [
            f"*LOG setup_class, {each}, set_up one False, {each}, {each}, tear_down one, "
            f"set_up two False, {each}, {each}, tear_down two"
        ]
    )


def test_fixture_is_set_up_anew_when_the_order_of_tests_comes_back_to_it(
    pytester: pytest.Pytester,
) -> None:  # P4
    lay_out(pytester)
    pytester.makeconftest(
        """
        def pytest_collection_modifyitems(items):
            items.sort(key=lambda item: item.name)
        """
    )

    result = run(pytester, "-s", "--pysoa-test-case-regex", "f|last|second")

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
    arguments: list[str], expected: list[str], pytester: pytest.Pytester
) -> None:  # P4, P12
    lay_out(pytester)

    result = run(pytester, "-v", *arguments)

    assert sorted(executed(result)) == sorted(expected)
    assert not executed(result, "FAILED")
    assert not executed(result, "ERROR")


def test_displayed_ids_select_their_tests(pytester: pytest.Pytester) -> None:  # P12
    lay_out(pytester)
    ids = [line for line in run(pytester, "--collect-only", "-q").outlines if "::" in line]

    result = run(pytester, "-v", *reversed(ids))

    assert len(ids) == 7
    shown = executed(result) + executed(result, "SKIPPED")
    assert sorted(shown) == sorted(node_id.partition("::")[2] for node_id in ids)


def test_subclasses_of_a_plan_run_its_fixtures_as_well(pytester: pytest.Pytester) -> None:  # P12
    lay_out(pytester, MODULE.replace("def test_elsewhere():\n        pass", "class More(Orders): pass"))

    result = run(pytester, "-v", "-k", "first")

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
    arguments: list[str], expected: list[str], pytester: pytest.Pytester
) -> None:  # P4, P12
    lay_out(pytester)

    result = run(pytester, "-v", *arguments)

    assert executed(result) == expected
    assert not executed(result, "FAILED")
    result.stdout.fnmatch_lines(["*collected 7 items / * deselected / * selected"])


def test_both_options_for_test_cases_exclude_each_other(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--pysoa-test-case", "a", "--pysoa-test-case-regex", "b")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*use of mutually exclusive arguments: --pysoa-test-case, --pysoa-test-case-regex*"]
    )


def test_bad_pattern_is_a_usage_error(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--pysoa-test-case-regex", "(")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--pysoa-test-case-regex: '(' is no pattern: missing )*"])


def test_fixtures_run_distributed_over_processes(pytester: pytest.Pytester) -> None:  # P4
    lay_out(pytester)

    result = pytester.runpytest_subprocess(
        "-p", "no:cacheprovider", "-n", "2", "-v", "--pysoa-test-case-regex", "."
    )

    result.assert_outcomes(passed=4, skipped=1)
    assert "Orders::two::last" in result.stdout.str()


def test_statistics_count_test_cases(pytester: pytest.Pytester) -> None:
    lay_out(pytester)
    before = dict(PLUGIN_STATISTICS)

    run(pytester, "--pysoa-fixture", "one")

    assert {key: PLUGIN_STATISTICS[key] - before[key] for key in before} == {
        "fixture_tests_collected": 5,
        "fixture_tests_executed": 2,
        "fixture_tests_skipped": 1,
    }


def test_marks_and_unittest_skip_on_the_class_hold_for_its_test_cases(pytester: pytest.Pytester) -> None:
    marked = "@pytest.mark.skip(reason='by a mark')\n    class Orders"
    lay_out(pytester, MODULE.replace("class Orders", marked))

    run(pytester).assert_outcomes(passed=1, skipped=6)

    module = MODULE.replace("class Orders", "@__import__('unittest').skip('by unittest')\n    class Orders")
    pytester.makepyfile(test_orders=textwrap.dedent(module))

    result = run(pytester, "-rs", "-k", "first")

    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED * by unittest"])


def test_classes_that_pytest_would_not_collect_are_not_collected(pytester: pytest.Pytester) -> None:
    no_test = MODULE.replace("log = []", "__test__ = False\n        log = []")
    lay_out(pytester, no_test)

    run(pytester).assert_outcomes(passed=1)

    constructor = MODULE.replace("log = []", "log = []\n        def __init__(self): pass")
    pytester.makepyfile(test_orders=textwrap.dedent(constructor))

    result = run(pytester)

    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(
        ["*cannot collect test class 'Orders' because it has a __init__ constructor*"]
    )


def test_autouse_fixtures_and_class_marks_work_in_plans(pytester: pytest.Pytester) -> None:
    module = (
        MODULE
        + """
    @pytest.fixture(autouse=True)
    def watch(request):
        print("WATCH", request.node.name, type(request.instance).__name__, request.cls.__name__)
"""
    )
    lay_out(pytester, module)

    result = run(pytester, "-s", "-k", "first")

    result.stdout.fnmatch_lines(["*WATCH first Orders Orders*"])


def test_fixture_that_cannot_be_set_up_fails_all_its_test_cases(pytester: pytest.Pytester) -> None:
    lay_out(
        pytester,
        MODULE.replace(
            "self.marker = test_fixture", "assert not test_fixture\n            self.marker = test_fixture"
        ),
    )

    result = run(pytester, "-v", "--pysoa-fixture", "one")

    assert executed(result, "ERROR") == ["Orders::one::first"]
    assert executed(result, "FAILED") == ["Orders::one::second"]
    result.stdout.fnmatch_lines(["*StatusError: Test fixture one not set up"])


def test_failure_shows_the_fixture_and_no_code_of_pysoa(pytester: pytest.Pytester) -> None:
    lay_out(pytester, broken=BROKEN)

    result = run(pytester, "-k", "wrong")

    result.assert_outcomes(failed=1, deselected=3)
    shown = result.stdout.str()
    assert "packages" not in shown.partition("= FAILURES =")[2]
    result.stdout.fnmatch_lines(
        [
            "*Orders.broken.wrong*",
            ">   test name: wrong",
            "E   AssertionError: echo.1",
            "E   DATA ERROR:",
            "E   Missing values:",
            "E     `a.c`",
            "E   Mismatch values:",
            "E     `a.b`",
            "E   `a.b` is incorrect:",
            "E     Expected: 'y' (<class 'str'>)",
            "E     Actual:   'x' (<class 'str'>)",
            "E   Full body expected:",
            "E   {'a': {'b': 'y', 'c': 'z'}}",
            "E   Full body actual:",
            "E   {'a': {'b': 'x'}}",
            "fixtures/broken.pysoa:2: AssertionError",
            "*test case wrong of fixture broken*",
            "    # what is wrong",
            ">   test name: wrong",
            "    test description: Expects another value",
            "    echo.0: input: a.b: x",
            "    echo.0: expect: no errors",
            "    echo.1: input: a.b: x",
            "    echo.1: expect: attribute value: a.b: y",
            "    echo.1: expect: attribute value: a.c: z",
            "    test name: after",
            "action_results = *'echo.0'*",
            "action_case = *'inputs'*",
            "job_response = *'errors'*",
            "fixtures/broken.pysoa:2: AssertionError",
            "FAILED test_orders.py::Orders::broken::wrong - AssertionError: echo.1",
        ]
    )


def test_failure_outside_of_actions_shows_the_test_case(pytester: pytest.Pytester) -> None:
    lay_out(
        pytester,
        broken=ONE.replace("echo: input", "mock: os.path: expect called join: [[], {}]\n    echo: input"),
    )

    result = run(pytester, "-k", "first")

    result.stdout.fnmatch_lines(
        ["E   AssertionError: first: mock `os.path.join`", "test_case = {'name': 'first',*"]
    )


def test_code_of_pysoa_is_shown_on_demand(pytester: pytest.Pytester) -> None:
    lay_out(pytester, broken=BROKEN)

    result = run(pytester, "-k", "wrong", "--pysoa-disable-tb-prune")

    result.stdout.fnmatch_lines(["*_case_run.py:*", "*assertions.py:*: AssertionError"])


def test_code_of_modules_with_the_mark_is_not_shown(pytester: pytest.Pytester) -> None:
    hook = "def set_up_test_case(self, *_, **__): import marked; marked.check()"
    lay_out(pytester, MODULE.replace("def test_ordinary", f"{hook}\n\n        def test_ordinary"))
    pytester.makepyfile(
        marked="__test_plan_prune_traceback = True\ndef check():\n    raise LookupError('in marked code')"
    )

    result = run(pytester, "-k", "first and one")

    result.stdout.fnmatch_lines(["E   *LookupError: in marked code"])
    assert "raise LookupError" not in result.stdout.str()


@pytest.mark.parametrize("style", ["short", "line", "native", "no"])
def test_other_styles_of_tracebacks_work(style: str, pytester: pytest.Pytester) -> None:
    lay_out(pytester, broken=BROKEN)

    result = run(pytester, "-k", "wrong", f"--tb={style}")

    result.assert_outcomes(failed=1, deselected=3)
    assert ("broken.pysoa" in result.stdout.str()) is (style != "no")


def test_mistakes_in_fixtures_are_collection_errors_without_tracebacks(pytester: pytest.Pytester) -> None:
    lay_out(pytester, bad="test name: x\ntest description: y\necho: exepct: no errors\necho: input int: a: b")

    result = run(pytester)

    result.assert_outcomes(errors=1)
    path = pytester.path / "fixtures" / "bad.pysoa"
    result.stdout.fnmatch_lines(
        [
            f"FixtureSyntaxError: 2 mistakes in {path}",
            "1. Failed to parse line: echo: exepct: no errors",
            f"in file: {path}:3",
            "Expected *'expect'*, found 'exepct' at column 7; did you mean 'expect'?",
            "    echo: exepct: no errors",
            "          ^",
            "2. Data type conversion error",
        ]
    )
    assert "Traceback" not in result.stdout.str()


def test_location_is_the_line_in_the_fixture(pytester: pytest.Pytester) -> None:
    lay_out(pytester)

    items: list[pytest.Item] = pytester.inline_genitems("-p", "no:cacheprovider")[0]  # pyright: ignore[reportUnknownMemberType]

    assert [item.location for item in items][1:4] == [
        ("fixtures/one.pysoa", 0, "Orders.one.first"),
        ("fixtures/one.pysoa", 5, "Orders.one.second"),
        ("fixtures/one.pysoa", 9, "Orders.one.skipped"),
    ]


def test_pytest_starts_unharmed_without_pyparsing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:  # T16
    pytester.makepyfile(
        blocker="""
        import sys

        class Blocked:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in ("pyparsing", "freezegun"):
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        sys.meta_path.insert(0, Blocked())
        """,
        test_ordinary="""
        import pytest

        def test_plans_say_what_is_missing(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("pysoa_test_plan")
            with pytest.raises(ImportError, match=r"Test plans need pyparsing.*Install pysoa-testing.plans."):
                import pysoa.test.plan
        """,
    )
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))

    result = pytester.runpytest_subprocess("-p", "blocker", "-p", "no:cacheprovider", "test_ordinary.py")

    result.assert_outcomes(passed=1)


def test_plugin_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_ordinary():
            assert "pysoa.test.plugins.pytest.plans" in sys.modules
            assert not {"pyparsing", "freezegun", "pysoa.test.plan", "pysoa.server.server"} & set(sys.modules)
        """
    )

    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_directives_of_entry_points_are_found_and_broken_ones_reported(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(pytester, one=ONE.replace("echo: input: a: b", "echo: input: a: b\n    shout: hello"))
    site = pytester.path / "site"
    (site / "extra-1.0.dist-info").mkdir(parents=True)
    (site / "extra-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n"
    )
    (site / "extra-1.0.dist-info" / "entry_points.txt").write_text(
        "[pysoa.test.plan.grammar.directives]\nshout = extra:Shout\ngone = no_such_module:Gone\n"
    )
    (site / "extra.py").write_text(
        textwrap.dedent(
            """
            from pyparsing import Literal
            from pysoa.test.plan.grammar.directive import Directive, VarValueGrammar

            class Shout(Directive):
                @classmethod
                def name(cls):
                    return "shout"

                @classmethod
                def get_full_grammar(cls):
                    return Literal("shout") + ":" + VarValueGrammar

                def ingest_from_parsed_test_fixture(self, action_case, test_case, results, *_):
                    test_case["shout"] = results.value.upper()

                def assert_test_case_action_results(self, *args, **kwargs):
                    assert args[2]["shout"] == "HELLO"
                    print("SHOUTED")
            """
        )
    )
    monkeypatch.setenv("PYTHONPATH", str(site))

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-s", "-k", "one and first")

    result.assert_outcomes(passed=1, deselected=4)
    result.stdout.fnmatch_lines(["*SHOUTED*"])
    result.stderr.fnmatch_lines(
        [
            "WARNING: Could not load test plan directive 'no_such_module:Gone'; skipped.",
            "ModuleNotFoundError: *",
        ]
    )


def test_fixture_files_are_not_collected_themselves(pytester: pytest.Pytester) -> None:
    lay_out(pytester)

    result = run(pytester, str(Path("fixtures") / "one.pysoa"))

    assert result.ret in (pytest.ExitCode.NO_TESTS_COLLECTED, pytest.ExitCode.USAGE_ERROR)
