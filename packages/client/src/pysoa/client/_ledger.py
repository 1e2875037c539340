"""Which responses are awaited, which have arrived, and for whom: no I/O, no clock, no locks.

Every request that expects a response has an entry under its id, from before it is sent until its response is
taken or nobody wants it any more. A response is accepted only for an id that has an entry, so a late,
repeated or foreign one can never reach a caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from pysoa.common.types import JobResponse

__all__ = (
    "CLAIMED",
    "Ledger",
    "Outcome",
)

Outcome: TypeAlias = JobResponse | Exception
"""What became of a request: its response, or what went wrong with its response."""


class _Claimed:
    def __repr__(self) -> str:
        return "CLAIMED"


CLAIMED: Final = _Claimed()
"""The owner of requests whose responses are collected by id, by one who gives the id up when done."""

_SMALLEST_SWEEP: Final = 64


_Entry: TypeAlias = tuple[object, float]
"""Who may take the response without naming the id, nobody if it is CLAIMED; and when the request expires.

That is a time of the caller's clock, and not looked at if the owner is CLAIMED.
"""


class Ledger:
    """The open entries of one service handler. The caller makes sure that one thread uses it at a time.

    Args:
        keep_expired_s: How long after the expiry of a request its response is still accepted, if no one holds
            a claim on it: a response has a life of its own.
    """

    __slots__ = ("_keep_expired_s", "_pending", "_sweep_at", "_unsent", "arrived")

    def __init__(self, keep_expired_s: float = 60.0) -> None:
        self._keep_expired_s = keep_expired_s
        self._pending: dict[int, _Entry] = {}
        self.arrived: dict[int, tuple[_Entry, Outcome]] = {}
        """What has arrived and was not taken yet, in this order."""
        self._unsent: set[int] = set()
        self._sweep_at = _SMALLEST_SWEEP

    def __len__(self) -> int:
        return len(self._pending) + len(self.arrived)

    def __contains__(self, request_id: object) -> bool:
        return request_id in self._pending or request_id in self.arrived

    # Sending

    def expect(self, request_id: int, owner: object, expires_at: float) -> bool:
        """Open an entry for a request that is about to be sent.

        Returns:
            Whether so many entries are open now that it is time for :meth:`sweep`. The threshold follows the
            number of live entries, so that sweeping costs next to nothing per request.
        """
        self._pending[request_id] = (owner, expires_at)
        return len(self._pending) + len(self.arrived) >= self._sweep_at

    def claim(self, request_id: int) -> bool:
        """Make an entry one that only who names the id can take; tell whether there is one."""
        if request_id in self._pending:
            self._pending[request_id] = (CLAIMED, 0.0)
        elif request_id in self.arrived:
            self.arrived[request_id] = ((CLAIMED, 0.0), self.arrived[request_id][1])
        else:
            return False
        return True

    def mark_unsent(self, request_id: int) -> None:
        """Say that a request was not given to the transport (yet): no use in asking the transport for it."""
        self._unsent.add(request_id)

    def mark_sent(self, request_id: int) -> None:
        """Take :meth:`mark_unsent` back."""
        self._unsent.discard(request_id)

    # Receiving

    def deliver(self, request_id: int, outcome: Outcome) -> bool:
        """File what arrived for whoever waits for it; tell whether anybody does."""
        entry = self._pending.pop(request_id, None)
        if entry is None:
            return False
        self.arrived[request_id] = (entry, outcome)
        return True

    def settle(self, request_id: int) -> bool:
        """Close an entry whose response has come to the one who wants it; tell whether it was awaited."""
        if self._unsent:
            self._unsent.discard(request_id)
        return self._pending.pop(request_id, None) is not None

    def settle_for(self, request_id: int, owners: tuple[object, ...]) -> bool:
        """Do the same, if the transport may still have had this response, and it is for one of these."""
        entry = self._pending.get(request_id)
        if entry is None or entry[0] not in owners or request_id in self._unsent:
            return False
        del self._pending[request_id]
        return True

    def take(self, request_id: int) -> Outcome | None:
        """Remove and return what arrived for this id, or return ``None``."""
        if not self.arrived:
            return None
        arrived = self.arrived.pop(request_id, None)
        if arrived is None:
            return None
        if self._unsent:
            self._unsent.discard(request_id)
        return arrived[1]

    def take_next_of(self, owners: tuple[object, ...]) -> tuple[int, Outcome] | None:
        """Remove and return what arrived first for one of these owners, with its id, or return ``None``."""
        for request_id, ((owner, _), outcome) in self.arrived.items():
            if owner in owners:
                del self.arrived[request_id]
                self._unsent.discard(request_id)
                return request_id, outcome
        return None

    def put_back(self, request_id: int, owner: object, outcome: Outcome, expires_at: float) -> None:
        """File a response again that was taken by one who found it to be another's."""
        self.arrived[request_id] = ((owner, expires_at), outcome)

    # Waiting

    def count_pending(self) -> int:
        """Return how many responses have not arrived yet."""
        return len(self._pending)

    def only_awaits(self, request_id: int) -> bool:
        """Tell whether this response is awaited and no other has arrived."""
        return not self.arrived and not self._unsent and request_id in self._pending

    def awaits(self, request_id: int) -> bool:
        """Tell whether the transport may still have the response to this request."""
        return request_id in self._pending and request_id not in self._unsent

    def awaits_any(self, request_ids: Iterable[int]) -> bool:
        """Tell whether the transport may still have the response to any of these requests."""
        pending, unsent = self._pending, self._unsent
        # Not any(), which takes several times as long for the usual single id.
        for request_id in request_ids:  # noqa: SIM110
            if request_id in pending and request_id not in unsent:
                return True
        return False

    def count_awaited(self, request_ids: Iterable[int]) -> int:
        """Return to how many of these requests the transport may still have the response."""
        return sum(
            request_id in self._pending and request_id not in self._unsent for request_id in request_ids
        )

    def awaits_any_of(self, owners: tuple[object, ...], now: float = 0.0) -> bool:
        """Tell whether the transport may still have a response for one of these owners.

        Args:
            owners: The owners. They are compared by identity.
            now: Only requests that expire later than this count.
        """
        unsent = self._unsent
        # The newest is the most likely one, and so the search is short however many there are.
        for request_id in reversed(self._pending):
            owner, expires_at = self._pending[request_id]
            if expires_at >= now and owner in owners and request_id not in unsent:
                return True
        return False

    def awaited_of(self, owners: tuple[object, ...]) -> dict[int, float]:
        """Return the ids that the transport may still have for these owners, with the times of expiry."""
        return {
            request_id: expires_at
            for request_id, (owner, expires_at) in self._pending.items()
            if owner in owners and request_id not in self._unsent
        }

    # Forgetting

    def drop(self, request_id: int) -> bool:
        """Close an entry whose response nobody wants; tell whether the response had not arrived yet."""
        self._unsent.discard(request_id)
        self.arrived.pop(request_id, None)
        return self._pending.pop(request_id, None) is not None

    def sweep(self, now: float) -> list[int]:
        """Close the unclaimed entries that expired long ago; return the ids that were still awaited."""
        limit = now - self._keep_expired_s
        late = [
            i
            for i, (owner, expires_at) in self._pending.items()
            if owner is not CLAIMED and expires_at < limit
        ]
        unread = [
            i
            for i, ((owner, expires_at), _) in self.arrived.items()
            if owner is not CLAIMED and expires_at < limit
        ]
        for request_id in (*late, *unread):
            self.drop(request_id)
        self._sweep_at = max(_SMALLEST_SWEEP, 2 * len(self))
        return late
