"""The MessagePack extension types of PySOA: dates, times, decimals and amounts of money.

Wire facts, recorded from PySOA 1.4.9 (all numbers are big-endian):

====  ==========================  ==========================================================================
code  Python value                payload
====  ==========================  ==========================================================================
1     naive ``datetime``          i64: microseconds since 1970-01-01T00:00:00
2     ``currint.Amount``          3 ASCII letters of the currency, i64: number of minor units
3     ``date``                    u16 year, u8 month, u8 day
4     ``time``                    u8 hour, u8 minute, u8 second, u32 microsecond; the time zone is left out
5     ``Decimal``                 u16 length, then that many ASCII characters of ``str(value)``
10    ``datetime`` in UTC         like 1
====  ==========================  ==========================================================================

PySOA 1.4.9 counts microseconds in floating point, so that some of its counts are off by a few. This module
counts exactly, and 1.4.9 reads that exactly between 1697 and 2242.
"""

from __future__ import annotations

import datetime
import decimal
import struct
import sys
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias, cast

__all__ = (
    "Extension",
    "decode_extension",
    "encode_extension",
)

Extension: TypeAlias = tuple[int, bytes]

_NAIVE_DATETIME: Final = 1
_AMOUNT: Final = 2
_DATE: Final = 3
_TIME: Final = 4
_DECIMAL: Final = 5
_UTC_DATETIME: Final = 10

_COUNT: Final = struct.Struct(">q")
_AMOUNT_FORMAT: Final = struct.Struct(">3sq")
_DATE_FORMAT: Final = struct.Struct(">HBB")
_TIME_FORMAT: Final = struct.Struct(">BBBI")
_LENGTH: Final = struct.Struct(">H")

_EPOCH: Final = datetime.datetime(1970, 1, 1)
_UTC_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_new_timedelta: Final = datetime.timedelta
_type_of: Final[Any] = type
_NO_OFFSET: Final = datetime.timedelta(0)
# PySOA 1.4.9 rounds the last microseconds of the year 9999 up to this count, which is the year 10000.
_COUNT_OF_YEAR_10000: Final = 253_402_300_800_000_000
_MAXIMUM_DECIMAL_LENGTH: Final = 65_535
_BUILT_IN_TYPES: Final = (str, int, float, bytes, bytearray, list, tuple, dict, set, frozenset)


class _Currency(Protocol):
    @property
    def code(self) -> str: ...


class _Amount(Protocol):
    """The part of ``currint.Amount``, an untyped library, that is used here."""

    @property
    def currency(self) -> _Currency | None: ...

    @property
    def value(self) -> int: ...


