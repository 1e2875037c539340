"""The serializers that turn messages into bytes and back."""

from __future__ import annotations

from pysoa.common.serializer.json_serializer import JSONSerializer
from pysoa.common.serializer.msgpack_serializer import MsgpackSerializer

__all__ = (
    "JSONSerializer",
    "MsgpackSerializer",
)
