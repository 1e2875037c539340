"""The event loop that runs the coroutines of actions."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from pymetrics.recorders.noop import noop_metrics

from pysoa.common.logging import PySOALogContextFilter
from pysoa.common.transport.local import LocalClientTransport
from pysoa.server.action.base import Action
from pysoa.server.coroutine import CoroutineMiddleware, DefaultCoroutineMiddleware
from pysoa.server.internal.event_loop import AsyncEventLoopThread
from pysoa.server.server import Server
from pysoa.server.settings import ServerSettings
from pysoa.server.types import EnrichedActionRequest

LIMIT_IN_SECONDS = 20.0
LOCAL = {"path": "pysoa.common.transport.local:LocalServerTransport"}


@pytest.fixture
def thread() -> Iterator[AsyncEventLoopThread]:
    thread = AsyncEventLoopThread([])
    yield thread
    thread.join(0)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_IN_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.001)


async def value(result: int) -> int:
    await asyncio.sleep(0)
    return result


# -- running -------------------------------------------------------------------------------------------------


def test_result_of_a_coroutine_can_be_waited_for(thread: AsyncEventLoopThread) -> None:
    assert thread.run_coroutine(value(5)).result(LIMIT_IN_SECONDS) == 5


def test_coroutines_run_beside_each_other(thread: AsyncEventLoopThread) -> None:
    events = [asyncio.Event(), asyncio.Event()]

    async def meet(mine: int) -> bool:
        events[mine].set()
        return await events[1 - mine].wait()

    futures = [thread.run_coroutine(meet(0)), thread.run_coroutine(meet(1))]

    assert [future.result(LIMIT_IN_SECONDS) for future in futures] == [True, True]


def test_coroutine_sees_the_context_of_its_caller(thread: AsyncEventLoopThread) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="default")

    async def look() -> str:
        return variable.get()

    token = variable.set("mine")
    future = thread.run_coroutine(look())
    variable.reset(token)

    assert future.result(LIMIT_IN_SECONDS) == "mine"


def test_coroutine_that_outlives_its_job_keeps_the_correlation_id_in_logs(
    thread: AsyncEventLoopThread,
) -> None:
    """D-17."""
    job_is_over = threading.Event()

    async def look() -> Any:
        await asyncio.to_thread(job_is_over.wait, LIMIT_IN_SECONDS)
        return PySOALogContextFilter.get_logging_request_context()

    PySOALogContextFilter.set_logging_request_context(correlation_id="the-id")
    future = thread.run_coroutine(look())
    PySOALogContextFilter.clear_logging_request_context()
    job_is_over.set()

    assert future.result(LIMIT_IN_SECONDS) == {"correlation_id": "the-id"}


class NotingMiddleware(CoroutineMiddleware):
    def __init__(self, name: str, events: list[str]) -> None:
        self.name = name
        self.events = events

    def before_run_coroutine(self) -> None:
        self.events.append(f"before {self.name} in {threading.current_thread().name}")

    def coroutine(self, coroutine: Any) -> Any:
        async def wrapper() -> Any:
            self.events.append(f"enter {self.name}")
            try:
                return await coroutine
            finally:
                self.events.append(f"leave {self.name}")

        return wrapper()


def test_first_middleware_is_the_outermost_and_the_first_to_be_told() -> None:
    events: list[str] = []
    thread = AsyncEventLoopThread([NotingMiddleware("A", events), NotingMiddleware("B", events)])

    thread.run_coroutine(value(5)).result(LIMIT_IN_SECONDS)
    thread.join()

    here = threading.current_thread().name
    assert events == [
        f"before A in {here}",
        f"before B in {here}",
        "enter A",
        "enter B",
        "leave B",
        "leave A",
    ]


def test_default_middleware_logs_what_a_coroutine_raises(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("nobody looks at this")

    thread = AsyncEventLoopThread([DefaultCoroutineMiddleware()])
    future = thread.run_coroutine(fail())

    with pytest.raises(ValueError, match="nobody looks at this"):
        future.result(LIMIT_IN_SECONDS)
    thread.join()

    (record,) = (record for record in caplog.records if record.name == "pysoa.server.coroutine")
    assert record.getMessage() == "Error occurred while awaiting coroutine in request.run_coroutine"
    assert record.exc_info


# -- D-16: the loop exists when it is needed -----------------------------------------------------------------


class StartsCoroutine(Action):
    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        return {"value": request.run_coroutine(value(request.body["value"])).result(LIMIT_IN_SECONDS)}


class CoroutineServer(Server):
    service_name = "coroutines"
    action_class_map = {"starts": StartsCoroutine}


def test_coroutine_runs_under_the_local_transport() -> None:
    transport = LocalClientTransport("coroutines", noop_metrics, CoroutineServer, {})

    transport.send_request_message(
        1,
        {},
        {
            "control": {"continue_on_error": False},
            "context": {"switches": [], "correlation_id": "the-id"},
            "actions": [{"action": "starts", "body": {"value": 7}}],
        },
    )

    body = transport.receive_response_message().body
    assert body is not None
    assert body["actions"][0]["body"] == {"value": 7}


_WITHOUT_COROUTINES = """
import os, threading
from pysoa.server import Server, ServerSettings

class SomeServer(Server):
    service_name = "some"

