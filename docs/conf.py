"""The documentation of all five distributions; ``make docs`` builds it."""

from __future__ import annotations

import importlib.metadata
import pathlib
import sys

_DOCS = pathlib.Path(__file__).parent
sys.path.insert(0, str(_DOCS))

from _reference import write_reference_pages  # noqa: E402 (found by the line above)
from sphinx.application import Sphinx  # noqa: E402 (found after it)

project = "PySOA"
author = "The PySOA developers"
copyright = "The PySOA developers"
release = importlib.metadata.version("pysoa-common")
version = ".".join(release.split(".")[:2])

extensions = [
    "_diagrams",
    "_settings_tables",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["pysoa.css"]
html_title = f"PySOA {version}"
html_theme_options = {"navigation_with_keys": True}

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "both"
autodoc_typehints_description_target = "documented_params"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
python_use_unqualified_type_names = True

# Every reference to a public name of ours must resolve. Names of other libraries cannot, since their
# inventories are on the network; private modules of ours have no pages.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!pysoa\.).*"),
    (r"py:.*", r"pysoa\.(.*\.)?_.*"),
]

# An unqualified name in a docstring, such as ImproperlyConfigured, may be that of several classes.
suppress_warnings = ["ref.python"]

write_reference_pages(_DOCS.parent / "packages", _DOCS / "reference")


def setup(app: Sphinx) -> None:
    """Have signatures say ``...`` where attrs makes a new default for each object."""

    def without_markers(*event: object) -> tuple[str | None, str | None]:
        signature, returned = (part if isinstance(part, str) else None for part in event[-2:])
        return signature and signature.replace("= NOTHING", "= ..."), returned

    app.connect("autodoc-process-signature", without_markers)
