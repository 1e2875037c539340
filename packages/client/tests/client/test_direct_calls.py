"""Calls over a transport that sends and waits in one step, with nothing around it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest
from conformity import fields
from pymetrics.recorders.base import MetricsRecorder

from pysoa.client.client import Client, ServiceHandler
from pysoa.client.errors import CallActionError, CallJobError, UnexpectedResponseError
from pysoa.client.middleware import ClientMiddleware
from pysoa.common._conformity import accepts_kwargs
from pysoa.common.interfaces import SendsAndWaits
from pysoa.common.transport.errors import (
    InvalidMessageError,
    MessageReceiveError,
    MessageReceiveTimeout,
    MessageSendError,
)
from pysoa.common.types import ActionResponse

if TYPE_CHECKING:  # a conftest cannot be imported
    from packages.client.tests.conftest import Broker

LIMIT_S = 10


class FullQueueError(MessageSendError):
    """Nothing was sent."""

    is_unsent = True


def about(request_id: int, error: Exception) -> Exception:
    error.__dict__["request_id"] = request_id
    return error


def hold(event: threading.Event) -> None:
    assert event.wait(LIMIT_S)


def pause(seconds: float) -> None:
    """Be slow."""
    threading.Event().wait(seconds)


def answer_next_receive(broker: Broker, receives: int) -> None:
    """Answer the newest request as soon as somebody receives again."""
    broker.wait_for_receives(receives + 1)
    broker.answer(broker.sent[-1])


@pytest.fixture
def client(broker: Broker) -> Client:
    return broker.client(direct=True)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def assert_all_is_quiet(client: Client, broker: Broker) -> None:
    """Nothing is awaited any more, and any thread can receive."""
    handler = client.handlers["echo"]
    assert not handler.exchange.is_receive_wanted()
    assert broker.transports[0].outstanding == set()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.call_action, "echo", "echo", {"quiet": True}, timeout=LIMIT_S)
        assert call.result(LIMIT_S).body == {"quiet": True}


def test_transport_of_these_tests_has_the_ability(client: Client, broker: Broker) -> None:
    client.call_action("echo", "echo")

    assert isinstance(broker.transports[0], SendsAndWaits)


class TestResponses:
    def test_response_that_comes_at_once_needs_no_receive(self, client: Client, broker: Broker) -> None:
        response = client.call_action("echo", "echo", {"n": 1})

        assert response == ActionResponse("echo", body={"n": 1})
        assert broker.sent_directly == [broker.sent[0].request_id]
        assert broker.receives == []
        assert_all_is_quiet(client, broker)

    def test_request_is_the_same_as_on_the_usual_way(self, client: Client, broker: Broker) -> None:
        arguments: dict[str, Any] = {
            "timeout": 2.5,
            "switches": [3],
            "correlation_id": "c",
            "context": {"x": 1},
            "control_extra": {"y": 2},
        }

        client.call_action("echo", "echo", {"n": 1}, **arguments)
        broker.client().call_action("echo", "echo", {"n": 1}, **arguments)

        direct, usual = broker.sent
        assert (direct.meta, direct.message, direct.expiry) == (usual.meta, usual.message, usual.expiry)

    def test_response_that_comes_later_is_received(
        self, client: Client, broker: Broker, threads: ThreadPoolExecutor
    ) -> None:
        call = threads.submit(client.call_action, "echo", "slow", timeout=LIMIT_S)
        broker.wait_for_receives(1)

        broker.answer(broker.sent[0], {"n": 1})

        assert call.result(LIMIT_S).body == {"n": 1}
        assert broker.sent_directly == [broker.sent[0].request_id]
        assert_all_is_quiet(client, broker)

    def test_response_to_a_future_that_comes_first_is_kept_for_it(
        self, client: Client, broker: Broker
    ) -> None:
        future = client.call_action_future("echo", "slow")
        broker.answer(broker.sent[0], {"n": 1})

        assert client.call_action("echo", "echo", {"n": 2}).body == {"n": 2}

        assert future.result().body == {"n": 1}
        assert_all_is_quiet(client, broker)

    def test_response_to_send_request_that_comes_first_is_kept_for_it(
        self, client: Client, broker: Broker
    ) -> None:
        request_id = client.send_request("echo", [{"action": "slow"}])
        broker.answer(broker.sent[0], {"n": 1})

        assert client.call_action("echo", "echo", {"n": 2}).body == {"n": 2}

        ((received_id, response),) = client.get_all_responses("echo")
        assert (received_id, response.actions[0].body) == (request_id, {"n": 1})
        assert_all_is_quiet(client, broker)

    def test_unusable_response_to_another_request_fails_only_that(
        self, client: Client, broker: Broker
    ) -> None:
        future = client.call_action_future("echo", "slow")
        broker.deliver(broker.sent[0], {"actions": 5})

        assert client.call_action("echo", "echo", {"n": 2}).body == {"n": 2}

        with pytest.raises(InvalidMessageError, match="actions is of type int"):
            future.result()

    def test_late_response_of_a_call_that_timed_out_is_dropped(self, client: Client, broker: Broker) -> None:
        with pytest.raises(MessageReceiveTimeout):
            client.call_action("echo", "slow", timeout=0.01)
        broker.answer(broker.sent[0], {"n": 1})

        assert client.call_action("echo", "echo", {"n": 2}).body == {"n": 2}
        assert_all_is_quiet(client, broker)

    def test_job_and_action_errors_are_raised_or_returned_as_ever(
        self, client: Client, broker: Broker
    ) -> None:
        error = {"code": "X", "message": "no"}
        broker.on("echo", "act", lambda _: {"errors": [error], "body": {}})
        broker.on("echo", "job", lambda _: {"errors": [error], "actions": [], "context": {}})

        with pytest.raises(CallActionError) as action_error:
            client.call_action("echo", "act")
        with pytest.raises(CallJobError) as job_error:
            client.call_action("echo", "job")
        returned = client.call_action("echo", "act", raise_action_errors=False)
        job_errors: Any = client.call_action("echo", "job", raise_job_errors=False)

        assert action_error.value.actions[0].errors[0].code == "X"
        assert job_error.value.errors[0].code == "X"
        assert returned.errors[0].code == "X"
        assert [each.code for each in job_errors] == ["X"]
        assert len(broker.sent_directly) == 4
        assert broker.receives == []
        notes = action_error.value.__notes__
        request_id = broker.sent[0].request_id
        assert notes == [f"(service 'echo', action 'act', request {request_id})"]

    def test_response_without_actions_is_a_client_error(self, client: Client, broker: Broker) -> None:
        broker.on("echo", "odd", lambda _: {"errors": [], "actions": [], "context": {}})

        with pytest.raises(UnexpectedResponseError):
            client.call_action("echo", "odd")

        assert_all_is_quiet(client, broker)


class TestErrors:
    def test_unusable_response_that_comes_at_once_fails_the_call(
        self, client: Client, broker: Broker
    ) -> None:
        broker.on("echo", "bad", lambda _: {"actions": 5})

        with pytest.raises(InvalidMessageError, match="actions is of type int") as caught:
            client.call_action("echo", "bad", timeout=2)

        request_id = broker.sent[0].request_id
        assert f"(service 'echo', action 'bad', request {request_id}, time limit 2 s)" in str(caught.value)
        assert caught.value.__dict__["request_ids"] == (request_id,)
        assert_all_is_quiet(client, broker)

    def test_failure_to_send_tells_of_the_call_and_is_not_repeated(
        self, client: Client, broker: Broker
    ) -> None:
        broker.direct_errors.append(MessageSendError("no"))

        with pytest.raises(MessageSendError) as caught:
            client.call_action("echo", "echo", timeout=2)

        (request_id,) = broker.sent_directly
        assert str(caught.value) == (
            f"no (service 'echo', action 'echo', request {request_id}, time limit 2 s)"
        )
        assert broker.sent == []
        assert broker.abandoned == [("echo", request_id)]
        assert_all_is_quiet(client, broker)

    def test_full_queue_is_left_to_the_usual_way_which_waits_for_room(
        self, client: Client, broker: Broker
    ) -> None:
        broker.direct_errors.append(FullQueueError("full"))

        assert client.call_action("echo", "echo", {"n": 1}, timeout=2).body == {"n": 1}

        (sent,) = broker.sent
        assert len(broker.sent_directly) == 1
        assert sent.request_id not in broker.sent_directly
        assert sent.message["control"]["timeout"] == sent.expiry == 2
        assert_all_is_quiet(client, broker)

    def test_queue_that_stays_full_fails_the_call(self, client: Client, broker: Broker) -> None:
        broker.direct_errors.append(FullQueueError("full at first"))
        broker.send_errors.append(MessageSendError("full for good"))

        with pytest.raises(
            MessageSendError, match=r"^full for good \(service 'echo', action 'echo', "
        ) as caught:
            client.call_action("echo", "echo")

        assert caught.value.__context__ is None
        assert len(broker.sent_directly) == 1
        assert_all_is_quiet(client, broker)

    def test_full_queue_that_is_found_out_later_is_left_to_the_usual_way_once(
        self, client: Client, broker: Broker
    ) -> None:
        def refuse(body: Any) -> Any:
            sent = broker.sent[-1]
            if len(broker.sent) == 1:
                broker.responders.pop(("echo", "refused"))
                broker.deliver(sent, about(sent.request_id, FullQueueError("full")))
                broker.on("echo", "refused", lambda body: body)
            return {"actions": 5} if len(broker.sent) == 1 else body

        broker.on("echo", "refused", refuse)

        assert client.call_action("echo", "refused", {"n": 1}).body == {"n": 1}

        assert len(broker.sent) == 2
        assert broker.sent_directly == [broker.sent[0].request_id]

    def test_failure_to_send_that_is_found_out_later_fails_the_call(
        self, client: Client, broker: Broker
    ) -> None:
        def fail() -> None:
            broker.receive_errors.append(about(broker.sent[0].request_id, MessageSendError("no")))

        broker.after_direct_send.append(fail)

        with pytest.raises(MessageSendError, match=r"^no \(service 'echo', action 'slow', request \d+"):
            client.call_action("echo", "slow")

        assert len(broker.sent) == 1

    def test_later_error_about_another_request_is_that_ones(
        self, client: Client, broker: Broker, threads: ThreadPoolExecutor
    ) -> None:
        future = client.call_action_future("echo", "slow")
        error = about(broker.sent[0].request_id, FullQueueError("full"))
        broker.receive_errors.append(error)
        call = threads.submit(client.call_action, "echo", "slow", timeout=LIMIT_S)
        broker.wait_for_receives(2)

        broker.answer(broker.sent[1], {"n": 2})

        assert call.result(LIMIT_S).body == {"n": 2}
        assert len(broker.sent) == 2, "the call was sent again because of another's error"
        with pytest.raises(FullQueueError):
            future.result()

    def test_error_of_receiving_that_names_no_request_fails_the_call(
        self, client: Client, broker: Broker
    ) -> None:
        broker.receive_errors.append(MessageReceiveError("broken"))

        with pytest.raises(MessageReceiveError, match=r"^broken \(service 'echo', action 'slow', request "):
            client.call_action("echo", "slow")

        assert_all_is_quiet(client, broker)

    @pytest.mark.parametrize("when", ["sending", "receiving"])
    def test_interrupt_abandons_the_request(self, client: Client, broker: Broker, when: str) -> None:
        def interrupt() -> None:
            raise KeyboardInterrupt

        if when == "sending":
            broker.after_direct_send.append(interrupt)
        else:
            broker.receive_errors.append(KeyboardInterrupt())  # type: ignore[arg-type]  # as Ctrl-C does

        with pytest.raises(KeyboardInterrupt):
            client.call_action("echo", "slow")

        assert broker.abandoned == [("echo", broker.sent[0].request_id)]
        assert_all_is_quiet(client, broker)

    @pytest.mark.parametrize("when", ["before", "in", "after"])
    @pytest.mark.parametrize("action", ["echo", "slow"], ids=["answered", "unanswered"])
    def test_interrupt_around_sending_leaves_nothing_awaited_and_others_able_to_lead(
        self,
        client: Client,
        broker: Broker,
        when: str,
        action: str,
        monkeypatch: pytest.MonkeyPatch,
        threads: ThreadPoolExecutor,
    ) -> None:
        client.call_action("echo", "echo")
        interrupt_sending(broker, when, monkeypatch)

        with pytest.raises(KeyboardInterrupt):
            client.call_action("echo", action, {"n": 1}, timeout=LIMIT_S)

        (abandoned,) = broker.abandoned
        assert abandoned[1] > broker.sent[0].request_id
        assert broker.transports[0].outstanding == set()
        assert not client.handlers["echo"].exchange.is_receive_wanted()
        broker.transports[0].inbox.clear()
        sent_so_far = len(broker.sent)
        call = threads.submit(client.call_action, "echo", "slow", timeout=LIMIT_S)
        broker.answer(broker.wait_for_sent(sent_so_far + 1)[-1], {"n": 2})
        assert call.result(LIMIT_S).body == {"n": 2}
        assert_all_is_quiet(client, broker)

    @pytest.mark.parametrize("when", ["before", "in", "after"])
    @pytest.mark.parametrize("action", ["echo", "slow"], ids=["answered", "unanswered"])
    def test_interrupt_around_sending_lets_the_thread_lead_that_has_waited_for_it(
        self,
        client: Client,
        broker: Broker,
        when: str,
        action: str,
        monkeypatch: pytest.MonkeyPatch,
        threads: ThreadPoolExecutor,
    ) -> None:
        client.call_action("echo", "echo")
        exchange = client.handlers["echo"].exchange
        followers: list[Future[ActionResponse]] = []

        def follow() -> None:
            followers.append(threads.submit(client.call_action, "echo", "wait", timeout=LIMIT_S))
            wait_until(lambda: len(exchange._followers) == 1)  # pyright: ignore[reportPrivateUsage]

        interrupt_sending(broker, when, monkeypatch, follow)

        with pytest.raises(KeyboardInterrupt):
            client.call_action("echo", action, {"n": 1}, timeout=LIMIT_S)

        (waiting,) = (sent for sent in broker.sent if sent.actions == ["wait"])
        broker.answer(waiting, {"n": 2})
        assert followers[0].result(LIMIT_S).body == {"n": 2}
        broker.transports[0].inbox.clear()
        assert_all_is_quiet(client, broker)

    @pytest.mark.parametrize("is_soon", [True, False], ids=["at once", "later"])
    def test_interrupt_anywhere_leaves_a_client_that_works(
        self, client: Client, broker: Broker, is_soon: bool
    ) -> None:
        client.call_action("echo", "echo")
        broker.responds_very_soon = is_soon
        step = 0
        was_interrupted = True

        while was_interrupted:
            step += 1
            was_interrupted = False
            with interrupt_at(step):
                try:
                    client.call_action("echo", "echo", timeout=LIMIT_S)
                except KeyboardInterrupt:
                    was_interrupted = True
            broker.transports[0].inbox.clear()
            broker.responds_very_soon = True
            assert_all_is_quiet(client, broker)
            broker.responds_very_soon = is_soon

        assert step > 5

    @pytest.mark.parametrize("is_there", [True, False], ids=["already there", "still to come"])
    def test_interrupt_of_get_all_responses_leaves_others_able_to_receive(
        self, client: Client, broker: Broker, is_there: bool, threads: ThreadPoolExecutor
    ) -> None:
        step = 0
        was_interrupted = True

        while was_interrupted:
            step += 1
            was_interrupted = False
            client.send_request("echo", [{"action": "slow", "body": {}}])
            if is_there:
                broker.answer(broker.sent[-1])
            else:
                threads.submit(answer_next_receive, broker, len(broker.receives))
            with interrupt_at(step):
                try:
                    next(client.get_all_responses("echo", LIMIT_S))
                except KeyboardInterrupt:
                    was_interrupted = True

            broker.answer(broker.sent[-1])
            call = threads.submit(client.call_action, "echo", "echo", {"step": step}, timeout=LIMIT_S)
            assert call.result(LIMIT_S).body == {"step": step}

        assert step > 5


def interrupt_sending(
    broker: Broker, when: str, monkeypatch: pytest.MonkeyPatch, first: Callable[[], None] | None = None
) -> None:
    """Interrupt the next request that is sent directly, once something else was done first."""
    cls: Any = type(broker.transports[0])
    send_request_and_wait = cls.send_request_and_wait

    def interrupt() -> None:
        monkeypatch.setattr(cls, "send_request_and_wait", send_request_and_wait)
        if first is not None:
            first()
        raise KeyboardInterrupt

    def interrupted(transport: Any, *arguments: Any) -> Any:
        if when == "before":
            interrupt()
        if when == "in":
            broker.after_direct_send.append(interrupt)
        send_request_and_wait(transport, *arguments)
        interrupt()

    monkeypatch.setattr(cls, "send_request_and_wait", interrupted)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


_REPAIRERS = {"stop_leading", "_step_down", "_hand_on", "interrupt_at", "_alone", "__exit__"}


@contextlib.contextmanager
def interrupt_at(step: int) -> Generator[None]:
    """Raise ``KeyboardInterrupt`` at one of the places in our modules where Python looks for signals."""
    left = step

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal left
        outer: FrameType | None = frame
        while outer is not None:
            # What an interrupt ends there is beyond repair: it is what repairs.
            if outer.f_code.co_name in _REPAIRERS:
                return
            outer = outer.f_back
        # Not before a call into C, where nobody looks for signals: the lock would not be given back.
        if event != "c_call" and frame.f_code.co_filename.endswith(("_shortcut.py", "_exchange.py")):
            left -= 1
            if left == 0:
                raise KeyboardInterrupt

    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)


class TestTimeLimits:
    def test_time_out_tells_of_the_call(self, client: Client, broker: Broker) -> None:
        started = time.monotonic()
        with pytest.raises(MessageReceiveTimeout) as caught:
            client.call_action("echo", "slow", timeout=0.1)
        duration_s = time.monotonic() - started

        request_id = broker.sent[0].request_id
        assert str(caught.value).endswith(
            f"(service 'echo', action 'slow', request {request_id}, time limit 0.1 s)"
        )
        assert broker.sent[0].expiry == 0.1
        assert 0.1 <= duration_s < 1
        assert_all_is_quiet(client, broker)

    def test_default_time_limit_is_the_one_of_the_transport(self, broker: Broker) -> None:
        broker.default_timeout = 0.1
        client = broker.client(direct=True)

        with pytest.raises(MessageReceiveTimeout, match=r"time limit 0\.1 s\)$"):
            client.call_action("echo", "slow")

        assert broker.receives == [("echo", None)]

    def test_time_that_sending_took_counts(self, client: Client, broker: Broker) -> None:
        broker.after_direct_send.append(lambda: pause(0.2))

        started = time.monotonic()
        with pytest.raises(MessageReceiveTimeout, match=r"time limit 0\.4 s\)$"):
            client.call_action("echo", "slow", timeout=0.4)
        duration_s = time.monotonic() - started

        ((_, receive_limit),) = broker.receives
        assert receive_limit is not None
        assert receive_limit <= 0.2
        assert 0.4 <= duration_s < 0.8

    def test_response_is_looked_for_even_if_sending_took_all_the_time(
        self, client: Client, broker: Broker
    ) -> None:
        broker.responds_very_soon = False
        broker.after_direct_send.append(lambda: pause(0.2))

        assert client.call_action("echo", "echo", {"n": 1}, timeout=0.1).body == {"n": 1}

        assert broker.receives == [("echo", 0.01)]

    def test_responses_to_others_do_not_prolong_the_wait(
        self, client: Client, broker: Broker, threads: ThreadPoolExecutor
    ) -> None:
        futures = [client.call_action_future("echo", "slow") for _ in range(30)]
        is_over = threading.Event()

        def answer_others() -> None:
            for sent in broker.sent[:30]:
                if is_over.wait(0.05):
                    return
                broker.answer(sent)

        answering = threads.submit(answer_others)
        started = time.monotonic()
        with pytest.raises(MessageReceiveTimeout):
            client.call_action("echo", "slow", timeout=0.2)
        duration_s = time.monotonic() - started
        is_over.set()
        answering.result(LIMIT_S)

        assert 0.2 <= duration_s < 0.8
        assert futures[0].result().body == {}


class TestThreads:
    def test_response_that_comes_to_another_thread_reaches_its_owner_at_once(
        self, client: Client, broker: Broker, threads: ThreadPoolExecutor
    ) -> None:
        may_go_on = threading.Event()
        broker.after_direct_send.append(lambda: hold(may_go_on))

        first = threads.submit(client.call_action, "echo", "slow", timeout=LIMIT_S)
        broker.wait_for_sent(1)
        second = threads.submit(client.call_action, "echo", "slow", timeout=LIMIT_S)
        broker.answer(broker.wait_for_sent(2)[1], {"n": 2})
        may_go_on.set()

        assert second.result(LIMIT_S).body == {"n": 2}
        assert not first.done()
        broker.answer(broker.sent[0], {"n": 1})
        assert first.result(LIMIT_S).body == {"n": 1}
        assert_all_is_quiet(client, broker)

    def test_next_thread_takes_over_when_sending_fails(
        self, client: Client, broker: Broker, threads: ThreadPoolExecutor
    ) -> None:
        may_go_on = threading.Event()

        def fail() -> None:
            may_go_on.wait(LIMIT_S)
            raise MessageSendError("no")

        broker.after_direct_send.append(fail)
        first = threads.submit(client.call_action, "echo", "slow", timeout=LIMIT_S)
        broker.wait_for_sent(1)
        second = threads.submit(client.call_action, "echo", "slow", timeout=LIMIT_S)
        sent = broker.wait_for_sent(2)[1]

        may_go_on.set()
        broker.wait_for_receives(1)
        broker.answer(sent, {"n": 2})

        assert second.result(LIMIT_S).body == {"n": 2}
        with pytest.raises(MessageSendError):
            first.result(LIMIT_S)
        assert_all_is_quiet(client, broker)

    def test_next_thread_takes_over_when_the_response_came_at_once(
        self, client: Client, broker: Broker, threads: ThreadPoolExecutor
    ) -> None:
        may_go_on = threading.Event()
        broker.after_direct_send.append(lambda: hold(may_go_on))
        first = threads.submit(client.call_action, "echo", "echo", {"n": 1}, timeout=LIMIT_S)
        broker.wait_for_sent(1)
        second = threads.submit(client.call_action, "echo", "slow", timeout=LIMIT_S)
        sent = broker.wait_for_sent(2)[1]

        may_go_on.set()
        assert first.result(LIMIT_S).body == {"n": 1}
        broker.wait_for_receives(1)
        broker.answer(sent, {"n": 2})

        assert second.result(LIMIT_S).body == {"n": 2}
        assert_all_is_quiet(client, broker)

    def test_8_threads_get_their_own_responses(
        self, client: Client, broker: Broker, threads: ThreadPoolExecutor
    ) -> None:
        is_over = threading.Event()

        def answer_slow_ones() -> None:
            answered = 0
            while not is_over.is_set():
                with broker.changed:
                    if len(broker.sent) == answered:
                        broker.changed.wait(0.01)
                    sent, answered = broker.sent[answered:], len(broker.sent)
                for each in reversed(sent):
                    if each.actions == ["slow"]:
                        broker.answer(each, each.body)

        def call_often(thread: int) -> None:
            for number in range(40):
                body = {"thread": thread, "number": number}
                action = "slow" if (thread + number) % 3 else "echo"
                assert client.call_action("echo", action, body, timeout=LIMIT_S).body == body

        answering = threads.submit(answer_slow_ones)
        callers = [threads.submit(call_often, thread) for thread in range(8)]
        try:
            for caller in callers:
                caller.result(60)
        finally:
            is_over.set()
        answering.result(LIMIT_S)

        assert len(broker.sent) == 320
        assert broker.sent_directly
        assert_all_is_quiet(client, broker)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
    def test_child_forked_while_another_thread_sends_can_call(
        self, client: Client, broker: Broker, threads: ThreadPoolExecutor
    ) -> None:
        may_go_on = threading.Event()
        broker.after_direct_send.append(lambda: hold(may_go_on))
        call = threads.submit(client.call_action, "echo", "slow", timeout=LIMIT_S)
        broker.wait_for_sent(1)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: there are threads
            child = os.fork()
        if child == 0:
            # The transport has to look after its own locks, which this one does not.
            vars(broker.transports[0])["_receiving"] = threading.Lock()
            is_right = False
            with contextlib.suppress(BaseException):
                is_right = client.call_action("echo", "echo", {"n": 2}, timeout=2).body == {"n": 2}
            os._exit(0 if is_right else 1)
        _, status = os.waitpid(child, 0)
        may_go_on.set()
        broker.answer(broker.sent[0], {"n": 1})

        assert os.waitstatus_to_exitcode(status) == 0
        assert call.result(LIMIT_S).body == {"n": 1}


@accepts_kwargs(fields.SchemalessDictionary())
class Idle(ClientMiddleware):
    """Changes nothing."""


@accepts_kwargs(fields.SchemalessDictionary())
class Recorder(MetricsRecorder):
    """Forgets everything, but is not the one that is known to."""

    def _nothing(self, *_: object, **__: object) -> None:
        pass

    clear = publish_all = publish_if_full_or_old = throttled_publish_all = _nothing

    def _instrument(self, *_: object, **__: object) -> Any:
        return contextlib.nullcontext()

    counter = histogram = gauge = timer = _instrument


def override(target: object, name: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace a method by one that notes that it is called, and does the same."""
    calls: list[str] = []
    original: Callable[..., Any] = getattr(target, name)

    def noting(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return original(*args, **kwargs)

    monkeypatch.setattr(target, name, noting)
    return calls


class TestWhatIsAroundTheTransport:
    @pytest.mark.parametrize(
        "settings",
        [{"middleware": [{"path": f"{__name__}:Idle"}]}, {"metrics": {"path": f"{__name__}:Recorder"}}],
        ids=["middleware", "metrics"],
    )
    def test_middleware_and_metrics_see_every_call(self, broker: Broker, settings: dict[str, Any]) -> None:
        client = broker.client(direct=True, settings=settings)

        assert client.call_action("echo", "echo", {"n": 1}).body == {"n": 1}

        assert broker.sent_directly == []

    def test_transport_that_wants_plain_values_gets_them(
        self, broker: Broker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        probe = broker.client(direct=True)
        probe.call_action("echo", "echo")
        monkeypatch.setattr(type(broker.transports[0]), "carries_native_values", False)
        client = broker.client(direct=True)

        assert client.call_action("echo", "echo", {"n": (1, 2)}).body == {"n": [1, 2]}

        assert len(broker.sent_directly) == 1, "only that of the probe"

    def test_expansions_go_the_usual_way(self, broker: Broker) -> None:
        config: dict[str, Any] = {"type_routes": {}, "type_expansions": {}}
        client = broker.client(direct=True, expansion_config=config)

        client.call_action("echo", "echo", expansions={})
        with pytest.raises(client.InvalidExpansionKey):
            client.call_action("echo", "echo", expansions={"unknown": ["x"]})

        assert len(broker.sent_directly) == 1

    @pytest.mark.parametrize(
        ("name", "level"),
        [
            ("send_request", "class"),
            ("send_request", "instance"),
            ("get_all_responses", "class"),
            ("get_all_responses", "instance"),
            ("call_action_future", "class"),
            ("call_action_future", "instance"),
            # A private method of the class is asked for when a client is made.
            ("_make_context_header", "instance"),
        ],
    )
    def test_replaced_methods_of_the_client_are_used(
        self, client: Client, broker: Broker, name: str, level: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = override(Client if level == "class" else client, name, monkeypatch)

        assert client.call_action("echo", "echo", {"n": 1}).body == {"n": 1}

        assert calls == [name]

    @pytest.mark.parametrize("level", ["class", "instance"])
    @pytest.mark.parametrize("name", ["send_request", "get_all_responses"])
    def test_replaced_methods_of_the_handler_are_used(
        self, client: Client, broker: Broker, name: str, level: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client.call_action("echo", "echo")
        target = ServiceHandler if level == "class" else client.handlers["echo"]
        calls = override(target, name, monkeypatch)

        assert client.call_action("echo", "echo", {"n": 1}).body == {"n": 1}

        assert calls == [name]

    @pytest.mark.parametrize("level", ["class", "instance"])
    @pytest.mark.parametrize("name", ["send_request_message", "receive_response_message"])
    def test_replaced_methods_of_the_transport_are_used(
        self, client: Client, broker: Broker, name: str, level: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client.call_action("echo", "echo")
        transport = broker.transports[0]
        calls = override(type(transport) if level == "class" else transport, name, monkeypatch)

        assert client.call_action("echo", "echo", {"n": 1}).body == {"n": 1}

        assert calls == [name]
        assert len(broker.sent_directly) == 1

    def test_replaced_transport_is_used(self, client: Client, broker: Broker) -> None:
        client.call_action("echo", "echo")
        broker.client().call_action("echo", "echo")
        client.handlers["echo"].transport = broker.transports[1]

        client.call_action("echo", "echo", {"n": 1})

        assert broker.sent[-1].request_id in {request_id for _, request_id in broker.transports[1].history}
        assert len(broker.sent_directly) == 1

    @pytest.mark.parametrize("name", ["send_request_message", "receive_response_message"])
    def test_subclass_of_a_transport_that_overrides_one_way_gets_all_calls(
        self, broker: Broker, name: str
    ) -> None:
        broker.client(direct=True).call_action("echo", "echo")
        parent: Any = type(broker.transports[0])
        calls: list[str] = []

        def noting(self: Any, *args: Any) -> Any:
            calls.append(name)
            return getattr(parent, name)(self, *args)

        overriding = type("Overriding", (parent,), {name: noting})
        settings = broker.client(direct=True).settings["echo"]
        transport: Any = {**settings["transport"], "object": overriding}
        handler = ServiceHandler(
            "echo", {"transport": transport, "middleware": [], "metrics": settings["metrics"]}
        )
        client = broker.client(direct=True)
        client.handlers["echo"] = handler

        assert client.call_action("echo", "echo", {"n": 1}).body == {"n": 1}

        assert calls == [name]

    @pytest.mark.parametrize("name", ["_base_send_request", "_base_get_response"])
    def test_subclass_of_the_handler_gets_all_calls(self, broker: Broker, name: str) -> None:
        calls: list[str] = []

        def noting(self: Any, *args: Any) -> Any:
            calls.append(name)
            return getattr(ServiceHandler, name)(self, *args)

        class OwnClient(Client):
            handler_class = type("OwnHandler", (ServiceHandler,), {name: noting})

        client = OwnClient({"echo": broker.settings(direct=True)})

        assert client.call_action("echo", "echo", {"n": 1}).body == {"n": 1}

        assert calls == [name]
