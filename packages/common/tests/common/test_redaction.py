from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pysoa.common._redaction import (
    redact,
    redact_connection_settings,
    redact_url,
    redacted_repr,
)
from pysoa.common.logging import RecursivelyCensoredDictWrapper

_NOT_DICTIONARIES: list[object] = [None, [("a", 1)], "text", MappingProxyType({"a": 1})]
_STARS = "**********"
_SECRET = "hunter2"
_SECRET_NUMBER = 483_911_527


class _Color(enum.IntEnum):
    RED = 1


class _Hostile:
    """Raises wherever it can."""

    def __repr__(self) -> str:
        raise ValueError("no repr")

    def __eq__(self, other: object) -> bool:
        raise ValueError("no eq")

    def __hash__(self) -> int:
        raise ValueError("no hash")

    def __bool__(self) -> bool:
        raise ValueError("no bool")

    @property  # type: ignore[misc]  # Read-only on purpose.
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise ValueError("no class")

    def __getattr__(self, name: str) -> Any:
        raise ValueError("no attributes")


class _BrokenMapping(Mapping[str, object]):
    def __getitem__(self, key: str) -> object:
        raise OSError("gone")

    def __iter__(self) -> Iterator[str]:
        return iter(("password",))

    def __len__(self) -> int:
        return 1


class _Text(str):
    __slots__ = ()


class _BrokenZone(datetime.tzinfo):
    def __repr__(self) -> str:
        raise ValueError("no repr")

    def utcoffset(self, moment: datetime.datetime | None) -> datetime.timedelta:
        return datetime.timedelta(0)

    def dst(self, moment: datetime.datetime | None) -> None:
        return None

    def tzname(self, moment: datetime.datetime | None) -> str:
        return "broken"


@attrs.frozen(hash=True)
class _Login:
    user: str
    password: str
    internal: str = attrs.field(default="internal", repr=False)


@dataclasses.dataclass
class _Card:
    holder: str
    card_number: str
    internal: str = dataclasses.field(default="internal", repr=False)


class _Pair(NamedTuple):
    left: object
    right: object


@pytest.mark.parametrize(
    "name",
    [
        "password", "PASSWORD", "Password", "credit_card", "Credit-Card", "creditCard", "CREDIT_CARD_NUMBER",
        "CreditCard", "creditcard", "credit card", b"password", "authToken", "AUTHORIZATION",
        "cardSecurities",
    ],
)  # fmt: skip
def test_sensitive_name_matches_in_any_case_and_spelling(name: Any) -> None:
    assert repr(RecursivelyCensoredDictWrapper({name: _SECRET})) == f"{{{name!r}: {_STARS!r}}}"


@pytest.mark.parametrize("name", ["user", "passport", "tokens", "pass_by", 1, None, ("password",), "", "_"])
def test_other_names_are_readable(name: Any) -> None:
    assert repr(RecursivelyCensoredDictWrapper({name: "shown"})) == repr({name: "shown"})


