from __future__ import annotations

import collections
import contextlib
import datetime
import decimal
import enum
import subprocess
import sys
import threading
import zoneinfo
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import attrs
import currint  # type: ignore[import-untyped]  # it ships no types
import msgpack  # type: ignore[import-untyped]  # it ships no types
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pysoa.common.serializer import MsgpackSerializer
from pysoa.common.serializer.errors import InvalidField, InvalidMessage
from pysoa.common.types import ActionRequest

_pack: Callable[..., bytes] = cast("Any", msgpack).packb
_UTC = datetime.UTC
_SERIALIZER = MsgpackSerializer()


class _Color(enum.Enum):
    RED = 1


class _Number(enum.IntEnum):
    THREE = 3


class _Name(str, enum.Enum):  # noqa: UP042 - StrEnum has another __str__
    ANN = "ann"


class _Loud(str):
    def __str__(self) -> str:
        return "LOUD"


class _Bytes(bytes):
    pass


class _Elements(list[int]):
    pass


class _Fraction(float):
    pass


class _Pair(tuple[int, int]):
    pass


class _Point(NamedTuple):
    x: int
    y: int


class _Date(datetime.date):
    pass


class _DateTime(datetime.datetime):
    pass


@attrs.frozen
class _Tag:
    name: str
    numbers: tuple[int, ...] = ()


def _round_trip(value: Any) -> Any:
    return _SERIALIZER.blob_to_dict(_SERIALIZER.dict_to_blob({"v": value}))["v"]


_scalars = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"))
    | st.binary()
    | st.dates()
    | st.datetimes()
    | st.datetimes(timezones=st.just(_UTC))
    | st.times()
    | st.decimals(allow_nan=False)
)
_bodies = st.recursive(
    _scalars,
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), children, max_size=4)
    ),
    max_leaves=25,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), _bodies, max_size=5))
@example({"v": datetime.datetime(2005, 6, 4, 0, 34, 50, 658851)})
@example({"v": datetime.datetime.max})
@example({"v": datetime.datetime.min.replace(tzinfo=_UTC)})
def test_round_trip_gives_the_message_back(message: dict[str, Any]) -> None:
    assert _SERIALIZER.blob_to_dict(_SERIALIZER.dict_to_blob(message)) == message
    assert _SERIALIZER.message_to_blob(message) == _SERIALIZER.dict_to_blob(message)


@given(st.binary(max_size=300))
@settings(max_examples=500)
@example(b"\xd6\xff\x00\x00\x00\x01")
def test_any_bytes_are_a_message_or_an_invalid_message(blob: bytes) -> None:
    with contextlib.suppress(InvalidMessage):
        _SERIALIZER.blob_to_dict(blob)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), _bodies, max_size=3), st.data())
def test_damaged_messages_are_a_message_or_an_invalid_message(
    message: dict[str, Any], data: st.DataObject
) -> None:
    blob = bytearray(_SERIALIZER.dict_to_blob(message))
    position = data.draw(st.integers(min_value=0, max_value=len(blob) - 1))
    blob[position] = data.draw(st.integers(min_value=0, max_value=255))

    with contextlib.suppress(InvalidMessage):
        _SERIALIZER.blob_to_dict(bytes(blob))


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        pytest.param(_Number.THREE, 3, id="IntEnum"),
        pytest.param(_Name.ANN, "ann", id="str Enum"),
        pytest.param(_Loud("quiet"), "quiet", id="str subclass with another __str__"),
        pytest.param(_Bytes(b"a"), b"a", id="bytes subclass"),
        pytest.param(bytearray(b"a"), b"a", id="bytearray"),
        pytest.param(memoryview(b"a"), b"a", id="memoryview"),
        pytest.param(_Elements([1]), [1], id="list subclass"),
        pytest.param(_Fraction(1.5), 1.5, id="float subclass"),
        pytest.param((1, (2,)), [1, [2]], id="tuple"),
        pytest.param(_Pair((1, 2)), [1, 2], id="tuple subclass"),
        pytest.param(_Point(1, 2), [1, 2], id="namedtuple"),
        pytest.param(collections.OrderedDict[str, int](b=1, a=2), {"b": 1, "a": 2}, id="OrderedDict"),
        pytest.param(collections.defaultdict(int, a=2), {"a": 2}, id="defaultdict"),
        pytest.param(_Date(2020, 1, 2), datetime.date(2020, 1, 2), id="date subclass"),
        pytest.param(_DateTime(2020, 1, 2, 3), datetime.datetime(2020, 1, 2, 3), id="datetime subclass"),
        pytest.param(datetime.time(1, 2, tzinfo=_UTC), datetime.time(1, 2), id="time loses its zone"),
    ],
)
def test_subclasses_and_relatives_travel_as_the_plain_value(value: object, plain: object) -> None:
    decoded = _round_trip(value)

    assert decoded == plain
    assert type(decoded) is type(plain)


