"""A worker must not outlive its parent, which is the only one that would stop or replace it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any

__all__ = ("ParentDeath",)

_PR_SET_PDEATHSIG = 1
_INTERVAL_IN_SECONDS = 1.0


class ParentDeath:
    """Made where the parent's id is known for sure, which is before it forks; used in the child."""

    def __init__(self, parent_pid: int) -> None:
        self._parent_pid = parent_pid
        self._libc: Any = None
        if sys.platform == "linux":
            import ctypes  # only now: most processes have no parent to follow, and are spared its memory

            self._libc = ctypes.CDLL(None, use_errno=True)

    def end_with_parent(self) -> None:
        """Have this process get SIGTERM when the parent dies, even by SIGKILL.

        Linux sends the signal. Elsewhere a thread looks at the parent's process id every second.
        """
        if self._libc is None or self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
            threading.Thread(target=self._watch, name="pysoa-parent-watch", daemon=True).start()
        elif os.getppid() != self._parent_pid:
            os.kill(os.getpid(), signal.SIGTERM)  # it died before the system knew what to do

    def _watch(self) -> None:
        while os.getppid() == self._parent_pid:
            time.sleep(_INTERVAL_IN_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
