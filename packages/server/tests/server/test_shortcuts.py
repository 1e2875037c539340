from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import pysoa.server


@pytest.mark.parametrize("name", pysoa.server.__all__)
def test_shortcut_is_the_object_of_the_published_path(name: str) -> None:
    shortcut = getattr(pysoa.server, name)

    assert shortcut is getattr(importlib.import_module(shortcut.__module__), name)


def test_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'BaseServer'"):
        _ = pysoa.server.BaseServer


def test_shortcuts_are_listed() -> None:
    assert set(pysoa.server.__all__) <= set(dir(pysoa.server))


@pytest.mark.parametrize(
    ("statement", "not_loaded"),
    [
        ("import pysoa.server", ["pysoa.server.server", "pysoa.client.client", "conformity"]),
        ("import pysoa.server.server", ["redis", "django", "pytest", "multiprocessing"]),
        (
            "import pysoa.server.standalone, pysoa.server.server",
            ["pysoa.server._forking", "pysoa.server.autoreload", "multiprocessing", "redis"],
        ),
    ],
)
def test_importing_loads_nothing_that_is_not_needed(statement: str, not_loaded: list[str]) -> None:
    program = f"{statement}\nimport sys\nprint(*(set({not_loaded!r}) & set(sys.modules)))"

    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert result.stdout.split() == []
