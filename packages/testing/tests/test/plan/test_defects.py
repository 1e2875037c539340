"""The outcomes that are better than those of PySOA 1.4.9."""

from __future__ import annotations

import datetime
import importlib.metadata
import re
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from pysoa.client.client import Client
from pysoa.client.errors import ImproperlyConfigured
from pysoa.test.plan import ServicePlanTestCase
from pysoa.test.plan.errors import FixtureSyntaxError
from pysoa.test.plan.grammar.directive import TestFixture as Fixture
from pysoa.test.plan.grammar.directive import get_all_directives

RunCase = Callable[..., None]
FIXTURE = "test name: {}\ntest description: An example\necho: expect: no errors\n"


@pytest.mark.parametrize(
    "lines",
    [
        "echo: input: a: b\necho: expect: not attribute value: a: c",
        "echo: input none: a:\necho: expect: not attribute value: a: c",
        "echo: expect: not attribute value: a.b: c",
        "echo: input: a.0: x\necho: expect: not attribute value: a: y",
        "echo: input: a.0.b: x\necho: expect: not attribute value: a.0.b: y",
    ],
)
def test_not_attribute_value_accepts_other_values(lines: str, run_case: RunCase) -> None:  # P1
    run_case(lines)


@pytest.mark.parametrize(
    "lines",
    [
        "echo: input: a: b\necho: expect: not attribute value: a: b",
        "echo: input: a.0: x\necho: expect: not attribute value: a: x",
        "echo: input: a.0: y\necho: input: a.1: x\necho: expect: not attribute value: a.0: x",
        "echo: input: a.0.b: x\necho: expect: not attribute value: a.0.b: x",
        "echo: input: a: abc\necho: expect regex: not attribute value: a: a",
    ],
)
def test_not_attribute_value_refuses_the_listed_value(lines: str, run_case: RunCase) -> None:  # P1
    with pytest.raises(AssertionError, match="Not Expected fields present:"):
        run_case(lines)


def test_any_decimal_matches_decimals(run_case: RunCase) -> None:  # P2
    run_case("echo: input decimal: a: 1.5\necho: expect any decimal: attribute value: a")


@pytest.mark.parametrize("data_type", ["emptylist", "none", "regex", "base64_bytes", "encoded_ascii"])
def test_any_of_a_type_that_no_value_has_is_refused(data_type: str, run_case: RunCase) -> None:  # P2
    with pytest.raises(FixtureSyntaxError, match=f"No value is of type '{data_type}'"):
        run_case(f"echo: expect any {data_type}: attribute value: a")


def test_relative_fixture_path_is_beside_the_module_of_the_plan() -> None:  # P3
    class RelativePlan(ServicePlanTestCase):
        fixture_path = "fixtures"

    class Inheriting(RelativePlan):
        pass

    Inheriting.__module__ = "pytest"  # what inherits a path may be in another directory

    for plan in (RelativePlan, Inheriting):
        assert plan.get_fixture_file_names() == [str(Path(__file__).parent / "fixtures" / "relative.pysoa")]


def test_relative_fixture_path_may_be_in_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # P3
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "one.pysoa").write_text(FIXTURE.format("one"))
    monkeypatch.chdir(tmp_path)

    class Plan(ServicePlanTestCase):
        fixture_path = "here"

    assert Plan.get_fixture_file_names() == [str(tmp_path / "here" / "one.pysoa")]


def test_globals_combine_with_stubs_and_mocks_of_all_kinds(run_fixture: RunCase) -> None:  # P5
    run_fixture(
        """
        ask: global stub action: tax: quote: body int: rate: 1
        ask: global input: {q}: brace
        ask: global mock: urllib.parse.quote: expect not called:
        token: global mock: urllib.parse: quote.return_value: {"a": {"b": 1}}

        test name: example
        test description: An example
        ask: stub action: tax: quote: body int: other: 2
        ask: stub action: tax: quote: expect called: country: BR
        ask: expect int: attribute value: answer.rate: 1
        ask: expect int: attribute value: answer.other: 2
        token: mock: urllib.parse: expect called quote: [["a b"], {}]
        token: expect int: attribute value: token.a.b: 1
        """
    )


def test_mocked_objects_of_globals_keep_attribute_access(parse: Callable[[str], Fixture]) -> None:  # P5
    (case,) = parse(
        """
        token: global mock: urllib.parse: quote.return_value: {"a": {"b": 1}}

        test name: example
        test description: An example
        token: expect: no errors
        """
    )

    value = case["token.0"]["mock_patches"]["urllib.parse"]["configure"]["quote.return_value"]
    assert value.a.b == 1


