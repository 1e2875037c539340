"""Validation of a received job request, apart from the bodies of its actions.

Plain code instead of :data:`pysoa.server.schemas.JobRequestSchema`, because every request passes here
although only a broken client can fail. The errors are the same ones in the same order; a test compares the
two on mutated requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from conformity.constants import ERROR_CODE_MISSING, ERROR_CODE_UNKNOWN
from conformity.types import Error

__all__ = ("is_usual_job_request", "job_request_errors")

# Under other names, since pyright takes what is a dict for a dict[Unknown, Unknown].
_Dict: Any = dict
_List: Any = list
_INTEGERS = frozenset({int})
_STRINGS = frozenset({str})

_Check = Callable[[Any], Iterator[Error]]
# The class comes from decorators that type checkers do not see through.
_error = cast("Callable[..., Error]", Error)


def job_request_errors(job_request: object) -> list[Error]:
    """Return what is wrong with a received job request.

    Args:
        job_request: What came off the wire. It may be anything.

    Returns:
        Conformity errors as ``JobRequestSchema.errors`` returns them; empty for a request that can be
        processed. For unknown keys of types that cannot be sorted, where Conformity raises ``TypeError``,
        there is an error too.
    """
    return list(_job_request(job_request))


def is_usual_job_request(value: Any) -> bool:
    """Accept what well-behaved clients send; ``False`` says nothing. In one piece: every job passes here."""
    try:
        control, context, actions = value["control"], value["context"], value["actions"]
        switches = context["switches"]
        if not (
            type(value) is _Dict
            and len(value) == 3
            and type(control) is _Dict
            and type(control["continue_on_error"]) is bool
            and type(control.get("suppress_response", False)) is bool
            and type(context) is _Dict
            and type(context["correlation_id"]) is str
            and type(context.get("caller", "")) is str
            and type(context.get("calling_service", "")) is str
            and type(switches) is _List
            and (not switches or _INTEGERS.issuperset(map(type, switches)))
            and type(actions) is _List
            and actions
        ):
            return False
        for action in actions:
            body: Any = action["body"]
            if not (
                type(action) is _Dict
                and len(action) == 2
                and type(action["action"]) is str
                and type(body) is _Dict
                and _STRINGS.issuperset(map(type, body))
            ):
                return False
    except (LookupError, TypeError):
        return False
    return True


def _job_request(value: Any) -> Iterator[Error]:
    return _dictionary(value, {"control": _control, "context": _context, "actions": _actions})


def _control(value: Any) -> Iterator[Error]:
    contents: dict[str, _Check] = {"continue_on_error": _boolean, "suppress_response": _boolean}
    return _dictionary(value, contents, optional={"suppress_response"}, refuse_extra_keys=False)


def _context(value: Any) -> Iterator[Error]:
    contents: dict[str, _Check] = {
        "caller": _string,
        "calling_service": _string,
        "correlation_id": _string,
        "switches": _switches,
    }
    return _dictionary(value, contents, optional={"caller", "calling_service"}, refuse_extra_keys=False)


def _switches(value: Any) -> Iterator[Error]:
    return _list(value, _integer)


def _actions(value: Any) -> Iterator[Error]:
    return _list(value, _action_request, minimum_length=1)


def _action_request(value: Any) -> Iterator[Error]:
    return _dictionary(value, {"action": _string, "body": _body}, optional={"body"})


def _body(value: Any) -> Iterator[Error]:
    if not isinstance(value, dict):
        yield _error("Not a dict")
        return
    for key in cast("dict[object, object]", value):
        yield from _at(key, _string(key))


def _boolean(value: Any) -> Iterator[Error]:
    if not isinstance(value, bool):
        yield _error("Not a boolean")


def _integer(value: Any) -> Iterator[Error]:
    if not isinstance(value, int) or isinstance(value, bool):
        yield _error("Not an integer")


def _string(value: Any) -> Iterator[Error]:
    if not isinstance(value, str):
        yield _error("Not a unicode string")


def _list(value: Any, check: _Check, minimum_length: int = 0) -> Iterator[Error]:
    if not isinstance(value, list):
        yield _error("Not a list")
        return
    elements = cast("list[object]", value)
    if len(elements) < minimum_length:
        yield _error(f"List is shorter than {minimum_length}")
    for index, element in enumerate(elements):
        yield from _at(index, check(element))


def _dictionary(
    value: Any,
    contents: Mapping[str, _Check],
    optional: Iterable[str] = (),
    *,
    refuse_extra_keys: bool = True,
) -> Iterator[Error]:
    if not isinstance(value, dict):
        yield _error("Not a dict")
        return
    dictionary = cast("dict[object, object]", value)
    for key, check in contents.items():
        if key in dictionary:
            yield from _at(key, check(dictionary[key]))
        elif key not in optional:
            yield _error(f"Missing key: {key}", code=ERROR_CODE_MISSING, pointer=key)
    extra_keys = dictionary.keys() - contents.keys()
    if extra_keys and refuse_extra_keys:
        names = ", ".join(map(str, _sorted(extra_keys)))
        yield _error(f"Extra keys present: {names}", code=ERROR_CODE_UNKNOWN)


def _at(key: object, errors: Iterable[Error]) -> Iterator[Error]:
    for error in errors:
        error.pointer = f"{key}.{error.pointer}" if error.pointer else f"{key}"
        yield error


def _sorted(keys: Iterable[Any]) -> list[Any]:
    try:
        return sorted(keys)
    except TypeError:
        return sorted(keys, key=str)
