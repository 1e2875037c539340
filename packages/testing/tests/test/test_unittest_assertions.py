"""The assertion methods of unittest hold and fail as those of PySOA 1.4.9 did."""

# They are what is tested.
# ruff: noqa: PT009, PT027

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from typing import Any

import pytest

from pysoa.test.server import ServerTestCase

case: Any = ServerTestCase()


HOLDING: list[tuple[str, tuple[Any, ...]]] = [
    ("assertEqual", (1, 1.0)),
    ("assertEqual", ([1], [1])),
    ("assertNotEqual", (1, 2)),
    ("assertTrue", ([0],)),
    ("assertFalse", ([],)),
    ("assertIs", (case, case)),
    ("assertIsNot", ([], [])),
    ("assertIsNone", (None,)),
    ("assertIsNotNone", (0,)),
    ("assertIn", (1, [1])),
    ("assertNotIn", ("a", "bc")),
    ("assertIsInstance", (1, (str, int))),
    ("assertNotIsInstance", (1, str)),
    ("assertGreater", (2, 1)),
    ("assertGreaterEqual", (2, 2)),
    ("assertLess", (1, 2)),
    ("assertLessEqual", (2, 2)),
    ("assertMultiLineEqual", ("a\nb", "a\nb")),
    ("assertSequenceEqual", ([1], [1])),
    ("assertSequenceEqual", ((1,), (1,), None, tuple)),
    ("assertListEqual", ([1], [1])),
    ("assertTupleEqual", ((1,), (1,))),
    ("assertSetEqual", ({1}, frozenset({1}))),
    ("assertSetEqual", ({"a": 1}.keys(), {"a"})),
    ("assertDictEqual", ({"a": 1}, {"a": 1})),
    ("assertAlmostEqual", (1, 1.00000001)),
    ("assertAlmostEqual", (1, 1.04, 1)),
    ("assertAlmostEqual", (1, 1.5, None, None, 0.5)),
    ("assertNotAlmostEqual", (1, 1.0000001)),
    ("assertNotAlmostEqual", (1, 1.6, None, None, 0.5)),
    ("assertRegex", ("abc", "b")),
    ("assertRegex", (b"abc", re.compile(b"b"))),
    ("assertNotRegex", ("abc", "d")),
]


@pytest.mark.parametrize(
    ("name", "arguments"),
    HOLDING,
)
def test_assertions_that_hold_are_silent(name: str, arguments: tuple[Any, ...]) -> None:
    getattr(case, name)(*arguments)