@pytest.mark.parametrize("data_type", ["emptylist", "emptydict"])
def test_missing_key_is_no_empty_container(data_type: str, run_case: RunCase) -> None:  # P6
    with pytest.raises(AssertionError, match=r"Missing values:\n  `a\.b`"):
        run_case(f"echo: input: a.x: y\necho: expect {data_type}: attribute value: a.b:")


FAILURE = """
    fail: input: errors.0.code: INVALID
    fail: input: errors.0.message: one
    fail: input: errors.0.field: x
    fail: input: errors.1.code: INVALID
    fail: input: errors.1.message: two
    fail: input: errors.1.field: y
"""


def test_exact_errors_are_paired_one_to_one(run_case: RunCase) -> None:  # P6
    run_case(
        f"{FAILURE}    fail: expect: exact error: code=INVALID"
        "\n    fail: expect: exact error: code=INVALID, field=x"
    )

    with pytest.raises(AssertionError, match="EXPECTED EXACT ERRORS"):
        run_case(
            f"{FAILURE}    fail: expect: exact error: code=INVALID, field=x"
            "\n    fail: expect: exact error: code=INVALID, field=x"
        )


def test_mock_targets_may_have_capitals(run_case: RunCase) -> None:  # P7
    run_case(
        """
        count: mock: collections.Counter: return_value.most_common.return_value: ["a"]
        count: mock: collections.Counter: expect called: [["aab"], {}]
        count: input: text: aab
        count: expect: attribute value: counts.0: a
        """
    )


def test_type_of_an_expected_stub_request_may_be_left_out(run_case: RunCase) -> None:  # P8
    run_case("ask: stub action: tax: quote: expect called: country: BR\nask: expect: no errors")


def fail(*_: object, **__: object) -> None:
    pytest.fail("on purpose")


@pytest.mark.parametrize(
    "attributes",
    [
        {"set_up_test_case_action": fail},
        {"_process_stub_action_missing": fail},
    ],
    ids=["hook", "call"],
)
def test_nothing_leaks_when_an_action_cannot_be_called(
    attributes: dict[str, Any], run_case: RunCase, monkeypatch: pytest.MonkeyPatch
) -> None:  # P9
    before = datetime.datetime.now()

    with pytest.raises(pytest.fail.Exception):
        run_case(
            """
            mock: urllib.parse: quote.return_value: "x"
            stub action: tax: other: body: a: b
            freeze time: 2001-01-01T00:00:00Z
            missing: stub action: tax: quote: body: a: b
            missing: freeze time: 2002-01-01T00:00:00Z
            missing: mock: urllib.parse: quote.return_value: "y"
            missing: expect: no errors
            """,
            **attributes,
        )

    assert_nothing_leaked(before)


def test_nothing_leaks_when_the_set_up_of_a_test_case_fails_half_way(run_case: RunCase) -> None:  # P9
    before = datetime.datetime.now()

    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        run_case(
            """
            mock: urllib.parse: quote.return_value: "x"
            mock: no_such_module.name: return_value: "x"
            stub action: tax: quote: body: a: b
            freeze time: 2001-01-01T00:00:00Z
            echo: expect: no errors
            """
        )

    assert_nothing_leaked(before)


def assert_nothing_leaked(before: datetime.datetime) -> None:
    assert urllib.parse.quote("a b") == "a%20b"
    assert datetime.datetime.now() >= before
    for action in ("quote", "other"):
        with pytest.raises(ImproperlyConfigured):
            Client({}).call_action("tax", action)


def test_mistake_after_a_freeze_leaves_the_time_alone(parse: Callable[[str], Fixture]) -> None:  # P10
    before = datetime.datetime.now()

    with pytest.raises(FixtureSyntaxError):
        parse(FIXTURE.format("x") + "freeze time: 2001-01-01T00:00:00Z\nnonsense\n")

    assert datetime.datetime.now() >= before


def test_each_action_case_has_its_own_clock(parse: Callable[[str], Fixture]) -> None:  # P10
    (case,) = parse(
        """
        test name: example
        test description: An example
        freeze time: 2030-01-01T00:00:00Z
        a: input datetime: t: now
        b: freeze time: 2031-01-01T00:00:00Z
        b: input datetime: t: now
        a: input datetime: u: now
        b: input datetime: u: now
        """
    )

    assert {moment.year for moment in case["a.0"]["inputs"].values()} == {2030}
    assert {moment.year for moment in case["b.0"]["inputs"].values()} == {2031}


