"""Just enough of the Redis protocol to start a server and look after it without a Redis library."""

from __future__ import annotations

import io
import pathlib
import socket

__all__ = ["RedisReply", "RedisReplyError", "execute"]

RedisReply = str | int | bytes | list["RedisReply"] | None
"""What a command answers: status lines as ``str``, bulk strings as ``bytes``, missing values as ``None``."""


class RedisReplyError(Exception):
    """The server refused a command; the text is the server's, and so never holds a password."""


def execute(
    socket_path: pathlib.Path,
    arguments: tuple[str | bytes | int, ...],
    timeout_s: float,
    password: str | None = None,
) -> RedisReply:
    """Send one command over a new connection to a Unix socket, and return its reply.

    Raises:
        RedisReplyError: The server answered with an error.
        OSError: The server cannot be reached, closed the connection or did not answer in time.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(socket_path))
        with connection.makefile("rb") as stream:
            if password is not None:
                connection.sendall(pack_command(("AUTH", password)))
                read_reply(stream)
            connection.sendall(pack_command(arguments))
            return read_reply(stream)


def pack_command(arguments: tuple[str | bytes | int, ...]) -> bytes:
    """Return a command as the array of bulk strings that Redis reads."""
    parts = [argument if isinstance(argument, bytes) else str(argument).encode() for argument in arguments]
    packed = [b"*%d\r\n" % len(parts)]
    packed.extend(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"".join(packed)


def read_reply(stream: io.BufferedReader) -> RedisReply:
    """Read one RESP2 reply."""
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionResetError("redis-server closed the connection before it answered")
    kind, rest = line[:1], line[1:-2]
    if kind == b"+":
        return rest.decode()
    if kind == b"-":
        raise RedisReplyError(rest.decode())
    if kind == b":":
        return int(rest)
    if kind == b"$":
        return read_bulk_string(stream, int(rest))
    if kind == b"*":
        return None if int(rest) < 0 else [read_reply(stream) for _ in range(int(rest))]
    raise RedisReplyError(f"Unknown reply type {kind!r}")


def read_bulk_string(stream: io.BufferedReader, size: int) -> bytes | None:
    """Read what follows a ``$`` line."""
    if size < 0:
        return None
    content = stream.read(size + 2)
    if len(content) < size + 2:
        raise ConnectionResetError("redis-server closed the connection in the middle of a reply")
    return content[:-2]
