"""Exceptions with which actions, middleware and the server steer the outcome of a job.

::

    PySOAError
     └── PySOAServerError
          ├── ActionError                 ends one action with errors
          ├── JobError                    ends the whole job with errors
          └── ResponseValidationError     an action broke its own response schema
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attr

from pysoa.common.errors import Error, PySOAError
from pysoa.common.interfaces import SchemaError

__all__ = (
    "ActionError",
    "JobError",
    "PySOAServerError",
    "ResponseValidationError",
)


class PySOAServerError(PySOAError):
    """Base of all server-side errors other than those of transports."""


class JobError(PySOAServerError):
    """Ends the job at once; the caller gets a job response that holds these errors and no actions.

    Middleware raises it, and an action may. Results of actions that already ran are dropped.
    """

    def __init__(self, errors: Iterable[Error], set_is_caller_error_to: bool | None = False) -> None:
        """Construct the error.

        Args:
            errors: What went wrong, for the caller to read.
            set_is_caller_error_to: Who is at fault, written into every error; ``None`` leaves the errors as
                they are.
        """
        self.errors: list[Error] = _with_fault(errors, set_is_caller_error_to)
        super().__init__(self.errors)

    def __str__(self) -> str:
        return _describe(self.errors)


class ActionError(PySOAServerError):
    """Ends the running action; the caller gets an action response with these errors and an empty body."""

    def __init__(self, errors: Iterable[Error], set_is_caller_error_to: bool | None = True) -> None:
        """Construct the error.

        Args:
            errors: What went wrong, for the caller to read.
            set_is_caller_error_to: Who is at fault, written into every error; ``None`` leaves the errors as
                they are.
        """
        self.errors: list[Error] = _with_fault(errors, set_is_caller_error_to)
        super().__init__(self.errors)

    def __str__(self) -> str:
        return _describe(self.errors)


class ResponseValidationError(PySOAServerError):
    """The body that an action returned does not fit the action's response schema.

    A mistake in the service: the caller gets it as an action error with the code ``SERVER_ERROR``.
    """

    def __init__(self, action: str, errors: Sequence[SchemaError]) -> None:
        """Construct the error.

        Args:
            action: The name of the action.
            errors: What its response schema reports.
        """
        super().__init__(action, errors)
        self.action = action
        self.errors = errors

    def __str__(self) -> str:
        lines = "".join(f"\n\t{error.pointer} {error.code}: {error.message}" for error in self.errors)
        return f"{self.action} had an invalid response:{lines}"


def _with_fault(errors: Iterable[Error], is_caller_error: bool | None) -> list[Error]:
    if is_caller_error is None:
        return list(errors)
    return [
        error
        if error.is_caller_error is is_caller_error
        else attr.evolve(error, is_caller_error=is_caller_error)
        for error in errors
    ]


def _describe(errors: Iterable[Error]) -> str:
    """Say in one line what the errors are, without their variables, which may hold what nobody should log."""
    return "; ".join(
        f"{error.code}: {error.message}"
        if error.field is None
        else f"{error.field} {error.code}: {error.message}"
        for error in errors
    )
