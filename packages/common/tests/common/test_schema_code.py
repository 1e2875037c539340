from __future__ import annotations

import copy
import datetime
import decimal
import enum
import importlib
import ipaddress
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest
from conformity import fields as untyped_fields
from conformity.fields import currency as untyped_currency
from conformity.types import Error as UntypedError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pysoa.common._schemas import CompiledSchema, compile_schema

# Type checkers do not see through the decorators of Conformity's classes.
fields: Any = untyped_fields
currency: Any = untyped_currency
currint: Any = importlib.import_module("currint")
Error: Any = UntypedError

_UTC = datetime.UTC


class _Text(str):
    __slots__ = ()


class _Number(int):
    __slots__ = ()


class _Blank(str):
    """Claims to have another length than it has."""

    __slots__ = ()

    def __len__(self) -> int:
        return 0


class _Color(enum.IntEnum):
    RED = 1


class _Dictionary(dict[Any, Any]):
    """Pretends to have a key that is not there."""

    def __missing__(self, key: object) -> object:
        return 1

    def __contains__(self, key: object) -> bool:
        return True


class _Moment(datetime.datetime):
    pass


class _OddAmount(currint.Amount):  # type: ignore[misc]  # a class of Any
    pass


def _amount(code: str, value: int) -> Any:
    return currint.Amount(currint.currencies[code], value)


# Values of every kind that a field may look at, near misses included.
_SCALARS: list[Any] = [
    None, True, False, 0, 1, -1, 2**70, 1.0, 0.5, -90.5, 181.0, float("nan"), float("inf"), 10, 5, 100,
    decimal.Decimal(1), decimal.Decimal("0.5"), decimal.Decimal("NaN"), decimal.Decimal("sNaN"),
    "", " ", "a", "b", "abc", "abcdef", "\t\n", "1", "1.5", "1e400", "12,34", "USD", "USD,100", "USD:1",
    "USD,x",
    "me@example.com", "me@localhost", "me@[127.0.0.1]", "me@exämple.com", "me@", "@",
    "me@host@example.com", '"quoted"@example.com', "me@trusted", "127.0.0.1", "256.1.1.1", "127.0.0.1\n",
    "::1", "1::2::3", "::ffff:1.2.3.4", "US", "datetime.datetime", "datetime:date",
    "no.such.module", "nonsense", "collections.OrderedDict",
    b"", b"a", b"abc", b" ", _Text("a"), _Text(""), _Number(1), _Blank("abc"), _Color.RED,
    datetime.datetime(2020, 1, 1), datetime.datetime(2021, 1, 1, tzinfo=_UTC), _Moment(2020, 1, 1),
    datetime.date(2020, 1, 1), datetime.date(2022, 1, 1), datetime.time(12), datetime.time(13, tzinfo=_UTC),
    datetime.timedelta(1), datetime.timedelta(-1), _UTC, object(), int, str, bool,
    _amount("USD", 100), _amount("EUR", -5), _OddAmount(currint.currencies["USD"], 7),
    ipaddress.ip_address("127.0.0.1"), range(2), iter(()),
]  # fmt: skip
_CONTAINERS: list[Any] = [
    [], ["a"], [1, 2], ["a", 1], [None], [["a"]], (), ("a",), (1, "a"), (1, "a", None), {1}, {"a"},
    frozenset({1, 2}), deque([1]), {}, {"a": 1}, {"a": "x", "b": 2}, {"a": 1, 2: 3}, {1: 2, None: 3},
    OrderedDict(a=1), OrderedDict(), defaultdict(int, a=1), _Dictionary(), {"kind": "a"},
    {"kind": "b", "x": 1}, {"kind": []}, {"kind": {"b": "c"}},
    {"currency": "USD", "value": 5}, {"path": "collections.OrderedDict"}, {"path": "x", "kwargs": {}},
    {"a": [{"a": 1}]}, {b"a": 1}, {("t",): 1}, [[[]]], {"a": {"a": {"a": None}}},
]  # fmt: skip

