"""Fixed numbers and names of the Redis transport, and the versions of its protocol."""

from __future__ import annotations

import enum
import re
from typing import Final

__all__ = (
    "DEFAULT_MAXIMUM_MESSAGE_BYTES_CLIENT",
    "DEFAULT_MAXIMUM_MESSAGE_BYTES_SERVER",
    "MINIMUM_CHUNKED_MESSAGE_BYTES",
    "REDIS_BACKEND_TYPES",
    "REDIS_BACKEND_TYPE_SENTINEL",
    "REDIS_BACKEND_TYPE_STANDARD",
    "ProtocolFeature",
    "ProtocolVersion",
)

DEFAULT_MAXIMUM_MESSAGE_BYTES_CLIENT: Final = 1024 * 100
"""The largest request, in bytes, unless the client's settings say otherwise."""
DEFAULT_MAXIMUM_MESSAGE_BYTES_SERVER: Final = 1024 * 250
"""The largest response, in bytes, unless the server's settings say otherwise."""
MINIMUM_CHUNKED_MESSAGE_BYTES: Final = 1024 * 100
"""The smallest threshold, in bytes, above which a server may be told to split its responses."""

REDIS_BACKEND_TYPE_STANDARD: Final = "redis.standard"
"""The backend type for a fixed list of Redis masters."""
REDIS_BACKEND_TYPE_SENTINEL: Final = "redis.sentinel"
"""The backend type for masters that are found by asking Redis Sentinel."""
REDIS_BACKEND_TYPES: Final = (REDIS_BACKEND_TYPE_STANDARD, REDIS_BACKEND_TYPE_SENTINEL)
"""Every backend type."""

# Longer numbers are no versions, and int() would refuse absurdly long ones with a plain ValueError of its
# own.
_VERSION_MARKER = re.compile(rb"pysoa-redis/([0-9]+)//")
_MAXIMUM_VERSION_DIGITS = 20


class ProtocolVersion(enum.IntEnum):
    """How a message is framed on the wire."""

    VERSION_1 = 1
    """Nothing but the serialized message."""
    VERSION_2 = 2
    """A content type in front of the message."""
    VERSION_3 = 3
    """A version marker, then headers, then the message, which may be one of several parts."""

    @property
    def prefix(self) -> bytes:
        """The marker of this version, as it stands at the start of a version 3 message."""
        return b"pysoa-redis/%d//" % self.value

    @staticmethod
    def extract_version(message: bytes) -> tuple[ProtocolVersion, bytes]:
        """Tell the version of a message by how it starts.

        Args:
            message: The message as it came.

        Returns:
            The version, and the message without its version marker, if it had one.

        Raises:
            ValueError: The message carries the marker of a version that does not exist.
        """
        version, start = version_and_end_of_marker(message)
        return version, message[start:]


class ProtocolFeature(enum.Enum):
    """What a peer can do from some version of the protocol on."""

    CONTENT_TYPE_HEADER = (1, ProtocolVersion.VERSION_2)
    """Messages say in which format they are serialized."""
    VERSION_MARKER = (2, ProtocolVersion.VERSION_3)
    """Messages say which version of the protocol they follow."""
    CHUNKED_RESPONSES = (3, ProtocolVersion.VERSION_3)
    """Large responses may come in several parts."""

    def supported_in(self, version: ProtocolVersion) -> bool:
        """Tell whether peers that speak a version of the protocol have this feature.

        Args:
            version: The version in question.
        """
        return version >= self.value[1]


def version_and_end_of_marker(message: bytes) -> tuple[ProtocolVersion, int]:
    """Tell the version of a message and where in it the version marker ends.

    Wire fact: PySOA 1.4.9 looks for both signs at the very first byte only, so leading whitespace makes any
    message one of version 1.

    Args:
        message: The message as it came.

    Raises:
        ValueError: The message carries the marker of a version that does not exist.
    """
    marker = _VERSION_MARKER.match(message)
    if marker:
        digits = marker.group(1)
        if len(digits) > _MAXIMUM_VERSION_DIGITS:
            raise ValueError(f"A version of {len(digits)} digits is not a valid ProtocolVersion")
        return ProtocolVersion(int(digits)), marker.end()
    if message.startswith(b"content-type"):
        return ProtocolVersion.VERSION_2, 0
    return ProtocolVersion.VERSION_1, 0
