from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysoa.common.transport.errors import InvalidMessageError
from pysoa.common.transport.redis_gateway._chunking import BrokenChunksError, split_message
from pysoa.common.transport.redis_gateway._framing import frame_header
from pysoa.common.transport.redis_gateway._inbox import Arrival, claim_arrival, take_element
from pysoa.common.transport.redis_gateway._reply_lists import ReplyLists
from pysoa.common.transport.redis_gateway.constants import ProtocolVersion

V3 = ProtocolVersion.VERSION_3


def new_lists() -> ReplyLists:
    return ReplyLists("service.example.client!", "pysoa:", 1)


def whole(payload: bytes) -> bytes:
    return frame_header(V3, "application/msgpack") + payload


def in_parts(payload: bytes, size: int) -> list[bytes]:
    parts = split_message(payload, size)
    return [
        frame_header(V3, "application/msgpack", len(parts), number) + bytes(part)
        for number, part in enumerate(parts, start=1)
    ]


def take(lists: ReplyLists, key: bytes, message: bytes) -> Arrival | None:
    return take_element(lists, key, message, "example")


def test_whole_response_on_the_shared_list_belongs_to_the_request_it_names() -> None:
    lists = new_lists()
    awaited = lists.begin(5, 60.0)

    arrival = take(lists, lists.shared.key, whole(b"\x80"))

    assert arrival is not None
    assert arrival == Arrival(None, b"\x80", "application/msgpack", V3, False)
    assert claim_arrival(lists, arrival, 5) is awaited
    assert lists.outstanding == 0


def test_whole_response_on_an_exclusive_list_belongs_to_its_request() -> None:
    lists = new_lists()
    awaited = lists.begin(5, 60.0)

    arrival = take(lists, awaited.exclusive_list.key, whole(b"\x80"))

    assert arrival is not None
    assert arrival.awaited is awaited
    assert claim_arrival(lists, arrival, 5) is awaited
    assert lists.outstanding == 0


@given(
    st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=6),
    st.integers(1, 7),
    st.data(),
)
def test_parts_on_exclusive_lists_may_come_in_any_mixture(
    payloads: list[bytes], size: int, data: st.DataObject
) -> None:
    lists = new_lists()
    waiting = [lists.begin(number, 60.0) for number in range(len(payloads))]
    queues = [in_parts(payload, size) for payload in payloads]
    found: dict[int, bytes] = {}

    while any(queues):
        number = data.draw(st.sampled_from([index for index, queue in enumerate(queues) if queue]))
        arrival = take(lists, waiting[number].exclusive_list.key, queues[number].pop(0))
        if arrival is not None:
            assert claim_arrival(lists, arrival, number) is waiting[number]
            found[number] = arrival.payload

    assert found == dict(enumerate(payloads))


def test_parts_on_the_shared_list_make_a_whole() -> None:
    lists = new_lists()
    lists.begin(5, 60.0)
    elements = in_parts(b"\x80abcdefg", 3)

    arrivals = [take(lists, lists.shared.key, element) for element in elements]

    assert arrivals[:-1] == [None] * (len(elements) - 1)
    assert arrivals[-1] == Arrival(None, b"\x80abcdefg", "application/msgpack", V3, True)
    assert lists.shared_chunks is None


def test_broken_sequence_on_the_shared_list_is_forgotten_and_the_next_response_is_read() -> None:
    lists = new_lists()
    take(lists, lists.shared.key, in_parts(b"\x80abcdefg", 3)[0])

    with pytest.raises(BrokenChunksError, match="missing chunk headers"):
        take(lists, lists.shared.key, whole(b"\x80"))

    assert take(lists, lists.shared.key, whole(b"\x80")) is not None


def test_broken_first_part_leaves_nothing_behind() -> None:
    lists = new_lists()

    with pytest.raises(BrokenChunksError):
        take(lists, lists.shared.key, in_parts(b"abcdef", 3)[1])

    assert lists.shared_chunks is None


def test_empty_element_only_wakes() -> None:
    lists = new_lists()
    awaited = lists.begin(5, 60.0)
    take(lists, lists.shared.key, in_parts(b"abcdef", 3)[0])

    assert take(lists, lists.shared.key, b"") is None
    assert take(lists, awaited.exclusive_list.key, b"") is None
    assert lists.shared_chunks is not None


def test_what_comes_for_an_abandoned_request_is_dropped() -> None:
    lists = new_lists()
    awaited = lists.begin(5, 60.0)
    lists.give_up(awaited)

    assert take(lists, awaited.exclusive_list.key, whole(b"\x80")) is None
    arrival = take(lists, lists.shared.key, whole(b"\x80"))
    assert arrival is not None
    assert claim_arrival(lists, arrival, 5) is None


def test_response_that_is_claimed_twice_goes_to_nobody_the_second_time() -> None:
    lists = new_lists()
    awaited = lists.begin(5, 60.0)
    arrival = take(lists, awaited.exclusive_list.key, whole(b"\x80"))
    assert arrival is not None

    lists.finish(awaited)

    assert claim_arrival(lists, arrival, 5) is None


@pytest.mark.parametrize("request_id", [6, "5", 5.0, None, True], ids=str)
def test_response_to_another_request_is_never_delivered(request_id: object) -> None:
    lists = new_lists()
    awaited = lists.begin(5, 60.0)
    arrival = take(lists, awaited.exclusive_list.key, whole(b"\x80"))
    assert arrival is not None

    with pytest.raises(InvalidMessageError, match="another request"):
        claim_arrival(lists, arrival, request_id)

    assert lists.outstanding == 1


def test_response_of_an_unknown_version_is_invalid() -> None:
    lists = new_lists()

    with pytest.raises(InvalidMessageError, match="Unsupported protocol version"):
        take(lists, lists.shared.key, b"pysoa-redis/7//\x80")
