"""Values that stand for many: any value of a type, any text that matches a pattern."""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

__all__ = ("AnyValue", "RegexValue")

_ISO_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_ISO_DATETIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

_CHECKS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "str": lambda value: isinstance(value, str),
    "bytes": lambda value: isinstance(value, bytes),
    "int": lambda value: isinstance(value, int),
    "float": lambda value: type(value) is float,
    "bool": lambda value: type(value) is bool,
    "decimal": lambda value: isinstance(value, decimal.Decimal),
    "datetime": lambda value: _is_moment(value, "datetime", _ISO_DATETIME),
    "date": lambda value: _is_moment(value, "date", _ISO_DATE),
    "time": lambda value: _class_name(value) == "time",
}


class AnyValue:
    """Equals all values of one data type.

    Texts equal a ``date`` or ``datetime`` if they are written as in ISO 8601; times must be in UTC.

    Args:
        data_type: The name of the data type: ``str``, ``bytes``, ``int``, ``float``, ``bool``, ``decimal``,
            ``datetime``, ``date`` or ``time``.
        permit_none: Whether ``None`` is equal too.

    Raises:
        ValueError: Values have no such type.
    """

    type_names: Final = tuple(_CHECKS)
    """The data types that are allowed."""

    def __init__(self, data_type: str, permit_none: bool = False) -> None:
        if data_type not in _CHECKS:
            raise ValueError(f"No value is of type {data_type!r}; it must be one of {', '.join(_CHECKS)}")
        self.data_type = data_type
        self.permit_none = permit_none

    def __eq__(self, other: object) -> bool:
        if other is None:
            return self.permit_none
        if isinstance(other, AnyValue):
            return (self.data_type, self.permit_none) == (other.data_type, other.permit_none)
        return _CHECKS[self.data_type](other)

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # it is equal to values with different hashes

    def __repr__(self) -> str:
        return f"any {self.data_type} type value{' or None' if self.permit_none else ''}"


class RegexValue:
    """Equals all texts that match a pattern at their beginning, or all texts that do not.

    Args:
        pattern: The regular expression.
        negate: Whether texts that do *not* match are equal.

    Raises:
        re.error: The pattern is no regular expression.
    """

    def __init__(self, pattern: str, negate: bool = False) -> None:
        self.pattern: re.Pattern[str] = re.compile(pattern)
        self.negate = negate

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RegexValue):
            return (self.pattern, self.negate) == (other.pattern, other.negate)
        return isinstance(other, str) and (self.pattern.match(other) is None) is self.negate

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # it is equal to values with different hashes

    def __repr__(self) -> str:
        return f"regex {'not ' if self.negate else ''}{self.pattern.pattern}"


def _is_moment(value: object, class_name: str, text_pattern: re.Pattern[str]) -> bool:
    if isinstance(value, str):
        return text_pattern.match(value) is not None
    return _class_name(value) == class_name


def _class_name(value: object) -> str:
    """Return the name of a class of ``datetime``, also while freezegun puts others in its place."""
    for real in (datetime.datetime, datetime.date, datetime.time):
        if type(value) is real:
            return real.__name__.removeprefix("Fake").lower()
    name = type(value).__name__
    return name.removeprefix("Fake").lower() if name in ("FakeDatetime", "FakeDate") else ""
