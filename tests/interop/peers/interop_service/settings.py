"""Settings, with the transport's part taken from the environment."""

import ast
import os

SOA_SERVER_SETTINGS = {
    "transport": {
        "path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport",
        "kwargs": ast.literal_eval(os.environ["INTEROP_TRANSPORT"]),
    },
    "harakiri": {"timeout": 60, "shutdown_grace": 5},
    "logging": {
        "version": 1,
        "handlers": {"console": {"class": "logging.StreamHandler", "level": "WARNING"}},
        "root": {"handlers": ["console"], "level": "WARNING"},
    },
}
