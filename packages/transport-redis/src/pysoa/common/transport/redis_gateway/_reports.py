"""Log lines about messages, which never show more of a message than its first bytes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from pysoa.common.logging import RecursivelyCensoredDictWrapper

__all__ = (
    "report_expired",
    "report_invalid",
    "report_oversized",
)

_HEAD_BYTES = 24
_MAXIMUM_REASON_CHARACTERS = 300

# 1.x deployments configure these two names.
_oversized_logger = logging.getLogger("pysoa.transport.oversized_message")
_logger = logging.getLogger("pysoa.common.transport.redis_gateway.core")


def report_invalid(queue_key: str | bytes, message: bytes, reason: object) -> None:
    """Log that a message was dropped because nobody can make sense of it.

    Args:
        queue_key: The list that it came from.
        message: The message; its size and its first bytes are logged.
        reason: What is wrong with it.
    """
    _logger.error(
        "Dropped an invalid message from %s: %s (%d bytes, beginning with %s)",
        _text(queue_key),
        str(reason)[:_MAXIMUM_REASON_CHARACTERS],
        len(message),
        message[:_HEAD_BYTES].hex() or "nothing",
    )


def report_expired(queue_key: str | bytes, request_id: object, age_s: float) -> None:
    """Log that a message was dropped because it came too late.

    Args:
        queue_key: The list that it came from.
        request_id: Its request id.
        age_s: For how many seconds it had been expired. Much of it may be clocks that disagree.
    """
    if _logger.isEnabledFor(logging.DEBUG):
        _logger.debug(
            "Dropped message %.60r from %s, which had expired %.3f seconds before by this host's clock",
            request_id,
            _text(queue_key),
            age_s,
        )


def _text(queue_key: str | bytes) -> str:
    return queue_key if isinstance(queue_key, str) else queue_key.decode("utf-8", "replace")


def report_oversized(service_name: str, envelope: Mapping[str, Any], size: int, threshold: int) -> None:
    """Log that a large message was sent.

    Args:
        service_name: The service.
        envelope: The message, which is censored when a handler looks at it.
        size: Its serialized size in bytes.
        threshold: Above which size messages are logged.
    """
    _oversized_logger.warning(
        "Oversized message sent for PySOA service %s",
        service_name,
        extra={
            "data": {
                "message": RecursivelyCensoredDictWrapper(dict(envelope)),
                "serialized_length_in_bytes": size,
                "threshold": threshold,
            }
        },
    )
