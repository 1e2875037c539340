"""The client of a request, built when somebody asks for it.

Most actions call no other service, so a client per job would be work that nobody asked for.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

from pysoa.client.client import Client
from pysoa.common.types import Context

__all__ = (
    "ClientAttribute",
    "LazyClient",
)

# Building is rare and quick, and may happen inside another building if a service overrides make_client.
_building = threading.RLock()


class LazyClient(functools.partial[Client]):
    """Stands for the client of one job until it is needed: a call of ``make_client``, made at most once.

    Give it a copy of the job's context header: actions may change the header, but what the client hands on is
    the context with which the job arrived.
    """

    _client: Client | None = None

    def get(self) -> Client:
        """Return the client, after building it if this is the first call."""
        if self._client is None:
            with _building:
                if self._client is None:
                    self._client = self()
        return self._client

    def with_context(self, context: Context) -> LazyClient:
        """Return a client to be, for the same server and another context."""
        return LazyClient(self.func, context.copy())


class ClientAttribute:
    """The attribute ``client`` of enriched requests: reads as a :class:`Client`, built by the first read."""

    def __get__(self, request: Any, owner: type[Any] | None = None) -> Any:
        if request is None:
            return self
        try:
            client = request.__dict__["client"]
        except KeyError:
            raise AttributeError(f"{type(request).__name__!r} object has no attribute 'client'") from None
        return client.get() if type(client) is LazyClient else client

    def __set__(self, request: Any, client: Any) -> None:
        request.__dict__["client"] = client

    def __delete__(self, request: Any) -> None:
        if request.__dict__.pop("client", self) is self:
            raise AttributeError("client")
