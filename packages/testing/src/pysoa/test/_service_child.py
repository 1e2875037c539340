"""The program that :class:`pysoa.test.running.ServiceProcess` starts: one service, as in production.

It is told what to run by a file, whose path is the argument.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

from pysoa.server.server import Server
from pysoa.server.standalone import django_main, simple_main

__all__ = ("Orders", "main")

_SETTINGS_MODULE = "pysoa_test_service_settings"


@attrs.frozen
class Orders:
    """What to run."""

    module: str
    """The module of the server class."""
    file: str | None
    """Where the module was loaded from."""
    qualified_name: str
    """The name of the server class in its module."""
    settings: bytes
    """The settings, pickled: what is in them may need the module."""
    worker_count: int
    """How many workers to fork; 1 for none."""
    folder: str
    """The working directory."""
    path: list[str]
    """Where to import from."""
    environment: dict[str, str]
    """Environment variables to set."""


def main(path: str) -> None:
    """Run the service until it is told to stop.

    Args:
        path: The file with the orders.
    """
    orders: Orders = pickle.loads(Path(path).read_bytes())
    os.chdir(orders.folder)
    os.environ.update(orders.environment)
    sys.path[:] = orders.path
    server_class: Any = _load_module(orders)
    for name in orders.qualified_name.split("."):
        server_class = getattr(server_class, name)
    _run(server_class, pickle.loads(orders.settings), orders.worker_count)


def _run(server_class: type[Server], settings: dict[str, Any], worker_count: int) -> None:
    if server_class.use_django:
        name = os.environ["DJANGO_SETTINGS_MODULE"]
        module = importlib.import_module(name)
    else:
        name = _SETTINGS_MODULE
        module = sys.modules[name] = ModuleType(name)
    vars(module)["SOA_SERVER_SETTINGS"] = settings
    sys.argv[1:] = ["--settings", name, "--fork-processes", str(worker_count)]
    start = django_main if server_class.use_django else simple_main
    start(lambda: server_class)


def _load_module(orders: Orders) -> ModuleType:
    """Import the module; one that cannot be imported by its name, such as a test module, by its path."""
    try:
        module = importlib.import_module(orders.module)
    except ModuleNotFoundError:
        module = None
    if module is not None and (
        orders.file is None or _is_same(getattr(module, "__file__", None), orders.file)
    ):
        return module
    assert orders.file is not None  # or it would have been found by its name
    spec = importlib.util.spec_from_file_location(orders.module, orders.file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[orders.module] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _is_same(path: str | None, other_path: str) -> bool:
    return path is not None and os.path.realpath(path) == os.path.realpath(other_path)


if __name__ == "__main__":
    # Not the main() of this module: what is unpickled refers to the module by its name.
    from pysoa.test import _service_child

    _service_child.main(sys.argv[1])
