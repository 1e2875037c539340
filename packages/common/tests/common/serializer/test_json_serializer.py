from __future__ import annotations

import contextlib
import datetime
import enum
import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysoa.common.serializer import JSONSerializer
from pysoa.common.serializer.errors import InvalidField, InvalidMessage

_SERIALIZER = JSONSerializer()


class _Number(enum.IntEnum):
    THREE = 3


@attrs.define
class _Tag:
    name: str


_bodies = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=25,
)


@given(st.dictionaries(st.text(), _bodies, max_size=5))
def test_round_trip_gives_the_message_back_in_the_bytes_of_the_standard_library(
    message: dict[str, Any],
) -> None:
    blob = _SERIALIZER.dict_to_blob(message)

    assert blob == json.dumps(message).encode()
    assert _SERIALIZER.message_to_blob(message) == blob
    assert _SERIALIZER.blob_to_dict(blob) == message


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_an_invalid_message(blob: bytes) -> None:
    with contextlib.suppress(InvalidMessage):
        _SERIALIZER.blob_to_dict(blob)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        pytest.param({"b": 1, "a": [1, 2.5]}, '{"b": 1, "a": [1, 2.5]}', id="separators and order"),
        pytest.param({"a": "é \ud83d"}, '{"a": "\\u00e9 \\ud83d"}', id="ASCII with lone surrogate"),
        pytest.param({"a": float("nan"), "b": float("-inf")}, '{"a": NaN, "b": -Infinity}', id="not finite"),
        pytest.param(
            {1: 1, None: 2, False: 3, 1.5: 4},
            '{"1": 1, "null": 2, "false": 3, "1.5": 4}',
            id="keys become strings",
        ),
        pytest.param({"a": (1, (2,))}, '{"a": [1, [2]]}', id="tuples"),
        pytest.param({"a": 10**30}, '{"a": 1000000000000000000000000000000}', id="large integer"),
        pytest.param({"a": _Number.THREE}, '{"a": 3}', id="IntEnum"),
    ],
)
def test_text_is_the_recorded_one(message: dict[Any, Any], text: str) -> None:
    assert _SERIALIZER.dict_to_blob(message) == text.encode()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param({1}, "Object of type set is not JSON serializable", id="set"),
        pytest.param(b"a", "Object of type bytes is not JSON serializable", id="bytes"),
        pytest.param(datetime.date(2020, 1, 1), "Object of type date is not JSON serializable", id="date"),
        pytest.param(object(), "Object of type object is not JSON serializable", id="object"),
        pytest.param(_Tag("a"), "Object of type _Tag is not JSON serializable", id="attrs instance"),
    ],
)
def test_values_that_cannot_be_encoded_are_named_by_type_and_path(value: object, reason: str) -> None:
    with pytest.raises(InvalidField) as caught:
        _SERIALIZER.dict_to_blob({"body": [{"a": value}]})

    inner = f"{reason} (at body.0.a)"
    if isinstance(value, (set, _Tag)):
        # These may be in a message, so the walk for the path does not stop at them.
        inner = reason
    assert caught.value.args == (f"Can't serialize message due to TypeError: {inner}", inner)


@pytest.mark.parametrize(("key", "name"), [(b"a", "bytes"), ((1,), "tuple"), (datetime.date.min, "date")])
def test_keys_that_cannot_be_encoded_are_named_by_type_and_path(key: Any, name: str) -> None:
    with pytest.raises(
        InvalidField,
        match=r"^Can't serialize message due to TypeError: keys must be str, int, float, bool or None, "
        rf"not {name} \(at a key in body\)$",
    ):
        _SERIALIZER.dict_to_blob({"body": {key: 1}})


def test_messages_may_hold_sets_and_attrs_instances() -> None:
    blob = _SERIALIZER.message_to_blob({"set": {1}, "tag": _Tag("a"), "nested": [{"b": frozenset({2})}]})

    assert json.loads(blob) == {"set": [1], "tag": {"name": "a"}, "nested": [{"b": [2]}]}


def test_messages_with_other_objects_are_refused() -> None:
    with pytest.raises(
        InvalidField, match=r"Object of type bytes is not JSON serializable \(at a\.0\.name\)$"
    ):
        _SERIALIZER.message_to_blob({"a": (_Tag(b"secret"),)})  # type: ignore[arg-type]  # what is tested


def test_message_that_contains_itself_is_an_invalid_field() -> None:
    message: dict[str, Any] = {}
    message["self"] = message["again"] = message

    with pytest.raises(InvalidField, match=r"due to ValueError: Circular reference detected \(at self\)$"):
        _SERIALIZER.dict_to_blob(message)


def test_too_deep_nesting_is_an_invalid_field() -> None:
    value: Any = 1
    for _ in range(200_000):
        value = [value]

    with pytest.raises(InvalidField, match=r"^Can't serialize message due to RecursionError: .*\(at a\.0\.0"):
        _SERIALIZER.dict_to_blob({"a": value})


@pytest.mark.parametrize("message", [None, [1], "x", 5])
def test_messages_that_are_no_dictionary_are_refused(message: Any) -> None:
    with pytest.raises(ValueError, match=r"^Input must be a dict$"):
        _SERIALIZER.dict_to_blob(message)


@pytest.mark.parametrize(
    "blob",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"a":', id="truncated"),
        pytest.param(b"{} {}", id="trailing"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param('{"a": "é"}'.encode("latin-1"), id="not UTF-8"),
        pytest.param('{"a": 1}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b"[" * 200_000, id="deep"),
        pytest.param(b'{"a": ' + b"1" * 5_000 + b"}", id="integer over the limit of Python"),
        pytest.param(None, id="None"),
        pytest.param(5, id="int"),
    ],
)
def test_broken_bytes_are_an_invalid_message(blob: Any) -> None:
    with pytest.raises(InvalidMessage, match=r"^Can't deserialize message due to \w+: ") as caught:
        _SERIALIZER.blob_to_dict(blob)

    assert all(isinstance(argument, str) for argument in caught.value.args)


@pytest.mark.parametrize("blob", ['{"a": 1}', bytearray(b'{"a": 1}'), b' {"a": 1} '])
def test_text_and_bytearrays_are_read_too(blob: Any) -> None:
    assert _SERIALIZER.blob_to_dict(blob) == {"a": 1}


def test_top_level_is_not_checked_when_decoding() -> None:
    top: Any = _SERIALIZER.blob_to_dict(b"[1]")

    assert top == [1]
