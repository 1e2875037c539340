"""The seam between the transport (what is said to Redis) and the backends (how Redis is reached).

The transport packs its own commands and reads plain replies; the backend owns sockets, TLS, log-in,
Sentinel and the pooling of connections. Everything a backend can fail with arrives here as a
:class:`BackendError` whose text is free of credentials. All deadlines are values of ``time.monotonic()``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pymetrics.instruments import Counter

__all__ = (
    "Backend",
    "BackendError",
    "CommandConnection",
    "ErrorReply",
)


class BackendError(Exception):
    """Redis could not be reached, or the connection broke or stayed silent past the deadline.

    Raised by :meth:`Backend.acquire`, :meth:`CommandConnection.write` and :meth:`CommandConnection.read`.
    The text names the address and the trouble, never a password, a user's URL or a token.
    """

    def __init__(
        self, text: str, *, cause_name: str, is_connection_error: bool = False, is_silence: bool = False
    ) -> None:
        """Remember what happened.

        Args:
            text: What happened and where, safe to log and to show.
            cause_name: The class name of the library's exception, such as ``ConnectionError`` or
                ``TimeoutError``.
            is_connection_error: Whether it could not even be found out which server to talk to (no Sentinel
                answers, no master known). The transport then says ``Cannot get connection: <text>``.
            is_silence: Whether the reply has just not come by the deadline, so that the connection is whole
                and may be read from again.
        """
        super().__init__(text)
        self.text = text
        self.cause_name = cause_name
        self.is_connection_error = is_connection_error
        self.is_silence = is_silence


class ErrorReply:
    """Redis answered a command with an error. It is a value: the connection stays usable."""

    __slots__ = ("is_missing_script", "text")

    def __init__(self, text: str, is_missing_script: bool = False) -> None:
        """Keep the error text as Redis sent it.

        Args:
            text: The text, without the code word that the client library cut off, if any.
            is_missing_script: Whether this is ``NOSCRIPT``: nothing was run, the script must be sent in full.
        """
        self.text = text
        self.is_missing_script = is_missing_script

    def __repr__(self) -> str:
        return f"ErrorReply({self.text!r})"


class CommandConnection(Protocol):
    """One logged-in connection to one Redis server, used by one thread at a time."""

    def write(self, data: bytes, deadline: float) -> None:
        """Write packed commands, all of them or none that count.

        Args:
            data: One or more complete commands in the Redis protocol.
            deadline: When to give up, in ``time.monotonic()`` seconds.

        Raises:
            BackendError: The connection broke or the deadline passed. Discard the connection.
        """
        ...

    def read(self, deadline: float) -> object:
        """Read the reply to one command, in the order in which commands were written.

        Args:
            deadline: When to give up, in ``time.monotonic()`` seconds.

        Returns:
            ``None``, ``int``, ``bytes``, or a ``list`` of these; an :class:`ErrorReply` when Redis refused
            the command. Replies are never decoded to ``str``.

        Raises:
            BackendError: The connection broke, the deadline passed or Redis cannot serve now (loading, no
                longer a master). Discard the connection, unless the error says ``is_silence`` and the reply
                is still hoped for.
        """
        ...

    def read_into(self, replies: list[object], count: int, deadline: float, uninteresting: int = 0) -> None:
        """Append replies to a list until it has so many. Errors are those of :meth:`read`.

        Args:
            replies: Where to put them.
            count: How many replies the list shall have.
            deadline: When to give up, in ``time.monotonic()`` seconds.
            uninteresting: If no more bytes than these come, there is no hurry to look at them, because all is
                as expected and another reply is going to follow. A wait for that is not interrupted for them.
        """
        ...


class Backend(Protocol):
    """A ring of Redis masters with a pool of connections to each. Safe for threads and for forks."""

    metrics_counter_getter: Callable[[str], Counter] | None
    """Where to find counters by name; the transport that uses the backend sets it."""
    has_one_master: bool
    """Whether there is just one master, and that is known."""

    @property
    def ring_size(self) -> int:
        """How many masters there are; 0 if a Sentinel has not been asked yet, see :meth:`next_index`."""
        ...

    def index_for(self, key: str, deadline: float | None = None) -> int:
        """Return which master a key is on: by hash for reply lists (a ``!`` in it), else the next in turn."""
        ...

    def next_index(self, deadline: float | None = None) -> int:
        """Return the next master in turn, fair over all threads. May have to ask a Sentinel once.

        Raises:
            BackendError: Nobody can be asked within the deadline.
        """
        ...

    def acquire(self, index: int, deadline: float) -> CommandConnection:
        """Lend a connection to the master with this index, connecting if no pooled one is free.

        A reused connection has been checked: its peer has not closed it and no unread reply is left in it.
        Pools hand out the connection that came back last, first. A thread blocked on one connection never
        keeps another thread from getting one.

        Raises:
            BackendError: It cannot be had within the deadline.
        """
        ...

    def release(self, connection: CommandConnection) -> None:
        """Take back a connection whose replies have all been read. Never raises."""
        ...

    def discard(self, connection: CommandConnection) -> None:
        """Close a connection that is broken or still owes replies. Never raises."""
        ...

    def is_master(self, connection: CommandConnection, index: int, deadline: float) -> bool:
        """Tell whether a borrowed connection still leads to the master with this index.

        Raises:
            BackendError: It cannot be found out within the deadline.
        """
        ...

    def reset_clients(self) -> None:
        """Forget which server is master, if that can change; called after an error."""
        ...
