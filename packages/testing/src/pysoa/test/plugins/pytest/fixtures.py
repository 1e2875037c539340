"""Fixtures for tests that need a real Redis.

pytest loads this module in every run of an environment in which pysoa-testing is installed. So it imports
nothing heavy, and each fixture imports what it needs when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # Importing it would cost every run that uses no Redis.
    from pysoa.test.redis_server import RedisServer

__all__ = ["clean_redis", "redis_server"]


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A private redis-server that lives as long as the test session; see :mod:`pysoa.test.redis_server`.

    Tests that use it share its contents. Take ``clean_redis`` for one that is empty.
    """
    from pysoa.test.redis_server import RedisServer

    with RedisServer() as server:
        yield server


@pytest.fixture
def clean_redis(redis_server: RedisServer) -> RedisServer:
    """The server of ``redis_server``, running and empty when the test begins."""
    redis_server.start()
    redis_server.resume()
    redis_server.execute("FLUSHALL")
    return redis_server
