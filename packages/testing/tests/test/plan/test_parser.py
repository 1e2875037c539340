"""The format of fixture files, and what is said about bad ones."""

from __future__ import annotations

import decimal
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pysoa.test.plan.errors import FixtureLoadError, FixtureSyntaxError
from pysoa.test.plan.grammar.directive import TestFixture as Fixture
from pysoa.test.plan.parser import ServiceTestPlanFixtureParser

Parse = Callable[[str], Fixture]
HEAD = "test name: example\ntest description: An example\n"


def test_test_case_is_what_its_directives_store(parse: Parse, tmp_path: Path) -> None:
    (case,) = parse(
        """
        # an order can be read back
        test name: order_round_trip
        test description: A stored order is returned unchanged
        put_order: input int: lines.0.sku: 401
        get_order: input: order_id: [[PUT_ORDER.order_id]]
        put_order: expect: no errors
        # the same order
        get_order: expect decimal: attribute value: order.price: 1.50
        """
    )

    path = str(tmp_path / "sample.pysoa")
    source = case.pop("fixture_source")
    assert case == {
        "name": "order_round_trip",
        "description": f"A stored order is returned unchanged\n{path}",
        "actions": ["put_order.0", "get_order.0"],
        "put_order.0": {"inputs": {"lines": [{"sku": 401}]}, "expects_no_errors": True},
        "get_order.0": {
            "inputs": {"order_id": "[[PUT_ORDER.order_id]]"},
            "expects": {"order": {"price": decimal.Decimal("1.50")}},
        },
        "line_number": 2,
        "fixture_name": "sample",
        "fixture_file_name": path,
        "source": source[:-1],
    }


def test_blank_lines_end_test_cases(parse: Parse) -> None:
    cases = parse(
        f"{HEAD}echo: expect: no errors\n \t \n\n\n# only a comment\n\n"
        "echo: expect: no errors\ntest description: \ntest name: second"
    )

    assert [(case["name"], case["line_number"]) for case in cases] == [("example", 1), ("second", 11)]


def test_windows_line_ends_and_byte_order_mark_are_no_part_of_values(tmp_path: Path) -> None:
    path = tmp_path / "windows.pysoa"
    lines = [
        "\ufefftest name: example",
        "test description: An example",
        "now: freeze time: 2031-03-05T23:59:59Z",
        "now: input bool: flag: true",
        "",
    ]
    path.write_bytes("\r\n".join(lines).encode())

    (case,) = ServiceTestPlanFixtureParser(str(path), "windows").parse_test_fixture()

    assert case["now.0"]["inputs"] == {"flag": True}
    assert case["description"] == f"An example\n{path}"


def test_tabs_in_values_are_expanded(parse: Parse) -> None:
    (case,) = parse(f"{HEAD}echo: input: a: x\ty")

    assert case["echo.0"]["inputs"] == {"a": "x" + " " * 7 + "y"}


def test_action_may_begin_like_a_keyword(parse: Parse) -> None:
    (case,) = parse(f"{HEAD}inputs_list: input: a: b\nexpected_get: expect: no errors")

    assert case["actions"] == ["inputs_list.0", "expected_get.0"]


def parse_failing(parse: Parse, text: str) -> FixtureSyntaxError:
    with pytest.raises(FixtureSyntaxError) as failure:
        parse(text)
    return failure.value


