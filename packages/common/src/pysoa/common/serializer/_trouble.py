"""Finding the value that a serializer refused, for the text of the error.

Nothing in here runs on the road of a message that can be encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from pysoa.common._plain import attrs_fields, is_array, is_dict

__all__ = (
    "find_trouble",
    "path_to_text",
    "too_deep_path",
)

Path: TypeAlias = tuple[str, ...]
_Item: TypeAlias = tuple[Path, Any, bool]

_MAXIMUM_DEPTH = 2_000
_MAXIMUM_KEY_LENGTH = 80
_SHOWN_PARTS = 20


def find_trouble(message: Any, reason_against: Callable[[Any, bool], str | None]) -> tuple[str, str] | None:
    """Return the reason and the path of the first value in the message that a serializer cannot take.

    Args:
        message: The message that could not be encoded, or whose bytes nobody could decode.
        reason_against: Says what is wrong with one value, or ``None``; its second argument tells whether the
            value is a key of a dictionary. It need not look into containers.
    """
    for path, value, is_key in _walk(message):
        reason = reason_against(value, is_key)
        if reason is not None:
            return reason, path_to_text(path, is_key=is_key)
    return None


def too_deep_path(message: Any) -> str:
    """Return the beginning of the path that leads to the deepest nesting."""
    deepest: Path = ()
    for path, _, _ in _walk(message):
        if len(path) > len(deepest):
            deepest = path
    return path_to_text(deepest, is_key=False)


def path_to_text(path: Path, *, is_key: bool) -> str:
    """Return a path in words: dotted keys and indexes from the top of the message."""
    dotted = ".".join(path[:_SHOWN_PARTS]) + ("..." if len(path) > _SHOWN_PARTS else "")
    if is_key:
        return f"a key in {dotted}" if dotted else "a key at the top level"
    return dotted or "the top level"


def _walk(message: Any) -> Iterator[_Item]:
    """Yield path, value and whether it is a key, of everything in the message, in order.

    Containers that occur several times, within themselves for instance, are entered once.
    """
    stack: list[_Item] = [((), message, False)]
    entered: set[int] = set()
    while stack:
        item = stack.pop()
        yield item
        path, value, is_key = item
        if len(path) < _MAXIMUM_DEPTH and id(value) not in entered:
            children = list(_children(path, value, is_key))
            if children:
                entered.add(id(value))
                stack.extend(reversed(children))


def _children(path: Path, value: Any, is_key: bool) -> Iterator[_Item]:
    fields = value if is_dict(value) else attrs_fields(value)
    if fields is not None:
        for key, item in fields.items():
            yield path, key, True
            yield (*path, _key_to_text(key)), item, False
    elif is_array(value):
        for index, item in enumerate(value):
            yield (*path, str(index)), item, is_key


def _key_to_text(key: Any) -> str:
    if isinstance(key, (bool, int, float)) or key is None:
        return str(key)
    if not isinstance(key, str):
        return f"<{type(key).__name__}>"
    text = key.encode("ascii", "backslashreplace").decode() if not key.isprintable() else key
    return text if len(text) <= _MAXIMUM_KEY_LENGTH else f"{text[:_MAXIMUM_KEY_LENGTH]}..."
