"""Keeps a Django service's database connections in order around each request."""

from __future__ import annotations

import logging
from typing import Any

# Django brings no types.
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false

__all__ = (
    "django_close_old_database_connections",
    "django_reset_database_queries",
)

_logger = logging.getLogger(__name__)


def django_reset_database_queries() -> None:
    """Empty the log of queries that Django keeps for each connection in debug mode."""
    from django.conf import settings  # type: ignore[import-untyped]  # Django brings no types
    from django.db import reset_queries  # type: ignore[import-untyped]  # Django brings no types

    if settings.DATABASES:
        _logger.debug("Resetting Django query log")
        reset_queries()


def django_close_old_database_connections() -> None:
    """Close this thread's database connections that are broken or older than ``CONN_MAX_AGE`` allows.

    A connection with an open transaction is left alone. No connection is opened, nor even created, to find
    out.
    """
    from django.conf import settings
    from django.db import DatabaseError, InterfaceError, connections

    if not settings.DATABASES:
        return
    _logger.debug("Cleaning Django connections")
    existing: list[Any] = connections.all(initialized_only=True)
    for connection in existing:
        # The attribute rather than get_autocommit(), which connects first.
        if connection.connection is None or not connection.autocommit:
            continue
        try:
            connection.close_if_unusable_or_obsolete()
        except (DatabaseError, InterfaceError) as error:
            _logger.debug("Ignoring error while cleaning Django connection: %s", error)
