"""The schema of the ``logging`` setting: everything that :func:`logging.config.dictConfig` documents."""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Any, Final

from conformity.constants import ERROR_CODE_MISSING
from conformity.fields import Dictionary
from conformity.fields.logging import PYTHON_LOGGING_CONFIG_SCHEMA, PythonLogLevel
from conformity.types import Error

from pysoa.common._plain import is_dict
from pysoa.server._fields import fields

__all__ = ("LOGGING_SCHEMA", "LogLevel")


class LogLevel(PythonLogLevel):
    """A level as :mod:`logging` takes it: a number, or any name that is registered there."""

    def errors(self, value: Any) -> list[Error]:
        """Return what is wrong with the level."""
        if isinstance(value, int) and not isinstance(value, bool):
            return []
        if isinstance(value, str) and value in logging.getLevelNamesMapping():
            return []
        return list(super().errors(value))


class _MadeByFactoryOrClass(Dictionary):
    """A configuration that may name under ``()`` what makes the object; other keys are then its arguments."""

    def errors(self, value: Any) -> list[Error]:
        """Return what is wrong with the configuration."""
        if is_dict(value) and "()" in value:
            return []  # the keys are the factory's own; only calling it can tell whether they fit
        return list(super().errors(value))


class _Formatter(_MadeByFactoryOrClass):
    """The configuration of a formatter, which needs no format if its class knows one."""

    def errors(self, value: Any) -> list[Error]:
        """Return what is wrong with the configuration."""
        errors = super().errors(value)
        if is_dict(value) and "class" in value:
            return [error for error in errors if error.code != ERROR_CODE_MISSING]
        return errors


# Conformity's own schema, of which only the parts that are too narrow are replaced.
_parts: Final[dict[Any, Any]] = dict(PYTHON_LOGGING_CONFIG_SCHEMA.contents)


def _extended(field: Any, cls: Any, contents: dict[str, Any], optional_keys: set[str]) -> Any:
    return cls(
        {**field.contents, **contents},
        optional_keys=frozenset(field.optional_keys) | optional_keys,
        allow_extra_keys=field.allow_extra_keys,
        description=field.description,
    )


def _with_any_level(field: Any, cls: Any, optional_keys: set[str], **contents: Any) -> Any:
    level = LogLevel(description=field.contents["level"].description)
    return _extended(field, cls, {**contents, "level": level}, optional_keys)


def _map_of(name: str, value_type: Any) -> Any:
    return fields.SchemalessDictionary(
        key_type=fields.UnicodeString(), value_type=value_type, description=_parts[name].description
    )


_factory = fields.Anything(
    description="A callable, or its importable path, that makes the object; all other keys are its arguments."
)
_formatter = _extended(
    _parts["formatters"].value_type,
    _Formatter,
    {
        "style": fields.Constant("%", "{", "$", description="How the format string marks its fields."),
        "validate": fields.Boolean(
            description="Whether a format string that does not fit the style is an error."
        ),
        "defaults": fields.SchemalessDictionary(
            key_type=fields.UnicodeString(),
            description="Values for fields that a log record may lack (Python 3.12).",
        ),
        "class": fields.UnicodeString(
            description="The importable path of the formatter class, if it is another than "
            "`logging.Formatter`; `format` is then optional."
        ),
        "()": _factory,
    },
    {"style", "validate", "defaults", "class", "()"},
)
_handler = _with_any_level(_parts["handlers"].value_type, _MadeByFactoryOrClass, {"()"}, **{"()": _factory})

LOGGING_SCHEMA: Dictionary = fields.Dictionary(
    # The class makes introspection tell the order.
    OrderedDict(
        _parts,
        formatters=_map_of("formatters", _formatter),
        handlers=_map_of("handlers", _handler),
        loggers=_map_of("loggers", _with_any_level(_parts["loggers"].value_type, Dictionary, set())),
        root=_with_any_level(_parts["root"], Dictionary, set()),
    ),
    optional_keys=PYTHON_LOGGING_CONFIG_SCHEMA.optional_keys,
    description=PYTHON_LOGGING_CONFIG_SCHEMA.description,
    additional_validator=PYTHON_LOGGING_CONFIG_SCHEMA.additional_validator,
)
