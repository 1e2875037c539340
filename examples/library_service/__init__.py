"""A service that keeps a small library: it finds books and lends them."""

from __future__ import annotations

__version__ = "1.0.0"
