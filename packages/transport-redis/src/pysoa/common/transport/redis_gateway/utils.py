"""Names of Redis queues."""

from __future__ import annotations

__all__ = ("make_redis_queue_name",)


def make_redis_queue_name(service_name: str) -> str:
    """Return the name of a service's request queue, without the ``pysoa:`` that its Redis key starts with.

    Args:
        service_name: The name of the service.
    """
    return "service." + service_name
