"""What tests assumed about other services, for a check against the real schemas."""

from __future__ import annotations

from typing import Any

__all__ = ("get_stubbed_requests", "get_stubbed_responses", "record_request", "record_response")

_requests: list[dict[str, Any]] = []
_responses: list[dict[str, Any]] = []


def get_stubbed_requests() -> list[dict[str, Any]]:
    """Return all requests to stubs in this process: ``service``, ``action`` and ``body`` of each.

    Returns:
        The very list that grows; nothing ever clears it. Stubs made with
        ``register_request_schema_contract=False`` add nothing.
    """
    return _requests


def get_stubbed_responses() -> list[dict[str, Any]]:
    """Return all responses of stubs in this process: ``service``, ``action`` and ``body`` of each.

    Returns:
        The very list that grows; nothing ever clears it. Stubs made with
        ``register_response_schema_contract=False`` add nothing.
    """
    return _responses


def record_request(service: str, action: str, body: Any) -> None:
    """Add a request."""
    _requests.append({"service": service, "action": action, "body": body})


def record_response(service: str, action: str, body: Any) -> None:
    """Add a response."""
    _responses.append({"service": service, "action": action, "body": body})
