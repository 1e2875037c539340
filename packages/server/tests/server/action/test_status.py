from __future__ import annotations

import platform
import sys
import types
from typing import Any

import conformity
import pytest

import pysoa.version
from pysoa.client.client import Client
from pysoa.common.errors import Error
from pysoa.server.action.status import (
    BaseStatusAction,
    CheckMethodReturn,
    CheckMethodStatus,
    StatusActionFactory,
    make_default_status_action_class,
)
from pysoa.server.errors import ActionError, JobError, ResponseValidationError
from pysoa.server.server import Server
from pysoa.server.types import EnrichedActionRequest, EnrichedJobRequest

VERSIONS = {
    "conformity": conformity.__version__,
    "pysoa": pysoa.version.__version__,
    "python": platform.python_version(),
    "version": "1.2.3",
}


class Versioned(BaseStatusAction):
    @property
    def _version(self) -> str:
        return "1.2.3"


def status(action_class: type[BaseStatusAction], client: Any = None, **body: Any) -> dict[str, Any]:
    return action_class()(EnrichedActionRequest("status", body, client=client)).body


def status_with_check(check: Any) -> type[BaseStatusAction]:
    return type("Status", (StatusActionFactory("1.2.3"),), {"check_it": check})


def returns(result: Any) -> Any:
    def check(self: Any, request: Any) -> Any:
        return result

    return check


def no_argument(self: Any) -> None:
    raise AssertionError("must not be called")


def two_arguments(self: Any, a: Any, b: Any) -> None:
    raise AssertionError("must not be called")


def test_status_tells_the_versions_and_an_empty_health_check() -> None:
    assert status(StatusActionFactory("1.2.3")) == {
        **VERSIONS,
        "healthcheck": {"errors": [], "warnings": [], "diagnostics": {}},
    }


def test_status_tells_the_build_if_there_is_one() -> None:
    assert status(StatusActionFactory("1.2.3", "b5"), verbose=False) == {**VERSIONS, "build": "b5"}


def test_status_that_is_not_verbose_runs_no_checks() -> None:
    def check(self: Any, request: Any) -> None:
        raise AssertionError("must not be called")

    assert status(status_with_check(check), verbose=False) == VERSIONS


def test_factory_makes_a_class_with_the_published_name() -> None:
    class Base(StatusActionFactory("0")):  # type: ignore[misc]  # a class made at run time
        pass

    action_class = StatusActionFactory("1.2.3", base_class=Base)

    assert action_class.__name__ == "StatusAction"
    assert issubclass(action_class, Base)


def test_base_class_has_no_version() -> None:
    with pytest.raises(TypeError, match="abstract"):
        BaseStatusAction()  # type: ignore[abstract]


def test_checks_run_in_the_order_of_their_names_with_the_request() -> None:
    calls: list[Any] = []

    class Status(Versioned):
        def check_b(self, request: Any) -> CheckMethodReturn:
            calls.append(("b", request.action))
            return [
                CheckMethodStatus(True, "B_ERROR", "an error"),
                CheckMethodStatus(False, "B_WARNING", "a warning"),
            ]

        def check_a(self, request: Any) -> CheckMethodReturn:
            calls.append(("a", request.action))
            self.diagnostics["a"] = {"x": 1}
            return None

        def not_a_check(self, request: Any) -> None:
            calls.append("no")

    body = status(Status)

    assert calls == [("a", "status"), ("b", "status")]
    assert body["healthcheck"] == {
        "errors": [("B_ERROR", "an error")],
        "warnings": [("B_WARNING", "a warning")],
        "diagnostics": {"a": {"x": 1}},
    }


@pytest.mark.parametrize(
    "result",
    [[(True, "C", "d")], ((1, "C", "d"),), iter([[True, "C", "d"]]), {(True, "C", "d")}],
    ids=["list", "tuple", "iterator of lists", "set"],
)
def test_check_may_return_any_iterable_of_triples(result: Any) -> None:
    body = status(status_with_check(returns(result)))

    assert body["healthcheck"]["errors"] == [("C", "d")]


@pytest.mark.parametrize("result", [None, [], (), False, "", 0], ids=repr)
def test_check_that_returns_something_false_is_fine(result: Any) -> None:
    body = status(status_with_check(returns(result)))

    assert body["healthcheck"]["errors"] == []


@pytest.mark.parametrize("check", [no_argument, two_arguments, 5], ids=["none", "two", "no function"])
def test_check_with_a_wrong_signature_fails_the_action(check: Any) -> None:
    with pytest.raises(RuntimeError) as raised:
        status(status_with_check(check))

    assert raised.value.args[0] == (
        "Status action check_* methods must accept a single argument of type EnrichedActionRequest"
    )
    assert len(raised.value.args) == 2


