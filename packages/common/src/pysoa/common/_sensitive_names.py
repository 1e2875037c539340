"""The field names whose values are never shown, and how a name is compared with them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import cast

__all__ = (
    "SENSITIVE_FIELDS",
    "is_sensitive",
    "normalize_names",
)

_SINGULAR_AND_PLURAL = (
    "password", "passwd", "passphrase", "pass phrase", "private", "private key", "secret", "secret key",
    "security code", "credit card", "credit card number", "card number", "cc number", "ccn", "cid", "csc",
    "csn", "cvc", "cvc2", "cvd", "cve", "cvn2", "cvv", "cvv2", "icvv", "card id", "account number",
    "bank account", "bank account number", "pin", "pin code", "pin number", "personal id number",
    "personal identification number",
    *(
        f"card {noun}{suffix}"
        for noun in ("identification", "security", "validation", "verification")
        for suffix in ("", " code", " number", " value")
    ),
)  # fmt: skip
_SINGULAR_ONLY = (
    "pass", "auth", "token", "auth token", "authorization", "authorization token", "authentication",
    "authentication token",
)  # fmt: skip

_not_alphanumeric = re.compile(r"[\W_]+")


def _plural(term: str) -> str:
    return f"{term[:-1]}ies" if term.endswith("y") and not term.endswith("key") else f"{term}s"


def _spellings(term: str) -> tuple[str, str, str]:
    first, *others = term.split()
    camel = first + "".join(word.capitalize() for word in others)
    return term.replace(" ", "_"), term.replace(" ", "-"), camel


SENSITIVE_FIELDS: frozenset[str] = frozenset(
    spelling
    for terms in (_SINGULAR_AND_PLURAL, map(_plural, _SINGULAR_AND_PLURAL), _SINGULAR_ONLY)
    for term in terms
    for spelling in _spellings(term)
)
"""The 242 published names: each term in snake, kebab and camel case."""


@lru_cache(maxsize=64)
def _normalize_frozen(names: frozenset[str]) -> frozenset[str]:
    return frozenset(_normalize(name) for name in names)


def normalize_names(names: Iterable[str]) -> frozenset[str]:
    """Return the names in the form that :func:`is_sensitive` compares with.

    Args:
        names: Field names in any spelling. Cheap when the same frozen set is given again.
    """
    return _normalize_frozen(frozenset(names))


def is_sensitive(name: object, normalized_names: frozenset[str]) -> bool:
    """Tell whether a key is one of the names, whatever its case and its separators.

    Args:
        name: A key of any type. Only strings, and bytes read as such, can be sensitive.
        normalized_names: From :func:`normalize_names`.
    """
    kind = type(name)  # Not isinstance: it asks the object, which may raise.
    if issubclass(kind, str):
        return _normalize(cast("str", name)) in normalized_names
    if issubclass(kind, bytes):
        return _normalize(cast("bytes", name).decode("utf-8", "replace")) in normalized_names
    return False


def _normalize(name: str) -> str:
    return _not_alphanumeric.sub("", name).casefold()
