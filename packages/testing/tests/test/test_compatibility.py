"""The mock library for those who import it from PySOA."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any
from unittest import mock

from pysoa.test import compatibility


def test_star_imports_work() -> None:
    """T17: ``__all__`` is a sequence of names."""
    namespace: dict[str, Any] = {}

    exec("from pysoa.test.compatibility import *", namespace)

    assert namespace["mock"] is compatibility.mock


def test_it_is_the_third_party_library_if_that_is_installed() -> None:
    assert compatibility.mock is importlib.import_module("mock")


def test_it_is_the_standard_library_otherwise(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "mock", None)

    library = importlib.reload(compatibility).mock

    assert library is mock
    monkeypatch.undo()
    importlib.reload(compatibility)


def test_stubs_need_no_pytest() -> None:
    program = "import sys; sys.modules['pytest'] = None; import pysoa.test.stub_service"

    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