@pytest.mark.parametrize(
    ("line", "reason", "column"),
    [
        ("echo: exepct: no errors", "found 'exepct' at column 7; did you mean 'expect'?", 7),
        ("echo: expect: no  errors", "Expected 'error', 'no errors' or 'attribute value', found 'no'", 15),
        ("echo: expect intt: attribute value: x: 1", "Expected a data type or ':', 'any' or 'none'", 14),
        ("echo: input: x", "Expected ':', found the end of the line", 15),
        ("echo.x: input: a: b", "Expected ':', found '.' at column 5", 5),
        (
            "input: a: b",
            "Expected '#', 'test name', 'test description', 'test skip', the name of an action",
            1,
        ),
        ("echo: expect: error: code=A, filed=b", "Expected 'field' or 'message', found 'filed'", 30),
        ("echo: expect: exact not error: code=A", "Expected 'error', found 'not' at column 21", 21),
        ("test name: two words", "Expected the end of the line, found 'words' at column 16", 16),
        ("  echo: expect: no errors", "Expected a directive or comment in column 1, found blanks", 1),
    ],
)
def test_unparsable_line_is_shown_with_what_was_found_and_expected(
    line: str, reason: str, column: int, parse: Parse, tmp_path: Path
) -> None:
    error = parse_failing(parse, f"{HEAD}{line}")

    head, where, why, shown, pointer = str(error).split("\n")
    assert head == f"Failed to parse line: {line}"
    assert where == f"in file: {tmp_path / 'sample.pysoa'}:3"
    assert reason in why
    assert shown == f"    {line}"
    assert pointer == " " * (3 + column) + "^"
    assert (error.filename, error.lineno, error.offset) == (str(tmp_path / "sample.pysoa"), 3, column)
    assert error.text == line.strip()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("echo: input int: a: x", "Data type conversion error"),
        ("echo: input datetime: a: 2031,x", "Could not convert '2031,x' to a datetime"),
        ("echo: input date: a: 2031,2,30", "Could not convert '2031,2,30' to a date: day is out of range"),
        ("echo: input time: a: 25", "Could not convert '25' to a time: hour must be in 0..23"),
        ("echo: expect regex: attribute value: a: (", "Could not convert '(' to regex"),
        ("echo: input: b.0: x", "`0` in path `b.0` is a list index, but other lines put a dict there"),
        ("echo: input: b.c.d: x", "`d` in path `b.c.d` is a key, but other lines put a str there"),
        ("echo: input: b..c: x", "Path `b..c` lacks a name at character 3"),
        ("echo: expect any regex: attribute value: a", "No value is of type 'regex'. After 'expect any'"),
        ("mock: time: x: 1", "Expected what to mock with the module it is in"),
        ("mock: a.b: c: [1", "Expected JSON, found '[1'"),
        ("mock: a.b: return_value: delete", "Cannot delete paths ending in special Mock attributes"),
        ("mock: a.b: c: delete now", "Expected nothing after 'delete', found 'now'"),
        ("mock: a.b: c: exception int", 'Could not resolve python path for value "int" due to error'),
        ("mock: a.b: c: exception no_such:E", 'Could not resolve python path for value "no_such:E"'),
        ("mock: a.b: expect called c: [1]", "Expected call JSON syntax must be in the form: [[arg1, ...], {"),
        (
            "mock: a.b: expect called c: [[], {}]\nmock: a.b: expect not called c:",
            'Cannot combine not-called expectations with other expectations for path "c"',
        ),
        (
            "echo: stub action: s: a: expect called:\necho: stub action: s: a: expect not called:",
            'Cannot combine "expect called" and "expect not called" on the same stub action for s.a',
        ),
        (
            "stub action: s: a: error: code=X, field=none, message=none\nstub action: s: a: body: x: y",
            "Cannot combine stub action body and errors (must choose one) for s.a",
        ),
        ("echo: freeze time: soon", "Could not parse datetime value for time freeze"),
        ("test name: again", "Duplicate test name directive for test case"),
        ("test description: again", "Duplicate test description directive for test case"),
    ],
)
def test_wrong_line_is_named_and_shown(line: str, message: str, parse: Parse, tmp_path: Path) -> None:
    error = parse_failing(parse, f"{HEAD}echo: input: b.c: x\n{line}")

    last_line = line.split("\n")[-1]
    assert message in str(error)
    assert f"in file: {tmp_path / 'sample.pysoa'}:{4 + line.count(chr(10))}" in str(error)
    assert str(error).endswith(f"\n    {last_line}")
    assert error.lineno == 4 + line.count("\n")


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("test description: x\necho: expect: no errors\n\n", ["Test case without name"]),
        ("test name: x\necho: expect: no errors", ["Test case without description"]),
        ("test name: x\ntest description: y\n", ["Empty test case"]),
        ("# c\ntest name: x", ["Test case without description", "Empty test case"]),
    ],
)
def test_missing_parts_are_reported_after_the_block(
    text: str, problems: list[str], parse: Parse, tmp_path: Path
) -> None:
    error = parse_failing(parse, text)

    lines = len(text.rstrip("\n").split("\n"))
    assert [str(mistake).split(";")[0] for mistake in error.mistakes] == [
        f"{tmp_path / 'sample.pysoa'}:{lines + 1}: {problem}" for problem in problems
    ]
    assert error.lineno == lines


