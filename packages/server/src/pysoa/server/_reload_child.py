"""The process of a service that is reloaded: it tells the watching process which files it consists of."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import traceback
from collections.abc import Generator, Iterable

from pysoa.server._file_state import FileState
from pysoa.server._parent_death import ParentDeath

__all__ = (
    "PIPE_VARIABLE",
    "RUN_MAIN_VARIABLE",
    "ModuleReporter",
    "clean_files",
    "is_reloaded_process",
    "keep_reporting_modules",
    "report_modules_of",
)

RUN_MAIN_VARIABLE = "PYSOA_RELOADER_RUN_MAIN"
PIPE_VARIABLE = "PYSOA_RELOADER_PIPE"

_INTERVAL_IN_SECONDS = 1.0


def is_reloaded_process() -> bool:
    """Tell whether this is the process of the service, as against the one that watches its files."""
    return os.environ.get(RUN_MAIN_VARIABLE) == "true"


class ModuleReporter:
    """Finds the files of loaded modules, and writes the states of new ones to the watching process."""

    def __init__(self, prefixes: re.Pattern[str] | None) -> None:
        """Choose modules.

        Args:
            prefixes: Matches the beginning of the names of the modules to watch; ``None`` stands for all of
            them.
        """
        self._prefixes = prefixes
        self._returned: set[str] = set()
        self._reported: set[str] = set()
        self._lock = threading.Lock()

    def file_names(self, *, only_new: bool = False) -> list[str]:
        """Return the files of the loaded modules, or only those not returned before."""
        names: list[str] = []
        for module_name, module in list(sys.modules.items()):
            file: object = getattr(module, "__file__", None)
            if isinstance(file, str) and self._is_watched(module_name):
                names.append(file)
        main = getattr(sys.modules.get("__main__"), "__spec__", None)
        if main is not None and main.origin and self._is_watched(main.name):
            names.append(main.origin)  # in sys.modules it goes by another name
        if only_new:
            names = [name for name in names if name not in self._returned]
        self._returned.update(names)
        return names

    def _is_watched(self, module_name: str) -> bool:
        return self._prefixes is None or self._prefixes.match(module_name) is not None

    def report(self, more_names: Iterable[str] = ()) -> None:
        """Write what the watching process does not know yet, as far as it takes it now.

        It is told the state in which this process has found a file, so that a change between that and the
        watching is not lost.
        """
        pipe = _pipe()
        if pipe is None:
            return
        with self._lock:
            for name in {*self.file_names(), *more_names} - self._reported:
                state = FileState.of(_source_of(name))
                if state is not None:
                    try:
                        os.write(pipe, state.to_bytes() + b"\0")
                    except BlockingIOError:
                        return  # it is busy; the next report tells the rest
                    except OSError:
                        return  # it is gone, and so are we soon
                self._reported.add(name)


_active: ModuleReporter | None = None


@contextlib.contextmanager
def report_modules_of(reporter: ModuleReporter) -> Generator[None]:
    """Report modules before, during and after the block, and the files that its exception came through."""
    global _active
    _active = reporter
    ParentDeath(os.getppid()).end_with_parent()
    try:
        yield
    except Exception as error:
        reporter.report(_files_of(error))
        raise
    finally:
        reporter.report()
        _active = None


def keep_reporting_modules() -> None:
    """Report, from a thread, which modules this process loads from now on.

    Does nothing except in a service that is reloaded. Call it in a process that will not fork any more.
    """
    reporter = _active
    if reporter is None:
        return
    reporter.report()

    def run() -> None:
        pause = threading.Event()
        while not pause.wait(_INTERVAL_IN_SECONDS):
            reporter.report()

    threading.Thread(target=run, name="pysoa-module-reporter", daemon=True).start()


def _pipe() -> int | None:
    value = os.environ.get(PIPE_VARIABLE, "")
    return int(value) if value.isdecimal() else None


def _files_of(error: BaseException) -> set[str]:
    names: set[str] = set()
    seen: BaseException | None = error
    while seen is not None:
        names.update(frame.filename for frame in traceback.extract_tb(seen.__traceback__))
        if isinstance(seen, SyntaxError) and seen.filename:
            names.add(seen.filename)
        seen = seen.__cause__ or seen.__context__
    return {name for name in names if not name.startswith("<")}


def clean_files(names: Iterable[str | None]) -> list[str]:
    """Return the source files, as far as they exist, for the names of source or compiled files."""
    sources = (_source_of(name) for name in names if name)
    return [source for source in sources if FileState.of(source) is not None]


def _source_of(name: str) -> str:
    """Return the source file of a compiled one."""
    return re.sub(r"(\.py[co]|\$py\.class)$", ".py", name)
