"""What Conformity's simple fields certainly accept, as Python expressions.

An expression may be false for a value that is fine; the field itself then has the last word. So expressions
ask for exact types, and leave subclasses, which may behave in any way, to the field.
"""

from __future__ import annotations

import builtins
import datetime
import decimal
import sys
from collections.abc import Callable, Iterable
from types import NoneType
from typing import Any, Final, cast

import attrs
from conformity.fields.net import ipv4_regex

__all__ = (
    "ALWAYS",
    "SCALARS",
    "Condition",
    "Constants",
    "Expression",
    "condition_for_types",
    "leaf_condition",
)

_Match = Callable[[str], object]
Expression = Callable[[str], str]
"""Makes the source of a test for the variable of the given name."""

SCALARS: Final[frozenset[type]] = frozenset({str, int, bool, float, bytes, NoneType})
"""Types whose instances are hashable and can be compared with each other for equality."""

# In containers, because freezegun replaces these classes where they are attributes of modules.
_TEMPORAL_TYPES = (datetime.datetime, datetime.date, datetime.time, datetime.timedelta)
_ALWAYS_COMPARABLE = frozenset({datetime.date, datetime.timedelta})
_TIMEZONE_TYPES = (datetime.tzinfo, datetime.timezone)
_LIMITS = (("gt", ">"), ("lt", "<"), ("gte", ">="), ("lte", "<="))


@attrs.frozen
class Condition:
    """When a value certainly has no errors."""

    on: Expression
    """The test; true only if there are no errors."""
    types: frozenset[type] | None = None
    """Types all of whose instances are accepted, if nothing but the type matters."""
    never_raises: bool = True
    """Whether the field's ``errors`` returns for every value."""


ALWAYS: Final = Condition(lambda x: "True")  # noqa: ARG005 - it does not depend on the variable
"""The condition of fields that accept everything."""


class Constants:
    """The global names of generated code, and what they stand for."""

    def __init__(self) -> None:
        self.namespace: dict[str, object] = {}

    def name(self, value: object) -> str:
        """Return a new name for a value."""
        name = f"c{len(self.namespace)}"
        self.namespace[name] = value
        return name

    def literal(self, value: object) -> str:
        """Return the source of a value: a literal if there is a short one, else a name."""
        if type(value) is str or (type(value) is int and value.bit_length() < 64):
            return repr(value)
        return self.name(value)


def leaf_condition(field: Any, known: str, constants: Constants) -> Condition | None:
    """Return when a field that has no fields in it accepts a value.

    Args:
        field: The field.
        known: The Conformity class that alone decides what it accepts.
        constants: Where the names in the expression are defined.

    Returns:
        ``None`` if only the field itself can tell.
    """
    make = _LEAF_CONDITIONS.get(known)
    return make(field, constants) if make else None


def condition_for_types(types: Iterable[type], constants: Constants) -> Condition:
    """Return the condition that a value is of exactly one of these types."""
    types = frozenset(types)
    if len(types) > 3:
        name = constants.name(types)
        return Condition(lambda x: f"type({x}) in {name}", types)
    tests = [_type_test(kind, constants) for kind in sorted(types, key=lambda kind: kind.__name__)]
    return Condition(lambda x: " or ".join(test(x) for test in tests), types)


def _type_test(kind: type, constants: Constants) -> Expression:
    if kind is NoneType:
        return lambda x: f"{x} is None"
    is_builtin = getattr(builtins, kind.__name__, None) is kind
    name = kind.__name__ if is_builtin else constants.name(kind)
    return lambda x: f"type({x}) is {name}"


def _with_tests(condition: Condition, tests: list[Expression], *, never_raises: bool = True) -> Condition:
    if not tests:
        return condition
    return Condition(
        lambda x: " and ".join((f"({condition.on(x)})", *(test(x) for test in tests))),
        never_raises=never_raises,
    )


def _comparison(operator: str, limit: object, constants: Constants) -> Expression:
    literal = constants.literal(limit)
    return lambda x: f"{x} {operator} {literal}"


def _on_length(test: Expression) -> Expression:
    return lambda x: test(f"len({x})")


def _on_amount_value(test: Expression) -> Expression:
    return lambda x: test(f"{x}.value")


def _limits(field: Any) -> list[tuple[str, object]]:
    limits = ((operator, getattr(field, name)) for name, operator in _LIMITS)
    return [(operator, limit) for operator, limit in limits if limit is not None]


def _null(_field: Any, constants: Constants) -> Condition:
    return condition_for_types({NoneType}, constants)


def _boolean(_field: Any, constants: Constants) -> Condition:
    return condition_for_types({bool}, constants)


def _anything(_field: Any, _constants: Constants) -> Condition:
    return ALWAYS


def _hashable(_field: Any, constants: Constants) -> Condition:
    return condition_for_types(SCALARS, constants)  # Not decimals: a signalling NaN has no hash.


