"""The time that the keywords of a fixture mean, such as ``now``."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Final, Protocol

__all__ = ("FREEZE_TIME_KEY", "Clock", "FrozenClock", "SystemClock", "clock_of")

FREEZE_TIME_KEY: Final = "_freezegun_freeze_time"
"""Where test cases and action cases keep the time that they are frozen at, without a time zone, in UTC."""


class Clock(Protocol):
    """Tells the time at which a keyword is evaluated."""

    def now(self) -> datetime.datetime:
        """Return the local time, without a time zone."""
        ...

    def utc_now(self) -> datetime.datetime:
        """Return the time in UTC, with its time zone."""
        ...


class SystemClock:
    """Tells the real time."""

    def now(self) -> datetime.datetime:
        """Return the local time, without a time zone."""
        return datetime.datetime.now()

    def utc_now(self) -> datetime.datetime:
        """Return the time in UTC, with its time zone."""
        return datetime.datetime.now(datetime.UTC)


class FrozenClock:
    """Tells one time only, which is the local time too, as in a process that freezegun has frozen.

    Args:
        moment: A time in UTC, without a time zone.
    """

    def __init__(self, moment: datetime.datetime) -> None:
        self._moment = moment

    def now(self) -> datetime.datetime:
        """Return the local time, without a time zone."""
        return self._moment

    def utc_now(self) -> datetime.datetime:
        """Return the time in UTC, with its time zone."""
        return self._moment.replace(tzinfo=datetime.UTC)


def clock_of(action_case: Mapping[str, Any], test_case: Mapping[str, Any]) -> Clock:
    """Return the clock that holds for a line: the action case's, else the test case's, else the real one."""
    moment = action_case.get(FREEZE_TIME_KEY) or test_case.get(FREEZE_TIME_KEY)
    return FrozenClock(moment) if moment else SystemClock()
