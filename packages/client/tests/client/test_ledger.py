"""The response ledger, in any order of sends, arrivals, time-outs and abandonments."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from pysoa.client._ledger import CLAIMED, Ledger, Outcome
from pysoa.common.types import JobResponse

KEEP_S = 60.0
ALICE, BOB = "alice", "bob"
WHO: tuple[tuple[object, ...], ...] = ((ALICE,), (BOB,), (None,), (ALICE, None), (BOB, None))
owners = st.sampled_from([ALICE, BOB, None, CLAIMED])


def response(request_id: int) -> JobResponse:
    return JobResponse(context={"answers": request_id})


class LedgerMachine(RuleBasedStateMachine):
    """Does to a ledger what clients, transports and time do, and to a model made of plain dictionaries."""

    requests = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(KEEP_S)
        self.now = 0.0
        self.next_id = 0
        self.owner: dict[int, object] = {}
        self.expires_at: dict[int, float] = {}
        self.pending: set[int] = set()
        self.unsent: set[int] = set()
        self.arrived: list[int] = []
        self.taken: set[int] = set()

    @rule(target=requests, owner=owners, expiry=st.sampled_from([1.0, 30.0, 300.0]), is_sent=st.booleans())
    def send(self, owner: object, expiry: float, is_sent: bool) -> int:
        request_id = self.next_id
        self.next_id += 1
        self.owner[request_id] = owner
        self.expires_at[request_id] = self.now + expiry
        self.pending.add(request_id)

        self.ledger.expect(request_id, owner, self.expires_at[request_id])
        if not is_sent:
            self.ledger.mark_unsent(request_id)
            self.unsent.add(request_id)

        return request_id

    @rule(target=requests)
    def send_claimed(self) -> int:
        request_id = self.next_id
        self.next_id += 1
        self.owner[request_id] = CLAIMED
        self.expires_at[request_id] = 0.0
        self.pending.add(request_id)

        self.ledger.expect(request_id, CLAIMED, 0.0)

        return request_id

    @rule(request_id=requests)
    def pass_on(self, request_id: int) -> None:
        self.ledger.mark_sent(request_id)
        self.unsent.discard(request_id)

    @rule(request_id=requests)
    def arrive(self, request_id: int) -> None:
        is_accepted = self.ledger.deliver(request_id, response(request_id))

        assert is_accepted == (request_id in self.pending)
        if is_accepted:
            self.pending.discard(request_id)
            self.arrived.append(request_id)

    @rule(request_id=requests, who=st.sampled_from(WHO))
    def arrive_at_the_one_who_receives(self, request_id: int, who: tuple[object, ...]) -> None:
        is_theirs = request_id in self.pending - self.unsent and self.owner[request_id] in who

        assert self.ledger.settle_for(request_id, who) == is_theirs
        if is_theirs:
            self.forget(request_id)

    @rule(request_id=st.integers(min_value=1_000_000))
    def a_stranger_arrives(self, request_id: int) -> None:
        assert not self.ledger.deliver(request_id, response(request_id))

    @rule(request_id=requests)
    def take(self, request_id: int) -> None:
        outcome = self.ledger.take(request_id)

        self.check(request_id, outcome, is_expected=request_id in self.arrived)

    @rule(who=st.sampled_from([(ALICE,), (BOB,), (ALICE, None), (BOB, None)]))
    def take_next_of(self, who: tuple[object, ...]) -> None:
        expected = next((i for i in self.arrived if self.owner[i] in who), None)

        found = self.ledger.take_next_of(who)

        assert (found is None) == (expected is None)
        if found is not None:
            assert found[0] == expected
            self.check(found[0], found[1], is_expected=True)

    @rule(request_id=requests)
    def claim(self, request_id: int) -> None:
        is_open = request_id in self.pending or request_id in self.arrived

        assert self.ledger.claim(request_id) == is_open
        if is_open:
            self.owner[request_id] = CLAIMED

    @rule(request_id=consumes(requests))
    def abandon(self, request_id: int) -> None:
        was_pending = self.ledger.drop(request_id)

        assert was_pending == (request_id in self.pending)
        self.forget(request_id)

    @rule(seconds=st.sampled_from([0.5, 20.0, 61.0, 500.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def sweep(self) -> None:
        old = {
            i
            for i in [*self.pending, *self.arrived]
            if self.owner[i] is not CLAIMED and self.expires_at[i] < self.now - KEEP_S
        }

        forgotten = self.ledger.sweep(self.now)

        assert set(forgotten) == old & self.pending
        for request_id in old:
            self.forget(request_id)

    @invariant()
    def knows_what_is_open(self) -> None:
        assert len(self.ledger) == len(self.pending) + len(self.arrived)
        assert self.ledger.count_pending() == len(self.pending)
        assert list(self.ledger.arrived) == self.arrived
        assert self.ledger.count_awaited(range(self.next_id)) == len(self.pending - self.unsent)
        for owner in (ALICE, BOB, None):
            assert set(self.ledger.awaited_of((owner,))) == {
                i for i in self.pending - self.unsent if self.owner[i] is owner
            }

    @invariant()
    def knows_what_the_transport_may_still_have(self) -> None:
        awaited = self.pending - self.unsent
        for request_id in range(self.next_id):
            assert self.ledger.awaits(request_id) == (request_id in awaited)
            assert self.ledger.only_awaits(request_id) == (
                request_id in self.pending and not self.arrived and not self.unsent
            )
        for who in WHO:
            of_them = {i for i in awaited if self.owner[i] in who}
            assert self.ledger.awaits_any_of(who) == bool(of_them)
            assert self.ledger.awaits_any_of(who, self.now) == any(
                self.expires_at[i] >= self.now for i in of_them
            )

    def check(self, request_id: int, outcome: Outcome | None, *, is_expected: bool) -> None:
        assert (outcome is not None) == is_expected
        if outcome is not None:
            assert outcome == response(request_id), "a response went to the wrong request"
            assert request_id not in self.taken, "a response was delivered twice"
            self.taken.add(request_id)
            self.forget(request_id)

    def forget(self, request_id: int) -> None:
        self.pending.discard(request_id)
        self.unsent.discard(request_id)
        if request_id in self.arrived:
            self.arrived.remove(request_id)


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_sweeping_is_due_only_after_the_number_of_entries_has_doubled() -> None:
    ledger = Ledger()
    sweeps = 0

    for request_id in range(10_000):
        if ledger.expect(request_id, CLAIMED, 0.0):
            ledger.sweep(0.0)
            sweeps += 1

    assert sweeps < 12


def test_unclaimed_requests_without_response_do_not_pile_up() -> None:
    ledger = Ledger(KEEP_S)

    for request_id in range(10_000):
        if ledger.expect(request_id, ALICE, float(request_id)):
            ledger.sweep(float(request_id))

    assert len(ledger) < 200


def test_response_that_was_put_back_is_found_again() -> None:
    ledger = Ledger()

    ledger.put_back(7, ALICE, response(7), expires_at=60.0)

    assert ledger.take_next_of((BOB,)) is None
    assert ledger.take_next_of((ALICE,)) == (7, response(7))
