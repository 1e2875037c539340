"""Going on after an error, so that everything is torn down, without hiding the first one."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Generator

__all__ = ("Failures",)

__test_plan_prune_traceback = True  # read by name, by what prunes tracebacks


class Failures:
    """Keeps the first error for later, and writes those that follow to the standard error stream."""

    def __init__(self) -> None:
        self._first: BaseException | None = None

    @contextlib.contextmanager
    def caught(self) -> Generator[None]:
        """Catch whatever the block raises, also an interrupt or a skip."""
        try:
            yield
        except BaseException as error:
            if self._first is None:
                self._first = error
            else:
                sys.stderr.write(f"Additionally, a `{type(error).__name__}` error occurred: {error}\n")
                traceback.print_exception(error, file=sys.stderr)

    def raise_first(self) -> None:
        """Raise the first error, if there was one."""
        first, self._first = self._first, None
        if first is not None:
            raise first
