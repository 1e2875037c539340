"""A message system in memory, with services behind it, for tests of the client.

``MemoryTransport`` is a transport as service teams write them: it extends the published ``ClientTransport``.
A module that overrides the fixture ``carries_native_values`` tests both ways of a client to its transport.
``DirectTransport`` can do more, as our own do.
What is true of all transports is also tested over the local and the Redis transport, in ``test_over_*``.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import attrs
import pytest
from conformity import fields
from pymetrics.recorders.base import MetricsRecorder

from pysoa.client.client import Client
from pysoa.common._conformity import accepts_kwargs
from pysoa.common.transport.base import ClientTransport, ReceivedMessage
from pysoa.common.transport.errors import MessageReceiveTimeout

Body = dict[str, Any]
Responder = Callable[[Body], Any]

_brokers: dict[int, Broker] = {}


@attrs.frozen(eq=False)
class Sent:
    """A request that was given to a transport."""

    service: str
    request_id: int
    meta: dict[str, Any]
    message: dict[str, Any]
    expiry: float | None

    @property
    def actions(self) -> list[str]:
        return [action["action"] for action in self.message["actions"]]

    @property
    def body(self) -> Body:
        body: Body = self.message["actions"][0]["body"]
        return body


class Broker:
    """Keeps the requests of all services until they are answered, by a responder or by the test.

    A responder gets the body of an action request. It returns the body of the response, or parts of an action
    response if one of them is ``errors``, or a whole job response with the key ``actions``.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.responders: dict[tuple[str, str], Responder] = {}
        self.sent: list[Sent] = []
        self.receives: list[tuple[str, float | None]] = []
        self.abandoned: list[tuple[str, int]] = []
        self.send_errors: deque[Exception] = deque()
        self.receive_errors: deque[Exception] = deque()
        self.transports: list[MemoryTransport] = []
        self.sent_directly: list[int] = []
        self.direct_errors: deque[BaseException] = deque()
        self.after_direct_send: deque[Callable[[], None]] = deque()
        self.responds_very_soon = True
        self.default_timeout = 5.0
        self.carries_native_values = False

    def settings(self, *, counting: bool = False, direct: bool = False, **others: Any) -> dict[str, Any]:
        """Return client settings for one service; ``counting`` and ``direct`` choose another transport."""
        usual = "Native" if self.carries_native_values else "Memory"
        kind = "Counting" if counting else "Direct" if direct else usual
        path = f"{__name__}:{kind}Transport"
        return {"transport": {"path": path, "kwargs": {"broker": id(self)}}, **others}

    def client(
        self,
        *services: str,
        counting: bool = False,
        direct: bool = False,
        settings: Mapping[str, Any] | None = None,
        expansion_config: Mapping[str, Any] | None = None,
        context: Body | None = None,
    ) -> Client:
        """Return a client of these services; of ``echo`` if none is named."""
        config = {
            service: self.settings(counting=counting, direct=direct, **(settings or {}))
            for service in services or ("echo",)
        }
        return Client(config, expansion_config, context=context)

    def on(self, service: str, action: str, responder: Responder) -> None:
        """Answer this action at once from now on."""
        self.responders[service, action] = responder

    def answer(self, sent: Sent, *bodies: Any, **job: Any) -> None:
        """Answer a request: with one body per action, or with other parts of a job response."""
        actions: list[Body] = [
            {"action": name, "errors": [], "body": {}, **(body if "errors" in body else {"body": body})}
            for name, body in zip(sent.actions, bodies or ({},), strict=False)
        ]
        self.deliver(sent, {"errors": [], "context": {}, "actions": actions, **job})

    def deliver(self, sent: Sent, message: Any) -> None:
        """Put any message into the hands of the transport that sent the request."""
        with self.changed:
            for transport in self.transports:
                if (sent.service, sent.request_id) in transport.history:
                    transport.inbox.append((sent.request_id, message))
            self.changed.notify_all()

    def wait_for_sent(self, count: int) -> list[Sent]:
        """Wait until so many requests have been sent."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.sent) >= count, timeout=10)
            return list(self.sent)

    def wait_for_receives(self, count: int) -> None:
        """Wait until so many receives have begun."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.receives) >= count, timeout=10)


