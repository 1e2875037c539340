"""A service in a real Django project, with SQLite and, where it is installed, memcached."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Service, ServiceProcess

_SETTINGS = """\
import os

SECRET_KEY = "only for tests"
DEBUG = True
USE_TZ = True
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["TEST_DATABASE"]},
    "other": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["TEST_DATABASE"] + ".other"},
}
CACHES = {
    "default": {"BACKEND": "pysoa.server.django.cache.PySOAProcessScopedMemoryCache"},
    "request": {"BACKEND": "pysoa.server.django.cache.PySOARequestScopedMemoryCache"},
    "memcached": {
        "BACKEND": "pysoa.server.django.cache.PySOAMemcachedCache",
        "LOCATION": os.environ.get("TEST_MEMCACHED", "127.0.0.1:1"),
    },
}
SOA_SERVER_SETTINGS = {
    "transport": {
        "path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport",
        "kwargs": {
            "backend_type": "redis.standard",
            "backend_layer_kwargs": {"hosts": [("127.0.0.1", int(os.environ["TEST_REDIS_PORT"]))]},
        },
    },
}
_PLAIN = {
    "version": 1,
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "console"}},
    "formatters": {"console": {"format": "%s: %%(levelname)s %%(message)s"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}


def plain_logging(prefix):
    import copy
    logging = copy.deepcopy(_PLAIN)
    logging["formatters"]["console"]["format"] = prefix + ": %(levelname)s %(message)s"
    return logging
"""

_SERVER = """\
import os
import threading

from django.core.cache import caches
from django.db import connection, connections, transaction

from pysoa.server.action import Action
from pysoa.server.server import Server


def say(*words):
    # In one piece: several processes write to the same file.
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())


def opened():
    return sorted(c.alias for c in connections.all(initialized_only=True) if c.connection is not None)


class Opened(Action):
    '''Tells which connections are open when a request begins.'''
    def run(self, request):
        return {"opened": opened(), "queries": len(connection.queries_log) if opened() else 0}


class Query(Action):
    def run(self, request):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 6 * 7")
            answer = cursor.fetchone()[0]
        return {"answer": answer, "queries": len(connection.queries)}


class OpenTransaction(Action):
    '''Leaves a transaction open, which the next request finds.'''
    def run(self, request):
        connection.set_autocommit(False)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return {}


class Cache(Action):
    '''Counts in a cache.'''
    def run(self, request):
        cache = caches[request.body["cache"]]
        if request.body.get("in_thread"):
            thread = threading.Thread(target=lambda: caches["request"].set("count", 1, 60))
            thread.start()
            thread.join()
            return {}
        value = cache.get("count", 0) + 1
        cache.set("count", value, 60)
        return {"count": value, "client": id(cache._cache)}


class Coroutine(Action):
    '''Uses the database in a coroutine, or tells what the coroutines' thread has open.'''
    def run(self, request):
        from asgiref.sync import sync_to_async

        def query():
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            return opened()

        work = query if request.body.get("query") else opened
        return {"opened": request.run_coroutine(sync_to_async(work)()).result(10)}


class ProcessServer(Server):
    service_name = os.environ["TEST_SERVICE_NAME"]
    use_django = True
    action_class_map = {
        "opened": Opened, "query": Query, "open_transaction": OpenTransaction, "cache": Cache,
        "coroutine": Coroutine,
    }

    @classmethod
    def pre_fork(cls):
        super().pre_fork()
        Query(None).run(None)
        say("pre fork opened", opened())

    def setup(self):
        super().setup()
        say("set up with", opened())
"""

_STANDALONE = """\
from pysoa.server.standalone import django_main


def get_server():
    from process_service.server import ProcessServer
    return ProcessServer


if __name__ == "__main__":
    django_main(get_server)
