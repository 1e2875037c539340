"""Tells in an error which call it is about."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeVar

__all__ = (
    "add_details",
    "describe_call",
)

_MOST_NAMES = 5

_Value = TypeVar("_Value")


def add_details(
    error: Exception,
    service_name: str,
    actions: Iterable[str],
    request_ids: Iterable[int],
    time_limit: float | None,
) -> None:
    """Append to an error's text which call it is about, and keep that as attributes of the error, too.

    The text of the error stays as it was at its start. An error that says it already, as from a call within
    this call, is left alone. So is one whose first argument is no text.

    Args:
        error: The error, as the transport or serializer raised it.
        service_name: The name of the service called.
        actions: The names of the actions called.
        request_ids: The ids of the requests concerned.
        time_limit: The time limit of the call in seconds, if one was set.
    """
    if "service_name" in error.__dict__ or (error.args and not isinstance(error.args[0], str)):
        return
    names = tuple(dict.fromkeys(actions))
    ids = tuple(request_ids)
    details = describe_call(service_name, names, ids, time_limit)
    error.args = (f"{error.args[0]} ({details})", *error.args[1:]) if error.args else (details,)
    error.__dict__.update(
        service_name=service_name, actions=names, request_ids=ids, time_limit_in_seconds=time_limit
    )


def describe_call(
    service_name: str, actions: Collection[str], request_ids: Collection[int], time_limit: float | None
) -> str:
    """Return a call in words, such as ``service 'a', action 'b', request 7, time limit 5 s``."""
    parts = [f"service {service_name!r}"]
    if actions:
        parts.append(f"{_plural('action', actions)} {_join(repr(name) for name in actions)}")
    if request_ids:
        parts.append(
            f"{_plural('request', request_ids)} {_join(str(number) for number in sorted(request_ids))}"
        )
    if time_limit is not None:
        parts.append(f"time limit {time_limit:g} s")
    return ", ".join(parts)


def _plural(word: str, values: Collection[_Value]) -> str:
    return word if len(values) == 1 else f"{word}s"


def _join(texts: Iterable[str]) -> str:
    listed = list(texts)
    if len(listed) <= _MOST_NAMES:
        return ", ".join(listed)
    return f"{', '.join(listed[:_MOST_NAMES])} and {len(listed) - _MOST_NAMES} more"
