"""What a server answers to each kind of job, compared with what PySOA 1.4.9 answered to it.

``data/job_outcomes_1_4_9.json`` holds what a server of PySOA 1.4.9 with the same actions and middleware
sent, tracebacks replaced by whether there was one. Where PySOA 2 answers otherwise on purpose,
:data:`CHANGED` says so.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attr
import conformity.fields
import pytest

from pysoa.common.errors import Error
from pysoa.common.transport.base import ReceivedMessage, ServerTransport
from pysoa.common.types import ActionResponse, JobResponse
from pysoa.server.action.base import Action
from pysoa.server.errors import ActionError, JobError
from pysoa.server.server import HarakiriInterrupt, Server
from pysoa.server.settings import ServerSettings

fields: Any = conformity.fields

# -- the service: this part also ran under PySOA 1.4.9 -------------------------------------------------------


class Echo(Action):
    request_schema = fields.Dictionary(
        {"number": fields.Integer(), "text": fields.UnicodeString()}, optional_keys=("text",)
    )
    response_schema = fields.Dictionary({"number": fields.Integer()})

    def run(self, request: Any) -> Any:
        return {"number": request.body["number"]}


class BadResponse(Action):
    response_schema = fields.Dictionary({"number": fields.Integer()})

    def run(self, request: Any) -> Any:
        return {"number": "one", "other": 2}


class ReturnsNone(Action):
    def run(self, request: Any) -> Any:
        return None


class ReturnsNoneAgainstSchema(ReturnsNone):
    response_schema = fields.Dictionary({})


@attr.s
class Point:
    x: Any = attr.ib()
    y: Any = attr.ib()


class ReturnsUnusualTypes(Action):
    def run(self, request: Any) -> Any:
        return {"tuple": (1, (2,)), "set": {1}, "attrs": Point(1, [Point(2, 3)]), 4: "key"}


class ReturnsNoDictionary(Action):
    def run(self, request: Any) -> Any:
        return [1, 2]


def _error(**kwargs: Any) -> Error:
    return Error(code="CODE", message="A message", **kwargs)


class RaisesActionError(Action):
    def run(self, request: Any) -> Any:
        raise ActionError([_error(field="x.y", variables={"a": 1}, denied_permissions=["p"])])


class RaisesServiceActionError(Action):
    def run(self, request: Any) -> Any:
        raise ActionError([_error()], set_is_caller_error_to=False)


class RaisesJobError(Action):
    def run(self, request: Any) -> Any:
        raise JobError([_error(is_caller_error=True)])


class RaisesUntouchedJobError(Action):
    def run(self, request: Any) -> Any:
        raise JobError([_error(is_caller_error=True)], set_is_caller_error_to=None)


class RaisesException(Action):
    def run(self, request: Any) -> Any:
        raise ValueError("What went wrong")


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class RaisesUnprintable(Action):
    def run(self, request: Any) -> Any:
        raise Unprintable


class RaisesHarakiri(Action):
    def run(self, request: Any) -> Any:
        raise HarakiriInterrupt


class RaisesWhenConstructed(Action):
    def __init__(self, settings: Any = None) -> None:
        raise KeyError("constructor")

    def run(self, request: Any) -> Any:
        return {}


class ShowsRequest(Action):
    def run(self, request: Any) -> Any:
        return {
            "switches": sorted(request.switches),
            "context": dict(request.context),
            "control": dict(request.control),
            "is_active": request.switches.is_active(7),
        }


class ValidatesItself(Action):
    def validate(self, request: Any) -> None:
        raise ActionError([_error(field="validated")])

    def run(self, request: Any) -> Any:
        return {}


def plain_callable(settings: Any) -> Callable[[Any], Any]:
    return lambda request: ActionResponse(action=request.action, body={"called": True})


def returns_garbage(settings: Any) -> Callable[[Any], Any]:
    return lambda request: None


class Middleware:
    """Does what the context header asks for."""

    def job(self, process_job: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def process(request: Any) -> Any:
            order = request.context.get("job")
            if order == "job_error":
                raise JobError([_error()])
            if order == "action_error":
                raise ActionError([_error()])
            if order == "exception":
                raise ValueError("in job middleware")
            if order == "harakiri":
                raise HarakiriInterrupt
            if order == "garbage":
                return 5
            if order == "short":
                return JobResponse(actions=[ActionResponse(action="instead")])
            response = process_job(request)
            if order == "context":
                response.context["from_middleware"] = 1
                response.context["correlation_id"] = "from middleware"
            return response

        return process

    def action(self, process_action: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def process(request: Any) -> Any:
            order = request.context.get("action")
            if order == "job_error":
                raise JobError([_error()])
            if order == "action_error":
                raise ActionError([_error()])
            if order == "exception":
                raise ValueError("in action middleware")
            if order == "harakiri":
                raise HarakiriInterrupt
            if order == "garbage":
                return 5
            response = process_action(request)
            response.body["wrapped"] = True
            return response

        return process


class OutcomeServer(Server):
    service_name = "outcomes"
    action_class_map = {
        "echo": Echo,
        "bad_response": BadResponse,
        "returns_none": ReturnsNone,
        "returns_none_against_schema": ReturnsNoneAgainstSchema,
        "returns_unusual_types": ReturnsUnusualTypes,
        "returns_no_dictionary": ReturnsNoDictionary,
        "raises_action_error": RaisesActionError,
        "raises_service_action_error": RaisesServiceActionError,
        "raises_job_error": RaisesJobError,
        "raises_untouched_job_error": RaisesUntouchedJobError,
        "raises_exception": RaisesException,
        "raises_unprintable": RaisesUnprintable,
        "raises_harakiri": RaisesHarakiri,
        "raises_when_constructed": RaisesWhenConstructed,
        "shows_request": ShowsRequest,
        "validates_itself": ValidatesItself,
        "plain_callable": plain_callable,
        "returns_garbage": returns_garbage,
    }


def job(*actions: Any, control: Any = None, **context: Any) -> dict[str, Any]:
    return {
        "control": {"continue_on_error": False, **(control or {})},
        "context": {"switches": [], "correlation_id": "the-id", **context},
        "actions": [
            {"action": action, "body": {"number": 1} if action == "echo" else {}}
            if isinstance(action, str)
            else action
            for action in actions
        ],
    }


def without(request: dict[str, Any], *path: str) -> dict[str, Any]:
    request = copy.deepcopy(request)
    target = request
    for key in path[:-1]:
        target = target[key]
    del target[path[-1]]
    return request


GOOD_ACTIONS = [
    "echo",
    "returns_none",
    "returns_unusual_types",
    "returns_no_dictionary",
    "plain_callable",
]
BAD_ACTIONS = [
    "unknown",
    "bad_response",
    "returns_none_against_schema",
    "raises_action_error",
    "raises_service_action_error",
    "raises_job_error",
    "raises_untouched_job_error",
    "raises_exception",
    "raises_unprintable",
    "raises_harakiri",
    "raises_when_constructed",
    "validates_itself",
    "returns_garbage",
]

CASES: dict[str, tuple[Any, Any]] = {
    "empty": ({}, False),
    "extra top-level key": ({**job("echo"), "foo": 1}, False),
    "extra top-level keys": ({**job("echo"), "foo": 1, "bar": 2}, False),
    "no control": (without(job("echo"), "control"), False),
    "no context": (without(job("echo"), "context"), False),
    "no actions": (without(job("echo"), "actions"), False),
    "no switches": (without(job("echo"), "context", "switches"), False),
    "no correlation id": (without(job("echo"), "context", "correlation_id"), False),
    "no continue_on_error": (without(job("echo"), "control", "continue_on_error"), False),
    "continue_on_error no bool": (job("echo", control={"continue_on_error": 1}), False),
    "suppress_response no bool": (job("echo", control={"suppress_response": 0}), False),
    "extra control key": (job("echo", control={"timeout": 5, "x": None}), False),
    "switch a string": (job("echo", switches=["1"]), False),
    "switch a bool": (job("echo", switches=[1, True]), False),
    "switches no list": (job("echo", switches={"a": 1}), False),
    "correlation id no string": (job("echo", correlation_id=5), False),
    "correlation id bytes": (job("echo", correlation_id=None), False),
    "caller no string": (job("echo", caller=5), False),
    "calling service no string": (job("echo", calling_service=5), False),
    "empty action list": (job(), False),
    "actions no list": ({**job(), "actions": {"action": "echo"}}, False),
    "action no dict": (job("echo", 5, None), False),
    "action name missing": (job({"body": {}}), False),
    "action name no string": (job({"action": 5}), False),
    "body None": (job({"action": "echo", "body": None}), False),
    "body a list": (job({"action": "echo", "body": []}), False),
    "body key no string": (job({"action": "returns_none", "body": {5: 1}}), False),
    "body missing": (job({"action": "returns_none"}), False),
    "extra action key": (job({"action": "echo", "zz": 1}), False),
    "many mistakes": (
        {
            "control": {},
            "context": {"switches": [None], "caller": 1},
            "actions": [{"body": 1, "x": 1}, {}],
            "y": 1,
        },
        False,
    ),
    "request schema violated": (
        job({"action": "echo", "body": {"number": "x", "text": 5, "more": 1}}),
        False,
    ),
    "request schema key missing": (job({"action": "echo", "body": {}}), False),
    "switches and headers": (
        job("shows_request", switches=[7, 8, 7], caller="me", control={"timeout": 3}),
        False,
    ),
    "all good": (job(*GOOD_ACTIONS), False),
    "with action middleware": (job("echo", "plain_callable", "unknown"), True),
    **{f"action {name}": (job(name), False) for name in [*GOOD_ACTIONS, *BAD_ACTIONS]},
    **{f"stops after {name}": (job("echo", name, "echo"), False) for name in BAD_ACTIONS},
    **{
        f"continues after {name}": (job("echo", name, "echo", control={"continue_on_error": True}), False)
        for name in BAD_ACTIONS
    },
    **{
        f"job middleware {order}": (job("echo", job=order), True)
        for order in ("job_error", "action_error", "exception", "harakiri", "garbage", "short", "context")
    },
    **{
        f"action middleware {order}": (job("echo", action=order), True)
        for order in ("job_error", "action_error", "exception", "harakiri", "garbage")
    },
}
CLIENT_VERSIONS: dict[str, Any] = {
    "none": {},
    "0.69.9": {"client_version": [0, 69, 9]},
    "0.70": {"client_version": [0, 70]},
    "0.70.0": {"client_version": [0, 70, 0]},
    "1": {"client_version": [1]},
    "1.4.9": {"client_version": [1, 4, 9]},
}

# -- end of the service --------------------------------------------------------------------------------------

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "data" / "job_outcomes_1_4_9.json").read_text(encoding="utf-8")
)


class _OneRequestTransport(ServerTransport):
    """Gives a server one request, and keeps what it answers."""

    def __init__(self, meta: dict[str, Any], body: dict[str, Any]) -> None:
        super().__init__("outcomes")
        self._message = ReceivedMessage(1, copy.deepcopy(meta), copy.deepcopy(body))
        self.responses: list[dict[str, Any]] = []

    def receive_request_message(self) -> ReceivedMessage:
        return self._message

    def send_response_message(self, request_id: int, meta: dict[str, Any], body: dict[str, Any]) -> None:
        self.responses.append(body)


def _outcome(request: Any, with_middleware: bool, meta: dict[str, Any]) -> Any:
    settings = ServerSettings({"transport": {"path": "pysoa.common.transport.local:LocalServerTransport"}})
    if with_middleware:
        settings["middleware"].append({"object": Middleware})
    server = OutcomeServer(settings)
    server.transport = transport = _OneRequestTransport(meta, request)
    server.handle_next_request()
    (response,) = transport.responses
    return _without_traceback_texts(response)


def _without_traceback_texts(response: dict[str, Any]) -> dict[str, Any]:
    for error in [
        *response["errors"],
        *(error for action in response["actions"] for error in action["errors"]),
    ]:
        if error["traceback"] is not None:
            error["traceback"] = True
    return response


def _server_error(message: str) -> dict[str, Any]:
    return {
        "code": "SERVER_ERROR",
        "message": f"Internal server error: {message}",
        "field": None,
        "traceback": True,
        "variables": None,
        "denied_permissions": None,
        "is_caller_error": False,
    }


def _action(name: str, message: str) -> dict[str, Any]:
    return {"action": name, "errors": [_server_error(message)], "body": {}}


_ECHOED: dict[str, Any] = {"action": "echo", "errors": [], "body": {"number": 1}}
_NOT_CONSTRUCTED = _action("raises_when_constructed", "'constructor'")
_GARBAGE = _action("returns_garbage", "The action returned 'NoneType' instead of an ActionResponse.")

# D-21: what goes wrong around one action is an error of that action, and leaves the others alone.
CHANGED: dict[str, dict[str, Any]] = {
    "action raises_when_constructed": {"errors": [], "actions": [_NOT_CONSTRUCTED]},
    "stops after raises_when_constructed": {"errors": [], "actions": [_ECHOED, _NOT_CONSTRUCTED]},
    "continues after raises_when_constructed": {
        "errors": [],
        "actions": [_ECHOED, _NOT_CONSTRUCTED, _ECHOED],
    },
    "action returns_garbage": {"errors": [], "actions": [_GARBAGE]},
    "stops after returns_garbage": {"errors": [], "actions": [_ECHOED, _GARBAGE]},
    "continues after returns_garbage": {"errors": [], "actions": [_ECHOED, _GARBAGE, _ECHOED]},
    "action middleware garbage": {
        "errors": [],
        "actions": [_action("echo", "The action returned 'int' instead of an ActionResponse.")],
    },
    "job middleware garbage": {
        "errors": [_server_error("The job middleware returned 'int' instead of a JobResponse.")]
    },
    # D-47: exceptions have a readable text.
    "job middleware action_error": {"errors": [_server_error("CODE: A message")]},
}


def _expected(name: str, request: Any) -> Any:
    expected = copy.deepcopy(RECORDED[name])
    expected.update(CHANGED.get(name, {}))
    correlation_id = request.get("context", {}).get("correlation_id")
    # D-23: the correlation id is echoed in errors of the job, too.
    if isinstance(correlation_id, str):
        expected["context"].setdefault("correlation_id", correlation_id)
    return expected


def _as_json(value: Any) -> str:
    """Return a text that also shows the order of keys."""
    return json.dumps(value, indent=1)


@pytest.mark.parametrize("name", CASES)
def test_job_is_answered_as_by_pysoa_1_4_9_but_for_the_listed_changes(name: str) -> None:
    request, with_middleware = CASES[name]

    outcome = _outcome(request, with_middleware, CLIENT_VERSIONS["1.4.9"])

    assert _as_json(outcome) == _as_json(_expected(name, request))


@pytest.mark.parametrize("version", CLIENT_VERSIONS)
def test_client_is_sent_only_the_error_fields_that_its_version_knows(version: str) -> None:
    request = job("raises_action_error")

    outcome = _outcome(request, False, CLIENT_VERSIONS[version])

    assert _as_json(outcome) == _as_json(RECORDED[f"client version {version}"])


def test_job_error_of_an_action_drops_the_results_before_it() -> None:
    """D-22: stays as it was, because services use it to end a job."""
    settings = ServerSettings({"transport": {"path": "pysoa.common.transport.local:LocalServerTransport"}})
    server = OutcomeServer(settings)

    response = server.process_job(job("plain_callable", "raises_job_error", "plain_callable"))

    assert response.actions == []
    assert len(response.errors) == 1
