"""Serving one request: receiving it, having it processed and answered, and the hooks around that."""

from __future__ import annotations

# The names with an underscore are the part of Server that its own modules share.
# pyright: reportPrivateUsage=false
import asyncio
import logging
from typing import TYPE_CHECKING, Any

from pymetrics.instruments import TimerResolution

from pysoa.common._log_context import request_contexts
from pysoa.common.serializer.errors import SerializationError
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import InvalidMessageError, MessageReceiveTimeout
from pysoa.common.types import JobResponse
from pysoa.server._answer import answer
from pysoa.server._interrupts import HarakiriInterrupt
from pysoa.server._job import echo_correlation_id, job_timeout_response
from pysoa.server._request_log import log_request
from pysoa.server._signals import ForcedShutdown

if TYPE_CHECKING:  # it imports this module
    from pysoa.server.server import Server

__all__ = ("handle_next_request",)

# Found once, since Python 3.11 looks for methods of imported objects each time anew.
_get_contexts = request_contexts.get
_set_contexts = request_contexts.set
_reset_contexts = request_contexts.reset


def handle_next_request(server: Server) -> None:
    """Do what ``Server.handle_next_request`` promises."""
    measures = server.metrics is not server._silent_metrics
    try:
        message = _receive_and_measure(server) if measures else server.transport.receive_request_message()
    except MessageReceiveTimeout:
        message = None
    except (InvalidMessageError, SerializationError) as error:
        _note_unreadable_message(server, error)
        return
    finally:
        server._receive_is_owed = False

    if message is None or message[0] is None or message[1] is None:
        _note_if_incomplete(server, message)
        server.perform_idle_actions()
        if measures:
            server._set_busy_metrics(False)
            _publish_metrics(server)
        return

    on_request_taken = server._on_request_taken
    if on_request_taken is not None:
        on_request_taken()
    if measures:
        # Published once per round, and now, so that a worker shows as busy while it works.
        server._set_busy_metrics(True)
        _publish_metrics(server)
    try:
        _serve(server, *message)
    finally:
        if measures:
            server._set_busy_metrics(False)
        on_request_done = server._on_request_done
        if on_request_done is not None:
            on_request_done()


def _receive_and_measure(server: Server) -> ReceivedMessage:
    timer = server.metrics.timer("server.idle_time", resolution=TimerResolution.MICROSECONDS)
    timer.start()
    try:
        return server.transport.receive_request_message()
    finally:
        timer.stop()


def _note_if_incomplete(server: Server, message: ReceivedMessage | None) -> None:
    # A missing body is the caller's mistake, and answered as such. Without the others nobody can be answered.
    if message is not None:
        server.logger.warning("Thought to be impossible, but the transport returned None")


def _note_unreadable_message(server: Server, error: Exception) -> None:
    server._count("server.error.invalid_message")
    # A transport that has told the sender and the log already says so by this attribute.
    level = logging.DEBUG if getattr(error, "was_reported", False) else logging.ERROR
    server.logger.log(
        level,
        "Dropped a message that could not be read: %s: %s",
        type(error).__name__,
        error,
    )
    if server.metrics is not server._silent_metrics:
        _publish_metrics(server)


def _publish_metrics(server: Server) -> None:
    # A request that has been taken must be answered, whatever becomes of the numbers about it.
    try:
        server.metrics.publish_all()
    except Exception:
        server.logger.exception("Metrics could not be published; continuing")


def _serve(server: Server, request_id: Any, meta: Any, body: Any) -> None:
    """Process one request whatever it contains, answer it, and clean up."""
    try:
        context = {**body["context"], "request_id": request_id}
    except (LookupError, TypeError):  # nothing has been checked yet
        context = {"request_id": request_id}
    before = _set_contexts((*_get_contexts(), context))
    response: JobResponse | None = None
    may_log = False
    try:
        try:
            try:
                level, error_level = server.request_log_success_level, server.request_log_error_level
                # A logger that does not take the more severe of two levels does not take the other one.
                may_log = server.job_logger.isEnabledFor(level if level > error_level else error_level)
                if may_log and server.job_logger.isEnabledFor(level):
                    log_request(server, body)
                server.perform_pre_request_actions()
                response = server.process_job(body)
            except (Exception, asyncio.CancelledError) as error:
                response = _respond_to_exception(server, error, body)
            server._finishing_response = True
        except HarakiriInterrupt:
            server._finishing_response = True
            response = response or job_timeout_response(server, body)
        except BaseException as error:
            # This is going to end the process; the caller should not have to find that out by waiting.
            if not isinstance(error, (KeyboardInterrupt, ForcedShutdown)):
                server._is_ending = True
                answer(server, request_id, meta, body, _respond_to_exception(server, error, body), may_log)
            raise
        answer(server, request_id, meta, body, response, may_log)
    finally:
        server._finishing_response = server._is_ending = False
        try:
            server.perform_post_request_actions()
        except Exception:
            server._count("server.error.post_request_actions_failure")
            server.logger.exception(
                "The post-request actions failed after the response to request %s; continuing", request_id
            )
        finally:
            _reset_contexts(before)


def _respond_to_exception(server: Server, error: BaseException, body: Any) -> JobResponse:
    response = server.handle_unhandled_exception(error, JobResponse)
    echo_correlation_id(body, response)
    return response