@pytest.mark.parametrize("result", [5, [5], [(True, "C")], [(True, "C", "d", "e")]], ids=repr)
def test_check_with_a_wrong_result_fails_the_action(result: Any) -> None:
    with pytest.raises(RuntimeError) as raised:
        status(status_with_check(returns(result)))

    assert raised.value.args[0] == (
        "Status action check_* methods must return None or an iterable of bool-str-str tuples."
    )


def test_type_error_of_a_check_itself_is_reported_as_what_it_is() -> None:
    """D-48."""

    def check(self: Any, request: Any) -> None:
        raise TypeError("my own mistake")

    def check_lazily(self: Any, request: Any) -> Any:
        yield True, "C", "d"
        raise TypeError("my own mistake")

    for broken in (check, check_lazily):
        with pytest.raises(TypeError, match="my own mistake"):
            status(status_with_check(broken))


def test_check_that_is_no_string_fails_the_response() -> None:
    with pytest.raises(ResponseValidationError, match=r"healthcheck\.errors\.0\.1"):
        status(status_with_check(returns([(True, "C", 5)])))


# -- the default class ---------------------------------------------------------------------------------------


def test_default_class_tells_the_version_of_the_services_package(monkeypatch: pytest.MonkeyPatch) -> None:
    package: Any = types.ModuleType("some_service")
    package.__version__, package.__build__ = "3.2.1", "b7"
    monkeypatch.setitem(sys.modules, "some_service", package)

    class SomeServer(Server):
        service_name = "some"

    SomeServer.__module__ = "some_service.server"

    body = status(make_default_status_action_class(SomeServer), verbose=False)

    assert (body["version"], body["build"]) == ("3.2.1", "b7")


def test_default_class_of_a_package_without_version_says_unknown() -> None:
    class SomeServer(Server):
        service_name = "some"

    SomeServer.__module__ = "no_such_package.server"

    body = status(make_default_status_action_class(SomeServer), verbose=False)

    assert body["version"] == "unknown"
    assert "build" not in body


# -- the check of other services -----------------------------------------------------------------------------


class CheckingStatus(Versioned):
    check_client_settings = BaseStatusAction._check_client_settings


class Good(Server):
    service_name = "good"


class FailingStatus(Versioned):
    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        raise ActionError([Error("STATUS", "broken")])


class FailingAction(Server):
    service_name = "failing_action"
    action_class_map = {"status": FailingStatus}


class FailingJob(Server):
    service_name = "failing_job"

    def execute_job(self, job_request: EnrichedJobRequest) -> Any:
        raise JobError([Error("JOB", "broken")])


def routing(*servers: type[Server]) -> dict[str, Any]:
    return {
        str(server.service_name): {
            "transport": {
                "path": "pysoa.common.transport.local:LocalClientTransport",
                "kwargs": {"server_class": server, "server_settings": {}},
            }
        }
        for server in servers
    }


def test_client_settings_check_finds_nothing_without_services() -> None:
    assert status(CheckingStatus, Client({}))["healthcheck"] == {
        "errors": [],
        "warnings": [],
        "diagnostics": {},
    }


def test_client_settings_check_asks_all_services_and_sorts_their_answers() -> None:
    client = Client(routing(Good, FailingAction, FailingJob))

    healthcheck = status(CheckingStatus, client)["healthcheck"]

    assert [code for code, _ in healthcheck["errors"]] == [
        "FAILING_ACTION_STATUS_ERROR",
        "FAILING_JOB_CALL_ERROR",
    ]
    assert "broken" in healthcheck["errors"][0][1]
    assert set(healthcheck["diagnostics"]["services"]) == {"good"}
    assert "healthcheck" not in healthcheck["diagnostics"]["services"]["good"]


class UnreachableClient:
    """A client whose services do not answer, or whose calls fail altogether."""

    def __init__(self, failure: Exception, raises: bool) -> None:
        self.settings: dict[str, Any] = {"other": {}}
        self.failure = failure
        self.raises = raises

    def call_jobs_parallel(self, jobs: Any, **kwargs: Any) -> list[Any]:
        if self.raises:
            raise self.failure
        return [self.failure]


@pytest.mark.parametrize(
    ("raises", "code"), [(False, "OTHER_TRANSPORT_ERROR"), (True, "CHECK_SERVICES_UNKNOWN_ERROR")]
)
def test_client_settings_check_reports_services_that_cannot_be_asked(raises: bool, code: str) -> None:
    client = UnreachableClient(OSError("no answer"), raises)

    healthcheck = status(CheckingStatus, client)["healthcheck"]

    assert healthcheck["errors"] == [(code, "no answer")]