_anything = st.one_of(
    st.sampled_from(_SCALARS),
    st.sampled_from(_CONTAINERS),
    st.text(max_size=4),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.datetimes(),
    st.emails(),
    st.recursive(
        st.sampled_from(_SCALARS[:60]),
        lambda children: st.one_of(
            st.lists(children, max_size=3),
            st.lists(children, max_size=3).map(tuple),
            st.dictionaries(st.sampled_from(["a", "b", "kind", 1, None, b"a"]), children, max_size=3),
        ),
        max_leaves=4,
    ),
)


class _AtMostTwo(untyped_fields.AdditionalCollectionValidator[Any]):
    """Also raises for what it does not expect."""

    def errors(self, value: Any) -> list[Any]:
        if len(value) == 3:
            raise RuntimeError("three")
        return [Error("More than two")] if len(value) > 2 else []


class _Nothing(untyped_fields.AdditionalCollectionValidator[Any]):
    def errors(self, value: Any) -> Any:
        return None


class _Shouting(fields.UnicodeString):  # type: ignore[misc]  # a class of Any
    def errors(self, value: Any) -> list[Any]:
        errors: list[Any] = fields.UnicodeString.errors(self, value)
        return errors or ([] if value.isupper() else [Error("Not loud", pointer="voice")])


class _Lenient(fields.Base):  # type: ignore[misc]  # a class of Any
    """Returns nothing instead of an empty list, and raises for odd values."""

    def errors(self, value: Any) -> Any:
        if value == "a":
            raise LookupError("a")
        return None if isinstance(value, int) else [Error("No number")]

    def introspect(self) -> dict[str, Any]:
        return {"type": "lenient"}


class _Lazy(_Lenient):
    """Is always true, even without errors."""

    def errors(self, value: Any) -> Any:
        return (error for error in [Error("Null")] if value is None)


class _Point(fields.Dictionary):  # type: ignore[misc]  # a class of Any
    contents = {"x": fields.Integer(), "y": fields.Integer()}
    optional_keys = ("y",)
    description = "A point"


class _NamedPoint(_Point):
    def __init__(self) -> None:
        fields.Dictionary.__init__(self, allow_extra_keys=True)

    def introspect(self) -> dict[str, Any]:
        return {"type": "point", **fields.Dictionary.introspect(self)}


class _Moody(fields.Dictionary):  # type: ignore[misc]  # a class of Any
    """Has other contents each time."""

    def __init__(self) -> None:
        fields.Dictionary.__init__(self, {"a": fields.Integer()})

    @property
    def contents(self) -> Any:
        return {"a": fields.UnicodeString()}

    @contents.setter
    def contents(self, value: Any) -> None:
        pass


class _Ghost(fields.Dictionary):  # type: ignore[misc]  # a class of Any
    """Accepts more than its contents say."""

    def __getattribute__(self, name: str) -> Any:
        if name == "errors":
            return _never_valid
        return object.__getattribute__(self, name)


class _Words(fields.UnicodeString):  # type: ignore[misc]  # a class of Any
    valid_type = list
    valid_noun = "list"


class _Evens(fields.Integer):  # type: ignore[misc]  # a class of Any
    valid_type = (int, decimal.Decimal)
    valid_noun = "a number"


class _Odd(fields.DateTime):  # type: ignore[misc]  # a class of Any
    @classmethod
    def _invalid(cls, value: Any) -> bool:
        return not isinstance(value, (datetime.datetime, str))


@fields.ClassConfigurationSchema.provider(fields.Dictionary({"size": fields.Integer()}))
class Configurable:
    """Found by its path in a schema below."""


def _recursive_schema() -> Any:
    tree = fields.Dictionary({"a": fields.Integer()}, allow_extra_keys=True)
    tree.contents["a"] = fields.Any(fields.Integer(), tree, fields.List(tree))
    return tree


def _instance_with_its_own_errors() -> Any:
    field = fields.Integer()
    field.errors = _never_valid
    return field


def _never_valid(value: object) -> list[Any]:
    return [Error("Never")]


def _is_long(value: Any) -> bool:
    return len(value) > 1


