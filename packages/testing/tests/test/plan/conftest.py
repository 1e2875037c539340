"""A service whose actions show what plans did to them, and ways to run fixtures without pytest in between."""

from __future__ import annotations

import collections
import datetime
import textwrap
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from pysoa.common.errors import Error
from pysoa.server.action import Action
from pysoa.server.errors import ActionError, JobError
from pysoa.server.server import Server
from pysoa.server.types import EnrichedActionRequest
from pysoa.test.plan import ServicePlanTestCase
from pysoa.test.plan.grammar.directive import TestFixture
from pysoa.test.plan.parser import ServiceTestPlanFixtureParser


class Echo(Action):
    """Returns the body of the request."""

    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        return dict(request.body)


class Headers(Action):
    """Returns what is not in the body of the request."""

    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        return {
            "locale": request.context.get("locale"),
            "switches": sorted(request.switches),
            "trace": request.control.get("trace"),
        }


class Fail(Action):
    """Returns the errors that the request asks for."""

    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        raise ActionError(errors=[Error(**error) for error in request.body["errors"]])


class FailJob(Action):
    """Makes the whole job fail."""

    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        raise JobError(errors=[Error(code="OVERLOADED", message="Come back later")])


class Crash(Action):
    """Has a bug."""

    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        raise LookupError("No such shelf")


class Now(Action):
    """Returns the time."""

    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        return {
            "local": datetime.datetime.now(),
            "utc": datetime.datetime.now(datetime.UTC),
            "day": datetime.date.today(),
        }


class Token(Action):
    """Returns text that is safe in an address."""

    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        return {"token": urllib.parse.quote(request.body.get("text", "a b"))}


class Count(Action):
    """Counts letters."""

    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        return {"counts": collections.Counter(request.body["text"]).most_common()}


class Ask(Action):
    """Calls another service and returns its response, or the codes of its errors."""

    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        response = request.client.call_action(
            "tax", "quote", {"country": request.body.get("country", "BR")}, raise_action_errors=False
        )
        return {"answer": response.body, "codes": [error.code for error in response.errors]}


class SampleServer(Server):
    """The service."""

    service_name = "sample"
    action_class_map = {
        "echo": Echo,
        "echo2": Echo,
        "headers": Headers,
        "fail": Fail,
        "fail_job": FailJob,
        "crash": Crash,
        "now": Now,
        "token": Token,
        "count": Count,
        "ask": Ask,
        "inputs_list": Echo,
    }


@pytest.fixture
def sample_server() -> type[Server]:
    return SampleServer


@pytest.fixture
def run_fixture(tmp_path: Path) -> Callable[..., None]:
    """Run all test cases of a fixture as methods of a plan with these attributes; raise the first failure."""

    def run(text: str, **attributes: Any) -> None:
        path = tmp_path / "sample.pysoa"
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        settings = {
            "server_class": SampleServer,
            "server_settings": {},
            "custom_fixtures": (str(path),),
            "model_constants": {"user": {"id": 7, "name": "Ada"}, "TAGS": ["a", "b"]},
        }
        plan_class = cast(
            "type[ServicePlanTestCase]", type("Plan", (ServicePlanTestCase,), {**settings, **attributes})
        )
        plan_class.setup_class()
        for case in plan_class.get_fixture_test_information():
            plan = plan_class()
            plan.setup_method()
            try:
                case.callable(plan)
            finally:
                plan.teardown_method()
        plan_class.teardown_class()

    return run


@pytest.fixture
def run_case(run_fixture: Callable[..., None]) -> Callable[..., None]:
    """Run the lines of one test case, which lack its name and description."""

    def run(lines: str, **attributes: Any) -> None:
        lines = textwrap.dedent(lines).strip("\n")
        run_fixture(f"test name: example\ntest description: An example\n{lines}\n", **attributes)

    return run


@pytest.fixture
def parse(tmp_path: Path) -> Callable[[str], TestFixture]:
    """Parse the text of a fixture."""

    def parse_text(text: str) -> TestFixture:
        path = tmp_path / "sample.pysoa"
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return ServiceTestPlanFixtureParser(str(path), "sample").parse_test_fixture()

    return parse_text


@pytest.fixture
def lay_out(pytester: pytest.Pytester) -> Callable[..., None]:
    """Write a module with a plan, and the fixtures that are given by their names."""
    samples = Path(__file__).parent / "samples"

    def write(module: str = "", **fixtures: str) -> None:
        (pytester.path / "fixtures").mkdir()
        if not fixtures:
            fixtures = {
                name: (samples / f"{name}.txt").read_text(encoding="utf-8") for name in ("one", "two")
            }
        for name, text in fixtures.items():
            (pytester.path / "fixtures" / f"{name}.pysoa").write_text(text, encoding="utf-8")
        module = module or (samples / "orders.txt").read_text(encoding="utf-8")
        (pytester.path / "test_orders.py").write_text(module, encoding="utf-8")

    return write


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Run pytest in the folder of the test, with these arguments."""

    def run_pytest(*arguments: str) -> pytest.RunResult:
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-W", "default", *arguments)

    return run_pytest
