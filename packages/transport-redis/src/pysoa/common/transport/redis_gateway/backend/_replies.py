"""Turns bytes from Redis into replies: by hiredis if it is installed, else by plain Python.

Only what Redis says in version 2 of its protocol is read. Connections are always opened in that version: it
has all that lists need, and saves a round trip per connection.
"""

from __future__ import annotations

from typing import Final, Protocol, cast

from pysoa.common.transport.redis_gateway._interfaces import ErrorReply

try:
    import hiredis
except ImportError:
    hiredis = None  # type: ignore[assignment]  # looked at only to learn whether it is there

__all__ = (
    "INCOMPLETE",
    "ProtocolViolationError",
    "PythonReplyReader",
    "ReplyReader",
    "UnavailableReply",
    "error_reply",
    "new_reply_reader",
)

INCOMPLETE: Final = object()
"""What a reader returns while the reply has not come in full."""

# The words that redis-py cuts off before it shows an error text. Callers of 1.x know the texts without them.
_WORDS_CUT_OFF: Final = frozenset({"ERR", "EXECABORT", "LOADING", "NOAUTH", "NOPERM", "NOSCRIPT", "READONLY"})
# By the name that redis-py gives to each, since that is what 1.x reports show.
_UNAVAILABLE: Final = {
    "LOADING": "BusyLoadingError",
    "MASTERDOWN": "MasterDownError",
    "READONLY": "ReadOnlyError",
    "UNBLOCKED": "ConnectionError",
}
_DEEPEST_NESTING: Final = 32


class ProtocolViolationError(Exception):
    """The other side does not speak the Redis protocol."""


class UnavailableReply(ErrorReply):
    """Redis refused a command because it cannot serve now, or is no master any more. Nothing was done."""

    __slots__ = ("cause_name",)

    def __init__(self, text: str, cause_name: str) -> None:
        """Keep the error text, and the name of redis-py's exception for it.

        Args:
            text: As for :class:`ErrorReply`.
            cause_name: The class name of the library's exception.
        """
        super().__init__(text)
        self.cause_name = cause_name


def error_reply(line: str) -> ErrorReply:
    """Make a reply out of an error line.

    Args:
        line: The line as Redis sent it, without the leading minus sign.
    """
    word, _, rest = line.partition(" ")
    # Redis shows the arguments of commands that it does not know: passwords, keys and parts of messages.
    text = (rest if word in _WORDS_CUT_OFF else line).partition(", with args beginning with")[0]
    if word in _UNAVAILABLE:
        return UnavailableReply(text, _UNAVAILABLE[word])
    if "-READONLY " in line:
        # Redis 6.2 wraps an error inside of a script into one of its own.
        return UnavailableReply(text, _UNAVAILABLE["READONLY"])
    return ErrorReply(text, is_missing_script=word == "NOSCRIPT")


class ReplyReader(Protocol):
    """What is fed with bytes and gives replies; hiredis' ``Reader`` is one."""

    def feed(self, data: bytearray, offset: int, size: int, /) -> object:
        """Take a piece of what came over the connection."""
        ...

    def gets(self) -> object:
        """Return the next reply, or :data:`INCOMPLETE`."""
        ...

    def has_data(self) -> bool:
        """Tell whether bytes are left that were not returned as a reply."""
        ...


def new_reply_reader() -> ReplyReader:
    """Return the quickest reader there is."""
    if hiredis is None:
        return PythonReplyReader()
    reader = hiredis.Reader(
        protocolError=ProtocolViolationError,
        # hiredis documents an exception, but hands on whatever this returns (seen with 2.3 to 3.5).
        replyError=error_reply,  # type: ignore[arg-type]  # see above  # pyright: ignore[reportArgumentType]
        notEnoughData=INCOMPLETE,
    )
    return cast(ReplyReader, reader)  # Its stub forgets that feed() takes every buffer.


class PythonReplyReader:
    """Reads replies without hiredis."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytearray, offset: int, size: int, /) -> None:
        """Take a piece of what came over the connection.

        Args:
            data: Where the piece is.
            offset: Where in it the piece starts.
            size: How many bytes it has.
        """
        self._data += memoryview(data)[offset : offset + size]

    def gets(self) -> object:
        """Return the next reply, or :data:`INCOMPLETE`.

        Raises:
            ProtocolViolationError: The bytes are no reply.
        """
        if not self._data:
            return INCOMPLETE
        reply, end = self._parse(0, _DEEPEST_NESTING)
        if reply is not INCOMPLETE:
            del self._data[:end]
        return reply

    def has_data(self) -> bool:
        """Tell whether bytes are left that were not returned as a reply."""
        return bool(self._data)

    def _parse(self, start: int, levels_left: int) -> tuple[object, int]:
        line_end = self._data.find(b"\r\n", start)
        if line_end < 0:
            self._refuse_other_protocols(start)
            return INCOMPLETE, start
        whole_line = bytes(self._data[start:line_end])
        kind, line, end = whole_line[:1], whole_line[1:], line_end + 2
        if kind == b"$":
            return self._parse_bulk(_number(line), end)
        if kind == b":":
            return _number(line), end
        if kind == b"*":
            return self._parse_array(_number(line), end, levels_left - 1)
        if kind == b"+":
            return line, end
        if kind == b"-":
            return error_reply(line.decode("utf-8", "replace")), end
        raise _violation(whole_line)

    def _parse_bulk(self, size: int, start: int) -> tuple[object, int]:
        end = start + size
        if size < 0:
            return None, start
        if len(self._data) < end + 2:
            return INCOMPLETE, start
        return bytes(self._data[start:end]), end + 2

    def _parse_array(self, count: int, start: int, levels_left: int) -> tuple[object, int]:
        if not levels_left:
            raise ProtocolViolationError(
                f"Protocol error, reply nested deeper than {_DEEPEST_NESTING} levels"
            )
        if count < 0:
            return None, start
        elements: list[object] = []
        for _ in range(count):
            element, start = self._parse(start, levels_left)
            if element is INCOMPLETE:
                return INCOMPLETE, start
            elements.append(element)
        return elements, start

    def _refuse_other_protocols(self, start: int) -> None:
        # Otherwise a peer that never ends its line would be listened to, and stored, without end.
        kind = bytes(self._data[start : start + 1])
        if kind not in (b"", b"$", b":", b"*", b"+", b"-"):
            raise _violation(self._data[start:])


def _number(line: bytes) -> int:
    try:
        return int(line)
    except ValueError:
        raise _violation(line) from None


def _violation(data: bytes | bytearray) -> ProtocolViolationError:
    return ProtocolViolationError(f"Protocol error, got {bytes(data[:1])!r} as reply type byte")
