"""Test classes of both styles give each test a client for a fresh server."""

from __future__ import annotations

import sys
import types
import unittest
import warnings
from typing import Any, cast

import pytest

from pysoa.client.errors import ImproperlyConfigured
from pysoa.common.settings import SOASettings
from pysoa.common.types import ActionResponse
from pysoa.server.server import Server
from pysoa.test.server import (
    BaseServerTestCase,
    PyTestServerTestCase,
    ServerTestCase,
    UnitTestServerTestCase,
)
from pysoa.test.stub_service import stub_action

F_X: dict[str, Any] = {"code": "X", "message": "x", "field": "f"}
Y: dict[str, Any] = {"code": "Y", "message": "y"}


@pytest.fixture
def case(echo_server: type[Server]) -> BaseServerTestCase:
    """A test case that is set up."""
    case = make_case(echo_server)
    case.setup_pysoa()
    return case


def make_case(server_class: Any, settings: Any = None) -> BaseServerTestCase:
    case = BaseServerTestCase()
    case.server_class = server_class
    case.server_settings = {} if settings is None else settings
    return case


def local_server(case: BaseServerTestCase) -> Any:
    transport: Any = case.client.handlers[case.service_name].transport
    return transport.server


# Setting up


def test_the_server_is_constructed_and_set_up_before_the_test(echo_server: type[Server]) -> None:
    set_up: list[Any] = []

    class MyServer(echo_server):  # type: ignore[valid-type, misc]  # from a fixture
        """Notes that it was set up."""

        def setup(self) -> None:
            set_up.append(self)

    case = make_case(MyServer)
    case.setup_pysoa()

    assert set_up == [local_server(case)]
    assert case.service_name == "echo"
    assert local_server(case)._skip_django_database_cleanup is True


def test_each_set_up_makes_another_server(case: BaseServerTestCase) -> None:
    first = local_server(case)
    case.setup_pysoa()

    assert local_server(case) is not first


