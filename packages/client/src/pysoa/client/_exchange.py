"""One transport, many waiters: brings every response to the thread that waits for it.

A transport hands out responses in the order of their arrival, whoever asks. So of all threads that wait for
responses of a service, one, the *leader*, receives; it files what it gets in the ledger and wakes the thread
it is for. A leader that has what it wanted hands its role to another waiting thread. A thread that waits
alone, as nearly always, becomes the leader at once and shares nothing with anyone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

from pysoa.client._ledger import CLAIMED, Ledger, Outcome
from pysoa.client._wants import Claim, NextOf, One, Want
from pysoa.common._envelope import job_response_from_dict
from pysoa.common.interfaces import AbandonsRequests
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import InvalidMessageError, MessageReceiveTimeout
from pysoa.common.types import JobResponse

__all__ = (
    "SHORTEST_WAIT_IN_SECONDS",
    "Exchange",
    "ReceiveTask",
    "left_after_sending",
)

_logger = logging.getLogger(__name__)

ReceiveTask: TypeAlias = Callable[[float | None], tuple[int | None, JobResponse | None]]
"""A published ``ClientResponseMiddlewareTask``, which in truth takes floats, too."""

SHORTEST_WAIT_IN_SECONDS: Final = 0.01
"""What is left to wait when nothing is: long enough to get what is there, short enough not to matter."""
_UNNOTICED_IN_SECONDS: Final = 0.05
"""Sending that is quicker than this is not counted against the time limit of a call."""


def left_after_sending(time_limit: float | None, took_s: float) -> float | None:
    """Return how long to wait for the response to a request that a busy or silent broker took late.

    Args:
        time_limit: The time limit of the call; ``None`` for the transport's default, which limits each step.
        took_s: How many seconds sending took.
    """
    if not time_limit or took_s < _UNNOTICED_IN_SECONDS:
        return time_limit
    return max(time_limit - took_s, SHORTEST_WAIT_IN_SECONDS)


class _Follower:
    """A thread that waits for the leader to wake it."""

    __slots__ = ("is_woken", "thread_id", "wake_up", "want")

    def __init__(self, want: Want) -> None:
        self.want = want
        self.thread_id = threading.get_ident()
        self.is_woken = False
        # Held from the start, and released to wake the thread that tries to acquire it again.
        self.wake_up = threading.Lock()
        self.wake_up.acquire()

    def wake(self) -> None:
        if not self.is_woken:
            self.is_woken = True
            self.wake_up.release()

    def sleep_until(self, deadline: float) -> None:
        left_s = max(deadline - time.monotonic(), 0.0)
        if self.wake_up.acquire(timeout=min(left_s, threading.TIMEOUT_MAX)):
            self.is_woken = False


class Exchange:
    """The requests of one service handler that await responses, and the threads that wait for these.

    Safe to use from any thread. After a fork the child must not use its copy, but a new one; see
    :meth:`disown`.

    Args:
        service_name: The name of the service, for messages.
        receive: Receives the next response: all response middleware around the transport. Called by one
            thread at a time, except that it may call itself.
        receive_timeout_in_seconds: How long a receive without time limit takes at most.
        abandons_requests: Who is told of each request whose response nobody wants any more, if anybody.
        after_collecting: Called at the end of each :meth:`collect`, whether it succeeds or not.
        receive_directly: The same as ``receive``, if there is nothing around the transport, without asking
            :meth:`is_receive_wanted`.
        first_request_id: The id of the first request; the others count on.
    """

    def __init__(
        self,
        service_name: str,
        receive: ReceiveTask,
        receive_timeout_in_seconds: float,
        abandons_requests: AbandonsRequests | None = None,
        after_collecting: Callable[[], None] | None = None,
        receive_directly: ReceiveTask | None = None,
        first_request_id: int = 1,
    ) -> None:
        self.next_request_id: int = first_request_id
        self.receive_timeout_in_seconds = receive_timeout_in_seconds
        self._service_name = service_name
        self._receive = receive
        self._abandons_requests = abandons_requests
        self._after_collecting = after_collecting
        self._receive_directly = receive_directly
        self._is_disowned = False
        self._mutex = threading.Lock()
        self._ledger = Ledger()
        self._leader_thread_id = 0
        self._leader_want: Want | None = None
        self._followers: deque[_Follower] = deque()
        self._failure: tuple[int, Exception] | None = None
        # Filled by finalizers, which may run in any thread between any two bytecodes, even of one that holds
        # the mutex. Appending to a deque is the only thing they may do.
        self._given_up: deque[int] = deque()

    # Requests

    def expect(self, owner: object, expiry_in_seconds: float) -> int:
        """Await the response to a request that is about to be sent, and return its new id.

        Args:
            owner: Who may take the response by :class:`NextOf`; ``CLAIMED`` if only a :class:`Claim` takes
                it.
            expiry_in_seconds: How soon the request expires if no server takes it.
        """
        if self._given_up:
            self._settle_given_up()
        expires_at = 0.0 if owner is CLAIMED else time.monotonic() + expiry_in_seconds
        with self._mutex:
            request_id = self.next_request_id
            self.next_request_id = request_id + 1
            if not self._ledger.expect(request_id, owner, expires_at):
                return request_id
            forgotten = self._ledger.sweep(time.monotonic())
        self._tell_transport(forgotten)
        return request_id

    def lead_alone(self, want: One) -> bool:
        """Become the leader for a request that is about to be sent.

        Only then may sending be combined with receiving: the response to another request that comes first
        could not be brought to another leader, who waits in the transport already. Whoever calls this must
        call :meth:`stop_leading` in the end, even if this is interrupted. If the response does not come at
        once, call :meth:`expect_alone`.

        Args:
            want: What to wait for. It is given the new id of the request.

        Returns:
            ``False``, and no id is given, if there is a leader.
        """
        if self._given_up:
            self._settle_given_up()
        with self._mutex:
            if self._leader_want is not None:
                return False
            self._leader_thread_id = threading.get_ident()
            self._leader_want = want
            want.request_id = request_id = self.next_request_id
            self.next_request_id = request_id + 1
            return True

    def expect_alone(self, want: One) -> None:
        """Await the response to the request for which :meth:`lead_alone` was called."""
        with self._mutex:
            self._ledger.expect(want.request_id, CLAIMED, 0.0)

    def abandon_alone(self, want: One) -> None:
        """Await the response to this request no longer, if it was given an id, and tell the transport."""
        if want.request_id >= 0:
            self.drop(want.request_id)
            self._tell_transport([want.request_id])

    def stop_leading(self, want: One) -> None:
        """End what :meth:`lead_alone` began, if it did: let another lead."""
        with self._mutex:
            if self._leader_want is want:
                if self._followers:
                    self._hand_on()
                else:  # as nearly always
                    self._leader_want = None

    def claim(self, request_id: int) -> bool:
        """Keep the response to a request for a :class:`Claim`; tell whether it is awaited at all."""
        with self._mutex:
            return self._ledger.claim(request_id)

    def mark_unsent(self, request_id: int) -> None:
        """Say that a request was not given to the transport (yet)."""
        with self._mutex:
            self._ledger.mark_unsent(request_id)

    def mark_sent(self, request_id: int) -> None:
        """Take :meth:`mark_unsent` back."""
        with self._mutex:
            self._ledger.mark_sent(request_id)

    def drop(self, request_id: int) -> None:
        """Await a response no longer of which the transport knows that it will not come."""
        with self._mutex:
            self._ledger.drop(request_id)

    def abandon(self, request_id: int) -> None:
        """Await a response no longer, and tell the transport. Never call this from a finalizer."""
        with self._mutex:
            was_pending = self._ledger.drop(request_id)
        if was_pending:
            self._tell_transport([request_id])

    def give_up(self, request_id: int) -> None:
        """Abandon a request at the next opportunity. Made for finalizers: takes no lock."""
        self._given_up.append(request_id)

    def disown(self) -> None:
        """Forget all requests, in the child after a fork: their responses are the parent's business."""
        self._is_disowned = True
        self._mutex = threading.Lock()
        self._ledger = Ledger()
        self._given_up = deque()
        self._abandons_requests = None

    # Responses

    def awaited_of(self, owners: tuple[object, ...]) -> dict[int, float]:
        """Return the ids of the awaited requests of these owners, with the times of their expiry."""
        with self._mutex:
            return self._ledger.awaited_of(owners)

    def awaits_unexpired_of(self, owners: tuple[object, ...], now: float) -> bool:
        """Tell whether a request of these owners is awaited that has not expired at this time."""
        with self._mutex:
            return self._ledger.awaits_any_of(owners, now)

    def is_receive_wanted(self) -> bool:
        """Tell whether the transport may have something for the leader; without a leader, for anybody.

        Asked by the innermost part of ``receive``, so that it never blocks for what is not wanted.
        """
        with self._mutex:
            want = self._leader_want
            return len(self._ledger) > 0 if want is None else want.is_awaited(self._ledger)

    def note_failure(self, request_id: int, error: Exception) -> None:
        """Say which request the error is about that ``receive`` is going to raise.

        If it comes out of all middleware unchanged, it is the outcome of that request, and no other is
        affected.
        """
        self._failure = (request_id, error)

    def put_back(self, request_id: int, owner: object, outcome: Outcome, keep_for_s: float) -> None:
        """File a response again that was taken by one who found it to be another's."""
        with self._mutex:
            self._ledger.put_back(request_id, owner, outcome, time.monotonic() + keep_for_s)
            self._wake_followers_for(request_id)

    def deliver(self, received: ReceivedMessage) -> None:
        """File a response that came to the leader when it sent another request."""
        request_id = received.request_id
        if request_id is None:
            return
        outcome: Outcome
        try:
            outcome = job_response_from_dict(received.body)
        except InvalidMessageError as error:
            outcome = error
        with self._mutex:
            if self._ledger.deliver(request_id, outcome):
                self._wake_followers_for(request_id)

    def collect(
        self, missing: set[int], outcomes: dict[int, Outcome], timeout: float | None, deadline: float
    ) -> list[int]:
        """Move outcomes of claimed requests from ``missing`` to ``outcomes``, until all are in.

        Returns:
            The ids of responses to other requests that came in meanwhile and were dropped: none. If
            ``missing`` is not empty now, the rest will not come.

        Raises:
            MessageReceiveTimeout: Something was missing at the deadline.
            Exception: What the transport or a middleware raised.
        """
        try:
            self.wait(Claim(missing, outcomes), timeout, deadline)
        finally:
            if self._after_collecting is not None:
                self._after_collecting()
        return []

    def collect_one(self, request_id: int, timeout: float | None) -> Outcome | None:
        """Return the outcome of one claimed request as soon as it is in; ``None`` if it will not come.

        Raises:
            MessageReceiveTimeout: It did not come in time.
            Exception: What the transport or a middleware raised.
        """
        want = One()
        want.request_id = request_id
        deadline = time.monotonic() + (timeout or self.receive_timeout_in_seconds)
        try:
            if self._receive_directly is None or not self._lead_at_once(want):
                self.wait(want, timeout, deadline)
            else:
                self._lead(want, timeout, deadline, self._receive_directly)
        finally:
            # As in wait(). That may have ended with this thread not being the leader any more.
            if self._leader_want is want:
                with self._mutex:
                    self._hand_on()
            if self._after_collecting is not None:
                self._after_collecting()
        return want.outcome

    def collect_next(self, want: NextOf, timeout: float | None, limit: float) -> bool:
        """Wait for a next response if all is quiet: nobody waits, nothing has arrived, something may come.

        Args:
            want: What to wait for.
            timeout: The time limit as the caller gave it.
            limit: The same in seconds, with the default of the transport in place of ``None`` and 0.

        Returns:
            ``False``, and nothing was done, if all is not quiet, so that :meth:`wait` is to be called.

        Raises:
            MessageReceiveTimeout: It did not come in time.
            Exception: What the transport raised.
        """
        receive = self._receive_directly
        if receive is None:
            return False
        now = time.monotonic()
        try:
            with self._mutex:
                if (
                    self._leader_want is not None
                    or self._given_up
                    or self._ledger.arrived
                    or not self._ledger.awaits_any_of(want.owners, now)
                ):
                    return False
                self._leader_thread_id = threading.get_ident()
                self._leader_want = want
            self._lead(want, timeout, now + limit, receive)
        finally:
            # As in wait().
            if self._leader_want is want:
                with self._mutex:
                    if self._followers:
                        self._hand_on()
                    else:  # as nearly always
                        self._leader_want = None
        return True

    def go_on_leading(self, want: One, timeout: float | None) -> Outcome | None:
        """Do what :meth:`collect_one` does, for one who leads after :meth:`expect_alone`."""
        deadline = time.monotonic() + (timeout or self.receive_timeout_in_seconds)
        self._lead(want, timeout, deadline, self._receive_directly or self._receive)
        return want.outcome

    def _lead_at_once(self, want: One) -> bool:
        """Make the caller the leader if all is quiet, so that there is nothing to be looked at first."""
        with self._mutex:
            if (
                self._leader_want is not None
                or self._given_up
                or not self._ledger.only_awaits(want.request_id)
            ):
                return False
            self._leader_thread_id = threading.get_ident()
            self._leader_want = want
            return True

    def wait(self, want: Want, timeout: float | None, deadline: float) -> bool:
        """Wait until a want is fulfilled.

        Args:
            want: What to wait for.
            timeout: The time limit as the caller gave it. It is what the first receive is told.
            deadline: When to stop waiting, in the time of ``time.monotonic``. What has already arrived is
                collected even after the deadline.

        Returns:
            Whether the want is fulfilled; ``False`` if nothing can fulfil it any more.

        Raises:
            MessageReceiveTimeout: Something was missing at the deadline.
            Exception: What the transport or a middleware raised.
        """
        if self._given_up:
            self._settle_given_up()
        follower: _Follower | None = None
        outer_want: Want | None = None
        try:
            with self._mutex:
                if want.collect(self._ledger):
                    return True
                if self._is_disowned:
                    return False
                thread_id = threading.get_ident()
                if self._leader_want is None:
                    self._leader_thread_id = thread_id
                    self._leader_want = want
                elif self._leader_thread_id == thread_id:  # a middleware calls while it receives
                    outer_want = self._leader_want
                    self._leader_want = want
                else:
                    follower = _Follower(want)
                    self._followers.append(follower)
            if follower is not None:
                if self._follow(follower, deadline):
                    return True
                timeout = max(deadline - time.monotonic(), SHORTEST_WAIT_IN_SECONDS)
            return self._lead(want, timeout, deadline, self._receive)
        finally:
            # In one block with all that comes before: an interrupt may end this thread's wait anywhere, and a
            # leader that is gone without successor would block all other threads.
            if self._leader_want is want or follower is not None:
                with self._mutex:
                    self._step_down(want, outer_want, follower)

    # The leader

    def _lead(self, want: Want, timeout: float | None, deadline: float, receive: ReceiveTask) -> bool:
        """Do what :meth:`wait` does, as the leader.

        The first receive is the one given, for callers who know that something is awaited. Later ones ask.
        """
        early_timeouts = 0
        while True:
            request_id: int | None
            outcome: Outcome | None
            try:
                request_id, outcome = receive(timeout)
            except Exception as error:
                failure, self._failure = self._failure, None
                if failure is not None and failure[1] is error:
                    request_id, outcome = failure
                elif isinstance(error, MessageReceiveTimeout) and self._is_early(timeout, deadline):
                    # A transport drops an expired response with this error, at once. It cannot be ours as
                    # long as more others are awaited than have expired so far.
                    early_timeouts += 1
                    if early_timeouts > self._count_awaited_besides(want):
                        raise
                    receive = self._receive
                    continue
                else:
                    raise
            if request_id is None or outcome is None:
                return False
            with self._mutex:
                is_awaited = is_progress = want.accept(request_id, outcome, self._ledger)
                if not is_progress:
                    is_awaited = self._ledger.deliver(request_id, outcome)
                    if is_awaited:
                        self._wake_followers_for(request_id)
            if is_progress and not want.wants_more:
                return True
            if not is_awaited:
                _logger.debug(
                    "Dropped the response to request %s of service %s, for which nobody waits",
                    request_id,
                    self._service_name,
                )
            receive = self._receive
            timeout = deadline - time.monotonic()
            if timeout <= 0:
                if not is_progress:
                    raise MessageReceiveTimeout(f"No message received for service {self._service_name}")
                # What is here already counts, even if waiting for another service has used up the time.
                timeout = SHORTEST_WAIT_IN_SECONDS

    def _is_early(self, timeout: float | None, deadline: float) -> bool:
        return deadline - time.monotonic() > (timeout or self.receive_timeout_in_seconds) / 2

    def _count_awaited_besides(self, want: Want) -> int:
        with self._mutex:
            return self._ledger.count_pending() - want.count_awaited(self._ledger)

    def _step_down(self, want: Want, outer_want: Want | None, follower: _Follower | None) -> None:
        """Stop leading or following, and let the thread that has waited longest lead on."""
        if self._leader_want is not want:
            if follower is not None and follower in self._followers:
                self._followers.remove(follower)
        elif outer_want is not None:
            self._leader_want = outer_want
        else:
            self._hand_on()

    def _hand_on(self) -> None:
        """Let the thread that has waited longest lead, if there is one."""
        if not self._followers:
            self._leader_want = None
            return
        successor = self._followers.popleft()
        self._leader_thread_id = successor.thread_id
        self._leader_want = successor.want
        successor.wake()

    # Followers

    def _follow(self, follower: _Follower, deadline: float) -> bool:
        """Wait for the leader; return ``True`` with the want fulfilled, ``False`` as the new leader."""
        while True:
            follower.sleep_until(deadline)
            with self._mutex:
                if follower.want.collect(self._ledger):
                    return True
                if self._leader_want is follower.want:
                    return False
            if time.monotonic() >= deadline:
                raise MessageReceiveTimeout(f"No message received for service {self._service_name}")

    def _wake_followers_for(self, request_id: int) -> None:
        for follower in self._followers:
            if follower.want.may_include(request_id):
                follower.wake()

    # Abandoning

    def _settle_given_up(self) -> None:
        while True:
            try:
                request_id = self._given_up.popleft()
            except IndexError:
                return
            self.abandon(request_id)

    def _tell_transport(self, request_ids: list[int]) -> None:
        if self._abandons_requests is not None:
            for request_id in request_ids:
                self._abandons_requests.abandon_request(request_id)
