"""Which list each answer comes to, who waits for it, and what to wait for next.

A client owns two kinds of reply lists. Every request names an *exclusive* list, which is in use by at most
one outstanding request: PySOA 1.4.9 servers push a large answer part by part, the parts do not say to which
answer they belong, and only a list of its own keeps two answers from mixing. Every request also names the
client's *shared*
list: servers from 2.0 on answer there, with all parts of an answer in one step, so that it cannot mix and
many answers can be fetched at once.

An exclusive list is used again after its request's answer has come completely. After anything else (a
time-out, a broken answer, an abandoned or perhaps-sent request) its name is forgotten for ever, because an
answer may still come; Redis lets what is left in it expire. So nothing here grows with the number of past
calls.

Pure code, without locks: the caller holds one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from pysoa.common.transport.redis_gateway._chunking import ChunkedMessage
from pysoa.common.transport.redis_gateway._commands import (
    PackedKey,
    pack_blocking_pop,
    pack_key,
    pack_pop_many,
)
from pysoa.common.transport.redis_gateway._ring import ring_index

__all__ = (
    "FIRST_SLICE_S",
    "Awaited",
    "ReplyList",
    "ReplyLists",
    "WaitPlan",
)

_MAXIMUM_FREE_LISTS = 1024
_MAXIMUM_EXCLUSIVE_KEYS_PER_WAIT = 128
_MAXIMUM_DRAIN = 64
_ANSWERS_UNTIL_NARROW = 256
"""So many answers in a row must come by the shared list before exclusive lists are looked at less often."""
FIRST_SLICE_S: Final = 0.02
"""For how many seconds a client waits for its shared list alone, once older servers seem to be gone."""
_LONGEST_NARROW_SLICE_S = 0.5
_MAXIMUM_DOUBLINGS = 10  # well past the longest slice; a float cannot be doubled without end
_LONGEST_WIDE_SLICE_S = 1.0
_ROTATION_SLICE_S = 0.05


class ReplyList:
    """The name of a list in its three forms."""

    __slots__ = ("key", "name", "packed_key")

    def __init__(self, name: str, key: str) -> None:
        self.name = name
        """As it stands in a request, without prefix."""
        self.key = key.encode("utf-8")
        """As Redis names it in its answers."""
        self.packed_key = pack_key(key)
        """As it goes into commands."""


class Awaited:
    """A request whose answer has not come yet."""

    __slots__ = ("chunks", "exclusive_list", "forget_at", "number", "request_id", "twin")

    def __init__(
        self,
        request_id: object,
        exclusive_list: ReplyList,
        number: int,
        forget_at: float,
        twin: Awaited | None,
    ) -> None:
        self.request_id = request_id
        """The id that the client gave to the request."""
        self.exclusive_list = exclusive_list
        """The list that only this request's answer may come to."""
        self.number = number
        """How many requests were sent before this one."""
        self.forget_at = forget_at
        """When to stop waiting even if nobody says so, in the caller's monotonic seconds."""
        self.chunks: ChunkedMessage | None = None
        """The parts of the answer that have come to the exclusive list."""
        self.twin = twin
        """An older request with the same id, if a caller uses an id twice."""


@attrs.frozen
class WaitPlan:
    """One wait on the client's lists."""

    keys: list[PackedKey]
    """The lists to wait on, in the order in which Redis is to look."""
    timeout_s: float
    """For how long."""
    drained: ReplyList | None
    """The list from which to take more without waiting, right after."""
    drain_count: int
    """How many elements to take from it at most."""
    covers_up_to: int
    """The number of the first request whose exclusive list is not waited on."""
    is_wakeable: bool
    """Whether a sender must end this wait if it is to cover that sender's request."""
    master_index: int
    """The Redis master that has all these lists."""
    packed: bytes
    """The commands that do it."""