NOT_HOLDING: list[tuple[str, tuple[Any, ...], str]] = [
    ("fail", (), ""),
    ("assertEqual", (1, 2), ""),
    ("assertNotEqual", (1, 1), ""),
    ("assertTrue", ([],), ""),
    ("assertFalse", ([0],), ""),
    ("assertIs", ([], []), ""),
    ("assertIsNot", (case, case), ""),
    ("assertIsNone", (0,), ""),
    ("assertIsNotNone", (None,), ""),
    ("assertIn", (1, [2]), ""),
    ("assertNotIn", ("b", "bc"), ""),
    ("assertIsInstance", (1, str), ""),
    ("assertNotIsInstance", (1, (str, int)), ""),
    ("assertGreater", (2, 2), ""),
    ("assertGreaterEqual", (1, 2), ""),
    ("assertLess", (2, 2), ""),
    ("assertLessEqual", (2, 1), ""),
    ("assertMultiLineEqual", (1, "a"), "First argument is not a string"),
    ("assertMultiLineEqual", ("a", 1), "Second argument is not a string"),
    ("assertMultiLineEqual", ("a", "b"), ""),
    ("assertSequenceEqual", ([1], (1,)), ""),
    ("assertListEqual", ((1,), (1,)), ""),
    ("assertListEqual", ([1], (1,)), ""),
    ("assertTupleEqual", ([1], [1]), ""),
    ("assertSetEqual", ([1], {1}), "First argument is not a set"),
    ("assertSetEqual", ({1}, [1]), "Second argument is not a set"),
    ("assertSetEqual", ({1}, {2}), ""),
    ("assertDictEqual", ([], {}), "First argument is not a dictionary"),
    ("assertDictEqual", ({}, []), "Second argument is not a dictionary"),
    ("assertDictEqual", ({}, {"a": 1}), ""),
    ("assertAlmostEqual", (1, 2), "1 != 2 within 7 places (1 difference)"),
    ("assertAlmostEqual", (1, 2, 3), "1 != 2 within 3 places (1 difference)"),
    ("assertAlmostEqual", (1, 2, None, None, 0.1), "1 != 2 within 0.1 delta (1 difference)"),
    ("assertAlmostEqual", (1, 1, 7, None, 1), "Specify delta or places, but not both"),
    ("assertNotAlmostEqual", (1, 1), "1 == 1 within 7 places"),
    ("assertNotAlmostEqual", (1, 1.5, None, None, 1), "1 == 1.5 within 1 delta (0.5 difference)"),
    ("assertNotAlmostEqual", (1, 1, 7, None, 1), "Specify delta or places, but not both"),
    ("assertRegex", ("abc", "x"), "Pattern: x\nDoes not match text: 'abc'"),
    ("assertRegex", (b"abc", b"x"), "Pattern: b'x'\nDoes not match text: b'abc'"),
    ("assertRegex", ("abc", None), "Regex must not be None"),
    ("assertRegex", ("abc", ""), "Regex must not be empty"),
    ("assertNotRegex", ("abc", "b"), "Pattern: b\nUnexpectedly matches text: 'abc'"),
    ("assertNotRegex", ("abc", None), "Regex must not be None"),
]


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    NOT_HOLDING,
)
def test_assertions_that_do_not_hold_fail_with_a_text(
    name: str, arguments: tuple[Any, ...], text: str
) -> None:
    with pytest.raises(AssertionError) as raised:
        getattr(case, name)(*arguments)

    assert str(raised.value).split("\nassert ")[0] == text
    with pytest.raises(AssertionError) as raised:
        getattr(case, name)(*arguments, msg="my own text") if len(arguments) < 3 else case.fail("my own text")
    assert str(raised.value).split("\nassert ")[0] == "my own text"


def test_failures_show_the_values() -> None:
    with pytest.raises(AssertionError, match=r"assert \{'a': 1\} == \{'a': 2\}"):
        case.assertEqual({"a": 1}, {"a": 2})


COUNTS: list[tuple[Any, Any, bool]] = [
    ([1, 2, 2], [2, 1, 2], True),
    ([1, 2, 2], [1, 1, 2], False),
    ([{}, []], [[], {}], True),
    ([{}, {}], [{}], False),
    (iter("ab"), "ba", True),
]


@pytest.mark.parametrize(
    ("first", "second", "is_equal"),
    COUNTS,
    ids=["equal", "other counts", "not hashable", "not hashable, other counts", "iterators"],
)
def test_counts_are_compared_with_a_warning(first: Any, second: Any, is_equal: bool) -> None:
    outcome = contextlib.nullcontext() if is_equal else pytest.raises(AssertionError)

    with pytest.warns(DeprecationWarning, match="assertCountEqual is deprecated") as caught, outcome:
        case.assertCountEqual(first, second)

    assert caught[0].filename == __file__


# Exceptions, warnings, logs


def test_exceptions_are_expected_of_a_callable_or_in_a_block() -> None:
    assert case.assertRaises(ValueError, int, "x") is None
    assert case.assertRaisesRegex((KeyError, ValueError), "invalid", int, "x", base=10) is None
    with case.assertRaises(ValueError) as info:
        int("x")

    assert info.exception is info.value


def test_the_attribute_exception_is_set_on_nothing_else() -> None:
    """T15: pytest's own class is left alone."""
    with case.assertRaises(ValueError):
        int("x")
    with pytest.raises(ValueError, match="x") as info:
        int("x")

    assert not hasattr(pytest.ExceptionInfo, "exception")
    assert not hasattr(info, "exception")


