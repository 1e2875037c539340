from __future__ import annotations

import copy
import pickle

import pytest

from pysoa.common.errors import PySOAError
from pysoa.common.transport import errors


@pytest.mark.parametrize(
    ("error_class", "base"),
    [
        (errors.PySOATransportError, PySOAError),
        (errors.MessageTooLarge, errors.PySOATransportError),
        (errors.InvalidMessageError, errors.PySOATransportError),
        (errors.TransientPySOATransportError, errors.PySOATransportError),
        (errors.MessageReceiveTimeout, errors.TransientPySOATransportError),
        (errors.MessageSendTimeout, errors.TransientPySOATransportError),
        (errors.MessageReceiveError, errors.TransientPySOATransportError),
        (errors.MessageSendError, errors.TransientPySOATransportError),
        (errors.ConnectionError, errors.TransientPySOATransportError),
    ],
)
def test_tree_is_the_published_one(error_class: type[Exception], base: type[Exception]) -> None:
    assert error_class.__bases__ == (base,)


def test_size_is_an_attribute_and_not_an_argument() -> None:
    error = errors.MessageTooLarge(5, "Message exceeds maximum message size")

    assert error.message_size_in_bytes == 5
    assert error.args == ("Message exceeds maximum message size",)
    assert str(error) == "Message exceeds maximum message size"


def test_size_is_required() -> None:
    with pytest.raises(TypeError):
        errors.MessageTooLarge()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue] - what is tested


def test_size_survives_copying_and_pickling() -> None:
    error = errors.MessageTooLarge(5, "text")

    duplicates: list[errors.MessageTooLarge] = [copy.copy(error), pickle.loads(pickle.dumps(error))]

    assert [(duplicate.message_size_in_bytes, duplicate.args) for duplicate in duplicates] == [
        (5, ("text",)),
        (5, ("text",)),
    ]


def test_connection_error_is_not_the_built_in_one() -> None:
    assert not issubclass(errors.ConnectionError, OSError)