"""

_COMMAND = ("-u", "-m", "process_service.standalone")


@pytest.fixture(autouse=True)
def _project(service: Service) -> None:
    service.write("settings.py", _SETTINGS)
    service.write("server.py", _SERVER)
    service.write("standalone.py", _STANDALONE)


def _start(service: Service, *options: str, workers: int = 1, **environment: str) -> ServiceProcess:
    return service.start_and_wait(
        "-s",
        "process_service.settings",
        *options,
        workers=workers,
        command=_COMMAND,
        environment={"TEST_DATABASE": str(service.folder / "db.sqlite3"), **environment},
    )


class TestSettings:
    def test_module_may_come_from_the_environment(self, service: Service) -> None:
        process = service.start_and_wait(
            command=_COMMAND,
            environment={
                "TEST_DATABASE": str(service.folder / "db.sqlite3"),
                "DJANGO_SETTINGS_MODULE": "process_service.settings",
            },
        )

        assert service.call("query")["answer"] == 42
        assert process.stop() == 0

    def test_module_must_be_given(self, service: Service) -> None:
        process = service.start(command=_COMMAND)

        assert process.wait() == 2
        assert "-s/--settings" in process.output

    def test_module_that_does_not_exist_is_named(self, service: Service) -> None:
        process = service.start("-s", "process_service.nowhere", command=_COMMAND)

        assert process.wait() == 1
        assert "Cannot import Django settings module `process_service.nowhere`" in process.output

    def test_missing_server_settings_are_named(self, service: Service) -> None:
        service.append("settings.py", "\ndel SOA_SERVER_SETTINGS\n")
        process = service.start(
            "-s", "process_service.settings", command=_COMMAND, environment={"TEST_DATABASE": "unused"}
        )

        assert process.wait() == 1
        assert "Cannot find `SOA_SERVER_SETTINGS` in the Django settings." in process.output

    def test_settings_option_that_django_does_not_use_is_a_warning(self, service: Service) -> None:
        service.write("standalone.py", _STANDALONE.replace("django_main", "simple_main"))
        process = service.start_and_wait(
            "-s",
            "some.module",
            command=_COMMAND,
            environment={"TEST_DATABASE": "unused", "DJANGO_SETTINGS_MODULE": "process_service.settings"},
        )

        assert "WARNING: -s/--settings some.module has no effect" in process.output
        assert process.stop() == 0


class TestLogging:
    def test_django_only_logging_stays_in_force(self, service: Service) -> None:
        service.append("settings.py", "\nLOGGING = plain_logging('by django')\n")
        process = _start(service)

        assert process.stop() == 0
        assert "by django: INFO Server shutdown complete" in process.output

    def test_logging_of_the_server_settings_replaces_djangos_with_a_warning(self, service: Service) -> None:
        service.append(
            "settings.py",
            """
            LOGGING = plain_logging('by django')
            SOA_SERVER_SETTINGS["logging"] = plain_logging('by pysoa')
            """,
        )
        process = _start(service)

        assert process.stop() == 0
        assert "by pysoa: WARNING The Django setting LOGGING is not used" in process.output
        assert "by pysoa: INFO Server shutdown complete" in process.output
        assert "by django" not in process.output

    def test_default_logging_is_used_when_there_is_none(self, service: Service) -> None:
        process = _start(service)

        assert process.stop() == 0
        assert "INFO -- --: Server shutdown complete" in process.output


class TestDatabase:
    def test_no_hook_opens_a_connection_and_each_request_leaves_none_open(self, service: Service) -> None:
        process = _start(service)

        before = service.call("opened")
        query = service.call("query")
        after = service.call("opened")

        assert before["opened"] == []
        assert query["answer"] == 42
        assert after["opened"] == []
        assert process.stop() == 0

    def test_persistent_connection_is_kept_and_its_query_log_emptied(self, service: Service) -> None:
        service.append("settings.py", "\nDATABASES['default']['CONN_MAX_AGE'] = None\n")
        process = _start(service)

        first = service.call("query")
        second = service.call("query")
        after = service.call("opened")

        assert after == {"opened": ["default"], "queries": 0}
        assert first["queries"] == second["queries"]
        assert process.stop() == 0

    def test_open_transaction_is_left_alone(self, service: Service) -> None:
        process = _start(service)

        service.call("open_transaction")
        after = service.call("opened")

        assert after["opened"] == ["default"]
        assert process.stop() == 0

    def test_connection_of_the_parent_is_not_shared_with_its_workers(self, service: Service) -> None:
        process = _start(service, "--fork", "2", workers=2)

        assert process.stop() == 0
        assert "pre fork opened ['default']" in process.output
        assert process.output.count("set up with []") == 2

    def test_connections_used_by_coroutines_are_closed(self, service: Service) -> None:
        process = _start(service)

        during = service.call("coroutine", {"query": True})
        after = service.call("coroutine")

        assert during["opened"] == ["default"]
        assert after["opened"] == []
        assert process.stop() == 0


class TestMemoryCaches:
    def test_request_scoped_cache_is_emptied_and_process_scoped_cache_is_not(self, service: Service) -> None:
        process = _start(service)

        counts = [
            service.call("cache", {"cache": cache})["count"]
            for cache in ("default", "request", "default", "request", "default")
        ]

        assert counts == [1, 1, 2, 1, 3]
        assert process.stop() == 0
        assert "Closing all Django caches" in process.output

    def test_request_scoped_cache_that_only_another_thread_has_used_is_emptied(
        self, service: Service
    ) -> None:
        process = _start(service)

        service.call("cache", {"cache": "default", "in_thread": True})
        count = service.call("cache", {"cache": "request"})["count"]

        assert count == 1
        assert process.stop() == 0


@pytest.fixture
def memcached() -> Iterator[str]:
    """The address of a private memcached."""
    program = shutil.which("memcached")
    if program is None:
        pytest.skip("memcached is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [program, "-l", "127.0.0.1", "-p", str(port), "-u", "nobody"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for_port(port)
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_memcached_cache_keeps_its_client_between_requests(service: Service, memcached: str) -> None:
    process = _start(service, TEST_MEMCACHED=memcached)

    answers = [service.call("cache", {"cache": "memcached"}) for _ in range(3)]

    assert [answer["count"] for answer in answers] == [1, 2, 3]
    assert len({answer["client"] for answer in answers}) == 1
    assert process.stop() == 0


def _run(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PATH": "", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_cache_classes_need_no_memcached_library(tmp_path: Path) -> None:
    result = _run(
        "import sys\n"
        "sys.modules.update(pymemcache=None, pylibmc=None, memcache=None)\n"
        "from pysoa.server.django import cache\n"
        "print(*(getattr(cache, name).__mro__[1].__name__ for name in cache.__all__))\n"
        "print(cache.PySOAMemcachedCache.__module__)\n",
        tmp_path,
    )

    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        "PyMemcacheCache LocMemCache PyLibMCCache LocMemCache",
        "pysoa.server.django.cache",
    ]


def test_memory_caches_need_no_memcached_backend_of_django(tmp_path: Path) -> None:
    result = _run(
        "import sys\n"
        "sys.modules['django.core.cache.backends.memcached'] = None\n"
        "from pysoa.server.django.cache import PySOAProcessScopedMemoryCache\n"
        "from pysoa.server.django.cache import PySOARequestScopedMemoryCache\n",
        tmp_path,
    )

    assert result.stderr == ""


def test_each_memory_cache_class_has_its_own_storage(tmp_path: Path) -> None:
    result = _run(
        "from django.conf import settings; settings.configure()\n"
        "from django.core.cache.backends.locmem import LocMemCache\n"
        "from pysoa.server.django.cache import *\n"
        "from pysoa.server.django.cache import PySOARequestScopedMemoryCache as Request\n"
        "caches = [cls('', {}) for cls in (LocMemCache, PySOAProcessScopedMemoryCache, Request)]\n"
        "for number, cache in enumerate(caches): cache.set('key', number)\n"
        "print([cache.get('key') for cache in caches])\n"
        "caches[2].close(); caches[1].close()\n"
        "print([cache.get('key') for cache in caches])\n",
        tmp_path,
    )

    assert result.stderr == ""
    assert result.stdout.splitlines() == ["[0, 1, 2]", "[0, 1, None]"]


@pytest.mark.parametrize("hidden", [[], ["django"], ["django", "asgiref", "watchfiles"]], ids=str)
def test_server_modules_need_neither_django_nor_its_settings(tmp_path: Path, hidden: list[str]) -> None:
    modules: dict[str, Any] = dict.fromkeys(hidden)
    result = _run(
        f"import sys; sys.modules.update({modules!r})\n"
        "import pysoa.server.server, pysoa.server.standalone, pysoa.server.autoreload\n"
        "import pysoa.server.django.database\n"
        "print('django.db' in sys.modules, 'pytest' in sys.modules, 'redis' in sys.modules)\n",
        tmp_path,
    )

    assert result.stderr == ""
    assert result.stdout == "False False False\n"
