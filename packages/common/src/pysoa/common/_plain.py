"""Turning bodies into what serializers know: dictionaries, lists and scalars.

PySOA 1.4.9 passed every message through ``attr.asdict``. So attrs instances in a body travel as dictionaries
of their fields, and tuples, sets and frozensets as lists, at any depth; the keys of dictionaries stay as they
are.
"""

from __future__ import annotations

import datetime
import decimal
from typing import Any, Final, TypeAlias, TypeGuard

__all__ = (
    "Array",
    "attrs_fields",
    "copy_plain",
    "is_array",
    "is_dict",
    "is_list",
    "is_set",
    "to_plain",
)
_type_of: Final[Any] = type
_SCALARS: Final[frozenset[Any]] = frozenset(
    {str, int, float, bool, type(None), bytes, datetime.datetime, datetime.date, decimal.Decimal}
)
Array: TypeAlias = list[Any] | tuple[Any, ...] | set[Any] | frozenset[Any]
"""What travels as a list."""


def to_plain(value: Any) -> Any:
    """Return the value with attrs instances as dictionaries, and tuples and sets as lists, at any depth.

    Whatever needs no change is not copied: the result shares it with the value, and is the value itself if it
    is plain already. Subclasses of ``dict`` and ``list`` count as plain.
    """
    if is_dict(value):
        return _plain_dict(value)
    if is_list(value):
        return _plain_list(value)
    fields = attrs_fields(value)
    if fields is not None:
        return {key: to_plain(item) for key, item in fields.items()}
    if is_array(value):
        return [to_plain(item) for item in value]
    return value


def copy_plain(value: Any) -> Any:
    """Do what :func:`to_plain` does, and share no dictionary and no list with the value."""
    kind = _type_of(value)
    # Most of what is in a body is of these types, and most bodies go no deeper.
    if kind is dict:
        return {
            key: item if type(item) in _SCALARS else copy_plain(item)  # pyright: ignore[reportUnknownArgumentType]
            for key, item in value.items()
        }
    if kind is list:
        return [item if type(item) in _SCALARS else copy_plain(item) for item in value]
    if kind in _SCALARS:
        return value
    fields = attrs_fields(value)
    if fields is not None:
        return {key: copy_plain(item) for key, item in fields.items()}
    if is_dict(value):
        return {key: copy_plain(item) for key, item in value.items()}
    if is_array(value):
        return [copy_plain(item) for item in value]
    return value


def attrs_fields(value: object) -> dict[str, Any] | None:
    """Return the fields of an instance of an attrs class, by name; ``None`` for anything else."""
    attributes = getattr(type(value), "__attrs_attrs__", None)
    if attributes is None:
        return None
    return {attribute.name: getattr(value, attribute.name) for attribute in attributes}


def is_dict(value: object) -> TypeGuard[dict[Any, Any]]:
    """Tell whether a value is a dictionary, in a way from which type checkers learn what it holds."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Tell whether a value is a list."""
    return isinstance(value, list)


def is_set(value: object) -> TypeGuard[set[Any] | frozenset[Any]]:
    """Tell whether a value is a set or a frozenset."""
    return isinstance(value, (set, frozenset))


def is_array(value: object) -> TypeGuard[Array]:
    """Tell whether a value is something that travels as a list."""
    return isinstance(value, (list, tuple, set, frozenset))


def _plain_dict(value: dict[Any, Any]) -> dict[Any, Any]:
    changed: dict[Any, Any] | None = None
    for key, item in value.items():
        if type(item) in _SCALARS:
            continue
        plain = to_plain(item)
        if plain is not item:
            if changed is None:
                changed = dict(value)
            changed[key] = plain
    return value if changed is None else changed


def _plain_list(value: list[Any]) -> list[Any]:
    changed: list[Any] | None = None
    for index, item in enumerate(value):
        if type(item) in _SCALARS:
            continue
        plain = to_plain(item)
        if plain is not item:
            if changed is None:
                changed = list(value)
            changed[index] = plain
    return value if changed is None else changed
