"""The plugin in whole runs of pytest: fixtures, failures, parallel runs, any order, and its cost."""

from __future__ import annotations

import re

import pytest

# Imported here since a run of pytest within this process forgets what it was the first to import; what was
# imported before by others would then refer to other classes of the same name.
from pysoa.common.transport import local
from pysoa.test import running, server, stub_service

KEPT = (local, running, server, stub_service)

SERVICE = """\
    import os

    from pysoa.server.action import Action
    from pysoa.server.server import Server

    class Square(Action):
        def run(self, request):
            return {"square": request.body["number"] ** 2, "pid": os.getpid()}

    class SquareServer(Server):
        service_name = "square"
        action_class_map = {"square": Square}
        use_django = False
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with a service, which runs pytest without anything that this project has set."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.delenv("PYSOA_SETTINGS_MODULE", raising=False)
    pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = -p no:cacheprovider -p no:randomly\n")
    pytester.makepyfile(square=SERVICE)
    return pytester


def run(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return project.runpytest_inprocess(*arguments)


def run_apart(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest in a new process: the runs that look at what is imported, and at rewritten modules."""
    return project.runpytest_subprocess(*arguments, timeout=90)


# The service in the same process


CONFTEST = """\
    import pytest
    from square import SquareServer

    @pytest.fixture(scope="module")
    def server_class():
        return SquareServer
"""


@pytest.mark.parametrize("name", ["SOA_SERVER_SETTINGS", "settings"])
def test_the_client_of_a_service_is_made_from_its_settings(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    project.makeconftest(CONFTEST)
    project.makepyfile(my_settings=f"{name} = {{'heartbeat_file': 'mine'}}")
    project.makepyfile(
        """
        import pytest
        from pysoa.client.errors import ImproperlyConfigured

        def test_call(service_client, service_client_class, server_settings):
            assert service_client.call_action("square", {"number": 3}).body["square"] == 9
            assert isinstance(service_client, service_client_class)
            assert server_settings == {"heartbeat_file": "mine"}
            server = service_client.handlers["square"].transport.server
            assert server._skip_django_database_cleanup is True
            assert server.settings["heartbeat_file"] == "mine"

        def test_other_methods_are_those_of_a_client(service_client):
            job = service_client.call_actions("square", [{"action": "square", "body": {"number": 2}}])
            assert job.actions[0].body["square"] == 4
            with pytest.raises(ImproperlyConfigured):
                service_client.call_action("square", {}, service_name="other")

        servers = []

        @pytest.mark.parametrize("turn", [1, 2])
        def test_the_server_is_that_of_the_module(service_client, turn):
            servers.append(service_client.handlers["square"].transport.server)
            assert len(set(servers)) == 1
        """
    )
    monkeypatch.setenv("PYSOA_SETTINGS_MODULE", "my_settings")

    run(project).assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("", "*PYSOA_SETTINGS_MODULE environment variable must be set to run tests.*"),
        ("no.such.module", "*Could not import PYSOA_SETTINGS_MODULE: no.such.module*"),
        ("sys", "*Could not access settings.SOA_SERVER_SETTINGS or settings.settings*"),
    ],
)
def test_missing_settings_are_explained(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, module: str, text: str
) -> None:
    project.makeconftest(CONFTEST)
    project.makepyfile("def test_call(service_client): pass")
    monkeypatch.setenv("PYSOA_SETTINGS_MODULE", module)

    result = run(project)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([text])


def test_settings_of_django_services_are_those_of_django(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.makeconftest(CONFTEST + "\n    SquareServer.use_django = True\n")
    project.makepyfile(django_settings="SOA_SERVER_SETTINGS = {'heartbeat_file': 'django'}\nUSE_TZ = True")
    project.makepyfile(
        """
        def test_call(service_client, server_settings):
            assert server_settings == {"heartbeat_file": "django"}
            assert service_client.call_action("square", {"number": 3}).body["square"] == 9
        """
    )
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "django_settings")

    run_apart(project).assert_outcomes(passed=1)


def test_the_class_of_the_server_must_be_given(project: pytest.Pytester) -> None:
    project.makepyfile("def test_call(service_client): pass")

    result = run(project)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'server_class' not found*"])


def test_fixtures_can_be_overridden(project: pytest.Pytester) -> None:
    overridden = """
    @pytest.fixture(scope="module")
    def server_settings():
        return {"heartbeat_file": "overridden"}
    """
    project.makeconftest(CONFTEST + overridden)
    project.makepyfile(
        """
        def test_call(service_client):
            server = service_client.handlers["square"].transport.server
            assert server.settings["heartbeat_file"] == "overridden"
        """
    )

    run(project).assert_outcomes(passed=1)


# Stubs