@pytest.mark.parametrize("text", ["now+1", "nowish", "now-1", "midnightly", "utc_now+0,1"])
@pytest.mark.parametrize("data_type", ["datetime", "time"])
def test_words_that_begin_with_a_keyword_are_refused(
    text: str, data_type: str, run_case: RunCase
) -> None:  # P11
    with pytest.raises(FixtureSyntaxError, match=re.escape(f"Could not convert {text!r} to a {data_type}")):
        run_case(f"echo: input {data_type}: a: {text}")


@pytest.mark.parametrize(
    "line",
    [
        "expect: attribute value: a: b",
        "expect: not attribute value: a: b",
        "expect not present: attribute value: a",
    ],
)
def test_value_expectation_after_a_job_error_says_that_the_job_failed(
    line: str, run_case: RunCase
) -> None:  # P13
    with pytest.raises(AssertionError, match=r"fail_job.0: There is no response body to check.*OVERLOADED"):
        run_case(f"fail_job: {line}")


def test_responses_may_contain_what_looks_like_a_placeholder(run_case: RunCase) -> None:  # P14
    run_case(
        """
        ask: stub action: tax: quote: body: text: see [[x.y]]
        ask: expect regex: attribute value: answer.text: see ..x.y..$
        """
    )


def test_placeholders_in_stubs_are_substituted_before_the_call(run_case: RunCase) -> None:  # P14
    run_case(
        """
        echo: input int: id: 5
        ask: stub action: tax: quote: body: id: [[ECHO.id]]
        ask: stub action: tax: quote: expect called: country: [[ECHO.id]]
        ask: input: country: [[ECHO.id]]
        ask: expect int: attribute value: answer.id: 5
        """
    )


def test_actions_with_digits_are_referenced_with_their_index(run_case: RunCase) -> None:  # P15
    run_case(
        """
        echo2.1: input: a: b
        echo: input: a: [[ECHO2.1.a]]
        echo: expect: attribute value: a: b
        """
    )


def test_patches_of_the_plan_survive_a_test_case(run_fixture: RunCase) -> None:  # P16
    patcher = mock.patch("urllib.parse.quote", return_value="patched")
    patcher.start()
    try:
        run_fixture(
            """
            test name: first
            test description: Uses a mock of its own
            token: mock: urllib.parse.unquote: return_value: 1
            token: expect: attribute value: token: patched

            test name: second
            test description: Sees the patch still
            token: expect: attribute value: token: patched
            """
        )
    finally:
        patcher.stop()


def test_message_about_unwanted_mock_calls_is_text(run_case: RunCase) -> None:  # P17
    with pytest.raises(AssertionError) as failure:
        run_case("token: mock: urllib.parse: expect not called quote:")

    assert isinstance(failure.value.args[0], str)
    assert "Expected mock to not have been called. Called 1 times.\nCalls: [call('a b')]" in str(
        failure.value
    )


def test_directives_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:  # P18
    get_all_directives()

    def look_up(**_: object) -> None:
        raise AssertionError("The entry points were looked up again")

    monkeypatch.setattr(importlib.metadata, "entry_points", look_up)

    assert len(get_all_directives()) >= 26


@pytest.mark.parametrize(("name", "found"), [("a.pysoa", True), (".a.pysoa", False), ("a.pysoa.bak", False)])
def test_fixtures_are_the_visible_files_with_the_extension(name: str, found: bool) -> None:  # P19
    assert bool(ServicePlanTestCase.fixture_regex.search(name)) is found


@pytest.mark.parametrize(
    "line",
    [
        "echo: input datetime: a: x",
        "echo: input date: a: x",
        "echo: input time: a: x",
        "echo: expect regex: attribute value: a: (",
        "echo: input: b.0: x",
        "echo: input: b.c.d: x",
    ],
)
def test_all_mistakes_have_file_and_line(line: str, run_case: RunCase, tmp_path: Path) -> None:  # P20
    with pytest.raises(FixtureSyntaxError) as failure:
        run_case(f"echo: input: b.c: x\n{line}")

    assert (failure.value.filename, failure.value.lineno) == (str(tmp_path / "sample.pysoa"), 4)
    assert f"{tmp_path / 'sample.pysoa'}:4" in str(failure.value)
