"""The server class."""

from __future__ import annotations

from typing import Any

from pysoa.server.action.base import Action
from pysoa.server.server import Server
from pysoa.server.types import EnrichedActionRequest


class Echo(Action):
    """Answers with the body that came in."""

    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        """Return it unchanged."""
        return request.body


class FaultServer(Server):
    """The service ``fault``."""

    service_name = "fault"
    action_class_map = {"echo": Echo}
