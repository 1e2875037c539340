"""The shortest way of a call: one job without expansions, sent through no overridden method."""

from __future__ import annotations

import time

from pysoa.client._details import add_details
from pysoa.client._exchange import left_after_sending
from pysoa.client._handler import ServiceHandler
from pysoa.client._ledger import CLAIMED, Outcome
from pysoa.common.transport.errors import PySOATransportError
from pysoa.common.types import JobRequest

__all__ = ("SingleJob",)


class SingleJob:
    """A job that was sent, and whose response is awaited.

    What is odd about a response is the business of :class:`pysoa.client._calls.Call`, which can take over.
    When this is garbage collected before the response was received, the response is abandoned.

    Args:
        handler: The handler of the service.
        job_request: The job, which the constructor sends.
        time_limit: How long the request is good, and how long to wait for the response; ``None`` for the
            transport's defaults.

    Raises:
        Exception: Whatever was in the way of sending.
    """

    __slots__ = (
        "_handler",
        "_is_awaited",
        "_job_request",
        "_receive_limit",
        "_time_limit",
        "exchange",
        "request_id",
    )

    def __init__(self, handler: ServiceHandler, job_request: JobRequest, time_limit: float | None) -> None:
        self._is_awaited = False
        self._handler = handler
        self._job_request = job_request
        self._time_limit = time_limit
        self.exchange = handler.exchange
        started_at = time.monotonic()
        self.request_id = handler.send_for(CLAIMED, job_request, time_limit)
        self._is_awaited = True
        self._receive_limit = left_after_sending(time_limit, time.monotonic() - started_at)

    def __del__(self) -> None:
        if self._is_awaited:
            self.exchange.give_up(self.request_id)

    def wait(self, timeout: float | None = None) -> Outcome | None:
        """Return the outcome as soon as it is in; ``None`` if it will not come.

        Args:
            timeout: How many seconds to wait; ``None`` and 0 mean what is left of the time limit of the job
                after it was sent.

        Raises:
            MessageReceiveTimeout: The response did not come in time. It may still come: call this again.
            Exception: Whatever else was in the way of receiving.
        """
        try:
            outcome = self.exchange.collect_one(self.request_id, timeout or self._receive_limit)
        except PySOATransportError as error:
            names = [action.action for action in self._job_request.actions]
            shown = timeout or self._time_limit or self.exchange.receive_timeout_in_seconds
            add_details(error, self._handler.service_name, names, (self.request_id,), shown)
            raise
        self._is_awaited = False
        return outcome

    def abandon(self) -> None:
        """Await the response no longer."""
        if self._is_awaited:
            self._is_awaited = False
            self.exchange.abandon(self.request_id)
