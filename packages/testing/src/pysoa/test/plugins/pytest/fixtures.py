"""Fixtures for the tests of services and of code that calls services.

pytest loads this module in every run of an environment in which pysoa-testing is installed. So it imports
nothing but pytest, and each fixture imports what it needs when a test asks for it. The fixtures and their
scopes:

``server_class`` (module)
    **Yours to define**: the class of the service that is tested.
``server_settings`` (module)
    The settings of the service.
``service_client_settings`` (module)
    Settings of a client for a server of the service in the same process.
``service_client_class`` (module)
    A client class whose ``call_action`` needs no name of the service.
``service_client`` (module)
    A client for a server of the service in the same process.
``action_stubber`` (function)
    Stubs actions of other services until the test ends.
``redis_server`` (session)
    A private Redis.
``clean_redis`` (function)
    The same, emptied.
``redis_database`` (function)
    An empty database of it, which no other test sees.
``running_service`` (function)
    Runs services in processes, on that database.
``running_service_in_thread`` (function)
    The same in threads.

Override any of them in your ``conftest.py`` to change what it gives.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # Importing them would cost every run that does not use them.
    from pysoa.client.client import Client
    from pysoa.server.server import Server
    from pysoa.test.redis_server import RedisServer
    from pysoa.test.running import RedisDatabase, ServiceProcess, ServiceThread
    from pysoa.test.stub_service import ActionStubber

__all__ = [
    "action_stubber",
    "clean_redis",
    "redis_database",
    "redis_server",
    "running_service",
    "running_service_in_thread",
    "server_settings",
    "service_client",
    "service_client_class",
    "service_client_settings",
]

_SETTINGS_VARIABLE = "PYSOA_SETTINGS_MODULE"

# The modules whose `assert` is to show values. pytest finds them by itself only in a package that is no
# namespace; and it complains about those that are imported already.
_REWRITTEN = "pysoa.test._unittest_assertions"
if _REWRITTEN not in sys.modules:
    pytest.register_assert_rewrite(_REWRITTEN)


# A service in the same process


@pytest.fixture(scope="module")
def server_settings(server_class: type[Server]) -> Any:
    """The settings of the service.

    They are ``SOA_SERVER_SETTINGS``, or else ``settings``, of the Django settings if the server uses
    Django, or of the module that the environment variable ``PYSOA_SETTINGS_MODULE`` names.
    """
    if server_class.use_django:
        from pysoa.test._local_service import settings_of_django

        module = settings_of_django()
    else:
        name = os.environ.get(_SETTINGS_VARIABLE)
        if not name:
            raise AssertionError(
                f"{_SETTINGS_VARIABLE} environment variable must be set to run tests. "
                "Or define a fixture server_settings."
            )
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            raise AssertionError(f"Could not import {_SETTINGS_VARIABLE}: {name}. {error}") from error
    for attribute in ("SOA_SERVER_SETTINGS", "settings"):
        with contextlib.suppress(AttributeError):
            return getattr(module, attribute)
    raise AssertionError("Could not access settings.SOA_SERVER_SETTINGS or settings.settings")


@pytest.fixture(scope="module")
def service_client_settings(server_class: type[Server], server_settings: Any) -> dict[str, dict[str, Any]]:
    """The settings of a client that has a server of the service in this process."""
    from pysoa.test._local_service import client_settings

    return client_settings(server_class, server_settings)


@pytest.fixture(scope="module")
def service_client_class(server_class: type[Server]) -> type[Client]:
    """A client class with ``call_action(action, body=None, service_name=None, **kwargs)``.

    The service name defaults to that of the service. All other methods are those of a client.
    """
    from pysoa.test._local_service import make_client_class

    return make_client_class(server_class)


@pytest.fixture(scope="module")
def service_client(
    server_class: type[Server],
    service_client_class: type[Client],
    service_client_settings: dict[str, dict[str, Any]],
) -> Any:
    """A client for a server of the service in this process, which all tests of a module share.

    The bodies are not serialized, and the server leaves the database connections of the test open.
    """
    from pysoa.test._local_service import with_server

    return with_server(service_client_class(service_client_settings), server_class.service_name or "")


# Other services


@pytest.fixture
def action_stubber() -> Iterator[ActionStubber]:
    """Stubs actions: takes what :class:`~pysoa.test.stub_service.stub_action` takes, and returns the stub.

    The stubs end with the test. They are active from the call on, so there is no order of arguments to mind::

        def test_greeting(action_stubber):
            get_user = action_stubber("user", "get_user", body={"name": "John"})

            greet(user_id=1234)

            get_user.assert_called_once_with({"id": 1234})
    """
    from pysoa.test.stub_service import ActionStubber

    stubber = ActionStubber()
    yield stubber
    stubber.stop_all()


# Redis


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A private redis-server that lives as long as the test session; see :mod:`pysoa.test.redis_server`.

    With pytest-xdist, each worker has its own. Tests that use it share its contents. Take ``clean_redis`` for
    one that is empty, or ``redis_database`` for one that is empty and nobody else's.
    """
    from pysoa.test.redis_server import RedisServer

    with RedisServer(config=["databases 256"]) as server:
        yield server


@pytest.fixture
def clean_redis(redis_server: RedisServer) -> RedisServer:
    """The server of ``redis_server``, running and empty when the test begins."""
    redis_server.start()
    redis_server.resume()
    redis_server.execute("FLUSHALL")
    return redis_server


@pytest.fixture
def redis_database(redis_server: RedisServer) -> Iterator[RedisDatabase]:
    """A database of ``redis_server`` that is empty when the test begins, and that no other test sees.

    Its ``client_transport`` and ``server_transport`` are the settings of transports that use it.
    """
    from pysoa.test.running import taken_database

    redis_server.start()
    redis_server.resume()
    with taken_database(redis_server) as database:
        yield database


# Running services


@pytest.fixture
def running_service(redis_database: RedisDatabase) -> Iterator[Callable[..., ServiceProcess]]:
    """Runs services in processes until the test ends: ``running_service(server_class, settings, ...)``.

    It takes what :class:`~pysoa.test.running.ServiceProcess` takes, but for ``redis``, and returns one that
    serves. All services of a test share a database that no other test sees. When a test fails, the report
    has the logs.
    """
    from pysoa.test.running import ServiceProcess

    with contextlib.ExitStack() as stack:

        def run(server_class: type[Server], *args: Any, **kwargs: Any) -> ServiceProcess:
            __tracebackhide__ = True
            return stack.enter_context(ServiceProcess(server_class, redis_database, *args, **kwargs))

        yield run


@pytest.fixture
def running_service_in_thread(redis_database: RedisDatabase) -> Iterator[Callable[..., ServiceThread]]:
    """Does what ``running_service`` does, with :class:`~pysoa.test.running.ServiceThread`."""
    from pysoa.test.running import ServiceThread

    with contextlib.ExitStack() as stack:

        def run(server_class: type[Server], *args: Any, **kwargs: Any) -> ServiceThread:
            __tracebackhide__ = True
            return stack.enter_context(ServiceThread(server_class, redis_database, *args, **kwargs))

        yield run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,  # noqa: ARG001 (named by pytest)
    call: pytest.CallInfo[None],  # noqa: ARG001
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the logs of running services to the report of a failed test."""
    report = yield
    running = sys.modules.get("pysoa.test.running") if report.failed else None
    if running is not None:
        report.sections.extend(running.log_sections())
    return report