def _deep_lists(depth: int) -> Any:
    field = fields.Integer()
    for _ in range(depth):
        field = fields.List(field, max_length=2)
    return field


def _shared_many_times(depth: int) -> Any:
    field = fields.Dictionary({"a": fields.Integer()})
    for _ in range(depth):
        field = fields.Dictionary({"a": field, "b": fields.Nullable(field)}, optional_keys=("b",))
    return field


class _Case(NamedTuple):
    """A schema, and values that must be accepted without asking Conformity."""

    make: Callable[[], Any]
    usual: tuple[Any, ...] = ()


_NOW = datetime.datetime(2020, 6, 1)
_CASES: dict[str, _Case] = {
    "anything": _Case(lambda: fields.Anything(), (None, object())),
    "hashable": _Case(lambda: fields.Hashable(), (1, "a", None, b"")),
    "boolean": _Case(lambda: fields.Boolean(), (True, False)),
    "constant": _Case(lambda: fields.Constant("a"), ("a",)),
    "constant-several": _Case(lambda: fields.Constant("a", "b", "{x}"), ("a", "b", "{x}")),
    "constant-braces": _Case(lambda: fields.Constant("{x}"), ("{x}",)),
    "constant-numbers": _Case(lambda: fields.Constant(1, "a", None), (1, True, 1.0, "a", None)),
    "constant-odd": _Case(lambda: fields.Constant(decimal.Decimal(1), frozenset({1}))),
    "integer": _Case(lambda: fields.Integer(), (0, 2**70)),
    "integer-limits": _Case(lambda: fields.Integer(gt=0, lte=10), (1, 10)),
    "integer-other-limits": _Case(lambda: fields.Integer(gte=0.5, lt=decimal.Decimal(10)), (1, 9)),
    "float": _Case(lambda: fields.Float(), (1, 0.5)),
    "float-limits": _Case(lambda: fields.Float(gte=-0.5, lt=10), (0, 9.9)),
    "float-nan-limit": _Case(lambda: fields.Float(gt=float("nan"))),
    "decimal": _Case(lambda: fields.Decimal(), (decimal.Decimal(1),)),
    "decimal-limits": _Case(lambda: fields.Decimal(gt=0, lt=5.5), (decimal.Decimal(1),)),
    "latitude": _Case(lambda: fields.Latitude(), (-90, 45.5)),
    "longitude": _Case(lambda: fields.Longitude(gte=-10), (-10, 180.0)),
    "own-number": _Case(lambda: _Evens(lt=50), (1, decimal.Decimal(1))),
    "unicode": _Case(lambda: fields.UnicodeString(), ("", "a")),
    "unicode-limits": _Case(lambda: fields.UnicodeString(min_length=1, max_length=3), ("a", "abc")),
    "unicode-not-blank": _Case(lambda: fields.UnicodeString(allow_blank=False), ("a", " a")),
    "bytes": _Case(lambda: fields.ByteString(max_length=2, allow_blank=False), (b"a",)),
    "unicode-decimal": _Case(lambda: fields.UnicodeDecimal()),
    "email": _Case(lambda: fields.EmailAddress(), ("me@example.com", "me@localhost")),
    "email-whitelist": _Case(lambda: fields.EmailAddress(whitelist=["trusted"]), ("me@trusted",)),
    "ipv4": _Case(lambda: fields.IPv4Address(), ("127.0.0.1",)),
    "ipv6": _Case(lambda: fields.IPv6Address()),
    "ip": _Case(lambda: fields.IPAddress(), ("127.0.0.1",)),
    "null": _Case(lambda: fields.Null(), (None,)),
    "nullable": _Case(lambda: fields.Nullable(fields.UnicodeString(max_length=3)), (None, "a")),
    "nullable-own": _Case(lambda: fields.Nullable(_Lenient()), (None,)),
    "nullable-twice": _Case(lambda: fields.Nullable(fields.Nullable(_Point())), (None, {"x": 1})),
    "datetime": _Case(lambda: fields.DateTime(), (_NOW, datetime.datetime.now(_UTC))),
    "datetime-limits": _Case(lambda: fields.DateTime(gt=datetime.datetime(2019, 1, 1), lte=_NOW), (_NOW,)),
    "datetime-aware-limit": _Case(lambda: fields.DateTime(gte=datetime.datetime(2019, 1, 1, tzinfo=_UTC))),
    "date": _Case(lambda: fields.Date(gte=datetime.date(2020, 1, 1)), (datetime.date(2020, 1, 1),)),
    "time": _Case(lambda: fields.Time(lt=datetime.time(14)), (datetime.time(13),)),
    "timedelta": _Case(lambda: fields.TimeDelta(gt=datetime.timedelta(0)), (datetime.timedelta(1),)),
    "tzinfo": _Case(lambda: fields.TZInfo(), (_UTC,)),
    "own-datetime": _Case(lambda: _Odd()),
    "object-instance": _Case(lambda: fields.ObjectInstance((str, list)), ("a", [], _Text("a"))),
    "type-reference": _Case(lambda: fields.TypeReference(base_classes=int)),
    "python-path": _Case(lambda: fields.PythonPath(value_schema=fields.ObjectInstance(type))),
    "type-path": _Case(lambda: fields.TypePath(base_classes=dict)),
    "class-configuration": _Case(lambda: fields.ClassConfigurationSchema(base_class=Configurable)),
    "boolean-validator": _Case(lambda: fields.BooleanValidator(_is_long, "long", "Short")),
    "deprecated": _Case(lambda: fields.Deprecated(fields.Integer())),
    "base": _Case(lambda: fields.Base()),
    "amount": _Case(lambda: currency.Amount(gt=0), (_amount("USD", 1),)),
    "amount-currencies": _Case(
        lambda: currency.Amount(valid_currencies={"EUR"}, lte=5), (_amount("EUR", 5),)
    ),
    "amount-string": _Case(lambda: currency.AmountString(lt=50)),
    "amount-request": _Case(
        lambda: currency.AmountRequestDictionary(gte=0), ({"currency": "USD", "value": 5},)
    ),
    "amount-response": _Case(
        lambda: currency.AmountResponseDictionary(major_value_required=False, display_required=False),
        ({"currency": "USD", "value": 5},),
    ),
    "currency-code": _Case(lambda: currency.CurrencyCodeField(), ("USD",)),
    "any": _Case(lambda: fields.Any(fields.Integer(), fields.UnicodeString(max_length=2)), (1, "a")),
    "any-types": _Case(
        lambda: fields.Any(fields.Integer(), fields.Null(), fields.DateTime()), (1, None, _NOW)
    ),
    "any-of-nothing": _Case(lambda: fields.Any(), (1,)),
    "any-that-raises-first": _Case(
        lambda: fields.Any(fields.DateTime(gt=_NOW), _Lenient(), fields.Anything()),
        (datetime.datetime(2021, 1, 1),),
    ),
    "any-of-dictionaries": _Case(
        lambda: fields.Any(
            fields.Dictionary({"kind": fields.Constant("a")}),
            fields.Dictionary({"kind": fields.Constant("b"), "x": fields.Integer()}),
            fields.List(fields.Integer()),
        ),
        ({"kind": "a"}, {"kind": "b", "x": 1}, [1]),
    ),
    "any-of-nested-dictionaries": _Case(
        lambda: fields.Any(
            fields.Dictionary({"a": fields.Dictionary({"a": fields.Integer()})}),
            fields.Dictionary({"a": fields.Anything()}, allow_extra_keys=True),
        ),
        ({"a": {"a": 1}},),
    ),
    "any-with-polymorph": _Case(
        lambda: fields.Any(fields.Polymorph("kind", {"a": _Point()}), fields.Anything()),
    ),
    "any-with-validator": _Case(
        lambda: fields.Any(
            fields.List(fields.Anything(), additional_validator=_AtMostTwo()), fields.Anything()
        ),
        ([1],),
    ),
    "any-with-lazy-errors": _Case(lambda: fields.Any(fields.List(_Lazy()), fields.Integer()), ([], 1)),
    "all": _Case(lambda: fields.All(fields.Integer(gt=0), fields.Integer(lt=9), fields.Constant(5)), (5,)),
    "all-of-nothing": _Case(lambda: fields.All(), (1,)),
    "nullable-all-of-nothing": _Case(lambda: fields.Nullable(fields.All()), (1, None)),
    "polymorph": _Case(
        lambda: fields.Polymorph(
            "kind",
            {
                "a": fields.Dictionary({"kind": fields.Constant("a")}),
                "b": fields.Dictionary({"kind": fields.Anything(), "x": fields.Integer()}),
            },
        ),
        ({"kind": "a"}, {"kind": "b", "x": 1}),
    ),
    "polymorph-default": _Case(
        lambda: fields.Polymorph("kind.b", {"__default__": fields.Anything(), "c": fields.Null()}),
        ({"kind": {"b": 1}},),
    ),
    "list": _Case(lambda: fields.List(fields.UnicodeString()), ([], ["a", "b"])),
    "list-limits": _Case(lambda: fields.List(fields.Integer(), min_length=1, max_length=2), ([1], [1, 2])),
    "list-nullable": _Case(lambda: fields.List(fields.Nullable(fields.Float())), ([None, 1, 0.5],)),
    "list-anything": _Case(lambda: fields.List(fields.Anything()), ([1, None],)),
    "list-conditions": _Case(lambda: fields.List(fields.Integer(gt=0)), ([1, 2],)),
    "list-own": _Case(lambda: fields.List(_Lenient()), ([1],)),
    "list-all-of-nothing": _Case(lambda: fields.List(fields.All()), ([1],)),
    "list-validator": _Case(
        lambda: fields.List(fields.Integer(), additional_validator=_AtMostTwo()), ([1, 2],)
    ),
    "list-quiet-validator": _Case(
        lambda: fields.List(fields.Integer(), additional_validator=_Nothing()), ([1, 2, 3],)
    ),
    "sequence": _Case(lambda: fields.Sequence(fields.UnicodeString()), (["a"], ("a", "b"))),
    "set": _Case(lambda: fields.Set(fields.Integer(), min_length=1), ({1}, frozenset({1, 2}))),
    "tuple": _Case(lambda: fields.Tuple(fields.Integer(), fields.UnicodeString()), ((1, "a"),)),
    "tuple-empty": _Case(lambda: fields.Tuple(), ((),)),
    "tuple-validator": _Case(
        lambda: fields.Tuple(fields.Integer(), fields.Anything(), additional_validator=_AtMostTwo()),
        ((1, "a"),),
    ),
    "schemaless": _Case(lambda: fields.SchemalessDictionary(), ({}, {"a": 1, None: 2})),
    "schemaless-types": _Case(
        lambda: fields.SchemalessDictionary(
            key_type=fields.UnicodeString(), value_type=fields.Integer(), min_length=1, max_length=2
        ),
        ({"a": 1},),
    ),
    "schemaless-nested": _Case(
        lambda: fields.SchemalessDictionary(
            key_type=fields.UnicodeString(max_length=1),
            value_type=fields.List(fields.SchemalessDictionary(value_type=fields.Integer(gt=0))),
            additional_validator=_AtMostTwo(),
        ),
        ({"a": [{"a": 1}]},),
    ),
    "dictionary": _Case(
        lambda: fields.Dictionary({"a": fields.Integer(), "b": fields.UnicodeString()}), ({"a": 1, "b": "x"},)
    ),
    "dictionary-optional": _Case(
        lambda: fields.Dictionary(
            OrderedDict((("a", fields.Anything()), ("b", fields.Anything()))), optional_keys=("b",)
        ),
        ({"a": 1}, {"a": 1, "b": 2}),
    ),
    "dictionary-extra": _Case(
        lambda: fields.Dictionary({"a": fields.Integer()}, optional_keys=("a",), allow_extra_keys=True),
        ({}, {"a": 1}, {2: 3}),
    ),
    "dictionary-empty": _Case(lambda: fields.Dictionary({}), ({},)),
    "dictionary-odd-keys": _Case(
        lambda: fields.Dictionary(
            {1: fields.Integer(), **dict.fromkeys((None, ("t",), b"a"), fields.Anything())},
            optional_keys=(None, ("t",), b"a"),
        ),
        ({1: 2, None: 3}, {True: 1}),
    ),
    "dictionary-validator": _Case(
        lambda: fields.Dictionary(
            {"a": fields.Integer()}, allow_extra_keys=True, additional_validator=_AtMostTwo()
        ),
        ({"a": 1, "b": 2},),
    ),
    "dictionary-subclass": _Case(lambda: _Point(), ({"x": 1}, {"x": 1, "y": 2})),
    "dictionary-subclass-of-subclass": _Case(lambda: _NamedPoint(), ({"x": 1, "z": 2},)),
    "dictionary-with-property": _Case(lambda: _Moody()),
    "dictionary-with-getattribute": _Case(lambda: _Ghost({"a": fields.Integer()})),
    "odd-limits": _Case(
        lambda: fields.Tuple(
            fields.Integer(gt=_Number(0)),
            fields.UnicodeString(max_length=_Number(1)),
            currency.Amount(gt=_Number(0)),
        ),
        ((1, "a", _amount("USD", 1)),),
    ),
    "odd-types": _Case(lambda: fields.Any(_Words(), fields.IPv4Address(max_length=_Number(9)))),
    "own-string": _Case(lambda: _Shouting()),
    "own-field": _Case(lambda: _Lenient()),
    "lazy-field": _Case(lambda: _Lazy()),
    "instance-with-its-own-errors": _Case(_instance_with_its_own_errors),
    "own-fields-nested": _Case(
        lambda: fields.Dictionary({"a": fields.List(_Shouting()), "b": _Lenient()}, optional_keys=("a", "b")),
        ({"a": ["X"], "b": 1},),
    ),
    "recursive": _Case(_recursive_schema, ({"a": 1}, {"a": {"a": 1}}, {"a": [{"a": 1}]})),
    "deep": _Case(lambda: _deep_lists(40), ([[[]]],)),
    "shared": _Case(lambda: _shared_many_times(30)),
}


