from __future__ import annotations

import pytest

from pysoa.common.transport.redis_gateway import constants
from pysoa.common.transport.redis_gateway.constants import ProtocolFeature, ProtocolVersion


def test_defaults_are_those_of_1_4_9() -> None:
    assert constants.DEFAULT_MAXIMUM_MESSAGE_BYTES_CLIENT == 102_400
    assert constants.DEFAULT_MAXIMUM_MESSAGE_BYTES_SERVER == 256_000
    assert constants.MINIMUM_CHUNKED_MESSAGE_BYTES == 102_400
    assert constants.REDIS_BACKEND_TYPES == ("redis.standard", "redis.sentinel")


def test_version_tells_its_prefix() -> None:
    assert [version.prefix for version in ProtocolVersion] == [
        b"pysoa-redis/1//",
        b"pysoa-redis/2//",
        b"pysoa-redis/3//",
    ]


@pytest.mark.parametrize(
    ("message", "version", "rest"),
    [
        (b"pysoa-redis/3//abc", 3, b"abc"),
        (b"pysoa-redis/1//abc", 1, b"abc"),
        (b"content-type:a/b;c", 2, b"content-type:a/b;c"),
        (b"abc", 1, b"abc"),
    ],
)
def test_version_is_extracted_from_the_start(message: bytes, version: int, rest: bytes) -> None:
    assert ProtocolVersion.extract_version(message) == (ProtocolVersion(version), rest)


def test_unknown_version_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="4 is not a valid ProtocolVersion"):
        ProtocolVersion.extract_version(b"pysoa-redis/4//")


@pytest.mark.parametrize(
    ("feature", "versions"),
    [
        (ProtocolFeature.CONTENT_TYPE_HEADER, [2, 3]),
        (ProtocolFeature.VERSION_MARKER, [3]),
        (ProtocolFeature.CHUNKED_RESPONSES, [3]),
    ],
)
def test_features_come_with_versions(feature: ProtocolFeature, versions: list[int]) -> None:
    assert [version for version in ProtocolVersion if feature.supported_in(version)] == versions
