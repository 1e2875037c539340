"""Which of the default logging objects a service's own ``logging`` setting keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ("drop_unused_defaults",)


def drop_unused_defaults(config: dict[str, Any], own: Mapping[str, Any]) -> None:
    """Remove from a merged configuration the default handlers, formatters and filters that nothing uses.

    ``dictConfig`` makes every handler that it finds. One that no logger uses, such as the default syslog
    handler, would open a socket for nothing.

    Args:
        config: The defaults and the service's own configuration, merged; changed in place.
        own: The service's own configuration. What it defines stays, used or not, and an object that it makes
            by a factory (the key ``()``) keeps the keys given there only, since they are the factory's
            arguments.
    """
    for section in ("formatters", "handlers"):
        for name, definition in own.get(section, {}).items():
            if "()" in definition:
                config[section][name] = dict(definition)

    if config.get("incremental") is True:
        # Then dictConfig only changes levels of handlers that exist under that name.
        used_handlers: set[str] = set()
    else:
        loggers = [config.get("root", {}), *config.get("loggers", {}).values()]
        used_handlers = _used_by(loggers, "handlers")
    _keep(config, "handlers", own, used_handlers)

    handlers = list(config.get("handlers", {}).values())
    _keep(config, "formatters", own, {handler["formatter"] for handler in handlers if "formatter" in handler})
    loggers = [config.get("root", {}), *config.get("loggers", {}).values()]
    _keep(config, "filters", own, _used_by([*handlers, *loggers], "filters"))


def _used_by(definitions: list[dict[str, Any]], section: str) -> set[str]:
    return {name for definition in definitions for name in definition.get(section, ())}


def _keep(config: dict[str, Any], section: str, own: Mapping[str, Any], used: set[str]) -> None:
    if section in config:
        wanted = used | set(own.get(section, {}))
        config[section] = {name: item for name, item in config[section].items() if name in wanted}