@pytest.mark.parametrize(
    "zone",
    [
        pytest.param(_UTC, id="standard library"),
        pytest.param(datetime.timezone(datetime.timedelta(0), "Z"), id="offset of zero"),
        pytest.param(zoneinfo.ZoneInfo("UTC"), id="zoneinfo"),
    ],
)
def test_utc_date_times_of_every_library_keep_their_moment(zone: datetime.tzinfo) -> None:
    value = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=zone)

    decoded = _round_trip(value)

    assert decoded == value
    assert decoded.tzinfo is _UTC


@pytest.mark.parametrize(
    "zone",
    [
        pytest.param(datetime.timezone(datetime.timedelta(hours=1)), id="fixed offset"),
        pytest.param(zoneinfo.ZoneInfo("Europe/London"), id="zone that is at zero only in winter"),
    ],
)
def test_date_times_of_other_zones_are_refused_with_advice(zone: datetime.tzinfo) -> None:
    value = datetime.datetime(2026, 1, 2, tzinfo=zone)

    with pytest.raises(
        InvalidField,
        match=r"^Can't serialize message due to TypeError: "
        r"Cannot encode time zone-aware date-times to MessagePack.*astimezone.*\(at body\.since\)$",
    ):
        _SERIALIZER.dict_to_blob({"body": {"since": value}})


def test_values_that_cannot_be_encoded_are_named_by_type_and_path_and_not_shown() -> None:
    class Secret:
        def __repr__(self) -> str:
            return "swordfish"

    message = {"body": {"actions": [{"body": {"a": 1}}, {"body": {"user": {"key": Secret()}}}]}}

    with pytest.raises(InvalidField) as caught:
        _SERIALIZER.message_to_blob(message)

    assert caught.value.args == (
        "Can't serialize message due to TypeError: "
        "Cannot encode value of type Secret to MessagePack (at body.actions.1.body.user.key)",
        "Cannot encode value of type Secret to MessagePack (at body.actions.1.body.user.key)",
    )
    assert "swordfish" not in repr(caught.value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param({1}, "Cannot encode value of type set", id="set"),
        pytest.param(frozenset({1}), "Cannot encode value of type frozenset", id="frozenset"),
        pytest.param(_Color.RED, "Cannot encode value of type _Color", id="Enum"),
        pytest.param(1j, "Cannot encode value of type complex", id="complex"),
        pytest.param(datetime.timedelta(1), "Cannot encode value of type timedelta", id="timedelta"),
        pytest.param(2**64, "Cannot encode value of type int", id="int over 64 bits"),
        pytest.param(-(2**63) - 1, "Cannot encode value of type int", id="int under 64 bits"),
        pytest.param(object, "Cannot encode value of type type", id="class"),
        pytest.param(range(3), "Cannot encode value of type range", id="range"),
        pytest.param(_Tag("a"), "Cannot encode value of type _Tag", id="attrs instance"),
    ],
)
def test_dict_to_blob_refuses_what_messagepack_does_not_know(value: object, reason: str) -> None:
    with pytest.raises(
        InvalidField,
        match=rf"^Can't serialize message due to TypeError: {reason} to MessagePack \(at a\.0\)$",
    ):
        _SERIALIZER.dict_to_blob({"a": [value]})


