"""The command line of a service, and ``Server.main``."""

from __future__ import annotations

import argparse
import logging.config
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from pysoa.common.logging import PySOALogContextFilter
from pysoa.server._daemon import daemonize
from pysoa.server._process_state import state_of
from pysoa.server._reload_child import is_reloaded_process, keep_reporting_modules
from pysoa.server._settings_discovery import LoadedSettings, load_settings

if TYPE_CHECKING:
    from pysoa.server.server import Server  # a cycle: Server.main is what runs here

__all__ = ("Options", "build_parser", "configure_logging", "main", "parse_arguments", "prepare")


class Options(argparse.Namespace):
    """What the command line says."""

    fork_processes: int
    no_respawn: bool
    use_file_watcher: str | bool | None
    """``False`` when absent, ``None`` to watch every loaded module, otherwise their names, with commas."""
    settings: str | None
    daemon: bool


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all the options that PySOA knows."""
    parser = argparse.ArgumentParser(
        description="Runs this PySOA service until it is told to stop.",
        epilog="Stop it with SIGTERM or SIGINT: it finishes the requests that it has taken, then exits with "
        "code 0. A second signal, at least a second later, forces the end.",
    )
    parser.add_argument(
        "-s",
        "--settings",
        metavar="MODULE",
        help="The settings module to use, as a dotted path. With Django it is the Django settings module, "
        "and only required when DJANGO_SETTINGS_MODULE is not set.",
    )
    parser.add_argument(
        "-d",
        "--daemon",
        action="store_true",
        help="Run the service in the background, in a session of its own, after printing its process id.",
    )
    parser.add_argument(
        "-f",
        "--fork-processes",
        "--fork",
        metavar="N",
        type=int,
        default=0,
        help="The number of worker processes to fork. With 0 or 1, nothing is forked: this process serves.",
    )
    parser.add_argument(
        "--no-respawn",
        action="store_true",
        help="Do not replace workers that end unasked. Otherwise they are replaced, unless that has already "
        "happened three times in 15 seconds or eight times in 60 seconds.",
    )
    parser.add_argument(
        "--use-file-watcher",
        metavar="MODULES",
        nargs="?",
        default=False,
        const=None,
        help="For development: restart the service whenever a source file changes, of the modules with these "
        "names, with commas between them, or of all modules if none are named.",
    )
    return parser


def parse_arguments(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> Options:
    """Read the command line, and warn of options that are not ours.

    They may be the service's own, so they are no errors. Only their names are printed: a value may be a
    secret.
    """
    options, unknown = parser.parse_known_args(arguments, namespace=Options())
    names = [word.partition("=")[0] for word in unknown if word.startswith("-")]
    if names and not is_reloaded_process():
        print(  # noqa: T201 - a message for who typed the command, before any logging exists
            f"WARNING: PySOA does not know the option(s) {', '.join(names)} and leaves them to the service. "
            "--help lists those that it knows.",
            file=sys.stderr,
            flush=True,
        )
    return options


@attrs.frozen
class _Prepared:
    """What the runner has loaded for the processes that will run the server."""

    server_class: type[Server]
    loaded: LoadedSettings


_prepared: _Prepared | None = None


def prepare(
    server_class: type[Server], options: Options, parser: argparse.ArgumentParser
) -> LoadedSettings | None:
    """Load and check the settings once, for this process and all that it will fork.

    Returns:
        The settings, or ``None`` if the class has a ``main`` of its own, which finds them in its own way.

    Raises:
        SystemExit: With code 2, if the command line does not name a settings module and the server needs one.
        ValueError: There is no such module, or it holds no settings.
        AttributeError: The server class has no service name.
        ImproperlyConfigured: The settings are wrong.
    """
    global _prepared
    if _has_own_main(server_class) and not options.settings and not server_class.use_django:
        return None
    loaded = _load(server_class, options, parser)
    _prepared = _Prepared(server_class, loaded)
    return loaded


def main(server_class: type[Server], forked_process_id: int | None = None) -> None:
    """Do what ``Server.main`` promises.

    Raises:
        SystemExit: With code 1, if the server stopped although nobody had asked it to.
    """
    prepared = _prepared if _prepared is not None and _prepared.server_class is server_class else None
    if prepared is not None:
        loaded = prepared.loaded
    else:
        parser = build_parser()
        options = parse_arguments(parser)
        loaded = _load(server_class, options, parser)
        if options.daemon and _prepared is None:
            daemonize()
    configure_logging(server_class, loaded)
    keep_reporting_modules()
    server = server_class.initialize(loaded.settings)(loaded.settings, forked_process_id)
    state = state_of(server)
    state.owns_process = prepared is not None
    server.run()
    if state.exit_code:
        raise SystemExit(state.exit_code)


def configure_logging(server_class: type[Server], loaded: LoadedSettings) -> None:
    """Set logging up as the settings say, unless the service has done that through Django."""
    PySOALogContextFilter.set_service_name(server_class.service_name or "unknown")
    if not loaded.leaves_logging_to_django:
        logging.config.dictConfig(loaded.settings["logging"])


def _has_own_main(server_class: type[Server]) -> bool:
    definitions = (cls for cls in server_class.__mro__ if "main" in vars(cls))
    return next(definitions).__module__ != "pysoa.server.server"


def _load(server_class: type[Server], options: Options, parser: argparse.ArgumentParser) -> LoadedSettings:
    if not server_class.use_django and not options.settings:
        parser.error("the following arguments are required: -s/--settings")
    loaded = load_settings(server_class, options.settings)
    if not server_class.service_name:
        raise AttributeError("Server subclass must set service_name")
    return loaded
