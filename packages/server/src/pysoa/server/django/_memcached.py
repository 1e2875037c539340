"""Memcached backends that keep their connections between requests."""

from __future__ import annotations

from typing import Any

from django.core.cache.backends.memcached import (  # type: ignore[import-untyped]  # Django brings no types
    PyLibMCCache,
    PyMemcacheCache,
)

# Django brings no types.
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUntypedBaseClass=false
# pyright: reportUnknownMemberType=false

__all__ = ("PySOAMemcachedCache", "PySOAPyLibMCCache")


class PySOAMemcachedCache(PyMemcacheCache):  # type: ignore[misc]  # the base has no types
    """A memcached cache that does not close its connections unless the server is shutting down.

    It uses the library ``pymemcache``. The backend for ``python-memcached``, which PySOA 1.x extended here,
    is no longer part of Django.
    """

    def close(self, for_shutdown: bool = False, **_kwargs: Any) -> None:
        """Close the connections if the server is shutting down.

        Args:
            for_shutdown: Whether it is. Django, at the end of a web request, does not pass it.
        """
        if for_shutdown:
            super().close()


class PySOAPyLibMCCache(PyLibMCCache):  # type: ignore[misc]  # the base has no types
    """A memcached cache that does not close its connections unless the server is shutting down.

    It uses the library ``pylibmc``. Django's own backend for it never closes them, so they end with the
    process.
    """

    def close(self, for_shutdown: bool = False, **_kwargs: Any) -> None:
        """Close the connections if the server is shutting down and the base class supports that.

        Args:
            for_shutdown: Whether it is. Django, at the end of a web request, does not pass it.
        """
        if for_shutdown:
            super().close()


# Users find these classes, in logs and in documentation, where they configure them.
PySOAMemcachedCache.__module__ = PySOAPyLibMCCache.__module__ = "pysoa.server.django.cache"