def test_exceptions_that_do_not_come_fail_the_test() -> None:
    failed: Any = pytest.fail.Exception

    with pytest.raises(failed, match="DID NOT RAISE"):
        case.assertRaises(ValueError, int, "1")
    with pytest.raises(failed, match="DID NOT RAISE"), case.assertRaises(ValueError):
        int("1")
    with pytest.raises(AssertionError), case.assertRaisesRegex(ValueError, "something else"):
        int("x")
    with pytest.raises(KeyError), case.assertRaises(ValueError):
        raise KeyError
    with pytest.raises(TypeError):
        case.assertRaises(ValueError, msg="text")


def test_warnings_are_expected_of_a_callable_or_in_a_block() -> None:
    assert case.assertWarns(UserWarning, warnings.warn, "text") is None
    assert case.assertWarnsRegex(UserWarning, "tex", warnings.warn, "text") is None
    with case.assertWarns(UserWarning) as caught:
        warnings.warn("text", stacklevel=1)
    with case.assertWarnsRegex(UserWarning, "tex"):
        warnings.warn("text", stacklevel=1)

    assert str(caught.list[0].message) == "text"
    with pytest.raises(pytest.fail.Exception), case.assertWarns(UserWarning):
        pass


@pytest.mark.parametrize(
    "name", ["some.logger", b"some.logger", None, logging.getLogger("some.logger")], ids=repr
)
@pytest.mark.parametrize("level", [None, "INFO", b"INFO", logging.INFO], ids=repr)
def test_logs_are_caught_and_kept_from_others(
    caplog: pytest.LogCaptureFixture, name: Any, level: Any
) -> None:
    with case.assertLogs(name, level) as watcher:
        logging.getLogger("some.logger").info("Hello %s", "you")

    assert watcher.output == ["INFO:some.logger:Hello you"]
    assert watcher.records[0].args == ("you",)
    assert caplog.records == []


@pytest.mark.parametrize(("logger", "name"), [("some.logger", "some.logger"), (None, "None")])
def test_logs_that_do_not_come_fail_the_test(logger: Any, name: str) -> None:
    text = f"No logs of level ERROR or higher triggered on {name}"

    with pytest.raises(AssertionError, match=text), case.assertLogs(logger, "ERROR"):
        logging.getLogger("some.logger").warning("not enough")


def test_a_logger_is_as_before_after_the_block() -> None:
    logger = logging.getLogger("some.logger")
    before = (logger.handlers, logger.level, logger.propagate)

    with pytest.raises(ZeroDivisionError), case.assertLogs("some.logger"):
        _ = 1 / 0

    assert (logger.handlers, logger.level, logger.propagate) == before
    with pytest.raises(KeyError):
        case.assertLogs(level="NO_SUCH_LEVEL")


# Other names


@pytest.mark.parametrize(
    ("alias", "name", "arguments"),
    [
        ("assertEquals", "assertEqual", (1, 1)),
        ("failUnlessEqual", "assertEqual", (1, 1)),
        ("assertNotEquals", "assertNotEqual", (1, 2)),
        ("failIfEqual", "assertNotEqual", (1, 2)),
        ("assertAlmostEquals", "assertAlmostEqual", (1, 1)),
        ("failUnlessAlmostEqual", "assertAlmostEqual", (1, 1)),
        ("assertNotAlmostEquals", "assertNotAlmostEqual", (1, 2)),
        ("failIfAlmostEqual", "assertNotAlmostEqual", (1, 2)),
        ("failUnless", "assertTrue", (1,)),
        ("assert_", "assertTrue", (1,)),
        ("failIf", "assertFalse", (0,)),
        ("assertRegexpMatches", "assertRegex", ("a", "a")),
        ("assertNotRegexpMatches", "assertNotRegex", ("a", "b")),
        ("failUnlessRaises", "assertRaises", (ValueError, int, "x")),
        ("assertRaisesRegexp", "assertRaisesRegex", (ValueError, "inv", int, "x")),
    ],
)
def test_old_names_work_with_a_warning(alias: str, name: str, arguments: tuple[Any, ...]) -> None:
    with pytest.warns(DeprecationWarning, match=f"^Please use {name} instead.") as caught:
        getattr(case, alias)(*arguments)

    assert caught[0].filename == __file__
