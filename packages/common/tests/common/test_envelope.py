from __future__ import annotations

from typing import Any

import attrs
import pytest

from pysoa.common._envelope import (
    client_version_of,
    job_request_to_dict,
    job_response_from_dict,
    job_response_to_dict,
    knows_is_caller_error,
    successful_response_to_dict,
)
from pysoa.common.errors import Error
from pysoa.common.transport.errors import InvalidMessageError
from pysoa.common.types import ActionRequest, ActionResponse, JobRequest, JobResponse


@attrs.define(slots=False, order=True)
class _RequestWithUser(ActionRequest):
    user: str = "nobody"


@attrs.define(slots=False, order=True)
class _JobWithUser(JobRequest):
    user: str = "nobody"


@attrs.define(slots=False, order=True)
class _ResponseWithCost(ActionResponse):
    cost: int = 0


@attrs.define(slots=False, order=True)
class _JobResponseWithCost(JobResponse):
    cost: int = 0


@attrs.define(frozen=True, slots=False, order=True)
class _ErrorWithHint(Error):
    hint: str = "none"


_ERROR = Error("C", "m", "f", "t", {"v": 1}, ["p"], True)
_ERROR_DICT = {
    "code": "C",
    "message": "m",
    "field": "f",
    "traceback": "t",
    "variables": {"v": 1},
    "denied_permissions": ["p"],
    "is_caller_error": True,
}


def test_request_has_the_recorded_keys_in_the_recorded_order() -> None:
    request = JobRequest({"continue_on_error": False}, {"switches": []}, [ActionRequest("a", {"b": 1})])

    message = job_request_to_dict(request)

    assert message == {
        "control": {"continue_on_error": False},
        "context": {"switches": []},
        "actions": [{"action": "a", "body": {"b": 1}}],
    }
    assert list(message) == ["control", "context", "actions"]
    assert list(message["actions"][0]) == ["action", "body"]


def test_bodies_and_headers_are_not_copied() -> None:
    body = {"a": ({1},)}
    request = JobRequest({}, {}, [ActionRequest("a", body)])

    message = job_request_to_dict(request)

    assert message["actions"][0]["body"] is body
    assert message["control"] is request.control
    assert message["context"] is request.context


def test_additional_fields_of_request_subclasses_are_sent() -> None:
    message = job_request_to_dict(_JobWithUser({}, {}, [_RequestWithUser("a", {}, "me")], "you"))

    assert message == {
        "control": {},
        "context": {},
        "actions": [{"action": "a", "body": {}, "user": "me"}],
        "user": "you",
    }


def test_response_has_the_recorded_keys_in_the_recorded_order() -> None:
    response = JobResponse([_ERROR], {"correlation_id": "c"}, [ActionResponse("a", [_ERROR], {"b": 1})])

    message = job_response_to_dict(response, with_is_caller_error=True)

    assert message == {
        "errors": [_ERROR_DICT],
        "context": {"correlation_id": "c"},
        "actions": [{"action": "a", "errors": [_ERROR_DICT], "body": {"b": 1}}],
    }
    assert list(message) == ["errors", "context", "actions"]
    assert list(message["actions"][0]) == ["action", "errors", "body"]
    assert list(message["errors"][0]) == list(_ERROR_DICT)


def test_unset_fields_of_errors_are_sent_as_none() -> None:
    (error,) = job_response_to_dict(JobResponse([Error("C", "m")]), with_is_caller_error=True)["errors"]

    assert error == {**dict.fromkeys(_ERROR_DICT), "code": "C", "message": "m", "is_caller_error": False}


def test_old_clients_are_not_sent_what_they_would_refuse() -> None:
    response = JobResponse([_ERROR], {}, [ActionResponse("a", [_ErrorWithHint("C", "m")])])

    message = job_response_to_dict(response, with_is_caller_error=False)

    assert list(message["errors"][0]) == list(_ERROR_DICT)[:-1]
    assert list(message["actions"][0]["errors"][0]) == [*list(_ERROR_DICT)[:-1], "hint"]


def test_additional_fields_of_response_subclasses_are_sent() -> None:
    response = _JobResponseWithCost([], {}, [_ResponseWithCost("a", [_ERROR], {}, 5)], 7)

    message = job_response_to_dict(response, with_is_caller_error=True)

    assert message == {
        "errors": [],
        "context": {},
        "actions": [{"action": "a", "errors": [_ERROR_DICT], "body": {}, "cost": 5}],
        "cost": 7,
    }


def test_successful_response_of_one_action_looks_the_same_for_every_client() -> None:
    response = JobResponse([], {"correlation_id": "c"}, [ActionResponse("a", [], {"b": ({1},)})])

    message = successful_response_to_dict(response)

    assert message is not None
    for knows_all in (True, False):
        assert message == job_response_to_dict(response, with_is_caller_error=knows_all)
    assert list(message) == ["errors", "context", "actions"]
    assert list(message["actions"][0]) == ["action", "errors", "body"]
    assert message["actions"][0]["body"] is response.actions[0].body
    assert message["context"] is response.context