STUB_TESTS = """\
    import unittest
    from unittest import mock

    import pytest
    from pysoa.client.client import Client
    from pysoa.test.server import ServerTestCase
    from pysoa.test.stub_service import get_stubbed_requests, get_stubbed_responses, stub_action
    from square import SquareServer

    client = Client({})

    @stub_action("user", "get", {"n": 1})
    def test_function(get, tmp_path):
        assert client.call_action("user", "get").body == {"n": 1}
        assert get.called and tmp_path.exists()

    @pytest.mark.parametrize("number", [1, 2])
    @mock.patch("os.getcwd")
    @stub_action("user", "get", {"n": 1})
    def test_parameters(get, getcwd, number, monkeypatch):
        assert client.call_action("user", "get", {"number": number}).body == {"n": 1}
        get.assert_called_once_with({"number": number})

    @stub_action("user", "get", {"n": 1}, argument="get")
    @mock.patch("os.getcwd")
    def test_by_name(getcwd, tmp_path, get, monkeypatch):
        assert client.call_action("user", "get").body == {"n": 1}
        assert get.called and tmp_path.exists()

    @pytest.mark.anyio
    @stub_action("user", "get", {"n": 1})
    async def test_coroutine(get, tmp_path):
        import asyncio
        await asyncio.sleep(0)
        assert client.call_action("user", "get").body == {"n": 1}
        assert get.called and tmp_path.exists()

    @pytest.fixture
    def anyio_backend():
        return "asyncio"

    @pytest.fixture
    @stub_action("user", "get", {"n": 5})
    def stubbed(get):
        yield get

    def test_fixture(stubbed):
        assert client.call_action("user", "get").body == {"n": 5}
        assert stubbed.called

    @stub_action("user", "get", {"n": 1})
    class TestServer(ServerTestCase):
        server_class = SquareServer
        server_settings = {}

        @stub_action("other", "get", {"n": 2})
        @pytest.mark.parametrize("number", [1, 2])
        def test_method(self, get_other, get_user, number, tmp_path):
            assert client.call_action("user", "get").body == {"n": 1}
            assert client.call_action("other", "get").body == {"n": 2}
            assert self.call_action("square", {"number": number}).body["square"] == number ** 2
            assert get_other.called and get_user.called

    class TestUnittest(unittest.TestCase):
        @stub_action("user", "get", {"n": 1})
        def test_method(self, get):
            assert client.call_action("user", "get").body == {"n": 1}

        @stub_action("user", "get", {"n": 1}, argument="get")
        def test_by_name(self, get):
            assert client.call_action("user", "get").body == {"n": 1}

    def test_stubber(action_stubber):
        get = action_stubber("user", "get", {"n": 1})
        fail = action_stubber("user", "fail", errors=[{"code": "X", "message": "m"}])
        quiet = action_stubber(
            "user", "quiet", side_effect=[{"n": 2}],
            register_response_schema_contract=False, register_request_schema_contract=False,
        )
        counts = len(get_stubbed_requests()), len(get_stubbed_responses())
        assert client.call_action("user", "quiet").body == {"n": 2}
        assert (len(get_stubbed_requests()), len(get_stubbed_responses())) == counts
        assert client.call_action("user", "get").body == {"n": 1}
        assert client.call_action("user", "fail", raise_action_errors=False).errors
        assert get.called and fail.called and quiet.called

    @pytest.fixture(autouse=True)
    def nothing_is_left():
        yield
        assert "send_request" not in vars(Client)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param((), id="in order"),
        pytest.param(("-n", "2"), id="in parallel"),
        pytest.param(("-p", "backwards"), id="in another order"),
    ],
)
def test_stubs_of_all_kinds_get_along_with_pytest(
    project: pytest.Pytester, arguments: tuple[str, ...]
) -> None:
    project.makepyfile(test_stubs=STUB_TESTS)
    project.makepyfile(backwards="def pytest_collection_modifyitems(items): items.reverse()")

    result = run_apart(project, *arguments)

    result.assert_outcomes(passed=11)


def test_a_body_that_is_not_the_expected_one_is_shown_as_a_difference(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        from pysoa.client.client import Client

        def test_wrong(action_stubber):
            get = action_stubber("user", "get")
            Client({}).call_action("user", "get", {"id": 1, "name": "John"})
            get.assert_called_once_with({"id": 1, "name": "Jane"})
        """
    )

    result = run(project)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *-    'name': 'Jane',", "E *+    'name': 'John',"])
    result.stdout.no_fnmatch_line("*_stub_object.py:*")


