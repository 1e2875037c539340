"""Making the clients with which a service calls other services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pysoa.client.client import Client
from pysoa.common.types import Context

__all__ = ("ClientFactory",)


class ClientFactory:
    """Skeleton."""

    def __init__(self, client_class: type[Client], routing: Mapping[str, Any]) -> None:
        self._client_class = client_class
        self._routing = routing

    def make(self, context: Context, **kwargs: Any) -> Client:
        """Return a client for one job."""
        return self._client_class(self._routing, context=context, **kwargs)
