from __future__ import annotations

from typing import Any

import conformity.fields
import conformity.types
import pytest

from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse
from pysoa.server.action.base import Action
from pysoa.server.errors import ActionError, ResponseValidationError
from pysoa.server.settings import ServerSettings
from pysoa.server.types import EnrichedActionRequest

fields: Any = conformity.fields
make_schema_error: Any = conformity.types.Error

REQUEST_SCHEMA = fields.Dictionary({"x": fields.Integer(), "y": fields.List(fields.Integer())}, ("y",))
RESPONSE_SCHEMA = fields.Dictionary({"z": fields.Integer()})


class Plain(Action):
    """Returns its body, and notes what is called."""

    def __init__(self, settings: ServerSettings | None = None) -> None:
        super().__init__(settings)
        self.calls: list[str] = []

    def validate(self, request: EnrichedActionRequest) -> None:
        self.calls.append("validate")

    def run(self, request: EnrichedActionRequest) -> dict[str, Any] | None:
        self.calls.append("run")
        result: dict[str, Any] | None = request.body.get("result", {})
        return result


class Checked(Plain):
    request_schema = REQUEST_SCHEMA
    response_schema = RESPONSE_SCHEMA

    def run(self, request: EnrichedActionRequest) -> dict[str, Any] | None:
        super().run(request)
        return {"z": request.body["x"]}


def request(**body: Any) -> EnrichedActionRequest:
    return EnrichedActionRequest("name", body)


def test_action_is_executed_between_the_checks() -> None:
    action = Checked()

    response = action(request(x=3))

    assert response == ActionResponse("name", [], {"z": 3})
    assert action.calls == ["validate", "run"]


def test_request_that_does_not_fit_is_the_callers_fault_and_not_run() -> None:
    action = Checked()

    with pytest.raises(ActionError) as raised:
        action(request(x="3", y=[1, "2"], more=1))

    assert raised.value.errors == [
        Error("INVALID", "Not an integer", field="x", is_caller_error=True),
        Error("INVALID", "Not an integer", field="y.1", is_caller_error=True),
        Error("UNKNOWN", "Extra keys present: more", field=None, is_caller_error=True),
    ]
    assert action.calls == []


def test_response_that_does_not_fit_is_an_error_of_the_service() -> None:
    class Wrong(Checked):
        def run(self, request: EnrichedActionRequest) -> dict[str, Any] | None:
            return {"z": "3"}

    with pytest.raises(
        ResponseValidationError, match="name had an invalid response:\n\tz INVALID: Not an int"
    ):
        Wrong()(request(x=3))


def test_no_result_is_an_empty_body() -> None:
    assert Plain()(request(result=None)).body == {}


def test_no_result_does_not_fit_a_response_schema() -> None:
    class NoResult(Plain):
        response_schema = RESPONSE_SCHEMA

    with pytest.raises(ResponseValidationError):
        NoResult()(request(result=None))


def test_result_that_is_no_dictionary_is_passed_on() -> None:
    body: Any = Plain()(request(result=[1])).body

    assert body == [1]


def test_failing_validation_keeps_run_from_being_called() -> None:
    class Refuses(Plain):
        def validate(self, request: EnrichedActionRequest) -> None:
            raise ActionError([Error("CODE", "message")])

    action = Refuses()

    with pytest.raises(ActionError):
        action(request())

    assert action.calls == []


def test_action_keeps_the_settings() -> None:
    settings = ServerSettings({"transport": {"path": "pysoa.common.transport.local:LocalServerTransport"}})

    assert Plain(settings).settings is settings
    assert Plain().settings is None


def test_action_without_run_cannot_be_constructed() -> None:
    class NoRun(Action):
        pass

    with pytest.raises(TypeError, match="abstract"):
        NoRun()  # type: ignore[abstract]


def test_schemas_of_a_base_class_hold_for_its_subclasses_until_overridden() -> None:
    class Inherits(Checked):
        pass

    class Overrides(Checked):
        request_schema = None

    with pytest.raises(ActionError):
        Inherits()(request(x="3"))
    assert Overrides()(request(x=3)).body == {"z": 3}
    with pytest.raises(ActionError):
        Inherits()(request(x="3"))


def test_schema_that_is_set_later_is_used() -> None:
    class Changes(Plain):
        pass

    Changes()(request())

    Changes.request_schema = REQUEST_SCHEMA

    with pytest.raises(ActionError):
        Changes()(request())


def test_schema_of_one_object_is_used_for_that_object_only() -> None:
    class Changes(Plain):
        pass

    special = Changes()
    special.request_schema = REQUEST_SCHEMA  # type: ignore[misc]  # as services do in constructors

    with pytest.raises(ActionError):
        special(request())
    assert Changes()(request()).errors == []


def test_any_object_with_the_two_methods_is_a_schema() -> None:
    class Refuses:
        def errors(self, value: Any) -> list[Any]:
            return [make_schema_error("no", pointer="pointer", code="MY_CODE")]

        def introspect(self) -> dict[str, Any]:
            return {"type": "refuses"}

    class WithSchema(Plain):
        request_schema = Refuses()

    with pytest.raises(ActionError) as raised:
        WithSchema()(request())

    assert raised.value.errors == [Error("MY_CODE", "no", field="pointer", is_caller_error=True)]
