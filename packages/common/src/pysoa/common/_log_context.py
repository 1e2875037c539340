"""Which request and action the current code works for, and the filter that writes it on log records.

The state is one context variable per kind of fact, each holding a tuple that is never changed: setting a fact
stores a longer tuple, clearing it a shorter one. So a thread starts empty, a task sees what was current when
it was created, nobody sees what a task beside it sets, and a coroutine that outlives its job keeps the job's
correlation id.

The server uses the variables themselves, with tokens: whatever an action sets or clears, what was current
before a request or an action is so again after it.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Any, ClassVar

from pysoa.common.types import Context

__all__ = (
    "PySOALogContextFilter",
    "action_names",
    "request_contexts",
)

request_contexts: ContextVar[tuple[Context, ...]] = ContextVar("pysoa_logging_request_contexts", default=())
"""The request contexts, the current one last. They may come off the wire and hold keys of any type."""
action_names: ContextVar[tuple[str, ...]] = ContextVar("pysoa_logging_action_names", default=())
"""The names of the actions, the current one last."""


class PySOALogContextFilter(logging.Filter):
    """Adds ``correlation_id``, ``request_id``, ``service_name`` and ``action_name`` to every log record.

    Configure it on handlers whose formatters use these names. It lets every record pass. What is not known is
    written as ``--`` (both ids), ``unknown`` (the service) or ``(n/a)`` (the action).
    """

    _service_name: ClassVar[str | None] = None

    def __init__(self) -> None:
        super().__init__("")

    def filter(self, record: logging.LogRecord) -> bool:
        """Set the four attributes on the record.

        Args:
            record: The record, which is changed.

        Returns:
            Always ``True``: nothing is filtered out.
        """
        contexts = request_contexts.get()
        context = contexts[-1] if contexts else {}
        record.correlation_id = context.get("correlation_id") or "--"
        record.request_id = context.get("request_id") or "--"
        record.service_name = self._service_name or "unknown"
        record.action_name = self.get_logging_action_name() or "(n/a)"
        return True

    @classmethod
    def set_logging_request_context(cls, /, **context: Any) -> None:
        """Make these keys the current request context, above the one that is current now.

        Args:
            context: Any keys. Log records show ``correlation_id`` and ``request_id``.
        """
        request_contexts.set((*request_contexts.get(), context))

    @classmethod
    def clear_logging_request_context(cls) -> None:
        """Go back to the request context before the last set; do nothing if there is none."""
        contexts = request_contexts.get()
        if contexts:
            request_contexts.set(contexts[:-1])

    @classmethod
    def get_logging_request_context(cls) -> Context | None:
        """Return the current request context, or ``None`` outside of any request."""
        contexts = request_contexts.get()
        return contexts[-1] if contexts else None

    @classmethod
    def set_logging_action_name(cls, action_name: str) -> None:
        """Make this the name of the current action, above the one that is current now.

        Args:
            action_name: The name that log records show.
        """
        action_names.set((*action_names.get(), action_name))

    @classmethod
    def clear_logging_action_name(cls) -> None:
        """Go back to the action before the last set; do nothing if there is none."""
        names = action_names.get()
        if names:
            action_names.set(names[:-1])

    @classmethod
    def get_logging_action_name(cls) -> str | None:
        """Return the name of the current action, or ``None`` outside of any action."""
        names = action_names.get()
        return names[-1] if names else None

    @classmethod
    def set_service_name(cls, service_name: str) -> None:
        """Set the name of this process's service; the server does so at its start.

        Args:
            service_name: The name that log records show, in every thread.
        """
        cls._service_name = service_name