@pytest.mark.parametrize(
    "value",
    [
        "text", b"bytes", bytearray(b"bytes"), 5, -1, 1.5, 1j, decimal.Decimal(3),
        datetime.datetime(2020, 1, 1), datetime.date(2020, 1, 1), datetime.timedelta(1), {"key": "value"},
        OrderedDict([("a", 1)]), deque([1]), MappingProxyType({"a": 1}), _Login("u", "p"), object(),
        _Color.RED,
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_value_of_any_type_is_censored_under_a_sensitive_name(value: object) -> None:
    assert repr(RecursivelyCensoredDictWrapper({"secret": value})) == f"{{'secret': {_STARS!r}}}"


@pytest.mark.parametrize(
    "value", [None, True, False, 0, 0.0, "", b"", {}, [], ()], ids=lambda value: repr(value)
)
def test_nothing_and_booleans_stay_readable_under_a_sensitive_name(value: object) -> None:
    assert repr(RecursivelyCensoredDictWrapper({"secret": value})) == repr({"secret": value})


def test_each_element_of_sequences_and_sets_under_a_sensitive_name_is_censored() -> None:
    body = {
        "pins": ["1", 0, 2, b"3", (4, [None, 5.5]), {"inner": "6"}],
        "tokens_": {"not sensitive"},
        "auth": frozenset({"a", "b"}),
        "pass": {1, 2, 3},
        "secrets": _Pair("x", None),
    }

    shown = redact(body)

    assert shown == {
        "pins": [_STARS, 0, _STARS, _STARS, (_STARS, [None, _STARS]), _STARS],
        "tokens_": {"not sensitive"},
        "auth": frozenset({_STARS}),
        "pass": {_STARS},
        "secrets": (_STARS, None),
    }


def test_sensitive_names_are_found_at_any_depth_and_in_any_container() -> None:
    secret = {"password": _SECRET}
    body: dict[Any, Any] = {
        "list": [secret, [secret]],
        "tuple": (secret,),
        "namedtuple": _Pair(secret, 1),
        "proxy": MappingProxyType(secret),
        "ordered": OrderedDict(secret),
        "deque": deque([secret]),
        "items": secret.items(),
        "nested values": {"a": secret}.values(),
        "attrs": _Login("me", _SECRET),
        "dataclass": _Card("me", _SECRET),
        "namespace": SimpleNamespace(token=_SECRET),
        "exception": ValueError("message", secret),
        ("tuple", _Login("key", _SECRET)): {_Login("element", _SECRET)},
    }

    text = repr(RecursivelyCensoredDictWrapper(body))

    assert _SECRET not in text
    assert "internal" not in text
    for shown in ("me", "message", "key", "element"):
        assert shown in text


def test_named_tuples_are_shown_as_tuples() -> None:
    assert str(RecursivelyCensoredDictWrapper({"pair": _Pair(1, "b")})) == "{'pair': (1, 'b')}"


def test_cycles_are_cut() -> None:
    body: dict[str, object] = {"a": 1}
    body["self"] = body
    circle: list[object] = []
    circle.append(circle)
    body["list"] = circle
    body["secret"] = circle

    assert repr(RecursivelyCensoredDictWrapper(body)) == (
        "{'a': 1, 'self': ..., 'list': [...], 'secret': [...]}"
    )


def test_the_same_object_in_two_places_is_no_cycle() -> None:
    shared = {"x": 1}

    assert (
        repr(RecursivelyCensoredDictWrapper({"a": shared, "b": shared})) == "{'a': {'x': 1}, 'b': {'x': 1}}"
    )


def test_very_deep_values_are_cut() -> None:
    value: object = "deep"
    for _ in range(100_000):
        value = [value]

    text = repr(RecursivelyCensoredDictWrapper({"shown": 1, "deep": value}))

    assert text.startswith("{'shown': 1, 'deep': [[[")
    assert "deep" not in text[20:]


def test_objects_that_raise_are_named_and_the_rest_is_shown() -> None:
    body = {"hostile": _Hostile(), "broken": _BrokenMapping(), "number": 10**5000, "shown": 1}

    text = repr(RecursivelyCensoredDictWrapper(body))

    assert "_Hostile" in text
    assert "_BrokenMapping" in text
    assert "'shown': 1" in text


def test_odd_containers_are_shown() -> None:
    class Names(set[str]):
        pass

    class FrozenMapping(dict[str, str]):
        def __hash__(self) -> int:  # type: ignore[override]  # A mapping that may be in a set.
            return 1

    body = {"set": Names({"a"}), "text": _Text("b"), "mapping": {FrozenMapping(pin="1")}}

    assert repr(RecursivelyCensoredDictWrapper(body)) == (
        "{'set': {'a'}, 'text': 'b', 'mapping': {{'pin': '**********'}}}"
    )


def test_body_whose_text_cannot_be_made_is_named() -> None:
    text = repr(RecursivelyCensoredDictWrapper({"time": datetime.datetime(2020, 1, 1, tzinfo=_BrokenZone())}))

    assert text == "<dict that cannot be shown: ValueError>"


def test_hostile_objects_in_every_position_do_not_raise() -> None:
    body: dict[Any, Any] = {"secret": _Hostile(), "list": [_Hostile()], "exception": ValueError(_Hostile())}

    assert "_Hostile" in repr(RecursivelyCensoredDictWrapper({**body, "shown": 1}))


def test_source_is_not_changed_and_text_is_made_at_the_first_use() -> None:
    body: dict[str, Any] = {"password": _SECRET, "list": [{"pin": 5}]}
    wrapper = RecursivelyCensoredDictWrapper(body)
    body["early"] = 1

    first = str(wrapper)
    body["late"] = 2

    assert str(wrapper) == first == "{'password': '**********', 'list': [{'pin': '**********'}], 'early': 1}"
    assert body == {"password": _SECRET, "list": [{"pin": 5}], "early": 1, "late": 2}


def test_bytes_are_the_text_in_utf_8() -> None:
    wrapper = RecursivelyCensoredDictWrapper({"a": "é", "token": "x"})

    assert bytes(wrapper) == "{'a': 'é', 'token': '**********'}".encode()


@pytest.mark.parametrize("value", _NOT_DICTIONARIES, ids=lambda value: type(value).__name__)
def test_only_dictionaries_can_be_wrapped(value: Any) -> None:
    with pytest.raises(ValueError, match="wrapped_dict must be a dict"):
        RecursivelyCensoredDictWrapper(value)


def test_subclass_can_extend_the_names_and_change_the_text() -> None:
    class Wrapper(RecursivelyCensoredDictWrapper):
        SENSITIVE_FIELDS = RecursivelyCensoredDictWrapper.SENSITIVE_FIELDS | {"api_key"}
        CENSORED_STRING = "(hidden)"

    assert repr(Wrapper({"apiKey": 1, "token": [2]})) == "{'apiKey': '(hidden)', 'token': ['(hidden)']}"


def test_published_names_are_all_censored() -> None:
    for name in RecursivelyCensoredDictWrapper.SENSITIVE_FIELDS:
        assert _SECRET not in repr(RecursivelyCensoredDictWrapper({name: _SECRET}))


def test_extra_fields_are_censored_by_the_helpers() -> None:
    assert redact({"api_key": 1, "shown": 2}, extra_fields=["api-key"]) == {"api_key": _STARS, "shown": 2}
    assert redacted_repr({"API_KEY": 1}, extra_fields={"apiKey"}) == f"{{'API_KEY': {_STARS!r}}}"


def test_plain_values_look_as_their_own_repr() -> None:
    body: dict[Any, Any] = {
        "none": None, "int": -5, "float": 1.5, "bytes": b"\x00", "date": datetime.datetime(2020, 1, 2, 3, 4),
        "decimal": decimal.Decimal("1.50"), "set": {1}, "frozen": frozenset({2}), "empty": [set(), (), {}],
        1: (1,), ("a", 1): "'\"\n", None: True,
    }  # fmt: skip

    assert repr(RecursivelyCensoredDictWrapper(body)) == repr(body)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pw@host:6379/0", f"redis://:{_STARS}@host:6379/0"),
        ("rediss://user:p@ss/w?r#d@host", f"rediss://user:{_STARS}@host"),
        ("unix://:pw@/run/redis.sock?db=1", f"unix://:{_STARS}@/run/redis.sock?db=1"),
        ("redis://host/0?password=pw&db=1&Token=t", f"redis://host/0?password={_STARS}&db=1&Token={_STARS}"),
        ("https://u:p%40@host/a?x=1#y", f"https://u:{_STARS}@host/a?x=1#y"),
        ("cannot reach redis://:pw@host: refused", f"cannot reach redis://:{_STARS}@host: refused"),
        ("http://a:b@c,redis://:x/y@z", f"http://a:{_STARS}@c,redis://:{_STARS}@z"),
        ("redis://user@host", "redis://user@host"),
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("http://host:80/users/a@b.example", "http://host:80/users/a@b.example"),
        ("a@b:c@d", "a@b:c@d"),
        ("", ""),
    ],
)
def test_passwords_in_urls_are_replaced_and_the_rest_stays(url: str, shown: str) -> None:
    assert redact_url(url) == shown
    assert redact({"hosts": [url, url.encode()]}) == {"hosts": [shown, shown.encode()]}


