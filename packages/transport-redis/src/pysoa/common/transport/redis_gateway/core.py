"""What client and server transports have in common, and what is particular to each side."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from pymetrics.recorders.base import MetricsRecorder
from pymetrics.recorders.noop import noop_metrics

from pysoa.common.serializer.errors import InvalidMessage
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import InvalidMessageError, MessageReceiveTimeout
from pysoa.common.transport.redis_gateway._chunking import (
    BrokenChunksError,
    ChunkedMessage,
    reason_against_chunk_size,
)
from pysoa.common.transport.redis_gateway._commands import pack_blocking_pop, pack_delete, pack_key
from pysoa.common.transport.redis_gateway._core import RedisTransportCore
from pysoa.common.transport.redis_gateway._framing import parse_frame
from pysoa.common.transport.redis_gateway._interfaces import BackendError
from pysoa.common.transport.redis_gateway._messages import Envelope
from pysoa.common.transport.redis_gateway._waits import (
    CONNECT_LIMIT_S,
    READ_SLACK_S,
    RequestWait,
    popped_element,
)
from pysoa.common.transport.redis_gateway.constants import (
    DEFAULT_MAXIMUM_MESSAGE_BYTES_CLIENT,
    DEFAULT_MAXIMUM_MESSAGE_BYTES_SERVER,
    ProtocolVersion,
)

__all__ = (
    "RedisTransportClientCore",
    "RedisTransportCore",
    "RedisTransportServerCore",
)

_logger = logging.getLogger(__name__)


class RedisTransportClientCore(RedisTransportCore):
    """The core of a client transport.

    Args:
        protocol_version: The version in which requests go out.

    The other arguments are those of :class:`RedisTransportCore`.
    """

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
        protocol_version: ProtocolVersion | int = ProtocolVersion.VERSION_3,
    ) -> None:
        self.protocol_version: ProtocolVersion = ProtocolVersion(protocol_version)
        super().__init__(
            backend_type,
            backend_layer_kwargs,
            log_messages_larger_than_bytes,
            maximum_message_size_in_bytes,
            message_expiry_in_seconds,
            metrics,
            queue_capacity,
            queue_full_retries,
            receive_timeout_in_seconds,
            default_serializer_config,
            service_name,
        )

    def receive_message(
        self, queue_name: str, receive_timeout_in_seconds: float | None = None
    ) -> ReceivedMessage:
        """Wait for the next response in a list, and join its parts; see the base class.

        A broken sequence of parts is removed from the list together with all that follows it there.
        """
        deadline = time.monotonic() + self.timeout_or_default(receive_timeout_in_seconds)
        queue_key = self.QUEUE_NAME_PREFIX + queue_name
        message = self._pop(queue_key, deadline)
        try:
            frame = parse_frame(message)
            payload = frame.payload
            if frame.chunk_count is not None:
                chunks = ChunkedMessage(frame, self.service_name)
                while not chunks.is_complete:
                    message = self._pop(queue_key, deadline)
                    chunks.add(parse_frame(message))
                payload = chunks.join()
            envelope = self.read_envelope(bytes(payload), frame.content_type, frame.protocol_version)
            return self.checked_message(queue_key, envelope)
        except (InvalidMessageError, InvalidMessage) as error:
            self.note_invalid(queue_key, message, error)
            if isinstance(error, BrokenChunksError):
                self._delete(queue_key)
            raise

    def _pop(self, queue_key: str, deadline: float) -> bytes:
        timeout_s = max(deadline - time.monotonic(), 0.001)
        packed = pack_blocking_pop((pack_key(queue_key),), timeout_s)
        try:
            message = popped_element(self._run(queue_key, packed, timeout_s))
        except Exception as error:
            self.receiver.fail(error)
        if message is None:
            raise MessageReceiveTimeout(f"No message received for service {self.service_name}")
        return message

    def _delete(self, queue_key: str) -> None:
        try:
            self._run(queue_key, pack_delete(pack_key(queue_key)), 0.0)
        except BackendError as error:
            # The list expires by itself; that its message was broken is what the caller must hear.
            _logger.debug("The rest of a broken response could not be removed from %s: %s", queue_key, error)

    def _run(self, queue_key: str, packed_command: bytes, answer_within_s: float) -> object:
        backend = self.backend()
        connect_by = time.monotonic() + CONNECT_LIMIT_S
        connection = self.receiver.connect(backend.index_for(queue_key, connect_by), connect_by)
        try:
            read_by = time.monotonic() + answer_within_s + READ_SLACK_S
            connection.write(packed_command, read_by)
            reply = connection.read(read_by)
        except BaseException:
            backend.discard(connection)
            raise
        backend.release(connection)
        return reply


class RedisTransportServerCore(RedisTransportCore):
    """The core of a server transport.

    Args:
        chunk_messages_larger_than_bytes: Above which size a response is split into parts of that size, for
            clients that can join them; negative for never.

    The other arguments are those of :class:`RedisTransportCore`.

    Raises:
        ValueError: An argument makes no sense.
    """

    is_server = True

    def __init__(
        self,
        backend_type: str,
        backend_layer_kwargs: Mapping[str, Any] | None = None,
        message_expiry_in_seconds: int = 60,
        metrics: MetricsRecorder = noop_metrics,
        queue_capacity: int = 10000,
        queue_full_retries: int = 10,
        receive_timeout_in_seconds: int = 5,
        default_serializer_config: Mapping[str, Any] | None = None,
        service_name: str = "",
        log_messages_larger_than_bytes: int = DEFAULT_MAXIMUM_MESSAGE_BYTES_SERVER,
        maximum_message_size_in_bytes: int = DEFAULT_MAXIMUM_MESSAGE_BYTES_SERVER,
        chunk_messages_larger_than_bytes: int = -1,
    ) -> None:
        self.chunk_messages_larger_than_bytes: int = int(chunk_messages_larger_than_bytes)
        reason = reason_against_chunk_size(
            self.chunk_messages_larger_than_bytes, int(maximum_message_size_in_bytes)
        )
        if reason:
            raise ValueError(reason)
        self._request_waits: dict[str, RequestWait] = {}
        super().__init__(
            backend_type,
            backend_layer_kwargs,
            log_messages_larger_than_bytes,
            maximum_message_size_in_bytes,
            message_expiry_in_seconds,
            metrics,
            queue_capacity,
            queue_full_retries,
            receive_timeout_in_seconds,
            default_serializer_config,
            service_name,
        )

    def receive_message(
        self, queue_name: str, receive_timeout_in_seconds: float | None = None
    ) -> ReceivedMessage:
        """Wait for the next request in a service's queue, on all masters; see the base class."""
        request_wait = self.request_wait(queue_name)
        message = self.next_request(request_wait, receive_timeout_in_seconds)
        try:
            return self.checked_message(request_wait.queue_key, self.opened_request(message))
        except (InvalidMessageError, InvalidMessage) as error:
            self.note_invalid(request_wait.queue_key, message, error)
            raise

    def request_wait(self, queue_name: str) -> RequestWait:
        """Return what waits for requests in a queue, always the same for the same queue.

        Args:
            queue_name: The name of the queue, without prefix.
        """
        if queue_name not in self._request_waits:
            queue_key = self.QUEUE_NAME_PREFIX + queue_name
            self._request_waits[queue_name] = RequestWait(self.receiver, queue_key, self.meters)
        return self._request_waits[queue_name]

    def next_request(
        self, request_wait: RequestWait, receive_timeout_in_seconds: float | None = None
    ) -> bytes:
        """Wait for the next element of a queue.

        Args:
            request_wait: What :meth:`request_wait` returned.
            receive_timeout_in_seconds: How long to wait; ``None`` and 0 mean the setting.

        Raises:
            MessageReceiveTimeout: Nothing came.
            MessageReceiveError: Redis cannot be asked.
        """
        message = request_wait.next_message(self.timeout_or_default(receive_timeout_in_seconds))
        if message is None:
            raise MessageReceiveTimeout(f"No message received for service {self.service_name}")
        return message

    def opened_request(self, message: bytes) -> Envelope:
        """Take a request out of its frame, and deserialize it.

        Args:
            message: The element of the queue.

        Raises:
            InvalidMessageError: It makes no sense.
            InvalidMessage: It cannot be deserialized.
        """
        frame = parse_frame(message)
        if frame.chunk_count is not None:
            raise InvalidMessageError("Unsupported chunked request on server Redis backend")
        return self.read_envelope(bytes(frame.payload), frame.content_type, frame.protocol_version)
