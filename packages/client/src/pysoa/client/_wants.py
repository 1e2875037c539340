"""What a thread can wait for: the responses to certain requests, or the next one that nobody claims."""

from __future__ import annotations

from typing import Protocol

from pysoa.client._ledger import Ledger, Outcome

__all__ = (
    "Claim",
    "NextOf",
    "One",
    "Want",
)


class Want(Protocol):
    """What a thread waits for."""

    @property
    def wants_more(self) -> bool:
        """Whether something is still missing after :meth:`accept` took an outcome."""
        ...

    def collect(self, ledger: Ledger) -> bool:
        """Take out of the ledger what has arrived for this want; tell whether it is fulfilled."""
        ...

    def accept(self, request_id: int, outcome: Outcome, ledger: Ledger) -> bool:
        """Take an outcome that has just come, if this is who wants it; tell whether it is."""
        ...

    def is_awaited(self, ledger: Ledger) -> bool:
        """Tell whether the transport may still have something for this want."""
        ...

    def count_awaited(self, ledger: Ledger) -> int:
        """Return how many responses the transport may still have for this want."""
        ...

    def may_include(self, request_id: int) -> bool:
        """Tell whether the response to this request may be for this want."""
        ...


class Claim:
    """Wants the responses to certain requests, all of them.

    Args:
        missing: The ids. Those whose outcomes have been collected are removed, so that a wait that fails can
            be taken up again.
        outcomes: Where to put the outcomes.
    """

    __slots__ = ("missing", "outcomes", "wants_more")

    def __init__(self, missing: set[int], outcomes: dict[int, Outcome]) -> None:
        self.missing = missing
        self.outcomes = outcomes
        self.wants_more: bool = True

    def collect(self, ledger: Ledger) -> bool:
        """See :class:`Want`."""
        if ledger.arrived:
            for request_id in tuple(self.missing):
                outcome = ledger.take(request_id)
                if outcome is not None:
                    self.outcomes[request_id] = outcome
                    self.missing.discard(request_id)
        return not self.missing

    def accept(self, request_id: int, outcome: Outcome, ledger: Ledger) -> bool:
        """See :class:`Want`."""
        if request_id not in self.missing or not ledger.settle(request_id):
            return False
        self.outcomes[request_id] = outcome
        self.missing.discard(request_id)
        self.wants_more = bool(self.missing)
        return True

    def is_awaited(self, ledger: Ledger) -> bool:
        """See :class:`Want`."""
        return ledger.awaits_any(self.missing)

    def count_awaited(self, ledger: Ledger) -> int:
        """See :class:`Want`."""
        return ledger.count_awaited(self.missing)

    def may_include(self, request_id: int) -> bool:
        """See :class:`Want`."""
        return request_id in self.missing


class One:
    """Wants the response to one request. The same as a :class:`Claim` of one id, but quicker."""

    # Defaults, and no constructor: every call makes one of these.
    request_id: int = -1
    outcome: Outcome | None = None
    wants_more: bool = False

    def collect(self, ledger: Ledger) -> bool:
        """See :class:`Want`."""
        self.outcome = ledger.take(self.request_id)
        return self.outcome is not None

    def accept(self, request_id: int, outcome: Outcome, ledger: Ledger) -> bool:
        """See :class:`Want`."""
        if request_id != self.request_id or not ledger.settle(request_id):
            return False
        self.outcome = outcome
        return True

    def is_awaited(self, ledger: Ledger) -> bool:
        """See :class:`Want`."""
        return ledger.awaits(self.request_id)

    def count_awaited(self, ledger: Ledger) -> int:
        """See :class:`Want`."""
        return int(ledger.awaits(self.request_id))

    def may_include(self, request_id: int) -> bool:
        """See :class:`Want`."""
        return request_id == self.request_id


class NextOf:
    """Wants the next response that nobody claims and that is for one of these owners.

    Args:
        owners: The owners, compared by identity.
    """

    __slots__ = ("outcome", "owners")
    wants_more: bool = False

    def __init__(self, owners: tuple[object, ...]) -> None:
        self.owners: tuple[object, ...] = owners
        self.outcome: tuple[int, Outcome] | None = None

    def collect(self, ledger: Ledger) -> bool:
        """See :class:`Want`."""
        self.outcome = ledger.take_next_of(self.owners)
        return self.outcome is not None

    def accept(self, request_id: int, outcome: Outcome, ledger: Ledger) -> bool:
        """See :class:`Want`."""
        if not ledger.settle_for(request_id, self.owners):
            return False
        self.outcome = (request_id, outcome)
        return True

    def is_awaited(self, ledger: Ledger) -> bool:
        """See :class:`Want`."""
        return ledger.awaits_any_of(self.owners)

    def count_awaited(self, ledger: Ledger) -> int:
        """See :class:`Want`."""
        return len(ledger.awaited_of(self.owners))

    def may_include(self, request_id: int) -> bool:  # noqa: ARG002 - part of the protocol
        """See :class:`Want`."""
        return True
