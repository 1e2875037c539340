"""The exceptions of the client: texts, attributes, copies."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest

from pysoa.client._details import add_details, describe_call
from pysoa.client.errors import (
    CallActionError,
    CallJobError,
    ImproperlyConfigured,
    InvalidExpansionKey,
    PySOAClientError,
    UnexpectedResponseError,
)
from pysoa.common.errors import Error, PySOAError
from pysoa.common.transport.errors import MessageReceiveTimeout, MessageTooLarge
from pysoa.common.types import ActionResponse

ERROR = Error("A", "b")
ERROR_TEXT = (
    "Error(code='A', message='b', field=None, traceback=None, variables=None, denied_permissions=None, "
    "is_caller_error=False)"
)


def pickle_and_unpickle(error: Exception) -> Exception:
    copied: Exception = pickle.loads(pickle.dumps(error))
    return copied


def test_all_client_errors_are_pysoa_errors() -> None:
    for error_class in (
        CallActionError,
        CallJobError,
        ImproperlyConfigured,
        InvalidExpansionKey,
        UnexpectedResponseError,
    ):
        assert issubclass(error_class, PySOAClientError)
    assert issubclass(PySOAClientError, PySOAError)


def test_job_error_lists_its_errors() -> None:
    error = CallJobError([ERROR, ERROR])

    assert str(error) == f"Error executing job:\n{ERROR_TEXT}\n{ERROR_TEXT}"
    assert repr(error) == str(error)
    assert error.args == ([ERROR, ERROR],)


def test_action_error_lists_its_actions() -> None:
    error = CallActionError([ActionResponse("do", errors=[ERROR]), ActionResponse("undo", errors=[])])

    assert str(error) == f"Error calling action(s):\ndo: [{ERROR_TEXT}]\nundo: []"
    assert repr(error) == f"CallActionError({error.actions!r})"


def test_call_errors_without_cause_are_empty() -> None:
    assert CallJobError().errors == []
    assert CallActionError(None).actions == []
    assert str(CallJobError()) == "Error executing job:\n"
    assert CallJobError(errors=[ERROR]).args == ()


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle_and_unpickle])
@pytest.mark.parametrize(
    "error",
    [
        CallJobError([ERROR]),
        CallJobError(errors=[ERROR]),
        CallActionError([ActionResponse("do", errors=[ERROR])]),
        CallActionError(actions=[ActionResponse("do", errors=[ERROR])]),
    ],
)
def test_call_errors_can_be_copied_and_pickled(
    error: Exception, duplicate: Callable[[Exception], Exception]
) -> None:
    copied = duplicate(error)

    assert type(copied) is type(error)
    assert str(copied) == str(error)
    assert vars(copied) == vars(error)


def test_details_follow_the_text_of_an_error_and_are_attributes() -> None:
    error = MessageReceiveTimeout("No message received for service library")

    add_details(error, "library", ["find", "find", "lend"], [8, 7], 2.5)

    assert str(error) == (
        "No message received for service library "
        "(service 'library', actions 'find', 'lend', requests 7, 8, time limit 2.5 s)"
    )
    assert vars(error) == {
        "service_name": "library",
        "actions": ("find", "lend"),
        "request_ids": (8, 7),
        "time_limit_in_seconds": 2.5,
    }


def test_details_are_given_once_by_who_is_nearest() -> None:
    error = MessageReceiveTimeout("late")
    add_details(error, "inner", ["a"], [1], None)

    add_details(error, "outer", ["b"], [2], None)

    assert str(error) == "late (service 'inner', action 'a', request 1)"


def test_details_leave_other_arguments_alone() -> None:
    error = MessageTooLarge(99, "Message exceeds maximum message size", "more")

    add_details(error, "library", ["find"], [7], None)

    assert error.args == (
        "Message exceeds maximum message size (service 'library', action 'find', request 7)",
        "more",
    )
    assert error.message_size_in_bytes == 99


def test_an_error_without_text_gets_one() -> None:
    error = MessageReceiveTimeout()

    add_details(error, "library", [], [], None)

    assert str(error) == "service 'library'"


def test_many_actions_are_abridged() -> None:
    text = describe_call("s", [f"a{number}" for number in range(8)], [1], None)

    assert text == "service 's', actions 'a0', 'a1', 'a2', 'a3', 'a4' and 3 more, request 1"
