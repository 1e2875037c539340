from __future__ import annotations

import enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysoa.server.internal.types import (
    RequestSwitchSet,
    SupportsIntValue,
    SwitchSet,
    get_switch,
    is_switch,
)


class Plain(enum.Enum):
    FIVE = 5


class Integer(enum.IntEnum):
    FIVE = 5


class WithInt:
    def __int__(self) -> int:
        return 5


class WithValue:
    def __init__(self, value: Any) -> None:
        self.value = value


FIVES = [5, 5.9, Plain.FIVE, Integer.FIVE, WithInt(), WithValue(5), WithValue(WithInt())]
FIVE_IDS = ["int", "float", "Enum", "IntEnum", "__int__", "value int", "value __int__"]
NO_SWITCHES = [None, "5", object(), WithValue("5"), WithValue(None), [5]]
NO_SWITCH_IDS = ["None", "str", "object", "value str", "value None", "list"]


@pytest.mark.parametrize("switch", FIVES, ids=FIVE_IDS)
def test_switch_has_an_integer(switch: Any) -> None:
    assert is_switch(switch)
    assert get_switch(switch) == 5
    assert switch in SwitchSet([5])
    assert list(SwitchSet([switch])) == [5]


@pytest.mark.parametrize("item", NO_SWITCHES, ids=NO_SWITCH_IDS)
def test_what_is_no_switch_is_refused(item: Any) -> None:
    assert not is_switch(item)
    with pytest.raises(TypeError, match="switch does not implement the switch constant interface"):
        get_switch(item)
    with pytest.raises(TypeError, match="switch does not implement the switch constant interface"):
        _ = item in SwitchSet([5])
    with pytest.raises(TypeError, match="switch does not implement the switch constant interface"):
        SwitchSet([item])


def test_bool_is_a_switch() -> None:
    assert get_switch(True) == 1


@given(st.sets(st.integers(min_value=0)), st.integers(min_value=0))
def test_active_switches_are_those_of_the_request(active: set[int], switch: int) -> None:
    switches = RequestSwitchSet(active)

    assert set(switches) == active
    assert switches.is_active(switch) is (switch in active)


def test_switch_zero_is_an_ordinary_switch() -> None:
    assert RequestSwitchSet([0]).is_active(0)
    assert not RequestSwitchSet([1]).is_active(0)


@pytest.mark.parametrize("nothing", [None, (), []])
def test_set_of_nothing_is_empty(nothing: Any) -> None:
    assert SwitchSet() == SwitchSet(nothing) == frozenset()


def test_operators_return_plain_sets() -> None:
    assert type(SwitchSet([1]) | SwitchSet([2])) is frozenset


def test_object_with_a_value_satisfies_the_protocol() -> None:
    assert isinstance(Plain.FIVE, SupportsIntValue)
