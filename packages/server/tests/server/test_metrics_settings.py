from __future__ import annotations

import copy
from typing import Any

import pytest

from pysoa.server._metrics_settings import with_forked_process_id


def kwargs(version: int, publisher: Any) -> dict[str, Any]:
    return {"prefix": "{{fid}}", "config": {"version": version, "publishers": [publisher]}}


@pytest.mark.parametrize(("forked_process_id", "name"), [(3, "3"), (None, "main")])
@pytest.mark.parametrize("token", ["{{fid}}", "[[fid]]", "%%fid%%"])
def test_token_becomes_the_number_of_the_worker(token: str, forked_process_id: int | None, name: str) -> None:
    publisher = {"path": "x:Y", "kwargs": {"tag": f"w-{token}", "nested": {"tag": token}, "list": [token]}}

    result = with_forked_process_id(kwargs(2, publisher), forked_process_id)

    assert result["config"]["publishers"] == [
        {"path": "x:Y", "kwargs": {"tag": f"w-{name}", "nested": {"tag": name}, "list": [token]}}
    ]
    assert result["prefix"] == "{{fid}}"


@pytest.mark.parametrize(("version", "expected"), [(1, "7"), (2, "{{fid}}")])
def test_token_outside_of_kwargs_is_replaced_in_version_1_only(version: int, expected: str) -> None:
    result = with_forked_process_id(kwargs(version, {"host": "{{fid}}"}), 7)

    assert result["config"]["publishers"] == [{"host": expected}]


@pytest.mark.parametrize("given", [{}, {"config": None}, {"config": {}}, {"config": {"publishers": []}}])
def test_recorder_without_publishers_gets_its_arguments_as_they_are(given: dict[str, Any]) -> None:
    assert with_forked_process_id(given, 1) == given


def test_settings_are_not_changed() -> None:
    given = kwargs(1, {"host": "{{fid}}", "object": object})
    before = copy.deepcopy(given)

    with_forked_process_id(given, 1)

    assert given == before
