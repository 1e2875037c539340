"""Cutting and splitting the texts of log records into what fits into packets.

Wire fact: the parts of a split record have the same bytes as those of PySOA 1.4.9.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = (
    "encode",
    "fragments",
    "truncated",
)

_TO_BE_CONTINUED = b"... (cont'd)"


def encode(text: str) -> bytes:
    """Return the text in UTF-8; lone surrogates, which have no bytes, as escape sequences."""
    return text.encode("utf-8", "backslashreplace")


def truncated(encoded: bytes, limit: int) -> bytes:
    """Return as many whole characters of a UTF-8 text as fit into this number of bytes, from its start."""
    return encoded[: _end_of_cut(encoded, 0, limit)]


def fragments(text: str, message: str, limit: int) -> Iterator[bytes] | None:
    """Split a formatted record over several packets, each with what stands before the message.

    Args:
        text: The formatted record.
        message: The message in it, from whose start on the text is split.
        limit: The number of bytes that each part may have.

    Returns:
        The parts, or ``None`` if what stands before the message leaves no room for it.
    """
    preamble, rest = _split_preamble(text, message)
    cuts = _find_cuts(rest, limit - len(preamble) - len(_TO_BE_CONTINUED))
    return _join_parts(preamble, rest, cuts) if cuts else None


def _split_preamble(text: str, message: str) -> tuple[bytes, bytes]:
    start = text.find(message[:40])
    if start >= 0:
        return encode(text[:start]), encode(text[start:])
    # The formatter changed the message beyond recognition.
    return encode(text[:30] + " "), encode(text[30:])


def _continuation_mark(number: int) -> bytes:
    return b"(cont'd #%d) ..." % number


def _find_cuts(rest: bytes, room: int) -> list[int]:
    """Return where the parts end, or nothing if there is a part that has no room for a single character."""
    cuts: list[int] = []
    position = 0
    while position < len(rest):
        available = room - len(_continuation_mark(len(cuts) + 1)) if cuts else room
        end = _end_of_cut(rest, position, available)
        if end <= position:
            return []
        cuts.append(end)
        position = end
    return cuts


def _join_parts(preamble: bytes, rest: bytes, cuts: list[int]) -> Iterator[bytes]:
    position = 0
    for number, end in enumerate(cuts, 1):
        mark = _continuation_mark(number) if number > 1 else b""
        continued = _TO_BE_CONTINUED if number < len(cuts) else b""
        yield preamble + mark + rest[position:end] + continued
        position = end


def _end_of_cut(encoded: bytes, start: int, length: int) -> int:
    """Return the last border of a character that is at most so many bytes after the start."""
    end = start + max(length, 0)
    if end >= len(encoded):
        return len(encoded)
    while end > start and encoded[end] & 0xC0 == 0x80:
        end -= 1
    return end
