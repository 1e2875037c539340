"""From the settings of a transport to a backend, shared by all transports with the same settings."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any

from pysoa.common.transport.redis_gateway.backend.base import BaseRedisClient
from pysoa.common.transport.redis_gateway.constants import REDIS_BACKEND_TYPE_SENTINEL

__all__ = (
    "build_backend",
    "cache_key",
    "check_backend_kwargs",
    "known_ring_size",
    "prepare_backend_kwargs",
)

_STANDARD_PORT = 6379
_SENTINEL_PORT = 26379

cache_lock = threading.Lock()
"""Held while a backend is looked up or built, so that transports with equal settings always share one."""


def _renew_lock() -> None:
    # Another thread of the parent may have held it, and does not exist in the child.
    global cache_lock
    cache_lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


def prepare_backend_kwargs(backend_type: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the ``backend_layer_kwargs`` setting into arguments for the backend. The setting is not changed.

    Args:
        backend_type: Which backend.
        settings: The setting. ``redis_port`` applies to every host that names no port, also to the default
            host; without it, that is the usual port of a Redis server or of a Sentinel. ``redis_db`` goes
            into the connection arguments.

    Raises:
        ValueError: A host is neither a string nor a pair.
    """
    prepared = dict(settings)
    port = prepared.pop("redis_port", None)
    database = prepared.pop("redis_db", None)
    hosts = prepared.get("hosts")
    if hosts:
        default_port = _SENTINEL_PORT if backend_type == REDIS_BACKEND_TYPE_SENTINEL else _STANDARD_PORT
        prepared["hosts"] = [_prepared_host(host, port or default_port) for host in hosts]
    elif port is not None:
        prepared["hosts"] = [("localhost", port)]
    if database is not None:
        prepared["connection_kwargs"] = {**(prepared.get("connection_kwargs") or {}), "db": database}
    return prepared


def _prepared_host(host: object, port: int) -> object:
    if isinstance(host, str):
        # A URL names its own port, and more.
        return host if "://" in host else (host, port)
    if isinstance(host, (tuple, list)) and len(host) == 2:  # pyright: ignore[reportUnknownArgumentType]
        return tuple(host)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    raise ValueError("connection_kwargs['hosts'] must be a list of tuples of (host, port), or strings")


def known_ring_size(backend_type: str, prepared: Mapping[str, Any]) -> int | None:
    """Return how many masters there are, or ``None`` if only a Sentinel can tell.

    Args:
        backend_type: Which backend.
        prepared: What :func:`prepare_backend_kwargs` returned.
    """
    if backend_type == REDIS_BACKEND_TYPE_SENTINEL:
        return len(prepared.get("sentinel_services") or ()) or None
    return len(prepared.get("hosts") or ()) or 1


def build_backend(backend_type: str, prepared: Mapping[str, Any]) -> BaseRedisClient:
    """Build a backend.

    Args:
        backend_type: Which backend.
        prepared: What :func:`prepare_backend_kwargs` returned.
    """
    # Imported here so that a process pays only for the backend that it uses.
    if backend_type == REDIS_BACKEND_TYPE_SENTINEL:
        from pysoa.common.transport.redis_gateway.backend.sentinel import SentinelRedisClient

        return SentinelRedisClient(**prepared)
    from pysoa.common.transport.redis_gateway.backend.standard import StandardRedisClient

    return StandardRedisClient(**prepared)


def check_backend_kwargs(backend_type: str, prepared: Mapping[str, Any]) -> None:
    """Build a backend just to see whether its arguments are usable; nothing is connected.

    Args:
        backend_type: Which backend.
        prepared: What :func:`prepare_backend_kwargs` returned.

    Raises:
        TypeError: redis-py does not know an argument.
        ValueError: An argument makes no sense.
    """
    key = cache_key(backend_type, prepared)
    # A client of many services has the same settings for most of them.
    if key not in _usable:
        build_backend(backend_type, prepared)
        while len(_usable) >= _MAXIMUM_USABLE:
            _usable.pop(next(iter(_usable)), None)
        _usable[key] = None


_MAXIMUM_USABLE = 64
_usable: dict[object, None] = {}


def cache_key(backend_type: str, prepared: Mapping[str, Any]) -> object:
    """Return what is equal for equal settings, and hashable whatever they contain.

    Args:
        backend_type: Which backend.
        prepared: What :func:`prepare_backend_kwargs` returned.
    """
    return backend_type, _hashable(prepared)


def _hashable(value: Any) -> object:
    items: Any = value
    if isinstance(value, Mapping):
        return frozenset((key, _hashable(item)) for key, item in items.items())
    if isinstance(value, (list, tuple)):
        return tuple(_hashable(item) for item in items)
    if isinstance(value, (set, frozenset)):
        return frozenset(_hashable(item) for item in items)
    try:
        hash(value)
    except TypeError:
        return _Identity(value)
    return value


class _Identity:
    """Stands for an unhashable object, and keeps it alive, so that no other can take its identity."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other._value is self._value

    def __hash__(self) -> int:
        return id(self._value)
