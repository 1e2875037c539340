"""What actions and middleware of a server are given, and what an action is."""

from __future__ import annotations

import abc
import concurrent.futures
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, SupportsInt, TypeAlias, Union

import attrs

from pysoa.client.client import Client
from pysoa.common.types import ActionRequest, ActionResponse, Body, Context, Control, JobRequest
from pysoa.server._lazy_client import ClientAttribute
from pysoa.server._local_call import call_local_action
from pysoa.server.internal.types import RequestSwitchSet, SupportsIntValue

if sys.version_info >= (3, 13):
    from typing import TypeVar  # has had defaults since
else:
    from typing_extensions import TypeVar

if TYPE_CHECKING:  # these two modules import this one
    from pysoa.server.server import Server
    from pysoa.server.settings import ServerSettings

__all__ = (
    "ActionInterface",
    "ActionType",
    "AnyActionRequest",
    "EnrichedActionRequest",
    "EnrichedJobRequest",
    "IntrospectionActionType",
    "RequestBody",
    "ResponseBody",
    "RunCoroutineType",
)

_Result = TypeVar("_Result")
RequestBody = TypeVar("RequestBody", bound=Mapping[str, Any], default=Body)
"""The type of a request's body: a ``TypedDict``, or any dictionary if nothing is said."""
ResponseBody = TypeVar("ResponseBody", bound=Mapping[str, Any], default=Body)
"""The type of a response's body: a ``TypedDict``, or any dictionary if nothing is said."""


class RunCoroutineType(Protocol):
    """Runs a coroutine in the server's event loop, beside the action."""

    def __call__(self, coroutine: Coroutine[Any, Any, _Result], /) -> concurrent.futures.Future[_Result]:
        """Start the coroutine and return the future of its result, which may be awaited or ignored."""
        ...


def _new_map() -> dict[str, Any]:
    return {}


def _to_request_switch_set(switches: Iterable[SupportsInt | SupportsIntValue]) -> RequestSwitchSet:
    return switches if isinstance(switches, RequestSwitchSet) else RequestSwitchSet(switches)


@attrs.define(slots=False, order=True, on_setattr=attrs.setters.NO_OP)
class EnrichedJobRequest(JobRequest):
    """The job request that job middleware gets: the caller's, with the means to call other services."""

    client: Client = attrs.field(default=None)
    """A client for calling other services, made by the server's ``make_client`` when it is first used."""
    run_coroutine: RunCoroutineType = attrs.field(default=None)
    """Runs a coroutine in the server's event loop."""


class _Served:
    """Holds the server of a request: no field, so that it is neither compared nor copied."""

    _server: Server | None = None


@attrs.define(slots=False, order=True, on_setattr=attrs.setters.NO_OP)
class EnrichedActionRequest(ActionRequest, _Served, Generic[RequestBody]):
    """The action request that actions and action middleware get: the caller's, and what the job adds to it.

    Type checkers know the body if the type of the request does: ``EnrichedActionRequest[MyTypedDict]``.

    A service may extend this class and set :attr:`Server.request_class
    <pysoa.server.server.Server.request_class>` to the subclass. Attributes that it adds must be attrs fields
    with defaults; :meth:`call_local_action` copies them.
    """

    body: RequestBody = attrs.field(factory=_new_map)  # type: ignore[assignment]  # narrower than the base's
    """The request body input."""
    switches: RequestSwitchSet = attrs.field(factory=RequestSwitchSet, converter=_to_request_switch_set)
    """The switches that the caller turned on. Any iterable of switches given here becomes such a set."""
    context: Context = attrs.field(factory=_new_map)
    """The context header of the job, shared by all of its actions."""
    control: Control = attrs.field(factory=_new_map)
    """The control header of the job, shared by all of its actions."""
    client: Client = attrs.field(default=None)
    """A client for calling other services, made by the server's ``make_client`` when it is first used.

    It hands on the context of this job, with its correlation id and switches.
    """
    run_coroutine: RunCoroutineType = attrs.field(default=None)
    """Runs a coroutine in the server's event loop, beside the action.

    It takes a coroutine object, such as what an ``async def`` function returns, and returns a
    :class:`concurrent.futures.Future` that can be waited for or ignored.
    """

    def call_local_action(
        self,
        action: str,
        body: Body,
        raise_action_errors: bool = True,
        is_caller_error: bool = False,
        context: Context | None = None,
    ) -> ActionResponse:
        """Call another action of the same service, here and now.

        The other action gets a copy of this request with another action name and body. Unlike a call by
        client, this involves no transport, no serialization, no job, no middleware, no metrics and no
        clean-up after the action.

        Args:
            action: The name of the action, as a caller of this service would write it.
            body: The body for the action, given to it as it is.
            raise_action_errors: Whether errors of the action are raised; if not, they are in the response
                returned.
            is_caller_error: What the ``is_caller_error`` of response errors becomes when they are raised.
                Usually it is this service's own mistake if it calls itself wrongly.
            context: What to change in the context header, for the called action only. Switches and the
                context of the client follow.

        Returns:
            The response of the action.

        Raises:
            ActionError: The action failed, does not exist, or this request has no server; only if
                ``raise_action_errors``.
        """
        return call_local_action(
            self, self._server, action, body, raise_action_errors, is_caller_error, context
        )


# attrs sets and compares the client like any other field; only reading it does something more.
EnrichedJobRequest.client = ClientAttribute()  # type: ignore[assignment]  # it reads as a Client
EnrichedActionRequest.client = ClientAttribute()  # type: ignore[assignment]  # it reads as a Client


class ActionInterface(abc.ABC):
    """What an action class must provide.

    An action is either a callable that takes the server settings and returns a callable that takes an
    :class:`EnrichedActionRequest` and returns an :class:`~pysoa.common.types.ActionResponse`, or a subclass
    of this class. Most actions extend :class:`pysoa.server.action.base.Action`, which is simpler to use than
    either.
    """

    _needs_server: ClassVar[bool] = False
    """Whether it is constructed with the server in place of the settings; for actions that come with it."""

    @abc.abstractmethod
    def __init__(self, settings: ServerSettings | None = None) -> None:
        """Construct the action, for one execution.

        Args:
            settings: The server settings.
        """

    @abc.abstractmethod
    def __call__(self, action_request: EnrichedActionRequest[Any]) -> ActionResponse:
        """Execute the action.

        Args:
            action_request: The request.

        Returns:
            The response.

        Raises:
            ActionError: The action cannot be done; the caller gets the errors.
        """


AnyActionRequest: TypeAlias = EnrichedActionRequest[Any]
"""An action request whatever the type of its body."""

ActionType: TypeAlias = Union[  # noqa: UP007 - with forward references, | fails at run time
    type[ActionInterface],
    Callable[["ServerSettings | None"], Callable[[AnyActionRequest], ActionResponse]],
]
"""Anything that can stand in an action map: an action class, or a callable that makes a callable."""

IntrospectionActionType: TypeAlias = Callable[["Server"], Callable[[AnyActionRequest], ActionResponse]]
"""What a server can use as its introspection action: it is given the server, not its settings."""
