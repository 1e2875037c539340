"""The schemas of an action class, compiled once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from pysoa.common._schemas import compile_schema

__all__ = ("ActionSchemas", "schemas_of")


_type_of: Any = type  # what it returns takes attributes, as any class does


class _Validator(Protocol):
    def errors(self, value: Any) -> Sequence[Any]: ...


class ActionSchemas(NamedTuple):
    """What checks the bodies of an action, and the schemas that it was made from."""

    request_schema: Any
    response_schema: Any
    request: _Validator | None
    response: _Validator | None


def schemas_of(action: Any) -> ActionSchemas:
    """Return what checks the bodies of this action.

    The schemas of an action class are compiled when they are first needed, and again when the class gets
    others. A schema that an object has for itself is used as it is, since it may be another one each time. An
    attribute that holds nothing true stands for no schema.
    """
    request_schema: Any = action.request_schema
    response_schema: Any = action.response_schema
    cls = _type_of(action)
    schemas: ActionSchemas | None = cls.__dict__.get("_schemas")
    if (
        schemas is not None
        and schemas.request_schema is request_schema
        and schemas.response_schema is response_schema
    ):
        return schemas
    if cls.request_schema is not request_schema or cls.response_schema is not response_schema:
        return ActionSchemas(request_schema, response_schema, request_schema or None, response_schema or None)
    schemas = ActionSchemas(
        request_schema,
        response_schema,
        compile_schema(request_schema) if request_schema else None,
        compile_schema(response_schema) if response_schema else None,
    )
    cls._schemas = schemas
    return schemas
