"""The pages of the API reference name everything that is public, and nothing else."""

from __future__ import annotations

import importlib
import pathlib
import re
from collections.abc import Iterator
from types import ModuleType

import pytest
from _reference import write_reference_pages

_PACKAGES = pathlib.Path(__file__).parents[2] / "packages"


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> str:
    """All pages of the reference, as they are written from the sources."""
    folder = tmp_path_factory.mktemp("reference")
    write_reference_pages(_PACKAGES, folder)
    return "\n".join(page.read_text() for page in sorted(folder.glob("*.rst")))


def test_every_public_module_that_exports_something_is_described(reference: str) -> None:
    described = re.findall(r"^\.\. automodule:: (\S+)$", reference, flags=re.MULTILINE)

    assert sorted(described) == sorted(
        module.__name__ for module in public_modules() if getattr(module, "__all__", ())
    )


def test_public_modules_without_exports_are_packages_that_only_hold_others() -> None:
    empty = [module for module in public_modules() if not getattr(module, "__all__", ())]

    for module in empty:
        assert hasattr(module, "__path__"), module.__name__
        assert not [name for name in vars(module) if not name.startswith("_") and not is_module(module, name)]


def test_a_public_module_without_a_place_in_the_reference_is_an_error(tmp_path: pathlib.Path) -> None:
    for name in ("client", "server", "common", "transport-redis", "testing"):
        (tmp_path / "packages" / name / "src" / "pysoa").mkdir(parents=True)
    (tmp_path / "packages" / "common" / "src" / "pysoa" / "novelty.py").write_text('__all__ = ("new",)')

    with pytest.raises(ValueError, match=r"^pysoa\.novelty is public"):
        write_reference_pages(tmp_path / "packages", tmp_path / "reference")


def public_modules() -> Iterator[ModuleType]:
    """Import and yield all modules of the five distributions that have no underscore in their names."""
    for source in sorted(_PACKAGES.glob("*/src")):
        for file in sorted(source.rglob("*.py")):
            *parts, last = file.relative_to(source).with_suffix("").parts
            parts += [last] if last != "__init__" else []
            if not any(part.startswith("_") for part in parts):
                yield importlib.import_module(".".join(parts))


def is_module(package: ModuleType, name: str) -> bool:
    """Tell whether an attribute of a package is there only because a module below it was imported."""
    return isinstance(getattr(package, name), ModuleType) or name == "annotations"