def encode_extension(value: Any) -> Extension | None:
    """Return code and payload for a value of one of the types above or a subclass; ``None`` for others.

    Raises:
        TypeError: The type fits, but this value cannot be encoded. The text does not show it.
    """
    kind = _type_of(value)
    if kind is datetime.datetime and value.tzinfo is None:
        # Nearly all extensions are of this kind.
        delta = value - _EPOCH
        return _NAIVE_DATETIME, _COUNT.pack(
            (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
        )
    encoder = _ENCODERS.get(kind)
    if encoder is not None:
        return encoder(value)
    if isinstance(value, _BUILT_IN_TYPES):
        return None
    for supported_type, encoder_of_type in _ENCODERS.items():
        if isinstance(value, supported_type):
            return encoder_of_type(value)
    if _is_amount(value):
        return _encode_amount(cast("_Amount", value))  # _is_amount is the proof
    return None


def decode_extension(code: int, payload: bytes) -> object:
    """Return the value of an extension.

    Raises:
        TypeError: The code is unknown.
        ValueError: The payload is not one of this code.
        OverflowError: The date-time is out of Python's range.
    """
    if code == _NAIVE_DATETIME and len(payload) == _COUNT.size:
        # Nearly all extensions are of this kind.
        (count,) = _COUNT.unpack(payload)
        if count != _COUNT_OF_YEAR_10000:
            return _EPOCH + _new_timedelta(0, 0, count)
    decoder = _DECODERS.get(code)
    if decoder is None:
        raise TypeError(f"Cannot decode unknown extension type {code} from MessagePack")
    return decoder(payload)


def _encode_datetime(value: datetime.datetime) -> Extension:
    zone = value.tzinfo
    if zone is None:
        return _NAIVE_DATETIME, _COUNT.pack(_microseconds(value - _EPOCH))
    if zone is not datetime.UTC and zone.utcoffset(None) != _NO_OFFSET:
        # Only zones whose offset is fixed answer the question without a date-time, and only those at zero are
        # UTC.
        raise TypeError(
            "Cannot encode time zone-aware date-times to MessagePack unless they are in UTC; "
            "convert it with astimezone(datetime.timezone.utc)"
        )
    return _UTC_DATETIME, _COUNT.pack(_microseconds(value - _UTC_EPOCH))


def _microseconds(delta: datetime.timedelta) -> int:
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def _encode_date(value: datetime.date) -> Extension:
    return _DATE, _DATE_FORMAT.pack(value.year, value.month, value.day)


def _encode_time(value: datetime.time) -> Extension:
    return _TIME, _TIME_FORMAT.pack(value.hour, value.minute, value.second, value.microsecond)


def _encode_decimal(value: decimal.Decimal) -> Extension:
    # Longer texts are cut, as by PySOA 1.4.9: the length field has no room for more.
    text = str(value).encode("ascii")[:_MAXIMUM_DECIMAL_LENGTH]
    return _DECIMAL, _LENGTH.pack(len(text)) + text


def _encode_amount(value: _Amount) -> Extension:
    currency = value.currency
    if currency is None:
        raise TypeError("Cannot encode an Amount without a currency to MessagePack")
    try:
        return _AMOUNT, _AMOUNT_FORMAT.pack(currency.code.upper().encode("ascii"), value.value)
    except struct.error as error:
        raise TypeError("Cannot encode an Amount of more than 64 bits to MessagePack") from error


def _is_amount(value: object) -> bool:
    # A value can only be an Amount if somebody has imported the optional library.
    currint: Any = sys.modules.get("currint")
    return currint is not None and isinstance(value, currint.Amount)


def _decode_naive_datetime(payload: bytes) -> datetime.datetime:
    return _EPOCH + _decode_count(payload)


def _decode_utc_datetime(payload: bytes) -> datetime.datetime:
    return _UTC_EPOCH + _decode_count(payload)


def _decode_count(payload: bytes) -> datetime.timedelta:
    try:
        (count,) = _COUNT.unpack(payload)
    except struct.error as error:
        raise _wrong_size("a date-time", _COUNT, payload) from error
    if count == _COUNT_OF_YEAR_10000:
        count -= 1
    return datetime.timedelta(0, 0, count)


def _decode_date(payload: bytes) -> datetime.date:
    try:
        parts = _DATE_FORMAT.unpack(payload)
    except struct.error as error:
        raise _wrong_size("a date", _DATE_FORMAT, payload) from error
    return datetime.date(*parts)


def _decode_time(payload: bytes) -> datetime.time:
    try:
        parts = _TIME_FORMAT.unpack(payload)
    except struct.error as error:
        raise _wrong_size("a time", _TIME_FORMAT, payload) from error
    return datetime.time(*parts)


def _decode_decimal(payload: bytes) -> decimal.Decimal:
    length = len(payload) - _LENGTH.size
    if length < 0 or _LENGTH.unpack_from(payload)[0] != length:
        raise ValueError(f"the length field of a decimal does not agree with its {max(length, 0)} bytes")
    try:
        return decimal.Decimal(payload[_LENGTH.size :].decode("ascii"))
    except decimal.InvalidOperation as error:
        raise ValueError(f"the {length} bytes of a decimal number are not one") from error


def _decode_amount(payload: bytes) -> object:
    try:
        code, minor_units = _AMOUNT_FORMAT.unpack(payload)
    except struct.error as error:
        raise _wrong_size("an amount", _AMOUNT_FORMAT, payload) from error
    currency_code: str = code.decode("ascii")
    try:
        # It ships no types, and it is an extra: only those who use amounts have it.
        import currint  # type: ignore[import-untyped]
    except ImportError as error:
        raise ValueError(
            "currint, which amounts of money need, is not installed; install pysoa-common[currint]"
        ) from error
    amount_class = cast("Any", currint).Amount
    return amount_class.from_code_and_minor(currency_code, minor_units)


def _wrong_size(name: str, structure: struct.Struct, payload: bytes) -> ValueError:
    return ValueError(f"{name} must have {structure.size} bytes, not {len(payload)}")


# A date-time is also a date, so it comes first.
_ENCODERS: Final[dict[type, Callable[[Any], Extension]]] = {
    datetime.datetime: _encode_datetime,
    datetime.date: _encode_date,
    datetime.time: _encode_time,
    decimal.Decimal: _encode_decimal,
}

_DECODERS: Final[dict[int, Callable[[bytes], object]]] = {
    _NAIVE_DATETIME: _decode_naive_datetime,
    _AMOUNT: _decode_amount,
    _DATE: _decode_date,
    _TIME: _decode_time,
    _DECIMAL: _decode_decimal,
    _UTC_DATETIME: _decode_utc_datetime,
}