def _outcome(errors: Callable[[Any], Any], value: Any) -> Any:
    try:
        # A copy, because a configuration schema completes what it validates.
        found = errors(copy.deepcopy(value) if type(value) in (dict, list) else value)
    except Exception as error:
        return type(error), str(error)
    return [(error.code, error.message, error.pointer) for error in found or ()]


def _errors_found_by(compiled: CompiledSchema, value: Any) -> Any:
    try:
        is_certainly_valid = compiled.is_certainly_valid(value)
    except Exception as error:
        pytest.fail(f"The check raised {error!r}")
    return [] if is_certainly_valid else compiled.errors(value)


_SCHEMAS = {name: (schema := case.make(), compile_schema(schema)) for name, case in _CASES.items()}
_names = pytest.mark.parametrize("name", _CASES)


@_names
def test_usual_values_are_accepted_without_asking_conformity(name: str) -> None:
    schema, compiled = _SCHEMAS[name]

    for value in _CASES[name].usual:
        assert not list(schema.errors(value) or ())
        assert compiled.is_certainly_valid(value) is True
        assert compiled.errors(value) == []


@_names
def test_every_kind_of_value_has_the_outcome_of_conformity(name: str) -> None:
    schema, compiled = _SCHEMAS[name]

    for value in (*_SCALARS, *_CONTAINERS, *_CASES[name].usual):
        assert _outcome(partial(_errors_found_by, compiled), value) == _outcome(schema.errors, value), repr(
            value
        )


