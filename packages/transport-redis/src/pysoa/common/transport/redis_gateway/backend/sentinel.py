"""Redis masters that Sentinel names, and that change in a fail-over."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Generator, Iterable, Mapping
from typing import Any, ClassVar, Final

import redis

from pysoa.common._redaction import redacted_repr
from pysoa.common.transport.redis_gateway._interfaces import BackendError, CommandConnection
from pysoa.common.transport.redis_gateway.backend._endpoint import Endpoint, pair_in
from pysoa.common.transport.redis_gateway.backend._pool import ConnectionPool
from pysoa.common.transport.redis_gateway.backend._sentinels import MasterNotFoundError, Sentinels
from pysoa.common.transport.redis_gateway.backend.base import BaseRedisClient, CannotGetConnectionError

__all__ = ("SentinelRedisClient",)

_logger = logging.getLogger(__name__)

_Address = tuple[str, int]

_CONNECTION_DEFAULTS: Final = {"socket_connect_timeout": 5.0, "socket_keepalive": True}
_SENTINEL_DEFAULTS: Final = {**_CONNECTION_DEFAULTS, "socket_timeout": 5.0}
# Where there is no call that says how long it may take: tools, and the size of the ring.
_UNBOUNDED_CALLS_END_AFTER_S: Final = 5.0
# With less time than this left, another question would come to nothing.
_LEAST_TIME_FOR_RETRY_S: Final = 0.05


class _NoMasterError(BackendError, CannotGetConnectionError):
    """No master is known, also after all retries."""


class SentinelRedisClient(BaseRedisClient):
    """Talks to the masters that Redis Sentinel names. Nothing is asked or connected until it is needed."""

    DEFAULT_PORT: ClassVar[int] = 26379

    def __init__(
        self,
        hosts: Iterable[str | tuple[str, int]] | None = None,
        connection_kwargs: Mapping[str, Any] | None = None,
        sentinel_services: Iterable[str] | None = None,
        sentinel_failover_retries: int = 0,
        sentinel_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        """Remember the Sentinels.

        Args:
            hosts: The Sentinels: host names, or pairs of host and port. ``None`` or nothing stands for
                ``localhost``.
            connection_kwargs: What redis-py takes for each connection to a master, such as ``password`` or
                ``ssl``.
            sentinel_services: The names of the masters, in the order that all clients and servers must share.
                ``None`` or nothing stands for all that the Sentinels watch, sorted.
            sentinel_failover_retries: How often to ask again, with growing pauses, while no master is known.
            sentinel_kwargs: The same as ``connection_kwargs``, for the connections to the Sentinels.

        Raises:
            TypeError: redis-py does not know one of the arguments.
            ValueError: A host or a service is not as described, or redis-py refuses an argument.
        """
        if sentinel_failover_retries < 0:
            raise ValueError("sentinel_failover_retries must be >= 0")
        self._services = _checked_services(sentinel_services)
        self._failover_retries = sentinel_failover_retries
        self._arguments = _with_tls({**_CONNECTION_DEFAULTS, **(connection_kwargs or {})})
        self._endpoint(("localhost", 0))  # Fails now, not at the first call, if an argument is wrong.
        self._sentinels = Sentinels(
            self._sentinel_endpoints(hosts, {**_SENTINEL_DEFAULTS, **(sentinel_kwargs or {})})
        )
        # By service. The first is replaced and never changed, so that it can be read at any time. The second
        # outlives a reset: if the master is still the same, so are the connections to it.
        self._masters: Mapping[str, ConnectionPool] = {}
        self._last_pools: dict[str, tuple[_Address, ConnectionPool]] = {}
        self._asking_lock = threading.Lock()
        super().__init__(ring_size=len(self._services))

    # The ring

    @property
    def ring_size(self) -> int:
        """How many masters there are. Asks the Sentinels once, unless ``sentinel_services`` is given.

        Raises:
            BackendError: No Sentinel answers.
        """
        self._know_ring(None)
        return self._ring_size

    def _know_ring(self, deadline: float | None) -> None:
        if self._ring_size:
            return
        deadline = deadline or time.monotonic() + _UNBOUNDED_CALLS_END_AFTER_S
        with self._asking(deadline):
            if self._ring_size:
                return
            names = self._sentinels.service_names(deadline)
            if len(names) > 1:
                _logger.warning(
                    "Sentinel knows %d services and sentinel_services is not set, so all are used, in this "
                    "order: %s. If any client or server still runs PySOA 1.x, set sentinel_services to the "
                    "same list everywhere, since 1.x may use another order in each process.",
                    len(names),
                    names,
                )
            self._services = tuple(names)
            self._set_ring_size(len(names))

    # Masters

    def acquire(self, index: int, deadline: float) -> CommandConnection:
        """Lend a connection to a master, to be given back by :meth:`release` or :meth:`discard`.

        If the server that was master cannot be connected to, the Sentinels are asked who is now.

        Args:
            index: Which of the masters.
            deadline: When to give up, in ``time.monotonic()`` seconds.

        Raises:
            BackendError: It cannot be had by then.
            ValueError: There is no master with this index.
        """
        service = self._service(index, deadline)
        pool = self._masters.get(service)
        if pool is None:
            return self._master(service, deadline).acquire(deadline)
        try:
            return pool.acquire(deadline)
        except BackendError:
            if deadline - time.monotonic() < _LEAST_TIME_FOR_RETRY_S:
                raise
            self.reset_clients()
            current_pool = self._master(service, deadline)
            if current_pool is pool:
                raise
            return current_pool.acquire(deadline)

    def _pool(self, index: int, deadline: float) -> ConnectionPool:
        return self._master(self._service(index, deadline), deadline)

    def _service(self, index: int, deadline: float) -> str:
        self._know_ring(deadline)
        self._check_index(index)
        return self._services[index]

    def _master(self, service: str, deadline: float) -> ConnectionPool:
        attempt = 0
        while True:
            try:
                return self._known_or_found_master(service, deadline)
            except MasterNotFoundError as error:
                _logger.warning("Redis master not found, so resetting clients (failover?)")
                self.reset_clients()
                left_s = deadline - time.monotonic()
                if attempt >= self._failover_retries or left_s < _LEAST_TIME_FOR_RETRY_S:
                    raise _no_master(str(error)) from None
            self._get_counter("backend.sentinel.master_not_found_retry").increment()
            # Half of the time that is left, at most, so that there is some for the answer.
            time.sleep(min((2**attempt + random.random()) / 4.0, left_s / 2))
            attempt += 1

    def _known_or_found_master(self, service: str, deadline: float) -> ConnectionPool:
        pool = self._masters.get(service)
        if pool is not None:
            return pool
        with self._asking(deadline):
            # Many may have waited here; only the first has to ask.
            pool = self._masters.get(service)
            if pool is None:
                pool = self._found_master(service, deadline)
                self._masters = {**self._masters, service: pool}
            return pool

    def _found_master(self, service: str, deadline: float) -> ConnectionPool:
        self._get_counter("backend.sentinel.populate_master_client").increment()
        address = self._sentinels.master_address(service, deadline)
        _logger.info("Sentinel master address: %s", address)
        last_address, last_pool = self._last_pools.get(service, (None, None))
        if last_pool is not None:
            if last_address == address:
                return last_pool
            last_pool.close()
        pool = ConnectionPool(self._endpoint(address))
        self._last_pools[service] = address, pool
        return pool

    @contextlib.contextmanager
    def _asking(self, deadline: float) -> Generator[None]:
        lock = self._asking_lock
        if not lock.acquire(timeout=max(deadline - time.monotonic(), 0)):
            raise _no_master(
                f"The Sentinels at {self._sentinels.addresses} did not answer within the time limit."
            )
        try:
            yield
        finally:
            lock.release()

    def reset_clients(self) -> None:
        """Forget which servers are masters; called after an error. Good connections are kept."""
        self._masters = {}

    def _renew_after_fork(self) -> None:
        parents_pools = [pool for _, pool in self._last_pools.values()]
        self._masters = {}
        self._last_pools = {}
        self._asking_lock = threading.Lock()
        for pool in parents_pools:
            pool.close()

    # Addresses

    def _endpoint(self, address: _Address) -> Endpoint:
        return Endpoint({**self._arguments, "host": address[0], "port": address[1]})

    @classmethod
    def _sentinel_endpoints(
        cls, hosts: Iterable[str | tuple[str, int]] | None, arguments: Mapping[str, Any]
    ) -> list[Endpoint]:
        if isinstance(hosts, str):
            raise ValueError("Redis hosts must be specified as an iterable of hosts.")
        entries = list(hosts or ()) or ["localhost"]
        return [
            Endpoint({**arguments, "host": host, "port": port}, kind="Sentinel")
            for host, port in map(cls._converted_host, entries)
        ]

    @classmethod
    def _converted_host(cls, entry: object) -> _Address:
        if isinstance(entry, str) and "://" not in entry:
            return entry, cls.DEFAULT_PORT
        host, port = pair_in(entry)
        if isinstance(host, str) and isinstance(port, int) and "://" not in host:
            return host, port
        raise ValueError(
            "Each Sentinel Redis `hosts` entries must be specified as either a string host name (which will "
            f"default to port {cls.DEFAULT_PORT}) or a two-tuple of (string, int) host and port. "
            f"`{redacted_repr(entry)}` did not fit this requirement."
        )

    def _get_connection(self, index: int) -> redis.Redis:
        return self._pool(index, time.monotonic() + _UNBOUNDED_CALLS_END_AFTER_S).endpoint.client()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {list(self._services)} by {self._sentinels.addresses}>"


def _checked_services(services: Iterable[object] | None) -> tuple[str, ...]:
    if isinstance(services, str):
        raise ValueError("Sentinel service types must be specified as an iterable list of strings.")
    names = tuple(services or ())
    strings = tuple(name for name in names if isinstance(name, str))
    if len(strings) != len(names):
        raise ValueError("Sentinel service types must be specified as strings.")
    return strings


def _with_tls(arguments: dict[str, Any]) -> dict[str, Any]:
    # A certificate alone has always been enough here, other than for fixed masters.
    return {**arguments, "ssl": True} if arguments.get("ssl_certfile") else arguments


def _no_master(reason: str) -> _NoMasterError:
    return _NoMasterError(
        f"Master not found; gave up reloading master info after failover. {reason}",
        cause_name="CannotGetConnectionError",
        is_connection_error=True,
    )