def _number(field: Any, constants: Constants) -> Condition | None:
    types = frozenset(kind for kind in (int, float, decimal.Decimal) if _is_or_has(field.valid_type, kind))
    limits = _limits(field)
    limit_types = {type(limit) for _, limit in limits}
    if not types or not limit_types <= {int, bool, float, decimal.Decimal}:
        return None
    tests = [_comparison(operator, limit, constants) for operator, limit in limits]
    # Comparing a signalling NaN raises.
    never_raises = not tests or decimal.Decimal not in types | limit_types
    return _with_tests(condition_for_types(types, constants), tests, never_raises=never_raises)


def _is_or_has(types: object, kind: type) -> bool:
    return types is kind or (isinstance(types, tuple) and kind in types)


def _string(field: Any, constants: Constants) -> Condition | None:
    limits = [
        (operator, limit)
        for operator, limit in ((">=", field.min_length), ("<=", field.max_length))
        if limit is not None
    ]
    if field.valid_type not in (str, bytes) or any(type(limit) is not int for _, limit in limits):
        return None
    tests = [_on_length(_comparison(operator, limit, constants)) for operator, limit in limits]
    if not field.allow_blank:
        tests.append(lambda x: f"{x}.strip()")
    return _with_tests(condition_for_types({field.valid_type}, constants), tests)


def _constant(field: Any, constants: Constants) -> Condition | None:
    values: frozenset[object] = field.values
    types = {type(value) for value in values}
    if type(values) is not frozenset or not types <= SCALARS:
        return None  # Comparing with objects of other classes may do anything.
    is_single_string = types == {str} and len(values) == 1
    test = (
        _comparison("==", next(iter(values)), constants)
        if is_single_string
        else _comparison("in", values, constants)
    )
    # Not the types of the values, because 1 == 1.0 == True.
    return _with_tests(condition_for_types({str} if types == {str} else SCALARS, constants), [test])


def _temporal(field: Any, constants: Constants) -> Condition | None:
    cls = cast("Any", type(field))
    limits = _limits(field)
    types: list[type] = [kind for kind in _TEMPORAL_TYPES if kind in cls.valid_types]
    if cls.valid_isinstance is _TIMEZONE_TYPES[0] and not limits:
        types = [_TIMEZONE_TYPES[1]]
    if len(types) != 1 or any(type(limit) is not types[0] for _, limit in limits):
        return None
    tests = [_comparison(operator, limit, constants) for operator, limit in limits]
    # Values with and without a time zone cannot be compared.
    never_raises = not tests or types[0] in _ALWAYS_COMPARABLE
    return _with_tests(condition_for_types(types, constants), tests, never_raises=never_raises)


def _object_instance(field: Any, constants: Constants) -> Condition:
    name = constants.name(field.valid_type)
    return Condition(lambda x: f"isinstance({x}, {name})", never_raises=False)


def _ipv4_address(field: Any, constants: Constants) -> Condition | None:
    return _matching_string(field, ipv4_regex.match, constants)


def _email_address(field: Any, constants: Constants) -> Condition | None:
    cls = cast("Any", type(field))
    is_user: _Match = field.user_regex.match
    is_domain: _Match = cls.domain_regex.match
    whitelist: frozenset[str] = field.domain_whitelist

    def is_usual_address(value: str) -> bool:
        user, at, domain = value.rpartition("@")
        return bool(at and is_user(user) and (domain in whitelist or is_domain(domain)))

    return _matching_string(field, is_usual_address, constants)


def _matching_string(field: Any, matches: _Match, constants: Constants) -> Condition | None:
    string = _string(field, constants)
    if string is None or field.valid_type is not str:
        return None
    name = constants.name(matches)
    return _with_tests(string, [lambda x: f"{name}({x})"], never_raises=False)


def _amount(field: Any, constants: Constants) -> Condition | None:
    limits = _limits(field)
    if any(type(limit) is not int for _, limit in limits):
        return None
    currencies = constants.name(field.valid_currencies)
    tests: list[Expression] = [lambda x: f"{x}.currency.code in {currencies}"]
    tests += [_on_amount_value(_comparison(operator, limit, constants)) for operator, limit in limits]
    amount: type = sys.modules["currint"].Amount  # Loaded, since the field's module imports it.
    return _with_tests(condition_for_types({amount}, constants), tests, never_raises=False)


_LEAF_CONDITIONS: dict[str, Callable[[Any, Constants], Condition | None]] = {
    "Amount": _amount,
    "Anything": _anything,
    "Boolean": _boolean,
    "Constant": _constant,
    "CountryCodeField": _constant,
    "CurrencyCodeField": _constant,
    "EmailAddress": _email_address,
    "Hashable": _hashable,
    "IPv4Address": _ipv4_address,
    "Integer": _number,
    "Null": _null,
    "ObjectInstance": _object_instance,
    "TemporalBase": _temporal,
    "UnicodeString": _string,
}
