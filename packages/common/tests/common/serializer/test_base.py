from __future__ import annotations

import abc
import types
from typing import Any

import attrs
import pytest
from conformity import fields

from pysoa.common.errors import PySOAError
from pysoa.common.serializer import JSONSerializer, MsgpackSerializer
from pysoa.common.serializer.base import Serializer
from pysoa.common.serializer.errors import InvalidField, InvalidMessage, SerializationError


class _ReprSerializer(Serializer):
    """One that a service team might have written for PySOA 1.x: the two abstract methods and nothing else."""

    mime_type = "application/x-test-repr"

    def dict_to_blob(self, message_dict: dict[Any, Any]) -> bytes:
        return repr(message_dict).encode()

    def blob_to_dict(self, blob: bytes) -> dict[Any, Any]:
        return {"blob": blob}


@attrs.define
class _Tag:
    name: str


@pytest.mark.parametrize(
    ("mime_type", "serializer_class"),
    [
        ("application/json", JSONSerializer),
        ("application/msgpack", MsgpackSerializer),
        ("application/x-test-repr", _ReprSerializer),
    ],
)
def test_serializers_are_found_by_their_mime_type(mime_type: str, serializer_class: type) -> None:
    serializer = Serializer.resolve_serializer(mime_type)

    assert type(serializer) is serializer_class
    assert Serializer.resolve_serializer(mime_type) is not serializer
    assert mime_type in Serializer.all_supported_mime_types


def test_registry_is_the_same_for_every_subclass() -> None:
    assert isinstance(JSONSerializer.resolve_serializer("application/msgpack"), MsgpackSerializer)
    assert JSONSerializer.all_supported_mime_types == Serializer.all_supported_mime_types
    assert isinstance(Serializer.all_supported_mime_types, frozenset)


@pytest.mark.parametrize("mime_type", ["x/y", "", "Application/JSON", " application/json"])
def test_unknown_mime_types_are_refused(mime_type: str) -> None:
    with pytest.raises(ValueError, match=f"^Mime type {mime_type} is not supported$"):
        Serializer.resolve_serializer(mime_type)


@pytest.mark.parametrize("mime_type", [None, "", "  "])
def test_serializers_without_a_mime_type_are_refused(mime_type: str | None) -> None:
    with pytest.raises(ValueError, match=r"^All serializers must have a non-null, non-blank MIME type$"):
        types.new_class("Nameless", (Serializer,), {}, lambda body: body.update(mime_type=mime_type))


def test_second_serializer_for_a_mime_type_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^Another serializer .*JSONSerializer.* already supports mime type "
    ):
        types.new_class("Second", (Serializer,), {}, lambda body: body.update(mime_type="application/json"))


def test_subclass_that_inherits_its_mime_type_is_refused() -> None:
    with pytest.raises(ValueError, match="already supports mime type application/json"):

        class Inheriting(JSONSerializer):  # pyright: ignore[reportUnusedClass] - refused
            pass


def test_multiple_inheritance_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^You cannot use multiple inheritance with Serializers$"):

        class TwoBases(Serializer, abc.ABC):  # pyright: ignore[reportUnusedClass] - refused
            mime_type = "application/x-test-two-bases"

    assert "application/x-test-two-bases" not in Serializer.all_supported_mime_types


def test_serializer_without_the_methods_cannot_be_built() -> None:
    abstract: Any = Serializer

    with pytest.raises(TypeError, match="abstract"):
        abstract()


def test_messages_are_made_plain_for_serializers_that_know_nothing_of_sets_and_attrs() -> None:
    blob = _ReprSerializer().message_to_blob({"a": (1, {2}), "b": _Tag("c")})

    assert blob == b"{'a': [1, [2]], 'b': {'name': 'c'}}"


@pytest.mark.parametrize("base", [JSONSerializer, MsgpackSerializer])
def test_extension_of_a_shipped_serializer_has_the_last_word_on_messages(base: type[Serializer]) -> None:
    def dict_to_blob(self: Serializer, message_dict: dict[Any, Any]) -> bytes:
        return base.dict_to_blob(self, {**message_dict, "seen": True})

    def fill(body: dict[str, Any]) -> None:
        body.update(mime_type=f"application/x-test-{base.__name__}", dict_to_blob=dict_to_blob)

    extension: Any = types.new_class(f"Extended{base.__name__}", (base,), {}, fill)

    blob = extension().message_to_blob({"a": (1, {2})})

    assert extension().blob_to_dict(blob) == {"a": [1, [2]], "seen": True}


def test_message_that_contains_itself_is_an_invalid_field_for_every_serializer() -> None:
    message: dict[str, Any] = {}
    message["self"] = message

    with pytest.raises(InvalidField, match=r"^Can't serialize message due to RecursionError: "):
        _ReprSerializer().message_to_blob(message)


@pytest.mark.parametrize("serializer_class", [JSONSerializer, MsgpackSerializer])
def test_shipped_serializers_can_be_named_in_settings_without_kwargs(serializer_class: type) -> None:
    path = f"pysoa.common.serializer:{serializer_class.__name__}"
    schema = fields.ClassConfigurationSchema()

    assert schema.errors({"path": path}) == []
    assert schema.errors({"path": path, "kwargs": {"a": 1}})[0].message == "Extra keys present: a"


@pytest.mark.parametrize(
    ("error_class", "base"),
    [
        (SerializationError, PySOAError),
        (InvalidField, SerializationError),
        (InvalidMessage, SerializationError),
    ],
)
def test_tree_of_errors_is_the_published_one(error_class: type[Exception], base: type[Exception]) -> None:
    assert error_class.__bases__ == (base,)