settings = ServerSettings({"transport": {"path": "pysoa.common.transport.local:LocalServerTransport"}})
before = len(os.listdir("/proc/self/fd")), threading.active_count()
servers = [SomeServer(settings) for _ in range(10)]
after = len(os.listdir("/proc/self/fd")), threading.active_count()
assert before == after, (before, after)
"""


def test_server_that_runs_no_coroutine_opens_no_descriptor_and_starts_no_thread() -> None:
    subprocess.run([sys.executable, "-c", _WITHOUT_COROUTINES], check=True, timeout=60)


def test_event_loop_ends_with_its_server() -> None:
    server = CoroutineServer(ServerSettings({"transport": LOCAL}))
    thread = server._async_event_loop_thread  # pyright: ignore[reportPrivateUsage]
    thread.run_coroutine(value(1)).result(LIMIT_IN_SECONDS)

    del server
    gc.collect()

    wait_until(lambda: not thread.is_alive())
    assert thread.loop.is_closed()


# -- D-15: the end -------------------------------------------------------------------------------------------


def test_join_waits_for_coroutines_and_for_those_that_they_start(thread: AsyncEventLoopThread) -> None:
    done: list[str] = []

    async def late() -> None:
        await asyncio.sleep(0.02)
        done.append("late")

    async def early(stopping: Callable[[], bool]) -> None:
        while not stopping():
            await asyncio.sleep(0.001)
        task = asyncio.ensure_future(late())
        done.append("early")
        del task

    thread.run_coroutine(early(lambda: thread._stopping))  # pyright: ignore[reportPrivateUsage]

    thread.join(LIMIT_IN_SECONDS)

    assert done == ["early", "late"]
    assert not thread.is_alive()


def test_failing_coroutine_does_not_keep_others_from_finishing(thread: AsyncEventLoopThread) -> None:
    async def fail() -> None:
        await asyncio.sleep(0.005)
        raise ValueError("first")

    async def finish() -> str:
        await asyncio.sleep(0.05)
        return "finished"

    failing, finishing = thread.run_coroutine(fail()), thread.run_coroutine(finish())

    thread.join(LIMIT_IN_SECONDS)

    assert isinstance(failing.exception(0), ValueError)
    assert finishing.result(0) == "finished"


def test_coroutine_that_does_not_end_is_cancelled_and_logged(
    thread: AsyncEventLoopThread, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def for_ever() -> None:
        await asyncio.Event().wait()

    future = thread.run_coroutine(for_ever())
    started = time.monotonic()

    thread.join(0.05)

    assert time.monotonic() - started < LIMIT_IN_SECONDS
    assert not thread.is_alive()
    assert future.cancelled()
    assert "Cancelling 1 async task(s) that did not finish in time" in caplog.text


def test_coroutine_that_blocks_does_not_hold_up_the_shutdown_for_ever(
    thread: AsyncEventLoopThread, caplog: pytest.LogCaptureFixture
) -> None:
    started, release = threading.Event(), threading.Event()

    async def block() -> None:
        started.set()
        release.wait(LIMIT_IN_SECONDS)

    future = thread.run_coroutine(block())
    assert started.wait(LIMIT_IN_SECONDS)

    thread.join(0)

    assert thread.is_alive()
    assert "a coroutine blocks it without awaiting" in caplog.text
    release.set()
    future.result(LIMIT_IN_SECONDS)
    wait_until(lambda: not thread.is_alive())


def test_join_of_a_thread_that_was_never_needed_returns_at_once() -> None:
    AsyncEventLoopThread([]).join()


def test_coroutine_cannot_be_run_after_the_end() -> None:
    thread = AsyncEventLoopThread([])
    thread.run_coroutine(value(1)).result(LIMIT_IN_SECONDS)
    thread.join()
    too_late = value(2)

    with pytest.raises(RuntimeError, match="has been closed by its shutdown"):
        thread.run_coroutine(too_late)


def test_no_coroutine_is_lost_between_several_threads_and_the_end() -> None:
    thread = AsyncEventLoopThread([])
    futures: list[concurrent.futures.Future[int]] = []
    refused: list[BaseException] = []

    def run_until_refused() -> None:
        while True:
            try:
                futures.append(thread.run_coroutine(value(1)))
            except RuntimeError as error:
                refused.append(error)
                return

    others = [threading.Thread(target=run_until_refused) for _ in range(3)]
    for other in others:
        other.start()
    wait_until(lambda: len(futures) > 20)

    thread.join(0.05)

    for other in others:
        other.join(LIMIT_IN_SECONDS)
    assert len(refused) == 3
    done, not_done = concurrent.futures.wait(futures, LIMIT_IN_SECONDS)
    assert not not_done
    assert {future.result() for future in done if not future.cancelled()} == {1}


def test_life_of_the_loop_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pysoa.async")
    thread = AsyncEventLoopThread([])
    thread.run_coroutine(value(1)).result(LIMIT_IN_SECONDS)

    thread.join()

    assert [record.getMessage() for record in caplog.records if record.name == "pysoa.async"] == [
        "Starting async event loop thread",
        "Async event loop thread available and running",
        "Scheduling async event loop thread shutdown",
        "Stopping async event loop thread",
        "Completing uncompleted async tasks",
        "Closing async event loop",
    ]


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_coroutine_runs_in_a_forked_child_of_a_process_whose_loop_is_running(
    thread: AsyncEventLoopThread,
) -> None:
    thread.run_coroutine(value(1)).result(LIMIT_IN_SECONDS)
    reading, writing = os.pipe()

    child = os.fork()
    if child == 0:
        try:
            result = thread.run_coroutine(value(9)).result(LIMIT_IN_SECONDS)
            os.write(writing, str(result).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)

    assert answer == "9"
    assert thread.run_coroutine(value(2)).result(LIMIT_IN_SECONDS) == 2
