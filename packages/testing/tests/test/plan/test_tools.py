"""Paths and variables."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysoa.test.plan.errors import StatusError
from pysoa.test.plan.grammar._paths import join_path
from pysoa.test.plan.grammar.tools import get_all_paths, path_get, path_put, substitute_variables

KEYS = st.sampled_from(["a", "b", "a.b", "7", "{x}", "{a.b}", "é c", "-"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: (
        st.dictionaries(KEYS, inner, min_size=1, max_size=3) | st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES, min_size=1))
def test_values_put_at_all_paths_make_up_the_whole(data: dict[str, Any]) -> None:
    rebuilt: dict[str, Any] = {}

    for path in get_all_paths(data, allow_blank=True):
        path_put(rebuilt, path, path_get(data, path))

    assert rebuilt == data


WRITES: list[tuple[str, object]] = [
    ("a.b.0.c", {"a": {"b": [{"c": "v"}]}}),
    ("a.{b.c}", {"a": {"b.c": "v"}}),
    ("a.{7}", {"a": {"7": "v"}}),
    ("{{k.m}}", {"{k.m}": "v"}),
    ("a.2", {"a": [{}, {}, "v"]}),
    ("a.1.0", {"a": [[], ["v"]]}),
]


@pytest.mark.parametrize(("path", "result"), WRITES)
def test_writing_creates_dictionaries_and_lists(path: str, result: object) -> None:
    out: dict[str, Any] = {}

    path_put(out, path, "v")

    assert out == result
    assert path_get(out, path) == "v"


def test_index_as_first_element_needs_a_list() -> None:
    out: list[Any] = []

    path_put(out, "0.a", 1)

    assert out == [{"a": 1}]


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("a.0", "`0` in path `a.0` is a list index, but other lines put a dict there"),
        ("a.b.c", "`c` in path `a.b.c` is a key, but other lines put a int there"),
        ("d.e", "`e` in path `d.e` is a key, but other lines put a list there"),
        ("a..b", "Path `a..b` lacks a name at character 3"),
        ("{a", "Path `{a` lacks the brace that closes the one at character 1"),
        ("a}b", "Path `a}b` lacks a dot at character 2"),
    ],
)
def test_impossible_path_is_refused(path: str, error: str) -> None:
    with pytest.raises((TypeError, ValueError), match="^" + error.replace("{", r"\{").replace("}", r"\}")):
        path_put({"a": {"b": 1}, "d": [1]}, path, 1)


@pytest.mark.parametrize(
    ("path", "error"),
    [("x", KeyError), ("a.5", IndexError), ("a.b", TypeError), ("a.0.b", TypeError), ("n.b", TypeError)],
)
def test_reading_what_is_not_there_raises(path: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        path_get({"a": [1], "n": None}, path)


def test_reading_works_on_tuples_sets_and_keys_of_digits() -> None:
    assert path_get({"a": ({3, 1, 2}, {"7": "x"})}, "a.0.2") == 3
    assert path_get({"a": ({3, 1, 2}, {"7": "x"})}, "a.1.7") == "x"


def test_paths_of_keys_with_special_characters_are_braced() -> None:
    assert get_all_paths({"a.b": 1, "7": 2, "c": [3], "d": {}}) == ["{7}", "{a.b}", "c.0"]
    assert get_all_paths({"d": {}}, allow_blank=True) == ["d"]
    assert join_path("a", "b c") == "a.b c"


RESPONSES: dict[str, Any] = {
    "get_user.0": {"user": {"id": 7, "Name": "Ada"}, "tags": ["x"]},
    "get_user.1": {"user": {"id": 8}},
    "load2.0": {"n": 1},
    "load2.1": {"n": 2},
}
CONSTANTS = {"users": [{"id": 1}, {"id": 2}], "CURRENCY": "BRL", "get_user": {"never": "seen"}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[[GET_USER.user.id]]", 7),
        ("[[get_user.user.id]]", 7),
        ("[[GET_USER.0.user.id]]", 7),
        ("[[GET_USER.1.user.id]]", 8),
        ("[[{get_user.1}.user.id]]", 8),
        ("[[GET_USER.user]]", {"id": 7, "Name": "Ada"}),
        ("[[GET_USER.user.Name]]", "Ada"),
        ("[[GET_USER.tags.0]]", "x"),
        ("no. [[GET_USER.user.id]] of [[CURRENCY]]", "no. 7 of BRL"),
        ("[[users.1.id]]", 2),
        ("[[CURRENCY]]", "BRL"),
        ("[[not closed", "[[not closed"),
        ("[[no blanks]]", "[[no blanks]]"),
    ],
)
def test_placeholder_stands_for_value(text: str, value: object) -> None:
    data = {"a": [text], "b": (text,), "c": 5}

    substitute_variables(data, RESPONSES, CONSTANTS)

    assert data == {"a": [value], "b": (value,), "c": 5}


@pytest.mark.parametrize(
    "path", ["NOBODY.id", "GET_USER.user.id.x", "GET_USER.user.0.y", "users.id", "{get_user"]
)
def test_placeholder_for_nothing_is_an_error_that_names_what_is_known(path: str) -> None:
    with pytest.raises(StatusError) as failure:
        substitute_variables({"a": f"[[{path}]]"}, RESPONSES, CONSTANTS)

    assert str(failure.value).startswith(
        f"Could not find value {path} for [[{path}]] in sources (`get_user.0`,"
    )


def test_substituted_containers_are_copies() -> None:
    data: dict[str, Any] = {"a": "[[GET_USER.tags]]"}

    substitute_variables(data, RESPONSES)

    assert data["a"] is not RESPONSES["get_user.0"]["tags"]


def test_actions_with_digits_are_referenced_with_an_index() -> None:
    data: dict[str, Any] = {"a": "[[LOAD2.1.n]]", "b": "[[load2.n]]"}

    substitute_variables(data, RESPONSES)

    assert data == {"a": 2, "b": 1}


def test_long_unclosed_placeholders_take_no_time() -> None:
    started = time.perf_counter()

    substitute_variables({"a": "[[" + "a.1{}" * 20_000, "b": "[[a" * 20_000}, RESPONSES)

    assert time.perf_counter() - started < 2


def test_responses_and_constants_are_put_into_a_test_case(run_case: Callable[[str], None]) -> None:
    run_case(
        """
        echo: input int: id: [[user.id]]
        echo: input: tags: [[TAGS]]
        echo: job context input: locale: [[user.name]]
        echo: expect int: attribute value: id: 7
        echo2.1: input: text: [[ECHO.id]] is [[user.name]]
        echo2.1: input: list: [[ECHO.tags]]
        echo2.1: expect: attribute value: text: [[echo.0.id]] is Ada
        echo2.1: expect: attribute value: list.0: a
        echo2.1: expect: attribute value: list.1: b
        echo2.1: expect: not attribute value: text: [[ECHO.id]]
        token: input: text: [[ECHO2.1.text]]
        token: mock: urllib.parse: quote.return_value: "[[ECHO.id]]"
        token: mock: urllib.parse: expect called quote: [["[[ECHO2.1.text]]"], {}]
        token: expect int: attribute value: token: 7
        """
    )


def test_expectations_refer_to_their_own_response(run_case: Callable[[str], None]) -> None:
    run_case(
        """
        echo: input: original: x
        echo: input: copy: x
        echo: expect: attribute value: copy: [[ECHO.original]]
        """
    )


def test_unknown_placeholder_of_a_failed_action_tells_its_errors(run_case: Callable[[str], None]) -> None:
    with pytest.raises(StatusError, match=r"(?s)Could not find value FAIL_JOB.id.*code='OVERLOADED'"):
        run_case("fail_job: expect: attribute value: a: [[FAIL_JOB.id]]")


def test_placeholders_have_no_effect_in_error_expectations(run_case: Callable[[str], None]) -> None:
    with pytest.raises(AssertionError, match=r"message='\[\[user.name\]\]'"):
        run_case("fail_job: expect: job error: code=OVERLOADED, message=[[user.name]]")
