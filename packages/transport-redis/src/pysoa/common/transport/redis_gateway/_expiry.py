"""When a message stops being worth anything, and how long Redis must keep its list."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import NamedTuple

from pysoa.common.transport.errors import InvalidMessageError

__all__ = (
    "EXPIRY_KEY",
    "Expiry",
    "expiry_of",
    "message_age_past_expiry",
)

EXPIRY_KEY = "__expiry__"
"""The key in a message's meta under which its expiry travels."""

_LIST_SLACK_S = 10
_LONGEST_S = 10**10  # about 317 years; Redis refuses times to live not far beyond what this makes


class Expiry(NamedTuple):
    """The life of one message."""

    expires_at: float
    """Seconds since the Unix epoch after which receivers drop the message."""
    list_ttl_s: int
    """For how many seconds the list must live at least."""


def expiry_of(message_expiry_in_seconds: float, now: float) -> Expiry:
    """Work out the life of a message that is about to be sent with an expiry of its own.

    Wire fact: a message with an expiry of its own keeps its list alive ten seconds longer than itself; one
    that lives by the setting does not.

    Args:
        message_expiry_in_seconds: For how long the message is good.
        now: The current time in seconds since the Unix epoch.

    Raises:
        ValueError: The expiry is negative, infinite, not a number, or centuries long.
    """
    if not 0 < message_expiry_in_seconds <= _LONGEST_S:
        raise ValueError(
            f"message_expiry_in_seconds must be above 0 and at most {_LONGEST_S}, "
            f"got {message_expiry_in_seconds!r}. Nothing was sent. Pass None to use the transport's setting."
        )
    return Expiry(now + message_expiry_in_seconds, math.ceil(message_expiry_in_seconds) + _LIST_SLACK_S)


def message_age_past_expiry(meta: Mapping[str, object], now: float) -> float | None:
    """Tell for how long a received message has been too old to act on.

    Args:
        meta: The message's meta. ``__expiry__`` is in seconds since the Unix epoch; absent, ``None``, false
            or 0 means that the message never expires.
        now: The receiver's time in seconds since the Unix epoch. Sender and receiver must agree on the time.

    Returns:
        The seconds since it expired, or ``None`` while it is good; at the very instant of expiry it still is.

    Raises:
        InvalidMessageError: ``__expiry__`` is neither a number nor anything that means "never".

    Wire fact: PySOA 1.4.9 compares with a strict ``<``.
    """
    expires_at = meta.get(EXPIRY_KEY)
    if not expires_at:
        return None
    if not isinstance(expires_at, (int, float)):
        raise InvalidMessageError(f"The expiry of the message is a {type(expires_at).__name__}, not a number")
    if expires_at < now:
        # JSON knows integers that are too large for a float.
        return math.inf if expires_at < -sys.float_info.max else now - expires_at
    return None
