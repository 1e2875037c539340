"""Each directive in a fixture that passes and in one that fails, with the message."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import pytest

from pysoa.test.plan.errors import FixtureSyntaxError
from pysoa.test.plan.grammar.directive import get_all_directives


class Example(NamedTuple):
    directive: str
    passing: str
    failing: str
    message: str


_TWO_ERRORS = """
    fail: input: errors.0.code: DECLINED
    fail: input: errors.0.message: Your card was declined
    fail: input: errors.0.field: card.number
    fail: input: errors.1.code: LIMIT
    fail: input: errors.1.message: Above the daily limit, ask support
"""

EXAMPLES = [
    Example(
        "fixture_comment",
        "# anything: at all\necho: expect: no errors",
        "echo: expect: no errors\n # indented",
        "Expected a directive or comment in column 1, found blanks",
    ),
    Example(
        "test_name",
        "echo: expect: no errors",
        "echo: expect: no errors\ntest name: again",
        "Duplicate test name directive for test case; it is called 'example' already",
    ),
    Example(
        "test_description",
        "echo: expect: no errors",
        "echo: expect: no errors\ntest description: again",
        "Duplicate test description directive for test case",
    ),
    Example(
        "test_skip",
        "test skip:\necho: expect: no errors",
        "test skip globally: never\necho: expect: no errors",
        "Expected 'global' or ':', found 'globally' at column 11; did you mean 'global'?",
    ),
    Example(
        "input",
        """
        echo: input int: lines.0.sku: 401
        echo: input: text: blue: shoes, size 42
        echo: expect int: attribute value: lines.0.sku: 401
        echo: expect: attribute value: text: blue: shoes, size 42
        """,
        "echo: input int: a: 1\necho: expect int: attribute value: a: 2",
        "`a` is incorrect:\n  Expected: 2 (<class 'int'>)\n  Actual:   1 (<class 'int'>)",
    ),
    Example(
        "expect_error_field_message",
        _TWO_ERRORS + "fail: expect: error: code=DECLINED, field=card.number, message=Your card was declined",
        _TWO_ERRORS + "fail: expect: error: code=DECLINED, field=card.name, message=Your card was declined",
        "Expected subset: [Error(code='DECLINED', field='card.name', message='Your card was declined')]",
    ),
    Example(
        "expect_error_message",
        _TWO_ERRORS + "fail: expect: error: code=LIMIT, message=Above the daily limit, ask support",
        _TWO_ERRORS + "fail: expect: error: code=LIMIT, message=Above",
        "EXPECTED ERRORS: fail.0\n" + "-" * 70 + "\nDATA ERROR:\nEncountered values were incorrect:",
    ),
    Example(
        "expect_error_field",
        _TWO_ERRORS + "fail: expect: not error: code=LIMIT, field=card.number",
        _TWO_ERRORS + "fail: expect: not error: code=DECLINED, field=card.number",
        "NOT EXPECTED ERRORS: fail.0",
    ),
    Example(
        "expect_error",
        _TWO_ERRORS + "fail: expect: exact error: code=LIMIT\nfail: expect: exact error: code=DECLINED",
        _TWO_ERRORS + "fail: expect: exact error: code=LIMIT",
        "EXPECTED EXACT ERRORS: fail.0",
    ),
    Example(
        "expect_no_errors",
        "echo: expect: no errors",
        _TWO_ERRORS + "fail: expect: no errors",
        "fail.0: Expected no action errors, but got: [Error(code='DECLINED'",
    ),
    Example(
        "expect_value",
        "echo: input: a: b\necho: expect: attribute value: a: b\necho: expect: not attribute value: a: c",
        "echo: input: a: b\necho: expect: not attribute value: a: b",
        "Not Expected fields present:\n   `a`\nFull body NOT expected:\n{'a': 'b'}",
    ),
    Example(
        "expect_any_value",
        "echo: input: a: b\necho: expect any: attribute value: a\necho: expect any str: attribute value: a:",
        "echo: input: a: b\necho: expect any int: attribute value: a",
        "Expected: any int type value",
    ),
    Example(
        "expect_none",
        "echo: input none: a:\necho: expect NONE: attribute value: a",
        "echo: input: a: b\necho: expect None: attribute value: a",
        "Expected: None (<class 'NoneType'>)",
    ),
    Example(
        "expect_not_present",
        "echo: input: a: b\necho: expect not present: attribute value: b",
        "echo: input: a.c: b\necho: expect not present: attribute value: a.c:",
        "Not present:\n   `a.c`\nFull body SHOULD NOT be present:\n['a.c']",
    ),
    Example(
        "mock_assert_called_for_test",
        """
        mock: urllib.parse.quote: return_value: "cafe"
        mock: urllib.parse.quote: expect called: [["a b"], {}]
        mock: urllib.parse.quote: expect called: [[{"mock.ANY": true}], {}]
        token.0: expect: attribute value: token: cafe
        token.1: expect: attribute value: token: cafe
        """,
        'mock: urllib.parse.quote: expect called: [["c"], {}]\ntoken: expect: no errors',
        "example: mock `urllib.parse.quote`\nCalls not found.",
    ),
    Example(
        "mock_assert_called_for_action",
        """
        echo: mock: urllib.parse: expect not called quote:
        echo: expect: no errors
        token: mock: urllib.parse: quote.return_value: "cafe"
        token: mock: urllib.parse: expect called quote: [["a b"], {}]
        token: expect: no errors
        """,
        "token: mock: urllib.parse: expect not called quote:",
        "token.0: mock `urllib.parse.quote`\nExpected mock to not have been called. Called 1 times.",
    ),
    Example(
        "mock_result_for_test",
        """
        mock: urllib.parse: quote.side_effect: "one"
        mock: urllib.parse: quote.side_effect: exception LookupError
        mock: urllib.parse: quote.side_effect: {"size": 4}
        token.0: expect: attribute value: token: one
        token.1: expect: error: code=SERVER_ERROR
        token.2: expect int: attribute value: token.size: 4
        """,
        "mock: urllib.parse: quote.return_value: cafe\ntoken: expect: no errors",
        "Expected JSON, found 'cafe'; texts need double quotes",
    ),
    Example(
        "mock_result_for_action",
        """
        token.0: mock: urllib.parse: quote: delete
        token.0: expect: error: code=SERVER_ERROR
        token.1: mock: urllib.parse: quote.return_value: "two"
        token.1: expect: attribute value: token: two
        token.2: expect regex: attribute value: token: [a-z]%20b$
        """,
        "token: mock: urllib.parse: quote.return_value: exception NoSuchError\ntoken: expect: no errors",
        'Could not resolve python path for value "NoSuchError" due to error',
    ),
    Example(
        "stub_action_body_for_test",
        """
        stub action: tax: quote: body decimal: rate: 0.17
        ask: expect decimal: attribute value: answer.rate: 0.17
        ask.1: expect decimal: attribute value: answer.rate: 0.17
        """,
        "stub action: tax: quote: body decimal: rate: much\nask: expect: no errors",
        "Data type conversion error",
    ),
    Example(
        "stub_action_body_for_action",
        """
        ask: stub action: tax: quote: body int: rate: 1
        ask: expect int: attribute value: answer.rate: 1
        ask.1: stub action: tax: quote: body int: rate: 2
        ask.1: expect int: attribute value: answer.rate: 2
        """,
        """
        ask: stub action: tax: quote: body int: rate: 1
        ask: stub action: tax: quote: error: code=X, field=none, message=none
        """,
        "Cannot combine stub action body and errors (must choose one) for tax.quote",
    ),
    Example(
        "stub_action_error_for_test",
        """
        stub action: tax: quote: error: code=SOLD_OUT, field=none, message=No units left
        stub action: tax: quote: error: code=CLOSED, field=day, message=none
        ask: expect: attribute value: codes.0: SOLD_OUT
        ask: expect: attribute value: codes.1: CLOSED
        """,
        "stub action: tax: quote: error: code=SOLD_OUT\nask: expect: no errors",
        "Expected ',', found the end of the line",
    ),
    Example(
        "stub_action_error_for_action",
        """
        ask: stub action: tax: quote: error: code=SOLD_OUT, field=none, message=No units left
        ask: expect: attribute value: codes.0: SOLD_OUT
        """,
        """
        ask: stub action: tax: quote: error: code=SOLD_OUT, field=none, message=No units left
        ask: expect emptylist: attribute value: codes:
        """,
        "`codes` is incorrect:\n  Expected: [] (<class 'list'>)\n  Actual:   ['SOLD_OUT'] (<class 'list'>)",
    ),
    Example(
        "stub_action_called_for_test",
        """
        stub action: tax: quote: expect called str: country: NO
        stub action: audit: write: expect not called:
        ask: expect emptydict: attribute value: answer:
        ask.1: input: country: NO
        ask.1: expect emptydict: attribute value: answer:
        """,
        "stub action: tax: quote: expect not called:\nask: expect: no errors",
        "example: stub action `tax.quote`\nExpected stub to not have been called. Called 1 times.",
    ),
    Example(
        "stub_action_called_for_action",
        "ask: stub action: tax: quote: expect called str: country: BR\nask: expect: no errors",
        "ask: stub action: tax: quote: expect called:\nask: expect: no errors",
        "ask.0: stub action `tax.quote`\nExpected a call with this request:\n{}\n"
        "Actual requests of 1 calls:\n[{'country': 'BR'}]",
    ),
    Example(
        "freeze_time_test",
        """
        freeze time: 2031-03-05T23:59:59Z
        now: expect datetime: attribute value: local: now
        now.1: expect datetime: attribute value: local: 2031,3,5,23,59,59
        """,
        "freeze time: 2031-03-05 23:59\nnow: expect: no errors",
        "Could not parse datetime value for time freeze: expected 'now' or a time like 2031-03-05T23:59:59Z, "
        "found '2031-03-05 23:59'",
    ),
    Example(
        "freeze_time_action",
        """
        freeze time: 2031-03-05T23:59:59Z
        now: freeze time: 2032-02-29T00:00:00Z
        now: expect date: attribute value: day: 2032,2,29
        now: expect datetime: attribute value: utc: utc_now
        now.1: expect date: attribute value: day: 2031,3,5
        """,
        "now: freeze time: 2032-02-30T00:00:00Z\nnow: expect: no errors",
        "Could not parse datetime value for time freeze",
    ),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.directive)
def test_fixture_with_directive_passes(example: Example, run_case: Callable[[str], None]) -> None:
    run_case(_dedent(example.passing))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.directive)
def test_fixture_with_directive_fails_with_message(example: Example, run_case: Callable[[str], None]) -> None:
    with pytest.raises((AssertionError, FixtureSyntaxError)) as failure:
        run_case(_dedent(example.failing))

    assert example.message in str(failure.value)


def test_examples_cover_all_directives_in_their_order() -> None:
    assert [example.directive for example in EXAMPLES] == [
        directive.name() for directive in get_all_directives() if directive.__module__.startswith("pysoa.")
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("fail_job: expect: job error: code=OVERLOADED", ""),
        ("fail_job: expect: job error: code=IDLE", "EXPECTED ERRORS: fail_job.0"),
        ("fail_job: expect: exact job error: code=OVERLOADED, message=Come back later", ""),
        (
            "fail_job: expect: exact job error: code=OVERLOADED\nfail_job: expect: exact job error: code=X",
            "EXPECTED EXACT ERRORS: fail_job.0",
        ),
        ("fail_job: expect: not job error: code=IDLE", ""),
        ("fail_job: expect: not job error: code=OVERLOADED", "NOT EXPECTED ERRORS: fail_job.0"),
        ("fail_job: expect: not exact job error: code=OVERLOADED", "NOT EXPECTED ERRORS: fail_job.0"),
        ("fail_job: expect: not error: code=OVERLOADED", ""),
        (
            "fail_job: expect: no errors",
            "fail_job.0: Expected no job errors, but got: [Error(code='OVERLOADED'",
        ),
    ],
)
def test_expectations_of_job_errors(lines: str, message: str, run_case: Callable[[str], None]) -> None:
    if not message:
        run_case(lines)
        return
    with pytest.raises(AssertionError, match=re.escape(message)):
        run_case(lines)


@pytest.mark.parametrize(
    "line",
    [
        "echo:input int:x:5",
        "echo : input   int : x : 5",
        "echo . 0 : input int: x: 5",
        "echo:\tinput\tint:\tx:\t5\t",
        "echo: input int: x: 5   ",
    ],
)
def test_blanks_between_tokens_are_free(line: str, run_case: Callable[[str], None]) -> None:
    run_case(f"{line}\necho: expect int: attribute value: x: 5")


def test_headers_of_the_job_are_set_by_job_inputs(run_case: Callable[[str], None]) -> None:
    run_case(
        """
        headers: job context input: locale: pt_BR
        headers: job context input int: switches.0: 12
        headers: job control input str: trace: on
        headers: expect: attribute value: locale: pt_BR
        headers: expect int: attribute value: switches.0: 12
        headers: expect: attribute value: trace: on
        """
    )


def test_values_of_other_elements_of_lists_are_stated_too(run_case: Callable[[str], None]) -> None:
    with pytest.raises(AssertionError, match=r"`tags\.0` is incorrect"):
        run_case("echo: input: tags.0: x\necho: input: tags.1: y\necho: expect: attribute value: tags.1: y")


def test_only_the_named_element_of_a_list_must_not_be_present(run_case: Callable[[str], None]) -> None:
    run_case(
        "echo: input: tags.0: x\necho: input: tags.1: y\necho: expect not present: attribute value: tags.2"
    )


def test_nothing_is_present_below_what_is_no_container(run_case: Callable[[str], None]) -> None:
    run_case("echo: input none: user:\necho: expect not present: attribute value: user.password")


def test_error_of_service_is_explained_with_its_traceback(run_case: Callable[[str], None]) -> None:
    with pytest.raises(AssertionError) as failure:
        run_case("crash: expect: error: code=NOT_FOUND")

    text = str(failure.value)
    assert "\n\nSERVER_ERROR: " in text
    assert "No such shelf" in text
    assert 'in run\n    raise LookupError("No such shelf")' in text
    assert failure.value.__context__ is None


def _dedent(lines: str) -> str:
    return "\n".join(
        line.strip() if line != " # indented" else line for line in lines.splitlines() if line.strip()
    )
