from __future__ import annotations

from typing import Any

import pytest
from conformity import fields
from conformity.settings import Settings

from pysoa.common.serializer.json_serializer import JSONSerializer
from pysoa.common.settings import SOASettings
from pysoa.common.transport.redis_gateway.client import RedisClientTransport
from pysoa.common.transport.redis_gateway.constants import ProtocolVersion
from pysoa.common.transport.redis_gateway.server import RedisServerTransport
from pysoa.common.transport.redis_gateway.settings import RedisServerTransportSchema, RedisTransportSchema

CLIENT = "pysoa.common.transport.redis_gateway.client:RedisClientTransport"
SERVER = "pysoa.common.transport.redis_gateway.server:RedisServerTransport"
STANDARD = {"backend_type": "redis.standard"}
SENTINEL = {"backend_type": "redis.sentinel"}


def validate(path: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    settings = SOASettings({"transport": {"path": path, "kwargs": kwargs}})
    transport: dict[str, Any] = settings["transport"]
    return transport


def test_schemas_are_what_services_extend() -> None:
    assert issubclass(RedisTransportSchema, fields.Dictionary)
    assert isinstance(RedisServerTransportSchema, fields.Dictionary)
    assert "additional_validator" not in RedisServerTransportSchema.introspect()


@pytest.mark.parametrize(
    "kwargs",
    [
        STANDARD,
        {**SENTINEL, "backend_layer_kwargs": {"sentinel_services": ["a"], "sentinel_failover_retries": 0}},
        {**STANDARD, "backend_layer_kwargs": {"hosts": ["a", ("b", 1)], "redis_db": 0, "redis_port": 1}},
        {**STANDARD, "log_messages_larger_than_bytes": 0, "queue_full_retries": 0},
        {**STANDARD, "default_serializer_config": {"path": "pysoa.common.serializer:JSONSerializer"}},
    ],
    ids=["minimal", "sentinel", "hosts", "zeros", "serializer"],
)
@pytest.mark.parametrize(("path", "built"), [(CLIENT, RedisClientTransport), (SERVER, RedisServerTransport)])
def test_good_settings_pass_and_build_a_transport(
    path: str, built: type, kwargs: dict[str, Any], metrics: Any
) -> None:
    transport = validate(path, kwargs)

    assert transport["object"] is built
    more = () if built is RedisClientTransport else (1,)
    instance = transport["object"]("example", metrics, *more, **transport["kwargs"])
    if "default_serializer_config" in kwargs:
        assert isinstance(instance.core.default_serializer, JSONSerializer)


@pytest.mark.parametrize(
    ("path", "kwargs", "texts"),
    [
        (CLIENT, {}, ["kwargs.backend_type: Missing key: backend_type"]),
        (CLIENT, {**STANDARD, "foo": 1}, ["kwargs: Extra keys present: foo"]),
        (CLIENT, {**STANDARD, "queue_capacity": "1"}, ["kwargs.queue_capacity: Not an integer"]),
        (CLIENT, {**STANDARD, "queue_capacity": True}, ["kwargs.queue_capacity: Not an integer"]),
        (CLIENT, {**STANDARD, "chunk_messages_larger_than_bytes": 1}, ["Extra keys present"]),
        (SERVER, {**STANDARD, "protocol_version": 3}, ["Extra keys present: protocol_version"]),
        (CLIENT, {**STANDARD, "protocol_version": 9}, ["kwargs.protocol_version", "[1, 2, 3]", "got 9"]),
        (CLIENT, {**STANDARD, "receive_timeout_in_seconds": 0}, ["receive_timeout_in_seconds", "at least 1"]),
        (CLIENT, {**STANDARD, "message_expiry_in_seconds": -1}, ["message_expiry_in_seconds", "got -1"]),
        (CLIENT, {**STANDARD, "queue_capacity": 0}, ["queue_capacity", "at least 1, got 0"]),
        (CLIENT, {**STANDARD, "queue_full_retries": -1}, ["queue_full_retries", "at least 0, got -1"]),
        (SERVER, {**STANDARD, "maximum_message_size_in_bytes": 0}, ["maximum_message_size_in_bytes"]),
        (SERVER, {**STANDARD, "chunk_messages_larger_than_bytes": 5}, [">= 102400, got 5"]),
        (SERVER, {**STANDARD, "chunk_messages_larger_than_bytes": 102_400}, ["5 times larger"]),
        (
            CLIENT,
            {**STANDARD, "backend_layer_kwargs": {"sentinel_services": ["a"]}},
            ["backend_layer_kwargs.sentinel_services", "Only for backend_type redis.sentinel"],
        ),
        (CLIENT, {**STANDARD, "backend_layer_kwargs": {"redis_port": 0}}, ["redis_port", "from 1 to 65535"]),
        (CLIENT, {**STANDARD, "backend_layer_kwargs": {"redis_port": 70_000}}, ["redis_port", "got 70000"]),
        (CLIENT, {**STANDARD, "backend_layer_kwargs": {"redis_db": -1}}, ["redis_db", "at least 0"]),
        (CLIENT, {**STANDARD, "backend_layer_kwargs": {"hosts": [("a", 0)]}}, ["hosts.0", "got 0"]),
        (CLIENT, {**STANDARD, "backend_layer_kwargs": {"hosts": (("a", 1),)}}, ["hosts"]),
        (
            SERVER,
            {**SENTINEL, "backend_layer_kwargs": {"sentinel_failover_retries": -1}},
            ["sentinel_failover_retries", "at least 0"],
        ),
        (CLIENT, {**STANDARD, "backend_layer_kwargs": {"connection_kwargs": {5: 5}}}, ["must be a string"]),
        (CLIENT, {**STANDARD, "log_messages_larger_than_bytes": -1}, ["at least 0, got -1"]),
        (
            CLIENT,
            {**STANDARD, "backend_layer_kwargs": {"hosts": ["redis://h:99999999"]}},
            ["backend_layer_kwargs", "redis://h:99999999", "port cannot be read"],
        ),
        (
            SERVER,
            {**STANDARD, "backend_layer_kwargs": {"hosts": [("redis://h", 12)]}},
            ["backend_layer_kwargs", "did not fit"],
        ),
        (
            CLIENT,
            {**STANDARD, "backend_layer_kwargs": {"connection_kwargs": {"pasword": "a"}}},
            ["backend_layer_kwargs", "unexpected keyword argument 'pasword'"],
        ),
        (
            SERVER,
            {**SENTINEL, "backend_layer_kwargs": {"sentinel_kwargs": {"foo": "a"}}},
            ["backend_layer_kwargs", "unexpected keyword argument 'foo'"],
        ),
    ],
)
def test_bad_settings_are_refused_with_the_key_and_the_reason(
    path: str, kwargs: dict[str, Any], texts: list[str]
) -> None:
    with pytest.raises(Settings.ImproperlyConfigured) as caught:
        validate(path, kwargs)

    assert all(text in str(caught.value) for text in texts)


def test_what_redis_py_refuses_is_refused_when_settings_are_read_and_shows_no_secret() -> None:  # T26
    hosts = ["redis://user:pass/word@h:12"]

    with pytest.raises(Settings.ImproperlyConfigured) as caught:
        validate(CLIENT, {**STANDARD, "backend_layer_kwargs": {"hosts": hosts}})

    assert "not usable" in str(caught.value)
    assert "pass" not in str(caught.value).replace("password", "")
    assert "word@" not in str(caught.value)


def test_protocol_version_may_be_a_member(metrics: Any) -> None:
    kwargs = validate(CLIENT, {**STANDARD, "protocol_version": ProtocolVersion.VERSION_1})["kwargs"]

    assert RedisClientTransport("example", metrics, **kwargs).core.protocol_version == 1
