"""Actions whose bodies have types: the type checkers, which run over this file, verify its other half."""

from __future__ import annotations

from typing import Any, TypedDict, assert_type

import attr

from pysoa.client.client import Client
from pysoa.common.types import ActionResponse, Body
from pysoa.server import Action, EnrichedActionRequest, Server, SwitchedAction


class SquareRequest(TypedDict):
    number: int


class SquareResponse(TypedDict):
    square: int


class Square(Action[SquareRequest, SquareResponse]):
    def validate(self, request: EnrichedActionRequest[SquareRequest]) -> None:
        assert_type(request.body["number"], int)

    def run(self, request: EnrichedActionRequest[SquareRequest]) -> SquareResponse:
        assert_type(request.body, SquareRequest)
        assert_type(request.client, Client)
        return {"square": request.body["number"] ** 2}


class Untyped(Action):
    def run(self, request: EnrichedActionRequest) -> Body:
        assert_type(request.body, dict[str, Any])
        response = request.call_local_action("square", {"number": request.body["number"]})
        assert_type(response, ActionResponse)
        return response.body


class Either(SwitchedAction):
    switch_to_action_map = ((5, Untyped), (SwitchedAction.DEFAULT_ACTION, Square))


class TypedServer(Server):
    service_name = "typed"
    action_class_map = {"square": Square, "untyped": Untyped, "either": Either}


def test_action_with_typed_bodies_is_an_action_like_any_other() -> None:
    request = EnrichedActionRequest[SquareRequest]("square", {"number": 7})

    response = Square()(request)

    assert response == ActionResponse("square", [], {"square": 49})


def test_request_with_a_typed_body_is_a_request_like_any_other() -> None:
    typed = EnrichedActionRequest[SquareRequest]("square", {"number": 7})
    untyped = EnrichedActionRequest("square", {"number": 7})

    assert typed == untyped
    assert type(typed) is type(untyped) is EnrichedActionRequest
    assert attr.evolve(typed, action="other").body == {"number": 7}
