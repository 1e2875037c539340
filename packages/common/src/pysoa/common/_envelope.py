"""Jobs and their responses as dictionaries, built and read by hand because every call does it.

The bodies, contexts and controls go into the dictionaries as they are and are not copied: whoever serializes
them converts what is not plain (``Serializer.message_to_blob``), and others call :func:`to_plain` on the
result.

Wire facts: keys are in the order of the attrs fields, and all fields are always present, except that clients
older than 0.70 are not sent ``is_caller_error``, which they would refuse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol, TypeVar, cast

from pysoa.common._plain import attrs_fields, copy_plain, is_array, is_dict, is_list, to_plain
from pysoa.common.errors import Error
from pysoa.common.transport.errors import InvalidMessageError
from pysoa.common.types import ActionRequest, ActionResponse, Body, JobRequest, JobResponse

__all__ = (
    "client_version_of",
    "copy_plain",
    "job_request_to_dict",
    "job_response_from_dict",
    "job_response_to_dict",
    "knows_is_caller_error",
    "new_instance",
    "successful_action_response",
    "successful_job_response",
    "successful_response_to_dict",
    "to_plain",
)

# Under other names, since pyright takes what is a dict for a dict[Unknown, Unknown].
_Dict: Final[Any] = dict
_List: Final[Any] = list
_T = TypeVar("_T")


class _NewInstance(Protocol):
    def __call__(self, cls: type[_T], /) -> _T: ...


# Python 3.11 looks for attributes of classes each time anew, as it does for Class.__new__.
new_instance: Final[_NewInstance] = cast("Any", object).__new__
"""Makes an object without calling its constructor, where there is nothing to convert."""
_VERSION_WITHOUT_META: Final = (0, 40, 0)
_USUAL_CLIENT_VERSION: Final = [1, 4, 9]
_VERSION_OF_IS_CALLER_ERROR: Final = (0, 70, 0)


def job_request_to_dict(job_request: JobRequest) -> dict[str, Any]:
    """Return a job request as a dictionary, with its control, context and bodies as they are."""
    actions = [
        {"action": action.action, "body": action.body}
        if type(action) is ActionRequest
        else _fields_of(action, True)
        for action in job_request.actions
    ]
    if type(job_request) is JobRequest:
        return {"control": job_request.control, "context": job_request.context, "actions": actions}
    request: dict[str, Any] = _fields_of(job_request, True)
    request["actions"] = actions
    return request


def job_response_to_dict(job_response: JobResponse, with_is_caller_error: bool) -> dict[str, Any]:
    """Return a job response as a dictionary, with its context and bodies as they are.

    Args:
        job_response: The response; subclasses send their additional fields too.
        with_is_caller_error: What :func:`knows_is_caller_error` says of the client.
    """
    errors = _errors_to_list(job_response.errors, with_is_caller_error) if job_response.errors else []
    actions = [_action_response_to_dict(action, with_is_caller_error) for action in job_response.actions]
    if type(job_response) is JobResponse:
        return {"errors": errors, "context": job_response.context, "actions": actions}
    response: dict[str, Any] = _fields_of(job_response, with_is_caller_error)
    response["errors"] = errors
    response["actions"] = actions
    return response


def successful_response_to_dict(job_response: JobResponse) -> dict[str, Any] | None:
    """Do what :func:`job_response_to_dict` does, for a single action that succeeded; else return ``None``.

    Most responses are such, and they look the same for every client, since they hold no errors.
    """
    actions = job_response.actions
    if (
        type(job_response) is not JobResponse
        or job_response.errors
        or type(actions) is not _List
        or len(actions) != 1
    ):
        return None
    action = actions[0]
    if type(action) is not ActionResponse or action.errors:
        return None
    return {
        "errors": [],
        "context": job_response.context,
        "actions": [{"action": action.action, "errors": [], "body": action.body}],
    }


def job_response_from_dict(body: Any) -> JobResponse:
    """Return the job response that a server sent.

    Keys that this version does not know are ignored at every level, so that newer servers may add some.

    Raises:
        InvalidMessageError: The body is not a job response. The text names the place and shows no values.
    """
    try:
        context, actions = body["context"], body["actions"]
        if type(body) is _Dict and body["errors"] == [] and type(actions) is _List and len(actions) == 1:
            action = actions[0]
            if type(action) is _Dict and action["errors"] == []:
                # A single action that succeeded, as nearly always.
                return successful_job_response(
                    context, [successful_action_response(action["action"], action["body"])]
                )
    except (LookupError, TypeError):
        pass  # Something is missing, which is allowed, or told of, below.
    return _any_job_response(body)


def _any_job_response(body: Any) -> JobResponse:
    response = _mapping(body, "the body")
    job_response = JobResponse()
    job_response.errors = _errors_from(response, "")
    job_response.actions = [
        _action_response_from(action, f"actions.{index}")
        for index, action in enumerate(_list(response, "actions", ""))
    ]
    if "context" in response:
        job_response.context = response["context"]
    return job_response


def successful_action_response(action: str, body: Body) -> ActionResponse:
    """Return the response of an action without errors, without looking for what is to be converted.

    Args:
        action: The name of the action.
        body: The body, kept as it is.
    """
    response = new_instance(ActionResponse)
    response.action, response.errors, response.body = action, [], body
    return response


def successful_job_response(context: dict[str, Any], actions: list[ActionResponse]) -> JobResponse:
    """Return a job response without errors, without looking for what is to be converted.

    Args:
        context: The context, kept as it is.
        actions: The responses of the actions, likewise.
    """
    response = new_instance(JobResponse)
    response.errors, response.context, response.actions = [], context, actions
    return response


def client_version_of(meta: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the version of PySOA that a client states in the meta of its requests.

    Clients that state none are taken for version 0.40.0, which did not know how to. So are those that state
    something unreadable; of a version with a suffix only the numbers count.
    """
    stated = meta.get("client_version")
    if not is_array(stated):
        return _VERSION_WITHOUT_META
    version = tuple(stated)
    for index, part in enumerate(version):
        if type(part) is not int:
            return version[:index] or _VERSION_WITHOUT_META
    return version or _VERSION_WITHOUT_META


