"""The file whose changing content shows that a server process is alive."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path

__all__ = ("Heartbeat",)

_UPDATE_INTERVAL_IN_SECONDS = 2.5

_logger = logging.getLogger("pysoa.server")


class Heartbeat:
    """Writes the current time into one file, at most once per 2.5 seconds.

    Safe for use by several threads: the worker's own, and a watchdog that speaks for it during long jobs.
    """

    def __init__(self, path_template: str, forked_process_id: int | None = None) -> None:
        """Name the file; nothing is created yet.

        Args:
            path_template: The setting ``heartbeat_file``. ``{{pid}}`` in it becomes the id of the process
                that creates the file. ``{{fid}}`` becomes the forked process id, and stays as it is in a
                process that was not forked, as in PySOA 1.x.
            forked_process_id: The number of this worker, from 1, or ``None`` when not forked.
        """
        self._path_template = path_template
        self._forked_process_id = forked_process_id
        self._path: Path | None = None
        self._descriptor: int | None = None
        self._updated_at = 0.0
        self._lock = threading.Lock()

    @property
    def path(self) -> Path | None:
        """The absolute path of the file while it exists."""
        return self._path

    def create(self) -> None:
        """Create the file, or empty the one that is there, and write the time.

        Raises:
            OSError: The file cannot be created or written. Its ``filename`` tells which one.
        """
        name = self._path_template.replace("{{pid}}", str(os.getpid()))
        if self._forked_process_id is not None:
            name = name.replace("{{fid}}", str(self._forked_process_id))
        path = Path(name).absolute()
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        self._path = path
        self._write()

    def update(self) -> None:
        """Write the time again, if the last time is more than 2.5 seconds old and the file was created."""
        if self._descriptor is None or time.monotonic() - self._updated_at <= _UPDATE_INTERVAL_IN_SECONDS:
            return
        if not self._lock.acquire(blocking=False):
            return  # another thread is writing just now
        try:
            self._write()
        except OSError as error:
            # A full disk must not end the worker; the file growing old shows the trouble soon enough.
            self._updated_at = time.monotonic()
            _logger.warning("Cannot update the heartbeat file %s: %s", self._path, error)
        finally:
            self._lock.release()

    def delete(self) -> None:
        """Close and remove the file. Trouble with that is only logged."""
        descriptor, path = self._descriptor, self._path
        self._descriptor = self._path = None
        if descriptor is None or path is None:
            return
        try:
            os.close(descriptor)
        except OSError as error:
            _logger.warning("Cannot close the heartbeat file %s: %s", path, error)
        try:
            path.unlink()
        except OSError as error:
            _logger.warning("Cannot remove the heartbeat file %s: %s", path, error)

    def _write(self) -> None:
        descriptor = self._descriptor
        if descriptor is None:
            return
        content = str(time.time()).encode("ascii")
        os.pwrite(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))  # an older value may have had more digits
        self._updated_at = time.monotonic()
