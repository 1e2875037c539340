from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pysoa.common.logging import SyslogHandler

_DEADLINE_S = 10.0


def _record(message: str, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("name", level, "path", 1, message, (), None)


class _Receiver:
    """A syslog daemon for datagrams."""

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int] | str) -> None:
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.settimeout(_DEADLINE_S)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_194_304)
        self._socket.bind(address)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._socket.getsockname()[:2]
        return host, port

    def next_packet(self) -> bytes:
        return self._socket.recv(200_000)

    def waiting_packets(self) -> list[bytes]:
        """Return all that has arrived; on one machine, that is all that was sent."""
        packets: list[bytes] = []
        self._socket.settimeout(0)
        while True:
            try:
                packets.append(self._socket.recv(200_000))
            except BlockingIOError:
                self._socket.settimeout(_DEADLINE_S)
                return packets

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def receiver() -> Iterator[_Receiver]:
    receiver = _Receiver(socket.AF_INET, ("127.0.0.1", 0))
    yield receiver
    receiver.close()


@pytest.fixture
def handler(receiver: _Receiver) -> Iterator[SyslogHandler]:
    handler = SyslogHandler(address=receiver.address)
    handler.setFormatter(logging.Formatter("n %(message)s"))
    yield handler
    handler.close()


def _raise_errors(handler: SyslogHandler) -> None:
    """Let errors in a handler fail the test, instead of being printed."""

    def fail(record: logging.LogRecord) -> None:
        raise

    handler.handleError = fail  # type: ignore[method-assign]


def test_building_a_handler_sends_nothing_and_asks_for_no_mtu(
    receiver: _Receiver, handler: SyslogHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SyslogHandler, "_MINIMUM_MTU_CACHE", {})

    built = SyslogHandler(address=receiver.address)
    built.close()

    assert receiver.waiting_packets() == []
    assert SyslogHandler._MINIMUM_MTU_CACHE == {}  # pyright: ignore[reportPrivateUsage]


def test_first_record_is_the_only_thing_sent(receiver: _Receiver, handler: SyslogHandler) -> None:
    handler.handle(_record("hello"))

    assert receiver.next_packet() == b"<14>n hello\0"
    assert receiver.waiting_packets() == []


def test_mtu_is_found_once_for_each_host(
    receiver: _Receiver, handler: SyslogHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SyslogHandler, "_MINIMUM_MTU_CACHE", {"127.0.0.1": 1_000})

    assert handler.maximum_length == 1_000 - 28


def test_loopback_takes_packets_of_the_greatest_length(receiver: _Receiver, handler: SyslogHandler) -> None:
    assert handler.maximum_length == 65_507


def test_priority_has_facility_and_level(receiver: _Receiver) -> None:
    handler = SyslogHandler(address=receiver.address, facility=SyslogHandler.LOG_LOCAL7)

    handler.handle(_record("m", logging.ERROR))

    handler.close()
    assert receiver.next_packet() == b"<187>m\0"


def test_identity_and_missing_nul_are_heeded(receiver: _Receiver, handler: SyslogHandler) -> None:
    handler.ident = "me: "
    handler.append_nul = False

    handler.handle(_record("hello"))

    assert receiver.next_packet() == b"<14>me: n hello"


def test_record_just_below_the_limit_is_one_packet(receiver: _Receiver, handler: SyslogHandler) -> None:
    handler.maximum_length = 60

    handler.handle(_record("y" * 52))

    assert receiver.waiting_packets() == [b"<14>n " + b"y" * 52 + b"\0"]


def test_record_at_the_limit_is_split(receiver: _Receiver, handler: SyslogHandler) -> None:
    handler.maximum_length = 60

    handler.handle(_record("y" * 53))

    packets = receiver.waiting_packets()
    assert packets == [
        b"<14>n " + b"y" * 41 + b"... (cont'd)\0",
        b"<14>n (cont'd #2) ..." + b"y" * 12 + b"\0",
    ]


def test_split_packets_have_the_lengths_of_pysoa_1(receiver: _Receiver, handler: SyslogHandler) -> None:
    handler.maximum_length = 60

    handler.handle(_record("y" * 120))

    assert [len(packet) for packet in receiver.waiting_packets()] == [60, 60, 60, 60, 23]


def test_split_packets_repeat_the_identity(receiver: _Receiver, handler: SyslogHandler) -> None:
    handler.maximum_length = 60
    handler.ident = "id: "

    handler.handle(_record("€" * 60))

    packets = receiver.waiting_packets()
    assert [len(packet) for packet in packets] == [59, 59, 59, 59, 59, 59, 59, 44]
    assert all(packet.startswith(b"<14>id: n ") and packet.endswith(b"\0") for packet in packets)


def test_record_is_cut_if_truncation_is_asked_for(receiver: _Receiver) -> None:
    handler = SyslogHandler(address=receiver.address, overflow=SyslogHandler.OVERFLOW_BEHAVIOR_TRUNCATE)
    handler.maximum_length = 60

    handler.handle(_record("€" * 60))

    handler.close()
    assert receiver.waiting_packets() == [b"<14>" + "€".encode() * 18 + b"\0"]


