"""The frame around a serialized message: version marker and headers.

Writers put the marker first, then the content type, then the chunk headers, each once and without whitespace:
``pysoa-redis/3//content-type:application/msgpack;chunk-count:3;chunk-id:1;``. Readers accept any order and
whitespace around the signs. Nothing here knows about Redis, settings or time.
"""

from __future__ import annotations

import functools
import re
from typing import Final, NamedTuple

from pysoa.common.transport.errors import InvalidMessageError
from pysoa.common.transport.redis_gateway.constants import (
    ProtocolFeature,
    ProtocolVersion,
    version_and_end_of_marker,
)

__all__ = (
    "USUAL_CONTENT_TYPE",
    "USUAL_HEADER",
    "Frame",
    "frame_header",
    "parse_frame",
    "usual_payload",
)

_HEADER = re.compile(rb"\s*(content-type|chunk-count|chunk-id)\s*:\s*([a-zA-Z0-9_/.\-]+)\s*;")
_MAXIMUM_HEADER_BLOCK_BYTES = 512
"""Beyond this many bytes nothing is a header: real blocks have under 150."""
USUAL_CONTENT_TYPE: Final = "application/msgpack"
"""The MIME type of nearly all payloads."""
USUAL_HEADER: Final = b"pysoa-redis/3//content-type:application/msgpack;"
"""What goes in front of such a payload in version 3, if the message is whole."""
_USUAL_HEADER_LENGTH = len(USUAL_HEADER)
_HIGHEST_ASCII = 0x7F


class Frame(NamedTuple):
    """A message taken out of its frame; nothing of the payload has been looked at."""

    protocol_version: ProtocolVersion
    """Which version of the protocol the sender speaks."""
    content_type: str | None
    """The MIME type of the payload, if the sender gave one."""
    chunk_count: bytes | None
    """In how many parts the message comes, as it was written, if it comes in parts."""
    chunk_id: bytes | None
    """Which of the parts this is, counted from 1, as it was written."""
    payload: bytes | memoryview
    """What comes after the headers: a view of a part, which is to be joined with others, else bytes."""


def parse_frame(message: bytes) -> Frame:
    """Take the frame off a message.

    A name that has already occurred ends the headers, and so does anything that is not a known header: what
    follows belongs to the payload. This keeps a part whose own data happens to start like a header intact,
    since every writer gives each header once.

    Args:
        message: One element of a Redis list.

    Raises:
        InvalidMessageError: The message is of a version of the protocol that does not exist.
    """
    payload = usual_payload(message)
    if payload is not None:
        return Frame(ProtocolVersion.VERSION_3, USUAL_CONTENT_TYPE, None, None, payload)
    return _parse_any_frame(message)


def usual_payload(message: bytes) -> bytes | None:
    """Return the payload of a whole message in MessagePack and of version 3; ``None`` for any other.

    Args:
        message: One element of a Redis list.
    """
    if (
        message.startswith(USUAL_HEADER)
        and len(message) > _USUAL_HEADER_LENGTH
        and message[_USUAL_HEADER_LENGTH] > _HIGHEST_ASCII  # a MessagePack map, so no further header
    ):
        return message[_USUAL_HEADER_LENGTH:]
    return None


def frame_header(
    protocol_version: ProtocolVersion, content_type: str, chunk_count: int = 0, chunk_id: int = 0
) -> bytes:
    """Return what goes in front of a payload.

    Args:
        protocol_version: The version that the receiver understands.
        content_type: The MIME type of the payload.
        chunk_count: In how many parts the message goes; 0 if it is not split.
        chunk_id: Which of the parts this is, counted from 1.
    """
    if protocol_version is ProtocolVersion.VERSION_3 and content_type == USUAL_CONTENT_TYPE:
        start = USUAL_HEADER
    else:
        start = _start_of_header(protocol_version, content_type)
    if not chunk_count:
        return start
    return b"%bchunk-count:%d;chunk-id:%d;" % (start, chunk_count, chunk_id)


@functools.lru_cache(maxsize=64)
def _start_of_header(protocol_version: ProtocolVersion, content_type: str) -> bytes:
    header = b""
    if ProtocolFeature.VERSION_MARKER.supported_in(protocol_version):
        header += protocol_version.prefix
    if ProtocolFeature.CONTENT_TYPE_HEADER.supported_in(protocol_version):
        header += b"content-type:%b;" % content_type.encode("utf-8")
    return header


def _parse_any_frame(message: bytes) -> Frame:
    try:
        version, position = version_and_end_of_marker(message)
    except ValueError as error:
        raise InvalidMessageError(f"Unsupported protocol version: {error}") from error
    end_of_headers = position + _MAXIMUM_HEADER_BLOCK_BYTES
    headers: dict[bytes, bytes] = {}
    while header := _HEADER.match(message, position, end_of_headers):
        name, value = header.groups()
        if name in headers:
            break
        headers[name] = value
        position = header.end()
    content_type = headers.get(b"content-type")
    chunk_count = headers.get(b"chunk-count")
    return Frame(
        version,
        None if content_type is None else content_type.decode("ascii"),
        chunk_count,
        headers.get(b"chunk-id"),
        message[position:] if chunk_count is None else memoryview(message)[position:],
    )
