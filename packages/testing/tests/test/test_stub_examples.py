"""The examples of the API reference, as they stand there."""

from __future__ import annotations

import unittest
from typing import Any
from unittest import mock

from pysoa.client.client import Client
from pysoa.client.errors import CallActionError
from pysoa.common.errors import Error
from pysoa.server.errors import ActionError
from pysoa.test.stub_service import stub_action


class UserHelper:
    """The code under test: it calls services."""

    def __init__(self) -> None:
        self._client = Client({})

    def get_user_from_service(self, user_id: int) -> Any:
        return self._client.call_action("user", "get_user", {"id": user_id}).body["user"]

    def get_user_settings(self, user_id: int) -> dict[str, Any]:
        self.get_user_from_service(user_id)
        settings: dict[str, Any] = {}
        for setting_id in ("setting1", "setting2", "setting3"):
            body = {"user_id": user_id, "setting_id": setting_id}
            try:
                response = self._client.call_action("settings", "get_user_setting", body)
            except CallActionError:
                continue
            settings[setting_id] = response.body["value"]
        return settings

    def get_user_salary(self, user_id: int) -> int:
        self.get_user_from_service(user_id)
        salary: int = self._client.call_action("payroll", "get_salary", {"user_id": user_id}).body["salary"]
        return salary


# The reference asserts in the style of unittest.
# ruff: noqa: PT009
@stub_action("user", "get_user", body={"user": {"id": 1234, "username": "John", "email": "john@example.org"}})
class TestSomeCode(unittest.TestCase):
    """This class is decorated to stub an action that the tested code ends up calling for all these tests."""

    def test_simple_user_helper(self, stub_get_user: Any) -> None:
        user = UserHelper().get_user_from_service(user_id=5678)

        self.assertEqual("John", user["username"])
        self.assertTrue(stub_get_user.called)
        self.assertEqual(1, stub_get_user.call_count)
        self.assertEqual({"id": 5678}, stub_get_user.call_body)
        self.assertEqual(({"id": 5678},), stub_get_user.call_bodies)
        stub_get_user.assert_called_once_with({"id": 5678})
        stub_get_user.assert_has_calls([mock.call({"id": 5678})])

    @stub_action("settings", "get_user_setting")
    def test_complex_user_helper(self, stub_get_user_setting: Any, stub_get_user: Any) -> None:
        stub_get_user_setting.side_effect = (
            {"value": "This is the first setting value response"},
            {"value": "This is the second setting value response"},
            ActionError(errors=[Error(code="NO_SUCH_SETTING", message="The setting does not exist")]),
        )

        settings = UserHelper().get_user_settings(user_id=1234)

        self.assertEqual(
            {
                "setting1": "This is the first setting value response",
                "setting2": "This is the second setting value response",
            },
            settings,
        )
        self.assertEqual(3, stub_get_user_setting.call_count)
        self.assertEqual(
            (
                {"user_id": 1234, "setting_id": "setting1"},
                {"user_id": 1234, "setting_id": "setting2"},
                {"user_id": 1234, "setting_id": "setting3"},
            ),
            stub_get_user_setting.call_bodies,
        )
        stub_get_user.assert_called_once_with({"id": 1234})

    def test_another_user_helper_with_context_manager(self, stub_get_user: Any) -> None:
        with stub_action("payroll", "get_salary") as stub_get_salary:
            stub_get_salary.return_value = {"salary": 75950}

            salary = UserHelper().get_user_salary(user_id=1234)

        self.assertEqual(75950, salary)
        self.assertEqual(1, stub_get_salary.call_count)
        self.assertEqual({"user_id": 1234}, stub_get_salary.call_body)
        stub_get_user.assert_called_once_with({"id": 1234})


@stub_action("user", "get_user", body={"user": {"username": "John"}})
class TestSomeCodeWithPytest:
    """The same, for pytest, with fixtures and parameters."""

    @mock.patch("os.getcwd")
    @stub_action("payroll", "get_salary", body={"salary": 1})
    def test_mixed_with_patches_and_fixtures(
        self, stub_get_salary: Any, getcwd: Any, stub_get_user: Any, tmp_path: Any
    ) -> None:
        assert UserHelper().get_user_salary(7) == 1
        stub_get_salary.assert_called_once_with({"user_id": 7})
        stub_get_user.assert_called_once_with({"id": 7})
        assert not getcwd.called
        assert tmp_path.is_dir()


def stub_get_user(**user: Any) -> stub_action:
    """Services write such functions, whose results are used as decorators and as context managers."""
    return stub_action("user", "get_user", body={"user": user})


@stub_get_user(username="John")
def test_a_ready_made_stub_as_a_decorator(get_user: Any) -> None:
    assert UserHelper().get_user_from_service(1) == {"username": "John"}
    assert get_user.called


def test_a_ready_made_stub_as_a_context_manager() -> None:
    with stub_get_user(username="Jane"):
        assert UserHelper().get_user_from_service(1) == {"username": "Jane"}


@stub_action("user", "get_user", body={"user": {}}, argument="get_user")
def test_a_stub_by_name_among_fixtures(tmp_path: Any, get_user: Any) -> None:
    UserHelper().get_user_from_service(1)

    get_user.assert_called_once_with({"id": 1})
    assert tmp_path.is_dir()