@pytest.mark.parametrize(
    "pattern", ["http://", "://:", "a.", "x://:@", "?a", "http://u:p@h/", "redis://u:p@", "://@", "?a=&"]
)
def test_hiding_passwords_of_urls_takes_linear_time(pattern: str) -> None:
    text = pattern * (500_000 // len(pattern)) + "://"
    started = time.perf_counter()

    redact_url(text)

    assert time.perf_counter() - started < 10  # Quadratic time would be hours.


def test_connection_settings_show_no_credentials() -> None:
    settings = {
        "host": "redis.example", "port": 6379, "ssl": True, "ssl_ca_certs": "/ca.pem", "socket_timeout": 1.0,
        "username": "me", "password": _SECRET, "ssl_password": _SECRET, "sentinel_pwd": _SECRET,
        "credential_provider": _Login("me", _SECRET), "auth_string": _SECRET,
        "sentinel_kwargs": {"Password": _SECRET, "db": 0},
        "hosts": [("localhost", 1), f"redis://:{_SECRET}@host"],
    }  # fmt: skip

    shown = redact_connection_settings(settings)

    assert _SECRET not in repr(shown)
    assert shown["host"] == "redis.example"
    assert shown["ssl_ca_certs"] == "/ca.pem"
    assert shown["username"] == "me"
    assert shown["sentinel_kwargs"]["db"] == 0


_leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=5),
    st.decimals(), st.datetimes(), st.dates(), st.timedeltas(), st.builds(_Hostile), st.just(_Color.RED),
    st.builds(object), st.builds(_BrokenMapping), st.just(int), st.integers(10**4_300, 10**4_400),
)  # fmt: skip
_keys = st.one_of(st.text(max_size=3), st.integers(), st.binary(max_size=3), st.tuples(st.text(max_size=2)))


