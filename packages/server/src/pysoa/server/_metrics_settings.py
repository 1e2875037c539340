"""Telling the metrics of forked workers apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pysoa.common._plain import is_dict

__all__ = ("with_forked_process_id",)

_TOKENS = ("{{fid}}", "[[fid]]", "%%fid%%")


def with_forked_process_id(kwargs: Mapping[str, Any], forked_process_id: int | None) -> dict[str, Any]:
    """Return the recorder's arguments with the id of this worker in place of its tokens.

    The tokens ``{{fid}}``, ``[[fid]]`` and ``%%fid%%`` are replaced in strings of the publishers'
    configurations: everywhere in those of configuration version 1, else in their ``kwargs``. Nothing given is
    changed.

    Args:
        kwargs: The ``kwargs`` of the setting ``metrics``.
        forked_process_id: The number of this worker; a process that was not forked is called ``main``.
    """
    result = dict(kwargs)
    config: dict[str, Any] = dict(result.get("config") or {})
    if not config.get("publishers"):
        return result
    replacement = "main" if forked_process_id is None else str(forked_process_id)
    config["publishers"] = [
        _in_publisher(publisher, config.get("version"), replacement) for publisher in config["publishers"]
    ]
    result["config"] = config
    return result


def _in_publisher(publisher: Any, version: Any, replacement: str) -> Any:
    if not is_dict(publisher) or version == 1:
        return _replace(publisher, replacement)
    return {
        key: _replace(value, replacement) if key == "kwargs" else value for key, value in publisher.items()
    }


def _replace(value: Any, replacement: str) -> Any:
    if isinstance(value, str):
        for token in _TOKENS:
            value = value.replace(token, replacement)
        return value
    if is_dict(value):
        return {key: _replace(item, replacement) for key, item in value.items()}
    return value
