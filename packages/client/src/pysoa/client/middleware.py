"""What a client middleware extends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from pysoa.common._conformity import accepts_kwargs, dictionary
from pysoa.common.types import JobRequest, JobResponse

__all__ = (
    "ClientMiddleware",
    "ClientRequestMiddlewareTask",
    "ClientResponseMiddlewareTask",
)

ClientRequestMiddlewareTask: TypeAlias = Callable[[int, dict[str, Any], JobRequest, int | None], None]
"""Sends a request: takes its id, its meta, the job request and the message expiry in seconds.

The expiry is a float when the caller gave one.
"""
ClientResponseMiddlewareTask: TypeAlias = Callable[[int | None], tuple[int | None, JobResponse | None]]
"""Receives a response: takes the receive timeout in seconds, returns the request's id and the job response.

The timeout is a float when the caller gave one, and for what is left of it after a first receive. Both
results are ``None`` when nothing is outstanding.
"""


@accepts_kwargs(dictionary({}, description="The base client middleware has no constructor arguments"))
class ClientMiddleware:
    """Base of client middleware; override either method, or both.

    A client builds the middleware of a service once, in the order of the service's setting ``middleware``,
    when the first request to it is sent. The first entry is the outermost: the first to see a request and the
    last to see a response. :meth:`request` and :meth:`response` are called once each; what they return is
    called for every message.

    Several threads that share a client may be in the returned request callable at once. The response callable
    is called by one thread at a time, which need not be the thread that sent the request.
    """

    def request(self, send_request: ClientRequestMiddlewareTask) -> ClientRequestMiddlewareTask:
        """Wrap the sending of requests.

        ::

            def request(self, send_request):
                def handler(request_id, meta, job_request, message_expiry_in_seconds):
                    do_stuff_before()
                    try:
                        send_request(request_id, meta, job_request, message_expiry_in_seconds)
                    finally:
                        do_stuff_after()

                return handler

        A request that is not passed on is not sent, and the call fails unless :meth:`response` makes up a
        response.

        Args:
            send_request: What sends the request: the next middleware, or the transport.

        Returns:
            A callable with the same parameters, whose result is ignored.
        """
        return send_request

    def response(self, get_response: ClientResponseMiddlewareTask) -> ClientResponseMiddlewareTask:
        """Wrap the receiving of responses.

        ::

            def response(self, get_response):
                def handler(receive_timeout_in_seconds):
                    do_stuff_before()
                    try:
                        return get_response(receive_timeout_in_seconds)
                    finally:
                        do_stuff_after()

                return handler

        Args:
            get_response: What receives a response: the next middleware, or the transport.

        Returns:
            A callable with the same parameter and result. It must cope with two ``None``, and ends the
            reception by returning them.
        """
        return get_response
