"""Settings of the measured service: everything default but Redis, the log level and the size limits."""

from __future__ import annotations

import os
from typing import Any

REDIS_PORT = int(os.environ["BENCH_REDIS_PORT"])

TRANSPORT_KWARGS: dict[str, Any] = {
    "backend_type": "redis.standard",
    "backend_layer_kwargs": {"hosts": [("127.0.0.1", REDIS_PORT)]},
}

SOA_SERVER_SETTINGS: dict[str, Any] = {
    "transport": {
        "path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport",
        "kwargs": dict(
            TRANSPORT_KWARGS,
            maximum_message_size_in_bytes=5_000_000,
            log_messages_larger_than_bytes=5_000_000,
            chunk_messages_larger_than_bytes=102_400,
        ),
    },
    "logging": {
        "version": 1,
        "handlers": {"console": {"class": "logging.StreamHandler", "level": "WARNING"}},
        "root": {"handlers": ["console"], "level": "WARNING"},
    },
}

CLIENT_SETTINGS: dict[str, Any] = {
    "bench": {
        "transport": {
            "path": "pysoa.common.transport.redis_gateway.client:RedisClientTransport",
            "kwargs": TRANSPORT_KWARGS,
        }
    }
}
