"""Two ways to notice that a file has changed."""

from __future__ import annotations

import importlib.util
import logging
import time
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, Protocol

from pysoa.server._file_state import FileState

__all__ = ("PollingWatcher", "Watcher", "WatchfilesWatcher", "has_watchfiles")

_logger = logging.getLogger(__name__)

_POLL_INTERVAL_IN_SECONDS = 1.0
_DEBOUNCE_IN_MILLISECONDS = 50


class Watcher(Protocol):
    """Notices that watched files have changed."""

    def add(self, states: Iterable[FileState]) -> None:
        """Watch these files too, from the given states on."""
        ...

    def wait_for_change(self, timeout_in_seconds: float) -> bool:
        """Wait until any watched file has changed; ``False`` when the time is up first."""
        ...

    def close(self) -> None:
        """Stop watching."""
        ...


def has_watchfiles() -> bool:
    """Tell whether the ``watchfiles`` library is installed."""
    return importlib.util.find_spec("watchfiles") is not None


class _Snapshot:
    """The states of files when they were last read by the service, or last seen to have changed."""

    def __init__(self) -> None:
        self._states: dict[str, FileState] = {}

    @property
    def folders(self) -> set[str]:
        return {str(Path(name).parent) for name in self._states}

    def add(self, states: Iterable[FileState]) -> None:
        for state in states:
            self._states[state.name] = state

    def take_changes(self) -> bool:
        """Note the present states, and tell whether any is another than before.

        A file that is gone has not changed: editors replace files, and it will be back in a moment.
        """
        changed = False
        for name, before in self._states.items():
            now = FileState.of(name)
            if now is not None and now != before:
                self._states[name] = now
                changed = True
        return changed


class PollingWatcher:
    """Looks at every file once per second."""

    def __init__(self, snapshot: _Snapshot | None = None) -> None:
        """Watch the files of the snapshot, if there is one already."""
        self._snapshot = snapshot or _Snapshot()
        self._next_look_at = 0.0

    def add(self, states: Iterable[FileState]) -> None:
        """Watch these files too."""
        self._snapshot.add(states)

    def wait_for_change(self, timeout_in_seconds: float) -> bool:
        """Sleep until the next look is due or the time is up."""
        until = time.monotonic() + timeout_in_seconds
        while True:
            now = time.monotonic()
            if now >= self._next_look_at:
                self._next_look_at = now + _POLL_INTERVAL_IN_SECONDS
                if self._snapshot.take_changes():
                    return True
            if now >= until:
                return False
            time.sleep(max(0.0, min(until, self._next_look_at) - now))

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


class WatchfilesWatcher:
    """Is woken by the operating system when something happens in the folder of a watched file."""

    def __init__(self) -> None:
        self._snapshot = _Snapshot()
        self._folders: set[str] = set()
        self._changes: Generator[Any, None, None] | None = None
        self._instead: PollingWatcher | None = None

    def add(self, states: Iterable[FileState]) -> None:
        """Watch these files too."""
        self._snapshot.add(states)
        if not self._snapshot.folders <= self._folders:
            self.close()  # it is opened again, with the new folders, by the next wait

    def wait_for_change(self, timeout_in_seconds: float) -> bool:
        """Sleep until the system reports something, and look whether it is about a watched file."""
        if self._snapshot.take_changes():
            return True
        if self._instead is None:
            self._wait(timeout_in_seconds)
        if self._instead is not None:
            return self._instead.wait_for_change(timeout_in_seconds)
        return self._snapshot.take_changes()

    def close(self) -> None:
        """Stop being told of changes; the states of the files are kept."""
        if self._changes is not None:
            self._changes.close()
            self._changes = None

    def _wait(self, timeout_in_seconds: float) -> None:
        if not self._snapshot.folders:
            time.sleep(timeout_in_seconds)
            return
        try:
            if self._changes is None:
                self._changes = self._open(timeout_in_seconds)
            next(self._changes, None)
        except (OSError, RuntimeError) as error:
            # For instance more folders than the system lets a user watch.
            _logger.warning("Watching files by polling: %s", error)
            self.close()
            self._instead = PollingWatcher(self._snapshot)

    def _open(self, timeout_in_seconds: float) -> Generator[Any, None, None]:
        from watchfiles import watch

        self._folders = self._snapshot.folders
        return watch(
            *(folder for folder in self._folders if Path(folder).is_dir()),
            watch_filter=None,
            debounce=_DEBOUNCE_IN_MILLISECONDS,
            step=_DEBOUNCE_IN_MILLISECONDS,
            rust_timeout=int(timeout_in_seconds * 1000),
            yield_on_timeout=True,
            raise_interrupt=False,
            recursive=False,
        )
