"""A Redis that goes away and comes back."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pysoa.test.redis_server import RedisServer

if TYPE_CHECKING:
    from .conftest import Service


@pytest.fixture
def own_redis(service: Service) -> Iterator[RedisServer]:
    """A Redis that only the service of this test uses, since it will be stopped."""
    with RedisServer() as redis:
        service.redis = redis
        yield redis


def test_outage_of_more_failures_than_ended_a_worker_of_1x_is_survived(
    service: Service, own_redis: RedisServer
) -> None:
    heartbeat = service.folder / "beat"
    settings = {"heartbeat_file": str(heartbeat), "harakiri": {"timeout": 3, "shutdown_grace": 3}}
    # Seven failures took it 16 seconds. With short sleeps between them, ten take less.
    short_sleeps = "from pysoa.server import _backoff; _backoff._HIGHEST_EXPONENT = 0"
    process = service.start_and_wait(
        settings=json.dumps(settings), environment={"TEST_IN_SETUP": short_sleeps}
    )
    service.call("pid")

    own_redis.kill()
    process.wait_for_output("Transient error receiving message from transport, sleeping", count=10)
    age_of_heartbeat = time.time() - float(heartbeat.read_text())
    own_redis.start()
    process.wait_for_output("The transport works again, after")

    assert age_of_heartbeat < 4
    assert service.call("pid") == {"pid": process.pid, "fid": None}
    assert process.stop() == 0


def test_signal_during_an_outage_ends_the_worker_within_a_second_or_two(
    service: Service, own_redis: RedisServer
) -> None:
    process = service.start_and_wait("--fork", "2", workers=2)
    own_redis.kill()
    process.wait_for_output("Transient error receiving message from transport, sleeping", count=6)
    started = time.monotonic()

    exit_code = process.stop()

    assert exit_code == 0
    assert time.monotonic() - started < 3


def test_service_started_before_redis_serves_when_redis_is_there(
    service: Service, own_redis: RedisServer
) -> None:
    own_redis.kill()
    process = service.start_and_wait()
    process.wait_for_output("Transient error receiving message from transport, sleeping")

    own_redis.start()

    assert service.call("pid", timeout=15) == {"pid": process.pid, "fid": None}
    assert process.stop() == 0


def test_limit_on_an_outage_ends_the_worker_with_code_1(service: Service, own_redis: RedisServer) -> None:
    process = service.start_and_wait(settings='{"maximum_transport_outage_in_seconds": 2}')

    own_redis.kill()

    assert process.wait() == 1
    assert "Too many errors receiving message from transport; shutting down!" in process.output
    assert "torn down" in process.output


def test_redis_that_is_only_paused_is_waited_for(service: Service, own_redis: RedisServer) -> None:
    process = service.start_and_wait()
    service.call("pid")

    own_redis.pause()
    time.sleep(3)  # more than a receive takes
    own_redis.resume()

    assert service.call("pid", timeout=15) == {"pid": process.pid, "fid": None}
    process.popen.send_signal(signal.SIGTERM)
    assert process.wait() == 0
