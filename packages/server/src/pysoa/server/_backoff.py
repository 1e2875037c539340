"""How long to wait before the next try after a failure."""

from __future__ import annotations

import random

__all__ = ("Backoff",)

_HIGHEST_EXPONENT = 5


class Backoff:
    """Sleeping times that double with each failure, up to about 8 seconds, and shrink with each success.

    The random part keeps the workers of a fleet from all coming back to a broker in the same instant.
    """

    def __init__(self) -> None:
        self._level = 0

    @property
    def is_at_rest(self) -> bool:
        """Whether as many successes as failures have been counted."""
        return self._level == 0

    def next_in_seconds(self) -> float:
        """Count a failure and return the sleep before the next try: ``(2 ** n + random()) / 4`` seconds."""
        seconds = ((1 << self._level) + random.random()) / 4
        self._level = min(self._level + 1, _HIGHEST_EXPONENT)
        return seconds

    def succeeded(self) -> None:
        """Count a success."""
        self._level = max(self._level - 1, 0)
