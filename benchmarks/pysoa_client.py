"""The PySOA contestants: one program for 1.4.9 and for ours, over Redis or in-process.

Run as ``python pysoa_client.py redis`` or ``python pysoa_client.py local`` with ``BENCH_REDIS_PORT`` set.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import driver
from bench_service.settings import CLIENT_SETTINGS, SOA_SERVER_SETTINGS
from pysoa.client.client import Client


class PySOAClient(driver.Contestant):
    """Calls the measured service through a PySOA client."""

    def __init__(self, settings: dict[str, Any]) -> None:
        """Build the client."""
        self._client = Client(settings)
        self._responses: Iterator[Any] = iter(())

    def call(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        """Call one action."""
        response_body: dict[str, Any] = self._client.call_action("bench", action, body=body).body
        return response_body

    def send(self, action: str, body: dict[str, Any]) -> None:
        """Send a job of one action."""
        self._client.send_request("bench", [{"action": action, "body": body}])

    def receive(self) -> dict[str, Any]:
        """Return the body of the next job response."""
        for _, job_response in self._responses:
            return self._body(job_response)
        self._responses = self._client.get_all_responses("bench")
        _, job_response = next(self._responses)
        return self._body(job_response)

    @staticmethod
    def _body(job_response: Any) -> dict[str, Any]:
        if job_response.errors or job_response.actions[0].errors:
            raise SystemExit(f"the service answered with an error: {job_response}")
        body: dict[str, Any] = job_response.actions[0].body
        return body


def settings_for(kind: str) -> dict[str, Any]:
    """Return the client settings for ``redis`` or ``local``."""
    if kind == "redis":
        return CLIENT_SETTINGS
    return {
        "bench": {
            "transport": {
                "path": "pysoa.common.transport.local:LocalClientTransport",
                "kwargs": {
                    "server_class": "bench_service.service:BenchServer",
                    "server_settings": {"logging": SOA_SERVER_SETTINGS["logging"]},
                },
            }
        }
    }


if __name__ == "__main__":
    driver.serve(PySOAClient(settings_for(sys.argv[1])))
