"""What client and server transports have in common: from a message to elements of a Redis list, and back."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, TypeAlias, cast

from pymetrics.recorders.base import MetricsRecorder
from pymetrics.recorders.noop import noop_metrics

from pysoa.common._redaction import redact_connection_settings
from pysoa.common.serializer.base import Serializer
from pysoa.common.serializer.errors import InvalidMessage
from pysoa.common.serializer.msgpack_serializer import MsgpackSerializer
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import InvalidMessageError, MessageReceiveTimeout, MessageTooLarge
from pysoa.common.transport.redis_gateway import _backends
from pysoa.common.transport.redis_gateway._commands import pack_key
from pysoa.common.transport.redis_gateway._expiry import EXPIRY_KEY, expiry_of, message_age_past_expiry
from pysoa.common.transport.redis_gateway._framing import (
    USUAL_HEADER,
    frame_header,
    usual_payload,
)
from pysoa.common.transport.redis_gateway._messages import (
    Envelope,
    checked_request_id,
    open_envelope,
    split_into_frames,
)
from pysoa.common.transport.redis_gateway._metrics import Meters
from pysoa.common.transport.redis_gateway._push import BACK_OFF_DIVISOR, Outgoing, Pusher, push_limit
from pysoa.common.transport.redis_gateway._reports import report_expired, report_invalid, report_oversized
from pysoa.common.transport.redis_gateway._waits import Receiver
from pysoa.common.transport.redis_gateway.backend.base import BaseRedisClient
from pysoa.common.transport.redis_gateway.constants import (
    DEFAULT_MAXIMUM_MESSAGE_BYTES_CLIENT,
    REDIS_BACKEND_TYPES,
    ProtocolVersion,
)

__all__ = (
    "RedisTransportCore",
    "positive",
)

# Python 3.11 looks for a member of an enumeration, and for an attribute that a class has for its objects,
# each time anew. So what every message needs is kept where it is found at once. For the same reason functions
# that are kept in attributes are called through a local name.
_VERSION_3: Final = ProtocolVersion.VERSION_3

_new_tuple: Final[Callable[[type[ReceivedMessage], tuple[Any, Any, Any]], ReceivedMessage]] = cast(
    "Any", tuple
).__new__

_SerializeMessage: TypeAlias = Callable[
    [ProtocolVersion, dict[str, Any], Serializer], tuple[list[tuple[bytes, bytes | memoryview]], int]
]
_ReadEnvelope: TypeAlias = Callable[[bytes, str | None, ProtocolVersion], Envelope]


class RedisTransportCore:
    """Sends and receives messages through Redis lists, for one transport.

    Transports create the core of their side; tests may create one directly, to see messages as a peer
    would. Every argument is also an attribute. Numbers may be given as text.

    Args:
        backend_type: ``redis.standard`` or ``redis.sentinel``.
        backend_layer_kwargs: How to reach Redis, as in the transport's settings. It is not changed.
        log_messages_larger_than_bytes: Above which size a sent message is logged; 0 for never.
        maximum_message_size_in_bytes: The largest message that may be sent.
        message_expiry_in_seconds: For how long a message is good unless its sender says otherwise.
        metrics: Where to count and measure.
        queue_capacity: At how many messages a list counts as full.
        queue_full_retries: How often to try again then.
        receive_timeout_in_seconds: How long to wait for a message unless the receiver says otherwise.
        default_serializer_config: ``object`` is the class of the serializer for messages that name none,
            ``kwargs`` its arguments.
        service_name: The service, for texts.

    Raises:
        ValueError: An argument makes no sense.
    """

    EXPONENTIAL_BACK_OFF_FACTOR: ClassVar[float] = BACK_OFF_DIVISOR
    QUEUE_NAME_PREFIX: ClassVar[str] = "pysoa:"

    _backend_layer_cache: ClassVar[dict[object, BaseRedisClient]] = {}
    """All backends of this process by their settings. Clear it to make new transports connect anew."""

    is_server: ClassVar[bool] = False
    """Whether this is the core of a server."""
    chunk_messages_larger_than_bytes: int = -1
    """Above which size messages are split; not above 0 for never."""
    protocol_version: ProtocolVersion = ProtocolVersion.VERSION_3
    """The version in which messages go out, unless they answer one of another version."""

    def __init__(
        self,
        backend_type: str,
        backend_layer_kwargs: Mapping[str, Any] | None = None,
        log_messages_larger_than_bytes: int = DEFAULT_MAXIMUM_MESSAGE_BYTES_CLIENT,
        maximum_message_size_in_bytes: int = DEFAULT_MAXIMUM_MESSAGE_BYTES_CLIENT,
        message_expiry_in_seconds: int = 60,
        metrics: MetricsRecorder = noop_metrics,
        queue_capacity: int = 10000,
        queue_full_retries: int = 10,
        receive_timeout_in_seconds: int = 5,
        default_serializer_config: Mapping[str, Any] | None = None,
        service_name: str = "",
    ) -> None:
        if backend_type not in REDIS_BACKEND_TYPES:
            raise ValueError(f"backend_type must be one of {REDIS_BACKEND_TYPES}, got {backend_type}")
        self.backend_type = backend_type
        self.backend_layer_kwargs: dict[str, Any] = _backends.prepare_backend_kwargs(
            backend_type, backend_layer_kwargs or {}
        )
        self.log_messages_larger_than_bytes: int = int(log_messages_larger_than_bytes)
        self.maximum_message_size_in_bytes: int = int(maximum_message_size_in_bytes)
        self.message_expiry_in_seconds: int = positive(
            "message_expiry_in_seconds", int(message_expiry_in_seconds)
        )
        self.metrics = metrics
        self.queue_capacity: int = int(queue_capacity)
        self.queue_full_retries: int = int(queue_full_retries)
        self.receive_timeout_in_seconds: int = positive(
            "receive_timeout_in_seconds", int(receive_timeout_in_seconds)
        )
        self.default_serializer_config: dict[str, Any] = dict(
            default_serializer_config or {"object": MsgpackSerializer}
        )
        self.service_name = service_name
        self._set_up()

    def _set_up(self) -> None:
        side = "server" if self.is_server else "client"
        self.meters: Meters = Meters(self.metrics, f"{side}.transport.redis_gateway.")
        self._is_measuring = self.meters.enabled
        self._usual_push_limit_s = push_limit(self.message_expiry_in_seconds)
        self._log_above = self.log_messages_larger_than_bytes or sys.maxsize
        self.chunk_messages_larger_than_bytes: int = self.chunk_messages_larger_than_bytes
        self.protocol_version: ProtocolVersion = self.protocol_version
        self._backend: BaseRedisClient | None = None
        self._default_serializer: Serializer | None = None
        self._serializers: dict[str, Serializer] = {}
        self._usual_serializer: Serializer | None = None
        self.pusher: Pusher = Pusher(
            self.service_name, self.meters, self.backend, self.queue_capacity, self.queue_full_retries
        )
        self.receiver: Receiver = Receiver(self.service_name, self.meters, self.backend)
        self.serialize_message: _SerializeMessage = self.meters.timed(
            "send.serialize", self._serialize_message
        )
        self.read_envelope: _ReadEnvelope = self.meters.timed("receive.deserialize", self._read_envelope)

    # The backend

    @property
    def backend_layer(self) -> BaseRedisClient:
        """The backend, shared by all transports of this process that have the same settings."""
        backend = self.backend()
        backend.metrics_counter_getter = self.meters.counter
        return backend

    def backend(self) -> BaseRedisClient:
        """Return the backend, built when it is first needed."""
        if self._backend is None:
            self._backend = self._shared_backend()
        return self._backend

    def _shared_backend(self) -> BaseRedisClient:
        key = _backends.cache_key(self.backend_type, self.backend_layer_kwargs)
        cache = RedisTransportCore._backend_layer_cache
        with _backends.cache_lock:
            backend = cache.get(key)
            if backend is None:
                build = self.meters.timed("backend.initialize", _backends.build_backend)
                backend = cache[key] = build(self.backend_type, self.backend_layer_kwargs)
            backend.metrics_counter_getter = self.meters.counter
        return backend

    def ring_size(self, deadline: float) -> int:
        """Return how many masters there are.

        Args:
            deadline: When to stop asking Sentinels, in ``time.monotonic()`` seconds.

        Raises:
            BackendError: No Sentinel answers.
        """
        known = _backends.known_ring_size(self.backend_type, self.backend_layer_kwargs)
        if known is not None:
            return known
        self.backend().next_index(deadline)
        return self.backend().ring_size

    # Serializers

    @property
    def default_serializer(self) -> Serializer:
        """The serializer for messages that name none."""
        if self._default_serializer is None:
            serializer: Serializer = self.default_serializer_config["object"](
                **self.default_serializer_config.get("kwargs", {})
            )
            self._default_serializer = serializer
            self._serializers[serializer.mime_type] = serializer
        return self._default_serializer

    def _serializer_for(self, content_type: str | None) -> Serializer:
        default = self.default_serializer
        if content_type is None:
            return default
        serializer = self._serializers.get(content_type)
        if serializer is None:
            try:
                serializer = Serializer.resolve_serializer(content_type)
            except ValueError as error:
                raise InvalidMessageError(
                    f"Unknown content type {content_type[:100]} for service {self.service_name}. "
                    "Define its serializer in this process, or let the peer use one that both sides have."
                ) from error
            self._serializers[content_type] = serializer
        return serializer

    # Sending

    def send_message(
        self,
        queue_name: str,
        request_id: int | None,
        meta: dict[str, Any],
        body: dict[str, Any],
        message_expiry_in_seconds: float | None = None,
    ) -> None:
        """Send a message to a list.

        Args:
            queue_name: The name of the list, without prefix.
            request_id: The id of the request.
            meta: The meta. It is not changed.
            body: The body.
            message_expiry_in_seconds: For how long the message is good; ``None`` and 0 mean the setting.

        Raises:
            InvalidMessageError: There is no request id.
            ValueError: The expiry is negative or no finite number.
            InvalidField: The message cannot be serialized.
            MessageTooLarge: It is larger than allowed, or its receiver could not take it.
            MessageSendError: Redis did not take it.
        """
        outgoing = self.prepare_message(request_id, {**meta}, body, message_expiry_in_seconds)
        queue_key = self.QUEUE_NAME_PREFIX + queue_name
        self.pusher.push(queue_name, queue_key, pack_key(queue_key), outgoing)

    def prepare_message(
        self,
        request_id: int | None,
        wire_meta: dict[str, Any],
        body: Mapping[str, Any],
        message_expiry_in_seconds: float | None,
    ) -> Outgoing:
        """Make a message ready to be pushed. Errors are those of :meth:`send_message`.

        Args:
            request_id: The id of the request, also in a response.
            wire_meta: The meta, which is used up: what a receiving transport noted in it is taken out, and
                the expiry is put in. Its keys keep their order.
            body: The body.
            message_expiry_in_seconds: For how long the message is good; ``None`` and 0 mean the setting.
        """
        if request_id is None:
            raise InvalidMessageError("No request ID")
        now = time.time()
        if message_expiry_in_seconds:
            expires_at, ttl_s = expiry_of(message_expiry_in_seconds, now)
            push_within_s = push_limit(message_expiry_in_seconds)
        else:
            expires_at, ttl_s = now + self.message_expiry_in_seconds, self.message_expiry_in_seconds
            push_within_s = self._usual_push_limit_s
        serializer = wire_meta.pop("serializer", None) or self._default_serializer or self.default_serializer
        protocol_version = wire_meta.pop("protocol_version", None) or self.protocol_version
        wire_meta[EXPIRY_KEY] = expires_at
        envelope = {"request_id": request_id, "meta": wire_meta, "body": body}
        serialize_message = self.serialize_message
        try:
            parts, size = serialize_message(protocol_version, envelope, serializer)
        except MessageTooLarge:
            self.meters.count("send.error.message_too_large")
            raise
        return Outgoing(parts, size, expires_at, ttl_s, push_within_s)

    def _serialize_message(
        self, protocol_version: ProtocolVersion, envelope: dict[str, Any], serializer: Serializer
    ) -> tuple[list[tuple[bytes, bytes | memoryview]], int]:
        blob = serializer.message_to_blob(envelope)
        size = len(blob)
        if size > self.maximum_message_size_in_bytes or self._is_measuring or size > self._log_above:
            self._look_at_size(envelope, size)
        chunk_size = self.chunk_messages_larger_than_bytes
        if chunk_size <= 0 or size <= chunk_size:
            if serializer is self._usual_serializer and protocol_version is _VERSION_3:
                return [(USUAL_HEADER, blob)], size
            return [(frame_header(protocol_version, serializer.mime_type), blob)], size
        parts = split_into_frames(blob, protocol_version, serializer.mime_type, chunk_size)
        self.meters.observe("send.chunk_count", len(parts))
        return parts, size

    def _look_at_size(self, envelope: dict[str, Any], size: int) -> None:
        self.meters.observe("send.message_size", size)
        if size > self.maximum_message_size_in_bytes:
            raise MessageTooLarge(size, "Message exceeds maximum message size")
        if size > self._log_above:
            report_oversized(self.service_name, envelope, size, self.log_messages_larger_than_bytes)

    # Receiving

    def receive_message(
        self, queue_name: str, receive_timeout_in_seconds: float | None = None
    ) -> ReceivedMessage:
        """Wait for the next message in a list.

        Args:
            queue_name: The name of the list, without prefix.
            receive_timeout_in_seconds: How long to wait in all; ``None`` and 0 mean the setting.

        Raises:
            MessageReceiveTimeout: Nothing came, or what came had expired.
            MessageReceiveError: Redis cannot be asked.
            InvalidMessageError: What came makes no sense.
            InvalidMessage: What came cannot be deserialized.
        """
        raise NotImplementedError

    def timeout_or_default(self, receive_timeout_in_seconds: float | None) -> float:
        """Return how long to wait in seconds.

        Args:
            receive_timeout_in_seconds: ``None`` and 0 mean the setting.

        Raises:
            ValueError: It is negative or not a number.
        """
        if not receive_timeout_in_seconds:
            return self.receive_timeout_in_seconds
        if receive_timeout_in_seconds < 0 or math.isnan(receive_timeout_in_seconds):
            raise ValueError(
                f"receive_timeout_in_seconds must be above 0, got {receive_timeout_in_seconds!r}. "
                "Pass None to use the transport's setting."
            )
        return receive_timeout_in_seconds

    def _read_envelope(
        self, payload: bytes, content_type: str | None, protocol_version: ProtocolVersion
    ) -> Envelope:
        """Deserialize a message that has been taken out of its frame, and check its outer form.

        Raises:
            InvalidMessageError: It makes no sense.
            InvalidMessage: It cannot be deserialized.
        """
        serializer = self._serializer_for(content_type)
        try:
            message: object = serializer.blob_to_dict(payload)
        except InvalidMessage:
            raise
        except Exception as error:
            # Serializers of service teams may raise anything; no message may end the process.
            text = f"Can't deserialize message due to {type(error).__name__}: {error}"
            raise InvalidMessage(text) from error
        return open_envelope(message, serializer, protocol_version, self.service_name)

    def usual_message(self, message: bytes) -> ReceivedMessage | None:
        """Return what is in a message as nearly all are: whole, of version 3, in MessagePack, and in order.

        Args:
            message: One element of a list.

        Returns:
            The message; ``None`` if it is in any way unusual and has to be looked at more closely, or if the
            parts of that are to be measured.
        """
        payload = None if self._is_measuring else usual_payload(message)
        if payload is None:
            return None
        serializer = self._usual_serializer or self._find_usual_serializer()
        try:
            content: dict[str, Any] = serializer.blob_to_dict(payload)
            request_id, meta = content["request_id"], content["meta"]
            expires_at, body = meta[EXPIRY_KEY], content["body"]
        except Exception:
            # Whatever it is, looking more closely finds it, too.
            return None
        if type(request_id) is not int or type(expires_at) is not float or expires_at < time.time():
            return None
        meta["serializer"] = serializer
        meta["protocol_version"] = _VERSION_3
        # As the constructor does it, but at once.
        return _new_tuple(ReceivedMessage, (request_id, meta, body))

    def _find_usual_serializer(self) -> Serializer:
        self._usual_serializer = self._serializer_for(MsgpackSerializer.mime_type)
        return self._usual_serializer

    def checked_message(self, queue_key: str | bytes, envelope: Envelope) -> ReceivedMessage:
        """Return the content of an envelope, if it is not too old.

        Args:
            queue_key: The list that it came from, for the log.
            envelope: The envelope.

        Raises:
            MessageReceiveTimeout: It has expired.
            InvalidMessageError: It has no request id, or an impossible expiry.
        """
        age_s = message_age_past_expiry(envelope.meta, time.time())
        if age_s is not None:
            self.meters.count("receive.error.message_expired")
            report_expired(queue_key, envelope.request_id, age_s)
            raise MessageReceiveTimeout(f"Message expired for service {self.service_name}")
        try:
            request_id = checked_request_id(envelope, self.service_name)
        except InvalidMessageError:
            self.meters.count("receive.error.no_request_id")
            raise
        return ReceivedMessage(request_id, envelope.meta, envelope.body)

    def note_invalid(self, queue_key: str | bytes, message: bytes, reason: Exception) -> None:
        """Count and log that a message was dropped.

        Args:
            queue_key: The list that it came from.
            message: The message.
            reason: What is wrong with it.
        """
        self.meters.count("receive.error.invalid_message")
        report_invalid(queue_key, message, reason)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(service_name={self.service_name!r}, backend_type={self.backend_type!r}, "
            f"backend_layer_kwargs={redact_connection_settings(self.backend_layer_kwargs)!r})"
        )


def positive(name: str, value: int) -> int:
    """Return the value of a setting.

    Args:
        name: Which setting.
        value: Its value.

    Raises:
        ValueError: It is not above 0.
    """
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return value
