"""Small helpers that several parts of PySOA, and services, use."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Mapping
from typing import Any

from pysoa.common._plain import is_array, is_dict, is_set

__all__ = (
    "dict_to_hashable",
    "get_python_interpreter_arguments",
)


def dict_to_hashable(d: Mapping[Any, Any]) -> frozenset[tuple[Any, Any]]:
    """Return something that can be the key of a dictionary in place of another dictionary.

    Equal dictionaries give equal results, whatever the order of their keys. Lists count as tuples.

    Args:
        d: A dictionary of hashable values, lists, tuples, sets and further dictionaries, at any depth.

    Raises:
        TypeError: A value is of another type and cannot be hashed.
    """
    return frozenset((key, _to_hashable(value)) for key, value in d.items())


def get_python_interpreter_arguments() -> list[str]:
    """Return the beginning of this process's command line, up to what was started.

    That is the path of the interpreter, its own options, and the path of the script or ``-m`` with the name
    of the module; without the arguments that the program finds in ``sys.argv[1:]``.
    """
    return sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]


def _to_hashable(value: Any) -> Hashable:
    if is_dict(value):
        return dict_to_hashable(value)
    if is_set(value):
        return frozenset(value)
    if is_array(value):
        return tuple(_to_hashable(element) for element in value)
    hashable: Hashable = value
    return hashable
