from __future__ import annotations

import pickle
from typing import Any

import conformity.types
import pytest

from pysoa.common.errors import Error, PySOAError
from pysoa.server.errors import ActionError, JobError, PySOAServerError, ResponseValidationError

make_schema_error: Any = conformity.types.Error

MINE = Error(code="A", message="a", is_caller_error=True)
YOURS = Error(code="B", message="b", field="x.y", variables={"password": "1"})


@pytest.mark.parametrize(
    ("error_class", "kwargs", "expected"),
    [
        (ActionError, {}, [True, True]),
        (ActionError, {"set_is_caller_error_to": False}, [False, False]),
        (ActionError, {"set_is_caller_error_to": None}, [True, False]),
        (JobError, {}, [False, False]),
        (JobError, {"set_is_caller_error_to": True}, [True, True]),
        (JobError, {"set_is_caller_error_to": None}, [True, False]),
    ],
)
def test_errors_are_told_who_is_at_fault(
    error_class: type[Any], kwargs: dict[str, Any], expected: list[bool]
) -> None:
    errors = error_class([MINE, YOURS], **kwargs).errors

    assert [error.is_caller_error for error in errors] == expected
    assert [(error.code, error.message, error.field, error.variables) for error in errors] == [
        ("A", "a", None, None),
        ("B", "b", "x.y", {"password": "1"}),
    ]


@pytest.mark.parametrize("error_class", [ActionError, JobError])
def test_error_reads_well_and_shows_no_variables(error_class: type[Any]) -> None:
    """D-47."""
    by_position, by_name = error_class([MINE, YOURS]), error_class(errors=[MINE, YOURS])

    assert str(by_position) == str(by_name) == "A: a; x.y B: b"


@pytest.mark.parametrize("error_class", [ActionError, JobError])
def test_error_takes_any_iterable(error_class: type[Any]) -> None:
    assert len(error_class(error for error in (MINE, YOURS)).errors) == 2


@pytest.mark.parametrize("error_class", [ActionError, JobError])
def test_error_survives_pickling(error_class: type[Any]) -> None:
    error = error_class([MINE, YOURS], set_is_caller_error_to=None)

    copy = pickle.loads(pickle.dumps(error))

    assert copy.errors == error.errors


def test_response_validation_error_lists_what_is_wrong() -> None:
    error = ResponseValidationError(
        "act",
        [
            make_schema_error("Not an integer", pointer="x.0"),
            make_schema_error("Missing key: y", code="MISSING"),
        ],
    )

    assert str(error) == (
        "act had an invalid response:\n\tx.0 INVALID: Not an integer\n\tNone MISSING: Missing key: y"
    )
    assert error.action == "act"
    assert len(error.errors) == 2


@pytest.mark.parametrize("error_class", [ActionError, JobError, ResponseValidationError])
def test_error_is_caught_with_all_errors_of_pysoa(error_class: type[Exception]) -> None:
    assert issubclass(error_class, PySOAServerError)
    assert issubclass(error_class, PySOAError)
