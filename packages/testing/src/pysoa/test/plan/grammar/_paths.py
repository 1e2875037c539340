"""Paths such as ``order.lines.0.sku``, by which fixtures name values within dictionaries and lists."""

# Values are of any type here, and so is what they contain.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, MutableSequence, Set
from typing import Any, Final

__all__ = ("copy_containers", "get_all_paths", "get_at", "join_path", "path_get", "path_put", "split_path")

_PLAIN_ELEMENT: Final = re.compile(r"[^.{}]+")


def split_path(path: str) -> list[str | int]:
    """Split a path into keys and list indexes.

    Args:
        path: Elements between dots. An element of digits is an index. Braces around an element make it a key,
            whatever they contain; the outermost pair is taken away.

    Raises:
        ValueError: The path has an element without text, or braces that do not balance.
    """
    elements: list[str | int] = []
    position = 0
    while True:
        if path[position : position + 1] == "{":
            end = _closing_brace(path, position)
            elements.append(path[position + 1 : end])
            position = end + 1
        elif match := _PLAIN_ELEMENT.match(path, position):
            elements.append(int(match[0]) if match[0].isdecimal() else match[0])
            position = match.end()
        else:
            raise ValueError(f"Path `{path}` lacks a name at character {position + 1}")
        if position == len(path):
            return elements
        if path[position] != ".":
            raise ValueError(f"Path `{path}` lacks a dot at character {position + 1}")
        position += 1


def _closing_brace(path: str, opening: int) -> int:
    depth = 0
    for position in range(opening, len(path)):
        depth += {"{": 1, "}": -1}.get(path[position], 0)
        if not depth:
            return position
    raise ValueError(f"Path `{path}` lacks the brace that closes the one at character {opening + 1}")


def join_path(parent: str, element: object) -> str:
    """Return the path of an element of what is at ``parent``, which is empty for the whole."""
    text = str(element)
    if not isinstance(element, int) and (text.isdecimal() or not _PLAIN_ELEMENT.fullmatch(text)):
        text = f"{{{text}}}"
    return f"{parent}.{text}" if parent else text


def path_get(data: Any, path: str) -> Any:
    """Return the value at a path.

    Args:
        data: Dictionaries, lists, tuples and sets, which are read in sorted order, within each other.
        path: Where the value is; empty for all of ``data``.

    Raises:
        KeyError: A dictionary lacks the key.
        IndexError: A list is too short.
        TypeError: The path steps into something else, or names a key of a list.
    """
    return get_at(data, split_path(path) if path else ())


def get_at(data: Any, elements: Iterable[str | int]) -> Any:
    """Do what :func:`path_get` does with a path that was split already."""
    for element in elements:
        data = _step(data, element)
    return data


def _step(data: Any, element: str | int) -> Any:
    if isinstance(data, Mapping):
        if isinstance(element, int) and element not in data:
            return data[str(element)]
        return data[element]
    if isinstance(data, Set):
        data = sorted(data)
    if isinstance(data, (list, tuple)):
        if isinstance(element, int):
            return data[element]
        raise TypeError(f"`{element}` is no index of a {type(data).__name__}")
    raise TypeError(f"There is no `{element}` in a {type(data).__name__}")


def path_put(out: Any, path: str, value: Any) -> None:
    """Put a value at a path; dictionaries and lists that are missing on the way are created.

    Args:
        out: The dictionary or list to change. Positions of lists that are skipped are filled.
        path: Where to put the value.
        value: The value, which replaces what is there.

    Raises:
        TypeError: The path names a key of a list, an index of a dictionary, or steps into something else.
    """
    elements = split_path(path)
    for element, following in itertools.pairwise(elements):
        _require_container(out, element, path)
        new: Any = [] if isinstance(following, int) else {}
        if isinstance(element, int):
            _fill(out, element + 1, type(new))
            out = out[element]
        else:
            out = out.setdefault(element, new)
    last = elements[-1]
    _require_container(out, last, path)
    if isinstance(last, int):
        _fill(out, last + 1, dict)
    out[last] = value


def _require_container(data: Any, element: str | int, path: str) -> None:
    if isinstance(element, int):
        if not isinstance(data, MutableSequence):
            raise TypeError(
                f"`{element}` in path `{path}` is a list index, but other lines put a {type(data).__name__} "
                "there; if it is a key, write it in braces"
            )
    elif not isinstance(data, MutableMapping):
        raise TypeError(
            f"`{element}` in path `{path}` is a key, but other lines put a {type(data).__name__} there"
        )


def _fill(items: MutableSequence[Any], length: int, filler: type[Any]) -> None:
    while len(items) < length:
        items.append(filler())


def get_all_paths(data: Any, current_path: str = "", allow_blank: bool = False) -> list[str]:
    """Return the paths of all values that are no dictionaries and lists, sorted where keys are.

    Args:
        data: Dictionaries, lists, tuples and sets within each other.
        current_path: The path of ``data`` itself, put before all others.
        allow_blank: Whether empty dictionaries and lists are values too.
    """
    return list(_paths(data, current_path, allow_blank))


def _paths(data: Any, path: str, allow_blank: bool) -> Iterator[str]:
    children = _children(data)
    if children is None or (not children and allow_blank and path):
        yield path
        return
    for element, value in children:
        yield from _paths(value, join_path(path, element), allow_blank)


def _children(data: Any) -> list[tuple[Any, Any]] | None:
    if isinstance(data, Mapping):
        return sorted(data.items(), key=lambda item: str(item[0]))
    if isinstance(data, (list, tuple)):
        return list(enumerate(data))
    if isinstance(data, Set):
        return list(enumerate(sorted(data)))
    return None


def copy_containers(data: Any) -> Any:
    """Return a copy whose dictionaries and lists may be changed; all other values are the very same."""
    if isinstance(data, dict):
        copied = type(data)()
        copied.update((key, copy_containers(value)) for key, value in data.items())
        return copied
    if type(data) is list:
        return [copy_containers(item) for item in data]
    if type(data) is tuple:
        return tuple(copy_containers(item) for item in data)
    return data
