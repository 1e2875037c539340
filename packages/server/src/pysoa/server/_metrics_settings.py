"""Telling the metrics of forked workers apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

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
    config = result.get("config")
    if not isinstance(config, Mapping) or not config.get("publishers"):
        return result
    config = dict(cast("Mapping[str, Any]", config))
    replacement = "main" if forked_process_id is None else str(forked_process_id)
    config["publishers"] = [
        _in_publisher(publisher, config.get("version"), replacement) for publisher in config["publishers"]
    ]
    result["config"] = config
    return result


def _in_publisher(publisher: Any, version: Any, replacement: str) -> Any:
    if not isinstance(publisher, Mapping):
        return publisher
    publisher = dict(cast("Mapping[str, Any]", publisher))
    if version == 1:
        return _replace(publisher, replacement)
    if "kwargs" in publisher:
        publisher["kwargs"] = _replace(publisher["kwargs"], replacement)
    return publisher


def _replace(value: Any, replacement: str) -> Any:
    if isinstance(value, str):
        for token in _TOKENS:
            value = value.replace(token, replacement)
        return value
    if isinstance(value, dict):
        return {key: _replace(item, replacement) for key, item in cast("dict[Any, Any]", value).items()}
    return value
