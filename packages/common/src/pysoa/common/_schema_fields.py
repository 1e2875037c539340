"""What can be known about the fields of a schema without asking them about a value."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping
from types import FunctionType, NoneType
from typing import Any, cast

from pysoa.common._schema_conditions import Condition, Constants, leaf_condition

__all__ = (
    "SchemaFields",
    "collection_types",
    "known_class",
)

_KNOWN_CLASSES = {
    "conformity.fields.basic": ("Anything", "Boolean", "Constant", "Hashable", "Integer", "UnicodeString"),
    "conformity.fields.country": ("CountryCodeField",),
    "conformity.fields.currency": ("Amount", "CurrencyCodeField"),
    "conformity.fields.email": ("EmailAddress",),
    "conformity.fields.meta": ("All", "Any", "Null", "Nullable", "ObjectInstance", "Polymorph"),
    "conformity.fields.net": ("IPv4Address",),
    "conformity.fields.structures": ("Dictionary", "SchemalessDictionary", "Tuple", "_BaseSequenceOrSet"),
    "conformity.fields.temporal": ("TemporalBase",),
}
# What has no part in validation, so that a subclass may have its own.
_UNRELATED_NAMES = frozenset(
    {
        "__init__", "__new__", "__attrs_post_init__", "__init_subclass__", "__class_getitem__", "__repr__",
        "__str__", "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__", "__setattr__",
        "__getstate__", "__setstate__", "__replace__", "__annotate__", "__annotate_func__", "__dict__",
        "__weakref__", "LazyPointer", "extend", "instantiate_from", "introspect", "validate", "warnings",
    }
)  # fmt: skip
_PLAIN_DATA = frozenset({NoneType, bool, int, str, tuple, frozenset, dict})
_PLAIN_MAPPINGS = ("dict", "OrderedDict")
_NOT_YET_KNOWN = object()


def known_class(field: Any) -> str | None:
    """Return the name of the Conformity class that alone decides what this field accepts.

    Args:
        field: An object of such a class, or of a subclass that changes nothing but data, as the class
            attributes ``contents`` and ``valid_type`` are.

    Returns:
        The name without its module; ``None`` for fields of other classes, and where methods are overridden.
    """
    classes = type(field).__mro__
    for index, cls in enumerate(classes):
        if cls.__qualname__ in _KNOWN_CLASSES.get(cls.__module__, ()):
            attributes: list[Mapping[str, object]] = [vars(field), *map(vars, classes[:index])]
            is_changed = any(_has_other_methods(mapping, cls) for mapping in attributes)
            return None if is_changed else cls.__qualname__
    return None


def _has_other_methods(attributes: Mapping[str, object], cls: type) -> bool:
    for name, value in attributes.items():
        if name in _UNRELATED_NAMES or (type(value) in _PLAIN_DATA and not hasattr(cls, name)):
            continue
        if name in ("__getattr__", "__getattribute__"):
            return True
        is_simple_method = isinstance(value, (FunctionType, classmethod, staticmethod))
        if _is_descriptor(value) and not is_simple_method:
            return True  # A property may say something else each time.
        overridden = inspect.getattr_static(cls, name, None)
        if _is_descriptor(overridden) or (is_simple_method and hasattr(cls, name)):
            return True
    return False


def _is_descriptor(value: object) -> bool:
    return hasattr(type(value), "__get__")


def collection_types(field: Any) -> list[type]:
    """Return which of the built-in types of collections a sequence or set field accepts."""
    samples: tuple[object, ...] = ([], (), set[object](), frozenset[object]())
    return [type(sample) for sample in samples if isinstance(sample, field.valid_types)]


class SchemaFields:
    """The fields that a schema is made of. They must not change while this is in use."""

    def __init__(self, root: Any, constants: Constants) -> None:
        self._root = root
        self._constants = constants
        self._known: dict[int, str | None] = {}
        self._leaf_conditions: dict[int, Condition | None] = {}
        self._is_harmless: dict[int, bool] = {}
        self._uses = Counter(id(child) for field in self._walk() for child in self.children(field))

    def known_class(self, field: Any) -> str | None:
        """Return what :func:`known_class` does, which is found out once."""
        known = self._known.get(id(field), _NOT_YET_KNOWN)
        if known is _NOT_YET_KNOWN:
            known = self._known[id(field)] = known_class(field)
        return cast("str | None", known)

    def is_composite(self, field: Any) -> bool:
        """Tell whether this is a field with a structure that can be looked into."""
        known = self.known_class(field)
        if known == "Dictionary":
            return type(field.contents).__name__ in _PLAIN_MAPPINGS
        if known == "Polymorph":
            return type(field.contents_map).__name__ in _PLAIN_MAPPINGS and type(field.switch_field) is str
        if known == "_BaseSequenceOrSet":
            return _has_plain_lengths(field) and bool(collection_types(field))
        if known == "SchemalessDictionary":
            return _has_plain_lengths(field)
        return known in ("All", "Tuple")

    def is_strict_dictionary(self, field: Any) -> bool:
        """Tell whether this field refuses superfluous keys."""
        return (
            self.known_class(field) == "Dictionary"
            and self.is_composite(field)
            and not field.allow_extra_keys
        )

    def is_used_repeatedly(self, field: Any) -> bool:
        """Tell whether this field is at several places of the schema, or inside of itself."""
        return self._uses[id(field)] > 1

    def children(self, field: Any) -> list[Any]:
        """Return the fields directly inside of this one."""
        known = self.known_class(field)
        if known == "Nullable":
            return [field.field]
        if known == "Any":
            return list(field.options)
        if not self.is_composite(field):
            return []
        if known == "All":
            return list(field.requirements)
        if known == "Dictionary":
            return list(field.contents.values())
        if known == "Polymorph":
            return list(field.contents_map.values())
        if known == "SchemalessDictionary":
            return [field.key_type, field.value_type]
        return list(field.contents) if known == "Tuple" else [field.contents]

    def leaf_condition(self, field: Any) -> Condition | None:
        """Return when a field without fields in it accepts a value; ``None`` if only the field can tell."""
        identity = id(field)
        if identity not in self._leaf_conditions:
            known = self.known_class(field)
            self._leaf_conditions[identity] = (
                known and leaf_condition(field, known, self._constants)
            ) or None
        return self._leaf_conditions[identity]

    def never_raises(self, field: Any) -> bool:
        """Tell whether Conformity returns for every value; then it does not matter what it looks at first."""
        identity = id(field)
        if identity not in self._is_harmless:
            self._is_harmless[identity] = False  # While inside of it: for a field that contains itself.
            self._is_harmless[identity] = self._never_raises_itself(field) and all(
                map(self.never_raises, self.children(field))
            )
        return self._is_harmless[identity]

    def raises_only_for_odd_keys(self, field: Any) -> bool:
        """Tell whether only the sorting of superfluous keys, to name them, may raise in this field."""
        return (
            self.is_strict_dictionary(field)
            and field.additional_validator is None
            and all(map(self.never_raises, self.children(field)))
        )

    def _never_raises_itself(self, field: Any) -> bool:
        known = self.known_class(field)
        if known in ("Any", "Nullable"):
            return True
        if self.is_composite(field):
            is_sure = known != "Polymorph" and not self.is_strict_dictionary(field)
            return is_sure and getattr(field, "additional_validator", None) is None
        condition = self.leaf_condition(field)
        return condition is not None and condition.never_raises

    def _walk(self) -> Iterator[Any]:
        seen: set[int] = set()
        waiting = [self._root]
        while waiting:
            field = waiting.pop()
            if id(field) not in seen:
                seen.add(id(field))
                yield field
                waiting += self.children(field)


def _has_plain_lengths(field: Any) -> bool:
    return {type(field.min_length), type(field.max_length)} <= {int, NoneType}
