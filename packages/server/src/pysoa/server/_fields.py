"""Conformity's fields for building schemas.

Its classes are attrs classes of the old style, whose constructors pyright takes for empty. So schemas are
built through this name, whose type says nothing, and annotated where they are kept.
"""

from __future__ import annotations

from typing import Any, Final

from conformity import fields as _fields

__all__ = ("fields",)

fields: Final[Any] = _fields
