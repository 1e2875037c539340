"""Logging for services: requests named on records, bodies without secrets, long records to syslog."""

from __future__ import annotations

import logging
import logging.handlers
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Final, cast

from pysoa.common._log_context import PySOALogContextFilter
from pysoa.common._path_mtu import discover_minimum_mtu_to_target as _discover_minimum_mtu_to_target
from pysoa.common._redaction import RecursivelyCensoredDictWrapper
from pysoa.common._syslog_packets import encode, fragments, truncated

__all__ = (
    "PySOALogContextFilter",
    "RecursivelyCensoredDictWrapper",
    "SyslogHandler",
)

DATAGRAM_HEADER_LENGTH_IN_BYTES: Final = 28
"""IP version 4 and UDP headers of a packet; version 6 has 20 bytes more."""

_IPV6_EXTRA_HEADER_LENGTH_IN_BYTES = 20
_MAXIMUM_STREAM_RECORD_IN_BYTES = 1_048_576
# Inside the handler's body, type checkers take "socket" for its attribute of that name.
_Socket = socket.socket
_SocketKind = socket.SocketKind


class SyslogHandler(logging.handlers.SysLogHandler):
    """Sends log records to syslog without losing what is longer than a packet.

    For UDP, the longest packet that reaches the host in one piece is asked from the kernel when the first
    record is sent; nothing is sent to find out. For TCP and Unix sockets, records are cut at 1 MiB.

    A record that does not fit is, by ``overflow``, either cut (``OVERFLOW_BEHAVIOR_TRUNCATE``) or split over
    several packets (``OVERFLOW_BEHAVIOR_FRAGMENT``), never inside of a character. Each packet of a split
    record begins with what the formatter put before the message, and says that it continues or is continued.
    If that leaves no room for the message itself, the record is cut instead.
    """

    OVERFLOW_BEHAVIOR_FRAGMENT: ClassVar[int] = 0
    """Split long records over several packets. Only for UDP: other sockets always cut."""
    OVERFLOW_BEHAVIOR_TRUNCATE: ClassVar[int] = 1
    """Cut long records."""

    _MINIMUM_MTU_CACHE: ClassVar[dict[str, int]] = {}

    if TYPE_CHECKING:  # The base class has them, its stubs do not.
        socket: _Socket | None

        def _connect_unixsocket(self, address: object) -> None: ...

    def __init__(
        self,
        address: tuple[str, int] | str = ("localhost", logging.handlers.SYSLOG_UDP_PORT),
        facility: int | str = logging.handlers.SysLogHandler.LOG_USER,
        socket_type: _SocketKind | None = None,
        overflow: int = OVERFLOW_BEHAVIOR_FRAGMENT,
    ) -> None:
        """Open the socket; for UDP, nothing is sent.

        Args:
            address: Host and port, or the path of a Unix socket such as ``/dev/log``.
            facility: The number or name of the syslog facility.
            socket_type: ``SOCK_DGRAM`` or ``SOCK_STREAM``. ``None`` is UDP, and for a path whatever is
                listening.
            overflow: What to do with records that do not fit into a packet.

        Raises:
            OSError: The host is unknown (``gaierror``), or a TCP connection is refused. That nobody listens
                at a path is no error: each record tries again.
        """
        super().__init__(address=address, facility=facility, socktype=socket_type)
        self._maximum_length: int | None = None
        self.overflow: int = overflow
        if self.unixsocket or self.socktype == socket.SOCK_STREAM:
            self._maximum_length = _MAXIMUM_STREAM_RECORD_IN_BYTES
            self.overflow = self.OVERFLOW_BEHAVIOR_TRUNCATE

    @property
    def maximum_length(self) -> int:
        """The length of the longest packet in bytes, all told; found out at the first use."""
        if self._maximum_length is None:
            self._maximum_length = self._discover_maximum_length()
        return self._maximum_length

    @maximum_length.setter
    def maximum_length(self, length_in_bytes: int) -> None:
        self._maximum_length = length_in_bytes

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, cut or split if it is too long for one packet.

        Args:
            record: The record. An error while it is formatted or sent goes to ``handleError``.
        """
        try:
            text = self.format(record)
            priority = self.encodePriority(self.facility, self.mapPriority(record.levelname))
            prefix = f"<{priority}>".encode() + encode(self.ident)
            suffix = b"\0" if self.append_nul else b""
            limit = self.maximum_length - len(prefix) - len(suffix)
            self._send(prefix + part + suffix for part in self._parts(record, text, limit))
        except Exception:
            self.handleError(record)

    def _parts(self, record: logging.LogRecord, text: str, limit: int) -> Iterable[bytes]:
        encoded = encode(text)
        if len(encoded) < limit:
            return (encoded,)
        if self.overflow != self.OVERFLOW_BEHAVIOR_TRUNCATE:
            parts = fragments(text, record.getMessage(), limit)
            if parts is not None:
                return parts
        return (truncated(encoded, limit),)

    def _send(self, packets: Iterable[bytes]) -> None:
        for packet in packets:
            if self.unixsocket:
                self._send_to_unix_socket(packet)
            elif self.socktype == socket.SOCK_DGRAM:
                self._open_socket().sendto(packet, cast("tuple[str, int]", self.address))
            else:
                self._open_socket().sendall(packet)

    def _send_to_unix_socket(self, packet: bytes) -> None:
        unix_socket = self._open_socket()
        try:
            unix_socket.send(packet)
        except OSError:
            unix_socket.close()
            self._connect_unixsocket(self.address)
            self._open_socket().send(packet)

    def _open_socket(self) -> _Socket:
        if self.socket is None:  # The base class forgets the socket when the handler is closed.
            self.createSocket()
        return cast("_Socket", self.socket)  # createSocket sets it or raises.

    def _discover_maximum_length(self) -> int:
        host, port = cast("tuple[str, int]", self.address)
        family = self._open_socket().family
        mtu = self._MINIMUM_MTU_CACHE.get(host)
        if mtu is None:
            mtu = self._MINIMUM_MTU_CACHE[host] = _discover_minimum_mtu_to_target(host, port, family=family)
        extra_header = _IPV6_EXTRA_HEADER_LENGTH_IN_BYTES if family == socket.AF_INET6 else 0
        return mtu - DATAGRAM_HEADER_LENGTH_IN_BYTES - extra_header
