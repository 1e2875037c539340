"""The shortest way of a call: one job, and its response."""

from __future__ import annotations

from pysoa.client._details import add_details
from pysoa.client._exchange import Exchange
from pysoa.client._handler import ServiceHandler
from pysoa.client._ledger import CLAIMED, Outcome
from pysoa.common.transport.errors import PySOATransportError
from pysoa.common.types import JobRequest

__all__ = ("send_and_wait",)


def send_and_wait(
    handler: ServiceHandler, job_request: JobRequest, timeout: float | None
) -> tuple[Exchange, int, Outcome | None]:
    """Send a job and wait for its response.

    Args:
        handler: The handler of the service.
        job_request: The job.
        timeout: How long the request is good, and how long to wait; ``None`` for the transport's defaults.

    Returns:
        Where the response came from, the request id, and the outcome; ``None`` if it will not come.

    Raises:
        Exception: Whatever was in the way. The response is abandoned.
    """
    exchange = handler.exchange
    request_id = handler.send_for(CLAIMED, job_request, timeout)
    try:
        return exchange, request_id, exchange.collect_one(request_id, timeout)
    except BaseException as error:
        exchange.abandon(request_id)
        if isinstance(error, PySOATransportError):
            names = [action.action for action in job_request.actions]
            limit = timeout or exchange.receive_timeout_in_seconds
            add_details(error, handler.service_name, names, (request_id,), limit)
        raise
