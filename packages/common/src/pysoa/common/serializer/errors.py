"""What can go wrong between a message and its bytes.

::

    PySOAError
    └── SerializationError
        ├── InvalidField      a value of the message cannot be encoded
        └── InvalidMessage    bytes cannot be decoded

The texts name types and paths and never show values, since these may be secret.
"""

from __future__ import annotations

from pysoa.common.errors import PySOAError

__all__ = (
    "InvalidField",
    "InvalidMessage",
    "SerializationError",
)


class SerializationError(PySOAError):
    """Base exception for all errors of serialization and deserialization.

    The first argument is the text; those after it are the arguments of the exception behind it.
    """

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class InvalidField(SerializationError):
    """Raised when a field in a message is not serializable."""


class InvalidMessage(SerializationError):
    """Raised when a serialized message cannot be deserialized."""
