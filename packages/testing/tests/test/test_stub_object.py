"""What a stub remembers, what its side effects may be, and how its assertions fail."""

from __future__ import annotations

import importlib
from typing import Any
from unittest import mock

import pytest

from pysoa.client.client import Client
from pysoa.client.errors import CallActionError
from pysoa.common.errors import Error
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import ActionResponse
from pysoa.server.errors import ActionError
from pysoa.test.stub_service import stub_action


def test_a_stub_is_a_mock_named_like_the_action() -> None:
    with stub_action("user", "get_user") as stub:
        assert isinstance(stub, mock.MagicMock)
        assert repr(stub).startswith("<StubbedAction name='user.get_user' id=")
        assert type(stub.anything) is not type(stub)


def test_a_stub_that_was_not_called_has_no_body() -> None:
    with stub_action("user", "get_user") as stub:
        assert (stub.call_body, stub.call_bodies, stub.called) == (None, (), False)


def test_a_stub_remembers_all_bodies(nobody: Client) -> None:
    with stub_action("user", "get_user") as stub:
        nobody.call_action("user", "get_user", {"n": 1})
        nobody.call_action("user", "get_user", None)
        nobody.call_action("user", "get_user", {"n": 3})

    assert stub.call_body == {"n": 3}
    assert stub.call_bodies == ({"n": 1}, {}, {"n": 3})
    stub.assert_has_calls([mock.call({"n": 1}), mock.call({}), mock.call({"n": 3})])
    assert stub.call_count == 3


def test_what_a_stub_remembers_cannot_be_set() -> None:
    with stub_action("user", "get_user") as stub:
        with pytest.raises(AttributeError):
            stub.call_body = {}  # type: ignore[misc]  # what is tested
        with pytest.raises(AttributeError):
            stub.call_bodies = ()  # type: ignore[misc]  # what is tested


def test_one_answer_is_the_very_same_object_for_all_calls(nobody: Client) -> None:
    with stub_action("user", "get_user", {"n": 1}):
        first = nobody.call_action("user", "get_user")

        assert nobody.call_action("user", "get_user") is first


# Side effects


def test_the_items_of_an_iterable_answer_call_by_call(nobody: Client) -> None:
    class TooLate(MessageReceiveTimeout):
        """An exception that needs no argument."""

        def __init__(self) -> None:
            super().__init__("too late")

    answers: list[Any] = [
        {"id": 1},
        MessageReceiveTimeout("late"),
        TooLate,
        ActionResponse("post", body={"id": 2}),
    ]

    answers += [ActionError([Error("FULL", "No room")])]

    with stub_action("ledger", "post", side_effect=answers) as post:
        assert nobody.call_action("ledger", "post").body == {"id": 1}
        with pytest.raises(MessageReceiveTimeout, match="late"):
            nobody.call_action("ledger", "post")
        with pytest.raises(TooLate):
            nobody.call_action("ledger", "post")
        assert nobody.call_action("ledger", "post").body == {"id": 2}
        with pytest.raises(CallActionError, match="FULL"):
            nobody.call_action("ledger", "post")
        with pytest.raises(StopIteration):
            nobody.call_action("ledger", "post")

    assert post.call_count == 6


def test_a_function_gets_the_body_and_returns_the_answer(nobody: Client) -> None:
    with stub_action("user", "a", side_effect=lambda body: {"n": body["n"] * 2}):
        assert nobody.call_action("user", "a", {"n": 21}).body == {"n": 42}


def test_a_function_that_returns_none_answers_with_an_empty_body(nobody: Client) -> None:
    with stub_action("user", "a", {"n": 1}, side_effect=lambda body: None):
        assert nobody.call_action("user", "a").body == {}


@pytest.mark.parametrize("library", ["unittest.mock", "mock"])
def test_a_function_that_returns_the_default_falls_back_to_the_body(nobody: Client, library: str) -> None:
    """T2: whichever library the default is from."""
    default: Any = importlib.import_module(library).DEFAULT

    with stub_action("user", "a", {"n": 1}, side_effect=lambda body: default):
        assert nobody.call_action("user", "a").body == {"n": 1}


