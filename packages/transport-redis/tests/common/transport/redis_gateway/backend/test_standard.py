from __future__ import annotations

import contextlib
import os
import pathlib
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest
import trustme

from pysoa.common.transport.redis_gateway._interfaces import BackendError
from pysoa.common.transport.redis_gateway.backend.base import BaseRedisClient
from pysoa.common.transport.redis_gateway.backend.standard import StandardRedisClient
from pysoa.test.redis_server import RedisServer, RedisTls

PING = b"*1\r\n$4\r\nPING\r\n"
SECRET = "hunter2"


def soon(seconds: float = 5) -> float:
    return time.monotonic() + seconds


def backend_of(server: RedisServer, **connection_kwargs: Any) -> StandardRedisClient:
    return StandardRedisClient([(server.host, server.port)], connection_kwargs)


def ask(backend: BaseRedisClient, deadline: float, index: int = 0, command: bytes = PING) -> object:
    """As the transport does: a connection that failed is thrown away."""
    connection = backend.acquire(index, deadline)
    try:
        connection.write(command, deadline)
        reply = connection.read(deadline)
    except BaseException:
        backend.discard(connection)
        raise
    backend.release(connection)
    return reply


@pytest.fixture(scope="module")
def guarded_server() -> Iterator[RedisServer]:
    """A server with a password, and with a user of its own."""
    with RedisServer(password=SECRET, config=[f"user worker on >{SECRET}2 ~* +@all"]) as server:
        yield server


