"""Services run beside the test: they start and stop in bounded time, and say why if they do not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from pysoa.client.client import Client
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import Body
from pysoa.server.action.base import Action
from pysoa.server.server import Server
from pysoa.server.types import EnrichedActionRequest
from pysoa.test.redis_server import RedisServer
from pysoa.test.running import (
    RedisDatabase,
    RunningServiceError,
    ServiceProcess,
    ServiceThread,
    taken_database,
)


class Where(Action):
    """Tells in which process it runs, and with what."""

    def run(self, request: EnrichedActionRequest[Any]) -> Body:
        assert self.settings is not None
        return {
            "pid": os.getpid(),
            "folder": str(Path.cwd()),
            "environment": os.environ.get("MY_VARIABLE"),
            "success_level": self.settings["request_log_success_level"],
            "expiry": self.settings["transport"]["kwargs"].get("message_expiry_in_seconds"),
        }


class Relay(Action):
    """Calls another service."""

    def run(self, request: EnrichedActionRequest[Any]) -> Body:
        return request.client.call_action("where", "where").body


class Sleep(Action):
    """Takes its time."""

    def run(self, request: EnrichedActionRequest[Any]) -> Body:
        time.sleep(request.body["seconds"])
        return {}


class WhereServer(Server):
    """A service that works."""

    service_name = "where"
    action_class_map = {"where": Where, "sleep": Sleep}


class RelayServer(Server):
    """A service that needs another one."""

    service_name = "relay"
    action_class_map = {"relay": Relay}


class BrokenServer(WhereServer):
    """A service that cannot start."""

    def setup(self) -> None:
        raise ValueError("no good")


class SlowServer(WhereServer):
    """A service that takes too long to start."""

    def setup(self) -> None:
        time.sleep(60)


class StubbornServer(WhereServer):
    """A service that does not stop."""

    def teardown(self) -> None:
        time.sleep(60)


@pytest.fixture(params=[ServiceProcess, ServiceThread])
def service_class(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_a_service_serves_in_the_block(service_class: Any, redis_server: RedisServer) -> None:
    service = service_class(WhereServer, redis_server)
    assert not service.is_running

    with service:
        assert service.is_running
        body = service.call_action("where").body
        assert service.client.call_action("where", "where").body == body

    assert not service.is_running
    assert (body["pid"] == os.getpid()) is (service_class is ServiceThread)
    assert body["folder"] == str(Path.cwd())


def test_starting_twice_and_stopping_twice_does_nothing(
    service_class: Any, redis_server: RedisServer
) -> None:
    service = service_class(WhereServer, redis_server)

    assert service.start().start() is service
    service.stop()
    service.stop()

    assert repr(service) == f"<{service_class.__name__} 'where' stopped>"


def test_a_service_can_be_started_again(service_class: Any, redis_server: RedisServer) -> None:
    service = service_class(WhereServer, redis_server)

    for _ in range(2):
        with service:
            assert service.call_action("where").body["pid"]


def test_settings_are_kept_but_for_where_redis_is(service_class: Any, redis_server: RedisServer) -> None:
    settings = {
        "request_log_success_level": "DEBUG",
        "transport": {
            "path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport",
            "kwargs": {
                "backend_type": "redis.sentinel",
                "backend_layer_kwargs": {"hosts": [("no.such.host", 1)]},
                "message_expiry_in_seconds": 77,
            },
        },
    }

    with service_class(WhereServer, redis_server, settings) as service:
        body = service.call_action("where").body

    assert (body["success_level"], body["expiry"]) == ("DEBUG", 77)


def test_services_have_databases_of_their_own(service_class: Any, redis_server: RedisServer) -> None:
    with (
        service_class(WhereServer, redis_server) as first,
        service_class(WhereServer, redis_server) as second,
    ):
        clients = (first.client_settings["where"], second.client_settings["where"])
        numbers = {client["transport"]["kwargs"]["backend_layer_kwargs"]["redis_db"] for client in clients}

    assert len(numbers) == 2


def test_services_in_one_database_can_call_each_other(
    running_service: Callable[..., ServiceProcess], running_service_in_thread: Callable[..., ServiceThread]
) -> None:
    where = running_service_in_thread(WhereServer)

    relay = running_service(RelayServer, {"client_routing": where.client_settings})

    assert relay.call_action("relay").body["pid"] == os.getpid()


def test_a_client_class_may_be_given(redis_server: RedisServer) -> None:
    class MyClient(Client):
        """Another one."""

    with ServiceThread(WhereServer, redis_server, client_class=MyClient) as service:
        assert isinstance(service.client, MyClient)


def test_a_service_that_cannot_start_says_why(service_class: Any, redis_server: RedisServer) -> None:
    service = service_class(BrokenServer, redis_server)

    with pytest.raises(RunningServiceError, match="'where' ended while starting") as raised:
        service.start()

    assert "ValueError: no good" in str(raised.value)
    assert not service.is_running
    with pytest.raises(RunningServiceError, match="is not running"):
        _ = service.client


def test_a_process_that_takes_too_long_to_start_is_ended(redis_server: RedisServer) -> None:
    service = ServiceProcess(SlowServer, redis_server, start_timeout_in_seconds=0.5)

    with pytest.raises(RunningServiceError, match=r"did not serve within 0\.5 seconds"):
        service.start()

    assert not service.is_running


def test_a_process_that_does_not_stop_is_killed(redis_server: RedisServer) -> None:
    service = ServiceProcess(StubbornServer, redis_server, stop_timeout_in_seconds=0.5).start()
    pid = service.pid

    with pytest.raises(RunningServiceError, match=r"did not stop within 0\.5 seconds, and was killed"):
        service.stop()

    assert not psutil.pid_exists(pid)
    assert "starting up" in service.log


def test_a_process_finishes_its_request_before_it_stops(redis_server: RedisServer) -> None:
    with ServiceProcess(WhereServer, redis_server) as service:
        client = service.client
        future = client.call_action_future("where", "sleep", {"seconds": 0.5})
        wait_until(lambda: "Job request" in service.log)
        transport: Any = client.handlers["where"].transport
        assert transport

        os.kill(service.pid, signal.SIGTERM)

        assert future.result().body == {}


def test_several_workers_share_the_work(redis_server: RedisServer) -> None:
    with ServiceProcess(WhereServer, redis_server, worker_count=2) as service:
        workers = {child.pid for child in psutil.Process(service.pid).children()}
        pids = {service.call_action("where").body["pid"] for _ in range(10)}

    assert len(workers) == 2
    assert pids <= workers
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in workers))


def test_a_killed_service_does_not_answer(redis_server: RedisServer) -> None:
    with ServiceProcess(WhereServer, redis_server, worker_count=2) as service:
        workers = psutil.Process(service.pid).children()
        service.kill()

        assert not service.is_running
        wait_until(lambda: not any(worker.is_running() for worker in workers))
        with pytest.raises(MessageReceiveTimeout):
            service.call_action("where", timeout=1)


def test_the_environment_of_a_process_can_be_added_to(redis_server: RedisServer) -> None:
    with ServiceProcess(WhereServer, redis_server, environment={"MY_VARIABLE": "mine"}) as service:
        assert service.call_action("where").body["environment"] == "mine"

    assert "MY_VARIABLE" not in os.environ


def test_a_class_that_no_other_process_can_import_is_refused(redis_server: RedisServer) -> None:
    class LocalServer(WhereServer):
        """Defined in a function."""

    with pytest.raises(ValueError, match="is defined in a function"):
        ServiceProcess(LocalServer, redis_server)
    with ServiceThread(LocalServer, redis_server) as service:
        assert service.call_action("where").body["pid"] == os.getpid()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_service_ends_when_the_tests_are_killed(tmp_path: Path, workers: int) -> None:
    (tmp_path / "my_service.py").write_text(
        textwrap.dedent(
            """\
            from pysoa.server.server import Server

            class MyServer(Server):
                service_name = "mine"
            """
        )
    )
    program = textwrap.dedent(
        f"""\
        import psutil, time
        from my_service import MyServer
        from pysoa.test.redis_server import RedisServer
        from pysoa.test.running import ServiceProcess

        with RedisServer() as redis, ServiceProcess(MyServer, redis, worker_count={workers}) as service:
            print(*[child.pid for child in psutil.Process().children(recursive=True)], flush=True)
            time.sleep(60)
        """
    )
    tests = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert tests.stdout is not None
        pids = list(map(int, tests.stdout.readline().split()))
        assert len(pids) >= 2 + (workers if workers > 1 else 0)
    finally:
        tests.kill()
        tests.communicate(timeout=10)

    wait_until(lambda: not [pid for pid in pids if is_alive(pid)])


# Databases


def test_databases_are_taken_and_given_back_empty() -> None:
    with RedisServer(config=["databases 3"]) as server:
        with taken_database(server) as first, taken_database(server) as second:
            assert (first.number, second.number) == (1, 2)
            set_key(server, first)
            with pytest.raises(RuntimeError, match=r"All 3 databases of .* are in use"):
                taken_database(server).__enter__()
        with taken_database(server) as again:
            assert again.number == 1
            assert set_key(server, again) == 1


def test_the_transports_of_a_database_name_it(redis_server: RedisServer) -> None:
    database = RedisDatabase(redis_server, 3, {"socket_timeout": 1})

    for transport in (database.client_transport, database.server_transport):
        layer = transport["kwargs"]["backend_layer_kwargs"]
        assert layer == {
            "hosts": [(redis_server.host, redis_server.port)],
            "redis_db": 3,
            "connection_kwargs": {"socket_timeout": 1},
        }


def set_key(server: RedisServer, database: RedisDatabase) -> object:
    script = "redis.call('SELECT', ARGV[1]) return redis.call('SETNX', 'key', 'value')"
    return server.execute("EVAL", script, 0, database.number)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], bool], timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
