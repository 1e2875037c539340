from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysoa.common.transport.errors import InvalidMessageError
from pysoa.common.transport.redis_gateway._expiry import Expiry, expiry_of, message_age_past_expiry

NOW = 1_700_000_000.25


@pytest.mark.parametrize(("given_expiry", "list_ttl_s"), [(5, 15), (0.5, 11), (1.5, 12), (10**9, 10**9 + 10)])
def test_with_expiry_the_list_lives_ten_seconds_longer(given_expiry: float, list_ttl_s: int) -> None:
    assert expiry_of(given_expiry, NOW) == Expiry(NOW + given_expiry, list_ttl_s)


@pytest.mark.parametrize("given_expiry", [0, -1, -0.001, math.nan, math.inf, -math.inf, 1e18])
def test_an_expiry_that_is_no_time_to_live_is_refused(given_expiry: float) -> None:
    with pytest.raises(ValueError, match="message_expiry_in_seconds must be above 0"):
        expiry_of(given_expiry, NOW)


@given(st.floats(min_value=1e-6, max_value=1e9), st.floats(min_value=0, max_value=1e10))
def test_a_list_always_outlives_its_message(given_expiry: float, now: float) -> None:
    expiry = expiry_of(given_expiry, now)

    assert isinstance(expiry.list_ttl_s, int)
    assert now + expiry.list_ttl_s > expiry.expires_at


def test_a_message_is_still_valid_at_the_instant_it_expires() -> None:
    assert message_age_past_expiry({"__expiry__": NOW}, NOW) is None


def test_a_message_is_too_old_right_after() -> None:
    assert message_age_past_expiry({"__expiry__": NOW - 2}, NOW) == 2


@pytest.mark.parametrize("expires_at", [-(10**400), -math.inf], ids=["huge integer", "infinity"])
def test_a_message_that_expired_before_all_time_is_too_old(expires_at: float) -> None:
    assert message_age_past_expiry({"__expiry__": expires_at}, NOW) == math.inf


@pytest.mark.parametrize("meta", [{}, {"__expiry__": None}, {"__expiry__": 0}, {"__expiry__": math.inf}])
def test_a_message_without_expiry_is_never_too_old(meta: dict[str, object]) -> None:
    assert message_age_past_expiry(meta, NOW) is None


@pytest.mark.parametrize("value", ["soon", [1], {"a": 1}, b"1"], ids=["str", "list", "map", "bytes"])
def test_an_expiry_that_is_no_number_makes_the_message_invalid(value: object) -> None:
    with pytest.raises(InvalidMessageError, match="not a number"):
        message_age_past_expiry({"__expiry__": value}, NOW)
