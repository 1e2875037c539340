from __future__ import annotations

from importlib.metadata import version

from pysoa.version import __version__, __version_info__


def test_version_is_that_of_the_installed_distribution() -> None:
    assert __version__ == version("pysoa-common")


def test_version_info_compares_as_numbers() -> None:
    assert __version_info__ >= (2, 0, 0)
    assert ".".join(map(str, __version_info__)) == __version__
