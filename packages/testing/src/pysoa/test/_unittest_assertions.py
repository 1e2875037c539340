"""The assertion methods of ``unittest`` for test classes that do not derive from ``unittest.TestCase``.

pytest rewrites the assertions in this module, so that failures show the values; see the fixtures plugin. A
given ``msg`` comes before them, it does not replace them.
"""

# The names are those of unittest.
# ruff: noqa: N802

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from typing import Any, AnyStr, NoReturn, TypeVar, overload

import pytest

from pysoa.test._log_capture import AssertLogsContext
from pysoa.test._raises_context import RaisesContext

__all__ = ("UnittestAssertions",)

_Exception = TypeVar("_Exception", bound=BaseException)


class UnittestAssertions:
    """The current assertion methods.

    Each raises ``AssertionError`` with ``msg`` as its text if the assertion does not hold.
    """

    def fail(self, msg: object | None = None) -> NoReturn:
        """Fail in any case."""
        __tracebackhide__ = True
        raise AssertionError(_text(msg))

    # Values

    def assertEqual(self, first: object, second: object, msg: object | None = None) -> None:
        """Assert ``first == second``."""
        __tracebackhide__ = True
        assert first == second, _text(msg)

    def assertNotEqual(self, first: object, second: object, msg: object | None = None) -> None:
        """Assert ``first != second``."""
        __tracebackhide__ = True
        assert first != second, _text(msg)

    def assertTrue(self, expr: object, msg: object | None = None) -> None:
        """Assert that a value is true."""
        __tracebackhide__ = True
        assert expr, _text(msg)

    def assertFalse(self, expr: object, msg: object | None = None) -> None:
        """Assert that a value is false."""
        __tracebackhide__ = True
        assert not expr, _text(msg)

    def assertIs(self, first: object, second: object, msg: object | None = None) -> None:
        """Assert ``first is second``."""
        __tracebackhide__ = True
        assert first is second, _text(msg)

    def assertIsNot(self, first: object, second: object, msg: object | None = None) -> None:
        """Assert ``first is not second``."""
        __tracebackhide__ = True
        assert first is not second, _text(msg)

    def assertIsNone(self, expr: object, msg: object | None = None) -> None:
        """Assert that a value is ``None``."""
        __tracebackhide__ = True
        assert expr is None, _text(msg)

    def assertIsNotNone(self, expr: object, msg: object | None = None) -> None:
        """Assert that a value is not ``None``."""
        __tracebackhide__ = True
        assert expr is not None, _text(msg)

    def assertIn(self, member: object, container: Any, msg: object | None = None) -> None:
        """Assert ``member in container``."""
        __tracebackhide__ = True
        assert member in container, _text(msg)

    def assertNotIn(self, member: object, container: Any, msg: object | None = None) -> None:
        """Assert ``member not in container``."""
        __tracebackhide__ = True
        assert member not in container, _text(msg)

    def assertIsInstance(self, obj: object, cls: Any, msg: object | None = None) -> None:
        """Assert ``isinstance(obj, cls)``."""
        __tracebackhide__ = True
        assert isinstance(obj, cls), _text(msg)

    def assertNotIsInstance(self, obj: object, cls: Any, msg: object | None = None) -> None:
        """Assert ``not isinstance(obj, cls)``."""
        __tracebackhide__ = True
        assert not isinstance(obj, cls), _text(msg)

    def assertGreater(self, first: Any, second: Any, msg: object | None = None) -> None:
        """Assert ``first > second``."""
        __tracebackhide__ = True
        assert first > second, _text(msg)

    def assertGreaterEqual(self, first: Any, second: Any, msg: object | None = None) -> None:
        """Assert ``first >= second``."""
        __tracebackhide__ = True
        assert first >= second, _text(msg)

    def assertLess(self, first: Any, second: Any, msg: object | None = None) -> None:
        """Assert ``first < second``."""
        __tracebackhide__ = True
        assert first < second, _text(msg)

    def assertLessEqual(self, first: Any, second: Any, msg: object | None = None) -> None:
        """Assert ``first <= second``."""
        __tracebackhide__ = True
        assert first <= second, _text(msg)

    # Values of certain types

    def assertMultiLineEqual(self, first: str, second: str, msg: object | None = None) -> None:
        """Assert that two strings are equal."""
        __tracebackhide__ = True
        _require_both(first, second, str, "a string", msg)
        assert first == second, _text(msg)

    def assertSequenceEqual(
        self,
        first: Sequence[Any],
        second: Sequence[Any],
        msg: object | None = None,
        seq_type: type[Sequence[Any]] | None = None,
    ) -> None:
        """Assert ``first == second``, and that both have the type if one is given."""
        __tracebackhide__ = True
        if seq_type is not None:
            assert isinstance(first, seq_type), _text(msg)
            assert isinstance(second, seq_type), _text(msg)
        assert first == second, _text(msg)

    def assertListEqual(self, first: list[Any], second: list[Any], msg: object | None = None) -> None:
        """Assert that two lists are equal."""
        __tracebackhide__ = True
        self.assertSequenceEqual(first, second, msg, seq_type=list)  # noqa: PT009 - that is what is made here

    def assertTupleEqual(
        self, first: tuple[Any, ...], second: tuple[Any, ...], msg: object | None = None
    ) -> None:
        """Assert that two tuples are equal."""
        __tracebackhide__ = True
        self.assertSequenceEqual(first, second, msg, seq_type=tuple)  # noqa: PT009 - see above

    def assertSetEqual(
        self, first: AbstractSet[Any], second: AbstractSet[Any], msg: object | None = None
    ) -> None:
        """Assert that two sets are equal; they may be of different types."""
        __tracebackhide__ = True
        _require_both(first, second, AbstractSet, "a set", msg)
        assert first == second, _text(msg)

    def assertDictEqual(
        self, first: dict[Any, Any], second: dict[Any, Any], msg: object | None = None
    ) -> None:
        """Assert that two dictionaries are equal."""
        __tracebackhide__ = True
        _require_both(first, second, dict, "a dictionary", msg)
        assert first == second, _text(msg)

    def assertCountEqual(
        self, first: Iterable[Any], second: Iterable[Any], msg: object | None = None
    ) -> None:
        """Assert that two iterables have the same items, each as many times, in any order; deprecated."""
        __tracebackhide__ = True
        warnings.warn(
            "PyTestServerTestCase.assertCountEqual is deprecated, because it cannot be implemented "
            "practicably. There is no replacement. Compare sorted lists.",
            DeprecationWarning,
            stacklevel=2,
        )
        missing, unexpected = _count_difference(list(first), list(second))
        assert (missing, unexpected) == ([], []), _text(msg)

    # Numbers and texts

    def assertAlmostEqual(
        self,
        first: Any,
        second: Any,
        places: int | None = None,
        msg: object | None = None,
        delta: Any = None,
    ) -> None:
        """Assert that two numbers are equal, or differ by no more than ``delta``.

        Args:
            first: A number.
            second: Another number.
            places: The difference must be 0 when rounded to so many decimal places; 7 if there is no delta.
            msg: The text of the failure.
            delta: The largest difference that is allowed.
        """
        __tracebackhide__ = True
        is_close, text = _closeness(first, second, places, delta, msg)
        if not is_close:
            raise AssertionError(f"{first!r} != {second!r} {text}" if msg is None else msg)

    def assertNotAlmostEqual(
        self,
        first: Any,
        second: Any,
        places: int | None = None,
        msg: object | None = None,
        delta: Any = None,
    ) -> None:
        """Assert that two numbers differ, and by more than ``delta``.

        Args:
            first: A number.
            second: Another number.
            places: The difference must not be 0 when rounded to so many decimal places; 7 if there is no
                delta.
            msg: The text of the failure.
            delta: The largest difference that is not enough.
        """
        __tracebackhide__ = True
        is_close, text = _closeness(first, second, places, delta, msg)
        if is_close:
            raise AssertionError(f"{first!r} == {second!r} {text}" if msg is None else msg)

    def assertRegex(
        self, text: AnyStr, regex: AnyStr | re.Pattern[AnyStr], msg: object | None = None
    ) -> None:
        """Assert that a regular expression is found in a text."""
        __tracebackhide__ = True
        pattern = _compile(regex, msg)
        if not pattern.search(text):
            default = f"Pattern: {_readable(pattern)}\nDoes not match text: {text!r}"
            raise AssertionError(default if msg is None else msg)

    def assertNotRegex(
        self, text: AnyStr, regex: AnyStr | re.Pattern[AnyStr], msg: object | None = None
    ) -> None:
        """Assert that a regular expression is not found in a text."""
        __tracebackhide__ = True
        pattern = _compile(regex, msg)
        if pattern.search(text):
            default = f"Pattern: {_readable(pattern)}\nUnexpectedly matches text: {text!r}"
            raise AssertionError(default if msg is None else msg)

    # What happens

    @overload
    def assertRaises(
        self, exception: type[_Exception] | tuple[type[_Exception], ...], callable: None = None, **kwargs: Any
    ) -> RaisesContext[_Exception]: ...
    @overload
    def assertRaises(
        self,
        exception: type[_Exception] | tuple[type[_Exception], ...],
        callable: Callable[..., object],
        *args: Any,
        **kwargs: Any,
    ) -> None: ...
    def assertRaises(
        self,
        exception: type[_Exception] | tuple[type[_Exception], ...],
        callable: Callable[..., object] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> RaisesContext[_Exception] | None:
        """Assert that an exception is raised, by a callable or in a ``with`` block.

        Args:
            exception: The class, or several.
            callable: What is called; ``None`` for a context manager, which yields what ``pytest.raises``
                yields, and sets its attribute ``exception`` when the block has ended.
            args: For the callable.
            kwargs: For the callable, or for ``pytest.raises``.

        Raises:
            pytest.fail.Exception: Nothing was raised.
        """
        __tracebackhide__ = True
        if callable is None:
            return RaisesContext(exception, **kwargs)
        with pytest.raises(exception):
            callable(*args, **kwargs)
        return None

    @overload
    def assertRaisesRegex(
        self,
        exception: type[_Exception] | tuple[type[_Exception], ...],
        regex: str | re.Pattern[str],
        callable: None = None,
        **kwargs: Any,
    ) -> RaisesContext[_Exception]: ...
    @overload
    def assertRaisesRegex(
        self,
        exception: type[_Exception] | tuple[type[_Exception], ...],
        regex: str | re.Pattern[str],
        callable: Callable[..., object],
        *args: Any,
        **kwargs: Any,
    ) -> None: ...
    def assertRaisesRegex(
        self,
        exception: type[_Exception] | tuple[type[_Exception], ...],
        regex: str | re.Pattern[str],
        callable: Callable[..., object] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> RaisesContext[_Exception] | None:
        """Do what :meth:`assertRaises` does, and assert that the regular expression is found in the text."""
        __tracebackhide__ = True
        if callable is None:
            return RaisesContext(exception, match=regex, **kwargs)
        with pytest.raises(exception, match=regex):
            callable(*args, **kwargs)
        return None

    @overload
    def assertWarns(
        self, exception: type[Warning] | tuple[type[Warning], ...], callable: None = None, **kwargs: Any
    ) -> AbstractContextManager[pytest.WarningsRecorder]: ...
    @overload
    def assertWarns(
        self,
        exception: type[Warning] | tuple[type[Warning], ...],
        callable: Callable[..., object],
        *args: Any,
        **kwargs: Any,
    ) -> None: ...
    def assertWarns(
        self,
        exception: type[Warning] | tuple[type[Warning], ...],
        callable: Callable[..., object] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> AbstractContextManager[pytest.WarningsRecorder] | None:
        """Assert that there is a warning, by a callable or in a ``with`` block.

        Args:
            exception: The class of the warning, or several.
            callable: What is called; ``None`` for a context manager, which yields what ``pytest.warns``
                yields.
            args: For the callable.
            kwargs: For the callable, or for ``pytest.warns``.

        Raises:
            pytest.fail.Exception: There was no such warning.
        """
        __tracebackhide__ = True
        if callable is None:
            context: AbstractContextManager[pytest.WarningsRecorder] = pytest.warns(exception, **kwargs)
            return context
        with pytest.warns(exception):
            callable(*args, **kwargs)
        return None

    @overload
    def assertWarnsRegex(
        self,
        exception: type[Warning] | tuple[type[Warning], ...],
        regex: str | re.Pattern[str],
        callable: None = None,
        **kwargs: Any,
    ) -> AbstractContextManager[pytest.WarningsRecorder]: ...
    @overload
    def assertWarnsRegex(
        self,
        exception: type[Warning] | tuple[type[Warning], ...],
        regex: str | re.Pattern[str],
        callable: Callable[..., object],
        *args: Any,
        **kwargs: Any,
    ) -> None: ...
    def assertWarnsRegex(
        self,
        exception: type[Warning] | tuple[type[Warning], ...],
        regex: str | re.Pattern[str],
        callable: Callable[..., object] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> AbstractContextManager[pytest.WarningsRecorder] | None:
        """Do what :meth:`assertWarns` does, and assert that the regular expression is found in the text."""
        __tracebackhide__ = True
        if callable is None:
            context: AbstractContextManager[pytest.WarningsRecorder] = pytest.warns(
                exception, match=regex, **kwargs
            )
            return context
        with pytest.warns(exception, match=regex):
            callable(*args, **kwargs)
        return None

    def assertLogs(self, logger: Any = None, level: str | bytes | int | None = None) -> AssertLogsContext:
        """Assert that something is logged in a ``with`` block, which is logged nowhere else.

        Args:
            logger: The logger or its name; ``None`` is the root logger.
            level: The lowest level that counts, as a number or a name; ``None`` is ``INFO``.

        Raises:
            KeyError: There is no level of this name.
        """
        return AssertLogsContext(logger, level)


def _text(msg: object | None) -> object:
    return "" if msg is None else msg


def _require_both(first: object, second: object, cls: Any, what: str, msg: object | None) -> None:
    __tracebackhide__ = True
    for ordinal, value in (("First", first), ("Second", second)):
        if not isinstance(value, cls):
            raise AssertionError(f"{ordinal} argument is not {what}" if msg is None else msg)


def _count_difference(first: list[Any], second: list[Any]) -> tuple[list[Any], list[Any]]:
    """Return what the second list lacks of the first, and the other way round."""
    try:
        counts: Mapping[Any, int] = Counter(first)
        other_counts: Mapping[Any, int] = Counter(second)
    except TypeError:  # something is not hashable
        missing: list[Any] = []
        unexpected = list(second)
        for item in first:
            if item in unexpected:
                unexpected.remove(item)
            else:
                missing.append(item)
        return missing, unexpected
    return list((Counter(counts) - Counter(other_counts)).elements()), list(
        (Counter(other_counts) - Counter(counts)).elements()
    )


def _closeness(
    first: Any, second: Any, places: int | None, delta: Any, msg: object | None
) -> tuple[bool, str]:
    """Tell whether two numbers are close enough, and say how that was decided."""
    __tracebackhide__ = True
    if delta is not None and places is not None:
        raise AssertionError("Specify delta or places, but not both" if msg is None else msg)
    decimals = 7 if places is None else places
    limit = f"within {decimals} places" if delta is None else f"within {delta!r} delta"
    if first == second:
        return True, limit
    difference = abs(first - second)
    is_close = round(difference, decimals) == 0 if delta is None else difference <= delta
    return bool(is_close), f"{limit} ({difference!r} difference)"


def _compile(regex: AnyStr | re.Pattern[AnyStr] | None, msg: object | None) -> re.Pattern[AnyStr]:
    __tracebackhide__ = True
    if regex is None:
        raise AssertionError("Regex must not be None" if msg is None else msg)
    if isinstance(regex, re.Pattern):
        return regex
    if not regex:
        raise AssertionError("Regex must not be empty" if msg is None else msg)
    return re.compile(regex)


def _readable(pattern: re.Pattern[Any]) -> object:
    return pattern.pattern
