from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable
from typing import Any

import freezegun
import pytest
from conformity import fields as untyped_fields
from conformity.constants import ERROR_CODE_INVALID
from conformity.types import Error as UntypedError

from pysoa.common._schemas import CompiledSchema, compile_schema
from pysoa.common.interfaces import Schema

# Type checkers do not see through the decorators of Conformity's classes.
fields: Any = untyped_fields
Error: Any = UntypedError

_UTC = datetime.UTC
_NOW = datetime.datetime(2020, 6, 1)


def _as_tuples(errors: list[Any]) -> list[tuple[str, str, str | None]]:
    return [(error.code, error.message, error.pointer) for error in errors]


def _errors(compiled: CompiledSchema, value: Any) -> list[Any]:
    return [] if compiled.is_certainly_valid(value) else compiled.errors(value)


def test_option_after_one_that_raises_is_not_reached() -> None:
    schema = fields.Any(fields.DateTime(gt=datetime.datetime(2020, 1, 1, tzinfo=_UTC)), fields.Anything())

    with pytest.raises(TypeError, match="offset-naive"):
        _errors(compile_schema(schema), datetime.datetime(2020, 1, 1))


def test_superfluous_keys_that_cannot_be_sorted_raise_as_in_conformity() -> None:
    schema = fields.Any(fields.Dictionary({"a": fields.Integer()}), fields.SchemalessDictionary())

    with pytest.raises(TypeError, match="not supported between"):
        _errors(compile_schema(schema), {"a": 1, "b": 2, 3: 4})


def test_frozen_time_changes_nothing() -> None:
    before = compile_schema(fields.List(fields.DateTime(gt=datetime.datetime(2000, 1, 1))))

    with freezegun.freeze_time("2020-06-01"):
        during = compile_schema(fields.List(fields.DateTime(gt=datetime.datetime(2000, 1, 1))))
        values = [datetime.datetime.now(), _NOW]

        assert _errors(before, values) == _errors(during, values) == []
    assert _errors(before, values) == _errors(during, values) == []


def test_deprecation_warnings_of_a_schema_are_still_there() -> None:
    schema = fields.Dictionary({"a": fields.Deprecated(fields.Integer(), message="Use b")})
    compiled = compile_schema(schema)

    (warning,) = compiled.warnings({"a": 1})

    assert (warning.code, warning.message, warning.pointer) == ("FIELD_DEPRECATED", "Use b", "a")
    assert _as_tuples(_errors(compiled, {"a": 1})) == [
        (ERROR_CODE_INVALID, "Validation not implemented on base type", "a")
    ]


class _OddNumbers:
    """A schema of another library."""

    def errors(self, value: Any) -> tuple[Any, ...]:
        return () if value % 2 else (Error("Even"),)

    def introspect(self) -> dict[str, Any]:
        return {"type": "odd"}


def test_schema_of_another_library_is_used_as_it_is() -> None:
    schema: Schema = _OddNumbers()
    compiled = compile_schema(schema)

    assert _errors(compiled, 1) == []
    assert [error.message for error in _errors(compiled, 2)] == ["Even"]
    assert compiled.introspect() == {"type": "odd"}
    assert compiled.warnings(1) == []
    assert compiled.schema is schema
    assert isinstance(compiled, Schema)


def test_introspection_is_that_of_the_schema() -> None:
    schema = fields.Dictionary({"a": fields.Nullable(fields.Integer(gt=1))}, optional_keys=("a",))

    assert compile_schema(schema).introspect() == schema.introspect()


def test_field_that_lacks_its_attributes_fails_when_it_is_used() -> None:
    class Broken(fields.UnicodeString):  # type: ignore[misc]  # a class of Any
        def __init__(self) -> None:
            pass

    compiled = compile_schema(Broken())

    with pytest.raises(AttributeError):
        _errors(compiled, "a")
    assert _as_tuples(_errors(compiled, 1)) == [(ERROR_CODE_INVALID, "Not a unicode string", None)]


def test_one_compiled_schema_serves_many_threads() -> None:
    schema = fields.Dictionary({"a": fields.List(fields.Integer(gt=0)), "b": fields.UnicodeString()})
    compiled = compile_schema(schema)
    wrong: list[Any] = []

    def validate(number: int) -> None:
        for turn in range(300):
            value = {"a": [number, turn], "b": "x"}
            expected = [] if turn else [(ERROR_CODE_INVALID, "Value not > 0", "a.1")]
            outcome = _as_tuples(_errors(compiled, value))
            if outcome != expected:
                wrong.append(outcome)

    threads = [threading.Thread(target=validate, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert wrong == []


def test_valid_bodies_are_checked_many_times_faster_than_by_conformity() -> None:
    row = fields.Dictionary(
        {
            "id": fields.Integer(gte=0),
            "name": fields.UnicodeString(max_length=100),
            "tags": fields.List(fields.UnicodeString()),
            "note": fields.Nullable(fields.Any(fields.Integer(), fields.UnicodeString())),
            "created": fields.DateTime(),
        },
        optional_keys=("note",),
    )
    schema = fields.Dictionary({"rows": fields.List(row)})
    compiled = compile_schema(schema)
    body = {"rows": [{"id": 1, "name": "x", "tags": ["a", "b"], "note": "y", "created": _NOW}] * 50}

    def seconds(check: Callable[[Any], Any]) -> float:
        rounds: list[float] = []
        for _ in range(5):
            started = time.perf_counter()
            check(body)
            rounds.append(time.perf_counter() - started)
        return min(rounds)

    assert seconds(compiled.is_certainly_valid) * 8 < seconds(schema.errors)
