"""What the pages on Redis and security say about users with few rights is enough for them."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import pytest

from pysoa.client.client import Client
from pysoa.common.transport.errors import MessageSendError
from pysoa.server.action.base import Action
from pysoa.server.server import Server
from pysoa.server.types import AnyActionRequest
from pysoa.test.redis_server import RedisServer
from pysoa.test.running import RedisDatabase, ServiceThread

_DOCS = pathlib.Path(__file__).parents[2] / "docs"


class Repeat(Action):
    def run(self, request: AnyActionRequest) -> dict[str, Any]:
        return {"text": request.body["text"] * 3}


class RepeatServer(Server):
    service_name = "repeat"
    action_class_map = {"repeat": Repeat}


def test_a_user_with_the_rights_on_the_page_can_call_and_serve(clean_redis: RedisServer) -> None:
    clean_redis.execute(*_command_on_the_page())

    assert_that_calls_work(clean_redis)


def test_a_user_may_be_limited_to_the_keys_of_a_service(clean_redis: RedisServer) -> None:
    security = (_DOCS / "how-it-works" / "security.md").read_text()
    patterns = [name.replace("prices", "repeat") for name in re.findall(r"`(~pysoa:service\.\S+)`", security)]
    assert len(patterns) == 2
    command = _command_on_the_page()
    place = command.index("~pysoa:*")
    clean_redis.execute(*command[:place], *patterns, *command[place + 1 :])

    assert_that_calls_work(clean_redis)


def assert_that_calls_work(redis: RedisServer) -> None:
    login = {"username": "pysoa", "password": "secret"}
    try:
        with ServiceThread(RepeatServer, RedisDatabase(redis, connection_kwargs=login)) as service:
            for length in (10, 20_000):  # small and large messages are pushed in different ways
                body = service.call_action("repeat", {"text": "x" * length}).body

                assert len(body["text"]) == 3 * length
        assert_that_a_full_list_is_told_as_such(RedisDatabase(redis, connection_kwargs=login))
    finally:
        redis.execute("ACL", "DELUSER", "pysoa")


def assert_that_a_full_list_is_told_as_such(database: RedisDatabase) -> None:
    transport = database.client_transport
    transport["kwargs"] |= {"queue_capacity": 1, "queue_full_retries": 0}
    client = Client({"repeat": {"transport": transport}})
    client.send_request("repeat", [{"action": "repeat"}])

    with pytest.raises(MessageSendError, match=r"^Redis queue service\.repeat was full"):
        client.send_request("repeat", [{"action": "repeat"}])


def _command_on_the_page() -> list[str]:
    lines = (_DOCS / "guides" / "redis.md").read_text().splitlines()
    return next(line for line in lines if line.startswith("ACL SETUSER")).split()
