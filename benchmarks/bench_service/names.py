"""What scaled services and their actions are called."""

from __future__ import annotations


def action_names(count: int) -> list[str]:
    """Return the names of that many actions."""
    return [f"echo_{number:05d}" for number in range(count)]


def service_names(count: int) -> list[str]:
    """Return the names of that many services."""
    return [f"bench_{number:03d}" for number in range(count)]
