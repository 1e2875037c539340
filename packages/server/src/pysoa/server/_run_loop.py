"""The life of one server in its process: start, serve until told otherwise, stop."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from pysoa.common.transport.errors import TransientPySOATransportError
from pysoa.server._backoff import Backoff
from pysoa.server._harakiri import HarakiriTimer, count_harakiri, receive_timeout_of
from pysoa.server._interrupts import HarakiriInterrupt
from pysoa.server._process_state import RunningServer, state_of
from pysoa.server._signals import ForcedShutdown, HandlersOfRun
from pysoa.server._watchdog import Watchdog
from pysoa.version import __version__

# The names with an underscore are those of Server that 1.x services and the test kit use as well.
# pyright: reportPrivateUsage=false

__all__ = ("run",)

_SLEEP_SLICE_IN_SECONDS = 0.1
_UNEXPECTED_ERRORS_LIMIT_IN_SECONDS = 60.0


def run(server: RunningServer) -> None:
    """Do what ``Server.run`` promises.

    Whether the shutdown was asked for is in the server's ``ProcessState`` afterwards.

    Works outside the main thread too. Signals and harakiri are then not handled: to stop the server, the
    embedding program calls its ``handle_shutdown_signal``, from any thread.
    """
    _Run(server).run()


class _Run:
    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._state = state_of(server)
        self._logger = server.logger
        self._timer = HarakiriTimer(server)
        self._handlers = HandlersOfRun(server)
        self._watchdog = Watchdog(server)
        self._backoff = Backoff()
        self._outage_since: float | None = None
        self._unexpected_since: float | None = None
        self._is_recovering = False
        self._is_set_up = False
        self._end: BaseException | None = None

    def run(self) -> None:
        try:
            self._start()
            self._serve()
        except BaseException as error:
            self._note_end(error)
        finally:
            self._stop()
        if self._end is not None:
            raise self._end

    # -- start -----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        server = self._server
        if self._state.owns_process:
            _spare_garbage_collector()
        self._logger.info(
            'Service "%s" server starting up, pysoa version %s, listening on transport %s.',
            server.service_name,
            __version__,
            server.transport,
        )
        self._warn_of_short_harakiri()
        self._state.is_starting = True
        self._handlers.install()
        server.setup()
        self._is_set_up = True
        self._state.is_starting = False
        server.metrics.counter("server.worker.startup").increment()
        server._set_busy_metrics(False)
        server.metrics.publish_all()
        server._create_heartbeat_file()
        server._on_request_taken = self._timer.watch_request
        server._on_request_done = self._timer.end_request
        if self._state.alarm_is_ours:
            self._watchdog.start()

    def _warn_of_short_harakiri(self) -> None:
        waits = receive_timeout_of(self._server)
        if waits is not None and 0 < self._timer.timeout_in_seconds <= waits:
            self._logger.warning(
                "The setting harakiri.timeout (%s seconds) is not above the transport's receive timeout (%s "
                "seconds). PySOA 1.x ended idle workers that way; here only jobs are limited to that time. "
                "Set it to more than the longest job needs.",
                self._timer.timeout_in_seconds,
                waits,
            )

    # -- serve -----------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        server = self._server
        watch_wait = self._timer.watch_wait
        # A response may be sent together with the wait for the next request. What that wait took from the
        # queue nobody else can serve, so it is served even after a shutdown was asked for.
        while not server.shutting_down or server._receive_is_owed:
            watch_wait()
            try:
                server.handle_next_request()
            except HarakiriInterrupt:
                self._handle_harakiri()
            except Exception as error:
                self._handle_failed_round(error)
            else:
                if self._is_recovering:
                    self._note_success()

    def _handle_harakiri(self) -> None:
        count_harakiri(self._server, "server")
        self._logger.error("Harakiri interrupt occurred outside of action or job handling")
        if not self._state.harakiri_hit_request:
            self._server._receive_is_owed = False  # it is the wait itself that hangs
        self._publish_metrics()

    def _handle_failed_round(self, error: Exception) -> None:
        server = self._server
        server._receive_is_owed = False  # the wait failed, so it took nothing
        self._timer.end_request()
        self._is_recovering = True
        if isinstance(error, TransientPySOATransportError):
            self._handle_transport_trouble(error)
        else:
            self._handle_unexpected_error(error)
        self._publish_metrics()

    def _publish_metrics(self) -> None:
        try:
            self._server.metrics.publish_all()
        except Exception as error:
            self._logger.error("Metrics could not be published; continuing", exc_info=error)

    def _handle_transport_trouble(self, error: Exception) -> None:
        self._unexpected_since = None
        lasts, self._outage_since = _since(self._outage_since)
        limit: int | None = self._server.settings.get("maximum_transport_outage_in_seconds")
        if limit is not None and lasts >= limit:
            self._logger.error(
                "Too many errors receiving message from transport; shutting down! It has not worked for %.0f "
                "seconds, and the setting maximum_transport_outage_in_seconds allows %s. %s: %s",
                lasts,
                limit,
                type(error).__name__,
                error,
            )
            self._give_up()
            return
        seconds = self._backoff.next_in_seconds()
        self._logger.info(
            "Transient error receiving message from transport, sleeping %.2f seconds and continuing. %s: %s",
            seconds,
            type(error).__name__,
            error,
        )
        self._sleep(seconds)

    def _handle_unexpected_error(self, error: Exception) -> None:
        self._server.metrics.counter("server.error.unknown").increment()
        lasts, self._unexpected_since = _since(self._unexpected_since)
        # A message that a transport cannot read is gone with this error. An error that comes again and again
        # for a minute is in the server's own code or state: a fresh process may do better.
        if lasts >= _UNEXPECTED_ERRORS_LIMIT_IN_SECONDS:
            self._logger.error("Unhandled server error; shutting down", exc_info=error)
            self._give_up()
            return
        self._logger.error("Unhandled server error; continuing", exc_info=error)
        self._sleep(self._backoff.next_in_seconds())

    def _give_up(self) -> None:
        self._state.failed = True
        self._server.shutting_down = True

    def _sleep(self, seconds: float) -> None:
        """Sleep, with an ear for signals and with a beating heart."""
        self._timer.stop()
        server = self._server
        until = time.monotonic() + seconds
        while not server.shutting_down and (left := until - time.monotonic()) > 0:
            server._update_heartbeat_file()
            time.sleep(min(left, _SLEEP_SLICE_IN_SECONDS))

    def _note_success(self) -> None:
        if self._outage_since is not None:
            self._logger.info(
                "The transport works again, after %.1f seconds", time.monotonic() - self._outage_since
            )
        self._outage_since = self._unexpected_since = None
        self._backoff.succeeded()
        self._is_recovering = not self._backoff.is_at_rest

    # -- stop ------------------------------------------------------------------------------------------------

    def _note_end(self, error: BaseException) -> None:
        """Decide what an exception that ended the run means for the exit code and for who called ``run``."""
        if isinstance(error, HarakiriInterrupt):
            self._handle_harakiri()
            return
        if not (isinstance(error, SystemExit) and not error.code):
            self._state.failed = True
        if isinstance(error, Exception):
            self._logger.error(
                "The server could not start; shutting down. %s: %s", type(error).__name__, error
            )
        if self._end is None:
            self._end = error

    def _stop(self) -> None:
        server = self._server
        server.shutting_down = True
        if isinstance(self._end, ForcedShutdown):
            self._timer.watch_forced_shutdown()
        else:
            self._timer.watch_shutdown()
        if self._is_set_up:
            self._step("teardown", server.teardown)
        self._step("publishing metrics", self._publish_last_metrics)
        self._logger.info("Server shutting down")
        self._step("ending the async event loop", self._join_event_loop)
        if server.use_django:
            self._step("closing Django caches", lambda: server._close_django_caches(shutdown=True))
        self._watchdog.stop()
        self._step("deleting the heartbeat file", server._delete_heartbeat_file)
        self._timer.stop()
        server._on_request_taken = server._on_request_done = None
        self._handlers.restore()
        self._logger.info("Server shutdown complete")

    def _step(self, what: str, function: Callable[[], None]) -> None:
        """Run one step of the shutdown so that the ones after it run in any case."""
        try:
            function()
        except Exception as error:
            self._state.failed = True
            self._logger.error("Error while %s during the shutdown; going on with it", what, exc_info=error)
        except HarakiriInterrupt:
            self._state.failed = True
            self._logger.error(
                "Harakiri interrupt occurred while %s during the shutdown; going on with it", what
            )
        except BaseException as error:
            self._note_end(error)
            if isinstance(error, ForcedShutdown):
                self._timer.watch_forced_shutdown()

    def _publish_last_metrics(self) -> None:
        server = self._server
        server.metrics.counter("server.worker.shutdown").increment()
        server._set_busy_metrics(False, running=False)
        server.metrics.publish_all()

    def _join_event_loop(self) -> None:
        self._server._async_event_loop_thread.join(timeout=self._timer.grace_in_seconds)


def _spare_garbage_collector() -> None:
    """Take what lives as long as the process out of what the garbage collector looks through.

    Large bodies make it run often, and looking through a whole service each time costs more than they do.
    """
    gc.collect()
    gc.freeze()


def _since(start: float | None) -> tuple[float, float]:
    """Return how long ago something started, and when: now, if it had not."""
    now = time.monotonic()
    return (0.0, now) if start is None else (now - start, start)
