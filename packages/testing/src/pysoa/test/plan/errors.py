"""What can be wrong with a plan or its fixtures.

::

    PySOAError
        DataTypeConversionError     a value is not of the type it is said to be; also a ValueError
        DirectiveError              a directive class, or the registry of directives, is not as it must be
        FixtureLoadError            a fixture file cannot be read, or holds no test case
        FixtureSyntaxError          a fixture file has mistakes; also a SyntaxError
        StatusError                 test cases, fixtures or variables are not there when they are needed
"""

from __future__ import annotations

import linecache
from collections.abc import Sequence

from pysoa.common.errors import PySOAError

__all__ = (
    "DataTypeConversionError",
    "DirectiveError",
    "FixtureLoadError",
    "FixtureSyntaxError",
    "StatusError",
)


class DataTypeConversionError(PySOAError, ValueError):
    """The text of a value is not of the data type that the line names."""


class DirectiveError(PySOAError):
    """A directive class is incomplete, or there are no directives at all."""


class FixtureLoadError(PySOAError):
    """Fixture files cannot be found or read, or one holds no test case."""


class FixtureSyntaxError(PySOAError, SyntaxError):
    """A fixture file has one mistake or several.

    Args:
        message: What is wrong.
        file_name: The path of the fixture file.
        line_number: The line of the mistake, counted from 1; 0 if it is about no single line.
        offset: The column, counted from 1; 0 means the end of the line.
        line_text: The line; empty means that it is read from the file.
        mistakes: Each mistake on its own, if ``message`` is about several. Empty means this one.
    """

    def __init__(
        self,
        message: str,
        file_name: str,
        line_number: int = 0,
        offset: int = 0,
        line_text: str = "",
        *,
        mistakes: Sequence[FixtureSyntaxError] = (),
    ) -> None:
        text = line_text or _read_line(file_name, line_number)
        super().__init__(message, (file_name, line_number, offset or len(text or ""), text or "[unknown]"))
        self.mistakes: tuple[FixtureSyntaxError, ...] = tuple(mistakes) or (self,)
        """Each mistake on its own, in the order of the lines."""

    def __str__(self) -> str:
        return str(self.msg)

    @classmethod
    def of(cls, mistakes: Sequence[FixtureSyntaxError]) -> FixtureSyntaxError:
        """Return one exception for all mistakes that were found.

        Args:
            mistakes: At least one.
        """
        if len(mistakes) == 1:
            return mistakes[0]
        files = list(dict.fromkeys(str(mistake.filename) for mistake in mistakes))
        where = files[0] if len(files) == 1 else f"{len(files)} files"
        texts = [f"{number}. {mistake}" for number, mistake in enumerate(mistakes, 1)]
        first = mistakes[0]
        return cls(
            "\n\n".join([f"{len(mistakes)} mistakes in {where}", *texts]),
            files[0],
            first.lineno or 0,
            first.offset or 0,
            first.text or "",
            mistakes=mistakes,
        )


class StatusError(PySOAError):
    """Something is not there or there twice: a test case, a fixture, the value of a variable."""


def _read_line(file_name: str, line_number: int) -> str:
    linecache.checkcache(file_name)
    return linecache.getline(file_name, line_number).strip() if line_number else ""
