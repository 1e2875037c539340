"""What calling a service can raise, besides transport and serialization errors.

::

    PySOAError                          pysoa.common.errors
    └── PySOAClientError
        ├── CallActionError
        ├── CallJobError
        ├── ImproperlyConfigured
        ├── InvalidExpansionKey
        └── UnexpectedResponseError

Transport errors (``PySOATransportError``) and ``SerializationError`` derive from ``PySOAError``, not from
:class:`PySOAClientError`.
"""

from __future__ import annotations

from pysoa.common.errors import Error, PySOAError
from pysoa.common.types import ActionResponse

__all__ = (
    "CallActionError",
    "CallJobError",
    "ImproperlyConfigured",
    "InvalidExpansionKey",
    "PySOAClientError",
    "UnexpectedResponseError",
)


class PySOAClientError(PySOAError):
    """Base exception for all client-side errors other than transport errors."""


class ImproperlyConfigured(PySOAClientError):
    """Raised when this client is improperly configured to call the specified service."""


class InvalidExpansionKey(PySOAClientError):
    """Raised when this client is improperly configured to perform the specified expansion.

    Also raised when the response to a strict expansion (one with ``raise_action_errors``) lacks the field
    that its route names.
    """


class UnexpectedResponseError(PySOAClientError):
    """Raised when there is no response to a request, or one without what every response must have.

    That is a mistake of a middleware, a transport or a server, not of the caller. A response that merely is
    late raises ``MessageReceiveTimeout`` instead.
    """


class CallJobError(PySOAClientError):
    """Raised by ``Client.call_***`` methods when a job response contains one or more job errors.

    Args:
        errors: The errors of the job.
    """

    def __init__(self, errors: list[Error] | None = None) -> None:
        # "args" stays what was given by position, so that copying and pickling work in every case.
        self.errors: list[Error] = errors or []

    def __str__(self) -> str:
        return "Error executing job:\n" + "\n".join(str(error) for error in self.errors)

    def __repr__(self) -> str:
        return str(self)


class CallActionError(PySOAClientError):
    """Raised by ``Client.call_***`` methods when a job response contains one or more action errors.

    Args:
        actions: The responses of the actions that failed, and of no others.
    """

    def __init__(self, actions: list[ActionResponse] | None = None) -> None:
        self.actions: list[ActionResponse] = actions or []

    def __str__(self) -> str:
        return "Error calling action(s):\n" + "\n".join(
            f"{action.action}: {action.errors!r}" for action in self.actions
        )
