"""Writes the pages of the API reference: one for each distribution, with all of its public modules."""

from __future__ import annotations

import ast
import importlib
import inspect
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["write_reference_pages"]

_DISTRIBUTIONS = {
    "client": "Calling services.",
    "server": "Writing and running services.",
    "common": "Types, errors, settings, serializers, logging, and what transports have in common.",
    "transport-redis": "Carrying messages over Redis.",
    "testing": "Testing services and their callers.",
}

_ORDER = [
    "pysoa.client",
    "pysoa.client.client",
    "pysoa.client.errors",
    "pysoa.client.middleware",
    "pysoa.client.settings",
    "pysoa.client.expander",
    "pysoa.server",
    "pysoa.server.action",
    "pysoa.server.action.base",
    "pysoa.server.server",
    "pysoa.server.standalone",
    "pysoa.server.types",
    "pysoa.server.errors",
    "pysoa.server.settings",
    "pysoa.server.middleware",
    "pysoa.server.action.switched",
    "pysoa.server.internal.types",
    "pysoa.server.action.status",
    "pysoa.server.action.introspection",
    "pysoa.server.coroutine",
    "pysoa.server.internal.event_loop",
    "pysoa.server.schemas",
    "pysoa.server.django.cache",
    "pysoa.server.django.database",
    "pysoa.server.django.coroutine",
    "pysoa.server.autoreload",
    "pysoa.common.transport.local",
    "pysoa.common.types",
    "pysoa.common.errors",
    "pysoa.common.constants",
    "pysoa.common.settings",
    "pysoa.common.logging",
    "pysoa.common.serializer",
    "pysoa.common.serializer.base",
    "pysoa.common.serializer.msgpack_serializer",
    "pysoa.common.serializer.json_serializer",
    "pysoa.common.serializer.errors",
    "pysoa.common.transport.base",
    "pysoa.common.transport.errors",
    "pysoa.common.interfaces",
    "pysoa.common.compatibility",
    "pysoa.utils",
    "pysoa.version",
    "pysoa.common.transport.redis_gateway.client",
    "pysoa.common.transport.redis_gateway.server",
    "pysoa.common.transport.redis_gateway.settings",
    "pysoa.common.transport.redis_gateway.constants",
    "pysoa.common.transport.redis_gateway.core",
    "pysoa.common.transport.redis_gateway.backend.base",
    "pysoa.common.transport.redis_gateway.backend.standard",
    "pysoa.common.transport.redis_gateway.backend.sentinel",
    "pysoa.common.transport.redis_gateway.utils",
    "pysoa.test.server",
    "pysoa.test.assertions",
    "pysoa.test.stub_service",
    "pysoa.test.plugins.pytest.fixtures",
    "pysoa.test.running",
    "pysoa.test.redis_server",
    "pysoa.test.factories",
    "pysoa.test.plan",
    "pysoa.test.plan.errors",
    "pysoa.test.plan.grammar.directive",
    "pysoa.test.plan.grammar.assertions",
    "pysoa.test.plan.grammar.data_types",
    "pysoa.test.plan.grammar.tools",
    "pysoa.test.plan.grammar.directives",
    "pysoa.test.plan.grammar.directives.plans",
    "pysoa.test.plan.grammar.directives.inputs",
    "pysoa.test.plan.grammar.directives.expects_values",
    "pysoa.test.plan.grammar.directives.expects_errors",
    "pysoa.test.plan.grammar.directives.mock",
    "pysoa.test.plan.grammar.directives.stub_action",
    "pysoa.test.plan.grammar.directives.time",
    "pysoa.test.plan.parser",
    "pysoa.test.plugins.pytest.plans",
    "pysoa.test.compatibility",
]
"""All public modules that export something, in the order in which a reader wants them."""

_ALSO_PUBLIC = {
    "pysoa.client.client": ["FutureSOAResponse"],
    "pysoa.server.autoreload": ["AbstractReloader"],
}
"""Names that users meet though their module may not export them; it did not in PySOA 1 either."""

_SETTINGS = {
    "pysoa.client.settings": ["pysoa.client.settings:ClientSettings"],
    "pysoa.client.expander": ["pysoa.client.expander:ExpansionSettings"],
    "pysoa.server.settings": ["pysoa.server.settings:ServerSettings"],
    "pysoa.common.transport.local": ["pysoa.common.transport.local:LocalClientTransport"],
    "pysoa.common.transport.redis_gateway.client": [
        "pysoa.common.transport.redis_gateway.client:RedisClientTransport",
        "pysoa.common.transport.redis_gateway.core:RedisTransportClientCore",
    ],
    "pysoa.common.transport.redis_gateway.server": [
        "pysoa.common.transport.redis_gateway.server:RedisServerTransport",
        "pysoa.common.transport.redis_gateway.core:RedisTransportServerCore",
    ],
}
"""What settings tables show after a module: of which class, and of which callable the defaults are."""


