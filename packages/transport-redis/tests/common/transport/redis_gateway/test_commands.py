from __future__ import annotations

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysoa.common.transport.redis_gateway import _commands
from pysoa.common.transport.redis_gateway._commands import (
    pack_blocking_pop,
    pack_delete,
    pack_key,
    pack_pop_many,
    pack_push,
    pack_push_with_script_text,
    pack_transactional_push,
)
from pysoa.test.redis_server import RedisServer

KEY = pack_key("pysoa:service.\u00e9xample")
KEY_BYTES = "pysoa:service.\u00e9xample".encode()
SHA = _commands.PUSH_SCRIPT_SHA.encode()

parts_of_messages = st.lists(
    st.tuples(st.binary(max_size=20), st.binary(max_size=60)), min_size=1, max_size=12
)


def unpacked(data: bytes) -> list[list[bytes]]:
    """Read packed commands back with somebody else's parser."""
    reader = hiredis.Reader()
    reader.feed(data)
    commands: list[list[bytes]] = []
    while (command := reader.gets()) is not False:
        commands.append(command)  # pyright: ignore[reportArgumentType]
    return commands


@given(parts_of_messages, st.integers(1, 10**6), st.integers(1, 10**6))
def test_push_is_one_script_call_with_all_parts(
    parts: list[tuple[bytes, bytes]], capacity: int, ttl_s: int
) -> None:
    commands = unpacked(pack_push(KEY, capacity, ttl_s, parts))

    numbers = [b"%d" % capacity, b"%d" % ttl_s]
    elements = [header + payload for header, payload in parts]
    assert commands == [[b"EVALSHA", SHA, b"1", KEY_BYTES, *numbers, *elements]]


@given(parts_of_messages)
def test_push_can_carry_its_script(parts: list[tuple[bytes, bytes]]) -> None:
    commands = unpacked(pack_push_with_script_text(KEY, 10, 60, parts))

    assert commands[0][:4] == [b"EVAL", _commands.PUSH_SCRIPT, b"1", KEY_BYTES]
    assert commands[0][6:] == [header + payload for header, payload in parts]


@given(parts_of_messages)
def test_push_can_be_a_transaction(parts: list[tuple[bytes, bytes]]) -> None:
    commands = unpacked(pack_transactional_push(KEY, 10, 60, parts))

    assert [command[0] for command in commands] == [b"MULTI", b"RPUSH", b"EVAL", b"EXEC"]
    assert len(commands) == _commands.TRANSACTIONAL_PUSH.reply_count
    assert commands[1][1:] == [KEY_BYTES, *(header + payload for header, payload in parts)]


def test_memory_views_are_packed_like_bytes() -> None:
    view = memoryview(b"0123456789")[3:6]

    assert unpacked(pack_push(KEY, 1, 1, [(b"h", view)]))[0][-1] == b"h345"


@pytest.mark.parametrize(
    ("timeout_s", "packed"),
    [(5, b"5.000"), (0.0201, b"0.020"), (0, b"0.001"), (-1, b"0.001"), (1e-9, b"0.001")],
)
def test_wait_is_never_for_ever(timeout_s: float, packed: bytes) -> None:
    assert unpacked(pack_blocking_pop([KEY], timeout_s)) == [[b"BLPOP", KEY_BYTES, packed]]


def test_wait_can_cover_several_lists() -> None:
    assert unpacked(pack_blocking_pop([KEY, pack_key("b")], 1)) == [[b"BLPOP", KEY_BYTES, b"b", b"1.000"]]


def test_other_commands() -> None:
    packed = pack_pop_many(KEY, 17) + pack_delete(KEY)

    assert unpacked(packed) == [[b"LPOP", KEY_BYTES, b"17"], [b"DEL", KEY_BYTES]]


def run_push(
    server: RedisServer, transactional: bool, capacity: int, ttl_s: int, elements: list[bytes]
) -> int:
    parts = [(b"", element) for element in elements]
    pack = pack_transactional_push if transactional else pack_push_with_script_text
    result: object = None
    for command in unpacked(pack(pack_key("list"), capacity, ttl_s, parts)):
        if command[0] in (b"MULTI", b"EXEC"):
            continue
        # One after the other is enough here: nobody else uses this server.
        result = server.execute(*command)
    assert isinstance(result, int)
    return result


@pytest.mark.parametrize("transactional", [False, True], ids=["script", "transaction"])
class TestPushScripts:
    def test_all_parts_are_appended_in_order(self, clean_redis: RedisServer, transactional: bool) -> None:
        elements = [b"%d" % number for number in range(9_000)]

        result = run_push(clean_redis, transactional, 10, 60, elements)

        assert result == 1
        assert clean_redis.execute("LRANGE", "list", 0, -1) == elements

    def test_full_list_is_left_exactly_as_it_was(self, clean_redis: RedisServer, transactional: bool) -> None:
        run_push(clean_redis, transactional, 3, 60, [b"a", b"b"])
        run_push(clean_redis, transactional, 3, 60, [b"c", b"d"])

        result = run_push(clean_redis, transactional, 3, 600, [b"e", b"f", b"g"])

        assert result == _commands.FULL
        assert clean_redis.execute("LRANGE", "list", 0, -1) == [b"a", b"b", b"c", b"d"]
        assert clean_redis.execute("TTL", "list") in (59, 60)

    def test_time_to_live_is_raised_and_never_shortened(
        self, clean_redis: RedisServer, transactional: bool
    ) -> None:
        ttls: list[object] = []
        for ttl_s in (60, 15, 600):
            run_push(clean_redis, transactional, 10, ttl_s, [b"x"])
            ttls.append(clean_redis.execute("TTL", "list"))

        assert ttls == [60, 60, 600]

    def test_list_without_time_to_live_gets_one(self, clean_redis: RedisServer, transactional: bool) -> None:
        clean_redis.execute("RPUSH", "list", "old")

        run_push(clean_redis, transactional, 10, 15, [b"x"])

        assert clean_redis.execute("TTL", "list") == 15
