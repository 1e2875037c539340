"""The assertion methods that had other names in the first versions of ``unittest``."""

# The names are those of unittest.
# ruff: noqa: N802

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar, cast

from pysoa.test._unittest_assertions import UnittestAssertions

__all__ = ("UnittestAliases",)

_Assertions = TypeVar("_Assertions", bound=UnittestAssertions)
_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_Method: TypeAlias = Callable[Concatenate[_Assertions, _Parameters], _Result]


def _another_name_of(
    method: Callable[Concatenate[UnittestAssertions, _Parameters], _Result],
) -> Callable[[_Method[_Assertions, _Parameters, _Result]], _Method[_Assertions, _Parameters, _Result]]:
    """Return a decorator that makes a method warn of its use, and do what the given one does."""

    def decorate(
        alias: _Method[_Assertions, _Parameters, _Result],
    ) -> _Method[_Assertions, _Parameters, _Result]:
        @functools.wraps(alias)
        def deprecated_method(
            self: _Assertions, *args: _Parameters.args, **kwargs: _Parameters.kwargs
        ) -> _Result:
            __tracebackhide__ = True
            warnings.warn(
                f"Please use {method.__name__} instead. This will be removed in PySOA 3.0.",
                DeprecationWarning,
                stacklevel=2,
            )
            return method(self, *args, **kwargs)

        # The cast makes self positional.
        return cast("_Method[_Assertions, _Parameters, _Result]", deprecated_method)

    return decorate


# Overloads and AnyStr do not survive the decorator.
_assert_regex = cast("Callable[..., None]", UnittestAssertions.assertRegex)
_assert_not_regex = cast("Callable[..., None]", UnittestAssertions.assertNotRegex)
_assert_raises = cast("Callable[..., Any]", UnittestAssertions.assertRaises)
_assert_raises_regex = cast("Callable[..., Any]", UnittestAssertions.assertRaisesRegex)


class UnittestAliases(UnittestAssertions):
    """Deprecated names of the assertion methods."""

    @_another_name_of(UnittestAssertions.assertEqual)
    def assertEquals(self, first: object, second: object, msg: object | None = None) -> None:
        """Use :meth:`assertEqual` instead; deprecated."""

    @_another_name_of(UnittestAssertions.assertEqual)
    def failUnlessEqual(self, first: object, second: object, msg: object | None = None) -> None:
        """Use :meth:`assertEqual` instead; deprecated."""

    @_another_name_of(UnittestAssertions.assertNotEqual)
    def assertNotEquals(self, first: object, second: object, msg: object | None = None) -> None:
        """Use :meth:`assertNotEqual` instead; deprecated."""

    @_another_name_of(UnittestAssertions.assertNotEqual)
    def failIfEqual(self, first: object, second: object, msg: object | None = None) -> None:
        """Use :meth:`assertNotEqual` instead; deprecated."""

    @_another_name_of(UnittestAssertions.assertAlmostEqual)
    def assertAlmostEquals(
        self,
        first: Any,
        second: Any,
        places: int | None = None,
        msg: object | None = None,
        delta: Any = None,
    ) -> None:
        """Use :meth:`assertAlmostEqual` instead; deprecated."""

    @_another_name_of(UnittestAssertions.assertAlmostEqual)
    def failUnlessAlmostEqual(
        self,
        first: Any,
        second: Any,
        places: int | None = None,
        msg: object | None = None,
        delta: Any = None,
    ) -> None:
        """Use :meth:`assertAlmostEqual` instead; deprecated."""

    @_another_name_of(UnittestAssertions.assertNotAlmostEqual)
    def assertNotAlmostEquals(
        self,
        first: Any,
        second: Any,
        places: int | None = None,
        msg: object | None = None,
        delta: Any = None,
    ) -> None:
        """Use :meth:`assertNotAlmostEqual` instead; deprecated."""

    @_another_name_of(UnittestAssertions.assertNotAlmostEqual)
    def failIfAlmostEqual(
        self,
        first: Any,
        second: Any,
        places: int | None = None,
        msg: object | None = None,
        delta: Any = None,
    ) -> None:
        """Use :meth:`assertNotAlmostEqual` instead; deprecated."""

    @_another_name_of(UnittestAssertions.assertTrue)
    def failUnless(self, expr: object, msg: object | None = None) -> None:
        """Use :meth:`assertTrue` instead; deprecated."""

    @_another_name_of(UnittestAssertions.assertTrue)
    def assert_(self, expr: object, msg: object | None = None) -> None:
        """Use :meth:`assertTrue` instead; deprecated."""

    @_another_name_of(UnittestAssertions.assertFalse)
    def failIf(self, expr: object, msg: object | None = None) -> None:
        """Use :meth:`assertFalse` instead; deprecated."""

    @_another_name_of(_assert_regex)
    def assertRegexpMatches(self, *args: Any, **kwargs: Any) -> None:
        """Use :meth:`assertRegex` instead; deprecated."""

    @_another_name_of(_assert_not_regex)
    def assertNotRegexpMatches(self, *args: Any, **kwargs: Any) -> None:
        """Use :meth:`assertNotRegex` instead; deprecated."""

    @_another_name_of(_assert_raises)
    def failUnlessRaises(self, *args: Any, **kwargs: Any) -> Any:
        """Use :meth:`assertRaises` instead; deprecated."""

    @_another_name_of(_assert_raises_regex)
    def assertRaisesRegexp(self, *args: Any, **kwargs: Any) -> Any:
        """Use :meth:`assertRaisesRegex` instead; deprecated."""
