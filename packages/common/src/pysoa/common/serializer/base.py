"""The interface of serializers, and the registry that finds them by MIME type."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from pysoa.common._plain import to_plain
from pysoa.common.serializer.errors import InvalidField

__all__ = ("Serializer",)


_registry: dict[str, type[Serializer]] = {}


class _SerializerMeta(abc.ABCMeta):
    """Registers every subclass of :class:`Serializer` under its MIME type when it is defined."""

    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any
    ) -> _SerializerMeta:
        if len(bases) > 1:
            raise ValueError("You cannot use multiple inheritance with Serializers")
        return super().__new__(mcs, name, bases, namespace, **kwargs)

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(name, bases, namespace, **kwargs)
        if bases:
            cls._register()

    def _register(cls) -> None:
        mime_type: object = getattr(cls, "mime_type", None)
        if not isinstance(mime_type, str) or not mime_type.strip():
            raise ValueError("All serializers must have a non-null, non-blank MIME type")
        registered = _registry.get(mime_type)
        if registered is not None:
            raise ValueError(f"Another serializer {registered} already supports mime type {mime_type}")
        _registry[mime_type] = cls  # type: ignore[assignment]  # bases: it is a Serializer

    @property
    def all_supported_mime_types(cls) -> frozenset[str]:
        """The MIME types of all serializers that have been defined so far."""
        return frozenset(_registry)


class Serializer(metaclass=_SerializerMeta):
    """Turns messages into bytes and back.

    A subclass becomes available to all transports of the process by being defined. It states its own
    :attr:`mime_type`, has no other base class, and can be built without arguments. Instances are shared
    between threads.
    """

    mime_type: ClassVar[str] = ""
    """The MIME type that this serializer supports, compared exactly."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "dict_to_blob" in cls.__dict__ and "message_to_blob" not in cls.__dict__:
            # An inherited message_to_blob that is faster would go round the new dict_to_blob.
            setattr(cls, "message_to_blob", Serializer.message_to_blob)  # noqa: B010 - mypy refuses the assignment

    @abc.abstractmethod
    def dict_to_blob(self, message_dict: dict[Any, Any]) -> bytes:
        """Serialize a message.

        Args:
            message_dict: The message to serialize into a blob. Only values that the format knows are
                accepted.

        Returns:
            The serialized blob.

        Raises:
            ValueError: The message is not a dictionary.
            InvalidField: Some value in it cannot be encoded.
        """

    @abc.abstractmethod
    def blob_to_dict(self, blob: bytes) -> dict[Any, Any]:
        """Deserialize a message.

        Args:
            blob: The blob to deserialize into a message.

        Returns:
            The deserialized message. Whether it is a dictionary is for the caller to check.

        Raises:
            InvalidMessage: The blob cannot be decoded.
        """

    def message_to_blob(self, message: dict[Any, Any]) -> bytes:
        """Serialize a message whose bodies may hold attrs instances, tuples and sets.

        These are turned into dictionaries and lists, as PySOA always did before it serialized a job.
        Transports call this method; serializers may override it with something faster than the walk that it
        does first.

        Raises:
            ValueError: The message is not a dictionary.
            InvalidField: Some value in it cannot be encoded.
        """
        try:
            plain: dict[Any, Any] = to_plain(message)
        except RecursionError as error:
            text = "the message is nested too deeply, or contains itself"
            raise InvalidField(f"Can't serialize message due to RecursionError: {text}", text) from error
        return self.dict_to_blob(plain)

    @classmethod
    def resolve_serializer(cls, mime_type: str) -> Serializer:
        """Return a new serializer that understands the MIME type.

        Args:
            mime_type: The MIME type, exactly as a subclass states it.

        Returns:
            A compatible serializer.

        Raises:
            ValueError: No serializer understands this MIME type.
        """
        serializer_class = _registry.get(mime_type)
        if serializer_class is None:
            raise ValueError(f"Mime type {mime_type} is not supported")
        return serializer_class()
