from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, cast

import attrs
import pytest

from pysoa.common.errors import Error, PySOAError
from pysoa.common.types import ActionRequest, ActionResponse, JobRequest, JobResponse, UnicodeKeysDict


@pytest.mark.parametrize(
    ("value_class", "names"),
    [
        pytest.param(JobRequest, ["control", "context", "actions"], id="job request"),
        pytest.param(ActionRequest, ["action", "body"], id="action request"),
        pytest.param(JobResponse, ["errors", "context", "actions"], id="job response"),
        pytest.param(ActionResponse, ["action", "errors", "body"], id="action response"),
        pytest.param(
            Error,
            [
                "code",
                "message",
                "field",
                "traceback",
                "variables",
                "denied_permissions",
                "is_caller_error",
            ],
            id="error",
        ),
    ],
)
def test_positional_order_of_constructors_is_the_published_one(value_class: Any, names: list[str]) -> None:
    assert [attribute.name for attribute in attrs.fields(value_class)] == names


def test_everything_but_names_codes_and_messages_has_a_default() -> None:
    assert JobRequest() == JobRequest({}, {}, [])
    assert JobResponse() == JobResponse([], {}, [])
    assert ActionRequest("a") == ActionRequest("a", {})
    assert ActionResponse("a") == ActionResponse("a", [], {})
    assert Error("c", "m") == Error("c", "m", None, None, None, None, False)


def test_defaults_are_not_shared_between_instances() -> None:
    first, second = JobRequest(), JobRequest()

    first.context["a"] = 1
    first.actions.append(ActionRequest("a"))

    assert second == JobRequest()


def test_mappings_become_objects_and_objects_stay_the_same() -> None:
    action = ActionRequest("kept")
    body = {"a": 1}

    request = JobRequest(actions=[action, {"action": "made", "body": body}])

    assert request.actions[0] is action
    assert request.actions[1] == ActionRequest("made", {"a": 1})
    assert request.actions[1].body is body


def test_responses_convert_their_errors_and_actions() -> None:
    error = {"code": "INVALID", "message": "no"}

    response = JobResponse(errors=[error], actions=[{"action": "a", "errors": [error]}])

    assert response.errors == [Error("INVALID", "no")]
    assert response.actions == [ActionResponse("a", [Error("INVALID", "no")])]


def test_any_iterable_becomes_a_new_list() -> None:
    actions = [ActionRequest("a")]

    assert JobRequest(actions=actions).actions is not actions
    assert JobRequest(actions=(action for action in actions)).actions == actions
    assert JobRequest(actions=tuple(actions)).actions == actions


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: JobRequest(actions=cast("Any", None)), id="None for a list"),
        pytest.param(lambda: JobRequest(actions=[{"action": "a", "unknown": 1}]), id="unknown key"),
        pytest.param(lambda: JobRequest(actions=[{"body": {}}]), id="missing key"),
        pytest.param(lambda: JobRequest(actions=cast("Any", [5])), id="not a mapping"),
        pytest.param(lambda: JobResponse(errors=[{"code": "a"}]), id="error without message"),
        pytest.param(lambda: ActionResponse("a", errors=cast("Any", None)), id="None for errors"),
    ],
)
def test_wrong_actions_and_errors_raise_a_type_error(make: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        make()


def test_scalars_are_not_checked() -> None:
    assert ActionRequest(cast("Any", 5), cast("Any", None)).body is None


def test_values_are_ordered_field_by_field() -> None:
    assert ActionRequest("a") < ActionRequest("b")
    assert Error("a", "b") < Error("a", "c")
    assert ActionResponse("b") > ActionResponse("a")


def test_services_may_set_further_attributes_and_assign_without_conversion() -> None:
    request = JobRequest()

    cast("Any", request).user = "me"
    cast("Any", request).actions = ({"action": "a"},)

    assert cast("Any", request).user == "me"
    assert cast("Any", request).actions == ({"action": "a"},)


def test_services_may_extend_the_classes() -> None:
    @attrs.define(slots=False, order=True)
    class RequestWithUser(ActionRequest):
        user: str = "nobody"

    request = RequestWithUser("a", {}, "me")

    assert (request.action, request.body, request.user) == ("a", {}, "me")
    assert JobRequest(actions=[request]).actions[0] is request


def test_errors_cannot_be_changed() -> None:
    error = Error("a", "b")

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        cast("Any", error).code = "c"


def test_errors_hash_unless_they_carry_a_dictionary_or_a_list() -> None:
    assert len({Error("a", "b"), Error("a", "b"), Error("a", "c")}) == 2
    with pytest.raises(TypeError):
        hash(Error("a", "b", variables={}))
    with pytest.raises(TypeError):
        hash(ActionRequest("a"))


def test_only_is_caller_error_is_marked_as_younger_than_the_protocol() -> None:
    marked = {
        (attribute.name, attribute.metadata["added_in_version"])
        for value_class in (JobRequest, ActionRequest, JobResponse, ActionResponse, Error)
        for attribute in attrs.fields(value_class)
        if "added_in_version" in attribute.metadata
    }

    assert marked == {("is_caller_error", (0, 70, 0))}


def test_values_can_be_pickled() -> None:
    response = JobResponse(errors=[Error("a", "b")], actions=[ActionResponse("a", body={"c": 1})])

    assert pickle.loads(pickle.dumps(response)) == response


def test_unicode_keys_dict_converts_keys_on_assignment_and_setdefault_only() -> None:
    keys = UnicodeKeysDict(cast("Any", {1: "constructor"}))

    keys[2] = "item"
    keys.update(cast("Any", {3: "update"}))
    default = keys.setdefault(4, "default")

    assert default == "default"
    assert keys == {1: "constructor", "2": "item", 3: "update", "4": "default"}
    assert keys.setdefault(4, "other") == "default"


def test_pysoa_error_is_an_exception() -> None:
    assert PySOAError.__bases__ == (Exception,)