@pytest.fixture
def mortal_server() -> Iterator[RedisServer]:
    """A server that the test may kill."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def authority_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def certificate(authority: trustme.CA, folder: pathlib.Path, *names: str) -> tuple[str, str]:
    issued = authority.issue_cert(*names)
    certificate_file, key_file = folder / "cert.pem", folder / "key.pem"
    issued.private_key_pem.write_to_path(str(key_file))
    for blob in issued.cert_chain_pems:
        blob.write_to_path(str(certificate_file), append=True)
    return str(certificate_file), str(key_file)


@pytest.fixture(scope="module")
def tls_server(
    needs_tls: None, authority: trustme.CA, authority_file: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer]:
    names = certificate(authority, tmp_path_factory.mktemp("server"), "127.0.0.1", "localhost")
    with RedisServer(tls=RedisTls(*names, authority_file), password=SECRET) as server:
        yield server


def log_in_arguments(authority_file: str) -> dict[str, Any]:
    return {"ssl": True, "ssl_ca_certs": authority_file, "password": SECRET}


# Addresses


def test_default_is_the_local_server() -> None:
    assert repr(StandardRedisClient()) == "<StandardRedisClient of localhost:6379>"
    assert repr(StandardRedisClient(hosts=[])) == "<StandardRedisClient of localhost:6379>"


def test_masters_keep_their_order() -> None:
    backend = StandardRedisClient(["b", ("a", 7), "redis://c:8/1", "rediss://u:p@d", "unix:///run/r.sock"])

    assert backend.ring_size == 5
    assert repr(backend) == "<StandardRedisClient of b:6379, a:7, c:8, d:6379, /run/r.sock>"


def test_plain_string_is_no_list_of_hosts() -> None:
    with pytest.raises(ValueError, match=r"^Redis hosts must be specified as an iterable of hosts\.$"):
        StandardRedisClient("localhost")


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(5, id="number"),
        pytest.param(("h", "6379"), id="port that is text"),
        pytest.param(("h", 1, 2), id="three elements"),
        pytest.param(("redis://u:p@h", 6379), id="url in the place of a host"),
        pytest.param(["h", 1], id="list"),
    ],
)
def test_other_entries_are_refused(entry: Any) -> None:
    with pytest.raises(ValueError, match="Each Redis `hosts` entries must be specified as either") as caught:
        StandardRedisClient([entry])

    assert "u:p@" not in str(caught.value)


def test_unusable_url_is_refused_without_its_password() -> None:
    with pytest.raises(ValueError, match="URL") as caught:
        StandardRedisClient([f"redis://user:{SECRET}@host:notaport/0"])

    assert SECRET not in str(caught.value)


def test_arguments_of_the_caller_are_not_changed() -> None:
    arguments: dict[str, Any] = {"db": 1, "decode_responses": True}

    StandardRedisClient(["h"], arguments)

    assert arguments == {"db": 1, "decode_responses": True}


# Ways to connect


def test_nothing_is_connected_before_it_is_needed(mortal_server: RedisServer) -> None:
    backend = backend_of(mortal_server)

    assert "Connected" not in repr(backend)
    assert str(mortal_server.execute("CLIENT", "LIST")).count("id=") == 1
    assert ask(backend, soon()) == b"PONG"


def test_two_masters_are_told_apart(clean_redis: RedisServer, mortal_server: RedisServer) -> None:
    backend = StandardRedisClient([(server.host, server.port) for server in (clean_redis, mortal_server)])

    for index in range(2):
        ask(backend, soon(), index, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n%d\r\n" % index)

    assert [clean_redis.execute("GET", "k"), mortal_server.execute("GET", "k")] == [b"0", b"1"]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"password": SECRET}, id="password"),
        pytest.param({"username": "default", "password": SECRET}, id="default user"),
        pytest.param({"username": "worker", "password": f"{SECRET}2"}, id="other user"),
        pytest.param({"password": SECRET, "protocol": 3}, id="version 3 of the protocol"),
        pytest.param({"password": SECRET, "decode_responses": True}, id="decoding"),
    ],
)
def test_log_in(guarded_server: RedisServer, arguments: dict[str, Any]) -> None:
    assert ask(backend_of(guarded_server, **arguments), soon()) == b"PONG"


@pytest.mark.parametrize(
    ("arguments", "cause_name"),
    [
        pytest.param({"password": "wrong" + SECRET}, "AuthenticationError", id="wrong password"),
        pytest.param(
            {"username": "worker", "password": SECRET}, "AuthenticationError", id="other's password"
        ),
        pytest.param({"username": "nobody", "password": SECRET}, "AuthenticationError", id="unknown user"),
    ],
)
def test_refused_log_in_is_reported_without_the_password(
    guarded_server: RedisServer, arguments: dict[str, Any], cause_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    backend = backend_of(guarded_server, **arguments)

    with pytest.raises(BackendError, match=r"refused to log in: .*Check username and password") as caught:
        ask(backend, soon())

    assert caught.value.cause_name == cause_name
    assert not caught.value.is_connection_error
    assert SECRET not in str(caught.value) + caplog.text + repr(backend)


def test_missing_password_is_an_error_reply(guarded_server: RedisServer) -> None:
    reply = ask(backend_of(guarded_server), soon())

    assert getattr(reply, "text", None) == "Authentication required."


def test_password_for_a_server_that_wants_none_is_reported(mortal_server: RedisServer) -> None:
    with pytest.raises(BackendError, match=r"refused to log in|without any password") as caught:
        ask(backend_of(mortal_server, password=SECRET), soon())

    assert SECRET not in str(caught.value)


def test_url_with_credentials_and_database(guarded_server: RedisServer) -> None:
    host = f"redis://worker:{SECRET}2@{guarded_server.host}:{guarded_server.port}/3"
    backend = StandardRedisClient([host])

    ask(backend, soon(), command=b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n")

    assert b"db3:keys=1" in info(guarded_server, "keyspace")
    assert SECRET not in repr(backend)


def info(server: RedisServer, section: str) -> bytes:
    text = server.execute("INFO", section)
    assert isinstance(text, bytes)
    return text


@pytest.mark.parametrize("by_url", [True, False], ids=["url", "argument"])
def test_unix_socket(mortal_server: RedisServer, by_url: bool) -> None:
    path = str(mortal_server.unix_socket)
    hosts, arguments = ([f"unix://{path}"], {}) if by_url else (None, {"unix_socket_path": path})
    backend = StandardRedisClient(hosts, arguments)

    assert ask(backend, soon()) == b"PONG"
    assert path in repr(backend)


@pytest.mark.parametrize("by_url", [True, False], ids=["url", "argument"])
def test_tls(tls_server: RedisServer, authority_file: str, by_url: bool) -> None:
    if by_url:
        url = f"rediss://:{SECRET}@127.0.0.1:{tls_server.port}"
        backend = StandardRedisClient([url], {"ssl_ca_certs": authority_file})
    else:
        backend = backend_of(tls_server, **log_in_arguments(authority_file))

    replies = [ask(backend, soon()) for _ in range(3)]

    assert replies == [b"PONG"] * 3
    connection = backend.acquire(0, soon())
    backend.release(connection)
    assert backend.acquire(0, soon()) is connection


def test_large_message_goes_through_tls(tls_server: RedisServer, authority_file: str) -> None:
    backend = backend_of(tls_server, **log_in_arguments(authority_file))
    data = os.urandom(3_000_000)

    reply = ask(backend, soon(), command=b"*2\r\n$4\r\nECHO\r\n$%d\r\n%b\r\n" % (len(data), data))

    assert reply == data


def test_client_certificate(
    needs_tls: None,
    authority: trustme.CA,
    authority_file: str,
    tmp_path: pathlib.Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    names = certificate(authority, tmp_path_factory.mktemp("server"), "127.0.0.1")
    client_certificate, client_key = certificate(authority, tmp_path, "client.example")
    arguments = {"ssl": True, "ssl_ca_certs": authority_file}
    with RedisServer(tls=RedisTls(*names, authority_file, require_client_certificate=True)) as server:
        known = backend_of(server, **arguments, ssl_certfile=client_certificate, ssl_keyfile=client_key)
        stranger = backend_of(server, **arguments)

        assert ask(known, soon()) == b"PONG"
        with pytest.raises(BackendError):
            ask(stranger, soon(2))


def test_untrusted_certificate_is_refused(tls_server: RedisServer) -> None:
    with pytest.raises(BackendError, match=r"No TLS connection with Redis at .*certificate") as caught:
        ask(backend_of(tls_server, ssl=True, password=SECRET), soon())

    assert SECRET not in str(caught.value)


# Trouble


@pytest.mark.parametrize("password", [None, SECRET], ids=["without log-in", "with log-in"])
def test_tls_to_a_plain_port_ends_by_the_deadline(mortal_server: RedisServer, password: str | None) -> None:
    started = time.monotonic()

    with pytest.raises(BackendError) as caught:
        ask(backend_of(mortal_server, ssl=True, password=password), started + 1)

    assert time.monotonic() - started < 1.5
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("password", [None, SECRET], ids=["without log-in", "with log-in"])
def test_plain_to_a_tls_port_ends_by_the_deadline(tls_server: RedisServer, password: str | None) -> None:
    started = time.monotonic()

    with pytest.raises(BackendError) as caught:
        ask(backend_of(tls_server, password=password), started + 1)

    assert time.monotonic() - started < 1.5
    assert SECRET not in str(caught.value)


def test_wrong_port_is_reported_at_once() -> None:
    started = time.monotonic()

    with pytest.raises(BackendError, match=r"No connection with Redis at 127\.0\.0\.1:1: Connection refused"):
        ask(StandardRedisClient([("127.0.0.1", 1)]), soon())

    assert time.monotonic() - started < 1


def test_unknown_host_is_reported() -> None:
    with pytest.raises(BackendError, match=r"No connection with Redis at no-such-host\.invalid:6379"):
        ask(StandardRedisClient(["no-such-host.invalid"]), soon())


@pytest.mark.parametrize("is_used_before", [True, False], ids=["open connection", "new connection"])
def test_paused_server_is_given_up_by_the_deadline_and_used_again_later(
    mortal_server: RedisServer, is_used_before: bool
) -> None:
    backend = backend_of(mortal_server)
    if is_used_before:
        ask(backend, soon())
    mortal_server.pause()
    started = time.monotonic()

    with pytest.raises(BackendError, match="did not answer within the time limit") as caught:
        ask(backend, started + 0.5)
    took_s = time.monotonic() - started
    mortal_server.resume()

    assert 0.5 <= took_s < 1.0
    assert caught.value.cause_name == "TimeoutError"
    assert ask(backend, soon()) == b"PONG"


def test_large_command_to_a_paused_server_is_given_up_by_the_deadline(mortal_server: RedisServer) -> None:
    backend = backend_of(mortal_server)
    ask(backend, soon())
    mortal_server.pause()
    started = time.monotonic()
    data = b"x" * 20_000_000

    with pytest.raises(BackendError, match="time limit"):
        ask(backend, started + 0.5, command=b"*2\r\n$4\r\nECHO\r\n$%d\r\n%b\r\n" % (len(data), data))

    assert time.monotonic() - started < 1.0
    mortal_server.resume()


def test_killed_server_costs_no_call_after_it_is_back(mortal_server: RedisServer) -> None:
    backend = backend_of(mortal_server)
    connections = [backend.acquire(0, soon()) for _ in range(5)]
    for connection in connections:
        backend.release(connection)

    mortal_server.kill()
    with pytest.raises(BackendError, match="Connection refused"):
        ask(backend, soon())
    mortal_server.start()

    assert [ask(backend, soon()) for _ in range(20)] == [b"PONG"] * 20


def test_server_killed_while_it_is_waited_for_is_an_error_at_once(mortal_server: RedisServer) -> None:
    backend = backend_of(mortal_server)
    connection = backend.acquire(0, soon())
    connection.write(b"*3\r\n$5\r\nBLPOP\r\n$1\r\nq\r\n$2\r\n30\r\n", soon())
    mortal_server.kill()
    started = time.monotonic()

    with pytest.raises(BackendError, match="No connection with"):
        connection.read(soon(10))

    assert time.monotonic() - started < 1
    backend.discard(connection)


def test_server_that_becomes_a_replica_while_it_is_waited_for_is_an_error(
    mortal_server: RedisServer, redis_server: RedisServer
) -> None:
    backend = backend_of(mortal_server)
    connection = backend.acquire(0, soon())
    connection.write(b"*3\r\n$5\r\nBLPOP\r\n$1\r\nq\r\n$2\r\n30\r\n", soon())
    deadline = soon()
    while b"blocked_clients:1" not in info(mortal_server, "clients"):
        assert time.monotonic() < deadline

    mortal_server.execute("REPLICAOF", redis_server.host, redis_server.port)

    with pytest.raises(BackendError, match="cannot serve now: UNBLOCKED"):
        connection.read(soon())
    backend.discard(connection)
    with pytest.raises(
        BackendError, match="cannot serve now: You can't write against a read only replica"
    ) as caught:
        ask(backend, soon(), command=b"*3\r\n$5\r\nRPUSH\r\n$1\r\nq\r\n$1\r\nx\r\n")
    assert caught.value.cause_name == "ReadOnlyError"


def test_script_on_a_replica_is_the_same_error(mortal_server: RedisServer, redis_server: RedisServer) -> None:
    backend = backend_of(mortal_server)
    mortal_server.execute("REPLICAOF", redis_server.host, redis_server.port)
    script = b"return redis.call('RPUSH', 'q', 'x')"

    with pytest.raises(BackendError, match="cannot serve now") as caught:
        ask(backend, soon(), command=b"*3\r\n$4\r\nEVAL\r\n$%d\r\n%b\r\n$1\r\n0\r\n" % (len(script), script))

    assert caught.value.cause_name == "ReadOnlyError"


def test_connections_are_not_multiplied_by_errors(mortal_server: RedisServer) -> None:
    backend = backend_of(mortal_server)
    for _ in range(50):
        connection = backend.acquire(0, soon())
        connection.write(PING, soon())
        backend.discard(connection)

    deadline = soon()
    while str(mortal_server.execute("CLIENT", "LIST")).count("id=") > 1:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_tools_share_the_arguments_of_the_transport(guarded_server: RedisServer) -> None:
    backend = backend_of(guarded_server, password=SECRET, decode_responses=True)

    client = cast(Any, backend.get_connection("pysoa:service.x"))
    with contextlib.closing(client):
        assert client.echo("hi") == b"hi"


@pytest.mark.parametrize("password", ["hunter2/x", "hunter2?x", "hunter2#x", "hunter2[x"])
def test_url_with_an_unquoted_password_is_refused_without_showing_it(password: str) -> None:
    with pytest.raises(ValueError, match="%2F") as caught:
        StandardRedisClient(hosts=[f"redis://user:{password}@localhost:6379/0"])

    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
