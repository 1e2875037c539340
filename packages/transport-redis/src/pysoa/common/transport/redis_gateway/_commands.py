"""The few Redis commands that the transport gives, packed for the wire, and the push script.

Every function returns bytes in the Redis protocol, ready to be written as they are; several can be written
at once. Keys are packed once with :func:`pack_key` and kept, since the same lists are named again and again.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Final, NewType

import attrs

__all__ = (
    "FULL",
    "PLAIN_PUSH",
    "PUSH_SCRIPT",
    "PUSH_SCRIPT_SHA",
    "SCRIPTED_PUSH",
    "TRANSACTIONAL_PUSH",
    "URGENT_PLAIN_PUSH",
    "PackedKey",
    "Part",
    "PushForm",
    "pack_blocking_pop",
    "pack_delete",
    "pack_key",
    "pack_plain_push",
    "pack_pop_many",
    "pack_push",
    "pack_push_with_script_text",
    "pack_raise_ttl",
    "pack_remove",
    "pack_transactional_push",
)

PackedKey = NewType("PackedKey", bytes)
"""A Redis key, packed as an argument."""
Part = tuple[bytes, bytes | memoryview]
"""One list element to be: its header and its payload, which are joined only while they are packed."""

PUSH_SCRIPT: Final = b"""\
local key, count, length = KEYS[1], #ARGV - 2, 0
if count == 1 then
  length = redis.call('RPUSH', key, ARGV[3])
