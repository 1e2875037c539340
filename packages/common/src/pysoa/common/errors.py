"""Errors of all PySOA distributions, and the error object that travels over the wire.

The exceptions form one tree::

    PySOAError
    ├── PySOATransportError             pysoa.common.transport.errors
    ├── SerializationError              pysoa.common.serializer.errors
    ├── CallJobError, CallActionError   pysoa.client.errors
    └── ...

:class:`Error` is not an exception: it is one entry of the ``errors`` lists of job and action responses.
"""

from __future__ import annotations

from typing import Any

import attrs

__all__ = (
    "Error",
    "PySOAError",
)


class PySOAError(Exception):
    """Base exception for all PySOA errors."""


@attrs.define(frozen=True, slots=False, order=True)
class Error:
    """An error that occurred, in the form in which it is sent from a service to its client.

    Values are compared and ordered field by field. An error is hashable as long as it carries neither
    ``variables`` nor ``denied_permissions``.
    """

    code: str
    """The machine-readable error code."""
    message: str
    """The human-readable error message."""
    field: str | None = None
    """The job attribute or action request field that failed validation, dotted; else ``None``."""
    traceback: str | None = None
    """The traceback of the exception behind this error, if it tells anything; else ``None``."""
    variables: dict[str, Any] | None = None
    """Names and values that belong to this error; else ``None``. They are sent: no secrets here."""
    denied_permissions: list[str] | None = None
    """The permissions that were missing, if the service reports them; else ``None``."""
    is_caller_error: bool = attrs.field(default=False, metadata={"added_in_version": (0, 70, 0)})
    """Whether the caller did something wrong (``True``) or the service has a problem (``False``)."""
