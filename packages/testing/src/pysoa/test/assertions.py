"""Context managers that expect the errors of an action.

::

    with raises_only_field_errors({"email": {"MISSING", "INVALID"}, "age": "INVALID"}) as info:
        client.call_action("user", "create", {"email": "?"})

    assert info.soa_errors[0].message == "This is no address"
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, cast

import pytest

from pysoa.client.client import Client
from pysoa.common.types import ActionResponse
from pysoa.test._error_matching import describe_wrong_codes, describe_wrong_fields
from pysoa.test._exception_info import PySOAExceptionInfo
from pysoa.test._raises_context import RaisesContext

__all__ = (
    "PySOAExceptionInfo",
    "raises_call_action_error",
    "raises_error_codes",
    "raises_field_errors",
    "raises_only_error_codes",
    "raises_only_field_errors",
)


@contextlib.contextmanager
def raises_call_action_error(*, failed_action: int | str = 0, **kwargs: Any) -> Generator[PySOAExceptionInfo]:
    """Expect a ``Client.CallActionError``.

    Args:
        failed_action: Whose errors to look at if several actions failed: the position among these, or the
            name of an action.
        kwargs: Given to ``pytest.raises``, for example ``match``.

    Yields:
        Information about the exception, which is complete after the block; ``soa_errors`` are the errors of
        the action.

    Raises:
        pytest.fail.Exception: The block raised nothing, or this action did not fail.
    """
    __tracebackhide__ = True
    with RaisesContext(Client.CallActionError, **kwargs) as raised:
        yield cast("PySOAExceptionInfo", raised)
    info = cast("PySOAExceptionInfo", raised)  # with the attributes that are set now
    info.soa_failed_actions = list(info.value.actions)
    info.soa_errors = _find_action(info.soa_failed_actions, failed_action).errors


@contextlib.contextmanager
def raises_error_codes(
    error_codes: Iterable[str] | str, only: bool = False, *, failed_action: int | str = 0, **kwargs: Any
) -> Generator[PySOAExceptionInfo]:
    """Expect that an action fails with these error codes, in errors that are not about a field.

    Args:
        error_codes: One code or several. Each stands for one error.
        only: Whether there must be no other errors.
        failed_action: Whose errors to look at if several actions failed: the position among these, or the
            name of an action.
        kwargs: Given to ``pytest.raises``, for example ``match``.

    Yields:
        Information about the exception, which is complete after the block; ``soa_errors`` are the errors of
        the action.

    Raises:
        pytest.fail.Exception: The block raised nothing, or other errors.
    """
    __tracebackhide__ = True
    with raises_call_action_error(failed_action=failed_action, **kwargs) as info:
        yield info
    _fail_if(describe_wrong_codes(info.soa_errors, error_codes, only))


@contextlib.contextmanager
def raises_only_error_codes(error_codes: Iterable[str] | str, **kwargs: Any) -> Generator[PySOAExceptionInfo]:
    """Do what :func:`raises_error_codes` does with ``only=True``."""
    __tracebackhide__ = True
    with raises_error_codes(error_codes, only=True, **kwargs) as info:
        yield info


@contextlib.contextmanager
def raises_field_errors(
    field_errors: Mapping[str, Iterable[str] | str],
    only: bool = False,
    *,
    failed_action: int | str = 0,
    **kwargs: Any,
) -> Generator[PySOAExceptionInfo]:
    """Expect that an action fails with these errors of fields.

    Args:
        field_errors: One error code or several for each field. Each stands for one error.
        only: Whether there must be no other errors.
        failed_action: Whose errors to look at if several actions failed: the position among these, or the
            name of an action.
        kwargs: Given to ``pytest.raises``, for example ``match``.

    Yields:
        Information about the exception, which is complete after the block; ``soa_errors`` are the errors of
        the action.

    Raises:
        pytest.fail.Exception: The block raised nothing, or other errors.
    """
    __tracebackhide__ = True
    with raises_call_action_error(failed_action=failed_action, **kwargs) as info:
        yield info
    _fail_if(describe_wrong_fields(info.soa_errors, field_errors, only))


@contextlib.contextmanager
def raises_only_field_errors(
    field_errors: Mapping[str, Iterable[str] | str], **kwargs: Any
) -> Generator[PySOAExceptionInfo]:
    """Do what :func:`raises_field_errors` does with ``only=True``."""
    __tracebackhide__ = True
    with raises_field_errors(field_errors, only=True, **kwargs) as info:
        yield info


def _find_action(failed: Sequence[ActionResponse], which: int | str) -> ActionResponse:
    __tracebackhide__ = True
    if isinstance(which, int):
        return failed[which]
    for response in failed:
        if response.action == which:
            return response
    names = ", ".join(response.action for response in failed)
    pytest.fail(f"The action {which!r} did not fail. These did: {names}")


def _fail_if(trouble: str) -> None:
    __tracebackhide__ = True
    if trouble:
        pytest.fail(trouble)


# What users see of this class in the reference is where it can be imported from.
PySOAExceptionInfo.__module__ = __name__
