"""Where a server finds its settings."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from pysoa.server.settings import ServerSettings

if TYPE_CHECKING:
    from pysoa.server.server import Server  # a cycle: Server.main loads its settings here

# Django brings no types.
# pyright: reportMissingTypeStubs=false

__all__ = ("LoadedSettings", "load_settings")


@attrs.frozen
class LoadedSettings:
    """The checked settings of a server."""

    settings: ServerSettings
    leaves_logging_to_django: bool
    """The service configures logging by Django's ``LOGGING`` alone, which ``django.setup`` has applied."""


def load_settings(server_class: type[Server], module_name: str | None) -> LoadedSettings:
    """Find, check and complete the settings.

    Args:
        server_class: Says whether they are Django's, and which settings class checks them.
        module_name: The dotted path of the settings module; not used with Django, which knows its module.

    Raises:
        ImportError: The server uses Django, which is not installed.
        ValueError: The module cannot be imported, or it holds no settings.
        ImproperlyConfigured: The settings are wrong.
    """
    if server_class.use_django:
        data, logging_by_django = _django_settings()
    else:
        data, logging_by_django = _module_settings(module_name or ""), False
    return LoadedSettings(
        settings=server_class.settings_class(data),
        leaves_logging_to_django=logging_by_django and "logging" not in data,
    )


def _module_settings(module_name: str) -> Mapping[str, Any]:
    try:
        module = importlib.import_module(module_name)
    except (ImportError, TypeError) as error:
        if isinstance(error, TypeError) and not module_name.startswith("."):
            raise  # it comes from within the module
        raise ValueError(
            f"Cannot import settings module {module_name}: {error}. Give -s/--settings the dotted path of a "
            "module that can be imported from here."
        ) from error
    for name in ("SOA_SERVER_SETTINGS", "settings"):
        if hasattr(module, name):
            data: Mapping[str, Any] = getattr(module, name)
            return data
    raise ValueError(
        f"Cannot find `SOA_SERVER_SETTINGS` or `settings` variable in settings module {module_name}. "
        "Define SOA_SERVER_SETTINGS there, as a dictionary."
    )


def _django_settings() -> tuple[Mapping[str, Any], bool]:
    try:
        from django.conf import settings as django_settings  # type: ignore[import-untyped]
    except ImportError as error:
        raise ImportError(
            "Cannot import Django, and the server class has use_django = True. Install it, for example as "
            "pysoa-server[django], or set use_django to False."
        ) from error
    try:
        data: Mapping[str, Any] = django_settings.SOA_SERVER_SETTINGS
    except AttributeError as error:
        raise ValueError(
            "Cannot find `SOA_SERVER_SETTINGS` in the Django settings. Define it there, as a dictionary."
        ) from error
    return data, bool(getattr(django_settings, "LOGGING", None))
