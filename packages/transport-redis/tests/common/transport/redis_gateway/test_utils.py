from __future__ import annotations

from pysoa.common.transport.redis_gateway.utils import make_redis_queue_name


def test_request_queue_is_named_after_the_service() -> None:
    assert make_redis_queue_name("example") == "service.example"
