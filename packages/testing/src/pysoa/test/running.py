"""Running services, for tests that go all the way: a real server, a real Redis, a client.

::

    def test_square(running_service):
        service = running_service(SquareServer)

        assert service.call_action("square", {"number": 7}).body == {"square": 49}

The fixture ``running_service`` makes :class:`ServiceProcess` objects for one test,
``running_service_in_thread`` :class:`ServiceThread` objects. A fixture of a wider scope may use these
classes itself::

    @pytest.fixture(scope="module")
    def service(redis_server):
        with ServiceProcess(SquareServer, redis_server) as service:
            yield service

A process is as in production, and may be killed. A thread starts at once, and tests can look into the server.
"""

from __future__ import annotations

import abc
import contextlib
import os
import pathlib
import pickle
import shutil
import signal
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self

from pysoa.client.client import Client
from pysoa.common.types import ActionResponse, Body
from pysoa.server._forking import capped_worker_count
from pysoa.server.server import Server
from pysoa.test._redis_database import RedisDatabase, taken_database
from pysoa.test._redis_process import RedisProcess as ChildProcess  # nothing in it is about Redis
from pysoa.test._service_child import Orders
from pysoa.test.redis_server import RedisServer

__all__ = (
    "RedisDatabase",
    "RunningService",
    "RunningServiceError",
    "ServiceProcess",
    "ServiceThread",
    "log_sections",
    "taken_database",
)

_POLL_INTERVAL_IN_SECONDS: Final = 0.01
_LOG_SIZE_SHOWN: Final = 20_000

_processes: Final[weakref.WeakSet[ServiceProcess]] = weakref.WeakSet()


class RunningServiceError(Exception):
    """A service did not start or did not stop; the text ends with what it logged."""


class RunningService(abc.ABC):
    """A service that runs beside the test; also a context manager, which starts and stops it.

    Use :class:`ServiceProcess` or :class:`ServiceThread`.
    """

    def __init__(
        self,
        server_class: type[Server],
        redis: RedisServer | RedisDatabase,
        settings: Mapping[str, Any] | None = None,
        *,
        client_class: type[Client] = Client,
        start_timeout_in_seconds: float = 30.0,
        stop_timeout_in_seconds: float = 10.0,
    ) -> None:
        """Describe a service; :meth:`start` starts it.

        Args:
            server_class: The server class.
            redis: A private server, of which the service then gets an empty database of its own; or a
                database, which several services may share.
            settings: The settings of the server. Their ``heartbeat_file`` is replaced, and of their
                ``transport`` what says where Redis is.
            client_class: The class of :attr:`client`.
            start_timeout_in_seconds: How long the service may take until it serves.
            stop_timeout_in_seconds: How long the service may take until it has finished.

        Raises:
            ValueError: The class has no service name.
        """
        if not server_class.service_name:
            raise ValueError(f"{server_class!r} has no service_name. Set it.")
        self.server_class = server_class
        self.service_name: str = server_class.service_name
        self._redis = redis
        self._settings = dict(settings or {})
        self._client_class = client_class
        self._start_timeout_s = start_timeout_in_seconds
        self._stop_timeout_s = stop_timeout_in_seconds
        self._resources = contextlib.ExitStack()
        self._database: RedisDatabase | None = None
        self._client: Client | None = None
        self._folder = pathlib.Path()

    # Life

    def start(self) -> Self:
        """Start the service and wait until it serves; do nothing if it was started already.

        Returns:
            The service itself.

        Raises:
            RunningServiceError: It ended early, or did not serve in time.
        """
        __tracebackhide__ = True
        if self._database is not None:
            return self
        with contextlib.ExitStack() as stack:
            self._folder = pathlib.Path(tempfile.mkdtemp(prefix="pysoa-service-"))
            stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
            stack.callback(self._forget)
            self._database = self._enter_database(stack)
            self._launch(self._complete_settings(self._database), stack)
            self._wait_until_it_serves()
            self._resources = stack.pop_all()
        return self

    def stop(self) -> None:
        """Have the service finish what it does and end; do nothing if it was not started.

        Raises:
            RunningServiceError: It did not end in time.
        """
        self._resources.close()

    def __enter__(self) -> Self:
        __tracebackhide__ = True
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    # Use

    @property
    def client(self) -> Client:
        """A client for the service."""
        if self._client is None:
            self._client = self._client_class(self.client_settings)
        return self._client

    @property
    def client_settings(self) -> dict[str, Any]:
        """The settings for clients of this service.

        Those of several services can be united, and used as ``client_routing`` of other services.
        """
        if self._database is None:
            raise RunningServiceError(f"Service {self.service_name!r} is not running. Call start() first.")
        return {self.service_name: {"transport": self._database.client_transport}}

    def call_action(self, action: str, body: Body | None = None, **kwargs: Any) -> ActionResponse:
        """Call an action of the service.

        Args:
            action: The name of the action.
            body: The request body.
            kwargs: Given to :meth:`pysoa.client.client.Client.call_action`.
        """
        return self.client.call_action(self.service_name, action, body, **kwargs)

    @property
    @abc.abstractmethod
    def is_running(self) -> bool:
        """Whether the service was started and has not ended."""

    def __repr__(self) -> str:
        state = "running" if self.is_running else "stopped"
        return f"<{type(self).__name__} {self.service_name!r} {state}>"

    # How it is started

    @abc.abstractmethod
    def _launch(self, settings: dict[str, Any], stack: contextlib.ExitStack) -> None:
        """Start it, and have the stack stop it."""

    @abc.abstractmethod
    def _describe_end(self) -> str:
        """Say why it is not running any more."""

    def _enter_database(self, stack: contextlib.ExitStack) -> RedisDatabase:
        if isinstance(self._redis, RedisDatabase):
            return self._redis
        return stack.enter_context(taken_database(self._redis))

    def _complete_settings(self, database: RedisDatabase) -> dict[str, Any]:
        transport = database.server_transport
        own: Mapping[str, Any] = self._settings.get("transport", {})
        if own.get("path") == transport["path"]:
            transport["kwargs"] = {**own.get("kwargs", {}), **transport["kwargs"]}
        # Every worker creates its file when it is set up.
        heartbeat_file = str(self._folder / "{{fid}}.heartbeat")
        return {**self._settings, "transport": transport, "heartbeat_file": heartbeat_file}

    def _wait_until_it_serves(self) -> None:
        __tracebackhide__ = True
        served = _wait_until(
            lambda: not self.is_running or self._count_serving() >= self._expected_workers(),
            self._start_timeout_s,
        )
        if not self.is_running:
            raise RunningServiceError(
                f"Service {self.service_name!r} ended while starting. {self._describe_end()}"
            )
        if not served:
            raise RunningServiceError(
                f"Service {self.service_name!r} did not serve within {self._start_timeout_s} seconds. "
                f"{self._describe_end()}"
            )

    def _count_serving(self) -> int:
        return len(list(self._folder.glob("*.heartbeat")))

    def _expected_workers(self) -> int:
        return 1

    def _forget(self) -> None:
        self._database = None
        self._client = None


