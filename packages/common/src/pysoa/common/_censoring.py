"""Makes censored copies: the part of redaction that knows what all the kinds of values look like."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import fractions
import re
import uuid
from collections import deque
from collections.abc import Callable, ItemsView, Iterable, Mapping, Sequence, Set, ValuesView
from types import NoneType, SimpleNamespace
from typing import Any, cast

import attrs

from pysoa.common._sensitive_names import is_sensitive, normalize_names
from pysoa.common._url_redaction import CENSORED_STRING, redact_url

__all__ = (
    "ConnectionRedactor",
    "Redactor",
)

_MAXIMUM_DEPTH = 100  # Deeper than any sane body, yet half a stack, at five frames a level.
_READABLE_LEAVES = frozenset(
    {
        NoneType, bool, float, complex, range, type(Ellipsis),
        datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone,
        decimal.Decimal, fractions.Fraction, uuid.UUID,
    }
)  # fmt: skip
_OTHER_CONTAINERS: tuple[type, ...] = (Sequence, Set, ValuesView, deque)
_NO_CONTAINERS: tuple[type, ...] = (bytes, bytearray, memoryview, range)
_CONNECTION_SECRETS = re.compile("pass|pwd|secret|token|credential|auth", re.IGNORECASE)


class _Text(str):
    """What is shown for something that is not shown as it is; its ``repr`` has no quotation marks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str.__str__(self)


class Redactor:
    """Makes one copy; keeps which containers it is inside of."""

    def __init__(self, sensitive_fields: Iterable[str], censored_string: str = CENSORED_STRING) -> None:
        self._names = normalize_names(sensitive_fields)
        self._censored = censored_string
        self._open_containers: set[int] = set()

    def text(self, value: object) -> str:
        """Return the ``repr`` of the censored copy."""
        try:
            return repr(self.copy(value))
        except Exception as error:  # Out of stack or memory: a log line must come out nevertheless.
            return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"

    def copy(self, value: object) -> object:
        """Return the censored copy."""
        kind = type(value)
        if kind is str:
            return redact_url(cast("str", value))
        if kind in _READABLE_LEAVES:
            return value
        if kind is int:
            return _readable_int(cast("int", value))
        if kind is bytes:
            return _redact_url_bytes(cast("bytes", value))
        if kind in _COPIES:
            return self._guarded(value, _COPIES[kind])
        return self._guarded(value, _copy_of_other)

    def is_sensitive(self, key: object) -> bool:
        """Tell whether what stands under this key is a secret."""
        return is_sensitive(key, self._names)

    def hidden(self, value: object) -> object:
        """Return what is shown for a value under a sensitive key."""
        kind = type(value)
        if kind in _ALWAYS_SHOWN or (kind in _SHOWN_WHEN_FALSE and not value):
            return value
        # Not isinstance: it asks the value, which may raise.
        if issubclass(kind, (list, tuple, set, frozenset)):
            return self._guarded(value, _hidden_elements)
        return self._censored

    def hashable_copy(self, value: object) -> object:
        """Return the censored copy of a key or of an element of a set."""
        copy = self.copy(value)
        try:
            hash(copy)
        except TypeError:
            return _Text(repr(copy))
        return copy

    def entries(self, entries: Iterable[tuple[object, object]]) -> dict[object, object]:
        """Return the censored copy of the entries of a mapping."""
        return {
            self.hashable_copy(key): self.hidden(value) if self.is_sensitive(key) else self.copy(value)
            for key, value in entries
        }

    def _guarded(self, value: object, copy: Callable[[Redactor, Any], object]) -> object:
        identity = id(value)
        if identity in self._open_containers or len(self._open_containers) >= _MAXIMUM_DEPTH:
            return _Text("...")
        self._open_containers.add(identity)
        try:
            return copy(self, value)
        except Exception:  # Only a class with a broken method of its own gets here.
            return _Text(f"<{type(value).__name__} that cannot be shown>")
        finally:
            self._open_containers.discard(identity)


