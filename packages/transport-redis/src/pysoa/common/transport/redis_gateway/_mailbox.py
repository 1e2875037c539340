"""The reply lists of one client in one process: awaiting requests, and receiving what answers them."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NoReturn

from pysoa.common.serializer.errors import InvalidMessage
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import (
    InvalidMessageError,
    MessageReceiveTimeout,
    MessageSendError,
    PySOATransportError,
)
from pysoa.common.transport.redis_gateway._chunking import InterruptedChunksError
from pysoa.common.transport.redis_gateway._commands import PackedKey
from pysoa.common.transport.redis_gateway._core import RedisTransportCore
from pysoa.common.transport.redis_gateway._inbox import Arrival, claim_arrival, take_element
from pysoa.common.transport.redis_gateway._interfaces import BackendError, CommandConnection
from pysoa.common.transport.redis_gateway._names import new_client_id
from pysoa.common.transport.redis_gateway._push import (
    COMMAND_LIMIT_S,
    FullListError,
    Outgoing,
    PushInFlight,
    RefusedPushError,
)
from pysoa.common.transport.redis_gateway._reply_lists import Awaited, ReplyList, ReplyLists, WaitPlan
from pysoa.common.transport.redis_gateway._waits import (
    CONNECT_LIMIT_S,
    PATIENCE_S,
    READ_SLACK_S,
    popped_elements,
    popped_key_and_element,
)

__all__ = ("NOTHING", "Mailbox")

_logger = logging.getLogger(__name__)

NOTHING: Final = ReceivedMessage(None, None, None)
"""What a receive returns when no request is outstanding."""
_FORGET_AFTER_S: Final = 3600.0
"""How long after its expiry a request is still awaited if nobody says that it is not.