def test_all_mistakes_of_a_file_are_reported(parse: Parse, tmp_path: Path) -> None:
    error = parse_failing(
        parse,
        """
        test name: first
        test description: Has two mistakes
        echo: inptu: a: b
        echo: input int: a: b
        echo: expect: no errors

        test name: second

        test name: third
        test description: Is fine
        echo: expect: no errors
        """,
    )

    assert str(error).startswith(
        f"4 mistakes in {tmp_path / 'sample.pysoa'}\n\n1. Failed to parse line: echo: inptu"
    )
    assert "\n\n4. " in str(error)
    assert [mistake.lineno for mistake in error.mistakes] == [3, 4, 7, 7]


def test_file_without_test_cases_is_refused(parse: Parse, tmp_path: Path) -> None:
    with pytest.raises(
        FixtureLoadError, match=f"Failed to find any test cases in file: {tmp_path}/sample.pysoa"
    ):
        parse("# nothing\n\n\necho: global expect: no errors\n")


def test_unreadable_file_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(FixtureLoadError, match=r"No such file or directory: '.*/missing.pysoa'"):
        ServiceTestPlanFixtureParser(str(tmp_path / "missing.pysoa"), "missing").parse_test_fixture()


def test_file_in_another_encoding_is_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.pysoa"
    path.write_bytes("test name: x\ntest description: é\n".encode("latin-1"))

    with pytest.raises(FixtureLoadError, match=re.escape(f"{path}:2: The file must be UTF-8")):
        ServiceTestPlanFixtureParser(str(path), "latin").parse_test_fixture()


GLOBALS = """
    echo: global input: tags.0: a
    echo: global input: tags.1: b
    echo: global expect: error: code=FIRST
    echo: global expect: error: code=SECOND
    headers: global input: x: y
"""


def actions_of(parse: Parse, lines: str) -> dict[str, Any]:
    *_, case = parse(f"{GLOBALS}\n\n    test name: x\n    test description: y\n{lines}")
    return {label: case[label] for label in case["actions"]}


def test_globals_are_merged_path_by_path_and_position_by_position(parse: Parse) -> None:
    actions = actions_of(
        parse,
        """
    echo: input: tags.0: c
    echo: input: other: d
    echo: expect: error: code=THIRD
""".lstrip("\n"),
    )

    assert actions["echo.0"]["inputs"] == {"tags": ["c", "b"], "other": "d"}
    assert repr(actions["echo.0"]["expects_error"]) == "[Error(code='THIRD'), Error(code='SECOND')]"


def test_global_alone_does_not_run_its_action(parse: Parse) -> None:
    assert actions_of(parse, "") == {}


def test_local_empty_container_replaces_global_one(parse: Parse) -> None:
    actions = actions_of(parse, "    echo: input emptylist: tags:\n")

    assert actions["echo.0"]["inputs"] == {"tags": []}


def test_globals_hold_from_the_test_case_in_which_they_stand(parse: Parse) -> None:
    first, second, third = parse(
        """
        test name: first
        test description: Before
        echo: expect: no errors

        test name: second
        test description: Here
        echo: expect: no errors
        echo: global input: a: b

        test name: third
        test description: After
        echo: input: a: c
        """
    )

    assert first["echo.0"] == {"expects_no_errors": True}
    assert second["echo.0"] == {"expects_no_errors": True, "inputs": {"a": "b"}}
    assert third["echo.0"] == {"inputs": {"a": "c"}}


def test_global_skip_is_replaced_or_taken_back_by_local_ones(parse: Parse) -> None:
    cases = parse(
        """
        test name: before
        test description: Not skipped
        echo: expect: no errors

        test skip global: All are slow

        test name: plain
        test description: Skipped
        echo: expect: no errors

        test name: other
        test description: Skipped for another reason
        test skip: This one is wrong
        echo: expect: no errors

        test name: not_at_all
        test description: Not skipped
        test skip:
        echo: expect: no errors
        """
    )

    assert [case.get("skip") for case in cases] == [None, "All are slow", "This one is wrong", ""]


def test_contradiction_with_globals_is_reported_at_the_test_case(parse: Parse) -> None:
    error = parse_failing(
        parse,
        """
        ask: global stub action: tax: quote: body: a: b

        test name: example
        test description: Contradicts
        ask: stub action: tax: quote: error: code=X, field=none, message=none
        """,
    )

    assert "Cannot combine stub action body and errors (must choose one) for tax.quote" in str(error)
    assert error.lineno == 3