class ServiceProcess(RunningService):
    """A service in a process of its own, or in several.

    The process imports the server class, so that must be at the top level of a module; that of a test is
    all right. It runs the class as the command line of a service does. It ends when this interpreter ends,
    even when that is killed.
    """

    def __init__(
        self,
        server_class: type[Server],
        redis: RedisServer | RedisDatabase,
        settings: Mapping[str, Any] | None = None,
        *,
        worker_count: int = 1,
        environment: Mapping[str, str] | None = None,
        client_class: type[Client] = Client,
        start_timeout_in_seconds: float = 30.0,
        stop_timeout_in_seconds: float = 10.0,
    ) -> None:
        """Describe a service; :meth:`~RunningService.start` starts it.

        Args:
            server_class: The server class. If it uses Django, ``DJANGO_SETTINGS_MODULE`` must be set.
            redis: A private server, of which the service then gets an empty database of its own; or a
                database, which several services may share.
            settings: The settings of the server, which must be possible to pickle. Their
                ``heartbeat_file`` is replaced, and of their ``transport`` what says where Redis is.
            worker_count: How many processes serve. More than one are forked, as by ``--fork-processes``.
            environment: Environment variables to set for the process.
            client_class: The class of ``client``.
            start_timeout_in_seconds: How long the service may take until it serves.
            stop_timeout_in_seconds: How long the service may take until it has finished.

        Raises:
            ValueError: The class has no service name, or it cannot be imported.
        """
        super().__init__(
            server_class,
            redis,
            settings,
            client_class=client_class,
            start_timeout_in_seconds=start_timeout_in_seconds,
            stop_timeout_in_seconds=stop_timeout_in_seconds,
        )
        if "<locals>" in server_class.__qualname__:
            raise ValueError(
                f"{server_class.__qualname__} is defined in a function, where no other process can import it "
                "from. Define it at the top level of a module, or run the service in a thread."
            )
        self._worker_count = capped_worker_count(worker_count)
        self._environment = dict(environment or {})
        self._process: ChildProcess | None = None
        self._last_log = ""

    @property
    def is_running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.is_running()

    @property
    def pid(self) -> int:
        """The id of the process; with several workers, that of their parent."""
        if self._process is None:
            raise RunningServiceError(f"Service {self.service_name!r} is not running. Call start() first.")
        return self._process.pid

    @property
    def log(self) -> str:
        """What the process has written to its standard output and error so far."""
        try:
            return (self._folder / "service.log").read_text(errors="replace")
        except OSError:
            return self._last_log

    def kill(self) -> None:
        """End all processes of the service at once, as a crash would; :meth:`stop` is still to be called."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            _wait_until(lambda: not self.is_running, self._stop_timeout_s)

    def _launch(self, settings: dict[str, Any], stack: contextlib.ExitStack) -> None:
        module = sys.modules[self.server_class.__module__]
        orders = Orders(
            module=self.server_class.__module__,
            file=getattr(module, "__file__", None),
            qualified_name=self.server_class.__qualname__,
            settings=pickle.dumps(settings),
            worker_count=self._worker_count,
            folder=str(pathlib.Path.cwd()),
            path=sys.path,
            environment=self._environment,
        )
        orders_file = self._folder / "orders"
        orders_file.write_bytes(pickle.dumps(orders))
        command = [sys.executable, "-m", "pysoa.test._service_child", str(orders_file)]
        self._process = ChildProcess(command, self._folder, self._folder / "service.log")
        _processes.add(self)
        stack.callback(self._end, self._process)

    def _end(self, process: ChildProcess) -> None:
        process.send_signal(signal.SIGTERM)
        ended = _wait_until(lambda: not process.is_running(), self._stop_timeout_s)
        self.kill()  # also what is left of the workers
        process.end(signal.SIGKILL)
        _processes.discard(self)
        self._last_log = self.log
        self._process = None
        if not ended:
            raise RunningServiceError(
                f"Service {self.service_name!r} did not stop within {self._stop_timeout_s} seconds, and was "
                f"killed. {self._describe_end()}"
            )

    def _describe_end(self) -> str:
        return f"Its log ends with:\n{self.log[-_LOG_SIZE_SHOWN:]}"

    def _expected_workers(self) -> int:
        return self._worker_count


class ServiceThread(RunningService):
    """A service in a thread of the test's own process.

    It is the whole server on a real Redis, but for signals and harakiri. Its log lines are the test's own.
    """

    server: Server
    """The server; there once the service was started."""

    def __init__(
        self,
        server_class: type[Server],
        redis: RedisServer | RedisDatabase,
        settings: Mapping[str, Any] | None = None,
        *,
        client_class: type[Client] = Client,
        start_timeout_in_seconds: float = 30.0,
        stop_timeout_in_seconds: float = 10.0,
    ) -> None:
        """Describe a service; :meth:`~RunningService.start` starts it.

        Args:
            server_class: The server class.
            redis: A private server, of which the service then gets an empty database of its own; or a
                database, which several services may share.
            settings: The settings of the server. Their ``heartbeat_file`` is replaced, and of their
                ``transport`` what says where Redis is.
            client_class: The class of ``client``.
            start_timeout_in_seconds: How long the service may take until it serves.
            stop_timeout_in_seconds: How long the service may take until it has finished.

        Raises:
            ValueError: The class has no service name.
        """
        super().__init__(
            server_class,
            redis,
            settings,
            client_class=client_class,
            start_timeout_in_seconds=start_timeout_in_seconds,
            stop_timeout_in_seconds=stop_timeout_in_seconds,
        )
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    @property
    def is_running(self) -> bool:
        """Whether the thread was started and has not ended."""
        return self._thread is not None and self._thread.is_alive()

    def _launch(self, settings: dict[str, Any], stack: contextlib.ExitStack) -> None:
        checked = self.server_class.settings_class(settings)
        self.server = self.server_class.initialize(checked)(checked)
        self._error = None
        # A daemon, so that one that hangs does not keep the interpreter from ending.
        self._thread = threading.Thread(target=self._run, name=f"service-{self.service_name}", daemon=True)
        self._thread.start()
        stack.callback(self._end, self._thread)

    def _run(self) -> None:
        try:
            self.server.run()
        except BaseException as error:
            self._error = error

    def _end(self, thread: threading.Thread) -> None:
        if thread.is_alive():
            self.server.handle_shutdown_signal(signal.SIGTERM, None)
        thread.join(self._stop_timeout_s)
        if thread.is_alive():
            raise RunningServiceError(
                f"Service {self.service_name!r} did not stop within {self._stop_timeout_s} seconds. "
                "Its thread cannot be killed, and stays."
            )

    def _describe_end(self) -> str:
        if self._error is None:
            return ""
        return f"{type(self._error).__name__}: {self._error}"


def log_sections() -> Sequence[tuple[str, str]]:
    """Return titles and ends of the logs of all service processes that run now, for a report."""
    return [
        (f"Log of service {process.service_name!r}", process.log[-_LOG_SIZE_SHOWN:])
        for process in sorted(_processes, key=lambda process: process.service_name)
    ]


def _wait_until(condition: Callable[[], bool], timeout_in_seconds: float) -> bool:
    """Wait for a condition; tell whether it came true in time."""
    deadline = time.monotonic() + timeout_in_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_INTERVAL_IN_SECONDS)
    return True


# What users see of this class, in tracebacks and in the reference, is where it can be imported from.
RedisDatabase.__module__ = __name__
