"""Dates and times in fixtures: integers between commas, or a keyword with an offset."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from pysoa.test.plan.errors import DataTypeConversionError
from pysoa.test.plan.grammar._clock import Clock

__all__ = ("parse_date", "parse_datetime", "parse_time")

_INTEGERS: Final = re.compile(r"\s*[+-]?\d+\s*(,\s*[+-]?\d+\s*)*")
_KEYWORD: Final = re.compile(r"([a-z_]+)(?: +(\S.*))?")

_DATETIMES: Final[Mapping[str, Callable[[Clock], datetime.datetime]]] = {
    "now": lambda clock: clock.now().replace(microsecond=0),
    "midnight": lambda clock: clock.now().replace(hour=0, minute=0, second=0, microsecond=0),
    "utc_now": lambda clock: clock.utc_now().replace(microsecond=0),
    "utc_midnight": lambda clock: clock.utc_now().replace(hour=0, minute=0, second=0, microsecond=0),
}
_TIMES: Final = ("now", "utc_now", "midnight")
_DATES: Final[Mapping[str, Callable[[Clock], datetime.datetime]]] = {
    "today": lambda clock: clock.now(),
    "utc_today": lambda clock: clock.utc_now(),
}

_Moment = TypeVar("_Moment", datetime.datetime, datetime.date, datetime.time)


def parse_datetime(text: str, clock: Clock) -> datetime.datetime:
    """Convert the text of a ``datetime``.

    Args:
        text: Three to seven integers between commas, or a keyword and perhaps an offset.
        clock: What keywords refer to.

    Raises:
        DataTypeConversionError: The text is neither.
    """
    return _converted(text, "datetime", lambda: _datetime(text, clock, tuple(_DATETIMES)))


def parse_time(text: str, clock: Clock) -> datetime.time:
    """Convert the text of a ``time``.

    Args:
        text: One to four integers between commas, or a keyword and perhaps an offset.
        clock: What keywords refer to.

    Raises:
        DataTypeConversionError: The text is neither.
    """

    def convert() -> datetime.time:
        if _INTEGERS.fullmatch(text):
            return datetime.time(*_integers(text, 4))  # type: ignore[arg-type]  # the fifth would be the time zone
        return _datetime(text, clock, _TIMES).time().replace(microsecond=0)

    return _converted(text, "time", convert)


def parse_date(text: str, clock: Clock) -> datetime.date:
    """Convert the text of a ``date``.

    Args:
        text: Three integers between commas, or a keyword.
        clock: What keywords refer to.

    Raises:
        DataTypeConversionError: The text is neither.
    """

    def convert() -> datetime.date:
        if _INTEGERS.fullmatch(text):
            return datetime.date(*_integers(text, 3))
        if text not in _DATES:
            raise ValueError(f"expected integers or one of {', '.join(_DATES)}")
        return _DATES[text](clock).date()

    return _converted(text, "date", convert)


def _converted(text: str, data_type: str, convert: Callable[[], _Moment]) -> _Moment:
    if not text:
        raise DataTypeConversionError(f"A {data_type} needs a value")
    try:
        return convert()
    except (ValueError, TypeError, OverflowError) as error:
        raise DataTypeConversionError(f"Could not convert {text!r} to a {data_type}: {error}") from error


def _datetime(text: str, clock: Clock, keywords: Sequence[str]) -> datetime.datetime:
    if _INTEGERS.fullmatch(text):
        numbers = _integers(text, 7)
        if len(numbers) < 3:
            raise ValueError("it takes at least year, month and day")
        return datetime.datetime(*numbers)  # type: ignore[arg-type]  # the eighth would be the time zone
    match = _KEYWORD.fullmatch(text)
    if match is None or match[1] not in keywords:
        raise ValueError(
            f"expected integers between commas, or one of {', '.join(keywords)}, perhaps followed by a blank "
            "and an offset such as +1,-6"
        )
    moment = _DATETIMES[match[1]](clock)
    return moment + _offset(match[2]) if match[2] else moment


def _offset(text: str) -> datetime.timedelta:
    if not _INTEGERS.fullmatch(text):
        raise ValueError(
            f"the offset {text!r} is not days, hours, minutes, seconds and microseconds between commas"
        )
    days, hours, minutes, seconds, microseconds, *_ = [*_integers(text, 5), 0, 0, 0, 0, 0]
    return datetime.timedelta(
        days=days, hours=hours, minutes=minutes, seconds=seconds, microseconds=microseconds
    )


def _integers(text: str, most: int) -> list[int]:
    numbers = [int(number) for number in text.split(",")]
    if len(numbers) > most:
        raise ValueError(f"{len(numbers)} integers are more than {most}")
    return numbers
