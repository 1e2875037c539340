"""Messages as MessagePack, the default of PySOA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeGuard, cast

import msgpack  # type: ignore[import-untyped]  # it ships no types

from pysoa.common._conformity import accepts_kwargs, dictionary
from pysoa.common._plain import Array, attrs_fields, is_array, is_dict, is_list
from pysoa.common.serializer._msgpack_extensions import Extension, decode_extension, encode_extension
from pysoa.common.serializer._trouble import find_trouble, too_deep_path
from pysoa.common.serializer.base import Serializer
from pysoa.common.serializer.errors import InvalidField, InvalidMessage

__all__ = ("MsgpackSerializer",)


class _Packer(Protocol):
    def pack(self, obj: object) -> bytes: ...


# msgpack has no types: this is where its names get some.
_msgpack = cast("Any", msgpack)
_new_packer: Callable[..., _Packer] = _msgpack.Packer
_ExtType: type = _msgpack.ExtType
_unpack: Callable[..., Any] = _msgpack.unpackb
_Timestamp: type = _msgpack.Timestamp
_UnpackException: type[Exception] = _msgpack.UnpackException
_new_tuple: Callable[[type, Extension], object] = cast("Any", tuple).__new__

# A standard timestamp (extension -1) is 4, 8 or 12 bytes long, so two of these are in front of its payload.
_STARTS_OF_TIMESTAMPS: Final = tuple(bytes((size, 0xFF)) for size in (0xD6, 0xD7, 4, 8, 12))
_CLOSE_LOOKS: Final = 256
# A packer keeps its buffer; the buffer of an unusually large message is given back.
_MAXIMUM_KEPT_BUFFER: Final = 1 << 20
_MINIMUM_INTEGER: Final = -(2**63)
_MAXIMUM_INTEGER: Final = 2**64 - 1
_PLAIN_TYPES: Final = frozenset({str, int, bool, float, bytes, type(None)})


@accepts_kwargs(dictionary({}, description="The Msgpack serializer has no constructor args"))
class MsgpackSerializer(Serializer):
    """Serializes to MessagePack, with extension types for dates, times, decimals and amounts of money.

    Integers must fit into 64 bits. Nesting may be 1,024 levels deep, or 511 where msgpack is older than 1.2.
    What no PySOA service can decode is refused: what is nested deeper, lone surrogates in strings, and tuples
    as keys of dictionaries. One instance may be used by any number of threads.
    """

    mime_type = "application/msgpack"

    def dict_to_blob(self, message_dict: dict[Any, Any]) -> bytes:
        """Serialize a message; see :meth:`Serializer.dict_to_blob`."""
        return _encode(message_dict, _idle_encoders, _Encoder)

    def message_to_blob(self, message: dict[Any, Any]) -> bytes:
        """Serialize a message with attrs instances and sets; see :meth:`Serializer.message_to_blob`."""
        return _encode(message, _idle_message_encoders, _MessageEncoder)

    def blob_to_dict(self, blob: bytes) -> dict[Any, Any]:
        """Deserialize a message; see :meth:`Serializer.blob_to_dict`."""
        try:
            # timestamp=0: standard timestamps never reach ext_hook; this way they can be told from other
            # values.
            message: dict[Any, Any] = _unpack(
                blob, raw=False, strict_map_key=False, ext_hook=decode_extension, timestamp=0
            )
            # Asked with a number: for bytes, Python 3.11 first makes an exception that it throws away.
            if 0xFF in blob and _may_hold_a_timestamp(bytes(blob)) and _holds_a_timestamp(message):
                raise TypeError("Cannot decode unknown extension type -1 from MessagePack")
        except (ValueError, TypeError, ArithmeticError, RecursionError, _UnpackException) as error:
            inner = str(error)
            text = f"Can't deserialize message due to {type(error).__name__}: {inner}"
            raise InvalidMessage(text, inner) from error
        return message


class _Encoder:
    """A reusable packer, and what it does with values that MessagePack does not know."""

    __slots__ = ("packer", "saw_container")

    def __init__(self) -> None:
        # With strict_types the packer asks about every tuple and every subclass of a built-in type.
        self.packer = _new_packer(default=self.default, use_bin_type=True, strict_types=True)
        self.saw_container = False

    def default(self, value: Any) -> object:
        """Return something that the packer knows, in place of the value."""
        extension = None if type(value) is tuple else encode_extension(value)
        if extension is None:
            return self._convert(value)
        # The constructor of ExtType would check again what encode_extension has made.
        return _new_tuple(_ExtType, extension)

    def _convert(self, value: Any) -> object:
        if is_list(value) or _is_tuple(value):
            return self._array(value)
        # The methods of the built-in types are called on purpose: subclasses, such as enums, override them.
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int) and _MINIMUM_INTEGER <= value <= _MAXIMUM_INTEGER:
            return int.__int__(value)
        if isinstance(value, float):
            return float.__float__(value)
        if isinstance(value, (bytes, bytearray)):
            return memoryview(value)
        if is_dict(value):
            self.saw_container = True
            return dict(value)
        raise TypeError(_cannot_encode(value))

    def _array(self, values: Array) -> list[Any]:
        # It may be the key of a dictionary, in which case nobody could decode it: a list does not hash.
        self.saw_container = True
        return list(values)


class _MessageEncoder(_Encoder):
    """Also turns attrs instances into dictionaries, and sets into lists."""

    __slots__ = ()

    def _convert(self, value: Any) -> object:
        attributes = attrs_fields(value)
        if attributes is not None:
            self.saw_container = True
            return attributes
        if is_array(value):
            return self._array(value)
        return super()._convert(value)


# Encoders that no call is using. list.append and list.pop are atomic, so that no lock is needed.
_idle_encoders: list[_Encoder] = []
_idle_message_encoders: list[_Encoder] = []


def _encode(message: dict[Any, Any], idle_encoders: list[_Encoder], new_encoder: type[_Encoder]) -> bytes:
    if not isinstance(message, dict):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
        raise ValueError("Input must be a dict")
    try:
        encoder = idle_encoders.pop()
    except IndexError:
        encoder = new_encoder()
    try:
        blob = encoder.packer.pack(message)
    except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise _invalid_field(message, error, new_encoder) from error
    if encoder.saw_container:
        encoder.saw_container = False
        if _holds_container_key(message):
            raise _invalid_field(message, TypeError("unhashable key"), new_encoder)
    if len(blob) <= _MAXIMUM_KEPT_BUFFER:
        idle_encoders.append(encoder)
    return blob


def _invalid_field(message: dict[Any, Any], error: Exception, new_encoder: type[_Encoder]) -> InvalidField:
    encoder = new_encoder()

    def reason_against(value: Any, is_key: bool) -> str | None:
        return _reason_against(value, is_key, encoder)

    trouble = find_trouble(message, reason_against)
    if trouble is not None:
        inner = f"{trouble[0]} (at {trouble[1]})"
    else:
        inner = f"{error} (at {too_deep_path(message)})"
    return InvalidField(f"Can't serialize message due to {type(error).__name__}: {inner}", inner)


def _reason_against(value: Any, is_key: bool, encoder: _Encoder) -> str | None:
    if is_key and _is_container(value):
        name = type(value).__name__
        return f"Cannot encode a key of type {name} to MessagePack, since nobody could decode it"
    if isinstance(value, str):
        return _reason_against_text(value)
    if isinstance(value, int):
        return None if _MINIMUM_INTEGER <= value <= _MAXIMUM_INTEGER else _cannot_encode(value)
    if value is None or isinstance(value, (float, bytes, bytearray, memoryview, dict, list)):
        return None
    try:
        encoder.default(value)
    except TypeError as error:
        return str(error)
    return None


def _reason_against_text(value: str) -> str | None:
    try:
        str.encode(value, "utf-8")
    except UnicodeEncodeError:
        return "Cannot encode a string with a lone surrogate to MessagePack, since nobody could decode it"
    return None


def _cannot_encode(value: object) -> str:
    return f"Cannot encode value of type {type(value).__name__} to MessagePack"


def _holds_container_key(message: Any) -> bool:
    stack: list[Any] = [message]
    while stack:
        value = stack.pop()
        items: Any = value
        if not is_array(value):
            fields = value if is_dict(value) else attrs_fields(value) or {}
            if any(type(key) not in _PLAIN_TYPES and _is_container(key) for key in fields):
                return True
            items = fields.values()
        for item in items:
            if type(item) not in _PLAIN_TYPES:
                stack.append(item)
    return False


def _is_tuple(value: object) -> TypeGuard[tuple[Any, ...]]:
    return isinstance(value, tuple)


def _is_container(value: object) -> bool:
    return is_array(value) or is_dict(value) or attrs_fields(value) is not None


def _may_hold_a_timestamp(blob: bytes) -> bool:
    # The byte itself is found many times faster than the pairs, and rare in what is not binary.
    position = blob.find(b"\xff")
    for _ in range(_CLOSE_LOOKS):
        if position < 0:
            return False
        if blob[max(position - 1, 0) : position + 1] in _STARTS_OF_TIMESTAMPS:
            return True
        position = blob.find(b"\xff", position + 1)
    return any(start in blob for start in _STARTS_OF_TIMESTAMPS)


def _holds_a_timestamp(message: Any) -> bool:
    stack: list[Any] = [message]
    while stack:
        value = stack.pop()
        if isinstance(value, _Timestamp):
            return True
        if is_dict(value):
            stack.extend(value)
            stack.extend(value.values())
        elif is_list(value):
            stack.extend(value)
    return False
