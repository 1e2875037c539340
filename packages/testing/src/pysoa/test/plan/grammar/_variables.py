"""Placeholders such as ``[[GET_USER.user.id]]``, and where their values come from."""

# Values are of any type here, and so is what they contain.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping, MutableSequence
from typing import Any, Final

from pysoa.test.plan.errors import StatusError
from pysoa.test.plan.grammar._paths import copy_containers, get_at, split_path

__all__ = ("has_placeholder", "substitute_variables", "substitute_what_is_known")

_PLACEHOLDER: Final = re.compile(r"\[\[([A-Za-z0-9_.{}-]+)\]\]")
_UNKNOWN: Final = object()


def has_placeholder(text: str) -> bool:
    """Tell whether a value cannot be converted yet, because variables are to be put into it."""
    return _PLACEHOLDER.search(text) is not None


def substitute_variables(data: Any, *sources: Any) -> None:
    """Replace all placeholders within dictionaries and lists, in place.

    A value that is nothing but one placeholder becomes what the placeholder stands for, of whatever type. In
    other values the text of that is put in.

    Args:
        data: Dictionaries and lists within each other.
        sources: Where values are looked up, in this order: dictionaries or lists.

    Raises:
        StatusError: No source has a value for a placeholder.
    """
    _substitute(data, sources, lenient=False)


def substitute_what_is_known(data: Any, *sources: Any) -> None:
    """Do what :func:`substitute_variables` does, but leave placeholders alone that stand for nothing."""
    _substitute(data, sources, lenient=True)


def _substitute(data: Any, sources: tuple[Any, ...], lenient: bool) -> None:
    items: Iterator[tuple[Any, Any]]
    if isinstance(data, MutableMapping):
        items = iter(list(data.items()))
    elif isinstance(data, MutableSequence):
        items = iter(list(enumerate(data)))
    else:
        return
    for key, value in items:
        if isinstance(value, str):
            if "[[" in value:
                data[key] = _replaced(value, sources, lenient)
        elif isinstance(value, tuple):
            inner = list(value)
            _substitute(inner, sources, lenient)
            if any(new is not old for new, old in zip(inner, value, strict=True)):
                data[key] = tuple(inner)
        else:
            _substitute(value, sources, lenient)


def _replaced(text: str, sources: tuple[Any, ...], lenient: bool) -> Any:
    whole = _PLACEHOLDER.fullmatch(text)
    if whole:
        value = _value_of(whole, sources, lenient)
        return text if value is _UNKNOWN else copy_containers(value)

    def text_of(match: re.Match[str]) -> str:
        value = _value_of(match, sources, lenient)
        return match[0] if value is _UNKNOWN else str(value)

    return _PLACEHOLDER.sub(text_of, text)


def _value_of(placeholder: re.Match[str], sources: tuple[Any, ...], lenient: bool) -> Any:
    path = placeholder[1]
    try:
        candidates = list(_candidates(split_path(path)))
    except ValueError:
        candidates = []
    for source in sources:
        for candidate in candidates:
            try:
                return get_at(source, candidate)
            except (LookupError, TypeError):
                continue
    if lenient:
        return _UNKNOWN
    known = ", ".join(f"`{key}`" for source in sources for key in source)
    raise StatusError(
        f"Could not find value {path} for {placeholder[0]} in sources ({known}). A placeholder starts with "
        "an action that this test case has called before, or with a key of model_constants."
    )


def _candidates(elements: list[str | int]) -> Iterator[list[str | int]]:
    """Yield what a path may mean: as it is, in lower case, with index 0 after the name of an action.

    The key of a response is the name and the index in one, such as ``get_user.0``.
    """
    name, *rest = elements
    if isinstance(name, int):
        yield elements
        return
    lower_case = [element.lower() if isinstance(element, str) else element for element in rest]
    for spelled, below in ((name, rest), (name.lower(), lower_case), (name.lower(), rest)):
        yield [spelled, *below]
        if below and isinstance(below[0], int):
            yield [f"{spelled}.{below[0]}", *below[1:]]
    for below in (lower_case, rest):
        yield [f"{name.lower()}.0", *below]
