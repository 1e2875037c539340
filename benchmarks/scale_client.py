"""The client of the measurements of scale: calls many actions of many services, or fills and empties a queue.

Run with ``BENCH_REDIS_PORT`` set as ``python scale_client.py calls ROUTED CALLED ACTIONS``: it knows as many
services as ``ROUTED``, and each call goes to the next action of the next of ``CALLED`` services. As ``python
scale_client.py queue`` it takes the orders ``fill COUNT`` and ``empty COUNT``.
"""

from __future__ import annotations

import itertools
import json
import sys
from typing import Any

import driver
from bench_service import bodies
from bench_service.names import action_names, service_names
from bench_service.scaled_settings import SCALED_TRANSPORT_KWARGS
from pysoa.client.client import Client


class ManyTargets(driver.Contestant):
    """Calls the next action of the next service."""

    def __init__(self, routed: int, called: int, actions: int) -> None:
        """Build the client."""
        self._client = client_of(service_names(routed))
        self._targets = itertools.cycle(
            [(service, action) for action in action_names(actions) for service in service_names(called)]
        )

    def call(self, _action: str, body: dict[str, Any]) -> dict[str, Any]:
        """Call whoever is next."""
        service, action = next(self._targets)
        response_body: dict[str, Any] = self._client.call_action(service, action, body=body).body
        return response_body

    def send(self, _action: str, body: dict[str, Any]) -> None:
        """Send a request to whoever is next."""
        service, action = next(self._targets)
        self._client.send_request(service, [{"action": action, "body": body}])

    def receive(self) -> dict[str, Any]:
        """Not needed here: one call is under way at once."""
        raise NotImplementedError


class Queue:
    """Sends many requests before it takes the first response."""

    def __init__(self) -> None:
        """Build the client."""
        (self._service,) = service_names(1)
        self._client = client_of([self._service])
        self._actions = [{"action": action_names(1)[0], "body": bodies.small()}]

    def fill(self, count: int) -> None:
        """Send that many requests."""
        for _ in range(count):
            self._client.send_request(self._service, self._actions)

    def empty(self, count: int) -> None:
        """Take that many responses."""
        responses = itertools.islice(self._client.get_all_responses(self._service), count)
        for _, job_response in responses:
            if job_response.errors or job_response.actions[0].errors:
                raise SystemExit(f"the service answered with an error: {job_response}")


def client_of(names: list[str]) -> Client:
    """Return a client that knows these services, all of them on the same Redis."""
    path = "pysoa.common.transport.redis_gateway.client:RedisClientTransport"
    return Client({name: {"transport": {"path": path, "kwargs": SCALED_TRANSPORT_KWARGS}} for name in names})


def serve_queue(queue: Queue) -> None:
    """Carry out orders until standard input ends."""
    print("ready", flush=True)
    orders = {"fill": queue.fill, "empty": queue.empty}
    for line in sys.stdin:
        order, count = line.split()
        cpu_before = driver.cpu_seconds()
        orders[order](int(count))
        print(json.dumps({"cpu_s": driver.cpu_seconds() - cpu_before}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "queue":
        serve_queue(Queue())
    else:
        driver.serve(ManyTargets(*map(int, sys.argv[2:])))
