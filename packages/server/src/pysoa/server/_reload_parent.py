"""The process that watches a service's files: it starts, stops and replaces the process of the service."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Protocol

from pysoa.server._file_state import FileState
from pysoa.server._reload_child import PIPE_VARIABLE, RUN_MAIN_VARIABLE

__all__ = ("NEED_RELOAD_EXIT_CODE", "FileWatch", "ServiceProcess", "exit_like")

NEED_RELOAD_EXIT_CODE = 3
"""With this code a service asks to be started again."""

_WAIT_IN_SECONDS = 0.25
_STOP_LIMIT_IN_SECONDS = 6.5
_DUPLICATE_WINDOW_IN_SECONDS = 1.0

# Nothing that a changed file could repair: an orderly end, a wrong command line, a wrong way to start.
_FINAL_EXIT_CODES = frozenset({0, 2, 99})


class FileWatch(Protocol):
    """What the reloader offers the watching process."""

    def watch_files(self, states: Iterable[FileState] = ()) -> None: ...
    def code_changed(self, timeout_in_seconds: float = 1.0) -> bool: ...
    def stop_watching(self) -> None: ...


class ServiceProcess:
    """One service, in one process after the other."""

    def __init__(self, command: Sequence[str], watch: FileWatch) -> None:
        self._command = list(command)
        self._watch = watch
        self._child: subprocess.Popen[bytes] | None = None
        self._reader = -1
        self._unfinished = b""
        self._is_starting = False
        self._signalled_at: float | None = None

    def run_until_it_ends(self) -> int:
        """Start the service, and again after each change, until it ends for another reason.

        Returns:
            The exit code of the last process, negative if a signal ended it.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        try:
            while True:
                exit_code = self._run_once()
                if exit_code is not None:
                    return exit_code
        finally:
            self._watch.stop_watching()

    def _on_signal(self, _number: int, _frame: object) -> None:
        now = time.monotonic()
        if self._signalled_at is not None and now - self._signalled_at < _DUPLICATE_WINDOW_IN_SECONDS:
            return  # Ctrl+C has reached the child as well, and it knows how to take that
        self._signalled_at = now
        if self._is_starting:
            return  # the new process will be told when it is known
        child = self._child
        if child is None or child.returncode is not None:
            raise SystemExit(0)
        child.send_signal(signal.SIGTERM)

    def _run_once(self) -> int | None:
        """Run one process of the service; ``None`` when the next one shall follow."""
        child = self._start()
        try:
            while (exit_code := child.poll()) is None:
                if self._has_changed() and self._signalled_at is None:
                    _say("File change detected; reloading server process")
                    self._end(child)
                    return None if self._signalled_at is None else child.returncode
            self._read_report()
        finally:
            os.close(self._reader)
        if self._signalled_at is not None and exit_code == -signal.SIGTERM:
            return 0  # it had not come to the point where it has something to finish
        if self._signalled_at is not None or exit_code in _FINAL_EXIT_CODES:
            return exit_code
        if exit_code != NEED_RELOAD_EXIT_CODE:
            self._wait_for_repair(exit_code)
        return None

    def _start(self) -> subprocess.Popen[bytes]:
        self._reader, writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(writer, False)
        self._unfinished = b""
        environment = {**os.environ, RUN_MAIN_VARIABLE: "true", PIPE_VARIABLE: str(writer)}
        self._is_starting = True
        try:
            child = self._child = subprocess.Popen(self._command, env=environment, pass_fds=[writer])
        finally:
            self._is_starting = False
            os.close(writer)
        if self._signalled_at is not None:
            child.send_signal(signal.SIGTERM)
        return child

    def _has_changed(self) -> bool:
        self._read_report()
        return self._watch.code_changed(_WAIT_IN_SECONDS)

    def _read_report(self) -> None:
        """Take from the pipe which files the service consists of."""
        states: list[FileState] = []
        try:
            while data := os.read(self._reader, 65536):
                *complete, self._unfinished = (self._unfinished + data).split(b"\0")
                states.extend(FileState.from_bytes(state) for state in complete)
        except BlockingIOError:
            pass
        if states:
            self._watch.watch_files(states)

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        """Stop the process: politely, then with a second signal, which forces it, then for good."""
        child.send_signal(signal.SIGTERM)
        if self._has_ended(child):
            return
        _say("Process took too long to stop after file change; signaling again")
        child.send_signal(signal.SIGTERM)
        if not self._has_ended(child):
            _say("Process still has not stopped; killing it")
            child.kill()
            child.wait()

    def _has_ended(self, child: subprocess.Popen[bytes]) -> bool:
        try:
            child.wait(_STOP_LIMIT_IN_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _wait_for_repair(self, exit_code: int) -> None:
        _say(f"Server process ended with exit code {exit_code}; waiting for a file change to start it again")
        while not self._watch.code_changed(_WAIT_IN_SECONDS):
            pass
        _say("File change detected; starting server process")


def _say(message: str) -> None:
    print(message, flush=True)  # noqa: T201 - for the developer who looks at this terminal


def exit_like(exit_code: int) -> None:
    """End this process as another one has ended.

    Raises:
        SystemExit: With that code, unless it was a signal that ended the other process; then it ends this one
        too.
    """
    if exit_code < 0:
        sys.stdout.flush()
        signal.signal(-exit_code, signal.SIG_DFL)
        os.kill(os.getpid(), -exit_code)
    sys.exit(exit_code)
