"""The server: receives jobs, has their actions executed and answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, ClassVar, TypeVar

import attrs

from pysoa.client.client import Client
from pysoa.common.errors import Error
from pysoa.common.logging import PySOALogContextFilter, RecursivelyCensoredDictWrapper
from pysoa.common.transport.base import ServerTransport
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import ActionResponse, Context, JobResponse
from pysoa.server._interrupts import HarakiriInterrupt
from pysoa.server.errors import ActionError, JobError
from pysoa.server.internal.event_loop import AsyncEventLoopThread
from pysoa.server.internal.types import RequestSwitchSet
from pysoa.server.middleware import ServerMiddleware, ServerMiddlewareActionTask, ServerMiddlewareJobTask
from pysoa.server.schemas import JobRequestSchema
from pysoa.server.settings import ServerSettings
from pysoa.server.types import (
    ActionType,
    EnrichedActionRequest,
    EnrichedJobRequest,
    IntrospectionActionType,
)

__all__ = (
    "HarakiriInterrupt",
    "Server",
    "ServerMiddlewareActionTask",
    "ServerMiddlewareJobTask",
)

_Task = TypeVar("_Task", bound=Callable[..., Any])
_Response = TypeVar("_Response", JobResponse, ActionResponse)


class Server:
    """Skeleton: signatures are final; bodies follow in the next commit."""

    settings_class: type[ServerSettings] = ServerSettings
    request_class: type[EnrichedActionRequest[Any]] = EnrichedActionRequest
    client_class: type[Client] = Client
    use_django: bool = False
    service_name: str | None = None
    action_class_map: Mapping[str, ActionType] = {}
    introspection_action: IntrospectionActionType | None = None

    # -- what the process side (run loop, signals, harakiri, heartbeat) may rely on -----------------------------------
    #
    # settings, metrics, transport, logger ("pysoa.server"), job_logger ("pysoa.server.job"), shutting_down (bool;
    # setting it makes the loop end), _forked_process_id, _async_event_loop_thread (lazily started; `join(timeout)`
    # is bounded and may be called when it never ran), _skip_django_database_cleanup.
    #
    # _receive_is_owed: True after a response was sent together with the wait for the next request
    #     (`send_response_and_wait`). The run loop must then call handle_next_request() once more even though
    #     shutting_down is set: `while not server.shutting_down or server._receive_is_owed: ...`.
    # _finishing_response: True from the moment a job's response exists until it was sent and logged. A harakiri alarm
    #     that finds it True must not raise HarakiriInterrupt: set shutting_down, arm the grace alarm, return (D-08).
    # _on_request_taken, _on_request_done: callables or None; set by the run loop. handle_next_request calls the first
    #     right after a request arrived (arm the harakiri alarm, D-13) and the second when everything about it,
    #     post-request hook included, is done (disarm).
    #
    # handle_next_request() raises to the run loop only: TransientPySOATransportError from *receiving* (back off),
    # HarakiriInterrupt from receiving, idle actions and hooks, any Exception of a broken transport's receive or of
    # perform_idle_actions, and SystemExit/KeyboardInterrupt. Messages that cannot be read, failed sends and failing
    # pre/post hooks are handled inside. It publishes the metrics once per call.
    #
    # What the published methods call (all in private modules of the process side, imported when called):
    #     main                        -> _command_line.main(server_class, forked_process_id)
    #     run                         -> _run_loop.run(server)
    #     handle_shutdown_signal      -> _signals.handle_shutdown_signal(server, signal_number)
    #     harakiri                    -> _harakiri.handle_alarm(server)
    #     _create/_update/_delete_heartbeat_file
    #                                 -> server._heartbeat.create() / .update() / .delete(), with
    #                                    server._heartbeat = _heartbeat.Heartbeat(settings["heartbeat_file"], forked_process_id),
    #                                    made in __init__ only when the setting is not None, else None
    # and for Django, only when use_django:
    #     _close_old_django_connections() -> pysoa.server.django.database.django_close_old_database_connections()
    #     _close_django_caches(shutdown)  -> _django.close_caches(for_shutdown=shutdown)

    def __init__(self, settings: ServerSettings, forked_process_id: int | None = None) -> None:
        raise NotImplementedError
