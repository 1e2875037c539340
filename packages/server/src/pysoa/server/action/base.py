"""The base class of most actions."""

from __future__ import annotations

import abc
from typing import Any, ClassVar, Generic

from pysoa.common._envelope import successful_action_response
from pysoa.common._schemas import CompiledSchema
from pysoa.common.errors import Error
from pysoa.common.interfaces import Schema
from pysoa.common.types import ActionResponse
from pysoa.server._action_schemas import NO_SCHEMAS, ActionSchemas, compile_schemas
from pysoa.server.errors import ActionError, ResponseValidationError
from pysoa.server.settings import ServerSettings
from pysoa.server.types import ActionInterface, EnrichedActionRequest, RequestBody, ResponseBody

__all__ = ("Action",)


class Action(ActionInterface, Generic[RequestBody, ResponseBody]):
    """Base class from which most actions should inherit: override :meth:`run`.

    Request and response bodies are checked against :attr:`request_schema` and :attr:`response_schema`, if
    given. A new object is made for every execution, so that attributes of ``self`` belong to one request.

    A service author who wants :meth:`run` checked by a type checker names the types of both bodies::

        class Greet(Action[GreetRequest, GreetResponse]): ...
    """

    description: ClassVar[str | None] = None
    """What the action does, for introspection; the class docstring is used if this is empty."""
    request_schema: ClassVar[Schema | None] = None
    """What the request body must look like; ``None`` accepts everything."""
    response_schema: ClassVar[Schema | None] = None
    """What the response body must look like; ``None`` accepts everything."""

    _compiled_schemas: ClassVar[ActionSchemas] = NO_SCHEMAS

    def __init__(self, settings: ServerSettings | None = None) -> None:
        """Construct the action, for one execution.

        A subclass may override this, but must pass the settings on to it.

        Args:
            settings: The server settings.
        """
        self.settings = settings

    def validate(self, request: EnrichedActionRequest[RequestBody]) -> None:
        """Override this to check what a schema cannot, before :meth:`run`; its return value is ignored.

        Args:
            request: The request, whose body fits the request schema.

        Raises:
            ActionError: The request is not acceptable; :meth:`run` will not be called.
        """

    @abc.abstractmethod
    def run(self, request: EnrichedActionRequest[RequestBody]) -> ResponseBody | None:
        """Do the work of the action; override this.

        Args:
            request: The request, whose body fits the request schema.

        Returns:
            The response body, which must fit the response schema. ``None`` stands for an empty body if there
            is no response schema.

        Raises:
            ActionError: The action cannot be done; the caller gets the errors.
        """

    def __call__(self, action_request: EnrichedActionRequest[Any]) -> ActionResponse:
        """Execute the action: check the request, validate, run, check the response.

        Args:
            action_request: The request.

        Returns:
            The response.

        Raises:
            ActionError: The request does not fit the request schema, or the action said that it cannot be
                done.
            ResponseValidationError: What :meth:`run` returned does not fit the response schema.
        """
        request_schema, response_schema = self.request_schema, self.response_schema
        schemas = self._compiled_schemas
        if schemas.request_schema is not request_schema or schemas.response_schema is not response_schema:
            schemas = compile_schemas(type(self), request_schema, response_schema)

        request_check = schemas.request
        if request_check is not None:
            is_certainly_valid = request_check.is_certainly_valid
            if not is_certainly_valid(action_request.body):
                _refuse_invalid(request_check, action_request.body)

        self.validate(action_request)
        body: Any = self.run(action_request)  # whatever type it is declared as

        response_check = schemas.response
        if response_check is not None:
            is_certainly_valid = response_check.is_certainly_valid
            if not is_certainly_valid(body):
                errors = response_check.errors(body)
                if errors:
                    raise ResponseValidationError(action_request.action, errors)
        return successful_action_response(action_request.action, {} if body is None else body)


def _refuse_invalid(schema: CompiledSchema, body: Any) -> None:
    errors = schema.errors(body)
    if errors:
        raise ActionError(
            [
                Error(code=error.code, message=error.message, field=error.pointer, is_caller_error=True)
                for error in errors
            ],
            set_is_caller_error_to=None,
        )
