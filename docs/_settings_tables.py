"""Renders settings schemas as tables, from the schema objects themselves.

In a page::

    ```{settings-table} pysoa.client.settings:ClientSettings
    ```

The argument names a settings class, whose defaults are shown too; or a class that settings can name by its
path, whose ``kwargs`` are then shown; or a Conformity dictionary. Where the defaults are those of a function
or class, ``:defaults: module:name`` names it. ``:only:`` and ``:without:`` choose keys, ``:closed:`` names
keys whose own keys are not shown.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from _settings_rows import Row, rows_of
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import OptionSpec

__all__ = ["setup"]

_COLUMNS = (("Key", 24), ("Type", 20), ("Default", 16), ("What it is", 40))


def _resolve(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _words(argument: str | None) -> frozenset[str]:
    return frozenset((argument or "").replace(",", " ").split())


class SettingsTable(SphinxDirective):
    """The directive ``settings-table``."""

    required_arguments = 1
    option_spec: ClassVar[OptionSpec] = {
        "closed": _words,
        "defaults": directives.unchanged_required,
        "only": _words,
        "without": _words,
    }

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        defaults: Mapping[str, Any] | None = None
        if "defaults" in self.options:
            parameters = inspect.signature(_resolve(self.options["defaults"])).parameters.values()
            defaults = {
                parameter.name: parameter.default
                for parameter in parameters
                if parameter.default is not parameter.empty
            }
        rows = rows_of(
            _resolve(self.arguments[0]), defaults=defaults, closed=self.options.get("closed", frozenset())
        )
        only, without = self.options.get("only"), self.options.get("without", frozenset[str]())
        chosen = [row for row in rows if _is_chosen(row.key, only, without)]
        if not chosen:
            raise self.error(f"No setting is left to show of {self.arguments[0]}.")
        return [_table(chosen)]


def _is_chosen(key: str, only: frozenset[str] | None, without: frozenset[str]) -> bool:
    above = {key, *(key[: match.start()] for match in re.finditer(r"\.", key))}
    return not above & without and (only is None or bool(above & only))


def _table(rows: list[Row]) -> nodes.table:
    table = nodes.table(classes=["settings", "colwidths-given"])
    table["support_smartquotes"] = False  # quotes and two hyphens are those of Python and of a command line
    group = nodes.tgroup(cols=len(_COLUMNS))
    table += group
    for _, width in _COLUMNS:
        group += nodes.colspec(colwidth=width)
    head = nodes.thead()
    head += _row([[nodes.Text(title)] for title, _ in _COLUMNS])
    group += head
    body = nodes.tbody()
    for row in rows:
        default: list[nodes.Node] = []
        if row.default == "required":
            default = [nodes.strong("", "required")]
        elif row.default:
            default = [_code(row.default)]
        body += _row(
            [
                [_code(row.key)],
                [nodes.Text(row.type)],
                default,
                list(_text_with_literals(row.description)),
            ]
        )
    group += body
    return table


def _code(text: str) -> nodes.literal:
    """Return code that may be broken after dots, underscores and colons, as browsers would not do."""
    code = nodes.literal()
    for part in re.findall(r"[^._:]*[._:]*", text):
        code += [nodes.Text(part), nodes.raw("", "<wbr>", format="html")]
    return code


def _row(cells: list[list[nodes.Node]]) -> nodes.row:
    row = nodes.row()
    for cell in cells:
        row += nodes.entry("", nodes.paragraph("", "", *cell)) if cell else nodes.entry()
    return row


def _text_with_literals(text: str) -> Iterator[nodes.Node]:
    for index, part in enumerate(text.split("`")):
        if part:
            yield nodes.literal("", part) if index % 2 else nodes.Text(part)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive with Sphinx."""
    app.add_directive("settings-table", SettingsTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
