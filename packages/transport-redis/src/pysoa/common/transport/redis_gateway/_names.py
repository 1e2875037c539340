"""What may be a service's name on Redis, and how clients name themselves."""

from __future__ import annotations

import uuid

__all__ = (
    "check_service_name",
    "new_client_id",
)


def check_service_name(service_name: str) -> None:
    """Refuse a service name that would make a request queue look like a reply list.

    Args:
        service_name: The name.

    Raises:
        ValueError: It contains a ``!``, or cannot be written in UTF-8.
    """
    if "!" in service_name:
        raise ValueError(
            f"The service name {service_name!r} contains '!', which marks reply lists in Redis. "
            "Choose a name without it."
        )
    service_name.encode("utf-8")


def new_client_id() -> str:
    """Return a name for a client that no other client has."""
    return uuid.uuid4().hex
