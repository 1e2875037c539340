"""What is inside a frame: the envelope with the request id, the meta and the body.

Pure code: clocks and serializers are given.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pysoa.common.serializer.base import Serializer
from pysoa.common.transport.errors import InvalidMessageError, MessageTooLarge
from pysoa.common.transport.redis_gateway._chunking import split_message
from pysoa.common.transport.redis_gateway._commands import Part
from pysoa.common.transport.redis_gateway._framing import frame_header
from pysoa.common.transport.redis_gateway.constants import ProtocolFeature, ProtocolVersion

__all__ = (
    "Envelope",
    "checked_request_id",
    "open_envelope",
    "split_into_frames",
)

_SERIALIZER = "serializer"
_PROTOCOL_VERSION = "protocol_version"


class Envelope(NamedTuple):
    """A message that was deserialized and found to be in order."""

    request_id: Any
    """A number, or the text that a peer other than PySOA chose; ``None`` if it has none."""
    meta: dict[str, Any]
    """The peer's meta, with the live serializer and protocol version that the message came in."""
    body: Any
    """The body, unchecked; ``None`` if there is none."""


def split_into_frames(
    blob: bytes, protocol_version: ProtocolVersion, content_type: str, chunk_size: int
) -> list[Part]:
    """Put a large serialized message into several frames.

    Args:
        blob: The serialized envelope.
        protocol_version: The version that the receiver understands.
        content_type: The MIME type of the blob.
        chunk_size: How large the parts are.

    Raises:
        MessageTooLarge: The receiver cannot join them.
    """
    if not ProtocolFeature.CHUNKED_RESPONSES.supported_in(protocol_version):
        text = "Message exceeds chunking threshold but client does not support chunking"
        raise MessageTooLarge(len(blob), text)
    payloads = split_message(blob, chunk_size)
    return [
        (frame_header(protocol_version, content_type, len(payloads), number), payload)
        for number, payload in enumerate(payloads, start=1)
    ]


def open_envelope(
    message: object, serializer: Serializer, protocol_version: ProtocolVersion, service_name: str
) -> Envelope:
    """Check the outer form of a deserialized message.

    Args:
        message: What the serializer made of it.
        serializer: The serializer in question; a reply will use it, too.
        protocol_version: The version that the sender speaks.
        service_name: The service, for the texts of errors.

    Returns:
        The envelope. Whether it has a request id is for the caller to check, after the expiry.

    Raises:
        InvalidMessageError: It is no map, or its meta is none.

    Wire fact: a missing ``meta`` is an empty one; a missing ``body`` is ``None``.
    """
    fields: Any = message
    if not isinstance(message, dict):
        raise InvalidMessageError(
            f"Invalid message for service {service_name}: it is of type {type(message).__name__}, not a map"
        )
    meta: dict[str, Any] = fields.get("meta", {})
    if type(meta) is not dict:
        raise InvalidMessageError(
            f"Invalid message for service {service_name}: "
            f"its meta is of type {type(meta).__name__}, not a map"
        )
    meta[_SERIALIZER] = serializer
    meta[_PROTOCOL_VERSION] = protocol_version
    return Envelope(fields.get("request_id"), meta, fields.get("body"))


def checked_request_id(envelope: Envelope, service_name: str) -> Any:
    """Return the request id of an envelope.

    Args:
        envelope: The envelope of a message that has not expired.
        service_name: The service, for the text of the error.

    Raises:
        InvalidMessageError: There is none, or it is neither a number nor text.

    Wire fact: 0 and text are valid ids.
    """
    request_id = envelope.request_id
    if type(request_id) is int or type(request_id) is str:
        return request_id
    if request_id is None:
        raise InvalidMessageError(f"No request ID for service {service_name}")
    raise InvalidMessageError(
        f"Invalid request ID for service {service_name}: it is of type {type(request_id).__name__}"
    )
