"""Thousands of hostile messages between good ones: all good ones are served, and nothing goes astray."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any

import pytest

from pysoa.common.serializer.errors import InvalidMessage
from pysoa.common.serializer.msgpack_serializer import MsgpackSerializer
from pysoa.common.transport.errors import InvalidMessageError, MessageReceiveTimeout
from pysoa.common.transport.redis_gateway.client import RedisClientTransport
from pysoa.common.transport.redis_gateway.server import RedisServerTransport
from pysoa.test.redis_server import RedisServer

QUEUE = "pysoa:service.example"
HOSTILE_PER_GOOD = 100
ROUNDS = 60
SECRET = b"hunter2"

NewClient = Callable[..., RedisClientTransport]
NewServer = Callable[..., RedisServerTransport]

_pack = MsgpackSerializer().dict_to_blob
_VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    1.5,
    "",
    "x",
    "service.example.a!b",
    b"\xff",
    [],
    [1],
    {},
    {"a": 1},
]
_HEADERS = [
    b"",
    b"pysoa-redis/3//",
    b"pysoa-redis/2//",
    b"pysoa-redis/77//",
    b"pysoa-redis/",
    b" pysoa-redis/3//",
    b"content-type:application/msgpack;",
    b"pysoa-redis/3//content-type:application/msgpack;",
    b"pysoa-redis/3//content-type:application/json;",
    b"pysoa-redis/3//content-type:application/none;",
    b"pysoa-redis/3//content-type:application/msgpack;chunk-count:3;chunk-id:1;",
    b"pysoa-redis/3//content-type:application/msgpack;chunk-count:3;chunk-id:2;",
    b"pysoa-redis/3//content-type:application/msgpack;chunk-count:1;chunk-id:1;",
    b"chunk-count:x;chunk-id:-1;",
    b"chunk-count:99999999;chunk-id:1;",
]


def hostile_message(rng: random.Random) -> bytes:
    """Make a message that no peer in its right mind sends; it never answers a good request by chance."""
    return rng.choice(_HEADERS) + rng.choice(_KINDS)(rng)


def _noise(rng: random.Random) -> bytes:
    return rng.randbytes(rng.choice([0, 1, 3, 20, 300, 5_000]))


def _envelope(rng: random.Random) -> bytes:
    message: dict[str, Any] = {}
    if rng.random() < 0.8:
        message["request_id"] = rng.choice([*_VALUES, 999_999_999])
    if rng.random() < 0.8:
        keys = [
            "reply_to",
            "shared_reply_to",
            "__expiry__",
            "client_version",
            "serializer",
            "protocol_version",
        ]
        meta = {key: rng.choice(_VALUES) for key in keys if rng.random() < 0.5}
        message["meta"] = meta if rng.random() < 0.8 else rng.choice(_VALUES)
    if rng.random() < 0.8:
        message["body"] = rng.choice(_VALUES)
    return _pack(message)


def _truncated(rng: random.Random) -> bytes:
    blob = _envelope(rng)
    return blob[: rng.randrange(len(blob) + 1)]


def _flipped(rng: random.Random) -> bytes:
    blob = bytearray(_envelope(rng))
    for _ in range(rng.randrange(1, 4)):
        blob[rng.randrange(len(blob))] ^= 1 << rng.randrange(8)
    return bytes(blob)


def _nested(rng: random.Random) -> bytes:
    unit, end = rng.choice([(b"\x91", b"\xc0"), (b"\x81\xa1a", b"\xc0"), (b"[", b""), (b'{"a":', b"1")])
    return unit * rng.choice([10, 600, 2_000, 50_000]) + end


def _lying(rng: random.Random) -> bytes:
    return rng.choice(
        [
            b"\xdd\xff\xff\xff\xff",
            b"\xdf\xff\xff\xff\xff",
            b"\xdb\x7f\xff\xff\xff",
            b"\xc9\xff\xff\xff\xff\x01",
        ]
    )


def _extension(rng: random.Random) -> bytes:
    code = rng.choice([1, 2, 3, 4, 5, 10, 42, 255])
    data = rng.randbytes(rng.choice([0, 4, 8, 11, 16]))
    return b"\x82\xaarequest_id\x01\xa4body\xc7" + bytes((len(data), code)) + data


def _secretive(rng: random.Random) -> bytes:
    return b"\xc1" * 30 + SECRET * rng.randrange(1, 2_000)


_KINDS = [_noise, _envelope, _envelope, _truncated, _flipped, _nested, _lying, _extension, _secretive]


def check_log(caplog: pytest.LogCaptureFixture, dropped: int) -> None:
    reports = [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]
    assert len(reports) == dropped
    assert all(len(report) < 700 for report in reports)
    text = "".join(reports)
    assert SECRET.decode() not in text
    assert SECRET.hex() not in text


def test_server_serves_every_good_request_among_thousands_of_hostile_ones(
    new_server: NewServer, clean_redis: RedisServer, metrics: Any, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(20_260_101)
    server = new_server(metrics=metrics)
    dropped = 0
    for number in range(ROUNDS):
        good = _pack(
            {"request_id": 10**6 + number, "meta": {"reply_to": f"service.example.me!{number}"}, "body": {}}
        )
        messages = [hostile_message(rng) for _ in range(HOSTILE_PER_GOOD)]
        clean_redis.execute("RPUSH", QUEUE, *messages, good)
        while True:
            try:
                request = server.receive_request_message()
            except (InvalidMessageError, InvalidMessage):
                dropped += 1
                continue
            except MessageReceiveTimeout:  # one of the messages had expired
                continue
            assert isinstance(request.meta, dict)
            if request.request_id == 10**6 + number:
                break
        server.send_response_message(10**6 + number, request.meta, {})
        assert clean_redis.execute("LLEN", f"pysoa:service.example.me!{number}") == 1
        metrics_of_round = metrics.count_of("server.transport.redis_gateway.receive.error.invalid_message")
        assert metrics_of_round == dropped
    assert dropped > ROUNDS * HOSTILE_PER_GOOD / 2
    check_log(caplog, dropped)


def test_client_gets_every_good_response_among_thousands_of_hostile_ones(
    new_client: NewClient,
    new_server: NewServer,
    clean_redis: RedisServer,
    metrics: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rng = random.Random(20_260_102)
    client, server = new_client(metrics=metrics), new_server()
    for number in range(ROUNDS):
        request_id = 10**6 + number
        client.send_request_message(request_id, {}, {"n": number})
        request = server.receive_request_message()
        assert request.meta is not None
        messages = [hostile_message(rng) for _ in range(HOSTILE_PER_GOOD)]
        # What begins a sequence of parts may swallow one good response; a whole one after it is sound again.
        clean_redis.execute("RPUSH", "pysoa:" + request.meta["shared_reply_to"], *messages, b"\xc1")
        server.send_response_message(request_id, request.meta, {"n": number})

        response = client.receive_response_message()

        assert (response.request_id, response.body) == (request_id, {"n": number})
        assert client.requests_outstanding == 0
    dropped = metrics.count_of("client.transport.redis_gateway.receive.error.invalid_message")
    assert dropped > ROUNDS * HOSTILE_PER_GOOD / 2
    check_log(caplog, dropped)


def test_hostile_answers_on_a_requests_own_list_fail_that_request_only(
    new_client: NewClient, new_server: NewServer, clean_redis: RedisServer
) -> None:
    rng = random.Random(20_260_103)
    client, server = new_client(), new_server()
    failed: list[object] = []
    victims: list[object] = []
    for number in range(60):
        client.send_request_message(2 * number, {}, {})
        client.send_request_message(2 * number + 1, {}, {})
        victim, other = server.receive_request_message(), server.receive_request_message()
        victims.append(victim.request_id)
        clean_redis.execute("RPUSH", "pysoa:" + (victim.meta or {})["reply_to"], hostile_message(rng))
        server.send_response_message(other.request_id or 0, other.meta or {}, {"n": number})

        for _ in range(3):
            try:
                response = client.receive_response_message(0.1)
            except (InvalidMessageError, InvalidMessage, MessageReceiveTimeout) as error:
                failed.append(getattr(error, "request_id", victim.request_id))
                client.abandon_request(victim.request_id or 0)
                continue
            if response.request_id is None:
                break
            assert (response.request_id, response.body) == (other.request_id, {"n": number})
        assert client.requests_outstanding == 0
    assert set(failed) <= set(victims)
    assert len(failed) >= 50
