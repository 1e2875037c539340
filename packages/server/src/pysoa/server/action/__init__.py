"""Base classes of actions."""

from __future__ import annotations

from pysoa.server.action.base import Action

__all__ = ("Action",)
