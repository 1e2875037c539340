from __future__ import annotations

import socket
import sys

import pytest

from pysoa.common._path_mtu import discover_minimum_mtu_to_target

_needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the MTU of a path")


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@_needs_linux
def test_loopback_takes_the_longest_packets() -> None:
    assert discover_minimum_mtu_to_target("127.0.0.1", 514) == 65_535


@_needs_linux
@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IP version 6")
def test_ip_version_6_is_asked_too() -> None:
    assert discover_minimum_mtu_to_target("::1", 514, family=socket.AF_INET6) == 65_535


@_needs_linux
def test_nothing_is_sent_to_find_out() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))

        discover_minimum_mtu_to_target(*receiver.getsockname())

        # On loopback, what is sent has arrived when the call returns.
        with pytest.raises(BlockingIOError):
            receiver.recv(1, socket.MSG_DONTWAIT)


def test_worst_case_is_assumed_where_there_is_no_route() -> None:
    # Connecting a datagram socket to a broadcast address is refused.
    assert discover_minimum_mtu_to_target("255.255.255.255", 514) == 576


def test_unknown_host_is_an_error() -> None:
    with pytest.raises(socket.gaierror):
        discover_minimum_mtu_to_target("no-such-host.invalid", 514)
