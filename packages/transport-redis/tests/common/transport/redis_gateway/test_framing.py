from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysoa.common.transport.errors import InvalidMessageError
from pysoa.common.transport.redis_gateway._framing import Frame, frame_header, parse_frame
from pysoa.common.transport.redis_gateway.constants import ProtocolVersion

V1, V2, V3 = ProtocolVersion
MSGPACK = "application/msgpack"


@pytest.mark.parametrize(
    ("version", "header"),
    [
        (V1, b""),
        (V2, b"content-type:application/msgpack;"),
        (V3, b"pysoa-redis/3//content-type:application/msgpack;"),
    ],
    ids=["1", "2", "3"],
)
def test_each_version_has_its_header(version: ProtocolVersion, header: bytes) -> None:
    assert frame_header(version, MSGPACK) == header


def test_chunk_headers_follow_the_content_type() -> None:
    header = frame_header(V3, MSGPACK, 12, 3)

    assert header == b"pysoa-redis/3//content-type:application/msgpack;chunk-count:12;chunk-id:3;"


@given(
    st.sampled_from([V2, V3]),
    st.sampled_from([MSGPACK, "application/json", "a/b.c-d_e"]),
    st.binary(max_size=200).map(lambda data: b"\x83" + data),
)
def test_reading_undoes_writing(version: ProtocolVersion, content_type: str, payload: bytes) -> None:
    frame = parse_frame(frame_header(version, content_type) + payload)

    assert frame == Frame(version, content_type, None, None, payload)


@given(st.binary(max_size=700), st.integers(1, 99_999), st.integers(1, 99_999))
def test_data_that_looks_like_a_header_stays_in_its_part(payload: bytes, count: int, number: int) -> None:
    message = frame_header(V3, MSGPACK, count, number) + payload

    frame = parse_frame(message)

    assert bytes(frame.payload) == payload
    assert (frame.chunk_count, frame.chunk_id) == (b"%d" % count, b"%d" % number)


@pytest.mark.parametrize("name", [b"content-type", b"chunk-count", b"chunk-id"])
def test_a_name_that_already_occurred_belongs_to_the_data(name: bytes) -> None:
    payload = b" " + name + b":x;rest"

    frame = parse_frame(frame_header(V3, MSGPACK, 2, 2) + payload)

    assert bytes(frame.payload) == payload
    assert frame.content_type == MSGPACK


@pytest.mark.parametrize(
    ("message", "version", "content_type", "payload"),
    [
        (b"\x80", V1, None, b"\x80"),
        (b"", V1, None, b""),
        (b"content-type:a/b;\x80", V2, "a/b", b"\x80"),
        (b"content-type \t:\n a/b\v\f\r; \x80", V2, "a/b", b" \x80"),
        (b"  content-type:a/b;\x80", V1, "a/b", b"\x80"),
        (b"pysoa-redis/03//\x80", V3, None, b"\x80"),
        (b"pysoa-redis/1//content-type:a/b;\x80", V1, "a/b", b"\x80"),
        (b" pysoa-redis/3//\x80", V1, None, b" pysoa-redis/3//\x80"),
        (b"pysoa-redis/3/\x80", V1, None, b"pysoa-redis/3/\x80"),
        (b"pysoa-redis/3//Content-Type:a/b;", V3, None, b"Content-Type:a/b;"),
        (b"pysoa-redis/3//content-type:a+b;", V3, None, b"content-type:a+b;"),
        (b"pysoa-redis/3//content-type:application/msgpack;", V3, MSGPACK, b""),
        (b"pysoa-redis/3//chunk-id:7;content-type:a/b;\x80", V3, "a/b", b"\x80"),
    ],
)
def test_readers_take_what_1_4_9_took(
    message: bytes, version: ProtocolVersion, content_type: str | None, payload: bytes
) -> None:
    frame = parse_frame(message)

    assert (frame.protocol_version, frame.content_type, bytes(frame.payload)) == (
        version,
        content_type,
        payload,
    )


@pytest.mark.parametrize("number", [b"0", b"4", b"99", b"1" * 21, b"9" * 5000])
def test_a_version_that_does_not_exist_is_an_invalid_message(number: bytes) -> None:
    with pytest.raises(InvalidMessageError, match="Unsupported protocol version"):
        parse_frame(b"pysoa-redis/" + number + b"//\x80")


def test_a_header_block_has_a_sane_size() -> None:
    message = b"content-type:" + b"a" * 100_000 + b";\x80"

    frame = parse_frame(message)

    assert frame.content_type is None
    assert frame.payload == message


@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_an_invalid_message(message: bytes) -> None:
    try:
        frame = parse_frame(message)
    except InvalidMessageError:
        return

    assert message.endswith(bytes(frame.payload))
