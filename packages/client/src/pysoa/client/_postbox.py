"""Collects responses through a client's public ``get_all_responses``.

That is the way whenever a subclass overrides ``send_request`` or ``get_all_responses``, or a test replaces
them: only they know then what their request ids mean. Otherwise :mod:`pysoa.client._exchange` does it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable

from pysoa.client._exchange import SHORTEST_WAIT_IN_SECONDS
from pysoa.client._ledger import Outcome
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import JobResponse

__all__ = ("Postbox",)

_logger = logging.getLogger(__name__)


class Postbox:
    """The responses of one service that came through ``get_all_responses``, until they are collected.

    Safe to use from any thread: one drains, the others wait for their turn and may then find that the
    responses they want are already here.

    Args:
        service_name: The name of the service, for messages.
        drain: ``get_all_responses`` for this service; takes the time limit of one receive.
        put_back: Takes a response that no call has asked for, for a later ``get_all_responses``; tells
            whether it could.
        receive_timeout_in_seconds: How long a receive without time limit takes at most.
    """

    def __init__(
        self,
        service_name: str,
        drain: Callable[[float | None], Iterable[tuple[int, JobResponse]]],
        put_back: Callable[[int, JobResponse], bool],
        receive_timeout_in_seconds: float,
    ) -> None:
        self.receive_timeout_in_seconds = receive_timeout_in_seconds
        self._service_name = service_name
        self._drain = drain
        self._put_back = put_back
        self._turn = threading.RLock()
        self._expected: set[int] = set()
        self._parked: dict[int, JobResponse] = {}

    def expect(self, request_id: int) -> None:
        """Keep the response to a request when another call drains it."""
        self._expected.add(request_id)

    def abandon(self, request_id: int) -> None:
        """Take :meth:`expect` back."""
        self._expected.discard(request_id)
        self._parked.pop(request_id, None)

    def give_up(self, request_id: int) -> None:
        """Do what :meth:`abandon` does, which takes no lock, so finalizers may."""
        self.abandon(request_id)

    def collect(
        self, missing: set[int], outcomes: dict[int, Outcome], timeout: float | None, deadline: float
    ) -> list[int]:
        """Move the responses to requests from ``missing`` to ``outcomes``, until all are in.

        Returns:
            The ids of responses to other requests that came in meanwhile. If ``missing`` is not empty now,
            the rest will not come.

        Raises:
            MessageReceiveTimeout: Something was missing at the deadline.
            Exception: What ``get_all_responses`` raised.
        """
        left_s = max(deadline - time.monotonic(), SHORTEST_WAIT_IN_SECONDS)
        if not self._turn.acquire(timeout=min(left_s, threading.TIMEOUT_MAX)):
            raise MessageReceiveTimeout(f"No message received for service {self._service_name}")
        try:
            for request_id in missing & self._parked.keys():
                outcomes[request_id] = self._parked.pop(request_id)
                missing.discard(request_id)
            return self._drain_for(missing, outcomes, timeout, deadline) if missing else []
        finally:
            self._turn.release()

    def _drain_for(
        self, missing: set[int], outcomes: dict[int, Outcome], timeout: float | None, deadline: float
    ) -> list[int]:
        strangers: dict[int, JobResponse] = {}
        # One iteration, even if it takes a while: an iterable of a test may start anew when asked again.
        responses = self._drain(timeout)
        try:
            for request_id, response in responses:
                if request_id in missing:
                    outcomes[request_id] = response
                    missing.discard(request_id)
                    if not missing:
                        break
                elif request_id in self._expected:
                    self._parked[request_id] = response
                else:
                    strangers[request_id] = response
                if time.monotonic() > deadline:
                    raise MessageReceiveTimeout(f"No message received for service {self._service_name}")
        finally:
            close = getattr(responses, "close", None)
            if close is not None:
                close()
            for request_id, response in strangers.items():
                if not self._put_back(request_id, response):
                    _logger.debug(
                        "Dropped the response to request %s of service %s, for which nobody waits",
                        request_id,
                        self._service_name,
                    )
        return list(strangers)
