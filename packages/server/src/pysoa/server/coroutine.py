"""Wrappers around the coroutines that actions start with ``request.run_coroutine``."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from pysoa.common._conformity import accepts_kwargs, dictionary

__all__ = (
    "Coroutine",
    "CoroutineMiddleware",
    "DefaultCoroutineMiddleware",
    "MiddlewareCoroutine",
)

_logger = logging.getLogger(__name__)

MiddlewareCoroutine = TypeVar("MiddlewareCoroutine", bound=Coroutine[Any, Any, Any])
"""Says that a middleware's ``coroutine`` returns a coroutine with the result of the one that it wraps."""


class CoroutineMiddleware:
    """Base of coroutine middleware; override either method, or both.

    A server takes its coroutine middleware from the setting ``coroutine_middleware``, whose first entry is
    the outermost one.
    """

    def before_run_coroutine(self) -> None:
        """Do what must happen in the thread that calls ``run_coroutine``, before the hand-over.

        Called in the order in which the middleware is configured, while :meth:`coroutine` is called in the
        reverse order, so that the first configured middleware becomes the outermost.
        """

    def coroutine(self, coroutine: MiddlewareCoroutine) -> MiddlewareCoroutine:
        """Wrap one coroutine.

        ::

            def coroutine(self, coroutine):
                async def wrapper():
                    do_stuff_before()
                    try:
                        return await coroutine
                    finally:
                        do_stuff_after()

                return wrapper()

        Args:
            coroutine: What to wrap: the action's coroutine, or the one that the next middleware made of it.

        Returns:
            The wrapping coroutine, which should return what it awaits, or the given coroutine itself.
        """
        return coroutine


@accepts_kwargs(dictionary({}, description="The default coroutine middleware has no constructor arguments"))
class DefaultCoroutineMiddleware(CoroutineMiddleware):
    """Logs the errors of coroutines, whose results an action may never look at.

    Keep it first in the setting ``coroutine_middleware``, so that it sees what the others raise, too.
    """

    def coroutine(self, coroutine: MiddlewareCoroutine) -> MiddlewareCoroutine:
        """Wrap a coroutine in one that logs what it raises, and raises it again."""
        return _log_errors_of(coroutine)  # type: ignore[return-value]  # a coroutine with the same result


async def _log_errors_of(coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await coroutine
    except Exception:
        _logger.exception("Error occurred while awaiting coroutine in request.run_coroutine")
        raise