def test_a_function_among_the_items_of_an_iterable_is_called(nobody: Client) -> None:
    def double(body: dict[str, Any]) -> dict[str, Any]:
        return {"n": body["n"] * 2}

    with stub_action("user", "a", side_effect=[{"n": 1}, double]):
        assert nobody.call_action("user", "a", {"n": 4}).body == {"n": 1}
        assert nobody.call_action("user", "a", {"n": 4}).body == {"n": 8}


@pytest.mark.parametrize("is_set_later", [False, True], ids=["given", "set later"])
def test_a_dictionary_answers_every_call(nobody: Client, is_set_later: bool) -> None:
    with stub_action("user", "a", side_effect=None if is_set_later else {"n": 1, "m": 2}) as stub:
        if is_set_later:
            stub.side_effect = {"n": 1, "m": 2}

        for _ in range(3):
            assert nobody.call_action("user", "a").body == {"n": 1, "m": 2}


def test_side_effects_can_be_set_and_taken_away_later(nobody: Client) -> None:
    with stub_action("user", "a", {"n": 0}) as stub:
        stub.side_effect = ({"n": 1}, {"n": 2})
        assert [nobody.call_action("user", "a").body for _ in range(2)] == [{"n": 1}, {"n": 2}]
        stub.side_effect = None
        assert nobody.call_action("user", "a").body == {"n": 0}


# Assertions


@pytest.fixture
def called_stub(nobody: Client) -> Any:
    with stub_action("user", "find") as stub:
        nobody.call_action("user", "find", {"first": True})
        nobody.call_action("user", "find", {"name": "John", "filter": {"age": [1, 2], "city": "Rome"}})
    return stub


def test_assertions_that_hold_are_silent(called_stub: Any) -> None:
    called_stub.assert_any_call({"first": True})
    called_stub.assert_called_with({"name": "John", "filter": {"age": [1, 2], "city": "Rome"}})
    called_stub.assert_call_bodies(
        {"first": True}, {"name": "John", "filter": {"age": [1, 2], "city": "Rome"}}
    )


@pytest.mark.parametrize(
    "assertion",
    ["assert_called_with", "assert_any_call"],
)
def test_a_failed_assertion_shows_how_the_bodies_differ(called_stub: Any, assertion: str) -> None:
    expected = {"name": "John", "filter": {"age": [1, 3], "city": "Rome"}}

    with pytest.raises(AssertionError) as raised:
        getattr(called_stub, assertion)(expected)

    text = str(raised.value)
    assert "user.find" in text or "find(" in text
    assert (
        "The request body of the last of 2 calls differs.\n"
        "--- expected\n"
        "+++ actual\n"
        " {\n"
        "     'name': 'John',\n"
        "     'filter': {\n"
        "         'age': [\n"
        "             1,\n"
        "-            3,\n"
        "+            2,\n"
        "         ],\n"
        "         'city': 'Rome',\n"
        "     },\n"
        " }"
    ) in text


def test_assert_called_once_with_shows_how_the_only_body_differs(nobody: Client) -> None:
    with stub_action("user", "get_user") as stub:
        nobody.call_action("user", "get_user", {"id": 1})

    with pytest.raises(AssertionError, match="request body of the only call differs") as raised:
        stub.assert_called_once_with({"id": 2})

    assert "-    'id': 2,\n+    'id': 1,\n" in str(raised.value)
    stub.assert_called_once_with({"id": 1})


def test_an_assertion_that_is_not_about_bodies_fails_as_that_of_a_mock(called_stub: Any) -> None:
    with pytest.raises(AssertionError, match="to be called once") as raised:
        called_stub.assert_called_once_with({"first": True})

    assert "differs" not in str(raised.value)
    with pytest.raises(AssertionError):
        called_stub.assert_called_with({"first": True}, extra=1)


def test_all_bodies_can_be_compared_at_once(called_stub: Any) -> None:
    with pytest.raises(AssertionError, match=r"user\.find was called with other request bodies") as raised:
        called_stub.assert_call_bodies({"first": False})

    assert "-        'first': False,\n+        'first': True,\n" in str(raised.value)
