"""Schemas compiled once into functions that say yes or no; on a no, Conformity is asked for the errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformity.fields import Base

from pysoa.common._schema_code import generate_check
from pysoa.common.interfaces import Schema

__all__ = (
    "CompiledSchema",
    "compile_schema",
)


class CompiledSchema:
    """A schema that is quick for valid values and says the same as the schema it was made from.

    Safe for any number of threads. Made by :func:`compile_schema`; without ``is_certainly_valid`` it is for a
    schema that is not worth compiling.
    """

    __slots__ = ("is_certainly_valid", "schema")

    def __init__(self, schema: Schema, is_certainly_valid: Callable[[object], bool] | None = None) -> None:
        self.schema: Schema = schema
        """The schema that this one was made from."""
        self.is_certainly_valid: Callable[[object], bool] = is_certainly_valid or _is_never_certain
        """Returns true only for values without errors, quickly; raises no ``Exception``."""

    def errors(self, value: Any) -> list[Any]:
        """Return all errors that the schema finds in the value; raise what the schema raises.

        Args:
            value: What to validate. If it is not certainly valid, validators in the schema that are functions
                have been called for it once and are now called again.
        """
        found = self.schema.errors(value)
        return list(found) if found else []  # Fields of users also return None.

    def warnings(self, value: Any) -> list[Any]:
        """Return the warnings of a Conformity schema, as for the use of deprecated fields; else none.

        Args:
            value: A value, valid or not.
        """
        return list(self.schema.warnings(value)) if isinstance(self.schema, Base) else []

    def introspect(self) -> dict[str, Any]:
        """Return what the schema's own ``introspect`` returns."""
        return self.schema.introspect()


def compile_schema(schema: Schema) -> CompiledSchema:
    """Compile a schema; takes up to some milliseconds, so do it once and keep the result.

    Args:
        schema: A Conformity field, or any other object with ``errors`` and ``introspect``, which is used as
            it is. Later changes of the schema may go unnoticed.
    """
    return CompiledSchema(schema, _generate_check_if_possible(schema))


def _generate_check_if_possible(schema: object) -> Callable[[object], bool] | None:
    if not isinstance(schema, Base):
        return None
    try:
        return generate_check(schema)
    except Exception:
        return None  # A field that lacks its own attributes. Conformity says so when it is used.


def _is_never_certain(_value: object) -> bool:
    return False
