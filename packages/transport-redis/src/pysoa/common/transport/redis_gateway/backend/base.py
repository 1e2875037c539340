"""What all backends have in common: a ring of Redis masters, and a pool of connections to each."""

from __future__ import annotations

import abc
import itertools
import os
import random
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Protocol

import redis
from pymetrics.instruments import Counter

from pysoa.common.transport.redis_gateway._commands import FULL, PUSH_SCRIPT
from pysoa.common.transport.redis_gateway._interfaces import CommandConnection
from pysoa.common.transport.redis_gateway._ring import is_hashed, ring_index
from pysoa.common.transport.redis_gateway.backend._pool import ConnectionPool

__all__ = (
    "BaseRedisClient",
    "CannotGetConnectionError",
    "LuaRedisCommand",
    "SendMessageToQueueCommand",
)


class CannotGetConnectionError(Exception):
    """It cannot be found out which server to talk to, for example in the middle of a fail-over."""


class LuaRedisCommand:
    """A script that is run through a client of redis-py, for tools that work beside the transport."""

    _script: str

    def __init__(self, redis_connection: redis.Redis) -> None:
        """Prepare the script; it is sent when it is first run.

        Args:
            redis_connection: Any client.
        """
        self._callable = redis_connection.register_script(self._script)

    def _call(self, keys: Sequence[str], args: Sequence[Any], connection: redis.Redis) -> Any:
        return self._callable(keys=keys, args=args, client=connection)


class SendMessageToQueueCommand(LuaRedisCommand):
    """Appends one message to a list, unless the list is full."""

    _script = PUSH_SCRIPT.decode("ascii")

    def __call__(
        self, queue_key: str, message: bytes, expiry: int, capacity: int, connection: redis.Redis
    ) -> None:
        """Append the message.

        Args:
            queue_key: The full key of the list.
            message: The message with its headers.
            expiry: For how many seconds the list must live at least.
            capacity: At how many messages the list counts as full.
            connection: The client of the server that holds the list.

        Raises:
            redis.ResponseError: With the text ``queue full``: the list is full, and nothing was appended.
        """
        if self._call([queue_key], [capacity, expiry, message], connection) == FULL:
            raise redis.ResponseError("queue full")