else
  for first = 3, #ARGV, 4000 do
    length = redis.call('RPUSH', key, unpack(ARGV, first, math.min(first + 3999, #ARGV)))
  end
end
if length - count >= tonumber(ARGV[1]) then
  redis.call('LTRIM', key, 0, -count - 1)
  return -1
end
if length == count or redis.call('TTL', key) < tonumber(ARGV[2]) then
  redis.call('EXPIRE', key, ARGV[2])
end
return 1"""
"""Appends all parts of a message to a list, or none if the list had reached its capacity.

Nobody can look at the list while a script runs, so it may append first and see then whether it was allowed
to.

Arguments: the list; its capacity, the seconds it must live at least, the parts. Returns 1, or -1 for a full
list. The time to live is only ever raised: other messages in the list may live longer than this one.
"""
FULL: Final = -1
"""What the push scripts return for a full list."""
PUSH_SCRIPT_SHA: Final = hashlib.sha1(PUSH_SCRIPT, usedforsecurity=False).hexdigest()
"""By which name Redis knows the push script once it has seen it."""

# Used after the parts are in the list, in the same transaction; see pack_transactional_push.
_SETTLE_SCRIPT: Final = b"""\
local key, count = KEYS[1], tonumber(ARGV[1])
local length = redis.call('LLEN', key)
if length - count >= tonumber(ARGV[2]) then
  redis.call('LTRIM', key, 0, -count - 1)
  return -1
end
if length == count or redis.call('TTL', key) < tonumber(ARGV[3]) then
  redis.call('EXPIRE', key, ARGV[3])
end
return 1"""


_RAISE_TTL_SCRIPT: Final = b"""\
if redis.call('TTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('EXPIRE', KEYS[1], ARGV[1])
end
return 1"""


def _bulk(data: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(data), data)


@functools.lru_cache(maxsize=256)
def _number(number: int) -> bytes:
    return _bulk(b"%d" % number)


_EVALSHA_PUSH = b"$7\r\nEVALSHA\r\n" + _bulk(PUSH_SCRIPT_SHA.encode("ascii")) + _bulk(b"1")
_EVAL_PUSH = b"$4\r\nEVAL\r\n" + _bulk(PUSH_SCRIPT) + _bulk(b"1")
_EVALSHA_PUSH_OF_ONE = b"*7\r\n" + _EVALSHA_PUSH
_MULTI = b"*1\r\n$5\r\nMULTI\r\n"
_EXEC = b"*1\r\n$4\r\nEXEC\r\n"
_RPUSH = b"$5\r\nRPUSH\r\n"
_SETTLE = b"*7\r\n$4\r\nEVAL\r\n" + _bulk(_SETTLE_SCRIPT) + _bulk(b"1")
_RPUSH_OF_ONE = b"*3\r\n" + _RPUSH
_EXPIRE = b"*4\r\n$6\r\nEXPIRE\r\n"
_IF_NONE = _bulk(b"NX")
_IF_GREATER = _bulk(b"GT")
_LREM = b"*4\r\n$4\r\nLREM\r\n"
_LAST_ONE = _bulk(b"-1")
_RAISE_TTL = b"*5\r\n$4\r\nEVAL\r\n" + _bulk(_RAISE_TTL_SCRIPT) + _bulk(b"1")
_BLPOP_OF_ONE = b"*3\r\n$5\r\nBLPOP\r\n"
_LPOP_WITH_COUNT = b"*3\r\n$4\r\nLPOP\r\n"


def pack_key(queue_key: str) -> PackedKey:
    """Pack a Redis key as an argument.

    Args:
        queue_key: The full key.
    """
    data = queue_key.encode("utf-8")
    return PackedKey(b"$%d\r\n%b\r\n" % (len(data), data))


def pack_push(
    key: PackedKey, capacity: int, ttl_s: int, parts: Sequence[Part], next_commands: bytes = b""
) -> bytes:
    """Pack a call of the push script by its name.

    Redis answers 1, -1 for a full list, or an error if it does not know the script.

    Args:
        key: The list.
        capacity: At how many elements the list counts as full.
        ttl_s: For how many seconds the list must live at least.
        parts: The elements, which become neighbours in the list.
        next_commands: Packed commands to be written right after it.
    """
    if len(parts) == 1:
        header, payload = parts[0]
        return b"".join(
            (
                _EVALSHA_PUSH_OF_ONE,
                key,
                _number(capacity),
                _number(ttl_s),
                b"$%d\r\n" % (len(header) + len(payload)),
                header,
                payload,
                b"\r\n",
                next_commands,
            )
        )
    return _pack_push_of_many(_EVALSHA_PUSH, key, capacity, ttl_s, parts) + next_commands


def pack_push_with_script_text(key: PackedKey, capacity: int, ttl_s: int, parts: Sequence[Part]) -> bytes:
    """Pack a call of the push script that carries the script itself. Redis remembers it from then on.

    Args:
        key: The list.
        capacity: At how many elements the list counts as full.
        ttl_s: For how many seconds the list must live at least.
        parts: The elements, which become neighbours in the list.
    """
    return _pack_push_of_many(_EVAL_PUSH, key, capacity, ttl_s, parts)


def pack_transactional_push(
    key: PackedKey, capacity: int, ttl_s: int, parts: Sequence[Part], next_commands: bytes = b""
) -> bytes:
    """Pack the same push as a transaction that does not lead the data through a script.

    A script's arguments are copied into its interpreter and out again, which costs Redis more than
    everything else about a large message. Here the parts are appended by a plain command, and a script that
    never sees them takes them off again if the list had been full. Nobody can look in between. Redis
    answers four times; the last answer is a list whose last element is 1, or -1 for a full list.

    Args:
        key: The list.
        capacity: At how many elements the list counts as full.
        ttl_s: For how many seconds the list must live at least.
        parts: The elements, which become neighbours in the list.
        next_commands: Packed commands to be written right after it.
    """
    pieces: list[bytes | memoryview] = [_MULTI, b"*%d\r\n" % (2 + len(parts)), _RPUSH, key]
    _append_parts(pieces, parts)
    pieces += (_SETTLE, key, _number(len(parts)), _number(capacity), _number(ttl_s), _EXEC, next_commands)
    return b"".join(pieces)


def pack_plain_push(key: PackedKey, ttl_s: int, part: Part, next_commands: bytes = b"") -> bytes:
    """Pack a push of one element in plain commands, which cost Redis a third of what a script costs.

    Redis answers three times: with the length of the list, which tells whether the list had been full, and
    to two commands that give it a time to live if it has none, and raise that if it is lower. Redis 6.2
    refuses these.

    Args:
        key: The list.
        ttl_s: For how many seconds the list must live at least.
        part: The element.
        next_commands: Packed commands to be written right after it.
    """
    header, payload = part
    return b"".join(
        (
            _RPUSH_OF_ONE,
            key,
            b"$%d\r\n" % (len(header) + len(payload)),
            header,
            payload,
            b"\r\n",
            _live_at_least(key, ttl_s),
            next_commands,
        )
    )


@functools.lru_cache(maxsize=256)
def _live_at_least(key: PackedKey, ttl_s: int) -> bytes:
    expire = b"%b%b%b" % (_EXPIRE, key, _number(ttl_s))
    return b"%b%b%b%b" % (expire, _IF_NONE, expire, _IF_GREATER)


def pack_remove(key: PackedKey, part: Part) -> bytes:
    """Pack the removal of an element, to be found near the end of a list. Redis answers how many it removed.

    Args:
        key: The list.
        part: The element.
    """
    return _LREM + key + _LAST_ONE + _bulk(b"".join(part))


def pack_raise_ttl(key: PackedKey, ttl_s: int) -> bytes:
    """Pack a script that makes a list live at least so long. Redis answers 1.

    Args:
        key: The list.
        ttl_s: For how many seconds.
    """
    return _RAISE_TTL + key + _number(ttl_s)


@attrs.frozen
class PushForm:
    """A way to write a push."""

    reply_count: int
    """How many replies Redis gives to it."""
    bytes_of_success: int
    """How many bytes these have at least if the message was taken. If not, they have more."""
    is_plain: bool = False
    """Whether the first reply is the length of the list, and not the last one the answer of a script."""


PLAIN_PUSH: Final = PushForm(3, len(b":1\r\n:1\r\n:0\r\n"), is_plain=True)
"""What :func:`pack_plain_push` packs."""
URGENT_PLAIN_PUSH: Final = PushForm(3, 0, is_plain=True)
"""The same, if the number of bytes does not tell whether the message was taken."""
SCRIPTED_PUSH: Final = PushForm(1, len(b":1\r\n"))
"""What :func:`pack_push` packs."""
TRANSACTIONAL_PUSH: Final = PushForm(4, len(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:1\r\n"))
"""What :func:`pack_transactional_push` packs."""


def pack_blocking_pop(keys: Sequence[PackedKey], timeout_in_seconds: float) -> bytes:
    """Pack a wait for the first element of the first of these lists that has one.

    Args:
        keys: The lists.
        timeout_in_seconds: How long Redis waits before it answers with nothing; above 0, since Redis takes
            0 for ever, and rounded up to a millisecond.
    """
    timeout = b"%.3f" % max(timeout_in_seconds, 0.001)
    timeout_argument = b"$%d\r\n%b\r\n" % (len(timeout), timeout)
    if len(keys) == 1:
        return b"".join((_BLPOP_OF_ONE, keys[0], timeout_argument))
    return b"".join((b"*%d\r\n$5\r\nBLPOP\r\n" % (2 + len(keys)), *keys, timeout_argument))


def pack_pop_many(key: PackedKey, count: int) -> bytes:
    """Pack the taking of up to so many elements without waiting; the answer is a list of them, or nothing.

    Args:
        key: The list.
        count: How many at most.
    """
    return b"".join((_LPOP_WITH_COUNT, key, _number(count)))


def pack_delete(key: PackedKey) -> bytes:
    """Pack the removal of a list.

    Args:
        key: The list.
    """
    return b"*2\r\n$3\r\nDEL\r\n" + key


def _pack_push_of_many(
    command: bytes, key: PackedKey, capacity: int, ttl_s: int, parts: Sequence[Part]
) -> bytes:
    pieces: list[bytes | memoryview] = [
        b"*%d\r\n" % (6 + len(parts)),
        command,
        key,
        _number(capacity),
        _number(ttl_s),
    ]
    _append_parts(pieces, parts)
    return b"".join(pieces)


def _append_parts(pieces: list[bytes | memoryview], parts: Sequence[Part]) -> None:
    for header, payload in parts:
        pieces += (b"$%d\r\n" % (len(header) + len(payload)), header, payload, b"\r\n")
