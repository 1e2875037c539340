"""The server: receives jobs, has their actions executed and answers."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, TypeVar

from pymetrics.recorders.base import MetricsRecorder

from pysoa.client.client import Client
from pysoa.common._metrics import is_noop
from pysoa.common.errors import Error
from pysoa.common.interfaces import RespondsAndWaits
from pysoa.common.logging import RecursivelyCensoredDictWrapper
from pysoa.common.transport.base import ServerTransport
from pysoa.common.types import ActionResponse, Context, JobResponse
from pysoa.server import _job
from pysoa.server._client_factory import ClientFactory
from pysoa.server._failures import unhandled_exception_error
from pysoa.server._heartbeat import Heartbeat
from pysoa.server._interrupts import HarakiriInterrupt
from pysoa.server._metrics_settings import with_forked_process_id
from pysoa.server._serving import handle_next_request
from pysoa.server._signals import handle_shutdown_signal
from pysoa.server.coroutine import CoroutineMiddleware
from pysoa.server.errors import ActionError, JobError
from pysoa.server.internal.event_loop import AsyncEventLoopThread
from pysoa.server.internal.types import RequestSwitchSet
from pysoa.server.middleware import (
    ServerMiddleware,
    ServerMiddlewareActionTask,
    ServerMiddlewareJobTask,
)
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

# Imported for services, which import them from here.
_REEXPORTED = (ActionError, JobError, JobRequestSchema, RequestSwitchSet)

_Task = TypeVar("_Task", bound=Callable[..., Any])
_Response = TypeVar("_Response", JobResponse, ActionResponse)


class Server:
    """Base class of all services.

    A service must set :attr:`service_name` and :attr:`action_class_map`. Its process is started by
    :func:`pysoa.server.standalone.simple_main`, or in tests by the local transport.

    A server serves one request at a time, in the thread that calls :meth:`run`; concurrency is a matter of
    processes.
    """

    settings_class: type[ServerSettings] = ServerSettings
    """Which class the settings of this service are checked by."""
    request_class: type[EnrichedActionRequest[Any]] = EnrichedActionRequest
    """Which class the requests that actions get are made of."""
    client_class: type[Client] = Client
    """Which class the clients that actions get are made of."""
    use_django: bool = False
    """Whether the service uses Django, for its settings, connections and caches."""
    service_name: str | None = None
    """The name under which clients call the service."""
    action_class_map: Mapping[str, ActionType] = {}
    """The actions of the service by name: anything with ``__contains__`` and ``__getitem__``."""
    introspection_action: IntrospectionActionType | None = None
    """What makes the ``introspect`` action, given the server; ``None`` stands for the standard one."""

    def __init__(self, settings: ServerSettings, forked_process_id: int | None = None) -> None:
        """Construct a server that does nothing yet.

        Args:
            settings: The settings, of the class :attr:`settings_class`.
            forked_process_id: The number of this process among those that one parent has forked, from 1;
                ``None`` if it was not forked.

        Raises:
            AttributeError: The class has no ``service_name``.
        """
        if not self.service_name:
            raise AttributeError("Server subclass must set service_name")
        # Every request asks for these, and Python 3.11 finds what an object has itself several times as fast.
        self.use_django: bool = self.use_django
        self.request_class: type[EnrichedActionRequest[Any]] = self.request_class
        self.settings: ServerSettings = settings
        self.shutting_down: bool = False
        self._forked_process_id = forked_process_id
        self._skip_django_database_cleanup = False

        metrics = settings["metrics"]
        self.metrics: MetricsRecorder = metrics["object"](
            **with_forked_process_id(metrics.get("kwargs", {}), forked_process_id)
        )
        self._silent_metrics = self.metrics if is_noop(self.metrics) else None

        transport = settings["transport"]
        self.transport: ServerTransport = transport["object"](
            self.service_name, self.metrics, forked_process_id or 1, **transport.get("kwargs", {})
        )
        self._get_to_know_transport()

        coroutine_middleware: list[CoroutineMiddleware] = [
            item["object"](**item.get("kwargs", {})) for item in settings["coroutine_middleware"]
        ]
        if self.use_django:
            from pysoa.server.django.coroutine import DjangoCoroutineMiddleware

            # A weak reference, since what ends the thread is that nobody refers to the server.
            close_connections = weakref.WeakMethod(self._close_old_django_connections)
            coroutine_middleware.insert(0, DjangoCoroutineMiddleware(close_connections))
        self._async_event_loop_thread = AsyncEventLoopThread(
            coroutine_middleware,
            shutdown_grace_in_seconds=settings["harakiri"]["shutdown_grace"],
        )
        weakref.finalize(self, self._async_event_loop_thread.stop_soon).atexit = False

        self._middleware: list[ServerMiddleware] = [
            item["object"](**item.get("kwargs", {})) for item in settings["middleware"]
        ]
        execute_job: ServerMiddlewareJobTask = self.execute_job
        self._middleware_job_wrapper = self.make_middleware_stack(
            [middleware.job for middleware in self._middleware], execute_job
        )
        self._client_factory = ClientFactory(settings["client_routing"])
        self._default_status_action_class: ActionType | None = None

        self.logger: logging.Logger = logging.getLogger("pysoa.server")
        self.job_logger: logging.Logger = logging.getLogger("pysoa.server.job")
        levels = logging.getLevelNamesMapping()
        self.request_log_success_level: int = levels[settings["request_log_success_level"]]
        self.request_log_error_level: int = levels[settings["request_log_error_level"]]
        self.logging_dict_wrapper_class: type[RecursivelyCensoredDictWrapper] = _censoring_also(
            settings["extra_fields_to_redact"]
        )

        heartbeat_file = settings["heartbeat_file"]
        self._heartbeat = Heartbeat(heartbeat_file, forked_process_id) if heartbeat_file else None
        self._on_request_taken: Callable[[], None] | None = None
        """Set by the run loop: called when a request has arrived."""
        self._on_request_done: Callable[[], None] | None = None
        """Set by the run loop: called when everything about a request is done."""
        self._receive_is_owed = False
        """Whether the transport waits for the next request already, which must be received then."""
        self._is_ending = False
        """Whether something is on its way out that ends the process, which will receive nothing more."""
        self._finishing_response = False
        """Whether a job's response exists and is being sent, which harakiri should let happen."""

    # -- serving one request ---------------------------------------------------------------------------------

    def handle_next_request(self) -> None:
        """Receive one request, process it and send its response; or do idle work if none came in time.

        Nothing that a message contains, no action, middleware or hook and no failure to send makes this raise
        an ``Exception``.

        Raises:
            TransientPySOATransportError: Receiving failed.
            HarakiriInterrupt: Receiving, idle actions or post-request actions took too long.
        """
        handle_next_request(self)

    # -- processing a job ------------------------------------------------------------------------------------

    def process_job(self, job_request: dict[str, Any]) -> JobResponse:
        """Check, and execute within the job middleware, one job.

        Args:
            job_request: The job request as it was received, which is not changed.

        Returns:
            The response; errors of any kind are in it.
        """
        return _job.process_job(self, job_request)

    def execute_job(self, job_request: EnrichedJobRequest) -> JobResponse:
        """Execute the actions of one job; job middleware wraps this.

        Args:
            job_request: The checked job request.

        Returns:
            The responses of the actions, up to the first with errors unless the job continues on errors.

        Raises:
            JobError: An action or an action middleware ended the whole job.
        """
        return _job.execute_job(self, job_request)

    def make_client(self, context: Context, extra_context: Context | None = None, **kwargs: Any) -> Client:
        """Make the client for one job; called with just the context when the job's client is first used.

        A subclass may override this, or call it with more arguments.

        Args:
            context: The context header of the job, for the client to hand on; copied.
            extra_context: What the client hands on besides.
            kwargs: Given to the constructor of :attr:`client_class`.

        Returns:
            A client with the ``client_routing`` of this server's settings.
        """
        context = dict(context)
        if extra_context:
            context.update(extra_context)
        context["calling_service"] = self.service_name
        return self._client_factory.make(self.client_class, context, **kwargs)

    @staticmethod
    def make_middleware_stack(middleware: Sequence[Callable[[_Task], _Task]], base: _Task) -> _Task:
        """Wrap a callable in middleware.

        Args:
            middleware: What wraps, the outermost first.
            base: What is wrapped.

        Returns:
            The outermost callable, or ``base`` if there is no middleware.
        """
        for wrap in reversed(middleware):
            base = wrap(base)
        return base

    def handle_unhandled_exception(
        self,
        exception: BaseException,
        response_type: type[_Response],
        variables: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> _Response:
        """Log an exception that nobody expected, and make an error response of it.

        Args:
            exception: The exception.
            response_type: ``JobResponse`` or ``ActionResponse``.
            variables: What to show the caller along with the traceback, by name; values named like secrets
                are censored.
            kwargs: Given to the constructor of the response.

        Returns:
            The response, with one error of the code ``SERVER_ERROR``.
        """
        self._count("server.error.unhandled_error")
        return response_type(errors=[unhandled_exception_error(self, exception, variables)], **kwargs)

    def handle_job_error_code(
        self,
        code: str,
        message: str,
        request_for_logging: RecursivelyCensoredDictWrapper,
        response_for_logging: RecursivelyCensoredDictWrapper,
        extra: dict[str, Any] | None = None,
    ) -> JobResponse:
        """Log a known trouble with a response, and make an error response in its place.

        Args:
            code: The error code.
            message: What happened.
            request_for_logging: The request.
            response_for_logging: The response that was to be sent.
            extra: What to add to the ``data`` of the log record.

        Returns:
            The response, with one error.
        """
        data = {"request": request_for_logging, "response": response_for_logging, **(extra or {})}
        self.logger.error(message, exc_info=True, extra={"data": data})
        return JobResponse(errors=[Error(code=code, message=message)])

    # -- hooks -----------------------------------------------------------------------------------------------

    def setup(self) -> None:
        """Override this for what is to be done once before the first request; call ``super().setup()``."""

    def teardown(self) -> None:
        """Override this for what is to be done once after the last request; call ``super().teardown()``."""

    def perform_pre_request_actions(self) -> None:
        """Run just before each request is processed; call the base method if you override it.

        If it raises, the caller gets a job error with the code ``SERVER_ERROR``, and no action is run.
        """
        if self.use_django:
            self._reset_django_queries()
            self._close_old_django_connections()

    def perform_post_request_actions(self) -> None:
        """Run just after each request was answered; call the base method if you override it.

        If it raises, that is logged, and the server goes on. Middleware serves most purposes better than
        this.
        """
        if self.use_django:
            self._close_old_django_connections()
            self._close_django_caches()
        if self._heartbeat is not None:
            self._update_heartbeat_file()

    def perform_idle_actions(self) -> None:
        """Run whenever no request came for a while; call the base method if you override it."""
        if self.use_django:
            self._close_old_django_connections()
        if self._heartbeat is not None:
            self._update_heartbeat_file()

    # -- the life of the server ------------------------------------------------------------------------------

    @classmethod
    def main(cls, forked_process_id: int | None = None) -> None:
        """Load the settings as the command line says, construct a server and run it.

        ::

            cls.main
              -> cls.initialize                               returns the class to use
              -> __init__
              -> run
                  -> setup
                  -> heartbeat file created, if configured
                  -> handle_next_request, until shutting_down
                      -> transport.receive_request_message
                      -> perform_idle_actions                 if there was none
                      -> perform_pre_request_actions
                      -> process_job
                          -> middleware(execute_job)
                      -> transport.send_response_message
                      -> perform_post_request_actions
                  -> teardown
                  -> coroutines completed, Django caches closed, heartbeat file deleted

        Args:
            forked_process_id: The number of this process among those that one parent has forked, from 1;
                ``None`` if it was not forked.
        """
        from pysoa.server import _command_line

        _command_line.main(cls, forked_process_id)

    @classmethod
    def initialize(cls, settings: ServerSettings) -> type[Server]:
        """Override this to change the settings or the class just before the server is constructed.

        Args:
            settings: The settings.

        Returns:
            The class to construct: ``cls``, or another made from it. An override must call ``super``.
        """
        del settings
        return cls

    @classmethod
    def pre_fork(cls) -> None:
        """Override this for what the parent of forked workers is to do once, before it forks the first."""

    def run(self) -> None:
        """Serve requests until the server is told to shut down, by a signal or by harakiri."""
        from pysoa.server import _run_loop

        _run_loop.run(self)

    def handle_shutdown_signal(self, signal_number: int, _stack_frame: FrameType | None) -> None:
        """Finish the current request and end :meth:`run`; a second signal forces the end.

        Args:
            signal_number: The signal.
            _stack_frame: Where the signal interrupted the program.
        """
        handle_shutdown_signal(self, signal_number)

    def harakiri(self, signal_number: int, _stack_frame: FrameType | None) -> None:
        """Interrupt what takes too long, so that the server can answer and shut down; else end the process.

        Args:
            signal_number: The signal.
            _stack_frame: Where the signal interrupted the program.

        Raises:
            HarakiriInterrupt: To interrupt what the main thread does.
        """
        del signal_number
        from pysoa.server import _harakiri

        _harakiri.handle_alarm(self)

    def _create_heartbeat_file(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.create()

    def _update_heartbeat_file(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.update()

    def _delete_heartbeat_file(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.delete()

    # -- Django ----------------------------------------------------------------------------------------------

    def _reset_django_queries(self) -> None:
        from pysoa.server.django.database import django_reset_database_queries

        if not self._skip_django_database_cleanup:
            django_reset_database_queries()

    def _close_old_django_connections(self) -> None:
        if self.use_django and not self._skip_django_database_cleanup:
            from pysoa.server.django.database import django_close_old_database_connections

            django_close_old_database_connections()

    def _close_django_caches(self, shutdown: bool = False) -> None:
        if self.use_django:
            from pysoa.server import _django

            _django.close_caches(for_shutdown=shutdown)

    # -- metrics and transport -------------------------------------------------------------------------------

    def _count(self, name: str, **tags: Any) -> None:
        if self.metrics is not self._silent_metrics:
            self.metrics.counter(name, **tags).increment()

    def _set_busy_metrics(self, busy: bool, running: bool = True) -> None:
        if self.metrics is not self._silent_metrics:
            self.metrics.gauge("server.worker.running", initial_value=1 if running else 0)
            self.metrics.gauge("server.worker.busy", initial_value=1 if busy else 0)

    def _get_to_know_transport(self) -> None:
        """Decide once what the transport can do; again when somebody has given the server another one."""
        self._known_transport = transport = self.transport
        self._transport_carries_native_values: bool = getattr(transport, "carries_native_values", False)
        # Who overrides a hook may do there what a waiting request should not wait for.
        cls = type(self)
        self._may_send_and_wait = (
            isinstance(transport, RespondsAndWaits)
            and not self.use_django
            and cls.perform_post_request_actions is Server.perform_post_request_actions
            and cls.perform_pre_request_actions is Server.perform_pre_request_actions
        )


def _censoring_also(names: Any) -> type[RecursivelyCensoredDictWrapper]:
    """Return the wrapper for log lines that also censors the values with these names."""
    if not names:
        return RecursivelyCensoredDictWrapper

    class DictWrapper(RecursivelyCensoredDictWrapper):
        SENSITIVE_FIELDS = RecursivelyCensoredDictWrapper.SENSITIVE_FIELDS | frozenset(names)

    return DictWrapper
