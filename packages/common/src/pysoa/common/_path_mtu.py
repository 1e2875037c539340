"""How long a packet may be to reach a host in one piece."""

from __future__ import annotations

import socket
import sys
from typing import Final

__all__ = (
    "WORST_CASE_MTU_IP",
    "discover_minimum_mtu_to_target",
)

WORST_CASE_MTU_IP: Final = 576
"""What every network must carry, used where the real figure cannot be learned."""

_MAXIMUM_IP_PACKET_IN_BYTES = 65_535
# Python's socket module lacks these names of Linux: level; "do not fragment" option, its value; "path MTU"
# option.
_KERNEL_OPTIONS = {
    socket.AF_INET: (socket.IPPROTO_IP, 10, 2, 14),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 23, 2, 24),
}


def discover_minimum_mtu_to_target(
    address: str, port: int, *, family: socket.AddressFamily = socket.AF_UNSPEC
) -> int:
    """Return how many bytes an IP packet to this host may have, headers included, without sending anything.

    Args:
        address: The host's name or IP address.
        port: Any UDP port.
        family: IP version 4 or 6, or whichever is found first.

    Returns:
        What the kernel knows of the path, at most 65,535; or 576 if it knows none (no route, not Linux).

    Raises:
        OSError: The host is unknown (``gaierror``).
    """
    targets = socket.getaddrinfo(address, port, family, socket.SOCK_DGRAM)
    for target_family, kind, protocol, _, target in targets:
        options = _KERNEL_OPTIONS.get(target_family) if sys.platform == "linux" else None
        if options is None:
            continue
        level, discover, do, mtu = options
        try:
            with socket.socket(target_family, kind, protocol) as probe:
                probe.setsockopt(level, discover, do)
                probe.connect(target)  # Chooses the route; a datagram socket sends nothing for it.
                return min(probe.getsockopt(level, mtu), _MAXIMUM_IP_PACKET_IN_BYTES)
        except OSError:
            continue
    return WORST_CASE_MTU_IP
