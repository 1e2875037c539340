from __future__ import annotations

import copy
import datetime
import time
from collections import OrderedDict
from typing import Any

import pytest
from conformity import fields as untyped_fields
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pysoa.server._job_envelope import is_usual_job_request, job_request_errors

fields: Any = untyped_fields  # Conformity's constructors are typed too loosely for strict checking.

# Written as PySOA 1.4.9 has it, contents in the same order.
_REFERENCE = fields.Dictionary(
    {
        "control": fields.Dictionary(
            {"continue_on_error": fields.Boolean(), "suppress_response": fields.Boolean()},
            optional_keys=("suppress_response",),
            allow_extra_keys=True,
        ),
        "context": fields.Dictionary(
            {
                "caller": fields.UnicodeString(),
                "calling_service": fields.UnicodeString(),
                "correlation_id": fields.UnicodeString(),
                "switches": fields.List(fields.Integer()),
            },
            optional_keys=("caller", "calling_service"),
            allow_extra_keys=True,
        ),
        "actions": fields.List(
            fields.Dictionary(
                {
                    "action": fields.UnicodeString(),
                    "body": fields.SchemalessDictionary(key_type=fields.UnicodeString()),
                },
                optional_keys=("body",),
            ),
            min_length=1,
        ),
    }
)

_VALID: dict[str, Any] = {
    "control": {"continue_on_error": False, "suppress_response": True, "timeout": 5},
    "context": {
        "switches": [1, 2],
        "correlation_id": "abc",
        "caller": "me",
        "calling_service": "user",
        "request_id": 3,
        "cls": 4,
    },
    "actions": [
        {"action": "status", "body": {"verbose": True, "nested": {1: [None]}}},
        {"action": "introspect"},
        {"action": "other", "body": {}},
    ],
}


class _Text(str):
    __slots__ = ()


class _Number(int):
    __slots__ = ()


_ErrorTuple = tuple[str, str, str | None]


def _as_tuples(errors: list[Any]) -> list[_ErrorTuple]:
    return [(error.code, error.message, error.pointer) for error in errors]


def _assert_same_errors(job_request: object) -> None:
    errors = _as_tuples(job_request_errors(job_request))

    try:
        expected = _as_tuples(_REFERENCE.errors(job_request))
    except TypeError:  # Conformity cannot sort the names of extra keys.
        assert any(message.startswith("Extra keys present: ") for _, message, _ in errors)
    else:
        assert errors == expected
    assert not (errors and is_usual_job_request(job_request))


def test_valid_request_has_no_errors() -> None:
    assert job_request_errors(_VALID) == []


@pytest.mark.parametrize(
    ("job_request", "expected"),
    [
        (
            {},
            [
                ("MISSING", "Missing key: control", "control"),
                ("MISSING", "Missing key: context", "context"),
                ("MISSING", "Missing key: actions", "actions"),
            ],
        ),
        ({**_VALID, "foo": 1}, [("UNKNOWN", "Extra keys present: foo", None)]),
        ({**_VALID, "actions": []}, [("INVALID", "List is shorter than 1", "actions")]),
        (
            {**_VALID, "actions": [{"action": "a", "body": None}]},
            [("INVALID", "Not a dict", "actions.0.body")],
        ),
        (
            {**_VALID, "actions": [{"action": "a", "zz": 1}]},
            [("UNKNOWN", "Extra keys present: zz", "actions.0")],
        ),
        (
            {**_VALID, "context": {"switches": [1, True], "correlation_id": "x"}},
            [("INVALID", "Not an integer", "context.switches.1")],
        ),
        (
            {**_VALID, "context": {}, "control": {}},
            [
                ("MISSING", "Missing key: continue_on_error", "control.continue_on_error"),
                ("MISSING", "Missing key: correlation_id", "context.correlation_id"),
                ("MISSING", "Missing key: switches", "context.switches"),
            ],
        ),
        (
            {**_VALID, "actions": [{"action": "a", "body": {b"k": 1}}]},
            [("INVALID", "Not a unicode string", "actions.0.body.b'k'")],
        ),
        (None, [("INVALID", "Not a dict", None)]),
    ],
    ids=[
        "empty", "extra-key", "no-actions", "null-body", "extra-key-in-action", "boolean-switch",
        "empty-headers", "bytes-key-in-body", "null",
    ],
)  # fmt: skip
def test_errors_are_those_of_pysoa_1(
    job_request: object, expected: list[tuple[str, str, str | None]]
) -> None:
    assert _as_tuples(job_request_errors(job_request)) == expected
    _assert_same_errors(job_request)


