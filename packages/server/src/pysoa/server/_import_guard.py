"""Refuses to start a service in the one way that imports its modules twice."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

__all__ = ("is_double_import", "refuse_double_import")

_EXIT_CODE = 99
_SCRIPT_FOLDERS = frozenset({"bin", "sbin", "scripts"})


def is_double_import() -> bool:
    """Tell whether the program was started as ``python path/to/standalone.py``.

    Python then puts the folder of that file on its path, and the modules of the service can be imported under
    two names, each with its own classes and its own state.

    Starting with ``-m``, by an installed script, from a zip file or interactively is all right.
    """
    main = sys.modules.get("__main__")
    if main is None or getattr(main, "__spec__", None) is not None or "-m" in _interpreter_options():
        return False
    path = _path_of(main)
    return path is not None and path.parent.name.lower() not in _SCRIPT_FOLDERS


def refuse_double_import() -> None:
    """End the process with exit code 99 if its modules may be imported twice.

    Raises:
        SystemExit: They may.
    """
    if not is_double_import():
        return
    print(  # noqa: T201 - a message for who typed the command, before any logging exists
        "ERROR: You have triggered a double-import trap. You cannot start this service with `python "
        "/path/to/standalone.py`, because that puts all the modules in this service on the path as top-level "
        "modules, potentially masking builtins and breaking all sorts of things with hard-to-diagnose "
        "errors. Instead, you must start this service with `python -m module.to.standalone` or by simply "
        "calling the "
        f"`service_name` entry point executable. Debug information: {sys.path[:1]} {sys.argv[:1]}",
        flush=True,
    )
    raise SystemExit(_EXIT_CODE)


def _interpreter_options() -> list[str]:
    # What precedes the program's own arguments: ["python", "-X", "dev", "-m", "module"] or ["python",
    # "file"].
    own = len(sys.argv) - 1
    return sys.orig_argv[1 : len(sys.orig_argv) - own] if own else sys.orig_argv[1:]


def _path_of(main: ModuleType) -> Path | None:
    file: str | None = getattr(main, "__file__", None)
    return Path(os.path.realpath(file)) if file else None
