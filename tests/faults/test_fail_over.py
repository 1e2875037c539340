"""The Redis master changes, or no Sentinel answers, while clients call."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from pysoa.common.transport.errors import MessageSendError
from pysoa.test.redis_server import RedisSentinel, RedisServer


@attrs.define
class Deployment:
    """A master, two replicas and three Sentinels that know each other."""

    master: RedisServer
    replicas: list[RedisServer]
    sentinels: list[RedisSentinel]

    def kwargs(self, retries: int = 0) -> dict[str, Any]:
        """Return the arguments of a transport."""
        return {
            "backend_type": "redis.sentinel",
            "backend_layer_kwargs": {
                "hosts": [(sentinel.host, sentinel.port) for sentinel in self.sentinels],
                "sentinel_failover_retries": retries,
            },
        }

    def is_complete(self) -> bool:
        """Tell whether all know each other."""
        return all(
            len(_reply(sentinel, kind)) == 2
            for sentinel in self.sentinels
            for kind in ("SENTINELS", "REPLICAS")
        )

    def master_port(self) -> int:
        """Return the port of the present master, as the first Sentinel sees it."""
        address = self.sentinels[0].execute("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "fault")
        assert isinstance(address, list)
        assert isinstance(address[1], bytes)
        return int(address[1])


def _reply(sentinel: RedisSentinel, kind: str) -> list[Any]:
    reply = sentinel.execute("SENTINEL", kind, "fault")
    assert isinstance(reply, list)
    return reply


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    """One that a test may treat as badly as it likes."""
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(RedisServer())
        replicas = [stack.enter_context(RedisServer(replica_of=master)) for _ in range(2)]
        sentinels = [
            stack.enter_context(RedisSentinel({"fault": master}, quorum=2, down_after_in_seconds=0.5))
            for _ in range(3)
        ]
        whole = Deployment(master, replicas, sentinels)
        deadline = time.monotonic() + 15
        while not whole.is_complete():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield whole


@pytest.mark.parametrize("retries", [0, 5])
def test_killed_master_is_replaced(
    deployment: Deployment, workers: Any, new_caller: Any, retries: int
) -> None:
    workers.start(deployment.kwargs(retries))
    caller = new_caller(deployment.kwargs(retries))
    caller.wait_until_served()
    caller.outcomes.clear()
    old_port = deployment.master.port

    with caller.calling(timeout_s=1):
        time.sleep(0.3)
        deployment.master.kill()
        deadline = time.monotonic() + 20
        while deployment.master_port() == old_port:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.5)

    assert caller.errors()
    caller.assert_all_in_order(timeout_s=1)
    caller.wait_until_served()
    caller.assert_served(200)


def test_paused_master_is_replaced_and_comes_back_as_a_replica(
    deployment: Deployment, workers: Any, new_caller: Any
) -> None:
    workers.start(deployment.kwargs())
    caller = new_caller(deployment.kwargs())
    caller.wait_until_served()
    caller.outcomes.clear()
    old_port = deployment.master.port

    with caller.calling(timeout_s=1):
        time.sleep(0.3)
        deployment.master.pause()
        deadline = time.monotonic() + 20
        while deployment.master_port() == old_port:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        deployment.master.resume()
        time.sleep(0.5)

    caller.assert_all_in_order(timeout_s=1)
    caller.wait_until_served()
    caller.assert_served(200)


def test_no_sentinel_answers_and_then_they_are_back(
    deployment: Deployment, workers: Any, new_caller: Any
) -> None:
    for sentinel in deployment.sentinels:
        sentinel.kill()
    workers.start(deployment.kwargs())
    caller = new_caller(deployment.kwargs())

    outcome = caller.call(1)
    workers.wait_for_log("Could not get master info from Sentinel")

    assert isinstance(outcome.error, MessageSendError)
    assert str(outcome.error).startswith("Cannot get connection: Could not get master info from Sentinel\n")
    assert outcome.took_s < 1.5
    for sentinel in deployment.sentinels:
        sentinel.start()
    caller.wait_until_served()
    caller.assert_served(50)


def test_sentinels_may_go_once_the_master_is_known(
    deployment: Deployment, workers: Any, new_caller: Any
) -> None:
    workers.start(deployment.kwargs())
    caller = new_caller(deployment.kwargs())
    caller.wait_until_served()

    for sentinel in deployment.sentinels:
        sentinel.kill()

    caller.assert_served(100)
