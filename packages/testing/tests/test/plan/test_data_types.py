"""Each data type in a value that passes and in one that fails, with the message."""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from pysoa.test.plan.errors import DataTypeConversionError, FixtureSyntaxError
from pysoa.test.plan.grammar._clock import FrozenClock
from pysoa.test.plan.grammar.data_types import (
    AnyValue,
    RegexValue,
    data_type_descriptions,
    get_all_data_type_names,
    get_typed_value,
)


class Example(NamedTuple):
    data_type: str
    text: str
    value: object
    wrong_text: str
    message: str


# Types whose text is not looked at fail when the value is another one.
EXAMPLES = [
    Example("str", "a: b, c", "a: b, c", "d", "Expected: 'd' (<class 'str'>)"),
    Example("int", "-1_000", -1000, "five", "Could not convert 'five' to int"),
    Example("float", "1.5", 1.5, "much", "Could not convert 'much' to float"),
    Example("decimal", "0.10", decimal.Decimal("0.10"), "much", "Could not convert 'much' to decimal"),
    Example("bool", "TRUE", True, "yes", "Expected: False (<class 'bool'>)"),
    Example("bytes", "é", b"\xc3\xa9", "e", "Expected: b'e' (<class 'bytes'>)"),
    Example("base64_bytes", "Y!Q==", b"a", "Y", "Could not convert 'Y' to base64_bytes"),
    Example("encoded_ascii", r"a\x0b", "a\x0b", "é", "Could not convert 'é' to encoded_ascii: 'ascii' codec"),
    Example("encoded_unicode", r"é\u000B\U0001f61c", "é\x0b😜", r"\u00", r"Could not convert '\\u00' to"),
    Example("emptystr", "x", "", "", "Expected: '' (<class 'str'>)"),
    Example("emptylist", "x", [], "", "Expected: [] (<class 'list'>)"),
    Example("emptydict", "x", {}, "", "Expected: {} (<class 'dict'>)"),
    Example("none", "x", None, "", "Expected: None (<class 'NoneType'>)"),
    Example("None", "x", None, "", "Expected: None (<class 'NoneType'>)"),
    Example(
        "datetime",
        "2031,3,5, 23,59,59,7",
        datetime.datetime(2031, 3, 5, 23, 59, 59, 7),
        "2031,13,5",
        "Could not convert '2031,13,5' to a datetime: month must be in 1..12",
    ),
    Example(
        "date", "2031,3,5", datetime.date(2031, 3, 5), "now", "expected integers or one of today, utc_today"
    ),
    Example(
        "time", "23,59", datetime.time(23, 59), "24", "Could not convert '24' to a time: hour must be in"
    ),
    Example("regex", "a+$", RegexValue("a+$"), "a(", "Could not convert 'a(' to regex: missing )"),
    Example("not regex", "b", RegexValue("b", negate=True), ".", "Expected: regex not ."),
]

MATCHING_TEXT = {"regex": "aaa", "not regex": "aab"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.data_type)
def test_text_of_data_type_becomes_value(example: Example) -> None:
    assert get_typed_value(example.data_type, example.text) == example.value


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.data_type)
def test_fixture_with_data_type_passes(example: Example, run_case: Callable[[str], None]) -> None:
    sent_type = "str" if example.data_type in MATCHING_TEXT else example.data_type
    text = MATCHING_TEXT.get(example.data_type, example.text)

    run_case(
        f"echo: input {sent_type}: value: {text}\n"
        f"echo: expect {example.data_type}: attribute value: value: {example.text}"
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.data_type)
def test_fixture_with_data_type_fails_with_message(example: Example, run_case: Callable[[str], None]) -> None:
    with pytest.raises((AssertionError, FixtureSyntaxError)) as failure:
        run_case(
            "echo: input str: value: true\n"
            f"echo: expect {example.data_type}: attribute value: value: {example.wrong_text}"
        )

    assert example.message in str(failure.value)


def test_examples_cover_all_data_types() -> None:
    assert sorted(example.data_type for example in EXAMPLES) == sorted(get_all_data_type_names())
    assert set(data_type_descriptions) == set(get_all_data_type_names())


@pytest.mark.parametrize(
    ("data_type", "value"),
    [
        ("str", ""),
        ("int", 0),
        ("float", 0.0),
        ("decimal", decimal.Decimal("0.0")),
        ("bool", False),
        ("bytes", b""),
        ("base64_bytes", b""),
        ("encoded_ascii", ""),
        ("encoded_unicode", ""),
    ],
)
def test_empty_text_is_the_zero_of_the_type(data_type: str, value: object) -> None:
    assert get_typed_value(data_type, "") == value