class ReplyLists:
    """The lists and the outstanding requests of one client.

    Args:
        stem: What the names of all lists begin with, up to and with the ``!``; no other client has it.
        key_prefix: What turns the name of a list into its key.
        ring_size: How many Redis masters there are. All lists are named so that they fall on the same one.
    """

    def __init__(self, stem: str, key_prefix: str, ring_size: int) -> None:
        self._stem = stem
        self._key_prefix = key_prefix
        self.ring_size = ring_size
        """How many Redis masters there are."""
        self._next_suffix = 0
        first = self._stem + "000000000000"
        self.master_index = ring_index(key_prefix + first, ring_size)
        """The index of the Redis master that holds all lists of this client."""
        self.shared = self._new_list()
        """The list for answers that are pushed in one step."""
        self.void = self._new_list()
        """The list that requests name whose sender wants no answer; nobody ever reads it."""
        self.shared_chunks: ChunkedMessage | None = None
        """The parts that have come to the shared list of an answer that is not complete."""
        self._free: list[ReplyList] = []
        self._by_id: dict[object, Awaited] = {}
        self._by_list: dict[bytes, Awaited] = {}
        self._partly_received: dict[bytes, Awaited] = {}
        self.sent = 0
        """How many requests have been begun."""
        self._wide_answers_left = 1
        self._last_answer_was_chunked = False
        self._rotation = 0
        self.first_plan = self._narrow_plan(FIRST_SLICE_S, None, 0)
        """What to wait for when :meth:`lend_list` has lent a list."""

    @property
    def outstanding(self) -> int:
        """How many requests are outstanding."""
        return len(self._by_list)

    def lend_list(self) -> ReplyList | None:
        """Lend an exclusive list to a request that goes alone, if all is quiet.

        It is quiet if no other request is outstanding, and older servers seem to be gone. Nothing is known
        here of such a request. If the answer does not come at once, call :meth:`begin` with the list. Call
        :meth:`take_back` if it does come, or if nothing was sent; in all other cases forget the list.
        """
        if (
            self._by_list
            or self._wide_answers_left
            or self._last_answer_was_chunked
            or self.shared_chunks is not None
        ):
            return None
        return self._free.pop() if self._free else self._new_list()

    def take_back(self, exclusive_list: ReplyList) -> None:
        """Take back a list that was lent, and to which nothing can come any more."""
        if len(self._free) < _MAXIMUM_FREE_LISTS:
            self._free.append(exclusive_list)

    def begin(self, request_id: object, forget_at: float, exclusive_list: ReplyList | None = None) -> Awaited:
        """Start to wait for the answer to a request that is about to be sent.

        Args:
            request_id: The id of the request.
            forget_at: When :meth:`forget_old` may stop the wait.
            exclusive_list: The list that was lent to the request, if one was.
        """
        if exclusive_list is None:
            exclusive_list = self._free.pop() if self._free else self._new_list()
        twin = self._by_id.get(request_id)
        awaited = Awaited(request_id, exclusive_list, self.sent, forget_at, twin)
        self.sent += 1
        self._by_id[request_id] = awaited
        self._by_list[exclusive_list.key] = awaited
        return awaited

    def finish(self, awaited: Awaited) -> None:
        """Stop waiting, because the whole answer is there or the request was certainly never sent."""
        if self._remove(awaited) and len(self._free) < _MAXIMUM_FREE_LISTS:
            self._free.append(awaited.exclusive_list)

    def give_up(self, awaited: Awaited) -> None:
        """Stop waiting, though an answer or a part of one may still come."""
        self._remove(awaited)

    def awaited_by_id(self, request_id: object) -> Awaited | None:
        """Return the outstanding request with this id; the latest, if a caller uses an id twice."""
        awaited = self._by_id.get(request_id)
        # 1, 1.0 and True are one key of a dictionary, but not one id.
        if awaited is None or type(awaited.request_id) is not type(request_id):
            return None
        return awaited

    def awaited_by_list(self, key: bytes) -> Awaited | None:
        """Return the outstanding request whose exclusive list this is."""
        return self._by_list.get(key)

    def start_chunks(self, awaited: Awaited, chunks: ChunkedMessage) -> None:
        """Take note that the first part of an answer has come to a request's exclusive list."""
        awaited.chunks = chunks
        self._partly_received[awaited.exclusive_list.key] = awaited

    def forget_old(self, now: float, at_most: int) -> None:
        """Give up the oldest requests if their time is over.

        Args:
            now: The current time, in the caller's monotonic seconds.
            at_most: How many to give up at once, so that it never takes long.
        """
        for _ in range(at_most):
            oldest = next(iter(self._by_list.values()), None)
            if oldest is None or oldest.forget_at > now:
                return
            self.give_up(oldest)

    def claim_shared(self, request_id: object, was_chunked: bool) -> Awaited | None:
        """Find the request that an answer on the shared list belongs to, and stop waiting for it.

        Args:
            request_id: The id that was found in the answer.
            was_chunked: Whether it came in parts.

        Returns:
            The request; ``None`` if it is not outstanding.
        """
        awaited = self._by_id.get(request_id)
        if awaited is None or type(awaited.request_id) is not type(request_id):
            return None
        self.finish(awaited)
        self._last_answer_was_chunked = was_chunked
        if self._wide_answers_left:
            self._wide_answers_left -= 1
        return awaited

    def note_exclusive_answer(self) -> None:
        """Take note that an older server is among those who answer."""
        self._wide_answers_left = _ANSWERS_UNTIL_NARROW

    def plan_wait(self, remaining_s: float, waits_so_far: int) -> WaitPlan:
        """Decide what to wait for next.

        As long as older servers may be among those who answer, every wait covers the exclusive lists, too,
        and whoever sends a request during the wait must end it. Once they seem to be gone, the first moment
        of a wait covers the shared list alone; then come growing slices that cover all, which find what an
        older server has answered after all, and need nobody to end them.

        Args:
            remaining_s: How long the caller can still wait.
            waits_so_far: How many waits there were since the caller came or got something.
        """
        if not (self._wide_answers_left or waits_so_far):
            if (
                len(self._by_list) == 1
                and remaining_s >= FIRST_SLICE_S
                and not (self._last_answer_was_chunked or self.shared_chunks or self._partly_received)
            ):
                return self.first_plan
            return self._narrow_plan(min(remaining_s, FIRST_SLICE_S), *self._plan_drain())
        drained, drain_count = self._plan_drain()
        is_narrow_fleet = not self._wide_answers_left
        longest_s = (
            min(FIRST_SLICE_S * 2.0 ** min(waits_so_far, _MAXIMUM_DOUBLINGS), _LONGEST_NARROW_SLICE_S)
            if is_narrow_fleet
            else _LONGEST_WIDE_SLICE_S
        )
        if len(self._by_list) > _MAXIMUM_EXCLUSIVE_KEYS_PER_WAIT:
            longest_s = min(longest_s, _ROTATION_SLICE_S)
        keys = [self.shared.packed_key]
        keys += (awaited.exclusive_list.packed_key for awaited in self._covered())
        if drained is not None and drained is not self.shared:
            keys.insert(0, drained.packed_key)
        is_wakeable = longest_s == _LONGEST_WIDE_SLICE_S
        timeout_s = min(remaining_s, longest_s)
        packed = _pack_wait(keys, timeout_s, drained, drain_count)
        return WaitPlan(
            keys, timeout_s, drained, drain_count, self.sent, is_wakeable, self.master_index, packed
        )

    def _narrow_plan(self, timeout_s: float, drained: ReplyList | None, drain_count: int) -> WaitPlan:
        keys = [self.shared.packed_key]
        packed = _pack_wait(keys, timeout_s, drained, drain_count)
        return WaitPlan(keys, timeout_s, drained, drain_count, 0, False, self.master_index, packed)

    def _plan_drain(self) -> tuple[ReplyList | None, int]:
        if self.shared_chunks is not None:
            return self.shared, min(self.shared_chunks.missing + len(self._by_list), _MAXIMUM_DRAIN)
        for awaited in self._partly_received.values():
            if awaited.chunks is not None:
                return awaited.exclusive_list, min(awaited.chunks.missing, _MAXIMUM_DRAIN)
        if self._last_answer_was_chunked:
            return self.shared, _MAXIMUM_DRAIN
        if len(self._by_list) > 1:
            return self.shared, min(len(self._by_list) - 1, _MAXIMUM_DRAIN)
        return None, 0

    def _covered(self) -> Iterator[Awaited]:
        if len(self._by_list) <= _MAXIMUM_EXCLUSIVE_KEYS_PER_WAIT:
            return iter(self._by_list.values())
        # Too many for one command. The oldest are most likely to be answered, since queues are served in
        # order, and some caller probably waits for one of the newest. The others take turns.
        everybody = list(self._by_list.values())
        third = _MAXIMUM_EXCLUSIVE_KEYS_PER_WAIT // 3
        others = everybody[third:-third]
        start = self._rotation % len(others)
        self._rotation = start + third
        return iter(everybody[:third] + everybody[-third:] + others[start : start + third])

    def _remove(self, awaited: Awaited) -> bool:
        if self._by_list.pop(awaited.exclusive_list.key, None) is None:
            return False
        self._partly_received.pop(awaited.exclusive_list.key, None)
        latest = self._by_id[awaited.request_id]
        if latest is not awaited:
            while latest.twin is not awaited and latest.twin is not None:
                latest = latest.twin
            latest.twin = awaited.twin
        elif awaited.twin is not None:
            self._by_id[awaited.request_id] = awaited.twin
        else:
            del self._by_id[awaited.request_id]
        return True

    def _new_list(self) -> ReplyList:
        while True:
            name = f"{self._stem}{self._next_suffix:012x}"
            self._next_suffix += 1
            key = self._key_prefix + name
            if ring_index(key, self.ring_size) == self.master_index:
                return ReplyList(name, key)


def _pack_wait(keys: list[PackedKey], timeout_s: float, drained: ReplyList | None, drain_count: int) -> bytes:
    packed = pack_blocking_pop(keys, timeout_s)
    return packed if drained is None else packed + pack_pop_many(drained.packed_key, drain_count)
