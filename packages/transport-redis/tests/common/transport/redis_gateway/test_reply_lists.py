from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pysoa.common.transport.redis_gateway._chunking import ChunkedMessage
from pysoa.common.transport.redis_gateway._framing import Frame
from pysoa.common.transport.redis_gateway._reply_lists import Awaited, ReplyList, ReplyLists
from pysoa.common.transport.redis_gateway._ring import ring_index
from pysoa.common.transport.redis_gateway.constants import ProtocolVersion

STEM = "service.example.0123456789abcdef0123456789abcdef!"
FIRST_PART = Frame(ProtocolVersion.VERSION_3, None, b"3", b"1", b"x")


def new_lists(ring_size: int = 1) -> ReplyLists:
    return ReplyLists(STEM, "pysoa:", ring_size)


def answer_on_shared_list(lists: ReplyLists, request_id: int, was_chunked: bool = False) -> None:
    """Let a request be answered by the shared list."""
    lists.begin(request_id, 60.0)
    assert lists.claim_shared(request_id, was_chunked) is not None


def make_new_fleet(lists: ReplyLists) -> None:
    """Let so many answers come by the shared list that no older server seems to be left."""
    for number in range(300):
        answer_on_shared_list(lists, number)


@given(st.integers(min_value=1, max_value=16))
def test_all_lists_of_a_client_are_on_one_master(ring_size: int) -> None:
    lists = new_lists(ring_size)

    names = [lists.begin(number, 60.0).exclusive_list.name for number in range(30)]
    names += [lists.shared.name, lists.void.name]

    assert {ring_index("pysoa:" + name, ring_size) for name in names} == {lists.master_index}
    assert len(set(names)) == 32


def test_names_have_the_form_that_1_4_9_servers_know() -> None:
    name = new_lists().begin(1, 60.0).exclusive_list.name

    client, _, suffix = name.partition("!")
    assert client + "!" == STEM
    assert len(suffix) == 12
    assert int(suffix, 16) >= 0


def test_a_list_is_used_again_after_its_answer_has_come() -> None:
    lists = new_lists()
    first = lists.begin(1, 60.0)

    lists.finish(first)

    assert lists.begin(2, 60.0).exclusive_list is first.exclusive_list


def test_a_list_is_never_used_again_if_an_answer_may_still_come() -> None:
    lists = new_lists()
    first = lists.begin(1, 60.0)

    lists.give_up(first)
    lists.finish(first)

    assert lists.begin(2, 60.0).exclusive_list is not first.exclusive_list
    assert lists.awaited_by_list(first.exclusive_list.key) is None


def test_requests_with_the_same_id_are_told_apart() -> None:
    lists = new_lists()
    first, second, third = (lists.begin(7, 60.0) for _ in range(3))

    lists.finish(second)

    assert lists.outstanding == 2
    assert lists.awaited_by_id(7) is third
    lists.finish(third)
    assert lists.awaited_by_id(7) is first
    lists.finish(first)
    assert lists.awaited_by_id(7) is None


@pytest.mark.parametrize("other", [True, 1.0, "1", None], ids=["bool", "float", "str", "none"])
def test_an_id_of_another_type_is_another_id(other: object) -> None:
    lists = new_lists()
    lists.begin(1, 60.0)

    assert lists.awaited_by_id(other) is None


def test_old_requests_are_forgotten_bit_by_bit() -> None:
    lists = new_lists()
    for number in range(10):
        lists.begin(number, float(number))

    lists.forget_old(4.5, 3)
    assert lists.outstanding == 7
    lists.forget_old(4.5, 3)

    assert lists.outstanding == 5
    assert lists.awaited_by_id(4) is None
    assert lists.awaited_by_id(5) is not None


def test_forgetting_is_harmless_when_nothing_is_awaited() -> None:
    lists = new_lists()

    lists.forget_old(1e9, 5)

    assert lists.outstanding == 0


