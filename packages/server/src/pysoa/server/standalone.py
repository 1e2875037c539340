"""How a service is started: :func:`simple_main`, or :func:`django_main` for one that uses Django.

A service has a module such as ``example_service/standalone.py``::

    from pysoa.server.standalone import simple_main

    def main():
        from example_service.server import ExampleServer
        simple_main(lambda: ExampleServer)

    if __name__ == "__main__":
        main()

It is started with ``python -m example_service.standalone``, or by a console script that calls ``main``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from pysoa.server import _django
from pysoa.server._command_line import Options, build_parser, configure_logging, parse_arguments, prepare
from pysoa.server._daemon import daemonize
from pysoa.server._import_guard import is_double_import as is_double_import  # PySOA 1.x had it here
from pysoa.server._import_guard import refuse_double_import
from pysoa.server._settings_discovery import LoadedSettings

if TYPE_CHECKING:
    from pysoa.server.server import Server  # so that services decide when the server's modules are imported

__all__ = ("django_main", "simple_main")


def simple_main(server_getter: Callable[[], type[Server]]) -> None:
    """Start a service that does not need Django set up; returns when it has been told to stop.

    Args:
        server_getter: Returns the server class. Import the class in it rather than above it: with
            ``--use-file-watcher``, a service that cannot be imported then waits for the repaired file.

    Raises:
        SystemExit: With code 1, if the service stopped although nobody had asked it to; with code 2, if the
            command line is wrong; with code 99, if the program was started in a way that imports its modules
            twice.
        ValueError: The settings module does not exist, or it holds no settings.
        ImproperlyConfigured: The settings are wrong.
    """
    refuse_double_import()
    options = _get_args(_get_arg_parser())
    _run_server_reloader_wrapper(options, lambda: _run_server(options, server_getter()))


def django_main(server_getter: Callable[[], type[Server]]) -> None:
    """Start a service that uses Django; returns when it has been told to stop.

    The settings module is imported and ``django.setup()`` called before the server class is asked for. If
    ``SOA_SERVER_SETTINGS`` has ``logging``, Django's ``LOGGING`` is replaced by it; if there is neither,
    ``LOGGING`` becomes what PySOA logs by default.

    Args:
        server_getter: Returns the server class. It must import the class itself: nothing that uses Django's
            settings may be imported earlier.

    Raises:
        SystemExit: As for :func:`simple_main`.
        ValueError: The settings module cannot be imported, or it holds no ``SOA_SERVER_SETTINGS``.
        ImportError: Django is not installed.
        ImproperlyConfigured: The settings are wrong.
    """
    refuse_double_import()
    parser = _get_arg_parser()
    options = _get_args(parser)
    _django.choose_settings_module(options.settings, parser)

    def run() -> None:
        _django.set_up()
        _run_server(options, server_getter())

    _run_server_reloader_wrapper(options, run)


def _get_arg_parser() -> argparse.ArgumentParser:
    return build_parser()


def _get_args(parser: argparse.ArgumentParser) -> Options:
    return parse_arguments(parser)


def _run_server_reloader_wrapper(args: Options, run: Callable[[], None]) -> None:
    """Run at once, or, with ``--use-file-watcher``, in a child process that is replaced when files change."""
    if args.use_file_watcher is False:
        run()
        return
    from pysoa.server import autoreload  # only now: a worker that is not reloaded saves the memory

    names = args.use_file_watcher or ""
    watch_modules = [name.strip() for name in str(names).split(",") if name.strip()] or None
    if args.daemon and not autoreload.is_reloaded_process():
        daemonize()
    args.daemon = False  # the process that watches is the daemon
    reloader = autoreload.get_reloader(
        autoreload.name_of_main_module(), watch_modules, signal_forks=args.fork_processes > 1
    )
    reloader.main(run)


def _run_server(args: Options, server_class: type[Server]) -> None:
    """Run the server in this process, or in as many forked ones as the command line says."""
    _django.warn_of_unused_settings(args.settings if server_class.use_django else None)
    loaded = prepare(server_class, args, _get_arg_parser())
    if args.daemon:
        daemonize()
    if args.fork_processes <= 1:
        server_class.main()
        return
    exit_code = _run_workers(args, server_class, loaded)
    if exit_code:
        sys.exit(exit_code)


def _run_workers(args: Options, server_class: type[Server], loaded: LoadedSettings | None) -> int:
    from pysoa.server._forking import WorkerGroup, capped_worker_count  # only now, for the same reason

    def close_connections() -> None:
        # A connection that parent and workers share mixes up what each of them says on it.
        if server_class.use_django:
            _django.close_connections()

    def start_logging() -> None:
        # Only now: a logging handler may have threads, which a fork would not copy.
        if loaded is not None:
            configure_logging(server_class, loaded)

    grace = loaded.settings["harakiri"]["shutdown_grace"] if loaded is not None else 30
    group = WorkerGroup(
        server_class.main,
        capped_worker_count(args.fork_processes),
        respawn=not args.no_respawn,
        shutdown_grace_in_seconds=grace,
        before_first_fork=server_class.pre_fork,
        before_each_fork=close_connections,
        after_first_fork=start_logging,
    )
    return group.run()