@pytest.mark.parametrize(
    ("server_class", "text"),
    [
        (None, "You must specify `server_class` in `ServerTestCase` subclasses"),
        (dict, "`server_class` must be a subclass of `Server` in BaseServerTestCase"),
        (7, "arg 1 must be a class"),
        (Server, "`server_class.service_name` must be set in BaseServerTestCase"),
    ],
    ids=["none", "another class", "no class", "no name"],
)
def test_a_server_class_that_makes_no_sense_is_refused(server_class: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        make_case(server_class).setup_pysoa()


def test_settings_may_be_a_path(echo_server: type[Server], settings_module: Any) -> None:
    case = make_case(echo_server, "settings_of_test:SOA_SERVER_SETTINGS")
    case.setup_pysoa()

    assert local_server(case).settings["heartbeat_file"] == "from the module"


def test_settings_come_from_the_module_that_the_environment_names(
    echo_server: type[Server], settings_module: Any
) -> None:
    case = make_case(echo_server)
    case.server_settings = None
    case.setup_pysoa()

    assert local_server(case).settings["heartbeat_file"] == "from the module"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "PYSOA_SETTINGS_MODULE environment variable must be set to run tests."),
        ("no.such.module", r"Could not access no\.such\.module\.SOA_SERVER_SETTINGS: No module named 'no'"),
        ("sys", r"Could not access sys\.SOA_SERVER_SETTINGS: "),
    ],
    ids=["no module", "a missing module", "a module without settings"],
)
def test_settings_that_are_nowhere_fail_the_test(
    echo_server: type[Server], monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv("PYSOA_SETTINGS_MODULE", name)
    case = make_case(echo_server)
    case.server_settings = None

    with pytest.raises(AssertionError, match=text):
        case.setup_pysoa()


@pytest.mark.parametrize("settings", [{"middleware": 7}, 7, object()], ids=["wrong", "a number", "an object"])
def test_settings_that_make_no_sense_are_refused(echo_server: type[Server], settings: Any) -> None:
    with pytest.raises(SOASettings.ImproperlyConfigured):
        make_case(echo_server, settings).setup_pysoa()


def test_the_settings_of_the_test_stay_as_they_are(echo_server: type[Server]) -> None:
    settings = {"transport": {"path": "no.such:Transport"}, "heartbeat_file": "x"}

    case = make_case(echo_server, settings)
    case.setup_pysoa()

    assert settings == {"transport": {"path": "no.such:Transport"}, "heartbeat_file": "x"}
    assert local_server(case).settings["heartbeat_file"] == "x"


@pytest.fixture
def settings_module(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module with settings, which the environment names."""
    module: Any = types.ModuleType("settings_of_test")
    module.SOA_SERVER_SETTINGS = {"heartbeat_file": "from the module"}
    monkeypatch.setitem(sys.modules, "settings_of_test", module)
    monkeypatch.setenv("PYSOA_SETTINGS_MODULE", "settings_of_test")
    return cast("types.ModuleType", module)


# Calling


def test_actions_are_called_without_the_name_of_the_service(case: BaseServerTestCase) -> None:
    assert case.call_action("echo", {"a": 1}).body == {"echo": {"a": 1}}
    assert case.call_action("fail", {"errors": [Y]}, raise_action_errors=False).errors[0].code == "Y"


def test_other_services_can_be_called_while_they_are_stubbed(case: BaseServerTestCase) -> None:
    with stub_action("user", "get", {"n": 1}):
        assert case.call_action("get", service_name="user") == ActionResponse("get", body={"n": 1})
    with pytest.raises(ImproperlyConfigured, match='Unrecognized service name "user"'):
        case.call_action("get", service_name="user")


def test_errors_of_actions_can_be_asserted(case: BaseServerTestCase) -> None:
    body = {"errors": [F_X, Y]}

    assert [each.code for each in case.assertActionRunsWithAndReturnErrors("fail", body)] == ["X", "Y"]
    case.assertActionRunsWithFieldErrors("fail", body, {"f": "X"})
    case.assertActionRunsWithOnlyFieldErrors("fail", {"errors": [F_X]}, {"f": ["X"]}, timeout=1)
    case.assertActionRunsWithErrorCodes("fail", body, "Y")
    case.assertActionRunsWithOnlyErrorCodes("fail", {"errors": [Y]}, {"Y"})


def test_assertions_about_errors_of_actions_fail_when_they_do_not_hold(case: BaseServerTestCase) -> None:
    body = {"errors": [F_X, Y]}

    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        case.assertActionRunsWithAndReturnErrors("echo", {})
    with pytest.raises(pytest.fail.Exception, match="Unexpected errors"):
        case.assertActionRunsWithOnlyFieldErrors("fail", body, {"f": "X"})
    with pytest.raises(pytest.fail.Exception, match="Unexpected errors"):
        case.assertActionRunsWithErrorCodes("fail", body, "Y", only=True)
    with pytest.raises(pytest.fail.Exception, match="Expected errors not found"):
        case.assertActionRunsWithErrorCodes("fail", body, "Z")


# Styles


def test_a_unittest_case_is_set_up_by_unittest(echo_server: type[Server]) -> None:
    class Case(UnitTestServerTestCase):
        """One test."""

        server_class = echo_server
        server_settings = {}

        def test_it(self) -> None:
            assert self.call_action("echo", {"a": 1}).body == {"echo": {"a": 1}}

    result = unittest.TestResult()
    Case("test_it").run(result)

    assert (result.testsRun, result.errors, result.failures) == (1, [], [])


def test_the_usual_case_is_that_for_pytest() -> None:
    assert ServerTestCase is PyTestServerTestCase
    assert not issubclass(ServerTestCase, unittest.TestCase)


class OldStyle(PyTestServerTestCase):
    """Has all the methods of unittest."""

    def __init__(self, server_class: type[Server]) -> None:
        self.server_class = server_class
        self.server_settings = {}
        self.log: list[str] = []

    class_log: list[str] = []

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.class_log.append("setUpClass")

    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()
        cls.class_log.append("tearDownClass")

    def setUp(self) -> None:
        super().setUp()
        self.log.append(f"setUp {self.call_action('echo').body}")

    def tearDown(self) -> None:
        super().tearDown()
        self.log.append("tearDown")


def test_the_methods_of_unittest_are_called_with_a_warning(echo_server: type[Server]) -> None:
    case = OldStyle(echo_server)

    with pytest.warns(DeprecationWarning, match=r"^`ServerTestCase\.setUpClass` is deprecated\.") as caught:
        case.setup_class()
    with pytest.warns(
        DeprecationWarning, match=r"setUp.*no longer inherits from `unittest.TestCase`.*setup_method"
    ):
        case.setup_method()
    with pytest.warns(DeprecationWarning, match="addCleanup"):
        case.addCleanup(case.log.append, "clean-up")
    with pytest.warns(DeprecationWarning, match=r"^`ServerTestCase\.tearDown` is deprecated\."):
        case.teardown_method()
    with pytest.warns(DeprecationWarning, match=r"^`ServerTestCase\.tearDownClass` is deprecated\."):
        case.teardown_class()

    assert case.log == ["setUp {'echo': {}}", "tearDown", "clean-up"]
    assert case.class_log == ["setUpClass", "tearDownClass"]
    assert caught[0].filename == sys.modules["pysoa.test.server"].__file__


def test_a_case_without_them_is_silent(echo_server: type[Server]) -> None:
    class Case(PyTestServerTestCase):
        """Has nothing of unittest."""

        server_class = echo_server
        server_settings = {}

    case = Case()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        case.setup_class()
        case.setup_method()
        case.setUp()
        case.tearDown()
        case.teardown_method()
        case.teardown_class()


@pytest.mark.filterwarnings("ignore:.*addCleanup:DeprecationWarning")
def test_clean_ups_run_last_first_and_all_of_them(
    echo_server: type[Server], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise KeyError("broken")

    case = PyTestServerTestCase()
    case.server_class, case.server_settings = echo_server, {}
    case.setup_method()
    log: list[int] = []

    case.addCleanup(log.append, 1)
    case.addCleanup(fail)
    case.addCleanup(log.append, 2)

    assert case.doCleanups() is False
    assert log == [2, 1]
    assert "KeyError: 'broken'" in capsys.readouterr().err
    assert case.doCleanups() is True
    case.addCleanup(fail)
    with pytest.raises(KeyError):
        case.doCleanups()


@pytest.mark.filterwarnings("ignore:.*addCleanup:DeprecationWarning")
def test_an_interrupt_ends_the_clean_ups_at_once(echo_server: type[Server]) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    case = PyTestServerTestCase()
    case.server_class, case.server_settings = echo_server, {}
    case.setup_method()
    case.addCleanup(print)
    case.addCleanup(interrupt)

    with pytest.raises(KeyboardInterrupt):
        case.doCleanups()
