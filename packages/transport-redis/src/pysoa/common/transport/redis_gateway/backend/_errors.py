"""Turns everything that redis-py, the socket and the TLS library raise into one error without secrets."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator

import redis.exceptions

from pysoa.common._url_redaction import CENSORED_STRING, redact_url
from pysoa.common.transport.redis_gateway._interfaces import BackendError
from pysoa.common.transport.redis_gateway.backend._replies import ProtocolViolationError

__all__ = ("Secrets", "translate")

_LOG_IN_ERRORS = (
    redis.exceptions.AuthenticationError,
    redis.exceptions.AuthenticationWrongNumberOfArgsError,
    redis.exceptions.AuthorizationError,
    redis.exceptions.NoPermissionError,
)
_CHECK_LOG_IN = "Check username and password in connection_kwargs (sentinel_kwargs for a Sentinel)."
_CHECK_TLS = "Check that this port speaks TLS, and the ssl arguments of the connection."
_CHECK_ADDRESS = "Check that it runs there, and the hosts and the port in backend_layer_kwargs."
_CHECK_PROTOCOL = "Check that this port belongs to Redis, and whether it expects TLS."


class Secrets:
    """What must not be shown of the arguments of a connection."""

    def __init__(self, values: Iterable[object]) -> None:
        """Remember the secrets.

        Args:
            values: Passwords and the like; what is empty or neither ``str`` nor ``bytes`` is passed over.
        """
        texts = {
            value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            for value in values
            if isinstance(value, str | bytes)
        }
        # The longest first, since one may be a part of another.
        self._texts = sorted((text for text in texts if text), key=len, reverse=True)

    def hide_in(self, text: str) -> str:
        """Return the text without the secrets.

        Args:
            text: Any text.
        """
        for secret in self._texts:
            text = text.replace(secret, CENSORED_STRING)
        return redact_url(text)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def translate(error: Exception, address: str, secrets: Secrets) -> BackendError:
    """Return the error to raise instead.

    Args:
        error: What was raised.
        address: The server, in the words of a report: ``Redis at localhost:6379``.
        secrets: What was given to log in.
    """
    if isinstance(error, BackendError):
        return error
    return BackendError(_text(error, address, secrets), cause_name=_cause_name(error))


def _cause_name(error: Exception) -> str:
    # The names of redis-py's classes are what reports have always shown.
    if isinstance(error, TimeoutError):
        return "TimeoutError"
    if isinstance(error, OSError):
        return "ConnectionError"
    if isinstance(error, ProtocolViolationError):
        return "InvalidResponse"
    return type(error).__name__


def _text(error: Exception, address: str, secrets: Secrets) -> str:
    if isinstance(error, _LOG_IN_ERRORS):
        return f"{address} refused to log in: {_words(error, secrets)} {_CHECK_LOG_IN}"
    if isinstance(error, TimeoutError | redis.exceptions.TimeoutError):
        return f"{address} did not answer within the time limit."
    if isinstance(error, ProtocolViolationError | redis.exceptions.InvalidResponse):
        return f"{address} does not speak the Redis protocol: {_words(error, secrets)} {_CHECK_PROTOCOL}"
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLError):
            return f"No TLS connection with {address}: {_words_about_tls(cause, secrets)} {_CHECK_TLS}"
        if isinstance(cause, OSError):
            return f"No connection with {address}: {_words(cause, secrets)} {_CHECK_ADDRESS}"
    return f"{address} cannot be used: {_words(error, secrets)}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    # redis-py raises its own errors while it handles those of the socket, whose words are the plainer ones.
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _words_about_tls(error: ssl.SSLError, secrets: Secrets) -> str:
    # Python sets these attributes only on errors that come from the TLS library itself.
    words = getattr(error, "verify_message", None) or getattr(error, "reason", None)
    return _sentence(secrets.hide_in(str(words))) if words else _words(error, secrets)


def _words(error: BaseException, secrets: Secrets) -> str:
    if isinstance(error, OSError) and error.strerror:
        return _sentence(secrets.hide_in(error.strerror))
    text = str(error).partition(", with args beginning with")[0]
    return _sentence(secrets.hide_in(text or type(error).__name__))


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."