def test_extra_keys_that_cannot_be_sorted_are_an_error_and_not_an_exception() -> None:
    errors = job_request_errors(_WITH_ODD_KEYS)

    assert _as_tuples(errors) == [("UNKNOWN", "Extra keys present: 2, None, foo", None)]


_WITH_ODD_KEYS: dict[Any, Any] = {**_VALID, "foo": 1, 2: 3, None: 4}
_SUBCLASSES: list[Any] = [
    OrderedDict(_VALID),
    {**_VALID, "context": OrderedDict(_VALID["context"])},
    {**_VALID, "context": {**_VALID["context"], "correlation_id": _Text("x"), "switches": [_Number(1)]}},
    {**_VALID, "actions": [OrderedDict(action=_Text("a"), body=OrderedDict([(_Text("k"), 1)]))]},
]


@pytest.mark.parametrize("job_request", _SUBCLASSES, ids=["request", "context", "scalars", "action"])
def test_subclasses_of_the_usual_types_are_accepted(job_request: object) -> None:
    assert job_request_errors(job_request) == []
    _assert_same_errors(job_request)


_scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(allow_nan=False), st.text(max_size=3),
    st.binary(max_size=2), st.datetimes(), st.builds(_Text, st.text(max_size=2)), st.builds(_Number,
    st.just(1)),
)  # fmt: skip
_keys = st.one_of(
    st.text(max_size=2), st.binary(max_size=2), st.integers(0, 2), st.none(), st.tuples(st.integers(0, 1)),
    st.sampled_from(["control", "context", "actions", "action", "body", "switches", "suppress_response"]),
)  # fmt: skip
_junk = st.recursive(
    _scalars,
    lambda children: st.one_of(
        st.lists(children, max_size=3),
        st.tuples(children),
        st.dictionaries(_keys, children, max_size=3),
        st.dictionaries(_keys, children, max_size=2).map(OrderedDict),
    ),
    max_leaves=5,
)


@st.composite
def _mutated_requests(draw: st.DrawFn) -> Any:
    job_request = copy.deepcopy(_VALID)
    for _ in range(draw(st.integers(0, 4))):
        place: Any = job_request
        while True:
            is_dictionary = isinstance(place, dict)
            key: Any = draw(st.sampled_from(list(place) if is_dictionary else range(len(place))))
            below: Any = place[key]
            if type(below) not in (dict, list) or not below or draw(st.booleans()):
                break
            place = below
        change = draw(st.sampled_from(["replace", "delete", "add"]))
        if change == "replace":
            place[key] = draw(_junk)
        elif change == "delete":
            del place[key]
        elif is_dictionary:
            place[draw(_keys)] = draw(_junk)
        else:
            place.append(draw(_junk))
        if not job_request:
            break
    return job_request


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(_mutated_requests())
@example({**_VALID, "context": {"switches": [True], "correlation_id": None, "caller": None}})
@example({**_VALID, "control": {"continue_on_error": 0, "suppress_response": None}})
def test_mutated_requests_have_the_same_errors_as_conformity_finds(job_request: Any) -> None:
    _assert_same_errors(job_request)


@given(_junk)
@example(datetime.datetime(2020, 1, 1))
def test_anything_has_the_same_errors_as_conformity_finds(job_request: Any) -> None:
    _assert_same_errors(job_request)


def test_usual_request_is_checked_many_times_faster_than_by_conformity() -> None:
    usual = {**_VALID, "actions": [action for action in _VALID["actions"] if "body" in action]}
    assert is_usual_job_request(usual)

    def seconds(check: Any) -> float:
        rounds: list[float] = []
        for _ in range(5):
            started = time.perf_counter()
            for _ in range(500):
                check(usual)
            rounds.append(time.perf_counter() - started)
        return min(rounds)

    assert seconds(is_usual_job_request) * 4 < seconds(_REFERENCE.errors)
