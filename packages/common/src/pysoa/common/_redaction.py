"""Copies and texts of values that show no secret.

A value is secret when the name it stands under is sensitive, at any depth. Nothing here raises, whatever the
value is: all of it runs where an error or a log line is being written, and must not hide what that is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, cast

from pysoa.common._censoring import ConnectionRedactor, Redactor
from pysoa.common._sensitive_names import SENSITIVE_FIELDS
from pysoa.common._url_redaction import CENSORED_STRING, redact_url

__all__ = (
    "CENSORED_STRING",
    "RecursivelyCensoredDictWrapper",
    "redact",
    "redact_connection_settings",
    "redact_url",
    "redacted_repr",
)


class RecursivelyCensoredDictWrapper:
    """Shows a dictionary without its secrets, as late as possible.

    Give it to a logger as an argument: the dictionary is walked only when the record is really written. The
    text is made once, at the first ``str``, ``repr`` or ``bytes``, from a censored copy; the dictionary
    itself is not changed.

    A value is replaced when its key is one of :attr:`SENSITIVE_FIELDS` in any case and with any separators,
    whatever its type. ``None``, booleans, and empty or zero values stay. Lists, tuples and sets under such a
    key keep their shape, and each of their elements is replaced; everything else, mappings included, is
    replaced as a whole. Passwords in URLs are replaced wherever they are. Cycles are cut, and nothing raises.
    """

    SENSITIVE_FIELDS: ClassVar[frozenset[str]] = SENSITIVE_FIELDS
    """The names of secrets. Subclasses may extend them."""
    CENSOR_TYPES: ClassVar[tuple[type, ...]] = (str, int)
    """The types that PySOA 1.x replaced. Every type is replaced now; this is here for code that reads it."""
    CENSORED_STRING: ClassVar[str] = CENSORED_STRING
    """What stands in the place of a secret."""

    def __init__(self, wrapped_dict: Mapping[str, Any]) -> None:
        """Wrap a dictionary; do nothing with it yet.

        Args:
            wrapped_dict: The dictionary to show. It is neither copied nor changed.

        Raises:
            ValueError: It is not a ``dict``.
        """
        if not isinstance(wrapped_dict, dict):
            raise ValueError("wrapped_dict must be a dict")
        self._wrapped_dict: Mapping[str, Any] | None = wrapped_dict
        self._text = ""

    def __repr__(self) -> str:
        wrapped_dict = self._wrapped_dict
        if wrapped_dict is not None:
            self._text = Redactor(self.SENSITIVE_FIELDS, self.CENSORED_STRING).text(wrapped_dict)
            self._wrapped_dict = None
        return self._text

    def __str__(self) -> str:
        return repr(self)

    def __bytes__(self) -> bytes:
        return repr(self).encode("utf-8", "backslashreplace")


def redact(value: object, extra_fields: Iterable[str] = ()) -> Any:
    """Return a censored copy of a value, made of plain containers, numbers, dates and strings.

    Args:
        value: Anything. It is not changed. Attrs instances and objects of unknown types become their text.
        extra_fields: Names to hide besides :data:`SENSITIVE_FIELDS`, in any spelling.
    """
    return Redactor((*SENSITIVE_FIELDS, *extra_fields)).copy(value)


def redacted_repr(value: object, extra_fields: Iterable[str] = ()) -> str:
    """Return the ``repr`` of a value without its secrets.

    Args:
        value: Anything.
        extra_fields: Names to hide besides :data:`SENSITIVE_FIELDS`, in any spelling.
    """
    return Redactor((*SENSITIVE_FIELDS, *extra_fields)).text(value)


def redact_connection_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a censored copy of the arguments of a connection.

    Stricter than :func:`redact`: a name that only contains ``pass``, ``pwd``, ``secret``, ``token``,
    ``credential`` or ``auth`` (``ssl_password``, ``sentinel_auth``, ``credential_provider``) is hidden too,
    at any depth.

    Args:
        settings: Keyword arguments, for instance of redis-py.
    """
    return cast("dict[str, Any]", ConnectionRedactor(SENSITIVE_FIELDS).copy(settings))
