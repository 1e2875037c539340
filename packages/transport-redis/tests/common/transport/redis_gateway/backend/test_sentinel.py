# Some of what is tested here is private.
# pyright: reportPrivateUsage=false
from __future__ import annotations

import concurrent.futures
import contextlib
import logging
import pathlib
import random
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import attrs
import pytest
import redis
import trustme
from pymetrics.instruments import Counter

from pysoa.common.transport.redis_gateway._interfaces import BackendError
from pysoa.common.transport.redis_gateway.backend.base import BaseRedisClient, CannotGetConnectionError
from pysoa.common.transport.redis_gateway.backend.sentinel import SentinelRedisClient
from pysoa.test.redis_server import RedisSentinel, RedisServer, RedisTls

PING = b"*1\r\n$4\r\nPING\r\n"
SECRET = "hunter2"
LOGGER = "pysoa.common.transport.redis_gateway.backend.sentinel"


def soon(seconds: float = 5) -> float:
    return time.monotonic() + seconds


def wait_until(condition: Callable[[], object], seconds: float = 15) -> None:
    deadline = soon(seconds)
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def pack(*arguments: str) -> bytes:
    return b"".join(
        (b"*%d\r\n" % len(arguments), *(b"$%d\r\n%b\r\n" % (len(a), a.encode()) for a in arguments))
    )


def ask(backend: BaseRedisClient, deadline: float, *, index: int = 0, command: bytes = PING) -> object:
    """As the transport does: after an error, the connection is thrown away and the masters are forgotten."""
    try:
        connection = backend.acquire(index, deadline)
        try:
            connection.write(command, deadline)
            reply = connection.read(deadline)
        except BaseException:
            backend.discard(connection)
            raise
    except BackendError:
        backend.reset_clients()
        raise
    backend.release(connection)
    return reply


@attrs.define
class Deployment:
    """A master, two replicas and three Sentinels that know each other."""

    master: RedisServer
    replicas: list[RedisServer]
    sentinels: list[RedisSentinel]

    @property
    def hosts(self) -> list[tuple[str, int]]:
        return [(sentinel.host, sentinel.port) for sentinel in self.sentinels]

    def master_port(self) -> int:
        address = self.sentinels[0].execute("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")
        assert isinstance(address, list)
        assert isinstance(address[1], bytes)
        return int(address[1])

    def is_complete(self) -> bool:
        return all(
            _count(sentinel, "SENTINELS") == 2 and _count(sentinel, "REPLICAS") == 2
            for sentinel in self.sentinels
        )


def _count(sentinel: RedisSentinel, kind: str) -> int:
    found = sentinel.execute("SENTINEL", kind, "main")
    assert isinstance(found, list)
    return len(found)


@contextlib.contextmanager
def deployed() -> Generator[Deployment]:
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(RedisServer())
        replicas = [stack.enter_context(RedisServer(replica_of=master)) for _ in range(2)]
        sentinels = [
            stack.enter_context(RedisSentinel({"main": master}, quorum=2, down_after_in_seconds=0.4))
            for _ in range(3)
        ]
        whole = Deployment(master, replicas, sentinels)
        wait_until(whole.is_complete)
        yield whole


@pytest.fixture
def mortal_deployment() -> Iterator[Deployment]:
    """One that a test may break."""
    with deployed() as whole:
        yield whole


@pytest.fixture(scope="module")
def lasting_deployment() -> Iterator[Deployment]:
    with deployed() as whole:
        yield whole


@pytest.fixture
def deployment(lasting_deployment: Deployment) -> Iterator[Deployment]:
    """One whose Sentinels a test may pause, and nothing else."""
    yield lasting_deployment
    for sentinel in lasting_deployment.sentinels:
        sentinel.resume()


@pytest.fixture
def two_masters() -> Iterator[tuple[list[RedisServer], list[RedisSentinel]]]:
    with contextlib.ExitStack() as stack:
        masters = [stack.enter_context(RedisServer()) for _ in range(4)]
        names = ["delta", "alpha", "charlie", "bravo"]
        sentinels = [
            stack.enter_context(RedisSentinel(dict(zip(order, masters, strict=True))))
            for order in [names] * 3
        ]
        yield masters, sentinels


# Arguments


def test_negative_retries_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^sentinel_failover_retries must be >= 0$"):
        SentinelRedisClient(sentinel_failover_retries=-1)


def test_services_must_be_a_list_of_strings() -> None:
    wrong: Any = [1]

    with pytest.raises(ValueError, match="must be specified as an iterable list of strings"):
        SentinelRedisClient(sentinel_services="main")
    with pytest.raises(ValueError, match="must be specified as strings"):
        SentinelRedisClient(sentinel_services=wrong)


