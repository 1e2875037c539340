"""What tells whether a file has changed."""

from __future__ import annotations

import os
from typing import NamedTuple, Self

__all__ = ("FileState",)


class FileState(NamedTuple):
    """A file, as far as a change of its content would show."""

    name: str
    modified_at_ns: int
    size_in_bytes: int

    @classmethod
    def of(cls, name: str) -> Self | None:
        """Return the present state of a file, or ``None`` if there is none."""
        try:
            status = os.stat(name)  # noqa: PTH116 - a thousand files per second: pathlib takes several times as long
        except OSError:
            return None
        return cls(name, status.st_mtime_ns, status.st_size)

    def to_bytes(self) -> bytes:
        """Return a form without zero bytes."""
        return b"%d %d %s" % (self.modified_at_ns, self.size_in_bytes, os.fsencode(self.name))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Undo :meth:`to_bytes`."""
        modified_at_ns, size_in_bytes, name = data.split(b" ", 2)
        return cls(os.fsdecode(name), int(modified_at_ns), int(size_in_bytes))
