"""Redis goes away, or stands still, while clients call: all calls end in time, and later none is lost."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pysoa.common.transport.errors import MessageReceiveTimeout, MessageSendError
from pysoa.test.redis_server import RedisServer

Kwargs = dict[str, Any]


@pytest.fixture
def second_redis() -> Iterator[RedisServer]:
    """The second of two masters."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def served(redis: RedisServer, workers: Any, kwargs_of: Any, new_caller: Any) -> Any:
    """A client whose calls are served by two workers."""
    workers.start(kwargs_of(redis))
    caller = new_caller(kwargs_of(redis))
    caller.wait_until_served()
    caller.outcomes.clear()
    return caller


def test_redis_is_killed_and_restarted(redis: RedisServer, served: Any) -> None:
    with served.calling(timeout_s=1):
        time.sleep(0.3)
        redis.kill()
        time.sleep(1)
        redis.start()
        restarted_at = time.monotonic()
        # A call that is patient enough is served, however long the workers' pauses have become.
        patient = served.call(15)

    assert patient.error is None
    assert served.errors()
    served.outcomes = [outcome for outcome in served.outcomes if outcome is not patient]
    served.assert_all_in_order(timeout_s=1)
    assert patient.started_at >= restarted_at
    served.assert_served(200)


def test_time_that_redis_needs_to_take_a_request_counts_against_the_time_limit(
    redis: RedisServer, kwargs_of: Any, new_caller: Any
) -> None:
    caller = new_caller(kwargs_of(redis))
    caller.call(0.1)
    redis.pause()
    resume = threading.Timer(1.5, redis.resume)
    resume.start()

    outcome = caller.call(2)

    resume.join()
    assert isinstance(outcome.error, MessageReceiveTimeout)
    assert 2 <= outcome.took_s < 2.5


def test_redis_that_is_down_is_reported_at_once(redis: RedisServer, served: Any) -> None:
    redis.kill()

    outcome = served.call(5)

    assert isinstance(outcome.error, MessageSendError)
    assert "Connection refused" in str(outcome.error)
    assert outcome.took_s < 1
    redis.start()
    served.wait_until_served()
    served.assert_served(100)


def test_pause_of_three_seconds_costs_no_patient_call(redis: RedisServer, served: Any) -> None:
    with served.calling(timeout_s=10):
        time.sleep(0.3)
        redis.pause()
        time.sleep(3)
        redis.resume()
        time.sleep(0.5)

    assert served.errors() == []
    assert max(outcome.took_s for outcome in served.outcomes) >= 2.5
    served.assert_served(200)


def test_pause_of_three_seconds_ends_impatient_calls_in_time(redis: RedisServer, served: Any) -> None:
    with served.calling(timeout_s=1):
        time.sleep(0.3)
        redis.pause()
        time.sleep(3)
        redis.resume()
        time.sleep(0.5)

    assert served.errors()
    served.assert_all_in_order(timeout_s=1)
    served.wait_until_served()
    served.assert_served(200)


def test_pause_of_one_of_two_masters_costs_no_patient_call(
    redis: RedisServer, second_redis: RedisServer, workers: Any, kwargs_of: Any, new_caller: Any
) -> None:
    workers.start(kwargs_of(redis, second_redis))
    caller = new_caller(kwargs_of(redis, second_redis))
    caller.wait_until_served()
    caller.outcomes.clear()
    with caller.calling(timeout_s=10):
        time.sleep(0.3)
        second_redis.pause()
        time.sleep(3)
        second_redis.resume()
        time.sleep(0.5)

    assert caller.errors() == []
    caller.assert_served(200)


def test_one_of_two_masters_is_killed_and_restarted(
    redis: RedisServer, second_redis: RedisServer, workers: Any, kwargs_of: Any, new_caller: Any
) -> None:
    workers.start(kwargs_of(redis, second_redis))
    caller = new_caller(kwargs_of(redis, second_redis))
    caller.wait_until_served()
    caller.outcomes.clear()
    with caller.calling(timeout_s=1):
        time.sleep(0.3)
        second_redis.kill()
        time.sleep(1)
        second_redis.start()

    caller.assert_all_in_order(timeout_s=1)
    caller.wait_until_served()
    # The requests go to both masters in turn, and a worker leaves out for a second the one that failed.
    caller.assert_served(200)


def test_connections_are_reset_again_and_again(redis: RedisServer, served: Any) -> None:
    with served.calling(timeout_s=1):
        end_at = time.monotonic() + 2
        while time.monotonic() < end_at:
            redis.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            time.sleep(random.uniform(0.01, 0.1))

    assert served.errors()
    served.assert_all_in_order(timeout_s=1)
    served.wait_until_served()
    served.assert_served(200)
    # Two workers and a client with four threads do not leave connections behind.
    assert str(redis.execute("CLIENT", "LIST")).count("id=") < 25


def test_idle_connections_that_redis_closed_cost_no_call(redis: RedisServer, served: Any) -> None:
    for _ in range(20):
        served.assert_served(1)
        redis.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        # Those of the workers were not idle, and a request may be lost with one; the client's were.
        served.wait_until_served(timeout_s=5)

    served.assert_all_in_order(timeout_s=5)


def test_redis_loses_its_scripts(redis: RedisServer, served: Any) -> None:
    for _ in range(20):
        redis.execute("SCRIPT", "FLUSH")
        served.assert_served(3)


def test_full_queue_is_reported_in_time_and_served_later(
    redis: RedisServer, workers: Any, kwargs_of: Callable[..., Kwargs], new_caller: Any
) -> None:
    kwargs = kwargs_of(redis, queue_capacity=3, queue_full_retries=1)
    for _ in range(3):
        redis.execute("RPUSH", "pysoa:service.fault", "no message")
    caller = new_caller(kwargs)

    outcome = caller.call(2)

    assert isinstance(outcome.error, MessageSendError)
    assert str(outcome.error).startswith("Redis queue service.fault was full after 1 retries")
    assert outcome.took_s < 2.5
    workers.start(kwargs)
    caller.wait_until_served()
    caller.assert_served(50)


def test_redis_out_of_memory_refuses_and_recovers(redis: RedisServer, served: Any) -> None:
    redis.execute("CONFIG", "SET", "maxmemory", 1)

    outcome = served.call(2)

    assert isinstance(outcome.error, MessageSendError)
    assert "Redis error sending message for service fault" in str(outcome.error)
    redis.execute("CONFIG", "SET", "maxmemory", 0)
    served.wait_until_served()
    served.assert_served(50)


def test_workers_stop_in_order_while_redis_is_down(redis: RedisServer, served: Any, workers: Any) -> None:
    redis.kill()
    assert served.call(1).error is not None
    started = time.monotonic()

    workers.stop()

    assert time.monotonic() - started < 12


def test_workers_stop_in_order_while_redis_is_paused(redis: RedisServer, served: Any, workers: Any) -> None:
    redis.pause()
    started = time.monotonic()

    workers.stop()

    assert time.monotonic() - started < 5
    redis.resume()
