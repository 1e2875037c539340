"""The context of ``assertRaises``."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

import pytest

from pysoa.test._exception_info import RaisedInfo

__all__ = ("RaisesContext",)

_Exception = TypeVar("_Exception", bound=BaseException)


class RaisesContext(Generic[_Exception]):
    """Does what ``pytest.raises`` does, and gives what it yields the attribute ``exception``.

    Args:
        exceptions: What to expect.
        kwargs: Given to ``pytest.raises``.

    Raises:
        TypeError: ``pytest.raises`` does not know an argument.
    """

    def __init__(self, exceptions: type[_Exception] | tuple[type[_Exception], ...], **kwargs: Any) -> None:
        # Of a class that goes by several names, depending on the version of pytest.
        self._raises: Any = pytest.raises(exceptions, **kwargs)
        self._info: Any = None

    def __enter__(self) -> RaisedInfo[_Exception]:
        self._info = self._raises.__enter__()
        return cast("RaisedInfo[_Exception]", self._info)  # with the attribute that is set below

    def __exit__(self, *exc_info: object) -> bool:
        __tracebackhide__ = True
        is_expected: bool = self._raises.__exit__(*exc_info)
        if is_expected:
            self._info.exception = self._info.value
        return is_expected
