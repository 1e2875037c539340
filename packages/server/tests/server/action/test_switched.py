from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import pytest

from pysoa.common.types import ActionResponse
from pysoa.server.action.base import Action
from pysoa.server.action.switched import SwitchedAction
from pysoa.server.settings import ServerSettings
from pysoa.server.types import EnrichedActionRequest


class First(Action):
    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        return {"ran": "first", "settings": self.settings}


class Second(Action):
    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        return {"ran": "second"}


def third(settings: Any) -> Callable[[Any], ActionResponse]:
    return lambda request: ActionResponse(request.action, [], {"ran": "third"})


class Switch(enum.Enum):
    SEVEN = 7


DEFAULT = SwitchedAction.DEFAULT_ACTION


def switched(*items: Any) -> type[SwitchedAction]:
    return type("Switched", (SwitchedAction,), {"switch_to_action_map": items})


def ran(action_class: type[SwitchedAction], *switches: int) -> Any:
    request: EnrichedActionRequest = EnrichedActionRequest("name", {}, switches)
    return action_class()(request).body["ran"]


@pytest.mark.parametrize(
    ("items", "switches", "expected"),
    [
        (((5, First), (6, Second)), [5], "first"),
        (((5, First), (6, Second)), [6], "second"),
        (((5, First), (6, Second)), [6, 5], "first"),
        (((5, First), (6, Second)), [], "second"),
        (((5, First), (6, Second)), [9], "second"),
        (((5, First), (DEFAULT, Second)), [], "second"),
        (((DEFAULT, First), (5, Second)), [], "first"),
        (((DEFAULT, First), (5, Second)), [5], "second"),
        (((5, First), (DEFAULT, Second), (6, third)), [], "second"),
        (((5, First), (DEFAULT, Second), (6, third)), [6], "third"),
        (((Switch.SEVEN, First), (5, Second)), [7], "first"),
    ],
)
def test_first_active_entry_wins_then_the_default_then_the_last(
    items: Any, switches: list[int], expected: str
) -> None:
    assert ran(switched(*items), *switches) == expected


def test_switch_zero_is_an_ordinary_switch() -> None:
    """D-27."""
    action_class = switched((0, First), (5, Second))

    assert ran(action_class, 0) == "first"
    assert ran(action_class, 5) == "second"
    assert ran(action_class) == "second"


def test_chosen_action_gets_the_settings() -> None:
    settings = ServerSettings({"transport": {"path": "pysoa.common.transport.local:LocalServerTransport"}})
    action = switched((5, Second), (DEFAULT, First))(settings)

    response = action(EnrichedActionRequest("name"))

    assert response.body["settings"] is settings


def test_chosen_action_can_be_had_without_being_constructed() -> None:
    action = switched((5, First), (DEFAULT, Second))()

    assert action.get_uninitialized_action(EnrichedActionRequest("name")) is Second


class Counted:
    """Can be iterated and counted, and is no sequence."""

    def __init__(self, *items: Any) -> None:
        self.items = items

    def __iter__(self) -> Any:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def test_map_and_its_items_need_not_be_tuples() -> None:
    action_class = type(
        "Switched", (SwitchedAction,), {"switch_to_action_map": Counted([5, First], [6, Second])}
    )

    assert ran(action_class, 5) == "first"


@pytest.mark.parametrize(
    "items",
    [
        None,
        5,
        (),
        ((5, First),),
        ((5, First), 6),
        ((5, First), (6,)),
        ((5, First), (6, Second, 7)),
        ((5, First), ("6", Second)),
        ((5, First), (6, "Second")),
        iter([(5, First), (6, Second)]),
        ((5, First), {1, 2}),
    ],
    ids=[
        "None",
        "number",
        "empty",
        "one item",
        "item is a number",
        "item is too short",
        "item is too long",
        "switch is a string",
        "action is a string",
        "without length",
        "item is a set",
    ],
)
def test_malformed_map_is_refused_when_the_class_is_defined(items: Any) -> None:
    with pytest.raises(ValueError, match="switch_to_action_map"):
        type("Switched", (SwitchedAction,), {"switch_to_action_map": items})


def test_missing_map_is_refused_when_the_class_is_defined() -> None:
    with pytest.raises(ValueError, match="switch_to_action_map"):
        type("NoMap", (SwitchedAction,), {})


def test_map_can_be_inherited() -> None:
    base = switched((5, First), (6, Second))

    assert ran(type("Derived", (base,), {}), 5) == "first"


def test_second_base_class_is_refused() -> None:
    with pytest.raises(TypeError, match="multiple inheritance"):
        type("TwoBases", (switched((5, First), (6, Second)), First), {})


def test_other_default_action_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Overriding .* is not permitted"):
        type("OtherDefault", (switched((5, First), (6, Second)),), {"DEFAULT_ACTION": 5})


def test_base_class_cannot_be_instantiated() -> None:
    with pytest.raises(TypeError, match="instantiate"):
        SwitchedAction()


def test_default_action_equals_only_itself_and_is_no_switch_that_can_be_on() -> None:
    assert type(DEFAULT)() == DEFAULT
    assert int(DEFAULT) != DEFAULT
    assert int(DEFAULT) < 0
    with pytest.raises(TypeError):
        hash(DEFAULT)
