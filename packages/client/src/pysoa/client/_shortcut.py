"""The short ways of a call: one job without expansions, sent through no overridden method."""

from __future__ import annotations

import time

from pysoa.client._details import add_details
from pysoa.client._exchange import left_after_sending
from pysoa.client._handler import ServiceHandler
from pysoa.client._ledger import CLAIMED, Outcome
from pysoa.client._wants import One
from pysoa.common._envelope import job_response_from_dict
from pysoa.common.errors import PySOAError
from pysoa.common.transport.errors import PySOATransportError
from pysoa.common.types import ActionRequest, Body, Context, Control, JobRequest, JobResponse

__all__ = (
    "SingleJob",
    "call_alone",
)


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


def call_alone(
    handler: ServiceHandler,
    action: str,
    body: Body,
    control: Control,
    context: Context,
    timeout: float | None,
) -> tuple[int, Outcome | None]:
    """Send a job of one action, and wait for the response.

    If there is nothing around the transport, nearly every call goes the way below, which avoids whatever only
    others need. Sending and waiting are then one step for the transport.

    Args:
        handler: The handler of the service.
        action: The name of the action.
        body: Its request body.
        control: The control header.
        context: The context header.
        timeout: How long the request is good, and how long to wait for the response; ``None`` for the
            transport's defaults.

    Returns:
        The request id, and the outcome: ``None`` if it will not come.

    Raises:
        Exception: Whatever was in the way of sending or receiving. The response is awaited no longer.
    """
    transport = handler.usable_direct_transport()
    if transport is None:
        return _call_indirectly(handler, JobRequest(control, context, [ActionRequest(action, body)]), timeout)
    exchange = handler.exchange
    want = One()
    shown_limit = timeout
    try:
        if exchange.lead_alone(want):
            request_id = want.request_id
            started_at = time.monotonic()
            received = transport.send_request_and_wait(
                request_id,
                {"client_version": list(handler._client_version)},  # pyright: ignore[reportPrivateUsage]
                {"control": control, "context": context, "actions": [{"action": action, "body": body}]},
                timeout,
                timeout,
            )
            if received[0] == request_id:
                return request_id, job_response_from_dict(received[2])
            exchange.expect_alone(want)
            if received[0] is not None:
                exchange.deliver(received)
            receive_limit = left_after_sending(timeout, time.monotonic() - started_at)
            shown_limit = timeout or exchange.receive_timeout_in_seconds
            outcome = exchange.go_on_leading(want, receive_limit)
            exchange.drop(request_id)
            if outcome.__class__ is JobResponse or not getattr(outcome, "is_unsent", False):
                return request_id, outcome
    except BaseException as error:
        exchange.abandon_alone(want)
        if not getattr(error, "is_unsent", False):
            if isinstance(error, PySOAError):
                add_details(error, handler.service_name, (action,), (want.request_id,), shown_limit)
            raise
    finally:
        exchange.stop_leading(want)
    # Another thread is receiving, or the queue was full, and to wait for room is not to be combined with
    # waiting for responses.
    return _call_indirectly(handler, JobRequest(control, context, [ActionRequest(action, body)]), timeout)


def _call_indirectly(
    handler: ServiceHandler, job_request: JobRequest, timeout: float | None
) -> tuple[int, Outcome | None]:
    job = SingleJob(handler, job_request, timeout)
    try:
        return job.request_id, job.wait()
    except BaseException:
        job.abandon()
        raise