def knows_is_caller_error(meta: Mapping[str, Any]) -> bool:
    """Tell whether the client that sent a request with this meta can read ``Error.is_caller_error``."""
    # The first is what every client since 1.4.9 states.
    return meta.get("client_version") == _USUAL_CLIENT_VERSION or (
        client_version_of(meta) >= _VERSION_OF_IS_CALLER_ERROR
    )


def _action_response_to_dict(action: Any, with_is_caller_error: bool) -> Any:
    if type(action) is ActionResponse:
        return {
            "action": action.action,
            "errors": _errors_to_list(action.errors, with_is_caller_error) if action.errors else [],
            "body": action.body,
        }
    response = _fields_of(action, with_is_caller_error)
    if isinstance(action, ActionResponse):
        response["errors"] = _errors_to_list(action.errors, with_is_caller_error)
    return response


def _errors_to_list(errors: list[Error], with_is_caller_error: bool) -> list[Any]:
    return [_error_to_dict(error, with_is_caller_error) for error in errors]


def _error_to_dict(error: Error, with_is_caller_error: bool) -> Any:
    if type(error) is not Error:
        return _fields_of(error, with_is_caller_error)
    fields: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "field": error.field,
        "traceback": error.traceback,
        "variables": error.variables,
        "denied_permissions": error.denied_permissions,
    }
    if with_is_caller_error:
        fields["is_caller_error"] = error.is_caller_error
    return fields


def _fields_of(value: Any, with_is_caller_error: bool) -> Any:
    """Return the fields of an instance of an unforeseen class; what no attrs class made stays as it is."""
    fields = attrs_fields(value)
    if fields is None:
        return value
    if not with_is_caller_error:
        fields.pop("is_caller_error", None)
    return fields


def _action_response_from(value: Any, path: str) -> ActionResponse:
    fields = _mapping(value, path)
    action = ActionResponse(_required(fields, "action", path))
    action.errors = _errors_from(fields, f"{path}.")
    if "body" in fields:
        action.body = fields["body"]
    return action


def _errors_from(fields: dict[Any, Any], path: str) -> list[Error]:
    errors = _list(fields, "errors", path)
    return [_error_from(error, f"{path}errors.{index}") for index, error in enumerate(errors)]


def _error_from(value: Any, path: str) -> Error:
    fields = _mapping(value, path)
    return Error(
        _required(fields, "code", path),
        _required(fields, "message", path),
        fields.get("field"),
        fields.get("traceback"),
        fields.get("variables"),
        fields.get("denied_permissions"),
        fields.get("is_caller_error", False),
    )


def _mapping(value: Any, path: str) -> dict[Any, Any]:
    if not is_dict(value):
        raise InvalidMessageError(f"Invalid job response: {path} is of type {type(value).__name__}, not dict")
    return value


def _list(fields: dict[Any, Any], key: str, path: str) -> list[Any]:
    value = fields.get(key, ())
    if value == ():
        return []
    if not is_list(value):
        raise InvalidMessageError(
            f"Invalid job response: {path}{key} is of type {type(value).__name__}, not list"
        )
    return value


def _required(fields: dict[Any, Any], key: str, path: str) -> Any:
    try:
        return fields[key]
    except KeyError as error:
        raise InvalidMessageError(f"Invalid job response: {path}.{key} is missing") from error