@pytest.mark.parametrize("hosts", ["localhost", [5], [("h", "1")], ["redis://u:p@h"], [("redis://u:p@h", 1)]])
def test_other_hosts_are_refused(hosts: Any) -> None:
    with pytest.raises(ValueError, match=r"[Hh]osts") as caught:
        SentinelRedisClient(hosts)

    assert "u:p@" not in str(caught.value)


def test_hosts_without_a_port_get_the_one_of_sentinels() -> None:
    assert "by localhost:26379>" in repr(SentinelRedisClient())
    assert "by a:26379, b:7>" in repr(SentinelRedisClient(["a", ("b", 7)]))


@pytest.mark.parametrize("name", ["connection_kwargs", "sentinel_kwargs"])
def test_unknown_arguments_are_refused_at_once(name: str) -> None:
    arguments: dict[str, Any] = {name: {"no_such_argument": 1}}

    with pytest.raises(TypeError, match="no_such_argument"):
        SentinelRedisClient(**arguments)


def test_nothing_is_asked_before_it_is_needed() -> None:
    backend = SentinelRedisClient([("127.0.0.1", 1)], sentinel_services=["main", "other"])

    assert backend.ring_size == 2
    assert backend.index_for("pysoa:service.x") in (0, 1)


# Discovery


def test_discovered_services_are_sorted_and_reported(
    two_masters: tuple[list[RedisServer], list[RedisSentinel]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", LOGGER)
    masters, sentinels = two_masters
    backends = [SentinelRedisClient([(sentinel.host, sentinel.port)]) for sentinel in sentinels]

    orders = [
        [ask(backend, soon(), index=index, command=pack("CONFIG", "GET", "port")) for index in range(4)]
        for backend in backends
        if backend.ring_size == 4
    ]

    expected = [[b"port", b"%d" % masters[place].port] for place in (1, 3, 2, 0)]
    assert orders == [expected] * 3
    assert [record.levelname for record in caplog.records].count("WARNING") == 3
    assert "set sentinel_services to the same list everywhere" in caplog.text
    assert f"Sentinel master address: ('127.0.0.1', {masters[1].port})" in caplog.text


def test_given_services_keep_their_order_and_cause_no_warning(
    two_masters: tuple[list[RedisServer], list[RedisSentinel]], caplog: pytest.LogCaptureFixture
) -> None:
    masters, sentinels = two_masters
    backend = SentinelRedisClient(
        [(sentinel.host, sentinel.port) for sentinel in sentinels], sentinel_services=["delta", "bravo"]
    )

    ports = [ask(backend, soon(), index=index, command=pack("CONFIG", "GET", "port")) for index in range(2)]

    assert ports == [[b"port", b"%d" % masters[place].port] for place in (0, 3)]
    assert not caplog.records


def test_size_of_the_ring_is_asked_for_once(redis_server: RedisServer) -> None:
    with RedisSentinel({"main": redis_server}) as sentinel:
        backend = SentinelRedisClient([(sentinel.host, sentinel.port)])
        size = backend.ring_size

    assert size == 1
    assert backend.ring_size == 1
    assert backend.index_for("pysoa:service.x!1") == 0


def test_no_sentinel_that_answers_is_a_connection_error_with_all_reasons() -> None:
    backend = SentinelRedisClient([("127.0.0.1", 1), ("127.0.0.1", 2)], sentinel_kwargs={"password": SECRET})

    with pytest.raises(BackendError) as caught:
        backend.index_for("pysoa:service.x", deadline=soon(1))

    assert caught.value.is_connection_error
    assert caught.value.text.startswith("Could not get master info from Sentinel\n")
    assert caught.value.text.count("Connection refused") == 2
    assert SECRET not in caught.value.text


def test_size_of_the_ring_is_not_waited_for_past_the_deadline(deployment: Deployment) -> None:
    backend = SentinelRedisClient(deployment.hosts)
    for sentinel in deployment.sentinels:
        sentinel.pause()
    started = time.monotonic()

    with pytest.raises(BackendError):
        backend.next_index(deadline=started + 0.6)

    assert time.monotonic() - started < 1.1


def test_server_that_is_no_sentinel_is_reported(redis_server: RedisServer) -> None:
    backend = SentinelRedisClient([(redis_server.host, redis_server.port)])

    with pytest.raises(BackendError, match=r"unknown command ['`]SENTINEL"):
        backend.index_for("pysoa:service.x")


# Masters


def counting(backend: SentinelRedisClient) -> dict[str, Counter]:
    counters: dict[str, Counter] = {}

    def counter(name: str) -> Counter:
        return counters.setdefault(name, Counter(name))

    backend.metrics_counter_getter = counter
    return counters


def counts(counters: dict[str, Counter]) -> dict[str, int | None]:
    return {name: counter.value for name, counter in counters.items()}


def test_master_is_asked_for_once_and_counted(deployment: Deployment) -> None:
    backend = SentinelRedisClient(deployment.hosts, sentinel_services=["main"])
    counters = counting(backend)

    replies = [ask(backend, soon()) for _ in range(5)]

    assert replies == [b"PONG"] * 5
    assert counts(counters) == {"backend.sentinel.populate_master_client": 1}


def test_reset_keeps_the_connections_to_a_master_that_stays(deployment: Deployment) -> None:
    backend = SentinelRedisClient(deployment.hosts)
    connection = backend.acquire(0, soon())
    backend.release(connection)

    backend.reset_clients()

    assert backend.acquire(0, soon()) is connection


def test_silent_sentinel_leaves_time_for_the_others(deployment: Deployment) -> None:
    deployment.sentinels[0].pause()
    backend = SentinelRedisClient(deployment.hosts)
    started = time.monotonic()

    first = ask(backend, started + 1.5)
    first_took_s = time.monotonic() - started
    backend.reset_clients()
    second = ask(backend, soon(1.5))

    assert [first, second] == [b"PONG", b"PONG"]
    # A third of the time for the silent one, twice: for the services, and for the master.
    assert first_took_s < 1.5
    assert time.monotonic() - started - first_took_s < 0.3


def test_unknown_service_is_given_up_with_the_text_of_1_x(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    backend = SentinelRedisClient(deployment.hosts, sentinel_services=["nobody"])

    with pytest.raises(BackendError) as caught:
        backend.acquire(0, soon(2))

    assert isinstance(caught.value, CannotGetConnectionError)
    assert caught.value.is_connection_error
    assert caught.value.text.startswith(
        "Master not found; gave up reloading master info after failover. Service 'nobody': "
    )
    assert caplog.record_tuples == [
        (LOGGER, logging.WARNING, "Redis master not found, so resetting clients (failover?)")
    ]


def test_retries_wait_as_in_1_x_and_are_counted(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(random, "random", lambda: 0.5)
    backend = SentinelRedisClient(deployment.hosts, sentinel_services=["nobody"], sentinel_failover_retries=3)
    counters = counting(backend)

    with pytest.raises(CannotGetConnectionError):
        backend.acquire(0, soon(60))

    assert pauses == [0.375, 0.625, 1.125]
    assert counts(counters) == {
        "backend.sentinel.populate_master_client": 4,
        "backend.sentinel.master_not_found_retry": 3,
    }


@pytest.mark.parametrize("are_up", [True, False], ids=["answering", "unreachable"])
def test_retries_end_by_the_deadline(deployment: Deployment, are_up: bool) -> None:
    hosts = deployment.hosts if are_up else [("127.0.0.1", 1)]
    backend = SentinelRedisClient(hosts, sentinel_services=["nobody"], sentinel_failover_retries=50)
    started = time.monotonic()

    with pytest.raises(CannotGetConnectionError):
        backend.acquire(0, started + 1)

    assert 0.5 < time.monotonic() - started < 1.5


def test_many_threads_ask_once(deployment: Deployment) -> None:
    backend = SentinelRedisClient(deployment.hosts, sentinel_services=["main"])
    counters = counting(backend)

    with concurrent.futures.ThreadPoolExecutor(16) as executor:
        replies = [reply.result(10) for reply in [executor.submit(ask, backend, soon()) for _ in range(64)]]

    assert replies == [b"PONG"] * 64
    assert counts(counters) == {"backend.sentinel.populate_master_client": 1}


def test_resets_by_other_threads_never_disturb_a_call(deployment: Deployment) -> None:
    backend = SentinelRedisClient(deployment.hosts, sentinel_services=["main"])
    stop_at = soon(1)

    def reset() -> bool:
        while time.monotonic() < stop_at:
            backend.reset_clients()
        return True

    def work() -> bool:
        replies: set[object] = set()
        while time.monotonic() < stop_at:
            connection = backend.acquire(0, soon())
            connection.write(PING, soon())
            replies.add(connection.read(soon()))
            backend.release(connection)
        return replies == {b"PONG"}

    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        results = [executor.submit(function) for function in (reset, work, work, work)]

        assert all(result.result(10) for result in results)


# Fail-over


def test_killed_master_is_replaced_and_then_no_call_fails(
    mortal_deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", LOGGER)
    backend = SentinelRedisClient(mortal_deployment.hosts, connection_kwargs={"password": None})
    ask(backend, soon(), command=pack("SET", "k", "v"))
    old_port = mortal_deployment.master.port

    mortal_deployment.master.kill()
    failed_for_s: list[float] = []

    def is_served_again() -> bool:
        started = time.monotonic()
        try:
            return ask(backend, started + 1) == b"PONG"
        except BackendError:
            failed_for_s.append(time.monotonic() - started)
            return False

    wait_until(is_served_again)
    replies = [ask(backend, soon(), command=pack("INCR", "n")) for _ in range(50)]

    assert replies == list(range(1, 51))
    assert all(took_s < 1.5 for took_s in failed_for_s)
    # The backend may have learned it from another Sentinel than the one that this asks.
    wait_until(lambda: mortal_deployment.master_port() != old_port)
    assert f"Sentinel master address: ('127.0.0.1', {mortal_deployment.master_port()})" in caplog.text


def test_one_call_with_retries_lives_through_a_fail_over(mortal_deployment: Deployment) -> None:
    backend = SentinelRedisClient(mortal_deployment.hosts, sentinel_failover_retries=10)
    ask(backend, soon())
    mortal_deployment.master.kill()
    # From here on all Sentinels know that it is down, and the call waits for them to choose another.
    wait_until(lambda: all(map(is_master_given_up, mortal_deployment.sentinels)))

    reply = ask(backend, soon(15))

    assert reply == b"PONG"
    wait_until(lambda: mortal_deployment.master_port() != mortal_deployment.master.port)


def is_master_given_up(sentinel: RedisSentinel) -> bool:
    fields = sentinel.execute("SENTINEL", "MASTER", "main")
    assert isinstance(fields, list)
    flags, epoch = (fields[fields.index(name) + 1] for name in (b"flags", b"config-epoch"))
    assert isinstance(flags, bytes)
    return b"s_down" in flags or epoch != b"0"


# Log-in and TLS


def test_log_in_to_masters_and_sentinels_differ() -> None:
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(RedisServer(password=SECRET))
        sentinel = stack.enter_context(RedisSentinel({"main": master}, password=f"{SECRET}2"))
        hosts = [(sentinel.host, sentinel.port)]
        backend = SentinelRedisClient(hosts, {"password": SECRET}, sentinel_kwargs={"password": f"{SECRET}2"})
        stranger = SentinelRedisClient(hosts, {"password": SECRET}, sentinel_kwargs={"password": "wrong"})

        assert ask(backend, soon()) == b"PONG"
        with pytest.raises(BackendError, match=r"Sentinel at .* refused to log in") as caught:
            ask(stranger, soon())

    assert SECRET not in repr(backend) + str(caught.value)


def test_tls_to_sentinels_and_masters(needs_tls: None, tmp_path: pathlib.Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    files = [tmp_path / name for name in ("cert.pem", "key.pem", "ca.pem")]
    certificate.cert_chain_pems[0].write_to_path(str(files[0]))
    certificate.private_key_pem.write_to_path(str(files[1]))
    authority.cert_pem.write_to_path(str(files[2]))
    tls = RedisTls(files[0], files[1], files[2])
    arguments: dict[str, Any] = {"ssl": True, "ssl_ca_certs": str(files[2])}
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(RedisServer(tls=tls))
        sentinel = stack.enter_context(
            RedisSentinel({"main": master}, tls=tls, config=["tls-replication yes"])
        )
        hosts = [(sentinel.host, sentinel.port)]
        backend = SentinelRedisClient(hosts, arguments, sentinel_kwargs=arguments)
        half_hearted = SentinelRedisClient(hosts, arguments)

        assert ask(backend, soon()) == b"PONG"
        with pytest.raises(BackendError):
            ask(half_hearted, soon(1))


def test_certificate_alone_asks_for_tls_to_the_masters(redis_server: RedisServer) -> None:
    with RedisSentinel({"main": redis_server}) as sentinel:
        backend = SentinelRedisClient(
            [(sentinel.host, sentinel.port)], {"ssl_certfile": None, "ssl_ca_certs": None}
        )
        with_certificate = SentinelRedisClient([(sentinel.host, sentinel.port)], {"ssl_certfile": "c.pem"})

        plain_client = backend.get_connection("pysoa:service.x")
        tls_client = with_certificate.get_connection("pysoa:service.x")

    assert plain_client.connection_pool.connection_class is redis.Connection
    assert tls_client.connection_pool.connection_class is redis.SSLConnection


# Forks


def test_renewed_backend_forgets_the_connections_of_its_parent(deployment: Deployment) -> None:
    backend = SentinelRedisClient(deployment.hosts)
    connection = backend.acquire(0, soon())
    backend.release(connection)

    backend.renew_after_fork()

    assert backend.acquire(0, soon()) is not connection


def test_tools_get_a_client_of_the_master(deployment: Deployment) -> None:
    backend = SentinelRedisClient(deployment.hosts)

    with contextlib.closing(backend.get_connection("pysoa:service.x")) as client:
        assert client.connection_pool.connection_kwargs["port"] == deployment.master.port
