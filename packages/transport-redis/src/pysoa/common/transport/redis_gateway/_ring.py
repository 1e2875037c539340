"""Which of several Redis masters holds a reply list."""

from __future__ import annotations

import binascii

__all__ = (
    "is_hashed",
    "ring_index",
)

_BUCKETS = 0x1000


def is_hashed(queue_key: str) -> bool:
    """Tell whether a key is bound to one master; all others may live on any.

    Args:
        queue_key: The full Redis key. Reply lists have a ``!`` in it.
    """
    return "!" in queue_key


def ring_index(queue_key: str, ring_size: int) -> int:
    """Return the index of the master that holds a reply list.

    Wire fact: clients and servers of all versions must agree on this, and list their masters in the same
    order. PySOA 1.4.9 takes the lowest twelve bits of the CRC-32 of the key in UTF-8, spread evenly over
    the ring in floating point.

    Args:
        queue_key: The full Redis key, with its ``pysoa:`` prefix.
        ring_size: How many masters there are, at least 1.
    """
    if ring_size == 1:
        return 0
    bucket = binascii.crc32(queue_key.encode("utf-8")) & (_BUCKETS - 1)
    return int(bucket / (_BUCKETS / float(ring_size)))
