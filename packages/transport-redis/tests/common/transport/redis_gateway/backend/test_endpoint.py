from __future__ import annotations

from typing import Any

import pytest
import redis
import redis.sentinel

from pysoa.common.transport.redis_gateway.backend import _redis_py
from pysoa.common.transport.redis_gateway.backend._endpoint import Endpoint, pair_in


class _ManagedTlsConnection(redis.sentinel.SentinelManagedConnection, redis.SSLConnection):
    """As redis-py users wrote before it had one of its own."""


def test_unknown_argument_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="no_such_argument"):
        Endpoint({"host": "h", "port": 1, "no_such_argument": 1})


def test_arguments_that_contradict_each_other_are_refused_without_showing_them() -> None:
    with pytest.raises(ValueError, match="not usable") as caught:
        Endpoint(
            {
                "host": "h",
                "port": 1,
                "password": "hunter2",
                "credential_provider": redis.UsernamePasswordCredentialProvider("a", "hunter2"),
            }
        )

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"decode_responses": True}, id="decode_responses"),
        pytest.param({"protocol": 3}, id="protocol"),
        pytest.param({"retry_on_timeout": True}, id="retry_on_timeout"),
        pytest.param({"retry_on_error": [ValueError]}, id="retry_on_error"),
        pytest.param({"socket_timeout": 0.1}, id="socket_timeout"),
        pytest.param({"single_connection_client": True}, id="single_connection_client"),
        pytest.param({"socket_read_size": 1024}, id="socket_read_size"),
        pytest.param({"max_connections": 3}, id="max_connections"),
        pytest.param({"socket_type": 0}, id="an argument of connections alone"),
        pytest.param({"ssl_certfile": "/no/file", "ssl": False}, id="tls arguments without tls"),
        pytest.param({"connection_class": redis.Connection}, id="connection_class"),
    ],
)
def test_arguments_that_redis_py_takes_are_taken(arguments: dict[str, Any]) -> None:
    endpoint = Endpoint({"host": "h", "port": 1, **arguments})

    assert endpoint.address == "h:1"


@pytest.mark.parametrize(
    ("arguments", "expected_class"),
    [
        pytest.param({}, redis.Connection, id="plain"),
        pytest.param({"ssl": True}, redis.SSLConnection, id="tls"),
        pytest.param({"unix_socket_path": "/s"}, redis.UnixDomainSocketConnection, id="unix"),
        pytest.param({"connection_class": _ManagedTlsConnection}, redis.SSLConnection, id="given, tls"),
        pytest.param(
            {"connection_class": redis.sentinel.SentinelManagedConnection},
            redis.Connection,
            id="given, plain",
        ),
    ],
)
def test_class_of_connections_follows_from_the_arguments(
    arguments: dict[str, Any], expected_class: type
) -> None:
    connection_class, _ = _redis_py.connection_class_and_arguments({"host": "h", "port": 1, **arguments})

    assert connection_class is expected_class


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        pytest.param({"host": "db.example", "port": 7}, "db.example:7", id="name"),
        pytest.param({"host": "::1", "port": 7}, "[::1]:7", id="ipv6"),
        pytest.param({"unix_socket_path": "/run/redis.sock"}, "/run/redis.sock", id="unix"),
    ],
)
def test_address_is_shown_as_an_operator_writes_it(arguments: dict[str, Any], address: str) -> None:
    endpoint = Endpoint(arguments)

    assert endpoint.name == f"Redis at {address}"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("redis://h:12/3", {"host": "h", "port": 12, "db": 3}, id="redis"),
        pytest.param(
            "rediss://u:p@h", {"host": "h", "username": "u", "password": "p", "ssl": True}, id="rediss"
        ),
        pytest.param("unix:///s?db=2", {"unix_socket_path": "/s", "db": 2}, id="unix"),
    ],
)
def test_url_becomes_arguments(url: str, expected: dict[str, Any]) -> None:
    assert _redis_py.url_arguments(url) == expected


def test_repr_shows_no_secret() -> None:
    endpoint = Endpoint({"host": "h", "port": 1, "username": "u", "password": "hunter2"})

    assert "hunter2" not in repr(endpoint) + repr(vars(endpoint)["secrets"])


@pytest.mark.parametrize(
    ("entry", "pair"),
    [
        pytest.param(("h", 1), ("h", 1), id="pair"),
        pytest.param(("h",), (None, None), id="too short"),
        pytest.param("h", (None, None), id="string"),
    ],
)
def test_pairs_are_told_from_other_entries(entry: object, pair: tuple[object, object]) -> None:
    assert pair_in(entry) == pair