class ConnectionRedactor(Redactor):
    def is_sensitive(self, key: object) -> bool:
        return super().is_sensitive(key) or (
            isinstance(key, str) and _CONNECTION_SECRETS.search(key) is not None
        )


def _copy_of_dict(redactor: Redactor, value: dict[object, object]) -> object:
    return redactor.entries(list(value.items()))  # A list, because another thread may change the dictionary.


def _copy_of_list(redactor: Redactor, value: Iterable[object]) -> object:
    return [redactor.copy(element) for element in list(value)]


def _copy_of_tuple(redactor: Redactor, value: Iterable[object]) -> object:
    return tuple([redactor.copy(element) for element in value])


def _copy_of_set(redactor: Redactor, value: Iterable[object]) -> object:
    return {redactor.hashable_copy(element) for element in list(value)}


def _copy_of_frozenset(redactor: Redactor, value: Iterable[object]) -> object:
    return frozenset([redactor.hashable_copy(element) for element in value])


def _hidden_elements(redactor: Redactor, value: Iterable[object]) -> object:
    elements = [redactor.hidden(element) for element in list(value)]
    if isinstance(value, tuple):
        return tuple(elements)
    if isinstance(value, frozenset):
        return frozenset(elements)
    return set(elements) if isinstance(value, set) else elements


def _copy_of_other(redactor: Redactor, value: object) -> object:
    """Copy what is none of the usual types itself: subclasses of them, other containers, any object."""
    if isinstance(value, str):
        return redact_url(str.__str__(value))
    if isinstance(value, Mapping):
        return redactor.entries(list(cast("Mapping[object, object]", value).items()))
    if isinstance(value, ItemsView):
        return list(redactor.entries(list(cast("ItemsView[object, object]", value))).items())
    if isinstance(value, (set, frozenset)):
        return _COPIES[frozenset if isinstance(value, frozenset) else set](redactor, value)
    if isinstance(value, tuple):
        return _copy_of_tuple(redactor, cast("tuple[object, ...]", value))
    if isinstance(value, _OTHER_CONTAINERS) and not isinstance(value, _NO_CONTAINERS):
        return _copy_of_list(redactor, cast("Iterable[object]", value))
    return _Text(_text_of_object(redactor, value))


def _readable_int(value: int) -> object:
    bits = value.bit_length()  # Python refuses to write more than 4,300 decimal digits.
    return value if bits < 14_000 else _Text(f"<int of {bits} bits>")


def _redact_url_bytes(value: bytes) -> bytes:
    return redact_url(value.decode("latin-1")).encode("latin-1") if b"://" in value else value


def _text_of_object(redactor: Redactor, value: object) -> str:
    kind = type(value)
    if isinstance(value, BaseException):
        return f"{kind.__name__}({', '.join(repr(redactor.copy(argument)) for argument in value.args)})"
    if isinstance(value, SimpleNamespace):
        names = list(vars(value))
    elif attrs.has(kind):
        names = [field.name for field in attrs.fields(kind) if field.repr]
    elif dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value) if field.repr]
    else:
        return redact_url(repr(value))
    fields = redactor.entries([(name, getattr(value, name)) for name in names if hasattr(value, name)])
    return f"{kind.__name__}({', '.join(f'{name}={field!r}' for name, field in fields.items())})"


_COPIES: dict[type, Callable[[Redactor, Any], object]] = {
    dict: _copy_of_dict,
    list: _copy_of_list,
    tuple: _copy_of_tuple,
    set: _copy_of_set,
    frozenset: _copy_of_frozenset,
}
_ALWAYS_SHOWN: frozenset[type] = frozenset({NoneType, bool})
_SHOWN_WHEN_FALSE: frozenset[type] = frozenset(
    {str, bytes, bytearray, int, float, complex, decimal.Decimal, *_COPIES}
)
