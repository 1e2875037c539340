"""Settings, with the transport's part taken from the environment."""

from __future__ import annotations

import json
import os

_transport_kwargs = json.loads(os.environ["FAULT_TRANSPORT"])
_layer_kwargs = _transport_kwargs.get("backend_layer_kwargs", {})
_layer_kwargs["hosts"] = [tuple(host) for host in _layer_kwargs.get("hosts", ())]

SOA_SERVER_SETTINGS = {
    "transport": {
        "path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport",
        "kwargs": _transport_kwargs,
    },
    "logging": {
        "version": 1,
        "formatters": {"plain": {"format": "%(levelname)s %(name)s %(message)s"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain", "level": "DEBUG"}},
        "root": {"handlers": ["console"], "level": "DEBUG"},
    },
}
