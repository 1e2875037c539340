"""Expansion trees: from notation to nodes and back, and finding objects."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysoa.client.expander import ExpansionConverter, ExpansionNode, TypeNode

ROUTES = {
    "artists": {"service": "a", "action": "fetch", "request_field": "ids", "response_field": "artists"},
    "labels": {"service": "l", "action": "fetch", "request_field": "ids", "response_field": "labels"},
}


def expansion(name: str, type_name: str | None, route: str = "artists", **others: Any) -> dict[str, Any]:
    return {
        "type": type_name,
        "route": route,
        "source_field": f"{name}_id",
        "destination_field": name,
        **others,
    }


EXPANSIONS = {
    "track": {
        "artist": expansion("artist", "artist"),
        "label": expansion("label", None, "labels", raise_action_errors=True),
        "lost": expansion("lost", None, "nowhere"),
        "same": expansion("same", None, source_field="x", destination_field="x"),
    },
    "artist": {"label": expansion("label", "label", "labels"), "mentor": expansion("mentor", "artist")},
}


@pytest.fixture
def converter() -> ExpansionConverter:
    return ExpansionConverter(ROUTES, EXPANSIONS)


def node(name: str, type_name: str | None = None) -> ExpansionNode:
    return ExpansionNode(type_name, name, "x_id", "x", "s", "act", "ids", "things")


def test_node_has_what_its_configuration_says(converter: ExpansionConverter) -> None:
    (tree,) = converter.dict_to_trees({"track": ["artist", "label"]})

    artist, label = tree.expansions
    assert tree.type == "track"
    assert vars(artist) == {
        "type": "artist",
        "_expansions": {},
        "name": "artist",
        "source_field": "artist_id",
        "destination_field": "artist",
        "service": "a",
        "action": "fetch",
        "request_field": "ids",
        "response_field": "artists",
        "raise_action_errors": False,
    }
    assert label.type is None
    assert label.raise_action_errors is True


def test_node_made_by_hand_is_strict() -> None:
    assert node("x").raise_action_errors is True


def test_paths_with_a_common_beginning_share_nodes(converter: ExpansionConverter) -> None:
    (tree,) = converter.dict_to_trees({"track": ["artist", "artist.label", "artist.mentor", "artist.label"]})

    (artist,) = tree.expansions
    assert [child.name for child in artist.expansions] == ["label", "mentor"]
    assert converter.trees_to_dict([tree]) == {"track": ["artist.label", "artist.mentor"]}


def test_adding_an_expansion_of_the_same_name_merges_the_children() -> None:
    first, second = node("a"), node("a")
    first.add_expansion(node("b"))
    second.add_expansion(node("c"))
    tree = TypeNode("t")

    tree.add_expansion(first)
    tree.add_expansion(second)

    assert tree.expansions == [first]
    assert tree.to_dict() == {"t": ["a.b", "a.c"]}
    assert tree.get_expansion("a") is first
    assert tree.get_expansion("b") is None


@pytest.mark.parametrize(
    ("expansions", "key"),
    [
        ({"album": ["artist"]}, "album"),
        ({"track": ["producer"]}, "producer"),
        ({"track": ["artist.producer"]}, "producer"),
        ({"track": ["label.owner"]}, None),
        ({"track": ["lost"]}, "nowhere"),
        ({"track": [""]}, ""),
        ({"track": ["artist..label"]}, ""),
        ({"track": "artist"}, "a"),
    ],
)
def test_unknown_name_is_a_key_error(converter: ExpansionConverter, expansions: Any, key: str | None) -> None:
    with pytest.raises(KeyError) as caught:
        converter.dict_to_trees(expansions)

    assert caught.value.args == (key,)


def test_equal_source_and_destination_are_refused(converter: ExpansionConverter) -> None:
    with pytest.raises(ValueError, match=r"^Expansion configuration destination_field error: .*: x$"):
        converter.dict_to_trees({"track": ["same"]})


PATHS = ["artist", "label", "artist.label", "artist.mentor", "artist.mentor.mentor.label"]


@given(st.dictionaries(st.just("track"), st.lists(st.sampled_from(PATHS)), max_size=1))
def test_trees_become_the_longest_of_the_paths_they_were_made_of(expansions: dict[str, list[str]]) -> None:
    converter = ExpansionConverter(ROUTES, EXPANSIONS)

    trees = converter.dict_to_trees(expansions)
    back = converter.trees_to_dict(trees)

    assert back.keys() == expansions.keys()
    for name, paths in expansions.items():
        leaves = {path for path in paths if not any(other.startswith(f"{path}.") for other in paths)}
        assert set(back[name]) == leaves
        assert converter.trees_to_dict(converter.dict_to_trees(back)) == back


def test_objects_are_found_depth_first_in_dictionaries_and_lists() -> None:
    first, second, third = ({"_type": "t", "n": n} for n in range(3))

    found = TypeNode("t").find_objects({"a": [first, {"b": second}], "c": (third,), "d": third, "e": "t"})

    assert [item["n"] for item in found] == [0, 1, 2]
    assert found[0] is first


def test_found_objects_are_not_entered_but_all_others_are() -> None:
    inner = {"_type": "t"}
    outer = {"_type": "t", "inside": inner}
    other = {"_type": "u", "inside": inner}

    assert TypeNode("t").find_objects(outer) == [outer]
    assert TypeNode("t").find_objects(other) == [inner]
    assert TypeNode("t").find_objects({"_type": ["t"]}) == []


def test_deep_and_circular_bodies_are_searched() -> None:
    deep: dict[str, Any] = {"_type": "t"}
    for _ in range(10_000):
        deep = {"inside": deep}
    deep["again"] = deep

    assert TypeNode("t").find_objects(deep) == [{"_type": "t"}]
