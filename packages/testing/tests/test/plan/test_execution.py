"""In which order hooks run, what serves actions, and which error wins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pyparsing import Literal, ParserElement, ParseResults

from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse, JobResponse
from pysoa.server.errors import ActionError, JobError
from pysoa.server.server import Server
from pysoa.test.plan import FixtureTestCaseData, ServicePlanTestCase
from pysoa.test.plan.errors import DirectiveError, FixtureLoadError, FixtureSyntaxError, StatusError
from pysoa.test.plan.grammar import _registry
from pysoa.test.plan.grammar.directive import (
    ActionDirective,
    VarValueGrammar,
    get_all_directives,
    register_directive,
)

RunCase = Callable[..., None]


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def directive(calls: list[str]) -> Iterator[type[ActionDirective]]:
    """A directive that writes down the calls of its hooks, and is taken back after the test."""

    class Recorder(ActionDirective):
        @classmethod
        def name(cls) -> str:
            return "recorder"

        @classmethod
        def get_full_grammar(cls) -> ParserElement:
            return super().get_full_grammar() + Literal("record") + ":" + VarValueGrammar

        def ingest_from_parsed_test_fixture(
            self,
            action_case: dict[str, Any],
            test_case: dict[str, Any],
            parse_results: ParseResults,
            file_name: str,
            line_number: int,
        ) -> None:
            action_case["record"] = parse_results["value"]
            calls.append(f"ingest {parse_results['action']} {line_number}")

        def assert_test_case_action_results(self, action_name: str, *_: Any, **keywords: Any) -> None:
            calls.append(f"assert {action_name} {keywords['msg']}")

        def __getattribute__(self, name: str) -> Any:
            if name.startswith(("set_up", "tear_down", "post_parse")) or name in (
                "assert_test_case_results",
                "assert_test_fixture_results",
            ):
                calls.append(f"directive {name}")
            return super().__getattribute__(name)

    register_directive(Recorder)
    register_directive(Recorder)
    yield Recorder
    _registry._registered.remove(Recorder)  # pyright: ignore[reportPrivateUsage]
    _registry.all_directives.cache_clear()


def recording(calls: list[str], name: str) -> Callable[..., None]:
    def record(*_: object, **__: object) -> None:
        calls.append(f"plan {name}")

    return record


HOOKS = (
    "set_up_test_case",
    "tear_down_test_case",
    "set_up_test_case_action",
    "tear_down_test_case_action",
)


def test_hooks_of_plan_and_directives_run_in_the_documented_order(
    calls: list[str], directive: type[ActionDirective], run_case: RunCase
) -> None:
    run_case("echo: record: this", **{name: recording(calls, name) for name in HOOKS})

    assert calls == [
        "ingest echo 3",
        "directive post_parse_test_case_action",
        "directive post_parse_test_case",
        "plan set_up_test_case",
        "directive tear_down_test_case",  # looked up for later
        "directive set_up_test_case",
        "plan set_up_test_case_action",
        "directive tear_down_test_case_action",  # looked up for later
        "directive set_up_test_case_action",
        "assert echo echo.0",
        "plan tear_down_test_case_action",
        "directive assert_test_case_results",
        "plan tear_down_test_case",
    ]
    assert get_all_directives()[-1] is directive


def test_registered_directive_refuses_lines_with_file_and_line(
    directive: type[ActionDirective], run_case: RunCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise LookupError("no such record")

    monkeypatch.setattr(directive, "ingest_from_parsed_test_fixture", refuse)

    with pytest.raises(FixtureSyntaxError, match=r"LookupError: no such record\nin file: .*sample.pysoa:3\n"):
        run_case("echo: record: this")


def test_incomplete_directive_is_refused() -> None:
    class Incomplete(ActionDirective):
        @classmethod
        def name(cls) -> str:
            return "incomplete"

    with pytest.raises(
        DirectiveError, match="Incomplete lacks methods; define assert_test_case_action_results"
    ):
        register_directive(Incomplete)  # type: ignore[type-abstract]  # that is the mistake
    with pytest.raises(DirectiveError, match="is no directive"):
        register_directive(dict)  # type: ignore[arg-type]  # that is the mistake


def test_first_failure_ends_the_test_case_and_is_raised(
    calls: list[str], run_case: RunCase, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LookupError("in the tear-down")

    with pytest.raises(AssertionError, match="`a` is incorrect"):
        run_case(
            """
            echo.0: input: a: b
            echo.0: expect: attribute value: a: c
            echo.1: expect: no errors
            """,
            tear_down_test_case_action=fail,
            tear_down_test_case=recording(calls, "tear_down_test_case"),
        )

    assert calls == ["plan tear_down_test_case"]
    assert (
        "Additionally, a `LookupError` error occurred: in the tear-down\nTraceback" in capsys.readouterr().err
    )


def test_interrupt_while_tearing_down_is_passed_on(calls: list[str], run_case: RunCase) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_case(
            "echo: expect: no errors",
            tear_down_test_case_action=interrupt,
            tear_down_test_case=recording(calls, "tear_down_test_case"),
        )

    assert calls == ["plan tear_down_test_case"]


def respond_plainly(body: dict[str, Any]) -> dict[str, Any]:
    return {"doubled": body["n"] * 2}


def respond_with_action_response(body: dict[str, Any]) -> ActionResponse:
    return ActionResponse("double", body={"doubled": body["n"] * 2})


def respond_with_job_response(body: dict[str, Any]) -> JobResponse:
    return JobResponse(actions=[respond_with_action_response(body)])


def respond_as_class_method(cls: type[object], body: dict[str, Any]) -> dict[str, Any]:
    return respond_plainly(body)


def respond_as_method(self: object, body: dict[str, Any]) -> dict[str, Any]:
    return respond_plainly(body)


@pytest.mark.parametrize(
    "process",
    [
        staticmethod(respond_plainly),
        staticmethod(respond_with_action_response),
        staticmethod(respond_with_job_response),
        classmethod(respond_as_class_method),
        respond_as_method,
    ],
    ids=["body", "action response", "job response", "class method", "method"],
)
def test_action_that_only_tests_have_is_served_by_the_plan(process: object, run_case: RunCase) -> None:
    run_case(
        "double: input int: n: 4\ndouble: expect int: attribute value: doubled: 8",
        _process_stub_action_double=process,
    )


def test_action_that_only_tests_have_may_fail(run_case: RunCase) -> None:
    def fail(_: dict[str, Any]) -> None:
        raise ActionError(errors=[Error(code="NO", message="never")])

    def fail_job(_: dict[str, Any]) -> None:
        raise JobError(errors=[Error(code="NO_JOB", message="never")])

    run_case(
        "a: expect: error: code=NO\nb: expect: job error: code=NO_JOB",
        _process_stub_action_a=staticmethod(fail),
        _process_stub_action_b=staticmethod(fail_job),
    )


def test_actions_of_the_server_are_not_served_by_the_plan(run_case: RunCase) -> None:
    run_case(
        """
        status: input bool: verbose: false
        status: expect any str: attribute value: version
        introspect: input: action_name: echo
        introspect: expect: attribute value: action_names.0: echo
        echo: input: a: b
        echo: expect: attribute value: a: b
        """,
        _process_stub_action_echo=staticmethod(respond_plainly),
        _process_stub_action_status=staticmethod(respond_plainly),
        _process_stub_action_introspect=staticmethod(respond_plainly),
    )


def test_test_case_may_be_run_again(sample_server: type[Server], tmp_path: Any) -> None:
    path = tmp_path / "a.pysoa"
    path.write_text("test name: x\ntest description: y\necho: input: a: [[user]]\n")
    seen: list[str] = []

    class Plan(ServicePlanTestCase):
        server_class = sample_server
        server_settings = {}
        custom_fixtures = (str(path),)

        def tear_down_test_case_action(self, *arguments: Any, **_: Any) -> None:
            seen.append(arguments[1]["inputs"]["a"])

    (case,) = information(Plan)

    for name in ("Ada", "Grace"):
        plan = Plan()
        plan.model_constants = {"user": name}
        plan.setup_method()
        case.callable(plan)
        plan.teardown_method()

    assert seen == ["Ada", "Grace"]


def information(plan: type[ServicePlanTestCase]) -> list[FixtureTestCaseData]:
    return list(plan.get_fixture_test_information())


def write(path: Any, *names: str, skip: str = "") -> str:
    path.write_text(
        "\n\n".join(
            f"test name: {name}\ntest description: about {name}\necho: expect: no errors"
            + ("\ntest skip: slow" if name == skip else "")
            for name in names
        )
    )
    return str(path)


def test_information_tells_all_about_test_cases(tmp_path: Any) -> None:
    (tmp_path / "below").mkdir()
    first = write(tmp_path / "below" / "a.pysoa", "one", "two", "three", skip="one")
    second = write(tmp_path / "b.pysoa", "four")
    write(tmp_path / ".hidden.pysoa", "five")
    write(tmp_path / "c.pysoa.orig", "five")

    class Plan(ServicePlanTestCase):
        fixture_path = str(tmp_path)

    assert Plan.get_fixture_file_names() == [second, first]
    cases = information(Plan)
    assert [(c.name, c.fixture_name, c.fixture_file, c.line_number, c.skip) for c in cases] == [
        ("four", "b", second, 1, None),
        ("one", "a", first, 1, "slow"),
        ("two", "a", first, 6, None),
        ("three", "a", first, 10, None),
    ]
    assert [c.is_first_fixture_case for c in cases] == [True, False, True, False]
    assert [c.is_last_fixture_case for c in cases] == [True, False, False, True]
    assert cases[2].description == f"about two\n{first}"
    assert cases[2].callable.__name__ == "plan__a__two"
    assert cases[2].test_fixture[1]["name"] == "two"


def test_custom_fixtures_are_used_in_their_order(tmp_path: Any) -> None:
    paths = (write(tmp_path / "b.pysoa", "x"), write(tmp_path / "a.pysoa", "y"))

    class Plan(ServicePlanTestCase):
        fixture_path = "nowhere"
        custom_fixtures = paths

    assert [case.name for case in information(Plan)] == ["x", "y"]


def test_plan_without_fixtures_has_no_test_cases() -> None:
    class Plan(ServicePlanTestCase):
        pass

    assert Plan.get_fixture_file_names() == []


def test_missing_directory_and_missing_files_are_reported(tmp_path: Any) -> None:
    class Nowhere(ServicePlanTestCase):
        fixture_path = str(tmp_path / "nowhere")

    class Empty(ServicePlanTestCase):
        fixture_path = str(tmp_path)

    with pytest.raises(
        FixtureLoadError, match=r'Tried loading fixtures from ".*nowhere", however this path does'
    ):
        information(Nowhere)
    with pytest.raises(FixtureLoadError, match=f"Could not find any fixture files in {tmp_path}"):
        information(Empty)


def test_mistakes_in_all_files_are_reported_together(tmp_path: Any) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.pysoa").write_text("nonsense\n")

    class Plan(ServicePlanTestCase):
        fixture_path = str(tmp_path)

    with pytest.raises(
        FixtureSyntaxError, match=r"^2 mistakes in 2 files\n\n1\. Failed to parse line: nonsense"
    ):
        information(Plan)


def test_duplicate_name_is_reported_with_both_places(tmp_path: Any) -> None:
    path = write(tmp_path / "a.pysoa", "one", "one")

    class Plan(ServicePlanTestCase):
        custom_fixtures = (path,)

    with pytest.raises(StatusError) as failure:
        information(Plan)

    assert str(failure.value) == (
        f'Duplicate test name "one" in fixture "{path}": the test case at {path}:5 is called like the one at '
        f"{path}:1. Rename one of them."
    )
