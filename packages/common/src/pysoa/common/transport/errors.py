"""What can go wrong when a transport sends or receives a message.

::

    PySOAError
    └── PySOATransportError
        ├── InvalidMessageError
        ├── MessageTooLarge
        └── TransientPySOATransportError
            ├── ConnectionError
            ├── MessageReceiveError
            ├── MessageReceiveTimeout
            ├── MessageSendError
            └── MessageSendTimeout

A body that cannot be encoded or decoded is a ``pysoa.common.serializer.errors.SerializationError`` instead.
``ConnectionError`` shadows the built-in exception: write ``errors.ConnectionError`` and never import that
name bare.
"""

from __future__ import annotations

from pysoa.common.errors import PySOAError

__all__ = (
    "ConnectionError",
    "InvalidMessageError",
    "MessageReceiveError",
    "MessageReceiveTimeout",
    "MessageSendError",
    "MessageSendTimeout",
    "MessageTooLarge",
    "PySOATransportError",
    "TransientPySOATransportError",
)


class PySOATransportError(PySOAError):
    """Base exception for all transport-related PySOA errors."""


class TransientPySOATransportError(PySOATransportError):
    """Base exception for transport errors that usually pass by themselves, without changes of code."""


class ConnectionError(TransientPySOATransportError):
    """Raised when the transport cannot obtain the connection that it needs to send or receive a message."""


class InvalidMessageError(PySOATransportError):
    """Raised when a message cannot be sent or was received with a wrong structure.

    This is unrelated to serialization. It indicates a programming error on the side that wrote the message.
    """


class MessageReceiveError(TransientPySOATransportError):
    """Raised when an error occurs while the transport attempts to receive a message.

    What such an error means depends on the transport; see its documentation.
    """


class MessageReceiveTimeout(TransientPySOATransportError):
    """Raised when no message came within the time limit.

    On the server this is ordinary control flow: it performs idle clean-up and asks the transport again. On
    the client it means that the server did not answer in time: the time limit is too low for the actions
    called, the actions are too slow, the server gets more requests than it can process, or it is down.
    """


class MessageSendError(TransientPySOATransportError):
    """Raised when an error occurs while the transport attempts to send a message.

    What such an error means depends on the transport; see its documentation.
    """


class MessageSendTimeout(TransientPySOATransportError):
    """Raised when a message could not be sent within the time limit."""


class MessageTooLarge(PySOATransportError):
    """Raised when a message is larger than the transport is configured to send.

    Args:
        message_size_in_bytes: The size of the serialized message. It is kept as an attribute, not in
            ``args``.
        args: The usual arguments of an exception, the text first.
    """

    def __init__(self, message_size_in_bytes: int, *args: object) -> None:
        super().__init__(*args)
        self.message_size_in_bytes = message_size_in_bytes

    def __reduce__(self) -> tuple[type[MessageTooLarge], tuple[object, ...]]:
        # Exceptions are copied and pickled by their args, which do not hold the size.
        return type(self), (self.message_size_in_bytes, *self.args)
