"""Making the clients with which a service calls other services."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from pysoa.client.client import Client
from pysoa.common.types import Context

__all__ = ("ClientFactory",)


class ClientFactory:
    """Makes a client per job that holds nothing of its own but the context.

    The settings of the services are checked when the first client is made; that one is never given away, and
    all others share its settings and connections. A client class with a constructor of its own, or arguments
    for it, get a complete client each time, since only that constructor knows what may be shared.

    Args:
        routing: The setting ``client_routing``.
    """

    def __init__(self, routing: Mapping[str, Any]) -> None:
        self._routing = routing
        self._shared: Client | None = None
        self._lock = threading.Lock()

    def make(self, client_class: type[Client], context: Context, **kwargs: Any) -> Client:
        """Return a client.

        Args:
            client_class: Its class.
            context: What it hands on; kept by reference.
            kwargs: Further arguments of the constructor.

        Raises:
            ImproperlyConfigured: The settings of a service are not acceptable.
        """
        if kwargs or client_class.__init__ is not Client.__init__:
            return client_class(self._routing, context=context, **kwargs)
        with self._lock:
            shared = self._shared
            if shared is None or type(shared) is not client_class:
                shared = self._shared = client_class(self._routing)
        return shared.with_context(context)
