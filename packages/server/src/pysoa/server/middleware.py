"""Wrappers around the jobs and actions of a server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from pysoa.common._conformity import accepts_kwargs, dictionary
from pysoa.common.types import ActionResponse, JobResponse
from pysoa.server.types import AnyActionRequest, EnrichedJobRequest

__all__ = ("ServerMiddleware",)

ServerMiddlewareJobTask: TypeAlias = Callable[[EnrichedJobRequest], JobResponse]
ServerMiddlewareActionTask: TypeAlias = Callable[[AnyActionRequest], ActionResponse]


@accepts_kwargs(
    dictionary(
        {},
        description="Most server middleware has no constructor arguments, but subclasses can override this "
        "schema",
    )
)
class ServerMiddleware:
    """Base of server middleware; override either method, or both.

    A server takes its middleware from the setting ``middleware``, whose first entry is the outermost one at
    both levels. A subclass that takes constructor arguments registers its own schema for them with
    ``conformity.fields.ClassConfigurationSchema.provider``.
    """

    def job(
        self, process_job: Callable[[EnrichedJobRequest], JobResponse]
    ) -> Callable[[EnrichedJobRequest], JobResponse]:
        """Wrap the processing of jobs. Called once, when the server is constructed.

        Args:
            process_job: The next level down.

        Returns:
            A callable that takes an :class:`~pysoa.server.types.EnrichedJobRequest` and returns a
            :class:`~pysoa.common.types.JobResponse` or raises, most often by calling ``process_job``. This
            base class returns ``process_job`` itself.
        """
        return process_job

    def action(
        self, process_action: Callable[[AnyActionRequest], ActionResponse]
    ) -> Callable[[AnyActionRequest], ActionResponse]:
        """Wrap the execution of one action. Called for every action of every job, so it should be cheap.

        Args:
            process_action: The next level down.

        Returns:
            A callable that takes an :class:`~pysoa.server.types.EnrichedActionRequest` and returns an
            :class:`~pysoa.common.types.ActionResponse` or raises, most often by calling ``process_action``.
            This base class returns ``process_action`` itself.
        """
        return process_action
