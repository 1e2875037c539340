from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysoa.common.transport.redis_gateway._chunking import (
    MAXIMUM_CHUNK_COUNT,
    BrokenChunksError,
    ChunkedMessage,
    reason_against_chunk_size,
    split_message,
)
from pysoa.common.transport.redis_gateway._framing import Frame, frame_header, parse_frame
from pysoa.common.transport.redis_gateway.constants import ProtocolVersion


def part(count: object, number: object, payload: bytes = b"x") -> Frame:
    def header(value: object) -> bytes | None:
        return None if value is None else str(value).encode("utf-8")

    return Frame(ProtocolVersion.VERSION_3, None, header(count), header(number), payload)


@given(st.binary(min_size=1, max_size=2_000), st.integers(min_value=1, max_value=300))
def test_parts_join_to_the_message(message: bytes, chunk_size: int) -> None:
    parts = split_message(message, chunk_size)

    assert b"".join(parts) == message
    assert all(len(one) == chunk_size for one in parts[:-1])
    assert len(parts) == -(-len(message) // chunk_size)


@given(st.binary(min_size=1, max_size=500), st.integers(min_value=1, max_value=60))
def test_parts_in_frames_join_to_the_message(message: bytes, chunk_size: int) -> None:
    parts = split_message(message, chunk_size)
    elements = [
        frame_header(ProtocolVersion.VERSION_3, "application/msgpack", len(parts), number) + bytes(one)
        for number, one in enumerate(parts, start=1)
    ]

    chunks = ChunkedMessage(parse_frame(elements[0]), "example")
    for element in elements[1:]:
        assert not chunks.is_complete
        chunks.add(parse_frame(element))

    assert chunks.is_complete
    assert chunks.missing == 0
    assert chunks.join() == message


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=6))
def test_only_the_parts_of_one_message_in_order_make_a_whole(headers: list[tuple[int, int]]) -> None:
    is_sound = True
    chunks: ChunkedMessage | None = None
    try:
        for count, number in headers:
            if chunks is None:
                chunks = ChunkedMessage(part(count, number), "example")
            elif not chunks.is_complete:
                chunks.add(part(count, number))
    except BrokenChunksError:
        is_sound = False

    count = headers[0][0]
    wanted = [(count, number) for number in range(1, count + 1)]
    taken = headers[: max(count, 1)]
    assert is_sound == (count > 0 and taken == wanted[: len(taken)])


@pytest.mark.parametrize(
    ("first", "text"),
    [
        (part(3, None), "Invalid chunked response missing chunk ID for service example"),
        (
            part(3, 2),
            "Invalid chunked response has incorrect chunk ID 2 expected 1 of 3 for service example.",
        ),
        (
            part(3, 5),
            "Invalid chunked response has incorrect chunk ID 5 expected 1 of 3 for service example.",
        ),
        (part("abc", 1), "Invalid chunked response has impossible chunk count abc for service example"),
        (part(0, 1), "Invalid chunked response has impossible chunk count 0 for service example"),
        (part("9" * 5000, 1), "Invalid chunked response has impossible chunk count 99999999999999999999 "),
        (part("\u0663", 1), "Invalid chunked response has impossible chunk count "),
        (
            part(3, "1x"),
            "Invalid chunked response has incorrect chunk ID 1x expected 1 of 3 for service example.",
        ),
        (
            part(MAXIMUM_CHUNK_COUNT + 1, 1),
            "Invalid chunked response has impossible chunk count 16385 for service example",
        ),
    ],
    ids=["no id", "starts at 2", "above count", "letters", "zero", "huge", "not ascii", "id", "too many"],
)
def test_a_wrong_first_part_is_refused(first: Frame, text: str) -> None:
    with pytest.raises(BrokenChunksError) as caught:
        ChunkedMessage(first, "example")

    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("second", "text"),
    [
        (part(None, None), "missing chunk headers expecting chunk 2 of 3 for service example."),
        (part(3, None), "missing chunk headers expecting chunk 2 of 3 for service example."),
        (part(2, 1), "has different chunk count 2 expecting chunk 2 of 3 for service example."),
        (part(3, 1), "has incorrect chunk ID 1 expected 2 of 3 for service example."),
        (part(3, 3), "has incorrect chunk ID 3 expected 2 of 3 for service example."),
    ],
    ids=["whole message", "no id", "other count", "repeated", "skipped"],
)
def test_a_wrong_next_part_is_refused(second: Frame, text: str) -> None:
    chunks = ChunkedMessage(part(3, 1), "example")

    with pytest.raises(BrokenChunksError) as caught:
        chunks.add(second)

    assert str(caught.value) == "Invalid chunked response " + text


@pytest.mark.parametrize(
    ("chunk_size", "maximum", "reason"),
    [
        (-1, 1, None),
        (102_400, 512_000, None),
        (0, 512_000, "must be >= 102400, got 0"),
        (102_399, 1_000_000, "must be >= 102400, got 102399"),
        (102_400, 511_999, "at least 5 times larger"),
    ],
)
def test_parts_must_be_large_but_much_smaller_than_messages(
    chunk_size: int, maximum: int, reason: str | None
) -> None:
    found = reason_against_chunk_size(chunk_size, maximum)

    assert found is None if reason is None else reason in str(found)
