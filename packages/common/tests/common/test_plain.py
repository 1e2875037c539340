from __future__ import annotations

from typing import Any, NamedTuple

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysoa.common._plain import attrs_fields, copy_plain, to_plain


@attrs.define
class _Tag:
    name: str
    values: object = None


class _Pair(NamedTuple):
    a: int
    b: object


_PLAIN_TAG = {"name": "b", "values": None}
_plain = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=15,
)


@pytest.mark.parametrize("convert", [to_plain, copy_plain])
@pytest.mark.parametrize(
    ("value", "plain"),
    [
        pytest.param((1, (2,)), [1, [2]], id="tuples"),
        pytest.param({"a": {1}}, {"a": [1]}, id="set"),
        pytest.param([frozenset({1})], [[1]], id="frozenset"),
        pytest.param(_Pair(1, {2}), [1, [2]], id="namedtuple"),
        pytest.param(
            _Tag("a", (_Tag("b"),)), {"name": "a", "values": [{"name": "b", "values": None}]}, id="attrs"
        ),
        pytest.param({1: (1,), (1, 2): 2}, {1: [1], (1, 2): 2}, id="keys stay"),
        pytest.param({"a": [{"b": [1, {"c": (2,)}]}]}, {"a": [{"b": [1, {"c": [2]}]}]}, id="deep"),
    ],
)
def test_only_dictionaries_lists_and_scalars_are_left(convert: Any, value: object, plain: object) -> None:
    assert convert(value) == plain


@given(_plain)
def test_plain_values_are_not_copied(value: object) -> None:
    assert to_plain(value) is value


def test_parts_that_need_no_change_are_shared() -> None:
    value = {"kept": {"a": 1}, "changed": [(1,)], "leaf": object()}

    plain = to_plain(value)

    assert plain["kept"] is value["kept"]
    assert plain["leaf"] is value["leaf"]
    assert value["changed"] == [(1,)]


def test_copies_share_no_container_and_all_leaves() -> None:
    leaf = object()
    value: dict[str, Any] = {"a": {"b": [leaf]}}

    copied = copy_plain(value)

    assert copied == value
    assert copied is not value
    assert copied["a"] is not value["a"]
    assert copied["a"]["b"] is not value["a"]["b"]
    assert copied["a"]["b"][0] is leaf


def test_fields_are_in_the_order_of_the_class() -> None:
    fields = attrs_fields(_Tag("a", 5))

    assert fields == {"name": "a", "values": 5}
    assert fields is not None
    assert list(fields) == ["name", "values"]
    assert attrs_fields({"name": "a"}) is None
