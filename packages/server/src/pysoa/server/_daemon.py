"""Putting the process into the background."""

from __future__ import annotations

import os
import sys

__all__ = ("daemonize",)


def daemonize() -> None:
    """Go on in a child process that is the leader of its own session; the process that calls this ends.

    It prints ``PID=<id>`` of the child first. The working directory and the output streams stay as they are,
    so that relative paths and redirections keep their meaning; there is nothing to read from the standard
    input any more.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        print(f"PID={pid}", flush=True)  # noqa: T201 - it is for the program that started this one
        # Not sys.exit: what was registered to happen at exit belongs to the child now.
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