Long, since a job may take far longer than its request was good for, and its caller may still wait. Who gives
up waiting abandons the request; this is for those who do not.
"""
_REQUESTS_BETWEEN_FORGETTING: Final = 32
_WAKE_UP_TTL_S: Final = 60


class Mailbox:
    """Where the responses to one client arrive. Any number of threads may use it.

    Args:
        core: What talks to Redis.
        queue_name: The name of the queue that requests go to.
    """

    def __init__(self, core: RedisTransportCore, queue_name: str) -> None:
        self.client_id = new_client_id()
        """The name of this client on Redis."""
        self._core = core
        self._queue_name = queue_name
        # Guards the lists; never held while waiting.
        self._lock = threading.Lock()
        # Held by the one thread that waits on Redis, or looks at what has come. Guards what follows.
        self._receiving = threading.Lock()
        self._received: deque[tuple[bytes, bytes]] = deque()
        self._connection: CommandConnection | None = None
        # What Redis has been asked for on that connection, and has not answered yet: first a push, if there
        # was one, then a wait.
        self._push: tuple[PushInFlight, Awaited | None] | None = None
        self._unread: deque[Callable[[object], None]] = deque()
        self._forget_at = 0.0
        self._is_overdue = False
        self.current_plan: WaitPlan | None = None
        """What is being waited for, if anybody waits."""
        self.known_lists: ReplyLists | None = None
        """The lists, once they have been needed."""
        self._wait: Callable[[float], None] = core.meters.timed(
            "receive.pop_from_redis_queue", self._read_wait
        )

    # Awaiting

    def lists(self) -> ReplyLists:
        """Return the lists, which get their names when they are first needed.

        Raises:
            MessageSendError: It cannot be found out how many Redis masters there are.
        """
        if self.known_lists is not None:
            return self.known_lists
        try:
            ring_size = self._core.ring_size(time.monotonic() + COMMAND_LIMIT_S)
        except Exception as error:
            self._core.pusher.fail(error)
        with self._lock:
            if self.known_lists is None:
                stem = f"{self._queue_name}.{self.client_id}!"
                self.known_lists = ReplyLists(stem, self._core.QUEUE_NAME_PREFIX, ring_size)
            return self.known_lists

    def lend_list(self, lists: ReplyLists) -> ReplyList | None:
        """Lend a reply list to a request that is about to be sent by :meth:`exchange_alone`.

        Args:
            lists: The lists.

        Returns:
            The list; ``None`` if all is not quiet, so that :meth:`begin` is to be called.
        """
        if lists.ring_size != 1:
            return None
        with self._lock:
            return lists.lend_list()

    def take_back(self, lists: ReplyLists, reply_list: ReplyList) -> None:
        """Take back a list that was lent for a request of which nothing was sent.

        Args:
            lists: The lists.
            reply_list: The list.
        """
        with self._lock:
            lists.take_back(reply_list)

    def begin(self, lists: ReplyLists, request_id: object, life_s: float) -> Awaited:
        """Start to await the response to a request that is about to be sent.

        Args:
            lists: The lists.
            request_id: The request's id.
            life_s: For how long the request is good.
        """
        with self._lock:
            now = time.monotonic()
            # Once in a while, and then more than have come since.
            if not lists.sent % _REQUESTS_BETWEEN_FORGETTING:
                lists.forget_old(now, 2 * _REQUESTS_BETWEEN_FORGETTING)
            return lists.begin(request_id, now + life_s + _FORGET_AFTER_S)

    def stop(self, lists: ReplyLists, awaited: Awaited, error: BaseException) -> None:
        """Await a response no longer, because sending its request has failed.

        Args:
            lists: The lists.
            awaited: The request.
            error: How sending failed. After a transport error the request may have been sent all the same,
                unless the queue was full.
        """
        is_unsent = isinstance(error, FullListError | RefusedPushError) or (
            isinstance(error, Exception) and not isinstance(error, PySOATransportError)
        )
        with self._lock:
            if is_unsent:
                lists.finish(awaited)
            else:
                lists.give_up(awaited)

    def abandon(self, request_id: object) -> None:
        """Await the response to a request no longer, and drop it if it still comes."""
        if self.known_lists is None:
            return
        with self._lock:
            awaited = self.known_lists.awaited_by_id(request_id)
            if awaited is not None:
                self.known_lists.give_up(awaited)

    def wake_receiver_for(self, lists: ReplyLists, awaited: Awaited, plan: WaitPlan) -> None:
        """End the wait of another thread if an older server's answer to this request would go unnoticed.

        Args:
            lists: The lists.
            awaited: The request, which has just been sent.
            plan: What the other thread waits for.
        """
        if not plan.is_wakeable or awaited.number < plan.covers_up_to:
            return
        self.current_plan = None
        nothing = Outgoing(((b"", b""),), 0, time.time() + _WAKE_UP_TTL_S, _WAKE_UP_TTL_S, _WAKE_UP_TTL_S)
        shared = lists.shared
        try:
            connection = self._core.backend().acquire(lists.master_index, time.monotonic() + COMMAND_LIMIT_S)
            self._core.pusher.attempt_and_release(connection, shared.name, shared.packed_key, nothing)
        except Exception:
            # The receiver looks around by itself after a while.
            _logger.debug("The waiting thread could not be woken", exc_info=True)

    def exchange(
        self,
        lists: ReplyLists,
        awaited: Awaited,
        queue_name: str,
        packed_key: PackedKey,
        outgoing: Outgoing,
        wait_s: float,
    ) -> bool:
        """Push a request and begin to wait for responses, both in one write; :meth:`receive` reads them.

        Args:
            lists: The lists.
            awaited: The request.
            queue_name: The queue, for texts.
            packed_key: Its packed key.
            outgoing: The request's message.
            wait_s: How long the caller is going to wait.

        Returns:
            Whether that was done; not if another thread is waiting already, or the lists may be on another
            master.

        Raises:
            BackendError: The connection broke.
        """
        if lists.ring_size != 1 or not self._receiving.acquire(blocking=False):
            return False
        connection: CommandConnection | None = None
        try:
            if self._unread or self._received:
                return False
            pusher = self._core.pusher
            wait_until = time.monotonic() + wait_s
            connection = pusher.connect_to(0, time.monotonic() + outgoing.push_within_s)
            with self._lock:
                # Connecting, after a fail-over for instance, may have taken much of the time.
                left_s = max(wait_until - time.monotonic(), 0.0)
                self.current_plan = plan = lists.plan_wait(left_s, 0)
            push = pusher.start(connection, queue_name, packed_key, outgoing, plan.packed)
            self._push = push, awaited
            self._expect_replies(connection, plan)
            connection = None
            return True
        finally:
            if connection is not None:
                self.current_plan = None
                self._connection = connection
                self._discard_connection()
            self._receiving.release()

    def exchange_alone(
        self,
        lists: ReplyLists,
        reply_list: ReplyList,
        request_id: int,
        queue_name: str,
        packed_key: PackedKey,
        outgoing: Outgoing,
    ) -> ReceivedMessage | None:
        """Push a request that goes alone, wait, and return the response if it comes at once.

        If it does not, the request is awaited from then on, and all goes on in :meth:`receive`. On an error
        it is not awaited.

        Args:
            lists: The lists.
            reply_list: The list that was lent to the request.
            request_id: The request's id.
            queue_name: The queue, for texts.
            packed_key: Its packed key.
            outgoing: The request's message.

        Returns:
            The response; ``NOTHING`` if it did not come yet; ``None`` if nothing was done, because another
            thread is waiting already.

        Raises:
            BackendError: The connection broke.
            MessageSendError: Redis did not take the request.
        """
        if not self._receiving.acquire(blocking=False):
            return None
        connection: CommandConnection | None = None
        try:
            if self._unread or self._received:
                return None
            core = self._core
            connect_to, start = core.pusher.connect_to, core.pusher.start
            connection = connect_to(0, time.monotonic() + outgoing.push_within_s)
            plan = lists.first_plan
            push = start(connection, queue_name, packed_key, outgoing, plan.packed)
            replies = push.replies
            count = push.form.reply_count
            read_by = time.monotonic() + plan.timeout_s + READ_SLACK_S
            try:
                connection.read_into(replies, count + 1, read_by, push.form.bytes_of_success)
            except BackendError as error:
                if error.is_silence:
                    # As when a receive gives up; whoever receives next goes on listening.
                    self._push = push, self._await_late(lists, reply_list, request_id, outgoing)
                    self._expect_replies(connection, plan)
                    self._is_overdue = True
                    connection = None
                    return NOTHING
                if len(replies) < count:
                    raise
                reply = None  # only the wait has failed
            else:
                reply = replies.pop()
                all_read, connection = connection, None
                core.backend().release(all_read)
            elements: Any = reply
            if (
                elements.__class__ is list
                and len(elements) == 2
                and elements[0] == lists.shared.key
                and elements[1].__class__ is bytes
                and push.is_done()
            ):
                response = core.usual_message(elements[1])
                if response is not None and response[0] == request_id:
                    lists.take_back(reply_list)
                    return response
            return self._look_closer(lists, reply_list, request_id, push, reply)
        finally:
            if connection is not None:
                self._connection = connection
                self._discard_connection()
            self._receiving.release()

    def _look_closer(
        self, lists: ReplyLists, reply_list: ReplyList, request_id: int, push: PushInFlight, reply: object
    ) -> ReceivedMessage:
        """Do the rest of :meth:`exchange_alone` if the response did not come at once."""
        try:
            popped = popped_key_and_element(reply)
        except BackendError:
            popped = None  # the next wait has the same trouble, and tells
        if popped is not None:
            self._received.append(popped)
        awaited = self._await_late(lists, reply_list, request_id, push.outgoing)
        try:
            self._core.pusher.conclude(push, 0)
        except BaseException as error:
            with self._lock:
                if isinstance(error, RefusedPushError):
                    lists.finish(awaited)
                else:  # perhaps it was sent
                    lists.give_up(awaited)
            raise
        return NOTHING

    def _await_late(
        self, lists: ReplyLists, reply_list: ReplyList, request_id: int, outgoing: Outgoing
    ) -> Awaited:
        with self._lock:
            return lists.begin(request_id, time.monotonic() + outgoing.ttl_s + _FORGET_AFTER_S, reply_list)

    def _expect_replies(self, connection: CommandConnection, plan: WaitPlan) -> None:
        self._connection = connection
        self._forget_at = time.monotonic() + PATIENCE_S
        self._unread.append(self._take_popped)
        if plan.drained is not None:
            self._unread.append(functools.partial(self._take_drained, plan.drained.key))

    # Receiving

    def receive(self, lists: ReplyLists, timeout_s: float) -> ReceivedMessage:
        """Return the next response to an outstanding request; see the transport's method."""
        deadline = time.monotonic() + timeout_s
        if not self._receiving.acquire(timeout=min(timeout_s, threading.TIMEOUT_MAX)):
            raise self._timeout()
        waits = 0
        try:
            while (response := self._next_received(lists)) is None:
                remaining_s = deadline - time.monotonic()
                if waits and remaining_s <= 0:
                    raise self._timeout()
                if not self._unread and not self._begin_wait(lists, max(remaining_s, 0.0), waits):
                    return NOTHING
                self._wait(max(remaining_s, 0.0))
                waits += 1
            return response
        finally:
            connection = None
            if not self._unread:
                self.current_plan = None
                connection, self._connection = self._connection, None
            self._receiving.release()
            if connection is not None:
                self._core.backend().release(connection)

    def _timeout(self) -> MessageReceiveTimeout:
        return MessageReceiveTimeout(f"No message received for service {self._core.service_name}")

    def _begin_wait(self, lists: ReplyLists, remaining_s: float, waits_so_far: int) -> bool:
        """Ask Redis for responses; tell whether any are awaited."""
        with self._lock:
            if not lists.outstanding:
                return False
            # In one step with making the plan: whoever begins to await a response from now on finds this
            # plan.
            self.current_plan = plan = lists.plan_wait(remaining_s, waits_so_far)
        try:
            if self._connection is None:
                connect_by = time.monotonic() + min(max(remaining_s, READ_SLACK_S), CONNECT_LIMIT_S)
                self._connection = self._core.receiver.connect(plan.master_index, connect_by)
            self._connection.write(plan.packed, time.monotonic() + remaining_s + READ_SLACK_S)
        except BaseException as error:
            self._discard_connection()
            if isinstance(error, Exception):
                self._core.receiver.fail(error)
            raise
        self._expect_replies(self._connection, plan)
        return True

    def _read_wait(self, remaining_s: float) -> None:
        """Read what Redis answers to what it has been asked for; nothing if it is too late for that."""
        # A server that is slow for a moment is no reason to give up before the caller's time is over.
        read_by = time.monotonic() + remaining_s + READ_SLACK_S
        unread = self._unread
        had_push = self._push is not None
        try:
            connection = self._old_connection(remaining_s) if self._is_overdue else self._connection
            if connection is None:
                return
            if self._push is not None:
                self._read_outcome_of_push(connection, self._push, read_by)
            while unread:
                reply = connection.read(read_by)
                unread.popleft()(reply)
        except BaseException as error:
            if self._is_answer_hoped_for(error):
                self._is_overdue = True
                if had_push and self._push is None:
                    return  # Redis took the push late, so that it is still waiting, and is not silent
            elif not isinstance(error, MessageSendError):
                self._discard_connection()
            if isinstance(error, Exception) and not isinstance(error, MessageSendError):
                self._core.receiver.fail(error)
            raise
        self._is_overdue = False

    def _old_connection(self, remaining_s: float) -> CommandConnection | None:
        # After a fail-over, or too long a silence, the old answer would be waited for in vain.
        connection, lists = self._connection, self.known_lists
        now = time.monotonic()
        limit = now + min(max(remaining_s, READ_SLACK_S), CONNECT_LIMIT_S)
        if (
            connection is None
            or lists is None
            or now > self._forget_at
            or not self._core.backend().is_master(connection, lists.master_index, limit)
        ):
            self._discard_connection()
        return self._connection

    def _discard_connection(self) -> None:
        self._unread.clear()
        self._push = None
        self._is_overdue = False
        connection, self._connection = self._connection, None
        if connection is not None:
            self._core.backend().discard(connection)

    def _is_answer_hoped_for(self, error: BaseException) -> bool:
        # A Redis server that is paused may give the next response to the wait that was begun before. If
        # nobody listened any more, it would be lost; whoever receives next goes on listening.
        return isinstance(error, BackendError) and error.is_silence and time.monotonic() < self._forget_at

    def _read_outcome_of_push(
        self, connection: CommandConnection, sent: tuple[PushInFlight, Awaited | None], read_by: float
    ) -> None:
        push, awaited = sent
        if awaited is not None:
            read_by = min(read_by, push.deadline)
        try:
            form = push.form
            connection.read_into(push.replies, form.reply_count, read_by, form.bytes_of_success)
        except BackendError as error:
            if awaited is None or (error.is_silence and time.monotonic() < push.deadline):
                raise
            if error.is_silence:
                self._push = push, None  # the rest of the answer is read, but nobody waits for what it says
                self._is_overdue = True
            else:
                self._discard_connection()
            self._fail_to_send(awaited, error)
        self._push = None
        if awaited is not None:
            try:
                self._core.pusher.conclude(push, 0)
            except Exception as error:
                self._fail_to_send(awaited, error)

    def _fail_to_send(self, awaited: Awaited, error: Exception) -> NoReturn:
        """Say that a request could not be sent, as if sending it had failed at once."""
        try:
            if isinstance(error, MessageSendError):
                raise error
            self._core.pusher.fail(error)
        except MessageSendError as failure:
            self._core.meters.count("send.error.transient")
            if self.known_lists is not None:
                self.stop(self.known_lists, awaited, failure)
            failure.request_id = awaited.request_id  # type: ignore[attr-defined]  # for the client
            raise

    def _take_popped(self, reply: object) -> None:
        popped = popped_key_and_element(reply)
        if popped is not None:
            self._received.append(popped)

    def _take_drained(self, key: bytes, reply: object) -> None:
        self._received.extend([(key, message) for message in popped_elements(reply)])

    def _next_received(self, lists: ReplyLists) -> ReceivedMessage | None:
        """Return the next response among what has come, or ``None`` if a wait is needed first."""
        while self._received:
            key, message = self._received.popleft()
            if key == lists.shared.key and lists.shared_chunks is None:
                # Nearly all responses are whole, on the shared list, in order, and awaited.
                usual = self._core.usual_message(message)
                if usual is not None:
                    with self._lock:
                        if lists.claim_shared(usual.request_id, was_chunked=False):
                            return usual
            try:
                with self._lock:
                    arrival = take_element(lists, key, message, self._core.service_name)
                response = None if arrival is None else self._opened(lists, arrival, key)
            except (InvalidMessageError, InvalidMessage) as error:
                self._core.note_invalid(key, message, error)
                with self._lock:
                    awaited = lists.awaited_by_list(key)
                if awaited is not None:
                    raise self._concerning(lists, awaited, error) from None
                if isinstance(error, InterruptedChunksError):
                    # The response that it should have continued is lost, but it may begin another.
                    self._received.appendleft((key, message))
            else:
                if response is not None:
                    return response
        return None

    def _opened(self, lists: ReplyLists, arrival: Arrival, key: bytes) -> ReceivedMessage | None:
        """Return what is in a response, or ``None`` if nobody waits for it any more."""
        envelope = self._core.read_envelope(arrival.payload, arrival.content_type, arrival.protocol_version)
        try:
            response = self._core.checked_message(key, envelope)
        except MessageReceiveTimeout as error:
            with self._lock:
                awaited = arrival.awaited or lists.awaited_by_id(_hashable(envelope.request_id))
            if awaited is None:
                return None
            raise self._concerning(lists, awaited, error) from None
        with self._lock:
            is_awaited = claim_arrival(lists, arrival, response.request_id) is not None
        if is_awaited:
            return response
        _logger.debug("Dropped the response to request %.60r, which nobody awaits", response.request_id)
        return None

    def _concerning(self, lists: ReplyLists, awaited: Awaited, error: Exception) -> Exception:
        """Give up the request that an unusable response answers, and write its id on the error."""
        with self._lock:
            lists.give_up(awaited)
        error.request_id = awaited.request_id  # type: ignore[attr-defined]  # for the client, if it is not the caller's
        return error


def _hashable(request_id: object) -> object:
    return request_id if isinstance(request_id, (int, str)) else None
