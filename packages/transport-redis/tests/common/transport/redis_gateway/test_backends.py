from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysoa.common.transport.redis_gateway._backends import (
    build_backend,
    cache_key,
    known_ring_size,
    prepare_backend_kwargs,
)
from pysoa.common.transport.redis_gateway.backend.sentinel import SentinelRedisClient
from pysoa.common.transport.redis_gateway.backend.standard import StandardRedisClient

STANDARD, SENTINEL = "redis.standard", "redis.sentinel"

values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.sets(st.integers(), max_size=3)
    ),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("backend_type", "settings", "prepared"),
    [
        (STANDARD, {}, {}),
        (STANDARD, {"redis_port": 7}, {"hosts": [("localhost", 7)]}),
        (STANDARD, {"hosts": ["a", ("b", 1), ["c", 2]]}, {"hosts": [("a", 6379), ("b", 1), ("c", 2)]}),
        (STANDARD, {"hosts": ["a"], "redis_port": 7}, {"hosts": [("a", 7)]}),
        (STANDARD, {"hosts": ["rediss://u:p@h:1/2"]}, {"hosts": ["rediss://u:p@h:1/2"]}),
        (SENTINEL, {"hosts": ["a"]}, {"hosts": [("a", 26379)]}),
        (SENTINEL, {"hosts": ["a"], "redis_port": 7}, {"hosts": [("a", 7)]}),
        (STANDARD, {"redis_db": 0}, {"connection_kwargs": {"db": 0}}),
        (STANDARD, {"redis_db": 3, "connection_kwargs": None}, {"connection_kwargs": {"db": 3}}),
    ],
)
def test_shortcuts_in_the_settings_are_spelt_out(
    backend_type: str, settings: dict[str, Any], prepared: dict[str, Any]
) -> None:
    assert prepare_backend_kwargs(backend_type, settings) == prepared


@pytest.mark.parametrize("host", [5, None, ("a",), ("a", 1, 2), {"a": 1}], ids=str)
def test_host_that_is_none_is_refused(host: object) -> None:
    with pytest.raises(ValueError, match="must be a list of tuples"):
        prepare_backend_kwargs(STANDARD, {"hosts": [host]})


@pytest.mark.parametrize(
    ("backend_type", "prepared", "size"),
    [
        (STANDARD, {}, 1),
        (STANDARD, {"hosts": [("a", 1), ("b", 1)]}, 2),
        (SENTINEL, {"hosts": [("a", 1), ("b", 1)]}, None),
        (SENTINEL, {"sentinel_services": ["x", "y", "z"]}, 3),
    ],
)
def test_size_of_the_ring_is_known_without_asking_if_possible(
    backend_type: str, prepared: dict[str, Any], size: int | None
) -> None:
    assert known_ring_size(backend_type, prepared) == size


def test_each_type_has_its_backend() -> None:
    assert isinstance(build_backend(STANDARD, {}), StandardRedisClient)
    assert isinstance(build_backend(SENTINEL, {"sentinel_services": ["a"]}), SentinelRedisClient)


@given(st.dictionaries(st.text(max_size=3), values, max_size=3))
def test_any_settings_have_a_key_and_equal_ones_have_equal_keys(settings: dict[str, Any]) -> None:
    assert {cache_key(STANDARD, settings): 1}[cache_key(STANDARD, dict(settings))] == 1
    assert cache_key(STANDARD, settings) != cache_key(SENTINEL, settings)


def test_objects_that_do_not_hash_are_told_apart() -> None:
    class Unhashable:
        __hash__ = None  # type: ignore[assignment]  # that is how Python spells it

    one, two = Unhashable(), Unhashable()

    assert cache_key(STANDARD, {"a": one}) == cache_key(STANDARD, {"a": one})
    assert hash(cache_key(STANDARD, {"a": one})) == hash(cache_key(STANDARD, {"a": one}))
    assert cache_key(STANDARD, {"a": one}) != cache_key(STANDARD, {"a": two})
