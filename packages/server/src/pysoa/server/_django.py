"""What a server does for Django, which is only imported when a server uses it."""

from __future__ import annotations

import argparse
import contextlib
import copy
import importlib
import logging
import os
import sys
from collections.abc import Generator, Mapping
from types import ModuleType
from typing import Any, cast

from pysoa.server._logging_merge import drop_unused_defaults
from pysoa.server.settings import ServerSettings

# Django brings no types.
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false

__all__ = (
    "choose_settings_module",
    "close_caches",
    "close_connections",
    "set_up",
    "warn_of_unused_settings",
)

_SETTINGS_VARIABLE = "DJANGO_SETTINGS_MODULE"

_logger = logging.getLogger("pysoa.server")


def choose_settings_module(module_name: str | None, parser: argparse.ArgumentParser) -> None:
    """Set ``DJANGO_SETTINGS_MODULE`` from the command line, or see that it is set.

    Raises:
        SystemExit: With code 2, if neither names a module.
    """
    if module_name:
        os.environ[_SETTINGS_VARIABLE] = module_name
    elif not os.environ.get(_SETTINGS_VARIABLE):
        parser.error(
            "the following arguments are required: -s/--settings (or set the environment variable "
            f"{_SETTINGS_VARIABLE})"
        )


def warn_of_unused_settings(module_name: str | None) -> None:
    """Say so if the command line names a settings module that Django will not use."""
    if module_name and module_name != os.environ.get(_SETTINGS_VARIABLE):
        print(  # noqa: T201 - a message for who typed the command, before any logging exists
            f"WARNING: -s/--settings {module_name} has no effect: this server has use_django = True, and its "
            f"program calls simple_main. Set {_SETTINGS_VARIABLE}, or call django_main.",
            file=sys.stderr,
            flush=True,
        )


def set_up() -> None:
    """Import the Django settings module, decide about ``LOGGING`` and call ``django.setup()``.

    Raises:
        ImportError: Django is not installed.
        ValueError: The settings module cannot be imported.
    """
    name = os.environ[_SETTINGS_VARIABLE]
    try:
        import django  # type: ignore[import-untyped]  # Django brings no types
    except ImportError as error:
        raise ImportError("Cannot import Django. Install it, for example as pysoa-server[django].") from error
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise ValueError(
            f"Cannot import Django settings module `{name}`: {error}. Give -s/--settings or "
            f"{_SETTINGS_VARIABLE} the dotted path of a module that can be imported from here."
        ) from error
    replaced = _merge_logging(module)
    with _own_loggers_kept():
        django.setup()
    if replaced:
        logging.getLogger().warning(
            "The Django setting LOGGING is not used: SOA_SERVER_SETTINGS has `logging`, which replaces it. "
            "Remove one of the two."
        )


@contextlib.contextmanager
def _own_loggers_kept() -> Generator[None]:
    """Keep the loggers of PySOA enabled.

    ``LOGGING`` disables all loggers that exist when it is applied, unless it says otherwise. Those of service
    code come later; ours exist because it is us who apply it.
    """
    names = [name for name in logging.root.manager.loggerDict if name == "pysoa" or name.startswith("pysoa.")]
    enabled = [name for name in names if not logging.getLogger(name).disabled]
    yield
    for name in enabled:
        logging.getLogger(name).disabled = False


def close_caches(for_shutdown: bool) -> None:
    """Close the Django caches that this thread has used.

    Args:
        for_shutdown: Whether the process ends. PySOA's own cache classes keep their connections until then.
    """
    from django.core.cache import caches  # type: ignore[import-untyped]  # Django brings no types

    if for_shutdown:
        _logger.info("Closing all Django caches")
    used: list[Any] = caches.all(initialized_only=True)
    for cache in used:
        cache.close(for_shutdown=for_shutdown)
    own_caches = sys.modules.get("pysoa.server.django.cache")
    if own_caches is not None:
        own_caches.close_request_scoped_caches()


def close_connections() -> None:
    """Close the database and cache connections of this thread, before the process is forked."""
    from django.db import connections  # type: ignore[import-untyped]  # Django brings no types

    opened: list[Any] = connections.all(initialized_only=True)
    for connection in opened:
        connection.close()
    close_caches(for_shutdown=True)


def _merge_logging(module: ModuleType) -> bool:
    """Set the ``LOGGING`` of a settings module; tell whether it had another one."""
    server_settings: Mapping[str, Any] = getattr(module, "SOA_SERVER_SETTINGS", {})
    own: Mapping[str, Any] | None = server_settings.get("logging")
    existing: object = getattr(module, "LOGGING", None)
    if existing and not own:
        return False
    merged = _merged(ServerSettings.defaults["logging"], own or {})
    drop_unused_defaults(merged, own or {})
    vars(module)["LOGGING"] = merged
    return bool(existing) and existing != own


def _merged(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = copy.deepcopy(dict(defaults))
    for key, value in own.items():
        default = result.get(key)
        if isinstance(default, dict) and isinstance(value, Mapping):
            result[key] = _merged(cast(dict[str, Any], default), cast(Mapping[str, Any], value))
        else:
            result[key] = copy.deepcopy(value)
    return result
