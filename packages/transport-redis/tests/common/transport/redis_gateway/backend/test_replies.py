from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysoa.common.transport.redis_gateway._interfaces import ErrorReply
from pysoa.common.transport.redis_gateway.backend._replies import (
    INCOMPLETE,
    ProtocolViolationError,
    PythonReplyReader,
    ReplyReader,
    UnavailableReply,
    error_reply,
    new_reply_reader,
)

READERS = [
    pytest.param(new_reply_reader, id="quickest"),
    pytest.param(PythonReplyReader, id="python"),
]


def feed(reader: ReplyReader, data: bytes) -> None:
    reader.feed(bytearray(b"xx" + data + b"xx"), 2, len(data))


def pack(value: object) -> bytes:
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, bytes):
        return b"$%d\r\n%b\r\n" % (len(value), value)
    if isinstance(value, int):
        return b":%d\r\n" % value
    assert isinstance(value, list)
    elements = cast("list[object]", value)
    return b"*%d\r\n" % len(elements) + b"".join(map(pack, elements))


replies = st.recursive(
    st.none() | st.binary(max_size=200) | st.integers(-(2**63), 2**63 - 1),
    lambda children: st.lists(children, max_size=6),
    max_leaves=12,
)


@pytest.mark.parametrize("new_reader", READERS)
@given(values=st.lists(replies, max_size=5), piece_size=st.integers(1, 60))
def test_replies_are_read_whatever_pieces_they_come_in(
    new_reader: type[PythonReplyReader], values: list[object], piece_size: int
) -> None:
    data = b"".join(map(pack, values))
    reader = new_reader()

    read: list[object] = []
    for start in range(0, len(data), piece_size):
        feed(reader, data[start : start + piece_size])
        while (reply := reader.gets()) is not INCOMPLETE:
            read.append(reply)

    assert read == values
    assert not reader.has_data()


@pytest.mark.parametrize("new_reader", READERS)
def test_missing_values_are_none(new_reader: type[PythonReplyReader]) -> None:
    reader = new_reader()

    feed(reader, b"$-1\r\n*-1\r\n")

    assert [reader.gets(), reader.gets(), reader.gets()] == [None, None, INCOMPLETE]


@pytest.mark.parametrize("new_reader", READERS)
def test_error_is_a_value_also_inside_of_a_list(new_reader: type[PythonReplyReader]) -> None:
    reader = new_reader()

    feed(reader, b"*2\r\n:1\r\n-WRONGTYPE not \xff a list\r\n")

    first, second = cast("list[object]", reader.gets())
    assert first == 1
    assert isinstance(second, ErrorReply)
    assert second.text.startswith("WRONGTYPE not ")


@pytest.mark.parametrize("new_reader", READERS)
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n", id="http"),
        pytest.param(b"\x15\x03\x01\x00\x02\x02\x50", id="tls alert"),
        pytest.param(b"$abc\r\n", id="size that is no number"),
    ],
)
def test_other_protocols_are_refused(new_reader: type[PythonReplyReader], data: bytes) -> None:
    reader = new_reader()
    feed(reader, data)

    with pytest.raises(ProtocolViolationError):
        reader.gets()


def test_endless_nesting_is_refused() -> None:
    reader = PythonReplyReader()
    feed(reader, b"*1\r\n" * 1000)

    with pytest.raises(ProtocolViolationError, match="nested deeper"):
        reader.gets()


@pytest.mark.parametrize("new_reader", READERS)
def test_unfinished_reply_counts_as_data_left_over(new_reader: type[PythonReplyReader]) -> None:
    reader = new_reader()
    feed(reader, b"+OK\r\n$5\r\nabc")

    assert reader.gets() == b"OK"

    assert reader.has_data()


@pytest.mark.parametrize(
    ("line", "text"),
    [
        pytest.param("ERR queue full", "queue full", id="redis 7 adds a word"),
        pytest.param("queue full", "queue full", id="redis 6 does not"),
        pytest.param("WRONGTYPE Operation against", "WRONGTYPE Operation against", id="other words stay"),
        pytest.param("ERR", "", id="nothing but the word"),
    ],
)
def test_error_text_is_the_one_that_redis_py_shows(line: str, text: str) -> None:
    reply = error_reply(line)

    assert reply.text == text
    assert not reply.is_missing_script


def test_missing_script_is_told_apart() -> None:
    assert error_reply("NOSCRIPT No matching script. Please use EVAL.").is_missing_script


@pytest.mark.parametrize(
    ("line", "cause_name"),
    [
        pytest.param("LOADING Redis is loading the dataset in memory", "BusyLoadingError", id="loading"),
        pytest.param("READONLY You can't write against a read only replica.", "ReadOnlyError", id="replica"),
        pytest.param(
            "ERR Error running script (call to f_1): @user_script:4: -READONLY You can't write.",
            "ReadOnlyError",
            id="script on a replica",
        ),
        pytest.param("UNBLOCKED force unblock from blocking operation", "ConnectionError", id="demoted"),
        pytest.param("MASTERDOWN Link with MASTER is down", "MasterDownError", id="replica without master"),
    ],
)
def test_server_that_cannot_serve_now_is_told_apart(line: str, cause_name: str) -> None:
    reply = error_reply(line)

    assert isinstance(reply, UnavailableReply)
    assert reply.cause_name == cause_name


def test_arguments_of_unknown_commands_are_not_shown() -> None:
    reply = error_reply("ERR unknown command 'AUTH', with args beginning with: 'user' 'hunter2' ")

    assert reply.text == "unknown command 'AUTH'"
