"""Types of what pytest tells about exceptions; its own class is final, but takes further attributes."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Any, Protocol, TypeVar

from pysoa.client.errors import CallActionError
from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse

__all__ = ("PySOAExceptionInfo", "RaisedInfo")

_Exception_co = TypeVar("_Exception_co", bound=BaseException, covariant=True)


class _Info(Protocol[_Exception_co]):
    """The members of :class:`pytest.ExceptionInfo`. All but ``repr`` need that something was raised."""

    @property
    def type(self) -> type[_Exception_co]:
        """The class of the exception."""
        ...

    @property
    def value(self) -> _Exception_co:
        """The exception."""
        ...

    @property
    def tb(self) -> TracebackType:
        """Where it was raised."""
        ...

    @property
    def typename(self) -> str:
        """The name of the class."""
        ...

    @property
    def traceback(self) -> Any:
        """Where it was raised, as a list of pytest's entries."""
        ...

    def exconly(self, tryshort: bool = False) -> str:
        """Return the exception as text."""
        ...

    def errisinstance(self, exc: Any) -> bool:
        """Tell whether the exception is an instance of a class."""
        ...

    def getrepr(self) -> Any:
        """Return what pytest would show."""
        ...

    def match(self, regexp: str | re.Pattern[str]) -> bool:
        """Assert that a regular expression is found in the text of the exception."""
        ...


class RaisedInfo(_Info[_Exception_co], Protocol[_Exception_co]):
    """What :meth:`~pysoa.test.server.PyTestServerTestCase.assertRaises` yields."""

    @property
    def exception(self) -> _Exception_co:
        """The exception; there is no such attribute before it was raised."""
        ...


class PySOAExceptionInfo(_Info[CallActionError], Protocol):
    """What the context managers of :mod:`pysoa.test.assertions` yield."""

    soa_errors: list[Error]
    """The errors of one failed action; there is no such attribute before the end of the block."""
    soa_failed_actions: list[ActionResponse]
    """The responses of all actions that failed; there is no such attribute before the end of the block."""
