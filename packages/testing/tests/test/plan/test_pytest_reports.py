"""Plans in runs of pytest: what is shown of failures, and what the plugin needs."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

LayOut = Callable[..., None]
Run = Callable[..., pytest.RunResult]

SAMPLES = Path(__file__).parent / "samples"
MODULE = (SAMPLES / "orders.txt").read_text(encoding="utf-8")
ONE = (SAMPLES / "one.txt").read_text(encoding="utf-8")
BROKEN = (SAMPLES / "broken.txt").read_text(encoding="utf-8")


def test_failure_shows_the_fixture_and_no_code_of_pysoa(lay_out: LayOut, run: Run) -> None:
    lay_out(broken=BROKEN)

    result = run("-k", "wrong")

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


def test_failure_outside_of_actions_shows_the_test_case(lay_out: LayOut, run: Run) -> None:
    lay_out(broken=ONE.replace("echo: input", "mock: os.path: expect called join: [[], {}]\necho: input"))

    result = run("-k", "first")

    result.stdout.fnmatch_lines(
        ["E   AssertionError: first: mock `os.path.join`", "test_case = {'name': 'first',*"]
    )


def test_code_of_pysoa_is_shown_on_demand(lay_out: LayOut, run: Run) -> None:
    lay_out(broken=BROKEN)

    result = run("-k", "wrong", "--pysoa-disable-tb-prune")

    result.stdout.fnmatch_lines(["*_case_run.py:*", "*assertions.py:*: AssertionError"])


def test_code_of_modules_with_the_mark_is_not_shown(
    lay_out: LayOut, run: Run, pytester: pytest.Pytester
) -> None:
    hook = "def set_up_test_case(self, *_, **__): import marked; marked.check()"
    lay_out(MODULE.replace("def test_ordinary", f"{hook}\n\n    def test_ordinary"))
    pytester.makepyfile(
        marked="__test_plan_prune_traceback = True\ndef check():\n    raise LookupError('in marked code')"
    )

    result = run("-k", "first and one")

    result.stdout.fnmatch_lines(["E   *LookupError: in marked code"])
    assert "raise LookupError" not in result.stdout.str()


@pytest.mark.parametrize("style", ["short", "line", "native", "no"])
def test_other_styles_of_tracebacks_work(style: str, lay_out: LayOut, run: Run) -> None:
    lay_out(broken=BROKEN)

    result = run("-k", "wrong", f"--tb={style}")

    result.assert_outcomes(failed=1, deselected=3)
    assert ("broken.pysoa" in result.stdout.str()) is (style != "no")


def test_mistakes_in_fixtures_are_collection_errors_without_tracebacks(
    lay_out: LayOut, run: Run, pytester: pytest.Pytester
) -> None:
    lay_out(bad="test name: x\ntest description: y\necho: exepct: no errors\necho: input int: a: b")

    result = run()

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


def test_location_is_the_line_in_the_fixture(lay_out: LayOut, pytester: pytest.Pytester) -> None:
    lay_out()

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
    lay_out: LayOut, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(one=ONE.replace("echo: input: a: b", "echo: input: a: b\nshout: hello"))
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


def test_fixture_files_are_not_collected_themselves(lay_out: LayOut, run: Run) -> None:
    lay_out()

    result = run(str(Path("fixtures") / "one.pysoa"))

    assert result.ret in (pytest.ExitCode.NO_TESTS_COLLECTED, pytest.ExitCode.USAGE_ERROR)