class BaseRedisClient(abc.ABC):
    """A ring of Redis masters. Safe for threads and for forks."""

    DEFAULT_RECEIVE_TIMEOUT: ClassVar[int] = 5
    RESPONSE_QUEUE_SPECIFIER: ClassVar[str] = "!"

    metrics_counter_getter: Callable[[str], Counter] | None = None
    """Where to find counters by name; the transport that uses the backend sets it."""

    def __init__(self, ring_size: int) -> None:
        """Start without connections.

        Args:
            ring_size: How many masters there are; 0 if that must be asked for first.
        """
        self._set_ring_size(ring_size)
        _survivors.add(self)

    # The ring

    @property
    def ring_size(self) -> int:
        """How many masters there are."""
        return self._ring_size

    def index_for(self, key: str, deadline: float | None = None) -> int:
        """Return which master holds a list.

        Reply lists have a master of their own, by the hash of their key. Any other list lives on all masters,
        and the next in turn is returned.

        Args:
            key: The full key.
            deadline: When to give up in ``time.monotonic()`` seconds, if the ring must be asked for first.

        Raises:
            BackendError: Nobody can be asked how many masters there are.
        """
        self._know_ring(deadline)
        return ring_index(key, self._ring_size) if is_hashed(key) else next(self._indexes)

    def next_index(self, deadline: float | None = None) -> int:
        """Return the next master in turn, fair over all threads.

        Args:
            deadline: As for :meth:`index_for`.

        Raises:
            BackendError: Nobody can be asked how many masters there are.
        """
        self._know_ring(deadline)
        return next(self._indexes)

    def _know_ring(self, deadline: float | None) -> None:  # noqa: B027  # not abstract: most rings are known
        """Find out how many masters there are, if it is not known yet."""

    def _set_ring_size(self, ring_size: int) -> None:
        self._indexes = _endless_indexes(ring_size)
        self._ring_size = ring_size
        self.has_one_master: bool = ring_size == 1
        """Whether there is just one master, and that is known."""

    def _get_consistent_hash_index(self, value: str) -> int:
        return ring_index(value, self.ring_size)

    # Connections

    @abc.abstractmethod
    def _pool(self, index: int, deadline: float) -> ConnectionPool:
        """Return the pool of the master with this index."""

    def acquire(self, index: int, deadline: float) -> CommandConnection:
        """Lend a connection to a master, to be given back by :meth:`release` or :meth:`discard`.

        Args:
            index: Which of the masters.
            deadline: When to give up, in ``time.monotonic()`` seconds.

        Raises:
            BackendError: It cannot be had by then.
            ValueError: There is no master with this index.
        """
        return self._pool(index, deadline).acquire(deadline)

    def is_master(self, connection: CommandConnection, index: int, deadline: float) -> bool:
        """Tell whether a connection that this backend lent still leads to the master with this index.

        Args:
            connection: The connection.
            index: Which of the masters.
            deadline: When to give up, in ``time.monotonic()`` seconds.

        Raises:
            BackendError: It cannot be found out by then.
        """
        return self._pool(index, deadline) is _pool_of(connection)

    def release(self, connection: CommandConnection) -> None:
        """Take back a connection whose replies have all been read.

        Args:
            connection: One that this backend lent.
        """
        lent: Any = connection  # by a pool
        lent.pool.release(connection)

    def discard(self, connection: CommandConnection) -> None:
        """Close a connection that is broken or still owes replies.

        Args:
            connection: One that this backend lent.
        """
        _pool_of(connection).discard(connection)

    def reset_clients(self) -> None:  # noqa: B027  # not abstract: fixed masters cannot change
        """Forget which server is master, if that can change; called after an error."""

    @abc.abstractmethod
    def _renew_after_fork(self) -> None:
        """Let go of everything that belongs to the parent process, and of locks that nobody holds here."""

    def renew_after_fork(self) -> None:
        """Start anew in a process just forked off. Called by itself after ``os.fork``."""
        self._indexes = _endless_indexes(self._ring_size)
        self._renew_after_fork()

    # For tools and tests

    def get_connection(self, queue_key: str) -> redis.Redis:
        """Return a client of redis-py for the server that holds a list.

        The transport does not use it. It is here for tools that look at queues.

        Args:
            queue_key: The full key.

        Raises:
            BackendError: It cannot be found out which server that is.
        """
        return self._get_connection(self.index_for(queue_key))

    @abc.abstractmethod
    def _get_connection(self, index: int) -> redis.Redis:
        """Return a client of redis-py for the master with this index."""

    @property
    def send_message_to_queue(self) -> SendMessageToQueueCommand:
        """The push of one message through a client of redis-py, for tools and tests."""
        return SendMessageToQueueCommand(redis.Redis())

    def _check_index(self, index: int) -> None:
        if not 0 <= index < self._ring_size:
            raise ValueError(f"There are only {self._ring_size} hosts, but you asked for connection {index}.")

    def _get_counter(self, name: str) -> Counter:
        getter = self.metrics_counter_getter
        return getter(name) if getter else Counter("")


class _LendingPool(Protocol):
    def release(self, connection: Any) -> None: ...

    def discard(self, connection: Any) -> None: ...


def _pool_of(connection: Any) -> _LendingPool:
    pool: _LendingPool = connection.pool
    return pool


def _endless_indexes(ring_size: int) -> Iterator[int]:
    # Taking the next of it is a single step for all threads. Each process starts somewhere else.
    return itertools.cycle(random.sample(range(ring_size), k=ring_size))


_survivors: weakref.WeakSet[BaseRedisClient] = weakref.WeakSet()


def _renew_all_after_fork() -> None:
    for backend in list(_survivors):
        backend.renew_after_fork()


os.register_at_fork(after_in_child=_renew_all_after_fork)
