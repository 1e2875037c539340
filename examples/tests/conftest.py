"""What all tests of the library service need."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from library_service.service import LibraryServer
from pysoa.server.server import Server


@pytest.fixture(scope="module")
def server_class() -> type[Server]:
    """The service that is tested; the fixtures of pysoa-testing ask for it."""
    return LibraryServer


@pytest.fixture(scope="module")
def server_settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The settings of the service, instead of those of its settings module: a library of its own."""
    return {"library_database": str(tmp_path_factory.mktemp("library") / "library.sqlite3")}


@pytest.fixture
def own_settings(tmp_path: pathlib.Path) -> dict[str, Any]:
    """Settings for a test that changes the library."""
    return {"library_database": str(tmp_path / "library.sqlite3")}