@pytest.mark.parametrize(
    "response",
    [
        JobResponse([_ERROR], {}, [ActionResponse("a")]),
        JobResponse([], {}, [ActionResponse("a", [_ERROR])]),
        JobResponse([], {}, []),
        JobResponse([], {}, [ActionResponse("a"), ActionResponse("b")]),
        _JobResponseWithCost([], {}, [ActionResponse("a")], 7),
        JobResponse([], {}, [_ResponseWithCost("a", [], {}, 5)]),
    ],
    ids=["job error", "action error", "no action", "two actions", "own job response", "own action response"],
)
def test_any_other_response_takes_the_general_way(response: JobResponse) -> None:
    assert successful_response_to_dict(response) is None


def test_response_survives_the_way_to_the_client() -> None:
    response = JobResponse([_ERROR], {"a": 1}, [ActionResponse("a", [_ERROR], {"b": 1}), ActionResponse("c")])

    received = job_response_from_dict(job_response_to_dict(response, with_is_caller_error=True))

    assert received == response


@pytest.mark.parametrize(
    ("body", "response"),
    [
        pytest.param({}, JobResponse(), id="empty"),
        pytest.param(
            {"errors": [{"code": "C", "message": "m", "new": 1}], "new": 2},
            JobResponse([Error("C", "m")]),
            id="unknown keys of the job and its errors",
        ),
        pytest.param(
            {"actions": [{"action": "a", "new": 1, "errors": [{"code": "C", "message": "m", "new": 1}]}]},
            JobResponse(actions=[ActionResponse("a", [Error("C", "m")])]),
            id="unknown keys of actions and their errors",
        ),
        pytest.param(
            {"context": None, "actions": [{"action": "a", "body": None}]},
            JobResponse([], None, [ActionResponse("a", [], None)]),  # type: ignore[arg-type]  # what was sent
            id="no context and no body",
        ),
    ],
)
def test_newer_and_sparse_responses_are_read(body: Any, response: JobResponse) -> None:
    assert job_response_from_dict(body) == response


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(None, "the body is of type NoneType, not dict", id="no body"),
        pytest.param([], "the body is of type list, not dict", id="list"),
        pytest.param({"errors": None}, "errors is of type NoneType, not list", id="no errors"),
        pytest.param({"errors": [5]}, "errors.0 is of type int, not dict", id="error"),
        pytest.param({"errors": [{"code": "C"}]}, "errors.0.message is missing", id="message"),
        pytest.param({"actions": {"a": 1}}, "actions is of type dict, not list", id="actions"),
        pytest.param({"actions": [{"body": 1}, 1]}, "actions.0.action is missing", id="action"),
        pytest.param({"actions": ["secret"]}, "actions.0 is of type str, not dict", id="text"),
        pytest.param(
            {"actions": [{"action": "a", "errors": "secret"}]},
            "actions.0.errors is of type str, not list",
            id="errors of an action",
        ),
        pytest.param(
            {"actions": [{"action": "a", "errors": [{"message": "secret"}]}]},
            "actions.0.errors.0.code is missing",
            id="code",
        ),
    ],
)
def test_ill_typed_responses_are_a_transport_error_that_names_the_place(body: object, text: str) -> None:
    with pytest.raises(InvalidMessageError) as caught:
        job_response_from_dict(body)

    assert str(caught.value) == f"Invalid job response: {text}"


@pytest.mark.parametrize(
    ("meta", "version", "knows"),
    [
        pytest.param({}, (0, 40, 0), False, id="not stated"),
        pytest.param({"client_version": [0, 69, 9]}, (0, 69, 9), False, id="just before"),
        pytest.param({"client_version": [0, 70]}, (0, 70), False, id="two numbers"),
        pytest.param({"client_version": [0, 70, 0]}, (0, 70, 0), True, id="exactly"),
        pytest.param({"client_version": [1]}, (1,), True, id="one number"),
        pytest.param({"client_version": (1, 4, 9)}, (1, 4, 9), True, id="tuple"),
        pytest.param({"client_version": [1, 4, 9, "a1"]}, (1, 4, 9), True, id="with a suffix"),
        pytest.param({"client_version": None}, (0, 40, 0), False, id="null"),
        pytest.param({"client_version": "1.4.9"}, (0, 40, 0), False, id="text"),
        pytest.param({"client_version": []}, (0, 40, 0), False, id="empty"),
        pytest.param({"client_version": ["1", 4]}, (0, 40, 0), False, id="not numbers"),
    ],
)
def test_stated_client_version_is_read_and_nonsense_is_taken_for_an_old_one(
    meta: dict[str, Any], version: tuple[int, ...], knows: bool
) -> None:
    assert client_version_of(meta) == version
    assert knows_is_caller_error(meta) is knows
