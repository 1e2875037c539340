"""The schemas of an action class, compiled once."""

from __future__ import annotations

from typing import Any, Final

import attrs

from pysoa.common._schemas import CompiledSchema, compile_schema

__all__ = ("NO_SCHEMAS", "ActionSchemas", "compile_schemas")


@attrs.frozen
class ActionSchemas:
    """The schemas of an action, and what checks its bodies by them."""

    request_schema: Any
    response_schema: Any
    request: CompiledSchema | None
    response: CompiledSchema | None


NO_SCHEMAS: Final = ActionSchemas(None, None, None, None)


def compile_schemas(action_class: Any, request_schema: Any, response_schema: Any) -> ActionSchemas:
    """Return what checks the bodies of an action by its schemas, and keep it with its class.

    A schema that an object has for itself is neither kept nor compiled, since it may be another one each
    time. An attribute that holds nothing true stands for no schema.
    """
    are_of_class = (
        action_class.request_schema is request_schema and action_class.response_schema is response_schema
    )
    make = compile_schema if are_of_class else CompiledSchema
    schemas = ActionSchemas(
        request_schema,
        response_schema,
        make(request_schema) if request_schema else None,
        make(response_schema) if response_schema else None,
    )
    if are_of_class:
        action_class._compiled_schemas = schemas
    return schemas
