"""Reads settings schemas: what the tables of the documentation show of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

from conformity import fields
from conformity.fields.logging import PythonLogLevel
from conformity.settings import Settings

__all__ = ["Row", "rows_of"]

# Conformity has no types that checkers can see, and its fields keep what they were made of in attributes.
_Field = Any
_NO_DEFAULT = object()


class Row(NamedTuple):
    """One key of a schema."""

    key: str
    """The key, with those that it lies below: ``harakiri.timeout``."""
    type: str
    default: str
    """The default value in Python; else whether the key must be there."""
    description: str


def rows_of(
    target: object, *, defaults: Mapping[str, Any] | None = None, closed: frozenset[str] = frozenset()
) -> list[Row]:
    """Return the rows of a table.

    Args:
        target: A settings class, a class with a registered schema for its arguments, or a dictionary field.
        defaults: The default values, if the target does not know them.
        closed: Keys, as in :attr:`Row.key`, whose own keys are left out.
    """
    if isinstance(target, type) and issubclass(target, Settings):
        known: Mapping[str, Any] = _merged(target, "defaults") if defaults is None else defaults
        schema = _merged(target, "schema")
        keys = {key: (field, key not in known) for key, field in schema.items()}
        return list(_rows("", keys, known, closed))
    field = _dictionary(target)
    return list(_rows("", _keys_of(field), defaults or {}, closed))


def _merged(settings: type[Settings], attribute: str) -> dict[str, Any]:
    """Return what a settings class inherits and adds, as Conformity's metaclass has merged it."""
    return dict(cast("Mapping[str, Any]", getattr(settings, attribute)))


def _dictionary(target: object) -> _Field:
    if isinstance(target, fields.Dictionary):
        return target
    if isinstance(target, type) and issubclass(target, fields.Dictionary):
        return target()
    registered = getattr(target, "_conformity_initialization_schema", None)
    if isinstance(registered, fields.Dictionary):
        return registered
    raise TypeError(f"{target!r} is neither a settings class nor a schema with keys")


def _keys_of(field: _Field) -> dict[str, tuple[_Field, bool]]:
    return {str(key): (value, key not in field.optional_keys) for key, value in field.contents.items()}


def _rows(
    prefix: str,
    keys: Mapping[str, tuple[_Field, bool]],
    defaults: Mapping[str, Any],
    closed: frozenset[str],
) -> Iterator[Row]:
    for name, (field, is_required) in keys.items():
        key = prefix + name
        default = defaults.get(name, _NO_DEFAULT)
        inner = None if key in closed else _inner_keys(field)
        shown = _NO_DEFAULT if inner and isinstance(default, Mapping) else default
        if shown is not _NO_DEFAULT:
            text = _python(shown)
        elif default is not _NO_DEFAULT:
            text = ""
        else:
            text = "required" if is_required else ""
        yield Row(key, _type(field), text, _description(field))
        if inner:
            step, inner_keys = inner
            inner_defaults = cast("Mapping[str, Any]", default) if isinstance(default, Mapping) else {}
            yield from _rows(key + step, inner_keys, inner_defaults, closed)


def _inner_keys(field: _Field) -> tuple[str, dict[str, tuple[_Field, bool]]] | None:
    """Return the keys that lie below a field, and what stands between: ``.`` or ``.<name>.``."""
    if isinstance(field, fields.Dictionary):
        return ".", _keys_of(field)
    if isinstance(field, fields.SchemalessDictionary) and field.value_type is not None:
        inner = _inner_keys(field.value_type)
        return inner and (f".<name>{inner[0]}", inner[1])
    return None


def _python(value: object) -> str:
    if isinstance(value, Mapping) and set(cast("Mapping[str, Any]", value)) == {"path"}:
        return str(cast("Mapping[str, Any]", value)["path"])
    if isinstance(value, Mapping) and value:
        return "{…}"
    if isinstance(value, bool) or not isinstance(value, int):
        return repr(value)
    return str(int(value))  # members of IntEnum as the numbers that settings hold


def _description(field: _Field) -> str:
    text: str | None = getattr(field, "description", None)
    if text:
        return text
    inner = [getattr(field, "field", None), *(getattr(field, "options", None) or ())]
    found = [str(part.description) for part in inner if getattr(part, "description", None)]
    if not found and isinstance(field, fields.ClassConfigurationSchema):
        return "The `path` of the class, and the `kwargs` that it is made with"
    return found[0] if found else ""


def _type(field: _Field) -> str:
    for cls, describe in _TYPES.items():
        if isinstance(field, cls):
            return str(describe(field))
    return str(field.introspect()["type"])


def _number(field: _Field) -> str:
    limits = [
        f"{sign} {limit}"
        for sign, limit in ((">", field.gt), ("≥", field.gte), ("<", field.lt), ("≤", field.lte))
        if limit is not None
    ]
    kind = "float" if isinstance(field, fields.Float) else "int"
    return " ".join([kind, ", ".join(limits)]).strip()


def _any(field: _Field) -> str:
    return " or ".join(dict.fromkeys(_type(option) for option in field.options))


def _class_configuration(field: _Field) -> str:
    base = getattr(field, "base_class", object)
    return "class" if base is object else f"class: {base.__name__}"


def _class_named(field: _Field) -> str:
    bases = field.base_classes
    names = bases if isinstance(bases, tuple) else (bases,)
    return f"class: {', '.join(base.__name__ for base in names)}"


def _instance(field: _Field) -> str:
    types = field.valid_type
    return " or ".join(cls.__name__ for cls in (types if isinstance(types, tuple) else (types,)))


# The first class that fits counts, so subclasses come before their bases.
_TYPES: Mapping[Any, Any] = {
    fields.ClassConfigurationSchema: _class_configuration,
    fields.Nullable: lambda field: f"{_type(field.field)} or None",
    fields.Any: _any,
    PythonLogLevel: lambda _: "name of a log level",
    fields.Constant: lambda field: " or ".join(sorted(map(repr, field.values))),
    fields.Boolean: lambda _: "bool",
    fields.Integer: _number,
    fields.Float: _number,
    fields.TypeReference: _class_named,
    fields.TypePath: lambda _: "path of one",
    fields.PythonPath: lambda _: "path of one",
    fields.Dictionary: lambda _: "dict",
    fields.SchemalessDictionary: lambda _: "dict",
    fields.Tuple: lambda field: f"({', '.join(map(_type, field.contents))})",
    fields.Set: lambda field: f"names ({_type(field.contents)})",
    fields.List: lambda field: f"list of {_type(field.contents)}",
    fields.ObjectInstance: _instance,
    fields.UnicodeString: lambda _: "str",
    fields.Hashable: lambda _: "any key",
    fields.Anything: lambda _: "anything",
}
