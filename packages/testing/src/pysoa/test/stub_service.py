"""Stand-ins for the services that the code under test calls.

:class:`stub_action` replaces single actions, whatever client calls them. :class:`StubClient` is a client
for code that takes one as an argument; its services are real servers whose actions are made up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias, TypeVar, overload
from unittest import mock

from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse, Body
from pysoa.test._stub_contracts import get_stubbed_requests, get_stubbed_responses
from pysoa.test._stub_decoration import decorate
from pysoa.test._stub_dispatch import activate, deactivate
from pysoa.test._stub_object import StubbedAction
from pysoa.test._stub_outcomes import ActiveStub
from pysoa.test._stub_servers import (
    Errors,
    StubClient,
    StubClientSettings,
    StubClientTransport,
    StubClientTransportSchema,
    StubServer,
)

__all__ = (
    "ActionStubber",
    "Errors",
    "SideEffect",
    "StubClient",
    "StubClientSettings",
    "StubClientTransport",
    "StubClientTransportSchema",
    "StubServer",
    "StubbedAction",
    "get_stubbed_requests",
    "get_stubbed_responses",
    "stub_action",
)

_Class = TypeVar("_Class")
_Result = TypeVar("_Result")

SideEffect: TypeAlias = (
    Mapping[str, Any]
    | BaseException
    | type[BaseException]
    | Callable[[Body], Any]
    | Iterable[Mapping[str, Any] | BaseException | type[BaseException] | Callable[[Body], Any] | object]
)
"""What calling a stub does instead of returning ``body`` and ``errors``; see :class:`stub_action`."""


class stub_action:  # noqa: N801 - a published name
    """Stubs an action for a while, for every client in this process.

    As a context manager::

        with stub_action("user", "get_user", body={"name": "John"}) as stub_get_user:
            greet(user_id=1234)

        assert stub_get_user.call_body == {"id": 1234}

    As a decorator of a function, method or coroutine function, which gets the stub, a
    :class:`StubbedAction`, after its other positional arguments. Of several decorators the innermost comes
    first, as with ``mock.patch``, which may be mixed with this one. ``argument`` avoids that trap: with it,
    the stub is passed by that name. As a decorator of a class, it decorates each method whose name starts
    with ``test``. With :meth:`start` and :meth:`stop` it fits any other life cycle.

    A call of the action through any client then goes to the stub instead of a service. Nothing is sent, no
    middleware is run and nothing is validated, so the client needs no settings for that service. Other
    actions are called as ever. If an action is stubbed more than once, the stub that began last answers. A
    job may mix actions that are stubbed with others; these are executed first.

    Stubs are seen by all threads of the process, and may begin and end in any order and in any thread.

    Args:
        service: The name of the service.
        action: The name of the action.
        body: The body of the response.
        errors: The errors of the response, as :class:`~pysoa.common.errors.Error` objects or dictionaries of
            their fields.
        side_effect: What each call does instead: a dictionary is the body of every response, an exception is
            raised, a function is called with the request body and returns one of the things listed here or
            in ``body``. An iterable is used up call by call; its items are any of these, or
            ``ActionResponse`` and ``JobResponse`` objects. ``ActionError`` and ``JobError`` become
            responses with errors, ``MessageReceiveTimeout`` and ``MessageReceiveError`` are raised when the
            response is received, all else when the request is sent.
        register_response_schema_contract: Whether responses are added to :func:`get_stubbed_responses`.
        register_request_schema_contract: Whether requests are added to :func:`get_stubbed_requests`.
        argument: The name of the parameter by which a decorated function gets the stub. ``None`` appends the
            stub to the positional arguments.

    Raises:
        AssertionError: A name is not a string.
    """

    attribute_name: str | None = None
    """Read by those who know patchers of ``mock`` only."""
    new: object = mock.DEFAULT
    """Read by those who know patchers of ``mock`` only."""

    def __init__(
        self,
        service: str,
        action: str,
        body: Body | None = None,
        errors: Errors | None = None,
        side_effect: SideEffect | None = None,
        register_response_schema_contract: bool = True,
        register_request_schema_contract: bool = True,
        *,
        argument: str | None = None,
    ) -> None:
        _require_text(service, "service")
        _require_text(action, "action")
        self.service = service
        self.action = action
        self.body = body
        self.errors = errors
        self.side_effect = side_effect
        self.register_response_schema_contract = register_response_schema_contract
        self.register_request_schema_contract = register_request_schema_contract
        self.argument = argument
        self._active: ActiveStub | None = None

    @property
    def enabled(self) -> bool:
        """Whether it is active."""
        return self._active is not None

    @property
    def is_local(self) -> bool:
        """Whether it is active."""
        return self.enabled

    def start(self) -> StubbedAction:
        """Begin stubbing, until :meth:`stop`.

        Returns:
            The stub. If it is active already, that is the same one; otherwise it is new.

        Raises:
            TypeError: ``errors`` holds a dictionary that is no error.
        """
        if self._active is None:
            active = ActiveStub(
                self.service,
                self.action,
                self._make_stub(),
                self.register_request_schema_contract,
                self.register_response_schema_contract,
            )
            activate(active)
            self._active = active
        return self._active.stub

    def stop(self) -> None:
        """End stubbing; do nothing if it is not active."""
        active, self._active = self._active, None
        if active is not None:
            deactivate(active)

    def copy(self) -> stub_action:
        """Return another one that is set up equally, and not active."""
        return type(self)(
            self.service,
            self.action,
            self.body,
            self.errors,
            self.side_effect,
            self.register_response_schema_contract,
            self.register_request_schema_contract,
            argument=self.argument,
        )

    def __enter__(self) -> StubbedAction:
        return self.start()

    def __exit__(self, exc_type: Any = None, exc_value: Any = None, traceback: Any = None) -> Literal[False]:
        self.stop()
        return False

    @overload
    def __call__(self, func: type[_Class]) -> type[_Class]: ...
    @overload
    def __call__(self, func: classmethod[Any, ..., _Result]) -> classmethod[Any, ..., _Result]: ...
    @overload
    def __call__(self, func: staticmethod[..., _Result]) -> staticmethod[..., _Result]: ...
    @overload
    def __call__(self, func: Callable[..., _Result]) -> Callable[..., _Result]: ...
    def __call__(self, func: Any) -> Any:
        """Decorate a class, function or method.

        Args:
            func: What to decorate. Each run gets a stub of its own.

        Raises:
            TypeError: The function has no parameter of the name given as ``argument``.
        """
        return decorate(func, self)

    def decorate_class(self, _class: type[_Class]) -> type[_Class]:
        """Do what calling this object with a class does."""
        return self(_class)

    def decorate_callable(self, func: Callable[..., _Result]) -> Callable[..., _Result]:
        """Do what calling this object with a function does."""
        return self(func)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.service}.{self.action} {'on' if self.enabled else 'off'}>"

    def _make_stub(self) -> StubbedAction:
        stub = StubbedAction(name=f"{self.service}.{self.action}")
        errors = [error if isinstance(error, Error) else Error(**error) for error in self.errors or ()]
        if self.body or errors:
            stub.return_value = ActionResponse(self.action, errors=errors, body=self.body or {})
        if self.side_effect:
            stub.side_effect = self.side_effect
        return stub


class ActionStubber:
    """Stubs actions until :meth:`stop_all`; what the fixture ``action_stubber`` gives."""

    def __init__(self) -> None:
        self._stubbings: list[stub_action] = []

    def __call__(
        self,
        service: str,
        action: str,
        body: Body | None = None,
        errors: Errors | None = None,
        side_effect: SideEffect | None = None,
        register_response_schema_contract: bool = True,
        register_request_schema_contract: bool = True,
    ) -> StubbedAction:
        """Stub an action; the arguments are those of :class:`stub_action`.

        Returns:
            The stub, which answers from now on.
        """
        stubbing = stub_action(
            service,
            action,
            body,
            errors,
            side_effect,
            register_response_schema_contract,
            register_request_schema_contract,
        )
        stub = stubbing.start()
        self._stubbings.append(stubbing)
        return stub

    def stop_all(self) -> None:
        """End all stubs, the last one first."""
        while self._stubbings:
            self._stubbings.pop().stop()


def _require_text(name: object, what: str) -> None:
    if not isinstance(name, str):
        raise AssertionError(f'Stubbed {what} name "{name}" must be unicode')


# What users see of this class, in tracebacks and in the reference, is where it can be imported from.
StubbedAction.__module__ = __name__
