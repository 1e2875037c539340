"""Every value that was recorded from PySOA 1.4.9 is read, and written back to the same bytes.

Where 1.4.9 wrote something wrong (``original_defect``), its bytes are read, and the right ones are written.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import hashlib
import json
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import currint  # type: ignore[import-untyped]  # it ships no types
import pytest

from pysoa.common._plain import is_array, is_dict, is_list
from pysoa.common.serializer import MsgpackSerializer
from pysoa.common.serializer.errors import InvalidField, InvalidMessage

_DATA: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "msgpack.json").read_text("utf-8"))
_AMOUNT: Any = currint.Amount


def _utc(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)


def _repeat(description: dict[str, Any]) -> Any:
    kind, unit, count = description["kind"], _value(description["unit"]), description["count"]
    if kind in ("str", "bytes"):
        return unit * count
    if kind == "list":
        return [unit] * count
    if kind == "int_keys":
        return {f"k{index}": index for index in range(count)}
    value = unit
    for _ in range(count):
        value = [value] if kind == "nest_list" else {"a": value}
    return value


_FORMS: dict[str, Callable[[Any], Any]] = {
    "$int": int,
    "$float": float,
    "$bytes": bytes.fromhex,
    "$bytearray": lambda text: bytearray(bytes.fromhex(text)),
    "$codepoints": lambda points: "".join(map(chr, points)),
    "$tuple": lambda elements: tuple(_value(element) for element in elements),
    "$set": lambda elements: {_value(element) for element in elements},
    "$dict": lambda pairs: {_value(key): _value(value) for key, value in pairs},
    "$date": datetime.date.fromisoformat,
    "$datetime": datetime.datetime.fromisoformat,
    "$datetime_utc": _utc,
    "$time": datetime.time.fromisoformat,
    "$time_aware": datetime.time.fromisoformat,
    "$decimal": decimal.Decimal,
    "$currint": lambda parts: _AMOUNT.from_code_and_minor(parts[0], _value(parts[1])),
    "$repeat": _repeat,
    "$complex": complex,
    "$timedelta_seconds": lambda seconds: datetime.timedelta(seconds=seconds),
    "$object": lambda _: object(),
}


def _value(described: Any) -> Any:
    if is_list(described):
        return [_value(element) for element in described]
    if not is_dict(described):
        return described
    if len(described) == 1:
        form, content = next(iter(described.items()))
        if form.startswith("$"):
            return _FORMS[form](content)
    return {key: _value(value) for key, value in described.items()}


def _blob(vector: dict[str, Any]) -> bytes | None:
    if "hex" in vector:
        return bytes.fromhex(vector["hex"])
    if "zlib_b64" in vector:
        return zlib.decompress(base64.b64decode(vector["zlib_b64"]))
    return None


def _same(actual: Any, expected: Any) -> bool:
    """Compare like ==, but with types, with NaN equal to itself, and without recursion."""
    pairs: list[tuple[Any, Any]] = [(actual, expected)]
    while pairs:
        one, other = pairs.pop()
        if is_array(other):
            if not is_list(one):
                return False
            pairs.extend(zip(one, other, strict=True))
        elif is_dict(other):
            if list(one) != list(other) or list(map(type, one)) != list(map(type, other)):
                return False
            pairs.extend((one[key], other[key]) for key in other)
        elif not _same_scalar(one, other):
            return False
    return True


def _same_scalar(actual: Any, expected: Any) -> bool:
    if isinstance(expected, bytearray):
        expected = bytes(expected)
    if isinstance(expected, float):
        return isinstance(actual, float) and (
            (math.isnan(actual) and math.isnan(expected))
            or (actual == expected and math.copysign(1, actual) == math.copysign(1, expected))
        )
    if isinstance(expected, decimal.Decimal):
        return isinstance(actual, decimal.Decimal) and actual.as_tuple() == expected.as_tuple()
    if isinstance(expected, datetime.time):
        expected = expected.replace(tzinfo=None)
    return type(actual) is type(expected) and bool(actual == expected)


def _named(key: str, keep: Callable[[dict[str, Any]], bool] = lambda _: True) -> list[Any]:
    return [pytest.param(vector, id=vector["name"]) for vector in _DATA[key] if keep(vector)]


def _is_readable(vector: dict[str, Any]) -> bool:
    return "decode_error" not in vector and _blob(vector) is not None


@pytest.mark.parametrize("vector", _named("vectors", _is_readable))
def test_recorded_bytes_are_read(vector: dict[str, Any]) -> None:
    blob = _blob(vector)
    assert blob is not None

    decoded = MsgpackSerializer().blob_to_dict(blob)

    assert _same(decoded, _value(vector.get("decoded", vector["value"])))


@pytest.mark.parametrize("vector", _named("vectors", lambda vector: vector["name"] != "str_lone_surrogate"))
@pytest.mark.parametrize("method", ["dict_to_blob", "message_to_blob"])
def test_recorded_values_are_written_to_the_same_bytes(vector: dict[str, Any], method: str) -> None:
    blob: bytes = getattr(MsgpackSerializer(), method)(_value(vector["value"]))

    if "exact_hex" in vector:
        assert blob.hex() == vector["exact_hex"]
    elif "sha256" in vector:
        assert hashlib.sha256(blob).hexdigest() == vector["sha256"]
        assert len(blob) == vector["length"]
    else:
        assert blob == _blob(vector)


@pytest.mark.parametrize("vector", _named("vectors", lambda vector: "exact_hex" in vector))
def test_exact_counts_are_read_exactly(vector: dict[str, Any]) -> None:
    decoded = MsgpackSerializer().blob_to_dict(bytes.fromhex(vector["exact_hex"]))

    assert decoded == _value(vector["value"])


def test_count_that_the_original_rounds_to_the_year_10000_is_read_as_the_last_moment_before() -> None:
    (vector,) = (vector for vector in _DATA["vectors"] if vector["name"] == "datetime_max")

    decoded = MsgpackSerializer().blob_to_dict(bytes.fromhex(vector["hex"]))

    assert decoded == {"v": datetime.datetime.max}


@pytest.mark.parametrize("vector", _named("decode_only"))
def test_unusual_encodings_are_read(vector: dict[str, Any]) -> None:
    decoded = MsgpackSerializer().blob_to_dict(bytes.fromhex(vector["hex"]))

    assert _same(decoded, _value(vector["decoded"]))


@pytest.mark.parametrize("vector", _named("decode_errors"))
def test_broken_bytes_are_an_invalid_message(vector: dict[str, Any]) -> None:
    blob = _blob(vector)
    assert blob is not None

    with pytest.raises(InvalidMessage, match=r"^Can't deserialize message due to \w+: "):
        MsgpackSerializer().blob_to_dict(blob)


# Described in words in the data, with a test of its own each. Deeper nesting and UTC from the standard
# library are accepted now.
_NOT_DATA = {"frozenset", "enum", "stdlib_utc", "offset", "deep_list_511"}


def _is_bad_field(vector: dict[str, Any]) -> bool:
    return vector["name"] not in _NOT_DATA and not vector["name"].startswith("top_")


@pytest.mark.parametrize("vector", _named("encode_errors", _is_bad_field))
def test_values_that_were_refused_are_an_invalid_field(vector: dict[str, Any]) -> None:
    value = _value(vector["value"])

    with pytest.raises(InvalidField, match=r"^Can't serialize message due to \w+: .* \(at v\)$"):
        MsgpackSerializer().dict_to_blob(value)


@pytest.mark.parametrize("vector", _named("encode_errors", lambda vector: vector["name"].startswith("top_")))
def test_messages_that_are_no_dictionary_are_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^Input must be a dict$"):
        MsgpackSerializer().dict_to_blob(_value(vector["value"]))
