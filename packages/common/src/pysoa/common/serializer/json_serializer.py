"""Messages as JSON text."""

from __future__ import annotations

import json
from typing import Any, cast

from pysoa.common._conformity import accepts_kwargs, dictionary
from pysoa.common._plain import attrs_fields
from pysoa.common.serializer._trouble import find_trouble, too_deep_path
from pysoa.common.serializer.base import Serializer
from pysoa.common.serializer.errors import InvalidField, InvalidMessage

__all__ = ("JSONSerializer",)


@accepts_kwargs(dictionary({}, description="The JSON serializer has no constructor args"))
class JSONSerializer(Serializer):
    """Serializes to JSON in UTF-8, with what :mod:`json` knows: no bytes, dates, decimals or amounts.

    Tuples become lists, and the keys of dictionaries become strings. Integers may have any size.
    """

    mime_type = "application/json"

    def dict_to_blob(self, message_dict: dict[Any, Any]) -> bytes:
        """Serialize a message; see :meth:`Serializer.dict_to_blob`."""
        return _encode(_STRICT_ENCODER, message_dict)

    def message_to_blob(self, message: dict[Any, Any]) -> bytes:
        """Serialize a message with attrs instances and sets; see :meth:`Serializer.message_to_blob`."""
        return _encode(_MESSAGE_ENCODER, message)

    def blob_to_dict(self, blob: bytes) -> dict[Any, Any]:
        """Deserialize a message; see :meth:`Serializer.blob_to_dict`."""
        try:
            # json.loads would also take other encodings than UTF-8, which PySOA never did.
            return cast("dict[Any, Any]", json.loads(_to_text(blob)))
        except (ValueError, TypeError, RecursionError) as error:
            inner = str(error)
            text = f"Can't deserialize message due to {type(error).__name__}: {inner}"
            raise InvalidMessage(text, inner) from error


def _to_text(blob: Any) -> Any:
    return blob.decode("utf-8") if isinstance(blob, (bytes, bytearray)) else blob


def _encode(encoder: json.JSONEncoder, message: dict[Any, Any]) -> bytes:
    if not isinstance(message, dict):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
        raise ValueError("Input must be a dict")
    try:
        return encoder.encode(message).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise _invalid_field(message, error) from error


def _invalid_field(message: dict[Any, Any], error: Exception) -> InvalidField:
    if isinstance(error, (ValueError, RecursionError)):
        inner = f"{error} (at {too_deep_path(message)})"
    else:
        trouble = find_trouble(message, _reason_against)
        inner = str(error) if trouble is None else f"{trouble[0]} (at {trouble[1]})"
    return InvalidField(f"Can't serialize message due to {type(error).__name__}: {inner}", inner)


def _reason_against(value: Any, is_key: bool) -> str | None:
    if isinstance(value, (str, int, float)) or value is None:
        return None
    name = type(value).__name__
    if is_key:
        return f"keys must be str, int, float, bool or None, not {name}"
    if isinstance(value, (dict, list, tuple, set, frozenset)) or attrs_fields(value) is not None:
        return None
    return f"Object of type {name} is not JSON serializable"


def _refuse(value: Any) -> Any:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _convert(value: Any) -> Any:
    """Turn what PySOA allows in bodies into what JSON knows."""
    fields = attrs_fields(value)
    if fields is not None:
        return fields
    if isinstance(value, (set, frozenset)):
        return list(cast("set[Any]", value))
    return _refuse(value)


# The defaults of json.dumps, whose bytes PySOA 1.4.9 sends. Encoders keep no state between calls.
_STRICT_ENCODER = json.JSONEncoder(default=_refuse)
_MESSAGE_ENCODER = json.JSONEncoder(default=_convert)
