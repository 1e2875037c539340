"""Hides the passwords of URLs inside of texts.

The texts may come from the wire and be long, so each step takes time in proportion to their length.
"""

from __future__ import annotations

import re
from typing import Final

from pysoa.common._sensitive_names import SENSITIVE_FIELDS, is_sensitive, normalize_names

__all__ = (
    "CENSORED_STRING",
    "redact_url",
)

CENSORED_STRING: Final = "**********"
"""What stands in the place of a secret."""

_HTTP_LIKE = ("http", "https", "ws", "wss", "ftp")
_word = re.compile(r"\S+")
_end_of_authority = re.compile(r"[/?#]")
_query_argument = re.compile(r"([?&;])([^=&;#\s?]+)=([^&;#\s]*)")
_sensitive_names = normalize_names(SENSITIVE_FIELDS)


def redact_url(text: str) -> str:
    """Return a text, such as the URL of a Redis server, with the passwords of the URLs in it replaced.

    The password before the host and sensitive arguments after ``?`` are replaced; user, host, port and path
    stay.

    Args:
        text: Any text; what is not a URL stays as it is.
    """
    return _word.sub(_redact_word, text) if "://" in text else text


def _redact_word(match: re.Match[str]) -> str:
    word = match[0]
    if "://" not in word:
        return word
    if "@" in word:
        word = _redact_credentials(word)
    return _query_argument.sub(_redact_query_argument, word)


def _redact_credentials(word: str) -> str:
    parts: list[str] = []
    copied_until = 0
    last_at = word.rfind("@")
    start = word.find("://") + 3
    while 3 <= start <= last_at:
        at = last_at
        if word.endswith(_HTTP_LIKE, 0, start - 3):
            end = _end_of_authority.search(word, start)
            at = word.rfind("@", start, end.start() if end else None)
        # Elsewhere, a password with "/", "?" or "#" as it is, which should have been quoted, is not rare.
        colon = word.find(":", start, at) if at >= 0 else -1
        if colon >= 0:
            parts += (word[copied_until : colon + 1], CENSORED_STRING)
            copied_until = start = at
        start = word.find("://", start) + 3
    return "".join((*parts, word[copied_until:]))


def _redact_query_argument(match: re.Match[str]) -> str:
    mark, name, _ = match.groups()
    return f"{mark}{name}={CENSORED_STRING}" if is_sensitive(name, _sensitive_names) else match[0]
