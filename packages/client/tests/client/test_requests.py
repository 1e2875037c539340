"""Headers of requests, and the checks of what callers pass."""

from __future__ import annotations

import enum
import math
import os
import re
from typing import Any

import pytest

from pysoa.client._requests import (
    check_seconds,
    make_context,
    make_control,
    new_correlation_id,
    switch_value,
)


class Color(enum.Enum):
    RED = 3


class Level(enum.IntEnum):
    HIGH = 9


class IntLike:
    def __int__(self) -> int:
        return 4


class HasValue:
    value = IntLike()


def test_context_starts_from_a_copy_of_the_base() -> None:
    base = {"caller": "test", 5: "five"}

    context = make_context(base, None, "id", None)

    assert context == {"caller": "test", "5": "five", "correlation_id": "id", "switches": []}
    assert base == {"caller": "test", 5: "five"}


@pytest.mark.parametrize(
    ("base", "argument", "extra", "expected"),
    [
        pytest.param({}, "argument", {}, "argument", id="the argument"),
        pytest.param({"correlation_id": "base"}, None, {}, "base", id="the client's context"),
        pytest.param({"correlation_id": "base"}, "argument", {}, "argument", id="argument over base"),
        pytest.param({}, "argument", {"correlation_id": "call"}, "call", id="call over argument"),
        pytest.param({}, None, {}, "default", id="none given"),
        pytest.param({"correlation_id": None}, None, {}, "default", id="None in base"),
        pytest.param({}, "argument", {"correlation_id": None}, "argument", id="None in call"),
    ],
)
def test_correlation_id_comes_from(
    base: dict[str, Any], argument: str | None, extra: dict[str, Any], expected: str
) -> None:
    context = make_context(base, None, argument, extra, "default")

    assert context["correlation_id"] == expected


def test_new_correlation_ids_are_32_hexadecimal_digits_and_differ() -> None:
    ids = {make_context({}, None, None, None)["correlation_id"] for _ in range(100)}

    assert len(ids) == 100
    assert all(re.fullmatch("[0-9a-f]{32}", correlation_id) for correlation_id in ids)


def test_switches_are_the_union_of_all_three_sources_without_duplicates() -> None:
    context = make_context({"switches": [1, 2]}, {2, 3}, "id", {"switches": (3, 4)})

    assert sorted(context["switches"]) == [1, 2, 3, 4]


def test_d04_switches_stay_in_the_context_of_the_caller() -> None:
    extra = {"switches": [5], "color": "red"}

    context = make_context({}, None, "id", extra)

    assert context == {"correlation_id": "id", "switches": [5], "color": "red"}
    assert extra == {"switches": [5], "color": "red"}


def test_d20_switch_constants_become_integers_and_are_not_repeated() -> None:
    context = make_context({}, [Color.RED, 3, Level.HIGH, 9, IntLike(), HasValue(), True], "id", None)

    assert sorted(context["switches"]) == [1, 3, 4, 9]
    assert all(type(switch) is int for switch in context["switches"])


@pytest.mark.parametrize("value", ["5", None, object()], ids=["string", "None", "object"])
def test_what_is_no_switch_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="switch does not implement the switch constant interface"):
        switch_value(value)


def test_a_bare_integer_is_no_collection_of_switches() -> None:
    with pytest.raises(TypeError, match="'int' object is not iterable"):
        make_context({}, 5, "id", None)  # type: ignore[arg-type]  # what callers do wrong


def test_extra_control_keys_win_and_are_not_changed() -> None:
    extra = {"continue_on_error": True, "priority": 3}

    control = make_control(False, False, extra, 2.5)

    assert control == {"continue_on_error": True, "suppress_response": False, "priority": 3, "timeout": 2.5}
    assert extra == {"continue_on_error": True, "priority": 3}


def test_timeout_among_extra_control_keys_wins() -> None:
    assert make_control(False, False, {"timeout": 1}, 2)["timeout"] == 1


@pytest.mark.parametrize("seconds", [None, 0, 0.0, 1, 0.25, 3600])
def test_time_limits_may_be_missing_zero_whole_or_fractional(seconds: float | None) -> None:
    check_seconds("timeout", seconds)


@pytest.mark.parametrize("seconds", [-1, -0.5, math.inf, math.nan])
def test_time_limits_that_are_none_are_refused_with_advice(seconds: float) -> None:
    with pytest.raises(ValueError, match=rf"^timeout is {re.escape(repr(seconds))}\. Pass a positive number"):
        check_seconds("timeout", seconds)


def test_forked_children_do_not_repeat_correlation_ids() -> None:
    readers: list[int] = []
    for _ in range(2):
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.write(writer, new_correlation_id().encode())
            os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)
        readers.append(reader)

    ids = {os.read(reader, 100).decode() for reader in readers} | {new_correlation_id()}
    for reader in readers:
        os.close(reader)

    assert len(ids) == 3