class TestLentLists:
    """An exclusive list for a request that goes alone, of which nothing else is known here."""

    def test_no_list_is_lent_before_the_first_answer_on_the_shared_list(self) -> None:
        lists = new_lists()
        assert lists.lend_list() is None

        answer_on_shared_list(lists, 1)

        assert lists.lend_list() is not None

    def test_no_list_is_lent_while_a_request_is_outstanding(self) -> None:
        lists = new_lists()
        answer_on_shared_list(lists, 1)
        awaited = lists.begin(2, 60.0)
        assert lists.lend_list() is None

        lists.give_up(awaited)

        assert lists.lend_list() is not None

    def test_no_list_is_lent_after_the_answer_of_an_older_server(self) -> None:
        lists = new_lists()
        answer_on_shared_list(lists, 1)
        lists.note_exclusive_answer()
        assert lists.lend_list() is None

        make_new_fleet(lists)

        assert lists.lend_list() is not None

    def test_no_list_is_lent_when_an_answer_in_parts_is_to_be_expected(self) -> None:
        lists = new_lists()
        answer_on_shared_list(lists, 1, was_chunked=True)
        assert lists.lend_list() is None

        answer_on_shared_list(lists, 2)

        assert lists.lend_list() is not None

    def test_no_list_is_lent_while_parts_of_an_answer_are_missing(self) -> None:
        lists = new_lists()
        answer_on_shared_list(lists, 1)

        lists.shared_chunks = ChunkedMessage(FIRST_PART, "example")

        assert lists.lend_list() is None

    def test_a_lent_list_belongs_to_nobody_else(self) -> None:
        lists = new_lists()
        answer_on_shared_list(lists, 1)

        lent = [lists.lend_list() for _ in range(3)]

        names = [one.name for one in lent if one is not None]
        names += [lists.begin(number, 60.0).exclusive_list.name for number in range(3)]
        assert len(set(names)) == 6
        assert not {lists.shared.name, lists.void.name} & set(names)

    def test_a_request_whose_list_was_lent_is_not_outstanding(self) -> None:
        lists = new_lists()
        answer_on_shared_list(lists, 1)

        lent = lists.lend_list()

        assert lent is not None
        assert lists.outstanding == 0
        assert lists.awaited_by_list(lent.key) is None

    def test_a_list_that_was_taken_back_is_used_again(self) -> None:
        lists = new_lists()
        answer_on_shared_list(lists, 1)
        lent = lists.lend_list()
        assert lent is not None

        lists.take_back(lent)

        assert lists.lend_list() is lent

    def test_a_list_that_was_not_taken_back_is_never_used_again(self) -> None:
        lists = new_lists()
        answer_on_shared_list(lists, 1)
        lent = lists.lend_list()

        later = [lists.begin(number, 60.0).exclusive_list for number in range(5)]

        assert lent not in later

    def test_no_more_lists_are_kept_than_may_be(self) -> None:
        lists = new_lists()
        answer_on_shared_list(lists, 1)
        lent = [lists.lend_list() for _ in range(2_000)]

        for one in lent:
            assert one is not None
            lists.take_back(one)

        kept = {id(lists.begin(number, 60.0).exclusive_list) for number in range(2_000)} & set(map(id, lent))
        assert 0 < len(kept) < 2_000

    def test_a_request_can_be_awaited_with_the_list_that_was_lent_to_it(self) -> None:
        lists = new_lists()
        answer_on_shared_list(lists, 1)
        lent = lists.lend_list()
        assert lent is not None

        awaited = lists.begin(2, 60.0, lent)

        assert awaited.exclusive_list is lent
        assert lists.outstanding == 1
        assert lists.awaited_by_id(2) is awaited
        assert lists.awaited_by_list(lent.key) is awaited
        assert lists.plan_wait(5.0, 1).keys == [lists.shared.packed_key, lent.packed_key]
        assert lists.lend_list() is None

    def test_the_list_is_used_again_if_the_answer_comes_late(self) -> None:
        lists = new_lists()
        answer_on_shared_list(lists, 1)
        lent = lists.lend_list()
        awaited = lists.begin(2, 60.0, lent)

        lists.finish(awaited)

        assert lists.lend_list() is lent

    def test_the_list_is_never_used_again_if_the_request_is_given_up(self) -> None:
        lists = new_lists()
        answer_on_shared_list(lists, 1)
        lent = lists.lend_list()
        awaited = lists.begin(2, 60.0, lent)

        lists.give_up(awaited)

        assert lent not in [lists.begin(number, 60.0).exclusive_list for number in range(5)]

    def test_requests_with_the_same_id_are_told_apart_also_if_one_of_them_has_gone_alone(self) -> None:
        lists = new_lists()
        answer_on_shared_list(lists, 1)
        lent = lists.lend_list()
        other = lists.begin(7, 60.0)
        awaited = lists.begin(7, 60.0, lent)

        lists.finish(awaited)

        assert lists.awaited_by_id(7) is other

    def test_the_plan_of_a_call_that_goes_alone_is_for_the_shared_list_for_a_moment(self) -> None:
        lists = new_lists()

        plan = lists.first_plan

        assert plan.keys == [lists.shared.packed_key]
        assert plan.timeout_s <= 0.05
        assert (plan.drained, plan.is_wakeable) == (None, False)


