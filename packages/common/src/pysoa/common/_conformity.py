"""The few places where our code builds Conformity objects, whose types the checkers cannot see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

from conformity import fields

__all__ = (
    "accepts_kwargs",
    "class_configuration",
    "dictionary",
    "list_of",
)

_Class = TypeVar("_Class", bound=type)

_Dictionary: Any = fields.Dictionary
_List: Any = fields.List
_ClassConfiguration: Any = fields.ClassConfigurationSchema
_provider: Any = cast("Any", fields.ClassConfigurationSchema).provider


def accepts_kwargs(schema: fields.Dictionary | fields.SchemalessDictionary) -> Callable[[_Class], _Class]:
    """Decorate a class that settings may name by its path, with the schema of the ``kwargs`` beside it."""
    decorator: Callable[[_Class], _Class] = _provider(schema)
    return decorator


def dictionary(
    contents: Mapping[str, fields.Base],
    *,
    optional_keys: Iterable[str] = (),
    description: str | None = None,
) -> fields.Dictionary:
    """Return the schema of a dictionary with these keys and no others."""
    schema: fields.Dictionary = _Dictionary(
        dict(contents), optional_keys=frozenset(optional_keys), description=description
    )
    return schema


def list_of(contents: fields.Base, *, description: str | None = None) -> fields.List:
    """Return the schema of a list whose elements all have the given schema."""
    schema: fields.List = _List(contents, description=description)
    return schema


def class_configuration(
    base_class: type | None = None, *, description: str | None = None
) -> fields.ClassConfigurationSchema:
    """Return the schema of ``{"path": ..., "kwargs": {...}}``; the path names a subclass."""
    schema: fields.ClassConfigurationSchema = _ClassConfiguration(
        base_class=base_class, description=description
    )
    return schema
