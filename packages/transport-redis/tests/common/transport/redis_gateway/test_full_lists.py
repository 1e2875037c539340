from __future__ import annotations

from pysoa.common.transport.redis_gateway._full_lists import FullLists


def test_full_lists_are_remembered_until_they_have_room() -> None:
    full_lists = FullLists()
    full_lists.add("a")
    full_lists.add("a")
    assert "a" in full_lists

    full_lists.discard("a")
    full_lists.discard("a")

    assert "a" not in full_lists


def test_only_the_latest_are_remembered() -> None:
    full_lists = FullLists()
    for number in range(1000):
        full_lists.add("first")
        full_lists.add(str(number))

    remembered = [number for number in range(1000) if str(number) in full_lists]

    assert "first" in full_lists
    assert remembered == list(range(745, 1000))
