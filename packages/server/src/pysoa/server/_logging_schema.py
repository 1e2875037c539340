"""The schema of the ``logging`` setting: everything that :func:`logging.config.dictConfig` documents."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping
from typing import Any, cast

from conformity import fields
from conformity.constants import ERROR_CODE_MISSING
from conformity.fields.logging import PYTHON_LOGGING_CONFIG_SCHEMA, PythonLogLevel
from conformity.types import Error

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


class _MadeByFactoryOrClass(fields.Dictionary):
    """A configuration that may name under ``()`` what makes the object; other keys are then its arguments."""

    def errors(self, value: Any) -> list[Error]:
        """Return what is wrong with the configuration."""
        if isinstance(value, dict) and "()" in value:
            return []  # the keys are the factory's own; only calling it can tell whether they fit
        return list(super().errors(value))


class _Formatter(_MadeByFactoryOrClass):
    def errors(self, value: Any) -> list[Error]:
        """Return what is wrong with the configuration of a formatter."""
        errors = super().errors(value)
        if isinstance(value, dict) and "class" in value:
            return [error for error in errors if error.code != ERROR_CODE_MISSING]
        return errors


def _with_contents(
    field: fields.Dictionary, contents: Mapping[Hashable, fields.Base]
) -> Mapping[Hashable, fields.Base]:
    """Return the contents of the field with these replaced or added, in the order of the field."""
    return {**field.contents, **contents}


def _part(name: str) -> fields.SchemalessDictionary:
    return cast("fields.SchemalessDictionary", PYTHON_LOGGING_CONFIG_SCHEMA.contents[name])


def _map_of(name: str, value_type: fields.Dictionary) -> fields.SchemalessDictionary:
    return fields.SchemalessDictionary(
        key_type=fields.UnicodeString(), value_type=value_type, description=_part(name).description
    )


def _logger(field: fields.Dictionary) -> fields.Dictionary:
    level = LogLevel(description=cast("PythonLogLevel", field.contents["level"]).description)
    return fields.Dictionary(dict(_with_contents(field, {"level": level})), optional_keys=field.optional_keys)


_formatter = cast("fields.Dictionary", _part("formatters").value_type)
_handler = cast("fields.Dictionary", _part("handlers").value_type)

LOGGING_SCHEMA = fields.Dictionary(
    dict(
        _with_contents(
            PYTHON_LOGGING_CONFIG_SCHEMA,
            {
                "formatters": _map_of(
                    "formatters",
                    _Formatter(
                        dict(
                            _with_contents(
                                _formatter,
                                {
                                    "style": fields.Constant(
                                        "%", "{", "$", description="How the format string marks its fields."
                                    ),
                                    "validate": fields.Boolean(
                                        description="Whether a format string that does not fit the style is "
                                        "an error."
                                    ),
                                    "defaults": fields.SchemalessDictionary(
                                        key_type=fields.UnicodeString(),
                                        description="Values for fields that a log record may lack (Python "
                                        "3.12).",
                                    ),
                                    "class": fields.UnicodeString(
                                        description="The importable path of the formatter class, if it is "
                                        "another "
                                        "than `logging.Formatter`; `format` is then optional."
                                    ),
                                    "()": fields.Anything(
                                        description="A callable, or its importable path, that makes the "
                                        "formatter; "
                                        "all other keys are its arguments."
                                    ),
                                },
                            )
                        ),
                        optional_keys=_formatter.optional_keys
                        | {"style", "validate", "defaults", "class", "()"},
                    ),
                ),
                "handlers": _map_of(
                    "handlers",
                    _MadeByFactoryOrClass(
                        dict(
                            _with_contents(
                                _handler,
                                {
                                    "level": LogLevel(
                                        description=cast(
                                            "PythonLogLevel", _handler.contents["level"]
                                        ).description
                                    ),
                                    "()": fields.Anything(
                                        description="A callable, or its importable path, that makes the "
                                        "handler; all "
                                        "other keys are its arguments."
                                    ),
                                },
                            )
                        ),
                        optional_keys=_handler.optional_keys | {"()"},
                        allow_extra_keys=True,
                    ),
                ),
                "loggers": _map_of(
                    "loggers", _logger(cast("fields.Dictionary", _part("loggers").value_type))
                ),
                "root": _logger(cast("fields.Dictionary", PYTHON_LOGGING_CONFIG_SCHEMA.contents["root"])),
            },
        )
    ),
    optional_keys=PYTHON_LOGGING_CONFIG_SCHEMA.optional_keys,
    description=PYTHON_LOGGING_CONFIG_SCHEMA.description,
    additional_validator=PYTHON_LOGGING_CONFIG_SCHEMA.additional_validator,
)
