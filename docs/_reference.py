"""Writes the pages of the API reference: one for each distribution, with all of its public modules."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

__all__ = ["write_reference_pages"]

_DISTRIBUTIONS = {
    "common": "Types, settings, serializers, logging, and what transports have in common.",
    "client": "Calling services.",
    "server": "Writing and running services.",
    "transport-redis": "Carrying messages over Redis.",
    "testing": "Testing services.",
}

_ALSO_PUBLIC = {
    "pysoa.client.client": ["FutureSOAResponse"],
    "pysoa.server.autoreload": ["AbstractReloader"],
}
"""Names that users meet though their module does not export them; it did not in PySOA 1 either."""


def write_reference_pages(packages: pathlib.Path, folder: pathlib.Path) -> None:
    """Write the pages, so that a module that is added is in the reference.

    Args:
        packages: The folder of the five distributions.
        folder: Where the pages go. Those that are up to date are left alone, so that Sphinx need not read
            them again.
    """
    folder.mkdir(exist_ok=True)
    pages = {"index.rst": _index_page()}
    for name, summary in _DISTRIBUTIONS.items():
        pages[f"{name}.rst"] = _distribution_page(name, summary, sorted(_modules(packages / name / "src")))
    for file_name, text in pages.items():
        page = folder / file_name
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def _modules(source: pathlib.Path) -> Iterator[str]:
    """Yield the public modules that say something: not the empty packages."""
    for file in source.rglob("*.py"):
        parts = file.relative_to(source).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
            if "__all__" not in file.read_text(encoding="utf-8"):
                continue
        if not any(part.startswith("_") for part in parts):
            yield ".".join(parts)


def _index_page() -> str:
    lines = [
        *_title("API reference", "="),
        "Everything that is public, by distribution. What is not here may change without notice.",
        "",
        ".. toctree::",
        "   :maxdepth: 2",
        "",
        *(f"   {name}" for name in _DISTRIBUTIONS),
        "",
    ]
    return "\n".join(lines)


def _distribution_page(name: str, summary: str, modules: list[str]) -> str:
    lines = [*_title(f"pysoa-{name}", "="), summary, ""]
    for module in modules:
        lines += [*_title(module, "-"), *_directive("automodule", module)]
        for class_name in _ALSO_PUBLIC.get(module, ()):
            lines += _directive("autoclass", f"{module}.{class_name}")
    return "\n".join(lines)


def _title(text: str, line: str) -> list[str]:
    return [text, line * len(text), ""]


def _directive(name: str, argument: str) -> list[str]:
    return [f".. {name}:: {argument}", "   :members:", "   :show-inheritance:", ""]
