"""Splitting a large response into parts, and joining the parts again."""

from __future__ import annotations

from pysoa.common.transport.errors import InvalidMessageError
from pysoa.common.transport.redis_gateway._framing import Frame
from pysoa.common.transport.redis_gateway.constants import MINIMUM_CHUNKED_MESSAGE_BYTES

__all__ = (
    "MAXIMUM_CHUNK_COUNT",
    "BrokenChunksError",
    "ChunkedMessage",
    "InterruptedChunksError",
    "reason_against_chunk_size",
    "split_message",
)

MAXIMUM_CHUNK_COUNT = 16_384
"""More parts than this are taken for nonsense; with parts of 100 KB it is well over a gigabyte."""
_MAXIMUM_DIGITS = 5


def split_message(message: bytes, chunk_size: int) -> list[memoryview]:
    """Cut a message into parts without copying it.

    Args:
        message: The serialized message, not empty.
        chunk_size: The size of every part but the last, which may be smaller.

    Returns:
        The parts in order.
    """
    view = memoryview(message)
    return [view[start : start + chunk_size] for start in range(0, len(message), chunk_size)]


def reason_against_chunk_size(chunk_size: int, maximum_message_size_in_bytes: int) -> str | None:
    """Return what is wrong with the size of parts that a server is told to use, or ``None``.

    Args:
        chunk_size: The size of the parts; negative for never splitting anything.
        maximum_message_size_in_bytes: The size limit of whole messages.
    """
    if chunk_size < 0:
        return None
    if chunk_size < MINIMUM_CHUNKED_MESSAGE_BYTES:
        return (
            f"chunk_messages_larger_than_bytes must be >= {MINIMUM_CHUNKED_MESSAGE_BYTES}, got {chunk_size}. "
            "A negative number turns it off."
        )
    if maximum_message_size_in_bytes < chunk_size * 5:
        return (
            "maximum_message_size_in_bytes must be at least 5 times larger than "
            f"chunk_messages_larger_than_bytes ({chunk_size}), got {maximum_message_size_in_bytes}"
        )
    return None


class BrokenChunksError(InvalidMessageError):
    """The parts of a response do not make a whole; none of it can be used."""


class InterruptedChunksError(BrokenChunksError):
    """A part does not continue what came before it. It may itself begin something."""


class ChunkedMessage:
    """A response of which at least the first part has come.

    Parts say how many they are and which one each is, but not to which response they belong. Whoever collects
    them must know that they come from a list into which nothing else was written between them.

    Args:
        first: The frame that carries the first part.
        service_name: The service that answers, for the texts of errors.

    Raises:
        BrokenChunksError: This is not the first of a sensible number of parts.
    """

    __slots__ = ("_parts", "_service_name", "chunk_count", "first")

    def __init__(self, first: Frame, service_name: str) -> None:
        self.first = first
        """The frame of the first part, whose content type and version count for the whole."""
        self._service_name = service_name
        self._parts: list[bytes | memoryview] = []
        if first.chunk_id is None:
            raise BrokenChunksError(f"Invalid chunked response missing chunk ID for service {service_name}")
        self.chunk_count = _as_number(first.chunk_count)
        """How many parts there will be."""
        if not 1 <= self.chunk_count <= MAXIMUM_CHUNK_COUNT:
            raise BrokenChunksError(
                f"Invalid chunked response has impossible chunk count {_shown(first.chunk_count)} "
                f"for service {service_name}. It must be from 1 to {MAXIMUM_CHUNK_COUNT}."
            )
        if _as_number(first.chunk_id) != 1:
            raise BrokenChunksError(self._wrong_id(first))
        self._parts.append(first.payload)

    @property
    def is_complete(self) -> bool:
        """Whether all parts are there."""
        return len(self._parts) == self.chunk_count

    @property
    def missing(self) -> int:
        """How many parts are still to come."""
        return self.chunk_count - len(self._parts)

    def add(self, frame: Frame) -> None:
        """Append the next part.

        Args:
            frame: The next frame from the same list.

        Raises:
            InterruptedChunksError: It is not the next part of this response. The response is lost.
        """
        if frame.chunk_count is None or frame.chunk_id is None:
            raise InterruptedChunksError(
                f"Invalid chunked response missing chunk headers expecting {self._expectation}."
            )
        if _as_number(frame.chunk_count) != self.chunk_count:
            raise InterruptedChunksError(
                f"Invalid chunked response has different chunk count {_shown(frame.chunk_count)} "
                f"expecting {self._expectation}."
            )
        if _as_number(frame.chunk_id) != len(self._parts) + 1:
            raise InterruptedChunksError(self._wrong_id(frame))
        self._parts.append(frame.payload)

    def join(self) -> bytes:
        """Return the whole message; ask only once it is complete."""
        return b"".join(self._parts)

    def _wrong_id(self, frame: Frame) -> str:
        return (
            f"Invalid chunked response has incorrect chunk ID {_shown(frame.chunk_id)} "
            f"expected {len(self._parts) + 1} of {self.chunk_count} for service {self._service_name}."
        )

    @property
    def _expectation(self) -> str:
        return f"chunk {len(self._parts) + 1} of {self.chunk_count} for service {self._service_name}"


def _as_number(text: bytes | None) -> int:
    if text and len(text) <= _MAXIMUM_DIGITS and text.isdigit():
        return int(text)
    return -1


def _shown(text: bytes | None) -> str:
    return ascii((text or b"").decode("ascii", "replace")[:20]).strip("'")