def test_messages_may_hold_sets_tuples_and_attrs_instances() -> None:
    message = {
        "body": {"set": {1}, "frozen": frozenset({2}), "tuple": (3, {4})},
        "tags": (_Tag("a", (5,)), [ActionRequest("b", {"c": {6}})]),
    }

    decoded = _SERIALIZER.blob_to_dict(_SERIALIZER.message_to_blob(message))

    assert decoded == {
        "body": {"set": [1], "frozen": [2], "tuple": [3, [4]]},
        "tags": [{"name": "a", "numbers": [5]}, [{"action": "b", "body": {"c": [6]}}]],
    }


@pytest.mark.parametrize(
    ("key", "type_name"),
    [
        pytest.param((1, 2), "tuple", id="tuple"),
        pytest.param(_Point(1, 2), "_Point", id="namedtuple"),
        pytest.param(frozenset({1}), "frozenset", id="frozenset"),
        pytest.param(_Tag("a"), "_Tag", id="attrs instance"),
    ],
)
def test_keys_that_no_peer_could_decode_are_refused(key: Any, type_name: str) -> None:
    with pytest.raises(
        InvalidField,
        match=rf"^Can't serialize message due to TypeError: Cannot encode a key of type {type_name} to "
        r"MessagePack, since nobody could decode it \(at a key in body\.0\)$",
    ):
        _SERIALIZER.message_to_blob({"body": [{key: 1}], "plain": {"a": (1,)}})


def test_tuple_key_is_found_beside_ordinary_tuples_and_after_other_messages() -> None:
    serializer = MsgpackSerializer()
    serializer.dict_to_blob({"a": (1, 2)})

    with pytest.raises(InvalidField):
        serializer.dict_to_blob({"a": {(1,): 1}})

    assert serializer.blob_to_dict(serializer.dict_to_blob({"a": (1, 2)})) == {"a": [1, 2]}


@pytest.mark.parametrize(
    "key",
    [1, -1, None, True, 1.5, b"bytes", datetime.date(2020, 1, 1), decimal.Decimal("1.5"), _Number.THREE],
)
def test_keys_need_not_be_strings(key: Any) -> None:
    assert _round_trip({key: 1}) == {key: 1}


def test_lone_surrogates_are_refused_since_no_peer_could_decode_them() -> None:
    with pytest.raises(
        InvalidField,
        match=r"^Can't serialize message due to UnicodeEncodeError: "
        r"Cannot encode a string with a lone surrogate .*"
        r"\(at body\.name\)$",
    ):
        _SERIALIZER.message_to_blob({"body": {"name": "secret \ud83d"}})


def test_lone_surrogate_in_a_key_is_found() -> None:
    with pytest.raises(InvalidField, match=r"\(at a key in body\)$"):
        _SERIALIZER.message_to_blob({"body": {"\ud83d": 1}})


