"""What differs between the places where the service runs comes from the environment."""

from __future__ import annotations

import os

_REDIS_HOST, _, _REDIS_PORT = os.environ.get("LIBRARY_REDIS", "localhost:6379").partition(":")

SOA_SERVER_SETTINGS = {
    "transport": {
        "path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport",
        "kwargs": {
            "backend_type": "redis.standard",
            "backend_layer_kwargs": {"hosts": [(_REDIS_HOST, int(_REDIS_PORT))]},
        },
    },
    "library_database": os.environ.get("LIBRARY_DATABASE", "library.sqlite3"),
}