class _Module(NamedTuple):
    """What the source of a public module tells."""

    name: str
    exported: list[str]
    taken_from: dict[str, str]
    """The full names of the exported names that only come from elsewhere."""


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
        modules = sorted(_modules(packages / name / "src"), key=lambda module: _ORDER.index(module.name))
        pages[f"{name}.rst"] = _distribution_page(name, summary, modules)
    for file_name, text in pages.items():
        page = folder / file_name
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def _modules(source: pathlib.Path) -> Iterator[_Module]:
    """Yield the public modules that export something."""
    for file in source.rglob("*.py"):
        parts = file.relative_to(source).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        if is_package:
            parts = parts[:-1]
        if any(part.startswith("_") for part in parts):
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        exported = _exported(tree)
        if exported:
            origins = _origins(tree) if is_package else {}
            taken = {name: origins[name] for name in exported if name in origins}
            name = ".".join(parts)
            if name not in _ORDER:
                raise ValueError(f"{name} is public, but has no place in the order of {__name__}")
            yield _Module(name, exported, taken)


def _exported(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    return []


def _origins(tree: ast.Module) -> dict[str, str]:
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


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


def _distribution_page(name: str, summary: str, modules: list[_Module]) -> str:
    lines = [*_title(f"pysoa-{name}", "="), summary, ""]
    for module in modules:
        composed = {} if module.taken_from else _composed_classes(module)
        lines += [*_title(module.name, "-"), *_module(module, composed)]
        for class_name in _ALSO_PUBLIC.get(module.name, ()):
            if class_name not in module.exported:
                lines += [f".. autoclass:: {module.name}.{class_name}", *_MEMBERS]
        if module.name in _SETTINGS:
            lines += _settings_table(*_SETTINGS[module.name])
    return "\n".join(lines)


_MEMBERS = ["   :members:", "   :show-inheritance:", ""]


def _composed_classes(module: _Module) -> dict[str, list[str]]:
    """Return the classes that have some of their methods from private modules of ours.

    What these define is described as the class's own. With each class come the names of its other bases.
    """
    found: dict[str, list[str]] = {}
    imported = importlib.import_module(module.name)
    for name in module.exported:
        cls: object = getattr(imported, name)
        # Another name of a class is described as such.
        if isinstance(cls, type) and cls.__name__ == name:
            private = [base for base in cls.__mro__[1:] if _is_private(base)]
            if private:
                found[name] = [base.__name__ for base in cls.__mro__[1:] if base not in private]
    return found


def _is_private(cls: type) -> bool:
    package, *parts = cls.__module__.split(".")
    return package == "pysoa" and any(part.startswith("_") for part in parts)


def _module(module: _Module, composed: dict[str, list[str]]) -> list[str]:
    start = f".. automodule:: {module.name}"
    if module.taken_from:
        # Objects are described where they are defined; described twice, links to them would be ambiguous.
        names = [f"* :py:obj:`~{origin}`" for origin in module.taken_from.values()]
        return [start, "", "Can be imported from here:", "", *names, ""]
    if not composed:
        return [start, *_MEMBERS]
    lines = [start, ""]
    for class_name, foreign_bases in composed.items():
        lines += [
            f".. autoclass:: {module.name}.{class_name}",
            "   :members:",
            # The last two are for the exceptions that a class has as attributes.
            f"   :inherited-members: {', '.join([*foreign_bases, 'Exception', 'BaseException'])}",
            "",
        ]
    imported = importlib.import_module(module.name)
    for name in (name for name in module.exported if name not in composed):
        value: object = getattr(imported, name)
        directive = _directive_for(value, name)
        options = _MEMBERS if directive in ("autoclass", "autoexception") else [""]
        lines += [f".. {directive}:: {module.name}.{name}", *options]
    return lines


def _directive_for(value: object, name: str) -> str:
    if not isinstance(value, type):
        return "autofunction" if inspect.isfunction(value) else "autodata"
    if value.__name__ != name:
        return "autodata"  # another name of a class
    return "autoexception" if issubclass(value, BaseException) else "autoclass"


def _settings_table(target: str, defaults: str = "") -> list[str]:
    lines = [".. rubric:: Settings", "", f".. settings-table:: {target}", "   :closed: logging"]
    return [*lines, *([f"   :defaults: {defaults}"] if defaults else []), ""]


def _title(text: str, line: str) -> list[str]:
    return [text, line * len(text), ""]
