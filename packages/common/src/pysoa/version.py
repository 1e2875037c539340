"""The version of the installed pysoa-common distribution."""

from __future__ import annotations

from importlib.metadata import version

__all__ = ("__version__", "__version_info__")

__version__: str = version("pysoa-common")

__version_info__: tuple[int | str, ...] = tuple(
    int(part) if part.isdigit() else part for part in __version__.split(".")
)