@pytest.mark.parametrize("data_type", ["datetime", "date", "time"])
def test_empty_text_is_no_moment(data_type: str) -> None:
    with pytest.raises(DataTypeConversionError, match=f"A {data_type} needs a value"):
        get_typed_value(data_type, "")


CLOCK = FrozenClock(datetime.datetime(2031, 3, 5, 22, 30, 15, 123456))
UTC = datetime.UTC


@pytest.mark.parametrize(
    ("data_type", "text", "value"),
    [
        ("datetime", "now", datetime.datetime(2031, 3, 5, 22, 30, 15)),
        ("datetime", "midnight", datetime.datetime(2031, 3, 5)),
        ("datetime", "utc_now", datetime.datetime(2031, 3, 5, 22, 30, 15, tzinfo=UTC)),
        ("datetime", "utc_midnight", datetime.datetime(2031, 3, 5, tzinfo=UTC)),
        ("datetime", "now +1", datetime.datetime(2031, 3, 6, 22, 30, 15)),
        ("datetime", "utc_now -1,6,+1,0,5", datetime.datetime(2031, 3, 5, 4, 31, 15, 5, tzinfo=UTC)),
        ("datetime", "midnight 0,0,0,-1", datetime.datetime(2031, 3, 4, 23, 59, 59)),
        ("time", "now", datetime.time(22, 30, 15)),
        ("time", "utc_now 0,1", datetime.time(23, 30, 15)),
        ("time", "midnight 0,0,0,0,5", datetime.time(0)),
        ("date", "today", datetime.date(2031, 3, 5)),
        ("date", "utc_today", datetime.date(2031, 3, 5)),
    ],
)
def test_keywords_mean_the_time_of_the_clock(data_type: str, text: str, value: object) -> None:
    result = get_typed_value(data_type, text, clock=CLOCK)

    assert result == value
    assert getattr(result, "tzinfo", None) == getattr(value, "tzinfo", None)


@pytest.mark.parametrize(
    "text", ["now 1,2,3,4,5,6", "now 1,x", "now 1 2", "2031,3", "2031,3,5,1,1,1,1,1", "null"]
)
def test_other_texts_are_no_datetime(text: str) -> None:
    with pytest.raises(
        DataTypeConversionError, match=re.escape(f"Could not convert {text!r} to a datetime: ")
    ):
        get_typed_value("datetime", text)


def test_unknown_type_is_refused_with_those_that_exist() -> None:
    with pytest.raises(
        DataTypeConversionError, match=r"Unknown type: integer. The types are base64_bytes, bool"
    ):
        get_typed_value("integer", "1")


@pytest.mark.parametrize("data_type", get_all_data_type_names())
def test_value_with_placeholder_is_kept_as_text(data_type: str) -> None:
    assert get_typed_value(data_type, "x[[GET.a]]") == "x[[GET.a]]"


@pytest.mark.parametrize(
    ("data_type", "equal", "different"),
    [
        ("str", "", b""),
        ("bytes", b"", ""),
        ("int", True, 1.0),
        ("float", 1.0, 1),
        ("bool", True, 1),
        ("decimal", decimal.Decimal(1), 1),
        ("datetime", datetime.datetime(2031, 3, 5), datetime.date(2031, 3, 5)),
        ("datetime", "2031-03-05T23:59:59.123Z", "2031-03-05T23:59:59"),
        ("date", datetime.date(2031, 3, 5), datetime.datetime(2031, 3, 5)),
        ("date", "2031-03-05", "05.03.2031"),
        ("time", datetime.time(1), "01:00"),
    ],
)
def test_any_value_equals_values_of_its_type(data_type: str, equal: Any, different: Any) -> None:
    assert AnyValue(data_type) == equal
    assert AnyValue(data_type) != different
    assert AnyValue(data_type) != None  # noqa: E711 - that is the question
    assert AnyValue(data_type, permit_none=True) == None  # noqa: E711


def test_any_value_equals_moments_of_frozen_time(run_case: Callable[[str], None]) -> None:
    run_case(
        """
        now: freeze time: now
        now: expect any datetime: attribute value: local
        now: expect any date: attribute value: day
        """
    )


@pytest.mark.parametrize(
    ("value", "text", "is_equal"),
    [
        (RegexValue("ab"), "abc", True),
        (RegexValue("b"), "abc", False),
        (RegexValue("ab", negate=True), "abc", False),
        (RegexValue("b", negate=True), "abc", True),
        (RegexValue(""), 5, False),
        (RegexValue("x", negate=True), 5, False),
        (RegexValue(""), "x", True),
        (RegexValue("", negate=True), "x", False),
    ],
)
def test_regex_value_looks_at_the_beginning_of_texts(value: RegexValue, text: object, is_equal: bool) -> None:
    assert (value == text) is is_equal
