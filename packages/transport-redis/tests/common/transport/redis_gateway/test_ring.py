from __future__ import annotations

import json
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysoa.common.transport.redis_gateway._ring import is_hashed, ring_index

VECTORS = json.loads((pathlib.Path(__file__).parent / "data" / "redis_messages.json").read_text("utf-8"))


@pytest.mark.parametrize("vector", VECTORS["reply_queue_hash"], ids=lambda vector: vector["key"])
def test_reply_lists_fall_on_the_same_masters_as_with_1_4_9(vector: dict[str, dict[str, int]]) -> None:
    key = str(vector["key"])

    indexes = {size: ring_index(key, int(size)) for size in vector["index_by_ring_size"]}

    assert indexes == vector["index_by_ring_size"]


@given(st.text(max_size=50), st.integers(min_value=1, max_value=16))
def test_every_key_falls_on_a_master_that_exists(key: str, ring_size: int) -> None:
    key = key.encode("utf-8", "ignore").decode("utf-8")

    assert 0 <= ring_index(key, ring_size) < ring_size


def test_only_reply_lists_are_bound_to_a_master() -> None:
    assert is_hashed("pysoa:service.a.b!c")
    assert not is_hashed("pysoa:service.a")