class TestPlans:
    def test_the_first_wait_of_a_client_covers_both_kinds_of_lists(self) -> None:
        lists = new_lists()
        awaited = lists.begin(1, 60.0)

        plan = lists.plan_wait(5.0, 0)

        assert plan.keys == [lists.shared.packed_key, awaited.exclusive_list.packed_key]
        assert plan.is_wakeable
        assert plan.covers_up_to > awaited.number

    def test_among_new_servers_a_wait_begins_with_the_shared_list_alone(self) -> None:
        lists = new_lists()
        make_new_fleet(lists)
        lists.begin(1, 60.0)

        plan = lists.plan_wait(5.0, 0)

        assert plan.keys == [lists.shared.packed_key]
        assert plan.timeout_s <= 0.05
        assert not plan.is_wakeable

    def test_among_new_servers_later_waits_cover_all_lists_in_growing_slices(self) -> None:
        lists = new_lists()
        make_new_fleet(lists)
        lists.begin(1, 60.0)

        plans = [lists.plan_wait(5.0, waits) for waits in (*range(1, 12), 10_000)]

        assert {len(plan.keys) for plan in plans} == {2}
        slices = [plan.timeout_s for plan in plans]
        assert slices == sorted(slices)
        assert slices[-1] <= 0.5

    def test_one_answer_of_an_older_server_widens_the_waits_again(self) -> None:
        lists = new_lists()
        make_new_fleet(lists)
        lists.begin(1, 60.0)

        lists.note_exclusive_answer()

        assert len(lists.plan_wait(5.0, 0).keys) == 2

    def test_no_wait_is_longer_than_asked_for(self) -> None:
        lists = new_lists()
        lists.begin(1, 60.0)

        assert lists.plan_wait(0.003, 0).timeout_s == 0.003
        assert lists.plan_wait(0.003, 5).timeout_s == 0.003

    def test_a_single_call_takes_no_more_than_its_answer(self) -> None:
        lists = new_lists()
        lists.begin(1, 60.0)

        assert lists.plan_wait(5.0, 0).drained is None

    def test_with_several_calls_all_answers_that_are_there_are_taken(self) -> None:
        lists = new_lists()
        for number in range(6):
            lists.begin(number, 60.0)

        plan = lists.plan_wait(5.0, 0)

        assert (plan.drained, plan.drain_count) == (lists.shared, 5)

    def test_the_rest_of_a_new_servers_answer_is_taken_at_once(self) -> None:
        lists = new_lists()
        lists.begin(1, 60.0)
        lists.shared_chunks = ChunkedMessage(FIRST_PART, "example")

        plan = lists.plan_wait(5.0, 0)

        assert plan.drained is lists.shared
        assert plan.drain_count >= 2

    def test_after_an_answer_in_parts_the_next_is_expected_to_come_in_parts(self) -> None:
        lists = new_lists()
        answer_on_shared_list(lists, 0, was_chunked=True)
        lists.begin(1, 60.0)

        assert lists.plan_wait(5.0, 0).drained is lists.shared

    def test_the_rest_of_an_older_servers_answer_is_taken_first(self) -> None:
        lists = new_lists()
        lists.begin(1, 60.0)
        awaited = lists.begin(2, 60.0)
        lists.start_chunks(awaited, ChunkedMessage(FIRST_PART, "example"))

        plan = lists.plan_wait(5.0, 0)

        assert plan.keys[0] == awaited.exclusive_list.packed_key
        assert (plan.drained, plan.drain_count) == (awaited.exclusive_list, 2)

    def test_a_wait_names_a_bounded_number_of_lists_and_all_get_their_turn(self) -> None:
        lists = new_lists()
        everybody = [lists.begin(number, 60.0).exclusive_list.packed_key for number in range(1000)]

        plans = [lists.plan_wait(5.0, 1) for _ in range(25)]

        assert all(len(plan.keys) <= 129 for plan in plans)
        assert all(plan.timeout_s <= 0.1 and not plan.is_wakeable for plan in plans)
        assert {key for plan in plans for key in plan.keys} >= set(everybody)


class ReplyListsMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order, no two outstanding requests share a list, and nothing piles up."""

    def __init__(self) -> None:
        super().__init__()
        self.lists = new_lists(3)
        self.outstanding: list[Awaited] = []
        self.lent: list[ReplyList] = []
        self.retired: set[str] = set()

    @rule(request_id=st.integers(0, 5), life=st.floats(0, 100))
    def begin(self, request_id: int, life: float) -> None:
        awaited = self.lists.begin(request_id, life)
        assert awaited.exclusive_list.name not in self.retired
        self.outstanding.append(awaited)

    @rule()
    def lend_list(self) -> None:
        lent = self.lists.lend_list()
        if lent is not None:
            assert not self.outstanding
            assert lent.name not in self.retired
            self.lent.append(lent)

    @precondition(lambda self: self.lent)
    @rule()
    def take_back(self) -> None:
        self.lists.take_back(self.lent.pop())

    @precondition(lambda self: self.lent)
    @rule()
    def forget_lent_list(self) -> None:
        self.retired.add(self.lent.pop().name)

    @precondition(lambda self: self.lent)
    @rule(request_id=st.integers(0, 5), life=st.floats(0, 100))
    def begin_late(self, request_id: int, life: float) -> None:
        self.outstanding.append(self.lists.begin(request_id, life, self.lent.pop()))

    @precondition(lambda self: self.outstanding)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        awaited = data.draw(st.sampled_from(self.outstanding))
        self.lists.finish(awaited)
        self.outstanding.remove(awaited)

    @precondition(lambda self: self.outstanding)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        awaited = data.draw(st.sampled_from(self.outstanding))
        self.lists.give_up(awaited)
        self.outstanding.remove(awaited)
        self.retired.add(awaited.exclusive_list.name)

    @precondition(lambda self: self.outstanding)
    @rule(data=st.data())
    def start_chunks(self, data: st.DataObject) -> None:
        awaited = data.draw(st.sampled_from(self.outstanding))
        self.lists.start_chunks(awaited, ChunkedMessage(FIRST_PART, "example"))

    @rule(request_id=st.integers(0, 5), was_chunked=st.booleans())
    def claim_shared(self, request_id: int, was_chunked: bool) -> None:
        awaited = self.lists.claim_shared(request_id, was_chunked)
        assert (awaited is None) == all(one.request_id != request_id for one in self.outstanding)
        if awaited is not None:
            self.outstanding.remove(awaited)

    @rule()
    def note_exclusive_answer(self) -> None:
        self.lists.note_exclusive_answer()

    @invariant()
    def every_outstanding_request_has_a_list_of_its_own(self) -> None:
        names = [awaited.exclusive_list.name for awaited in self.outstanding]
        assert len(set(names)) == len(names) == self.lists.outstanding
        assert len({*names, *(lent.name for lent in self.lent)}) == len(names) + len(self.lent)
        for awaited in self.outstanding:
            assert self.lists.awaited_by_list(awaited.exclusive_list.key) is awaited

    @invariant()
    def the_latest_request_with_an_id_is_found(self) -> None:
        for request_id in range(6):
            same = [awaited for awaited in self.outstanding if awaited.request_id == request_id]
            latest = max(same, key=lambda awaited: awaited.number, default=None)
            assert self.lists.awaited_by_id(request_id) is latest

    @invariant()
    def every_plan_can_be_carried_out(self) -> None:
        plan = self.lists.plan_wait(1.0, 0)
        assert self.lists.shared.packed_key in plan.keys
        assert 0 < plan.timeout_s <= 1.0
        assert (plan.drained is None) == (plan.drain_count == 0)


TestReplyListsMachine = ReplyListsMachine.TestCase
