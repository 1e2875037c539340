"""Expansion planning, whatever the data: laws that hold for every graph of objects."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pysoa.client._expansion import Batch, ExpansionPlan
from pysoa.client.expander import ExpansionConverter
from pysoa.common._plain import is_dict, is_list
from pysoa.common.types import ActionResponse, JobResponse

Object = dict[str, Any]

NOUNS = ("owner", "friend")
TYPES = ("person", "pet")
ROUTES = {
    name: {"service": name, "action": "fetch", "request_field": "ids", "response_field": "found"}
    for name in TYPES
}
EXPANSIONS: dict[str, dict[str, dict[str, str | bool | None]]] = {
    kind: {
        f"{noun}_{target}": {
            "type": target,
            "route": target,
            "source_field": f"{noun}_{target}_id",
            "destination_field": f"{noun}_{target}",
        }
        for noun in NOUNS
        for target in TYPES
    }
    for kind in TYPES
}
NAMES = [f"{noun}_{target}" for noun in NOUNS for target in TYPES]

ids = st.integers(min_value=0, max_value=6)


def make_object(kind: str, references: dict[str, int]) -> Object:
    return {"_type": kind, **references}


def make_store(persons: dict[int, Object], pets: dict[int, Object]) -> dict[str, dict[int, Object]]:
    return {"person": persons, "pet": pets}


objects = st.builds(
    make_object,
    st.sampled_from(TYPES),
    st.dictionaries(st.sampled_from([f"{name}_id" for name in NAMES]), ids),
)
stores = st.builds(
    make_store,
    st.dictionaries(ids, objects),
    st.dictionaries(ids, objects),
)
paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(".".join)
requests = st.dictionaries(st.sampled_from(TYPES), st.lists(paths, max_size=4))


def run(plan: ExpansionPlan, store: dict[str, dict[int, Object]]) -> list[list[Batch]]:
    """Answer every round from the store, as services would; return all rounds."""
    rounds: list[list[Batch]] = []
    while batches := plan.next_round():
        rounds.append(batches)
        assert len(rounds) < 100, "it does not end"
        responses: list[tuple[Batch, JobResponse]] = []
        for batch in batches:
            known = store[batch.service]
            found = {i: dict(known[i]) for i in batch.body["ids"] if i in known}
            responses.append((batch, JobResponse(actions=[ActionResponse("fetch", body={"found": found})])))
        assert not plan.take_responses(responses)
    return rounds


def has_cycle(value: object, above: tuple[int, ...] = ()) -> bool:
    if id(value) in above:
        return True
    children: list[Any] = [*value.values()] if is_dict(value) else value if is_list(value) else []
    return any(has_cycle(child, (*above, id(value))) for child in children)


@settings(max_examples=300, deadline=None)
@given(st.lists(objects, max_size=4), stores, requests)
def test_laws_of_expansion(
    roots: list[Object], store: dict[str, dict[int, Object]], request: dict[str, list[str]]
) -> None:
    trees = ExpansionConverter(ROUTES, EXPANSIONS).dict_to_trees(request)
    before = [dict(root) for root in roots]

    rounds = run(ExpansionPlan(trees, [ActionResponse("get", body={"roots": roots})]), store)

    asked: set[tuple[str, int]] = set()
    for batches in rounds:
        assert len({batch.guard_key for batch in batches}) == len(batches), "two requests where one would do"
        for batch in batches:
            assert batch.ids, "an empty request"
            assert 0 not in batch.ids, "a missing reference was asked for"
            fresh = {(batch.service, i) for i in batch.ids}
            assert len(fresh) == len(batch.ids)
            assert not fresh & asked, "an id was asked for twice"
            asked |= fresh
    assert not has_cycle(roots)
    for root, original in zip(roots, before, strict=True):
        assert original.items() <= root.items(), "what was there has changed"
        wanted = {path.split(".")[0] for path in request.get(root["_type"], [])}
        for name in NAMES:
            target = name.split("_")[1]
            identifier = root.get(f"{name}_id")
            if name in wanted and identifier and identifier in store[target]:
                assert root[name]["_type"] == store[target][identifier]["_type"]
            else:
                assert name not in root, "an expansion that nobody asked for"


@settings(max_examples=100, deadline=None)
@given(st.lists(objects, max_size=4), stores, requests)
def test_planning_is_repeatable(
    roots: list[Object], store: dict[str, dict[int, Object]], request: dict[str, list[str]]
) -> None:
    def plan() -> tuple[list[list[Object]], list[Object]]:
        trees = ExpansionConverter(ROUTES, EXPANSIONS).dict_to_trees(request)
        copies = [dict(root) for root in roots]
        rounds = run(ExpansionPlan(trees, [ActionResponse("get", body={"roots": copies})]), store)
        return [[batch.body for batch in batches] for batches in rounds], copies

    assert plan() == plan()


def test_many_objects_with_one_reference_cost_one_target_each() -> None:
    tree = ExpansionConverter(ROUTES, EXPANSIONS).dict_to_trees({"pet": ["owner_person.friend_person"]})
    pets = [{"_type": "pet", "owner_person_id": 1} for _ in range(1000)]
    plan = ExpansionPlan(tree, [ActionResponse("get", body={"pets": pets})])
    person = {"_type": "person", "friend_person_id": 2}

    rounds = run(plan, {"person": {1: person, 2: {"_type": "person"}}, "pet": {}})

    assert [[batch.ids for batch in batches] for batches in rounds] == [[[1]], [[2]]]
    assert [len(batch.targets) for batch in rounds[1]] == [1]
    assert all(pet["owner_person"] is pets[0]["owner_person"] for pet in pets)
