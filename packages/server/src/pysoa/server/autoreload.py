"""Restarts a service when its files change, for development (``--use-file-watcher``).

Two processes take part. The first one watches files. It runs the service in a second one, a copy of its own
command line, and replaces that when a file changes, also when the service could not be imported or did not
stop in time. The service tells which files its loaded modules come from; its own process needs neither a
thread that forked workers would have to do without, nor code to end itself.

Environment: ``PYSOA_RELOADER_RUN_MAIN`` is ``true`` in the process of the service.
``PYSOA_RELOADER_WRAPPER_BIN`` may hold a command, divided by blanks, that runs the service instead of the
Python interpreter.
"""

from __future__ import annotations

import abc
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pysoa.server._file_state import FileState
from pysoa.server._reload_child import ModuleReporter, report_modules_of
from pysoa.server._reload_child import clean_files as _clean_files
from pysoa.server._reload_child import is_reloaded_process as is_reloaded_process
from pysoa.server._reload_parent import NEED_RELOAD_EXIT_CODE as NEED_RELOAD_EXIT_CODE
from pysoa.server._reload_parent import ServiceProcess, exit_like
from pysoa.server._reload_watchers import PollingWatcher, Watcher, WatchfilesWatcher, has_watchfiles

__all__ = ("get_reloader",)

USE_PY_INOTIFY = False
"""PySOA 1.x could use ``pyinotify``, which current Pythons cannot run. ``watchfiles`` took its place."""


def get_reloader(
    main_module_name: str | None, watch_modules: Sequence[str] | None, signal_forks: bool = False
) -> AbstractReloader:
    """Return the best reloader there is: with ``watchfiles`` installed, one that the system tells of changes.

    Args:
        main_module_name: The dotted path of the module that was started with ``-m``, or ``None``.
        watch_modules: Prefixes of the names of the modules to watch, or ``None`` for all that are loaded.
        signal_forks: Taken for the sake of 1.x. The parent of forked workers passes signals on by itself.

    Returns:
        A reloader. Install ``pysoa-server[reload]`` for the better one; the other looks at every file each
        second.
    """
    if has_watchfiles():
        return _WatchfilesReloader(main_module_name, watch_modules, signal_forks)
    return _PollingReloader(main_module_name, watch_modules, signal_forks)


def name_of_main_module() -> str | None:
    """Return the name by which ``python -m`` started this program; ``None`` if it started otherwise."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    name: str | None = getattr(spec, "name", None)
    return name.removesuffix(".__main__") if name and name != "__main__" else None


class AbstractReloader(abc.ABC):
    """Runs a function in a child process that is replaced when watched files change."""

    def __init__(
        self, main_module_name: str | None, watch_modules: Sequence[str] | None, signal_forks: bool = False
    ) -> None:
        """See :func:`get_reloader` for the arguments."""
        self.main_module_name = main_module_name
        self.watch_modules = watch_modules
        self.signal_forks = signal_forks
        self._reporter = ModuleReporter(_compile_prefixes(watch_modules))
        self._watcher: Watcher | None = None

    @abc.abstractmethod
    def make_watcher(self) -> Watcher:
        """Return what notices changed files."""

    def main(
        self,
        func: Callable[..., None],
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        """Run the function, in this process if it is the child, else in a child that is started here.

        Args:
            func: What to run. The child is a new process that comes here the way this one did.
            args: Its positional arguments.
            kwargs: Its keyword arguments.

        Raises:
            SystemExit: In the watching process, with the exit code of the last child.
        """
        if is_reloaded_process():
            self.watch_and_reload(func, args or (), kwargs or {})
        else:
            exit_like(self.restart_with_reloader())

    def watch_and_reload(
        self, func: Callable[..., None], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        """Run the function and tell the watching process which files to watch."""
        with report_modules_of(self._reporter):
            func(*args, **kwargs)

    def restart_with_reloader(self) -> int:
        """Run the service in a child, again and again as long as its files change.

        Returns:
            The exit code of the last child; negative if a signal ended it.
        """
        process = ServiceProcess(service_command(self.main_module_name), self)
        return process.run_until_it_ends()

    def get_watch_file_names(self, only_new: bool = False) -> list[str]:
        """Return the source files of the modules that this process has loaded and that are to be watched.

        Args:
            only_new: Leave out those that an earlier call has returned.
        """
        return _clean_files(self._reporter.file_names(only_new=only_new))

    def code_changed(self, timeout_in_seconds: float = 1.0) -> bool:
        """Wait until a watched file has changed, at most for the given time, and tell whether one has."""
        return self._get_watcher().wait_for_change(timeout_in_seconds)

    def watch_files(self, states: Iterable[FileState] = ()) -> None:
        """Watch these files from the given states on, besides those watched already."""
        self._get_watcher().add(states)

    def stop_watching(self) -> None:
        """Watch nothing any more."""
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None

    def _get_watcher(self) -> Watcher:
        if self._watcher is None:
            self._watcher = self.make_watcher()
        return self._watcher


class _PollingReloader(AbstractReloader):
    """Looks at every file once per second."""

    def make_watcher(self) -> Watcher:
        return PollingWatcher()


class _WatchfilesReloader(AbstractReloader):
    """Is told of changes by the operating system."""

    def make_watcher(self) -> Watcher:
        return WatchfilesWatcher()


_PyInotifyReloader = _WatchfilesReloader  # the name in 1.x of the one that need not poll


def service_command(main_module_name: str | None) -> list[str]:
    """Return the command that starts this program once more, with all its interpreter options."""
    wrapper = os.environ.get("PYSOA_RELOADER_WRAPPER_BIN", "").split()
    if not wrapper:
        return [sys.executable, *sys.orig_argv[1:]]
    if main_module_name is not None:
        return [*wrapper, "-m", main_module_name, *sys.argv[1:]]
    return [*wrapper, *sys.argv]


def _compile_prefixes(watch_modules: Sequence[str] | None) -> re.Pattern[str] | None:
    if watch_modules is None:
        return None
    return re.compile("|".join(re.escape(prefix) for prefix in watch_modules))
