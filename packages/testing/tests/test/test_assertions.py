"""Context managers that expect errors of actions say exactly what is missing and what is too much."""

from __future__ import annotations

from typing import Any

import pytest

from pysoa.client.client import Client
from pysoa.client.errors import CallActionError, CallJobError
from pysoa.common.errors import Error
from pysoa.test.assertions import (
    raises_call_action_error,
    raises_error_codes,
    raises_field_errors,
    raises_only_error_codes,
    raises_only_field_errors,
)

Failed: Any = pytest.fail.Exception
X: dict[str, Any] = {"code": "X", "message": "x"}
Y: dict[str, Any] = {"code": "Y", "message": "y"}
F_X: dict[str, Any] = {**X, "field": "f"}
F_Y: dict[str, Any] = {**Y, "field": "f"}
G_X: dict[str, Any] = {**X, "field": "g"}


def type_name(value: object) -> str:
    return type(value).__name__


def fail_with(client: Client, *errors: dict[str, Any]) -> None:
    client.call_action("echo", "fail", {"errors": list(errors)})


# raises_call_action_error


def test_the_errors_are_there_after_the_block(client: Client) -> None:
    with raises_call_action_error() as info:
        assert not hasattr(info, "soa_errors")
        fail_with(client, X, F_Y)

    assert info.soa_errors == [Error(**X, is_caller_error=True), Error(**F_Y, is_caller_error=True)]
    assert info.type is CallActionError
    assert info.value.actions[0].errors == info.soa_errors


def test_it_fails_if_nothing_is_raised(client: Client) -> None:
    with pytest.raises(Failed, match="DID NOT RAISE"), raises_call_action_error():
        client.call_action("echo", "echo")


def test_other_exceptions_pass(client: Client) -> None:
    with pytest.raises(CallJobError), raises_call_action_error():
        client.call_action("echo", "fail_job")
    with pytest.raises(ZeroDivisionError), raises_error_codes("X"):
        _ = 1 / 0


def test_the_text_of_the_exception_can_be_matched(client: Client) -> None:
    with raises_error_codes("X", match="code='X'"):
        fail_with(client, X)
    with pytest.raises(AssertionError), raises_error_codes("X", match="something else"):
        fail_with(client, X)
    with pytest.raises(TypeError), raises_error_codes("X", no_such_argument=1):
        fail_with(client, X)


def test_an_error_without_actions_is_an_error_of_its_own() -> None:
    with pytest.raises(IndexError), raises_call_action_error():
        raise CallActionError([])


# Of several failed actions


def fail_twice(client: Client) -> None:
    client.call_actions(
        "echo",
        [{"action": "fail", "body": {"errors": [X]}}, {"action": "no_such_action"}],
        continue_on_error=True,
    )


def test_the_first_of_several_failed_actions_counts(client: Client) -> None:
    """T11: the others are neither matched nor unexpected."""
    with raises_only_error_codes("X"):
        fail_twice(client)


def test_another_failed_action_can_be_named(client: Client) -> None:
    """T11: by its position among the failed ones, or by its name."""
    with raises_only_field_errors({"action": "UNKNOWN"}, failed_action=1) as info:
        fail_twice(client)
    with raises_field_errors({"action": "UNKNOWN"}, failed_action="no_such_action"):
        fail_twice(client)

    assert [response.action for response in info.soa_failed_actions] == ["fail", "no_such_action"]
    with pytest.raises(Failed) as failure, raises_error_codes("X", failed_action="echo"):
        fail_twice(client)
    assert str(failure.value) == "The action 'echo' did not fail. These did: fail, no_such_action"


# Codes


@pytest.mark.parametrize("codes", ["X", ["X"], {"X"}, ("X", "X"), iter(["X"])], ids=type_name)
def test_codes_may_come_in_any_form(client: Client, codes: Any) -> None:
    with raises_only_error_codes(codes):
        fail_with(client, X)


def test_codes_that_are_missing_are_listed(client: Client) -> None:
    with pytest.raises(Failed) as failure, raises_error_codes(["A", "X", "B"]):
        fail_with(client, X)

    assert str(failure.value) == "Expected errors not found in response: ['A', 'B']"


def test_an_error_of_a_field_is_none_without_field(client: Client) -> None:
    with (
        pytest.raises(Failed, match=r"Expected errors not found in response: \['X'\]"),
        raises_error_codes("X"),
    ):
        fail_with(client, F_X)


def test_other_errors_are_all_right_unless_only_these_are_expected(client: Client) -> None:
    with raises_error_codes("X"):
        fail_with(client, X, Y, F_X)
    with pytest.raises(Failed) as failure, raises_only_error_codes(["X", "Z"]):
        fail_with(client, X, X, Y, F_X)

    assert str(failure.value) == (
        "Expected errors not found in response: ['Z']\n"
        "Unexpected errors found in response: [('X', 'x'), ('Y', 'y'), {'f': ('X', 'x')}]"
    )


@pytest.mark.parametrize("nothing", [[], set[str](), ()], ids=repr)
def test_expecting_no_certain_code_passes_for_any_error(client: Client, nothing: Any) -> None:
    with raises_error_codes(nothing):
        fail_with(client, X)
    with pytest.raises(Failed, match="Expected errors not found"), raises_error_codes(""):
        fail_with(client, X)


# Fields


@pytest.mark.parametrize("codes", ["X", ["X"], {"X"}, iter(["X"])], ids=type_name)
def test_codes_of_fields_may_come_in_any_form(client: Client, codes: Any) -> None:
    with raises_only_field_errors({"f": codes}):
        fail_with(client, F_X)


def test_errors_of_several_fields(client: Client) -> None:
    with raises_only_field_errors({"f": ["X", "Y"], "g": "X"}):
        fail_with(client, G_X, F_Y, F_X)


def test_errors_of_fields_that_are_missing_or_unexpected_are_listed(client: Client) -> None:
    with pytest.raises(Failed) as failure, raises_field_errors({"f": ["X", "A"], "h": "X"}, only=True):
        fail_with(client, X, F_X, F_X, G_X)

    assert str(failure.value) == (
        "Expected field errors not found in response: [{'f': 'A'}, {'h': 'X'}]\n"
        "Unexpected errors found in response: [('X', 'x'), {'f': ('X', 'x')}, {'g': ('X', 'x')}]"
    )
    nothings: list[dict[str, list[str]]] = [{}, {"f": []}]
    for nothing in nothings:
        with raises_field_errors(nothing):
            fail_with(client, X)


def test_what_is_expected_stays_as_it_is(client: Client) -> None:
    """T10: sets are not used up, so the second test that expects them does not pass for nothing."""
    codes, field_errors = {"X"}, {"f": {"Y"}}

    with raises_error_codes(codes):
        fail_with(client, X)
    with raises_field_errors(field_errors):
        fail_with(client, F_Y)

    assert (codes, field_errors) == ({"X"}, {"f": {"Y"}})
    with pytest.raises(Failed), raises_error_codes(codes):
        fail_with(client, Y)