@pytest.mark.parametrize("maximum_length", [*range(-3, 40), 60])
def test_record_whose_preamble_fills_the_packet_is_cut_at_once(
    receiver: _Receiver, handler: SyslogHandler, maximum_length: int
) -> None:
    handler.setFormatter(logging.Formatter("preamble " * 5 + "%(message)s"))
    handler.maximum_length = maximum_length

    handler.handle(_record("y" * 100))

    (packet,) = receiver.waiting_packets()
    assert packet == b"<14>" + (b"preamble " * 5 + b"y" * 100)[: max(maximum_length - 5, 0)] + b"\0"


def test_long_record_arrives_whole_over_loopback(receiver: _Receiver, handler: SyslogHandler) -> None:
    handler.handle(_record("é" * 100_000))

    packets = receiver.waiting_packets()
    assert len(packets) == 4
    assert b"".join(packets).count("é".encode()) == 100_000


def test_lone_surrogate_does_not_lose_the_record(receiver: _Receiver, handler: SyslogHandler) -> None:
    handler.handle(_record("bad \ud800 text"))

    assert receiver.next_packet() == b"<14>n bad \\ud800 text\0"


def test_error_while_formatting_goes_to_the_error_handler(handler: SyslogHandler) -> None:
    failed: list[logging.LogRecord] = []
    handler.handleError = failed.append  # type: ignore[method-assign, assignment]
    record = logging.LogRecord("name", logging.INFO, "path", 1, "%d", ("no number",), None)

    handler.handle(record)

    assert failed == [record]


def test_unknown_host_fails_at_construction() -> None:
    with pytest.raises(socket.gaierror):
        SyslogHandler(address=("no-such-host.invalid", 514))


def test_closed_handler_opens_its_socket_again(receiver: _Receiver, handler: SyslogHandler) -> None:
    handler.close()

    handler.handle(_record("again"))

    assert receiver.next_packet() == b"<14>n again\0"


def test_ip_version_6_works_with_its_longer_header() -> None:
    try:
        receiver = _Receiver(socket.AF_INET6, ("::1", 0))
    except OSError:
        pytest.skip("this machine has no IP version 6")
    handler = SyslogHandler(address=receiver.address)
    _raise_errors(handler)

    handler.handle(_record("y" * 70_000))

    maximum_length = handler.maximum_length
    handler.close()
    packets = receiver.waiting_packets()
    receiver.close()
    assert maximum_length == 65_535 - 48
    assert len(packets[0]) == maximum_length
    assert b"".join(packets).count(b"y") == 70_000


def test_unix_datagram_socket_takes_long_records_whole(tmp_path: Path) -> None:
    receiver = _Receiver(socket.AF_UNIX, str(tmp_path / "log"))
    handler = SyslogHandler(address=str(tmp_path / "log"))
    _raise_errors(handler)

    handler.handle(_record("y" * 100_000))

    handler.close()
    packet = receiver.next_packet()
    receiver.close()
    assert packet == b"<14>" + b"y" * 100_000 + b"\0"


def test_unix_socket_is_reconnected_when_the_daemon_was_restarted(tmp_path: Path) -> None:
    path = tmp_path / "log"
    handler = SyslogHandler(address=str(path))  # Nobody is listening yet.
    _raise_errors(handler)
    received: list[bytes] = []

    for message in ("first", "second"):
        receiver = _Receiver(socket.AF_UNIX, str(path))
        handler.handle(_record(message))
        received.append(receiver.next_packet())
        receiver.close()
        path.unlink()

    handler.close()
    assert received == [b"<14>first\0", b"<14>second\0"]


def test_unix_socket_without_a_daemon_goes_to_the_error_handler(tmp_path: Path) -> None:
    handler = SyslogHandler(address=str(tmp_path / "missing"))
    failed: list[logging.LogRecord] = []
    handler.handleError = failed.append  # type: ignore[method-assign, assignment]
    record = _record("lost")

    handler.handle(record)

    handler.close()
    assert failed == [record]


def test_tcp_cuts_records_at_one_mebibyte_and_never_splits() -> None:
    received = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(_DEADLINE_S)

        def receive_until_the_end() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(_DEADLINE_S)
                while data := connection.recv(65_536):
                    received.extend(data)

        thread = threading.Thread(target=receive_until_the_end)
        thread.start()
        handler = SyslogHandler(
            address=listener.getsockname(),
            socket_type=socket.SOCK_STREAM,
            overflow=SyslogHandler.OVERFLOW_BEHAVIOR_FRAGMENT,
        )
        _raise_errors(handler)

        handler.handle(_record("y" * 2_000_000))

        handler.close()
        thread.join(_DEADLINE_S)

    assert handler.overflow == SyslogHandler.OVERFLOW_BEHAVIOR_TRUNCATE
    assert bytes(received) == b"<14>" + b"y" * (1_048_576 - 5) + b"\0"


def test_default_handler_is_for_udp_to_the_local_host() -> None:
    handler = SyslogHandler()

    handler.close()

    assert handler.address == ("localhost", 514)
    assert handler.facility == SyslogHandler.LOG_USER == 1
    assert handler.overflow == SyslogHandler.OVERFLOW_BEHAVIOR_FRAGMENT == 0
