"""Puts stubs between callers and :class:`pysoa.client.client.Client`, and takes them away again.

While any stub is active, ``Client.send_request`` and ``Client.get_all_responses`` are replaced on the class
by the two functions of one layer, which knows all active stubs. So it does not matter in which order stubs
end. If something else has replaced the methods meanwhile, such as ``mock.patch``, stubs that begin then get
another layer on top of that.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import threading
import weakref
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

import attrs

from pysoa.client.client import Client, ServiceHandler
from pysoa.common.types import ActionRequest, JobResponse
from pysoa.test._stub_outcomes import ActiveStub, StubbedJob, call_stubs

__all__ = ("activate", "deactivate")

_METHODS: Final = ("send_request", "get_all_responses")
# Where the arguments of send_request are, of those that follow the actions.
_CONTINUE_ON_ERROR: Final = 2
_CONTROL_EXTRA: Final = 4
_SUPPRESS_RESPONSE: Final = 6

# The ids of real requests are positive: the two kinds never meet.
_request_ids: Final = itertools.count(0, -1)
_lock: Final = threading.RLock()
_layers: Final[list[_Layer]] = []


def activate(stub: ActiveStub) -> None:
    """Have a stub answer from now on; it wins over those that were activated before."""
    with _lock:
        _remove_unused_layers()
        if not (_layers and _layers[-1].is_on_top()):
            layer = _Layer()
            layer.install()
            _layers.append(layer)
        _layers[-1].stubs = (*_layers[-1].stubs, stub)


def deactivate(stub: ActiveStub) -> None:
    """Have a stub answer no longer."""
    with _lock:
        for layer in _layers:
            layer.stubs = tuple(active for active in layer.stubs if active is not stub)
        _remove_unused_layers()


def _remove_unused_layers() -> None:
    # A layer that something else lies upon stays for now, and lets everything pass.
    for layer in reversed(_layers):
        if layer.stubs or not layer.uninstall():
            return
        _layers.pop()


@attrs.define(eq=False)
class _Mailbox:
    """What one client has sent under a layer and not received yet."""

    passed_on: set[str] = attrs.field(factory=set[str])
    """The services for which something was sent further down."""
    mixed: dict[tuple[str, int], StubbedJob] = attrs.field(factory=dict[tuple[str, int], StubbedJob])
    """The jobs of which a part was sent further down, by service and request id."""
    unwanted: set[tuple[str, int]] = attrs.field(factory=set[tuple[str, int]])
    """Requests that were sent further down although the job failed."""
    ready: dict[str, deque[tuple[int, StubbedJob]]] = attrs.field(
        factory=dict[str, deque[tuple[int, StubbedJob]]]
    )
    """The jobs that stubs did alone, by service."""


class _Layer:
    """One replacement of the methods of ``Client``, and the stubs that it serves."""

    def __init__(self) -> None:
        self.stubs: tuple[ActiveStub, ...] = ()
        self._mailboxes: weakref.WeakKeyDictionary[Client, _Mailbox] = weakref.WeakKeyDictionary()
        self._previous: dict[str, Any] = {}
        self._replacements: dict[str, object] = {}

    # On and off

    def install(self) -> None:
        layer = self

        def send_request(client: Client, service_name: str, actions: Any, *args: Any, **kwargs: Any) -> int:
            return layer.send(client, service_name, actions, args, kwargs)

        def get_all_responses(
            client: Client, service_name: str, *args: Any, **kwargs: Any
        ) -> Generator[tuple[int, JobResponse], None, None]:
            return layer.receive(client, service_name, args, kwargs)

        self._replacements = {"send_request": send_request, "get_all_responses": get_all_responses}
        for name, replacement in self._replacements.items():
            self._previous[name] = inspect.getattr_static(Client, name)
            setattr(Client, name, replacement)

    def is_on_top(self) -> bool:
        return all(self._is_installed(name) for name in _METHODS)

    def uninstall(self) -> bool:
        """Restore what was there before; tell whether nothing is left."""
        for name in _METHODS:
            if not self._is_installed(name):
                continue
            previous = self._previous[name]
            delattr(Client, name)
            if inspect.getattr_static(Client, name, None) is not previous:
                setattr(Client, name, previous)
            del self._replacements[name]
        return not self._replacements

    def _is_installed(self, name: str) -> bool:
        replacement = self._replacements.get(name)
        return replacement is not None and vars(Client).get(name) is replacement

    def _call_previous(self, name: str, client: Client, *args: Any, **kwargs: Any) -> Any:
        previous = self._previous[name]
        bind = getattr(cast("object", type(previous)), "__get__", None)
        # A mock is not bound, and so gets no self.
        method = previous if bind is None else bind(previous, client, type(client))
        return method(*args, **kwargs)

    # Sending

    def send(
        self, client: Client, service_name: str, actions: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> int:
        if not self.stubs:
            return self._pass_on(client, service_name, actions, args, kwargs)
        _require_text(service_name, "service")
        requests = [_to_action_request(action) for action in actions]
        targets = [self._find_stub(service_name, request.action) for request in requests]
        others = [request for request, target in zip(requests, targets, strict=True) if target is None]
        if len(others) == len(requests):
            return self._pass_on(client, service_name, requests, args, kwargs)
        real_id = self._pass_on(client, service_name, others, args, kwargs) if others else None
        try:
            job = call_stubs(
                requests, targets, _option("continue_on_error", _CONTINUE_ON_ERROR, args, kwargs)
            )
        except BaseException:
            if real_id is not None:
                self._give_up(client, service_name, real_id)
            raise
        return self._file(
            client, service_name, real_id, job, _option("suppress_response", _SUPPRESS_RESPONSE, args, kwargs)
        )

    def _pass_on(
        self, client: Client, service_name: str, actions: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> int:
        request_id: int = self._call_previous("send_request", client, service_name, actions, *args, **kwargs)
        # Only now: a service that the client does not know must not be asked for responses.
        self._mailbox_of(client).passed_on.add(service_name)
        return request_id

    def _file(
        self, client: Client, service_name: str, real_id: int | None, job: StubbedJob, suppressed: bool
    ) -> int:
        with _lock:
            mailbox = self._mailbox_of(client)
            if real_id is not None:
                if not suppressed:
                    mailbox.mixed[service_name, real_id] = job
                return real_id
            stub_id = next(_request_ids)
            if not suppressed:
                mailbox.ready.setdefault(service_name, deque()).append((stub_id, job))
            return stub_id

    def _give_up(self, client: Client, service_name: str, real_id: int) -> None:
        handler: object = client.handlers.get(service_name)
        if isinstance(handler, ServiceHandler):
            handler.exchange.abandon(real_id)
        self._mailbox_of(client).unwanted.add((service_name, real_id))

    def _find_stub(self, service_name: str, action: str) -> ActiveStub | None:
        for stub in reversed(self.stubs):
            if stub.action == action and stub.service == service_name:
                return stub
        return None

    # Receiving

    def receive(
        self, client: Client, service_name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Generator[tuple[int, JobResponse], None, None]:
        mailbox = self._mailbox_of(client)
        if service_name in mailbox.passed_on or not self._stubs_any_of(service_name):
            responses = self._call_previous("get_all_responses", client, service_name, *args, **kwargs)
            with _closing(responses):
                yield from self._completed(mailbox, service_name, responses)
        ready = mailbox.ready.get(service_name, ())
        while ready:
            request_id, job = ready.popleft()
            if job.receive_error is not None:
                raise job.receive_error
            yield request_id, job.response()

    def _completed(
        self, mailbox: _Mailbox, service_name: str, responses: Iterable[tuple[int, JobResponse]]
    ) -> Iterator[tuple[int, JobResponse]]:
        for request_id, response in responses:
            key = (service_name, request_id)
            if key in mailbox.unwanted:
                mailbox.unwanted.discard(key)
                continue
            job = mailbox.mixed.pop(key, None)
            if job is None:
                yield request_id, response
            elif job.receive_error is not None:
                raise job.receive_error
            else:
                yield request_id, job.merged_into(response)

    def _stubs_any_of(self, service_name: str) -> bool:
        return any(stub.service == service_name for stub in self.stubs)

    def _mailbox_of(self, client: Client) -> _Mailbox:
        with _lock:
            return self._mailboxes.setdefault(client, _Mailbox())


@contextlib.contextmanager
def _closing(responses: object) -> Generator[None]:
    try:
        yield
    finally:
        close = getattr(responses, "close", None)
        if close is not None:
            close()


def _option(name: str, index: int, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Return a switch of ``send_request``, in whatever way it was given."""
    control_extra = args[_CONTROL_EXTRA] if len(args) > _CONTROL_EXTRA else kwargs.get("control_extra")
    if control_extra and name in control_extra:
        return bool(control_extra[name])
    return bool(args[index] if len(args) > index else kwargs.get(name))


def _to_action_request(action: ActionRequest | Mapping[str, Any]) -> ActionRequest:
    _require_text(action.action if isinstance(action, ActionRequest) else action["action"], "action")
    return action if isinstance(action, ActionRequest) else ActionRequest(**action)


def _require_text(name: object, what: str) -> None:
    if not isinstance(name, str):
        raise AssertionError(f'Called {what} name "{name}" must be unicode')
