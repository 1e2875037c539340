from __future__ import annotations

import errno
import inspect
import socket
import ssl

import pytest
import redis.exceptions

from pysoa.common.transport.redis_gateway._interfaces import BackendError
from pysoa.common.transport.redis_gateway.backend._errors import Secrets, translate
from pysoa.common.transport.redis_gateway.backend._replies import ProtocolViolationError

SECRET = "hunter2"
ADDRESS = "Redis at db.example:6379"


def classes_of_redis_py() -> list[type[Exception]]:
    return [
        value
        for value in vars(redis.exceptions).values()
        if inspect.isclass(value)
        and issubclass(value, Exception)
        and value.__module__ == redis.exceptions.__name__
    ]


def made(kind: type[Exception]) -> Exception:
    # Those about clusters read a slot and a node out of the text.
    is_redirection = issubclass(kind, redis.exceptions.AskError)
    return kind("1234 127.0.0.1:7000" if is_redirection else f"AUTH {SECRET} failed at redis://me:{SECRET}@x")


def translated(error: Exception) -> BackendError:
    return translate(error, ADDRESS, Secrets([SECRET]))


def test_redis_py_has_the_classes_that_are_walked() -> None:
    assert redis.exceptions.ConnectionError in classes_of_redis_py()
    assert len(classes_of_redis_py()) > 20


@pytest.mark.parametrize("kind", classes_of_redis_py(), ids=lambda kind: kind.__name__)
def test_every_class_of_redis_py_becomes_a_backend_error_without_secrets(kind: type[Exception]) -> None:
    error = translated(made(kind))

    assert type(error) is BackendError
    assert error.cause_name == kind.__name__
    assert error.text.startswith(ADDRESS)
    assert str(error) == error.text
    assert SECRET not in error.text


@pytest.mark.parametrize(
    ("error", "cause_name", "words"),
    [
        pytest.param(
            ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
            "ConnectionError",
            "Connection refused",
            id="refused",
        ),
        pytest.param(
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "ConnectionError",
            "Name or service not known",
            id="unknown host",
        ),
        pytest.param(TimeoutError("timed out"), "TimeoutError", "within the time limit", id="timeout"),
        pytest.param(
            ProtocolViolationError("got H"), "InvalidResponse", "does not speak the Redis", id="not redis"
        ),
        pytest.param(RuntimeError("boom"), "RuntimeError", "boom", id="anything else"),
        pytest.param(
            ssl.SSLCertVerificationError(1, "certificate verify failed"),
            "ConnectionError",
            "No TLS connection",
            id="certificate",
        ),
    ],
)
def test_errors_of_sockets_say_what_happened_where(error: Exception, cause_name: str, words: str) -> None:
    result = translated(error)

    assert result.cause_name == cause_name
    assert words in result.text
    assert ADDRESS in result.text


def test_words_of_the_socket_are_preferred_to_those_around_it() -> None:
    try:
        try:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        except OSError:
            raise redis.exceptions.ConnectionError(f"Error 111 connecting to {SECRET}") from None
    except redis.exceptions.ConnectionError as error:
        result = translated(error)

    assert "Connection refused." in result.text
    assert SECRET not in result.text


def test_backend_error_stays_what_it_is() -> None:
    error = BackendError("text", cause_name="X", is_connection_error=True)

    assert translated(error) is error


def test_secrets_are_hidden_wherever_they_stand() -> None:
    secrets = Secrets(["ab", b"abc", None, "", 5])

    text = secrets.hide_in("x abcab y redis://user:other@host/ 5")

    assert "ab" not in text
    assert "other" not in text
    assert "host" in text
    assert text.endswith("5")
    assert "abc" not in repr(secrets)
