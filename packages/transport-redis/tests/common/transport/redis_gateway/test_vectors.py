"""Every recorded message of PySOA 1.4.9 is read, and the same bytes are written for the same values."""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
import time
import zlib
from typing import Any

import pytest

from pysoa.common.serializer.base import Serializer
from pysoa.common.serializer.errors import InvalidMessage
from pysoa.common.serializer.json_serializer import JSONSerializer
from pysoa.common.serializer.msgpack_serializer import MsgpackSerializer
from pysoa.common.transport import errors
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import InvalidMessageError
from pysoa.common.transport.redis_gateway._framing import parse_frame
from pysoa.common.transport.redis_gateway._push import Outgoing
from pysoa.common.transport.redis_gateway.core import RedisTransportClientCore, RedisTransportServerCore
from pysoa.test.redis_server import RedisServer

VECTORS: dict[str, Any] = json.loads(
    (pathlib.Path(__file__).parent / "data" / "redis_messages.json").read_text("utf-8")
)
INPUTS: dict[str, Any] = VECTORS["fixed_inputs"]
SERIALIZERS: dict[str, type[Serializer]] = {
    "application/json": JSONSerializer,
    "application/msgpack": MsgpackSerializer,
}


def blob(recorded: dict[str, Any]) -> bytes:
    if "hex" in recorded:
        return bytes.fromhex(recorded["hex"])
    return zlib.decompress(base64.b64decode(recorded["zlib_b64"]))


def elements(outgoing: Outgoing) -> list[bytes]:
    return [header + bytes(payload) for header, payload in outgoing.parts]


def serializer_config(content_type: str) -> dict[str, object]:
    return {"object": SERIALIZERS[content_type]}