def _nested(levels: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(levels - 1):
        value = [value]
    return {"v": value}


def test_511_levels_of_nesting_can_be_sent_and_read() -> None:
    message = _nested(511)

    assert _SERIALIZER.blob_to_dict(_SERIALIZER.dict_to_blob(message)) == message


def test_what_can_be_sent_can_be_read_at_any_depth() -> None:
    # msgpack before 1.2 writes 511 levels, later releases write 1,024.
    levels = [*range(505, 520), *range(520, 1_015, 45), *range(1_015, 1_035)]

    written = {count: blob for count in levels if (blob := _blob_of(_nested(count))) is not None}

    assert max(written) in (511, 1_024)
    assert {count: _depth_of(_SERIALIZER.blob_to_dict(blob)) for count, blob in written.items()} == {
        count: count for count in written
    }


def _blob_of(message: dict[str, Any]) -> bytes | None:
    try:
        return _SERIALIZER.dict_to_blob(message)
    except InvalidField:
        return None


def _depth_of(message: dict[str, Any]) -> int:
    # Comparing values that deep would exceed the recursion limit.
    value: Any = message["v"]
    depth = 1
    while value != 1:
        value = value[0]
        depth += 1
    return depth


@pytest.mark.parametrize("levels", [1_100, 5_000])
def test_deeper_nesting_than_peers_can_read_is_an_invalid_field(levels: int) -> None:
    with pytest.raises(
        InvalidField, match=r"^Can't serialize message due to \w+: .*\(at v\.0\.0\..*\.\.\.\)$"
    ):
        _SERIALIZER.dict_to_blob(_nested(levels))


def test_message_that_contains_itself_is_an_invalid_field() -> None:
    message: dict[str, Any] = {}
    message["self"] = message["again"] = message

    with pytest.raises(InvalidField, match=r"\(at self\)$"):
        _SERIALIZER.dict_to_blob(message)


def test_deeply_nested_bytes_are_an_invalid_message() -> None:
    with pytest.raises(InvalidMessage):
        _SERIALIZER.blob_to_dict(b"\x91" * 100_000 + b"\x01")


@pytest.mark.parametrize(
    "blob",
    [
        pytest.param(b"\xdd\xff\xff\xff\xff", id="array"),
        pytest.param(b"\xdf\xff\xff\xff\xff", id="map"),
        pytest.param(b"\xdb\xff\xff\xff\xffa", id="str"),
        pytest.param(b"\xc6\xff\xff\xff\xffa", id="bin"),
        pytest.param(b"\xc9\xff\xff\xff\xff\x05a", id="ext"),
        pytest.param(b"\xdd\x00\x01\x86\xa0" * 20_000, id="nested arrays"),
    ],
)
def test_declared_lengths_far_beyond_the_data_are_an_invalid_message(blob: bytes) -> None:
    with pytest.raises(InvalidMessage):
        _SERIALIZER.blob_to_dict(blob)


@pytest.mark.parametrize("seconds", [1, 2**33, 2**35])
def test_standard_timestamps_of_every_size_are_not_understood(seconds: int) -> None:
    timestamp = cast("Any", msgpack).Timestamp(seconds, 5)

    for message in ({"v": timestamp}, {"a": [1, {"b": [timestamp]}]}):
        with pytest.raises(InvalidMessage, match="Cannot decode unknown extension type -1 from MessagePack"):
            _SERIALIZER.blob_to_dict(_pack(message))


def test_standard_timestamp_as_a_key_is_not_understood() -> None:
    blob = _pack({cast("Any", msgpack).Timestamp(1, 0): 1})

    with pytest.raises(InvalidMessage, match="unknown extension type -1"):
        _SERIALIZER.blob_to_dict(blob)


def test_bytes_that_look_like_a_timestamp_header_are_still_read() -> None:
    message = {"a": b"\xd6\xff\x00\x00\x00\x01", "b": [4, -1, {"c": b"\x0c\xff"}]}

    assert _SERIALIZER.blob_to_dict(_SERIALIZER.dict_to_blob(message)) == message


@pytest.mark.parametrize("blob", [None, "text", 5, [b"a"]])
def test_what_is_no_blob_is_an_invalid_message(blob: Any) -> None:
    with pytest.raises(InvalidMessage, match=r"^Can't deserialize message due to TypeError: "):
        _SERIALIZER.blob_to_dict(blob)


@pytest.mark.parametrize("wrap", [bytearray, memoryview])
def test_other_buffers_than_bytes_are_read(wrap: Callable[[bytes], Any]) -> None:
    blob = _SERIALIZER.dict_to_blob({"a": b"\xff"})

    assert _SERIALIZER.blob_to_dict(wrap(blob)) == {"a": b"\xff"}


@pytest.mark.parametrize("wrap", [bytearray, memoryview])
def test_standard_timestamp_in_another_buffer_is_refused(wrap: Callable[[bytes], Any]) -> None:
    blob = b"\x81\xa1a\xd6\xff\x00\x00\x00\x01"

    with pytest.raises(InvalidMessage, match="unknown extension type -1"):
        _SERIALIZER.blob_to_dict(wrap(blob))


def test_errors_of_decoding_do_not_carry_the_message() -> None:
    blob = _SERIALIZER.dict_to_blob({"password": "swordfish"}) + b"\xa9swordfish"

    with pytest.raises(InvalidMessage) as caught:
        _SERIALIZER.blob_to_dict(blob)

    assert "swordfish" not in repr(caught.value.args)


@pytest.mark.parametrize("position", [0, 4])
def test_decimals_with_a_wrong_length_field_are_an_invalid_message(position: int) -> None:
    payload = b"\x00\x031.5"[:position]

    with pytest.raises(InvalidMessage, match="the length field of a decimal"):
        _SERIALIZER.blob_to_dict(_pack({"v": cast("Any", msgpack).ExtType(5, payload)}))


def test_decimals_of_special_values_keep_their_sign_and_digits() -> None:
    for text in ("NaN", "-NaN123", "sNaN", "-0", "0E+5", "Infinity", "1.500", "1E-400"):
        assert str(_round_trip(decimal.Decimal(text))) == text


def test_one_serializer_serves_many_threads_at_once() -> None:
    serializer = MsgpackSerializer()
    failures: list[object] = []
    start = threading.Barrier(8)

    def work(number: int) -> None:
        message = {"number": number, "values": [(number, str(number) * 50)] * 20}
        expected = {"number": number, "values": [[number, str(number) * 50]] * 20}
        start.wait(timeout=10)
        for _ in range(300):
            if serializer.blob_to_dict(serializer.message_to_blob(message)) != expected:
                failures.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert not failures


def test_serializer_is_usable_after_errors_and_large_messages() -> None:
    serializer = MsgpackSerializer()
    with pytest.raises(InvalidField):
        serializer.dict_to_blob({"a": ["text", object()]})

    large = serializer.dict_to_blob({"a": b"a" * 3_000_000})

    assert len(large) > 3_000_000
    assert serializer.dict_to_blob({}) == b"\x80"


def test_encoding_inside_encoding_works() -> None:
    serializer = MsgpackSerializer()

    class Envelope:
        __attrs_attrs__ = (attrs.fields(ActionRequest).body,)

        @property
        def body(self) -> bytes:
            return serializer.message_to_blob({"inner": (1,)})

    decoded = serializer.blob_to_dict(serializer.message_to_blob({"a": Envelope(), "b": (2,)}))

    assert decoded == {"a": {"body": b"\x81\xa5inner\x91\x01"}, "b": [2]}


def test_amounts_of_money_without_their_library_name_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "currint", None)

    with pytest.raises(InvalidMessage, match=r"currint.*is not installed; install pysoa-common\[currint\]$"):
        _SERIALIZER.blob_to_dict(bytes.fromhex("81a176c70b027573640000000000000005"))


def test_amount_without_a_currency_is_refused() -> None:
    zero: Any = sum([], start=cast("Any", currint).Amount.ZERO)

    with pytest.raises(
        InvalidField, match=r"Cannot encode an Amount without a currency to MessagePack \(at v\)$"
    ):
        _SERIALIZER.dict_to_blob({"v": zero})


def test_serializers_are_imported_without_the_library_for_money() -> None:
    program = "import sys, pysoa.common.serializer; assert 'currint' not in sys.modules"

    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
