"""A service to test with, and a client for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest

from pysoa.client.client import Client
from pysoa.common.errors import Error
from pysoa.common.types import Body
from pysoa.server.action.base import Action
from pysoa.server.errors import ActionError, JobError
from pysoa.server.server import Server
from pysoa.server.types import EnrichedActionRequest

Request: TypeAlias = EnrichedActionRequest[Any]


class Echo(Action):
    """Returns what it gets, and remembers it."""

    calls: list[Body] = []

    def run(self, request: Request) -> Body:
        self.calls.append(request.body)
        return {"echo": request.body}


class Fail(Action):
    """Fails with the errors that the body lists."""

    def run(self, request: Request) -> Body:
        raise ActionError(errors=[Error(**error) for error in request.body["errors"]])


class FailJob(Action):
    """Ends the job."""

    def run(self, request: Request) -> Body:
        raise JobError(errors=[Error(code="NO_JOB", message="No")])


class EchoServer(Server):
    """A small service."""

    service_name = "echo"
    action_class_map = {"echo": Echo, "fail": Fail, "fail_job": FailJob}


@pytest.fixture
def echo_server() -> type[Server]:
    return EchoServer


@pytest.fixture
def echo_calls() -> Iterator[list[Body]]:
    """The bodies that the action ``echo`` of the real service has got."""
    Echo.calls.clear()
    yield Echo.calls
    Echo.calls.clear()


@pytest.fixture
def client() -> Client:
    """A client for the service ``echo``, which runs in this process, and for no other."""
    transport: dict[str, Any] = {
        "path": "pysoa.common.transport.local:LocalClientTransport",
        "kwargs": {"server_class": EchoServer, "server_settings": {}},
    }
    return Client({"echo": {"transport": transport}})


@pytest.fixture
def nobody() -> Client:
    """A client for no service at all."""
    return Client({})


@pytest.fixture
def errors_of() -> Callable[[Any], list[str]]:
    """Returns the error codes of a response."""

    def errors_of(response: Any) -> list[str]:
        return [error.code for error in response.errors]

    return errors_of
