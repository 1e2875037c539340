"""The pytest plugin for test plans."""

from __future__ import annotations

__all__: list[str] = []