@_names
@settings(max_examples=20)
@given(_anything)
def test_random_values_have_the_outcome_of_conformity(name: str, value: Any) -> None:
    schema, compiled = _SCHEMAS[name]

    assert _outcome(partial(_errors_found_by, compiled), value) == _outcome(schema.errors, value)


_leaf_names = [name for name in _CASES if name not in ("recursive", "deep", "shared", "class-configuration")]


def _composed(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Combine fields; each comes with a strategy for values that it might accept."""
    keys = st.sampled_from(["a", "b", "kind", 1])
    lengths = st.sampled_from([None, 1, 2])
    validators = st.sampled_from([None, None, _AtMostTwo(), _Nothing()])

    def dictionary(pairs: dict[Any, Any], optional: set[Any], extra: bool, validator: Any) -> Any:
        schema = fields.Dictionary(
            {key: pair[0] for key, pair in pairs.items()},
            optional_keys=tuple(optional),
            allow_extra_keys=extra,
            additional_validator=validator,
        )
        required = {key: pair[1] for key, pair in pairs.items()}
        return schema, st.one_of(
            st.fixed_dictionaries(required),
            st.fixed_dictionaries({}, optional=required),
            st.fixed_dictionaries({**required, "extra": _anything}),
            st.fixed_dictionaries(required).map(OrderedDict),
        )

    def collection(pair: Any, kind: str, longest: Any, validator: Any) -> Any:
        schema = getattr(fields, kind)(pair[0], max_length=longest, additional_validator=validator)
        return schema, st.one_of(st.lists(pair[1], max_size=3), st.lists(pair[1], max_size=3).map(tuple))

    def schemaless(key: Any, pair: Any, validator: Any) -> Any:
        schema = fields.SchemalessDictionary(key_type=key, value_type=pair[0], additional_validator=validator)
        return schema, st.dictionaries(st.one_of(keys, st.none()), pair[1], max_size=3)

    def combination(pairs: list[Any], kind: str) -> Any:
        schema = getattr(fields, kind)(*(pair[0] for pair in pairs))
        return schema, st.one_of([_anything, *(pair[1] for pair in pairs)])

    def fixed_tuple(pairs: list[Any]) -> Any:
        return fields.Tuple(*(pair[0] for pair in pairs)), st.tuples(*(pair[1] for pair in pairs))

    def nullable(pair: Any) -> Any:
        return fields.Nullable(pair[0]), st.one_of(st.none(), pair[1])

    def polymorph(pairs: dict[str, Any]) -> Any:
        schema = fields.Polymorph("kind", {key: pair[0] for key, pair in pairs.items()})
        bodies = st.fixed_dictionaries({"kind": st.sampled_from(["a", "b", "c"])})
        return schema, st.one_of(bodies, *(pair[1] for pair in pairs.values()))

    return st.one_of(
        st.builds(
            dictionary, st.dictionaries(keys, children, max_size=3), st.sets(keys), st.booleans(), validators
        ),
        st.builds(collection, children, st.sampled_from(["List", "Sequence"]), lengths, validators),
        st.builds(
            schemaless,
            st.sampled_from([fields.Hashable(), fields.UnicodeString(), _Lenient()]),
            children,
            validators,
        ),
        st.builds(combination, st.lists(children, max_size=3), st.sampled_from(["Any", "All"])),
        st.builds(fixed_tuple, st.lists(children, max_size=3)),
        st.builds(nullable, children),
        st.builds(polymorph, st.dictionaries(st.sampled_from(["a", "__default__"]), children, max_size=3)),
    )


def _leaf(name: str) -> Any:
    usual = _CASES[name].usual
    return _SCHEMAS[name][0], st.one_of([*([st.sampled_from(usual)] * 3 if usual else []), _anything])


_leaves = st.sampled_from(_leaf_names).map(_leaf)
_schemas_and_values = st.recursive(_leaves, _composed, max_leaves=8)


@settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    deadline=None,
)
@given(st.data())
def test_nested_schemas_have_the_outcomes_of_conformity(data: st.DataObject) -> None:
    schema, values = data.draw(_schemas_and_values)
    compiled = compile_schema(schema)
    values_and_others: st.SearchStrategy[Any] = st.one_of(values, values, _anything)

    for _ in range(5):
        value: Any = data.draw(values_and_others)
        assert _outcome(partial(_errors_found_by, compiled), value) == _outcome(schema.errors, value)


def test_big_schema_shared_in_many_places_compiles_quickly() -> None:
    started = time.perf_counter()

    compile_schema(_shared_many_times(200))

    assert time.perf_counter() - started < 10
