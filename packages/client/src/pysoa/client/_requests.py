"""Builds the headers of requests, and checks what callers pass: pure functions."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pysoa.common.types import ActionRequest

__all__ = (
    "check_control_of_call",
    "check_seconds",
    "make_context",
    "make_control",
    "new_correlation_id",
    "plain_actions",
    "switch_value",
)

# Under other names, since pyright takes what is a dict for a dict[Unknown, Unknown].
_Dict: Final[Any] = dict
_List: Final[Any] = list
_INFINITY: Final = float("inf")
# Seeded by the operating system, anew in forked children. To ask it for each id would be a system call more.
_random: Final = random.Random()
os.register_at_fork(after_in_child=_random.seed)


def check_seconds(name: str, seconds: float | None) -> None:
    """Refuse a time limit that is none.

    Args:
        name: What the limit is called, for the message.
        seconds: The limit; ``None`` and 0 mean the default.

    Raises:
        ValueError: It is negative, infinite or not a number.
    """
    if seconds is not None and not 0 <= seconds < _INFINITY:
        raise ValueError(
            f"{name} is {seconds!r}. Pass a positive number of seconds, "
            "or None or 0 for the default of the transport."
        )


def check_control_of_call(control_extra: Mapping[str, Any] | None) -> None:
    """Refuse a control header with which the server would never answer.

    Raises:
        ValueError: The key ``suppress_response`` is set.
    """
    if control_extra and control_extra.get("suppress_response"):
        raise ValueError(
            "control_extra contains 'suppress_response', so the call would wait in vain: the server sends no "
            "response. Use send_request(..., suppress_response=True) to send without waiting."
        )


def make_control(
    continue_on_error: bool,
    suppress_response: bool,
    extra: Mapping[str, Any] | None,
    timeout: float | None = None,
) -> dict[str, Any]:
    """Return a control header; the keys of ``extra`` win over the arguments."""
    control: dict[str, Any] = {"continue_on_error": continue_on_error, "suppress_response": suppress_response}
    if extra:
        control.update(extra)
    if timeout:
        control.setdefault("timeout", timeout)
    return control


def make_context(
    base: Mapping[Any, Any],
    switches: Iterable[Any] | None,
    correlation_id: str | None,
    extra: Mapping[Any, Any] | None,
    default_correlation_id: str | None = None,
) -> dict[str, Any]:
    """Return a context header. No argument is changed.

    Args:
        base: The context of the client, which every request starts from.
        switches: Further switches, besides those in both contexts.
        correlation_id: The correlation id. ``None`` means the one of the client's context, or else the
            default.
        extra: The context of the call. Its keys win over everything else, but a correlation id of ``None``
            counts as absent, and switches are united.
        default_correlation_id: The correlation id if there is none; ``None`` means a new one.

    Raises:
        TypeError: A switch has no integer value.
    """
    if not (base or switches or extra):
        if correlation_id is None:
            correlation_id = default_correlation_id or new_correlation_id()
        return {"correlation_id": correlation_id, "switches": []}
    context: dict[str, Any] = {str(key): value for key, value in base.items()} if base else {}
    if correlation_id is not None:
        context["correlation_id"] = correlation_id
    elif context.get("correlation_id") is None:
        context["correlation_id"] = default_correlation_id or new_correlation_id()
    values: set[int] = set()
    for group in (context.get("switches"), switches, extra.get("switches") if extra else None):
        if group:
            values.update(map(switch_value, group))
    context["switches"] = [*values]
    if extra:
        for key, value in extra.items():
            if key == "switches" or (key == "correlation_id" and value is None):
                continue
            context[str(key)] = value
    return context


def plain_actions(actions: Any) -> list[dict[str, Any]] | None:
    """Return actions as they are sent if nothing is special about them; else ``None``, with nothing used up.

    Args:
        actions: What callers give as the actions of a job.
    """
    if type(actions) is not _List:
        return None
    plain: list[dict[str, Any]] = []
    action: Any
    for action in actions:
        if type(action) is _Dict and len(action) == 2 and "action" in action and "body" in action:
            plain.append({"action": action["action"], "body": action["body"]})
        elif type(action) is ActionRequest:
            plain.append({"action": action.action, "body": action.body})
        else:
            return None
    return plain


def new_correlation_id() -> str:
    """Return 32 random hexadecimal digits; forked children do not repeat those of their parent."""
    return f"{_random.getrandbits(128):032x}"


def switch_value(switch: Any) -> int:
    """Return the integer that a switch stands for, by the rule that the server uses.

    Args:
        switch: Something with ``__int__``, or whose attribute ``value`` has it, such as a member of an
            enumeration.

    Raises:
        TypeError: It has neither.
    """
    if type(switch) is int:
        return switch
    candidate: Any
    for candidate in (switch, getattr(switch, "value", None)):
        if hasattr(candidate, "__int__"):
            return int(candidate)
    raise TypeError("switch does not implement the switch constant interface")
