"""Draws sequence diagrams as SVG while the documentation is built; needs no other program.

In a page::

    ```{sequence} What happens, in words for those who do not see the picture
    :parties: Caller, Redis, Worker

    Caller -> Redis: RPUSH
    Worker -> Redis: BLPOP
    Redis --> Worker: the request
    Worker: runs the action
    === the worker dies
    ```

``->`` is a solid arrow and ``-->`` a dashed one; ``Party:`` writes a note below a party, and ``===`` a text
across all of them. Colours are those of the theme, so that pictures are readable in dark mode too.
"""

from __future__ import annotations

from typing import Any, ClassVar

from _sequence_svg import DiagramError, draw_sequence
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import OptionSpec

__all__ = ["setup"]


class Sequence(SphinxDirective):
    """The directive ``sequence``."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: ClassVar[OptionSpec] = {"parties": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return the picture for HTML, and the text that it was drawn from for everything else."""
        title = self.arguments[0]
        parties = [name.strip() for name in self.options["parties"].split(",")]
        lines = [line.strip() for line in self.content if line.strip()]
        try:
            picture = draw_sequence(title, parties, lines)
        except DiagramError as error:
            raise self.error(str(error)) from error
        text = "\n".join(lines)
        return [
            nodes.raw("", f'<div class="diagram" tabindex="0">{picture}</div>', format="html"),
            addnodes.only("", nodes.literal_block(text, text), expr="not html"),
        ]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive with Sphinx."""
    app.add_directive("sequence", Sequence)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