def stop_clock(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    monkeypatch.setattr(time, "time", lambda: INPUTS[moment])


@pytest.mark.parametrize("vector", VECTORS["requests"], ids=lambda vector: vector["name"])
def test_request_is_written_as_1_4_9_wrote_it(
    vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_clock(monkeypatch, "request_time")
    recorded = [blob(message) for message in vector["messages"]]
    frame = parse_frame(recorded[0])
    serializer = SERIALIZERS[vector["content_type"]]()
    envelope = serializer.blob_to_dict(bytes(frame.payload))
    core = RedisTransportClientCore(
        "redis.standard",
        service_name="example",
        protocol_version=vector["protocol_version"],
        default_serializer_config=serializer_config(vector["content_type"]),
    )
    meta = {key: value for key, value in envelope["meta"].items() if key != "__expiry__"}
    expiry = vector["send_request_args"].get("message_expiry_in_seconds")

    outgoing = core.prepare_message(envelope["request_id"], meta, envelope["body"], expiry)

    assert elements(outgoing) == recorded
    assert outgoing.ttl_s == vector["ttl_seconds"]
    assert outgoing.parts[0][0] == vector["header"].encode("ascii")
    assert list(envelope["meta"]) == ["client_version", "reply_to", "__expiry__"]


@pytest.mark.parametrize(
    "vector",
    [vector for vector in VECTORS["responses"] if vector["messages"]],
    ids=lambda vector: vector["name"],
)
def test_response_is_written_as_1_4_9_wrote_it(
    vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_clock(monkeypatch, "response_time")
    recorded = [blob(message) for message in vector["messages"]]
    answer = b"".join(bytes(parse_frame(message).payload) for message in recorded)
    recorded_envelope = SERIALIZERS[vector["reply_content_type"]]().blob_to_dict(answer)
    core = RedisTransportServerCore(
        "redis.standard",
        service_name="example",
        default_serializer_config=serializer_config(vector["server_default_content_type"]),
        **{key: value for key, value in vector["server_settings"].items() if "bytes" in key},
    )
    request = core.opened_request(blob(vector["request"]))

    outgoing = core.prepare_message(request.request_id, request.meta, recorded_envelope["body"], None)

    assert outgoing.ttl_s == vector["ttl_seconds"]
    written = elements(outgoing)
    if "original_defect" not in vector:
        assert written == recorded
        assert vector.get("serialized_length", outgoing.size) == outgoing.size
        return
    # What 1.4.9 sent in the wrong protocol goes out as the request came in.
    assert vector["original_defect"].endswith(
        "Wanted: same protocol version and content type as the request."
    )
    frame = parse_frame(written[0])
    assert frame.protocol_version == vector["protocol_version"]
    assert frame.content_type in (None, vector["content_type"])
    assert SERIALIZERS[vector["content_type"]]().blob_to_dict(bytes(frame.payload)) == recorded_envelope


def error_class(name: str) -> type[Exception]:
    known = {"pysoa.common.serializer.errors.InvalidMessage": InvalidMessage}
    return known.get(name) or getattr(errors, name.rpartition(".")[2])


def receive(case: dict[str, Any], server: RedisServer) -> tuple[ReceivedMessage, str]:
    core_class = RedisTransportServerCore if case["role"] == "server" else RedisTransportClientCore
    core = core_class(
        "redis.standard",
        backend_layer_kwargs={"hosts": [(server.host, server.port)]},
        service_name="example",
        receive_timeout_in_seconds=1,
    )
    message = core.receive_message("list")
    assert message.meta is not None
    return message, core.default_serializer.mime_type


def push_case(case: dict[str, Any], server: RedisServer) -> None:
    for message in case["messages"]:
        server.execute("RPUSH", "pysoa:list", bytes.fromhex(message))


def expected(value: Any) -> object:
    # A number that JSON cannot hold exactly is recorded as {"$float": "its repr"}.
    return value if isinstance(value, int) else float(value["$float"])


RECEIVE_CASES = VECTORS["receive_cases"]


@pytest.mark.parametrize(
    "case",
    [case for case in RECEIVE_CASES if "result" in case and "wanted" not in case],
    ids=lambda case: case["name"],
)
def test_message_is_read_as_1_4_9_read_it(
    case: dict[str, Any], clean_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_clock(monkeypatch, "receive_time")
    push_case(case, clean_redis)

    message, _ = receive(case, clean_redis)

    meta = dict(message.meta or {})
    serializer, version = meta.pop("serializer"), meta.pop("protocol_version")
    wanted = case["result"]
    assert message.request_id == wanted["request_id"]
    assert meta == {key: expected(value) for key, value in wanted["meta"].items()}
    assert message.body == wanted["body"]
    assert (serializer.mime_type, version) == (wanted["content_type"], wanted["protocol_version"])
    assert clean_redis.execute("LLEN", "pysoa:list") == case["messages_left"]


@pytest.mark.parametrize(
    "case",
    [case for case in RECEIVE_CASES if "error" in case and "wanted" not in case],
    ids=lambda case: case["name"],
)
def test_message_is_refused_as_1_4_9_refused_it(
    case: dict[str, Any], clean_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_clock(monkeypatch, "receive_time")
    push_case(case, clean_redis)
    text = case["error"]["message"]

    with pytest.raises(error_class(case["error"]["type"])) as caught:
        receive(case, clean_redis)

    # The texts of third-party libraries differ by version.
    assert str(caught.value).startswith(text if "due to" not in text else "Can't deserialize message due to ")
    assert clean_redis.execute("LLEN", "pysoa:list") == case["messages_left"]


@pytest.mark.parametrize(
    "case",
    [case for case in RECEIVE_CASES if "InvalidMessageError" in case.get("wanted", "")],
    ids=lambda case: case["name"],
)
def test_message_that_1_4_9_mishandled_is_an_invalid_message(
    case: dict[str, Any], clean_redis: RedisServer
) -> None:
    push_case(case, clean_redis)

    with pytest.raises(InvalidMessageError) as caught:
        receive(case, clean_redis)

    if case["name"] == "v2_unknown_mime":
        assert "application/foo" in str(caught.value)
    assert clean_redis.execute("LLEN", "pysoa:list") == 0


@pytest.mark.parametrize(
    "case",
    [case for case in RECEIVE_CASES if case["name"].startswith("chunks_interleaved")],
    ids=lambda case: case["name"],
)
def test_interleaved_parts_are_refused_and_leave_nothing_for_later_requests(
    case: dict[str, Any], clean_redis: RedisServer
) -> None:
    push_case(case, clean_redis)

    with pytest.raises(InvalidMessageError) as caught:
        receive(case, clean_redis)

    assert str(caught.value) == case["error"]["message"]
    assert clean_redis.execute("LLEN", "pysoa:list") == 0


def test_part_that_begins_like_a_header_is_joined_intact(clean_redis: RedisServer) -> None:
    case = next(case for case in RECEIVE_CASES if case["name"] == "chunks_payload_looks_like_header")
    push_case(case, clean_redis)

    message, _ = receive(case, clean_redis)

    assert message.request_id == 9
    assert message.body == {"k": "aaaa", "z": "content-type:application/json;bbbb"}


def test_message_that_names_its_content_type_twice_does_not_decode(clean_redis: RedisServer) -> None:
    case = next(case for case in RECEIVE_CASES if case["name"] == "v3_duplicate_header")
    push_case(case, clean_redis)

    with pytest.raises(InvalidMessage):
        receive(case, clean_redis)


def test_every_receive_case_is_covered() -> None:
    special = {"chunks_payload_looks_like_header", "v3_duplicate_header"}
    unknown = [
        case["name"]
        for case in RECEIVE_CASES
        if "wanted" in case
        and "InvalidMessageError" not in case["wanted"]
        and not case["name"].startswith("chunks_interleaved")
        and case["name"] not in special
    ]

    assert unknown == []


def test_recorded_digests_are_those_of_the_recorded_bytes() -> None:
    for vector in VECTORS["responses"]:
        for message in vector["messages"]:
            if "sha256" in message:
                assert hashlib.sha256(blob(message)).hexdigest().startswith(message["sha256"][:60])