def test_the_assertions_of_unittest_show_the_values(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        from pysoa.test.server import ServerTestCase
        from square import SquareServer

        class TestWrong(ServerTestCase):
            server_class = SquareServer
            server_settings = {}

            def test_equal(self):
                self.assertEqual({"a": [1, 2]}, {"a": [1, 3]}, "my own text")

            def test_codes(self):
                self.assertActionRunsWithErrorCodes("no_such_action", {}, "X")
        """
    )

    result = run_apart(project, "-vv")

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "E *AssertionError: my own text",
            "E *assert {'a': [[]1, 2]} == {'a': [[]1, 3]}",
            "E * Differing items:",
            "test_*.py:9: AssertionError",
            "E *Failed: Expected errors not found in response: *'X'*",
        ]
    )


# Running services


def test_an_end_to_end_test_has_three_lines(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import os
        from square import SquareServer

        def test_process(running_service):
            service = running_service(SquareServer)
            body = service.call_action("square", {"number": 7}).body
            assert body["square"] == 49 and body["pid"] != os.getpid()

        def test_thread(running_service_in_thread):
            service = running_service_in_thread(SquareServer)
            body = service.call_action("square", {"number": 7}).body
            assert body["square"] == 49 and body["pid"] == os.getpid()
        """
    )

    run_apart(project, "-n", "2").assert_outcomes(passed=2)


def test_the_log_of_a_service_is_in_the_report_of_a_failed_test(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import os
        import pytest
        from pysoa.test.running import ServiceProcess
        from square import Square, SquareServer

        class Talkative(Square):
            def run(self, request):
                print("about to square", flush=True)
                return super().run(request)

        class TalkativeServer(SquareServer):
            action_class_map = {"square": Talkative}

        @pytest.fixture(scope="module")
        def service(redis_server):
            with ServiceProcess(TalkativeServer, redis_server) as service:
                yield service

        def test_wrong(service):
            assert service.call_action("square", {"number": 7}).body["square"] == 50

        def test_right(service):
            assert service.call_action("square", {"number": 7}).body["square"] == 49
        """
    )

    result = run_apart(project, "-n", "1")

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*- Log of service 'square' -*", "about to square"])


def test_each_test_has_a_database_of_its_own(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("turn", [1, 2])
        def test_empty(redis_database, redis_server, turn):
            number = redis_database.number
            assert number > 0
            script = "redis.call('SELECT', ARGV[1]) return redis.call(ARGV[2], 'key', 'value')"
            assert redis_server.execute("EVAL", script, 0, number, "SETNX") == 1
        """
    )

    run(project).assert_outcomes(passed=2)


# What the plugin costs


def test_loading_the_plugin_imports_nothing_heavy(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import sys

        HEAVY = {"attr", "conformity", "django", "faker", "freezegun", "mock", "pyparsing", "redis"}

        def test_modules():
            assert not HEAVY & {name.partition(".")[0] for name in sys.modules}
            loaded = {name for name in sys.modules if name == "pysoa" or name.startswith("pysoa.")}
            assert {name for name in loaded if "plan" not in name} == {
                "pysoa", "pysoa.test", "pysoa.test.plugins", "pysoa.test.plugins.pytest",
                "pysoa.test.plugins.pytest.fixtures",
            }
        """
    )

    run_apart(project, "-p", "no:hypothesispytest", "-p", "no:anyio", "-p", "no:faker").assert_outcomes(
        passed=1
    )


def test_pytest_starts_where_nothing_optional_is_installed(project: pytest.Pytester) -> None:
    """T16: no pyparsing, no Faker, no Django, no Redis library."""
    blocker = "import sys\n" + "".join(
        f"sys.modules[{name!r}] = None\n"
        for name in ("pyparsing", "faker", "django", "redis", "freezegun", "factory", "mock")
    )
    project.makepyfile(blocker=blocker, test_nothing="def test_nothing(): pass")

    run_apart(project, "-p", "blocker", "-p", "no:hypothesispytest", "-p", "no:faker").assert_outcomes(
        passed=1
    )


def test_the_plugin_can_be_switched_off(project: pytest.Pytester) -> None:
    project.makepyfile("def test_nothing(action_stubber): pass")

    result = run_apart(project, "-p", "no:pysoa_test_fixtures")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'action_stubber' not found*"])


def test_the_test_classes_may_be_imported_before_the_plugin(project: pytest.Pytester) -> None:
    """Their assertions are not rewritten then, but nothing complains."""
    project.makepyfile(early="import pysoa.test.server", test_nothing="def test_nothing(): pass")

    run_apart(project, "-p", "early", "-W", "error").assert_outcomes(passed=1)


def test_the_fixtures_are_documented(project: pytest.Pytester) -> None:
    result = run(project, "--fixtures", "-q")

    for name in ("action_stubber", "redis_database", "running_service", "service_client", "server_settings"):
        (line,) = (line for line in result.outlines if re.match(rf"{name}( |$)", line))
        following = result.outlines[result.outlines.index(line) + 1]
        assert "no docstring available" not in line + following
