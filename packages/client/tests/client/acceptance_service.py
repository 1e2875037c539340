"""The service of the acceptance tests, run in their process or, as a script, in processes of its own.

Arguments of the script: the host and the port of a Redis server.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from pysoa.common.errors import Error
from pysoa.server.action.base import Action
from pysoa.server.errors import ActionError
from pysoa.server.server import Server
from pysoa.server.types import EnrichedActionRequest

Body = dict[str, Any]

ARTISTS: dict[int, Body] = {
    1: {"_type": "artist", "id": 1, "label_id": 70, "mentor_id": 2},
    2: {"_type": "artist", "id": 2, "label_id": 70, "mentor_id": 1},
    3: {"_type": "artist", "id": 3},
    4: {"_type": "artist", "id": 4, "mentor_id": 3},
}
LABELS: dict[int, Body] = {70: {"_type": "label", "id": 70}}


class Echo(Action):
    def run(self, request: EnrichedActionRequest[Any]) -> Body:
        return {**request.body}


class Wait(Action):
    """Answers after a while."""

    def run(self, request: EnrichedActionRequest[Any]) -> Body:
        time.sleep(request.body["seconds"])
        return {**request.body}


class Big(Action):
    """Answers with many bytes that say which request they are for."""

    def run(self, request: EnrichedActionRequest[Any]) -> Body:
        return {"n": request.body["n"], "data": bytes([request.body["n"]]) * request.body["size"]}


class Context(Action):
    def run(self, request: EnrichedActionRequest[Any]) -> Body:
        return {
            "switches": sorted(request.context["switches"]),
            "correlation_id": request.context["correlation_id"],
            "process": os.getpid(),
        }


class FetchArtists(Action):
    def run(self, request: EnrichedActionRequest[Any]) -> Body:
        return {"artists": {i: dict(ARTISTS[i]) for i in request.body["artist_ids"] if i in ARTISTS}}


class FetchLabels(Action):
    def run(self, request: EnrichedActionRequest[Any]) -> Body:
        if 71 in request.body["label_ids"]:
            raise ActionError([Error("NOPE", "There is no label 71")])
        return {"labels": {i: dict(LABELS[i]) for i in request.body["label_ids"] if i in LABELS}}


class AcceptanceServer(Server):
    service_name = "acceptance"
    action_class_map = {
        "echo": Echo,
        "wait": Wait,
        "big": Big,
        "context": Context,
        "fetch_artists": FetchArtists,
        "fetch_labels": FetchLabels,
    }


def main(host: str, port: str) -> None:
    settings = {
        "transport": {
            "path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport",
            "kwargs": {
                "backend_type": "redis.standard",
                "backend_layer_kwargs": {"hosts": [(host, int(port))]},
                "chunk_messages_larger_than_bytes": 102_400,
                "maximum_message_size_in_bytes": 10_000_000,
            },
        },
    }
    AcceptanceServer(AcceptanceServer.settings_class(settings)).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
