"""What the guide to Redis says about users with few rights is enough for them."""

from __future__ import annotations

import pathlib
from typing import Any

from pysoa.server.action.base import Action
from pysoa.server.server import Server
from pysoa.server.types import AnyActionRequest
from pysoa.test.redis_server import RedisServer
from pysoa.test.running import RedisDatabase, ServiceThread

_PAGE = pathlib.Path(__file__).parents[2] / "docs" / "guides" / "redis.md"


class Repeat(Action):
    def run(self, request: AnyActionRequest) -> dict[str, Any]:
        return {"text": request.body["text"] * 3}


class RepeatServer(Server):
    service_name = "repeat"
    action_class_map = {"repeat": Repeat}


def test_a_user_with_the_rights_on_the_page_can_call_and_serve(clean_redis: RedisServer) -> None:
    command = next(line for line in _PAGE.read_text().splitlines() if line.startswith("ACL SETUSER"))
    clean_redis.execute(*command.split())
    login = {"username": "pysoa", "password": "secret"}

    with ServiceThread(RepeatServer, RedisDatabase(clean_redis, connection_kwargs=login)) as service:
        for length in (10, 20_000):  # small and large messages are pushed in different ways
            body = service.call_action("repeat", {"text": "x" * length}).body

            assert len(body["text"]) == 3 * length
