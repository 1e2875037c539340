"""Settings of the service of :mod:`bench_service.scaled`: lists may hold more than 10,000 messages.

Only errors are logged, since hundreds of workers would tell that they are being stopped.
"""

from __future__ import annotations

import copy
from typing import Any

from bench_service.settings import SOA_SERVER_SETTINGS as _SETTINGS
from bench_service.settings import TRANSPORT_KWARGS

SCALED_TRANSPORT_KWARGS: dict[str, Any] = dict(TRANSPORT_KWARGS, queue_capacity=50_000)

SOA_SERVER_SETTINGS: dict[str, Any] = copy.deepcopy(_SETTINGS)
SOA_SERVER_SETTINGS["transport"]["kwargs"]["queue_capacity"] = 50_000
SOA_SERVER_SETTINGS["logging"]["root"]["level"] = "ERROR"
