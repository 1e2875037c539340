"""A service as a team would write it."""

from __future__ import annotations

from typing import assert_type

from conformity import fields

from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse
from pysoa.server.action import Action
from pysoa.server.errors import ActionError
from pysoa.server.server import Server
from pysoa.server.types import EnrichedActionRequest


class Square(Action):
    """Squares a number."""

    # pyright cannot read the constructors of conformity's attrs classes.
    request_schema = fields.Dictionary({"number": fields.Integer()})  # pyright: ignore[reportCallIssue]
    response_schema = fields.Dictionary({"square": fields.Integer()})  # pyright: ignore[reportCallIssue]

    def validate(self, request: EnrichedActionRequest) -> None:
        """Refuse what is too large."""
        if request.body["number"] > 1000:
            raise ActionError(errors=[Error(code="TOO_LARGE", message="Too large", field="number")])

    def run(self, request: EnrichedActionRequest) -> dict[str, int]:
        """Return the square."""
        number: int = request.body["number"]
        return {"square": number**2}


class Cube(Action):
    """Cubes a number with the help of another action."""

    def run(self, request: EnrichedActionRequest) -> dict[str, int]:
        """Return the cube."""
        response = request.call_local_action("square", {"number": request.body["number"]})
        assert_type(response, ActionResponse)
        return {"cube": int(response.body["square"]) * int(request.body["number"])}


class SquareServer(Server):
    """Does sums."""

    service_name = "square"
    action_class_map = {"square": Square, "cube": Cube}
