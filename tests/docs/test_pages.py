"""The code on the pages of the documentation runs, and its settings are valid.

Each page is one program: its Python blocks run in order in one namespace, which can also be imported as
``library`` and the modules below it, because that is the service that the pages write. Blocks in which every
statement has a prompt are doctests. What cannot run here (units of systemd, manifests of Kubernetes, command
lines) is parsed. Pages that show whole files have tests of their own.
"""

from __future__ import annotations

import json
import pathlib
import re
import shlex
import sys
import tomllib
import types
from collections.abc import Callable, Iterator, Mapping
from configparser import RawConfigParser
from typing import Any

import pytest
import yaml
from conformity import fields
from pymetrics.recorders.noop import noop_metrics
from sybil import Document, Example, Region, Sybil
from sybil.evaluators.doctest import DocTestEvaluator
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.abstract.doctest import DocTestStringParser
from sybil.parsers.myst import CodeBlockParser, SkipParser

from pysoa.client.expander import ExpansionSettings
from pysoa.client.settings import ClientSettings
from pysoa.common.transport.redis_gateway.client import RedisClientTransport
from pysoa.common.transport.redis_gateway.server import RedisServerTransport
from pysoa.common.transport.redis_gateway.settings import RedisServerTransportSchema
from pysoa.server import _command_line
from pysoa.server.settings import ServerSettings

_DOCS = pathlib.Path(__file__).parents[2] / "docs"
_BUILT = ("_build", "reference")
_PAGES = sorted(
    page
    for page in _DOCS.rglob("*.md")
    if page.relative_to(_DOCS).parts[0] not in _BUILT and ":caption: " not in page.read_text()
)
_MODULES = [
    "library",
    *(f"library.{name}" for name in ("actions", "client", "middleware", "service", "settings")),
]


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_DOCS)))
def test_the_code_on_a_page_runs_and_its_settings_are_valid(
    page: pathlib.Path, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("library")
    for name in _MODULES:
        monkeypatch.setitem(sys.modules, name, module)
    document = parsed(page, module)

    for example in document.examples():
        example.evaluate()


def test_no_page_has_code_that_nothing_looks_at() -> None:
    languages = {
        page.name: set(re.findall(r"^```(\w+)$", page.read_text(), flags=re.MULTILINE))
        for page in _DOCS.rglob("*.md")
        if page.relative_to(_DOCS).parts[0] not in _BUILT
    }

    for name, of_page in languages.items():
        with_files = name not in {page.name for page in _PAGES}
        assert of_page <= ({"console"} if with_files else {"python", "text", *_READERS}), name


def parsed(page: pathlib.Path, module: types.ModuleType) -> Document:
    """Return the page with what is to be done about each block."""
    others = [CodeBlockParser(language, _reading(read)) for language, read in _READERS.items()]
    document = Sybil([_PythonBlocks(), *others, SkipParser()]).parse(page)
    document.namespace = module.__dict__
    return document


def _reading(read: Callable[[str], object]) -> Callable[[Example], None]:
    def evaluate(example: Example) -> None:
        read(example.parsed)

    return evaluate


class _PythonBlocks:
    """Finds doctests and other blocks of Python."""

    def __init__(self) -> None:
        self._blocks = CodeBlockParser("python", _PythonEvaluator())
        self._doctests = DocTestStringParser(DocTestEvaluator())

    def __call__(self, document: Document) -> Iterator[Region]:
        for region in self._blocks(document):
            block = region.parsed
            if not block.startswith(">>>"):
                yield region
                continue
            for statement in self._doctests(block, document.path):
                statement.adjust(region, block)
                yield statement


class _PythonEvaluator(PythonEvaluator):
    """Runs a block, then checks the settings that it has made, which it marks by their names."""

    def __init__(self) -> None:
        super().__init__(["annotations"])
        self._checked: dict[str, object] = {}

    def __call__(self, example: Example) -> None:
        super().__call__(example)
        for name, check in _SETTINGS.items():
            value = example.namespace.get(name)
            if value is not None and self._checked.get(name) is not value:
                check(value)
                self._checked[name] = value


def _check_client_settings(settings: Mapping[str, Mapping[str, Any]]) -> None:
    for of_service in settings.values():
        ClientSettings(of_service)


def _check_redis(kwargs: Mapping[str, Any]) -> None:
    """Check the arguments of both Redis transports, those that redis-py takes included."""
    provided: Any = RedisClientTransport
    schema: fields.Dictionary = provided._conformity_initialization_schema
    assert [*schema.errors(kwargs), *RedisServerTransportSchema.errors(kwargs)] == []
    for transport in (
        RedisClientTransport("library", noop_metrics, **kwargs),
        RedisServerTransport("library", noop_metrics, 1, **kwargs),
    ):
        assert transport.core.backend_layer is not None


_SETTINGS: dict[str, Callable[[Any], object]] = {
    "CLIENT_SETTINGS": _check_client_settings,
    "EXPANSION_SETTINGS": ExpansionSettings,
    "REDIS": _check_redis,
    "SOA_SERVER_SETTINGS": ServerSettings,
}


def _check_commands(text: str) -> None:
    """Check that the shell could read what is typed, and that a service would know its options."""
    for line in text.splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if any(word.endswith(".standalone") for word in words):
            start = next(index for index, word in enumerate(words) if word.endswith(".standalone"))
            _, unknown = _command_line.build_parser().parse_known_args(words[start + 1 :])
            assert unknown == []


def _check_ini(text: str) -> None:
    parser = RawConfigParser(strict=False)  # units of systemd may have a key several times
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the documented way to keep the case
    parser.read_string(text)
    assert parser.sections()


_READERS: dict[str, Callable[[str], object]] = {
    "console": _check_commands,
    "ini": _check_ini,
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": lambda text: list(yaml.safe_load_all(text)),
}
