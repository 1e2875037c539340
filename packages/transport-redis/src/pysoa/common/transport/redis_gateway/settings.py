"""Schemas of the settings of the Redis transport."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, cast

from conformity import fields
from conformity.error import Error

from pysoa.common.serializer.base import Serializer as BaseSerializer
from pysoa.common.transport.redis_gateway._backends import check_backend_kwargs, prepare_backend_kwargs
from pysoa.common.transport.redis_gateway._chunking import reason_against_chunk_size
from pysoa.common.transport.redis_gateway.constants import (
    DEFAULT_MAXIMUM_MESSAGE_BYTES_SERVER,
    REDIS_BACKEND_TYPE_SENTINEL,
    REDIS_BACKEND_TYPES,
    ProtocolVersion,
)

__all__ = (
    "RedisServerTransportSchema",
    "RedisTransportSchema",
)

_HIGHEST_PORT = 65_535
_SENTINEL_KEYS = ("sentinel_failover_retries", "sentinel_kwargs", "sentinel_services")
_LOWEST_VALUES = {
    "maximum_message_size_in_bytes": 1,
    "message_expiry_in_seconds": 1,
    "log_messages_larger_than_bytes": 0,
    "queue_capacity": 1,
    "queue_full_retries": 0,
    "receive_timeout_in_seconds": 1,
}

# Conformity has no types that the checkers can see: this is where its names get some.
_fields: Any = fields
_Error: Callable[..., Error] = cast("Any", Error)


def _check_lowest_values(settings: Mapping[Any, Any]) -> Iterable[Error]:
    for key, lowest in _LOWEST_VALUES.items():
        value = settings.get(key, lowest)
        if value < lowest:
            yield _Error(f"Value must be at least {lowest}, got {value}", pointer=key)


def _check_backend_kwargs(settings: Mapping[Any, Any]) -> Iterable[Error]:
    backend_kwargs = settings.get("backend_layer_kwargs", {})
    if settings["backend_type"] != REDIS_BACKEND_TYPE_SENTINEL:
        for key in _SENTINEL_KEYS:
            if key in backend_kwargs:
                yield _Error(
                    f"Only for backend_type {REDIS_BACKEND_TYPE_SENTINEL}; remove it, or change backend_type",
                    pointer=f"backend_layer_kwargs.{key}",
                )
    for key, lowest, highest in (
        ("redis_db", 0, None),
        ("redis_port", 1, _HIGHEST_PORT),
        ("sentinel_failover_retries", 0, None),
    ):
        value = backend_kwargs.get(key, lowest)
        if value < lowest or (highest is not None and value > highest):
            limits = f"at least {lowest}" if highest is None else f"from {lowest} to {highest}"
            yield _Error(f"Value must be {limits}, got {value}", pointer=f"backend_layer_kwargs.{key}")
    for index, host in enumerate(backend_kwargs.get("hosts", ())):
        if isinstance(host, tuple) and not 0 < host[1] <= _HIGHEST_PORT:
            yield _Error(
                f"Port must be from 1 to {_HIGHEST_PORT}, got {host[1]}",
                pointer=f"backend_layer_kwargs.hosts.{index}",
            )
    for key in ("connection_kwargs", "sentinel_kwargs"):
        for name in backend_kwargs.get(key, {}):
            if not isinstance(name, str):
                yield _Error("Every key must be a string", pointer=f"backend_layer_kwargs.{key}")


def _check_that_redis_py_agrees(settings: Mapping[Any, Any]) -> Iterable[Error]:
    backend_type = settings["backend_type"]
    try:
        prepared = prepare_backend_kwargs(backend_type, settings.get("backend_layer_kwargs", {}))
        check_backend_kwargs(backend_type, prepared)
    except (TypeError, ValueError) as error:
        yield _Error(str(error), pointer="backend_layer_kwargs")


def _check_protocol_version(settings: Mapping[Any, Any]) -> Iterable[Error]:
    value = settings.get("protocol_version", ProtocolVersion.VERSION_3)
    versions = [int(version) for version in ProtocolVersion]
    if value not in versions:
        yield _Error(f"Value must be one of {versions}, got {value}", pointer="protocol_version")


def _check_chunk_size(settings: Mapping[Any, Any]) -> Iterable[Error]:
    reason = reason_against_chunk_size(
        settings.get("chunk_messages_larger_than_bytes", -1),
        settings.get("maximum_message_size_in_bytes", DEFAULT_MAXIMUM_MESSAGE_BYTES_SERVER),
    )
    if reason:
        yield _Error(reason, pointer="chunk_messages_larger_than_bytes")


class RedisTransportSchema(fields.Dictionary):
    """The settings that the transports of both sides have in common.

    Beyond the types, it looks for values that make no sense, which the schema of PySOA 1.4.9 let pass: the
    transport then failed later, or waited for ever.
    """

    contents: Mapping[Hashable, fields.Base] = {
        "backend_layer_kwargs": _fields.Dictionary(
            {
                "connection_kwargs": _fields.SchemalessDictionary(
                    key_type=_fields.Hashable(),
                    description="The arguments used when creating all Redis connections (see Redis-Py docs)",
                ),
                "hosts": _fields.List(
                    _fields.Any(
                        _fields.Tuple(_fields.UnicodeString(), _fields.Integer()),
                        _fields.UnicodeString(),
                    ),
                    description=(
                        'The list of Redis hosts, where each is a tuple of `("address", port)` or the '
                        "simple string address."
                    ),
                ),
                "redis_db": _fields.Integer(
                    description="The Redis database, a shortcut for putting this in `connection_kwargs`.",
                ),
                "redis_port": _fields.Integer(
                    description="The port number, a shortcut for putting this on all hosts",
                ),
                "sentinel_failover_retries": _fields.Integer(
                    description=(
                        "How many times to retry (with a delay) getting a connection from the Sentinel when "
                        "a master cannot be found (cluster is in the middle of a failover); should only be "
                        "used for Sentinel backend type"
                    ),
                ),
                "sentinel_kwargs": _fields.SchemalessDictionary(
                    key_type=_fields.Hashable(),
                    description=(
                        "The arguments used when creating all Sentinel connections (see Redis-Py docs); "
                        "should only be used for Sentinel backend type; similar to `connection_kwargs`, but "
                        "you may need to specify both (one for Sentinel connections, one for Redis "
                        "connections)"
                    ),
                ),
                "sentinel_services": _fields.List(
                    _fields.UnicodeString(),
                    description=(
                        "A list of Sentinel services (will be discovered by default); should only be used "
                        "for Sentinel backend type"
                    ),
                ),
            },
            optional_keys=(
                "connection_kwargs",
                "hosts",
                "redis_db",
                "redis_port",
                "sentinel_failover_retries",
                "sentinel_kwargs",
                "sentinel_services",
            ),
            allow_extra_keys=False,
            description="The arguments passed to the Redis connection manager",
        ),
        "backend_type": _fields.Constant(
            *REDIS_BACKEND_TYPES,
            description="Which backend (standard or sentinel) should be used for this Redis transport",
        ),
        "log_messages_larger_than_bytes": _fields.Integer(
            description=(
                "By default, messages larger than 100KB that do not trigger errors (see "
                "`maximum_message_size_in_bytes`) will be logged with level WARNING to a logger named "
                "`pysoa.transport.oversized_message`. To disable this behavior, set this setting to 0. Or, "
                "you can set it to some other number to change the threshold that triggers logging."
            ),
        ),
        "maximum_message_size_in_bytes": _fields.Integer(
            description=(
                "The maximum message size, in bytes, that is permitted to be transmitted over this transport "
                "(defaults to 100KB on the client and 250KB on the server)"
            ),
        ),
        "message_expiry_in_seconds": _fields.Integer(
            description=(
                "How long after a message is sent that it is considered expired, dropped from queue"
            ),
        ),
        "queue_capacity": _fields.Integer(
            description="The capacity of the message queue to which this transport will send messages",
        ),
        "queue_full_retries": _fields.Integer(
            description="How many times to retry sending a message to a full queue before giving up",
        ),
        "receive_timeout_in_seconds": _fields.Integer(
            description="How long to block waiting on a message to be received",
        ),
        "default_serializer_config": _fields.ClassConfigurationSchema(
            base_class=BaseSerializer,
            description="The configuration for the serializer this transport should use.",
        ),
    }

    optional_keys: Any = (
        "backend_layer_kwargs",
        "log_messages_larger_than_bytes",
        "maximum_message_size_in_bytes",
        "message_expiry_in_seconds",
        "queue_capacity",
        "queue_full_retries",
        "receive_timeout_in_seconds",
        "default_serializer_config",
    )

    description: str | None = "The constructor kwargs for the Redis client and server transports."

    def errors(self, value: Any) -> list[Error]:
        """Return everything that is wrong with these settings.

        The values are looked at only if the types are right.

        Args:
            value: The settings.
        """
        errors: list[Error] = list(super().errors(value))
        return errors or list(self._errors_of_values(value))

    def _errors_of_values(self, settings: Mapping[Any, Any]) -> Iterator[Error]:
        yield from _check_lowest_values(settings)
        errors = [*_check_backend_kwargs(settings)]
        yield from errors or _check_that_redis_py_agrees(settings)


class _RedisClientTransportSchema(RedisTransportSchema):
    contents: Mapping[Hashable, fields.Base] = {
        **RedisTransportSchema.contents,
        "protocol_version": _fields.Any(
            _fields.Integer(),
            _fields.ObjectInstance(ProtocolVersion),
            description=(
                "The version of the protocol that the client speaks: 1, 2 or 3. A server answers in the "
                "version of the request, but a client cannot tell in advance which versions a server "
                "understands. Every server since PySOA 1.0.0 understands Version 3, those since 0.67.0 "
                "Version 2, and older ones Version 1 only."
            ),
        ),
    }
    optional_keys: tuple[Hashable, ...] = (*RedisTransportSchema.optional_keys, "protocol_version")
    description: str | None = "The constructor kwargs for the Redis client transport."

    def _errors_of_values(self, settings: Mapping[Any, Any]) -> Iterator[Error]:
        yield from super()._errors_of_values(settings)
        yield from _check_protocol_version(settings)


class _RedisServerTransportSchema(RedisTransportSchema):
    contents: Mapping[Hashable, fields.Base] = {
        **RedisTransportSchema.contents,
        "chunk_messages_larger_than_bytes": _fields.Integer(
            description=(
                "If set, responses larger than this setting will be chunked and sent back to the client in "
                "pieces, to prevent blocking single-threaded Redis for long periods of time to handle large "
                "responses. When set, this value must be greater than or equal to 102400, and "
                "`maximum_message_size_in_bytes` must also be set and must be at least 5 times greater than "
                "this value (because `maximum_message_size_in_bytes` is still enforced)."
            ),
        ),
    }
    optional_keys: tuple[Hashable, ...] = (
        *RedisTransportSchema.optional_keys,
        "chunk_messages_larger_than_bytes",
    )
    description: str | None = "The constructor kwargs for the Redis server transport."

    def _errors_of_values(self, settings: Mapping[Any, Any]) -> Iterator[Error]:
        yield from super()._errors_of_values(settings)
        yield from _check_chunk_size(settings)


client_transport_schema: _RedisClientTransportSchema = _RedisClientTransportSchema()
RedisServerTransportSchema: _RedisServerTransportSchema = _RedisServerTransportSchema()
"""The settings of the server's transport."""
