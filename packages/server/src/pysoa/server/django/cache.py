"""Django cache backends for services, which have no web requests that would close their caches.

Each is used by its dotted path, such as ``pysoa.server.django.cache.PySOAMemcachedCache``, as the ``BACKEND``
of an entry of Django's ``CACHES``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.cache.backends.locmem import LocMemCache  # type: ignore[import-untyped]  # Django brings no types

if TYPE_CHECKING:
    from pysoa.server.django._memcached import PySOAMemcachedCache, PySOAPyLibMCCache

# Django brings no types.
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUntypedBaseClass=false
# pyright: reportUnknownMemberType=false

__all__ = (
    "PySOAMemcachedCache",
    "PySOAProcessScopedMemoryCache",
    "PySOAPyLibMCCache",
    "PySOARequestScopedMemoryCache",
)

_MEMCACHED_CLASSES = frozenset({"PySOAMemcachedCache", "PySOAPyLibMCCache"})


class PySOARequestScopedMemoryCache(LocMemCache):  # type: ignore[misc]  # the base has no types
    """An in-memory cache that is emptied at the end of each job request.

    Caches of this class with the same ``LOCATION`` share their entries, and share them with no cache of
    another class.
    """

    def __init__(self, name: str, params: dict[str, Any]) -> None:
        """See Django's ``LocMemCache``.

        Args:
            name: The ``LOCATION``.
            params: The other settings of the cache.
        """
        super().__init__(f"pysoa.request:{name}", params)
        _request_scoped.setdefault(name, self)

    def close(self, **_kwargs: Any) -> None:
        """Remove all entries. The server calls this at the end of each request."""
        self.clear()


class PySOAProcessScopedMemoryCache(LocMemCache):  # type: ignore[misc]  # the base has no types
    """An in-memory cache that lasts as long as the server process.

    Caches of this class with the same ``LOCATION`` share their entries, and share them with no cache of
    another class.
    """

    def __init__(self, name: str, params: dict[str, Any]) -> None:
        """See Django's ``LocMemCache``.

        Args:
            name: The ``LOCATION``.
            params: The other settings of the cache.
        """
        super().__init__(f"pysoa.process:{name}", params)

    def close(self, **_kwargs: Any) -> None:
        """Keep all entries."""


# One cache for each storage. Django has one for each thread, and drops it with the thread.
_request_scoped: dict[str, PySOARequestScopedMemoryCache] = {}


def close_request_scoped_caches() -> None:
    """Empty the request-scoped caches of all threads; Django itself only knows those of the calling one."""
    for cache in list(_request_scoped.values()):
        cache.close()


def __getattr__(name: str) -> Any:
    # Memory caches must work whatever becomes of Django's memcached backends.
    if name not in _MEMCACHED_CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pysoa.server.django import _memcached

    return getattr(_memcached, name)
