"""The assertion methods that had other names in the first versions of ``unittest``."""


# The names are those of unittest.
# ruff: noqa: N815

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from pysoa.test._unittest_assertions import UnittestAssertions

__all__ = ("UnittestAliases",)

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def _deprecated(method: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Return a method that warns of its use, and does what the given one does."""

    @functools.wraps(method)
    def deprecated_method(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        __tracebackhide__ = True
        warnings.warn(
            f"Please use {method.__name__} instead. This will be removed in PySOA 3.0.",
            DeprecationWarning,
            stacklevel=2,
        )
        return method(*args, **kwargs)

    deprecated_method.__doc__ = f"Use :meth:`{method.__name__}` instead; deprecated."
    return deprecated_method


class UnittestAliases(UnittestAssertions):
    """Deprecated names of the assertion methods."""

    assertEquals = _deprecated(UnittestAssertions.assertEqual)
    failUnlessEqual = _deprecated(UnittestAssertions.assertEqual)
    assertNotEquals = _deprecated(UnittestAssertions.assertNotEqual)
    failIfEqual = _deprecated(UnittestAssertions.assertNotEqual)
    assertAlmostEquals = _deprecated(UnittestAssertions.assertAlmostEqual)
    failUnlessAlmostEqual = _deprecated(UnittestAssertions.assertAlmostEqual)
    assertNotAlmostEquals = _deprecated(UnittestAssertions.assertNotAlmostEqual)
    failIfAlmostEqual = _deprecated(UnittestAssertions.assertNotAlmostEqual)
    failUnless = _deprecated(UnittestAssertions.assertTrue)
    assert_ = _deprecated(UnittestAssertions.assertTrue)
    failIf = _deprecated(UnittestAssertions.assertFalse)
    assertRegexpMatches = _deprecated(cast("Callable[..., None]", UnittestAssertions.assertRegex))
    assertNotRegexpMatches = _deprecated(cast("Callable[..., None]", UnittestAssertions.assertNotRegex))
    failUnlessRaises = _deprecated(cast("Callable[..., Any]", UnittestAssertions.assertRaises))
    assertRaisesRegexp = _deprecated(cast("Callable[..., Any]", UnittestAssertions.assertRaisesRegex))