@accepts_kwargs(fields.SchemalessDictionary())
class MemoryTransport(ClientTransport):
    """Tracks the ids of outstanding requests, as ours do."""

    def __init__(self, service_name: str, metrics: MetricsRecorder, broker: int) -> None:
        super().__init__(service_name, metrics)
        self.broker = _brokers[broker]
        self.broker.transports.append(self)
        self.receive_timeout_in_seconds = self.broker.default_timeout
        self.inbox: deque[tuple[int, Any]] = deque()
        self.outstanding: set[int] = set()
        self.history: set[tuple[str, int]] = set()

    def send_request_message(
        self,
        request_id: int,
        meta: dict[str, Any],
        body: dict[str, Any],
        message_expiry_in_seconds: float | None = None,
    ) -> None:
        broker = self.broker
        sent = Sent(self.service_name, request_id, meta, body, message_expiry_in_seconds)
        with broker.changed:
            if broker.send_errors:
                raise broker.send_errors.popleft()
            broker.sent.append(sent)
            self.history.add((sent.service, sent.request_id))
            if not body["control"].get("suppress_response"):
                self.outstanding.add(request_id)
            broker.changed.notify_all()
        bodies: list[Any] = []
        for action in body["actions"]:
            responder = broker.responders.get((self.service_name, action["action"]))
            if responder is None:
                return
            bodies.append(responder(action["body"]))
        if len(bodies) == 1 and "actions" in bodies[0]:
            broker.deliver(sent, bodies[0])
        else:
            broker.answer(sent, *bodies)

    def receive_response_message(self, receive_timeout_in_seconds: float | None = None) -> ReceivedMessage:
        broker = self.broker
        deadline = time.monotonic() + (receive_timeout_in_seconds or broker.default_timeout)
        with broker.changed:
            broker.receives.append((self.service_name, receive_timeout_in_seconds))
            broker.changed.notify_all()
            if broker.receive_errors:
                raise broker.receive_errors.popleft()
            while True:
                if self.inbox:
                    request_id, body = self.inbox.popleft()
                    self.outstanding.discard(request_id)
                    if isinstance(body, BaseException):
                        raise body
                    return ReceivedMessage(request_id, {}, body)
                if not self.outstanding:
                    return ReceivedMessage(None, None, None)
                if not broker.changed.wait(deadline - time.monotonic()):
                    raise MessageReceiveTimeout(f"No message received for service {self.service_name}")

    def abandon_request(self, request_id: int) -> None:
        with self.broker.changed:
            self.outstanding.discard(request_id)
            self.broker.abandoned.append((self.service_name, request_id))
            self.broker.changed.notify_all()


@accepts_kwargs(fields.SchemalessDictionary())
class NativeTransport(MemoryTransport):
    """Takes requests as they are, so that the client puts nothing in between if nobody asks for it."""

    carries_native_values = True


@accepts_kwargs(fields.SchemalessDictionary())
class CountingTransport(MemoryTransport):
    """Counts what is outstanding, as PySOA 1.4.9 did, even what is never answered; cannot abandon."""

    abandon_request = None  # type: ignore[assignment]  # it has none

    def send_request_message(
        self,
        request_id: int,
        meta: dict[str, Any],
        body: dict[str, Any],
        message_expiry_in_seconds: float | None = None,
    ) -> None:
        super().send_request_message(request_id, meta, body, message_expiry_in_seconds)
        self.outstanding.add(-len(self.broker.sent))  # a ghost that no response removes


@accepts_kwargs(fields.SchemalessDictionary())
class DirectTransport(MemoryTransport):
    """Can send and wait in one step, and sees to it that nobody receives meanwhile."""

    carries_native_values = True

    def __init__(self, service_name: str, metrics: MetricsRecorder, broker: int) -> None:
        super().__init__(service_name, metrics, broker)
        self._receiving = threading.Lock()

    def send_request_and_wait(
        self,
        request_id: int,
        meta: dict[str, Any],
        body: dict[str, Any],
        message_expiry_in_seconds: float | None,
        receive_timeout_in_seconds: float | None,
    ) -> ReceivedMessage:
        broker = self.broker
        with self._alone():
            with broker.changed:
                broker.sent_directly.append(request_id)
                if broker.direct_errors:
                    raise broker.direct_errors.popleft()
            self.send_request_message(request_id, meta, body, message_expiry_in_seconds)
            if broker.after_direct_send:
                broker.after_direct_send.popleft()()
            with broker.changed:
                if not broker.responds_very_soon or not self.inbox:
                    return ReceivedMessage(None, None, None)
                if isinstance(self.inbox[0][1], BaseException):
                    return ReceivedMessage(None, None, None)
                received_id, message = self.inbox.popleft()
                self.outstanding.discard(received_id)
                return ReceivedMessage(received_id, {}, message)

    def receive_response_message(self, receive_timeout_in_seconds: float | None = None) -> ReceivedMessage:
        with self._alone():
            return super().receive_response_message(receive_timeout_in_seconds)

    @contextlib.contextmanager
    def _alone(self) -> Generator[None]:
        assert self._receiving.acquire(blocking=False), "two threads receive"
        try:
            yield
        finally:
            self._receiving.release()


@pytest.fixture
def carries_native_values() -> bool:
    """Whether the usual transport of the tests takes requests as they are."""
    return False


@pytest.fixture
def broker(carries_native_values: bool) -> Iterator[Broker]:
    """An empty message system, in which the action ``echo`` of the service ``echo`` returns its body."""
    broker = Broker()
    broker.carries_native_values = carries_native_values
    broker.on("echo", "echo", lambda body: body)
    _brokers[id(broker)] = broker
    yield broker
    del _brokers[id(broker)]
