from __future__ import annotations

import pytest

from pysoa.common.serializer.msgpack_serializer import MsgpackSerializer
from pysoa.common.transport.errors import InvalidMessageError, MessageTooLarge
from pysoa.common.transport.redis_gateway._messages import (
    Envelope,
    checked_request_id,
    open_envelope,
    split_into_frames,
)
from pysoa.common.transport.redis_gateway.constants import ProtocolVersion

V2, V3 = ProtocolVersion.VERSION_2, ProtocolVersion.VERSION_3
SERIALIZER = MsgpackSerializer()


def test_missing_meta_is_empty_and_missing_body_is_none() -> None:
    opened = open_envelope({"request_id": 1}, SERIALIZER, V3, "example")

    assert opened == Envelope(1, {"serializer": SERIALIZER, "protocol_version": V3}, None)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ([1], "it is of type list, not a map"),
        (None, "it is of type NoneType, not a map"),
        ({"meta": None}, "its meta is of type NoneType, not a map"),
        ({"meta": [1]}, "its meta is of type list, not a map"),
    ],
)
def test_what_is_no_envelope_is_invalid(message: object, text: str) -> None:
    with pytest.raises(InvalidMessageError) as caught:
        open_envelope(message, SERIALIZER, V3, "example")

    assert str(caught.value) == f"Invalid message for service example: {text}"


@pytest.mark.parametrize("request_id", [0, 5, -1, "", "abc"])
def test_numbers_and_text_are_request_ids(request_id: object) -> None:
    assert checked_request_id(Envelope(request_id, {}, None), "example") == request_id


@pytest.mark.parametrize("request_id", [None, True, 1.5, [], {}, b"x"], ids=str)
def test_nothing_else_is_a_request_id(request_id: object) -> None:
    with pytest.raises(InvalidMessageError, match="equest ID for service example"):
        checked_request_id(Envelope(request_id, {}, None), "example")


@pytest.mark.parametrize(("size", "count"), [(11, 2), (20, 2), (21, 3)])
def test_every_part_says_which_of_how_many_it_is(size: int, count: int) -> None:
    parts = split_into_frames(b"x" * size, V3, "a/b", 10)

    assert b"".join(bytes(payload) for _, payload in parts) == b"x" * size
    assert [header for header, _ in parts] == [
        b"pysoa-redis/3//content-type:a/b;chunk-count:%d;chunk-id:%d;" % (count, number)
        for number in range(1, count + 1)
    ]


def test_what_the_receiver_cannot_join_is_not_split() -> None:
    with pytest.raises(MessageTooLarge) as caught:
        split_into_frames(b"x" * 11, V2, "a/b", 10)

    assert caught.value.message_size_in_bytes == 11