def _containers(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(children, max_size=3),
        st.tuples(children, children),
        st.builds(_Pair, children, children),
        st.dictionaries(_keys, children, max_size=3),
        st.dictionaries(_keys, children, max_size=3).map(MappingProxyType),
        st.lists(children, max_size=3).map(deque),
        st.builds(_Login, children, children),
        st.builds(SimpleNamespace, value=children, token=children),
        st.builds(ValueError, children),
    )


_values = st.recursive(_leaves, _containers, max_leaves=15)


@given(st.dictionaries(_keys, _values, max_size=4))
def test_showing_anything_never_raises(body: dict[Any, Any]) -> None:
    wrapper = RecursivelyCensoredDictWrapper(body)

    assert str(wrapper) == repr(wrapper) == bytes(wrapper).decode()
    redact(body)


_names_of_secrets = st.sampled_from(sorted(RecursivelyCensoredDictWrapper.SENSITIVE_FIELDS)).flatmap(
    lambda name: st.sampled_from(
        [name, name.upper(), name.lower(), name.capitalize(), name.replace("_", " ")]
    )
)
_secret_leaves = st.sampled_from(
    [_SECRET, _SECRET.encode(), _SECRET_NUMBER, float(_SECRET_NUMBER), decimal.Decimal(_SECRET_NUMBER)]
)


def _containers_of_secrets(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        _containers(children),
        st.dictionaries(st.sampled_from([_SECRET, _SECRET_NUMBER]), children, max_size=2),
        st.frozensets(_secret_leaves),
    )


_secrets = st.recursive(_secret_leaves, _containers_of_secrets, max_leaves=8)


def _bodies(body: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(body, max_size=3),
        st.tuples(body),
        st.dictionaries(st.text(max_size=2), body, max_size=3),
        st.dictionaries(_names_of_secrets, _secrets, max_size=3),
    )


@given(st.dictionaries(st.text(max_size=3), st.recursive(st.integers(0, 9), _bodies, max_leaves=15)))
@example({"a": [{"PIN": {_SECRET: 1}}]})
def test_what_stands_under_a_sensitive_name_is_never_shown(body: dict[str, Any]) -> None:
    for text in (repr(RecursivelyCensoredDictWrapper(body)), repr(redact(body)), redacted_repr(body)):
        assert _SECRET not in text
        assert str(_SECRET_NUMBER) not in text
