"""Deploys and crashes under load: no request that was taken is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pysoa.client.client import Client
from pysoa.common.transport.errors import MessageReceiveTimeout

if TYPE_CHECKING:
    from .conftest import Service


class Load:
    """Threads that call the service without a pause, and count."""

    def __init__(self, service: Service, threads: int, timeout: int = 10) -> None:
        self._service = service
        self._timeout = timeout
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.answered = 0
        self.lost: list[str] = []
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(threads)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each thread finish its call."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def wait_for_answers(self, count: int, timeout: float = 30.0) -> None:
        """Wait until so many more calls were answered."""
        until = self.answered + count
        deadline = time.monotonic() + timeout
        while self.answered < until:
            assert time.monotonic() < deadline, (self.answered, until, self.lost)
            time.sleep(0.01)

    def _call(self, thread: int) -> None:
        client = self._service.client()
        number = 0
        while not self._stop.is_set():
            number += 1
            body = {"thread": thread, "number": number}
            try:
                answer = client.call_action(self._service.name, "busy", body, timeout=self._timeout).body
            except MessageReceiveTimeout as error:
                with self._lock:
                    self.lost.append(f"{body}: {error}")
                continue
            with self._lock:
                self.answered += 1
                if answer != body:
                    self.lost.append(f"{body}: got {answer}")


def _collect_answers(client: Client, service_name: str) -> set[int]:
    """Receive what is there, until nothing more comes."""
    answered: set[int] = set()
    responses = client.get_all_responses(service_name, receive_timeout_in_seconds=1)
    with contextlib.suppress(MessageReceiveTimeout):
        for request_id, response in responses:
            assert response.errors == []
            answered.add(request_id)
    return answered


@pytest.fixture
def load(service: Service) -> Iterator[Load]:
    """Eight callers, started by the test."""
    load = Load(service, threads=8)
    yield load
    load.stop()


def test_every_request_taken_by_four_workers_is_answered_when_they_are_told_to_stop(
    service: Service,
) -> None:
    client = service.client()
    # Twelve seconds of work for four workers, of which they will do a little.
    jobs = [[{"action": "busy", "body": {"seconds": 0.05, "number": number}}] for number in range(1000)]
    sent = {client.send_request(service.name, job, message_expiry_in_seconds=60) for job in jobs}
    process = service.start_and_wait("--fork", "4", workers=4)
    answered: set[int] = set()
    for request_id, _ in client.get_all_responses(service.name, receive_timeout_in_seconds=10):
        answered.add(request_id)
        if len(answered) == 50:
            break

    exit_code = process.stop()
    answered |= _collect_answers(client, service.name)
    waiting = int(str(service.redis.execute("LLEN", f"pysoa:service.{service.name}")))

    assert exit_code == 0
    assert waiting > 0, "They were not stopped under load"
    assert len(answered) + waiting == len(sent)
    assert process.output.count("torn down") == 4


def test_rolling_restart_of_two_instances_loses_no_call(service: Service, load: Load) -> None:
    instances = [service.start_and_wait("--fork", "2", workers=2) for _ in range(2)]
    load.start()
    exit_codes: list[int] = []

    for _ in range(2):
        for place in range(2):
            load.wait_for_answers(50)
            exit_codes.append(instances[place].stop())
            instances[place] = service.start_and_wait("--fork", "2", workers=2)
    load.wait_for_answers(50)
    load.stop()

    assert load.lost == []
    assert exit_codes == [0, 0, 0, 0]
    assert [instance.stop() for instance in instances] == [0, 0]


def test_killed_worker_loses_at_most_the_calls_it_had_taken(service: Service) -> None:
    process = service.start_and_wait("--fork", "4", workers=4)
    load = Load(service, threads=8, timeout=3)
    load.start()
    load.wait_for_answers(50)

    os.kill(process.children()[0], signal.SIGKILL)
    process.wait_for_output("set up", count=5)
    load.wait_for_answers(50)
    load.stop()

    # It may have held one request, and the next one that it had asked for with its last response.
    assert len(load.lost) <= 2
    assert process.stop() == 0


def test_workers_of_a_killed_parent_finish_what_they_have_taken(service: Service) -> None:
    first = service.start_and_wait("--fork", "2", workers=2)
    second = service.start_and_wait("--fork", "2", workers=2)
    load = Load(service, threads=8)
    load.start()
    load.wait_for_answers(50)

    first.popen.kill()
    first.wait_for_output("torn down", count=2)
    load.wait_for_answers(50)
    load.stop()

    assert load.lost == []
    assert second.stop() == 0
