"""What users rely on, with a real service, in the same process and behind a real Redis."""

from __future__ import annotations

import gc
import importlib.util
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from pysoa.client.client import Client
from pysoa.client.errors import CallActionError
from pysoa.common.serializer.errors import InvalidField
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.test.redis_server import RedisServer

SCRIPT = Path(__file__).with_name("acceptance_service.py")
SERVICE = "acceptance"
Body = dict[str, Any]

# Name, type, route and strictness of the expansions of each type.
EXPANSIONS: dict[str, list[tuple[str, str | None, str, bool]]] = {
    "track": [
        ("artist", "artist", "artist", False),
        ("producer", "artist", "artist", False),
        ("label", None, "label", True),
    ],
    "artist": [("label", "label", "label", False), ("mentor", "artist", "artist", False)],
}
EXPANSION_CONFIG: Body = {
    "type_routes": {
        noun: {
            "service": SERVICE,
            "action": f"fetch_{noun}s",
            "request_field": f"{noun}_ids",
            "response_field": f"{noun}s",
        }
        for noun in ("artist", "label")
    },
    "type_expansions": {
        kind: {
            name: {
                "type": target,
                "route": route,
                "source_field": f"{name}_id",
                "destination_field": name,
                "raise_action_errors": strict,
            }
            for name, target, route, strict in expansions
        }
        for kind, expansions in EXPANSIONS.items()
    },
}


def redis_config(server: RedisServer) -> Body:
    kwargs = {
        "backend_type": "redis.standard",
        "backend_layer_kwargs": {"hosts": [(server.host, server.port)]},
    }
    return {SERVICE: {"transport": {"kwargs": kwargs}}}


@contextmanager
def workers(server: RedisServer, count: int) -> Generator[None]:
    """Serve from so many processes."""
    command = [sys.executable, str(SCRIPT), str(server.host), str(server.port)]
    processes = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)


@pytest.fixture(scope="module")
def served_redis(redis_server: RedisServer) -> Iterator[RedisServer]:
    """A Redis server with two workers."""
    redis_server.execute("FLUSHALL")
    with workers(redis_server, 2):
        client = Client(redis_config(redis_server))
        deadline = time.monotonic() + 60
        processes: set[int] = set()
        while len(processes) < 2:
            assert time.monotonic() < deadline, "the workers do not answer"
            try:
                processes.add(client.call_action(SERVICE, "context", timeout=1).body["process"])
            except MessageReceiveTimeout:
                continue
        yield redis_server


@pytest.fixture
def redis_client(served_redis: RedisServer) -> Client:
    return Client(redis_config(served_redis), EXPANSION_CONFIG)


@pytest.fixture
def local_client() -> Client:
    specification = importlib.util.spec_from_file_location("acceptance_service", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    transport: Body = {
        "path": "pysoa.common.transport.local:LocalClientTransport",
        "kwargs": {"server_class": vars(module)["AcceptanceServer"], "server_settings": {}},
    }
    return Client({SERVICE: {"transport": transport}}, EXPANSION_CONFIG)


@pytest.fixture(params=["local", "redis"])
def client(request: pytest.FixtureRequest) -> Client:
    found: Client = request.getfixturevalue(f"{request.param}_client")
    return found


# Over both transports


def test_two_futures_resolve_in_reverse_order(client: Client) -> None:
    first = client.call_action_future(SERVICE, "echo", {"n": 1})
    second = client.call_action_future(SERVICE, "echo", {"n": 2})

    assert second.result(10).body == {"n": 2}
    assert first.result(10).body == {"n": 1}


def test_blocking_call_between_a_futures_send_and_its_result(client: Client) -> None:
    future = client.call_action_future(SERVICE, "echo", {"n": 1})

    assert client.call_action(SERVICE, "echo", {"n": 2}, timeout=10).body == {"n": 2}
    assert future.result(10).body == {"n": 1}


def test_suppressed_response_does_not_disturb_the_next_call(client: Client) -> None:
    client.send_request(SERVICE, [{"action": "echo"}], suppress_response=True)

    started = time.monotonic()
    assert client.call_action(SERVICE, "echo", {"n": 1}, timeout=10).body == {"n": 1}
    assert list(client.get_all_responses(SERVICE)) == []
    assert time.monotonic() - started < 5


def test_4_threads_of_100_calls_on_one_client(client: Client) -> None:
    call_in_threads(client, 4, 100)


def test_fraction_of_a_second_as_time_limit(client: Client) -> None:
    assert client.call_action(SERVICE, "echo", {"n": 1}, timeout=9.5).body == {"n": 1}
    request_id = client.send_request(SERVICE, [{"action": "echo"}], message_expiry_in_seconds=9.5)
    assert [i for i, _ in client.get_all_responses(SERVICE, receive_timeout_in_seconds=9.5)] == [request_id]


def test_parallel_jobs_carry_the_switches_of_the_call_and_one_correlation_id(client: Client) -> None:
    context = {"switches": [5]}

    responses = list(
        client.call_actions_parallel(
            SERVICE, [{"action": "context"}] * 4, switches={6}, context=context, timeout=10
        )
    )

    assert [response.body["switches"] for response in responses] == [[5, 6]] * 4
    assert len({response.body["correlation_id"] for response in responses}) == 1
    assert context == {"switches": [5]}


def test_expansions_e1_to_e4(client: Client) -> None:
    def expand(body: Body, expansions: dict[str, list[str]]) -> Body:
        return client.call_action(SERVICE, "echo", body, expansions=expansions, timeout=10).body

    e1 = expand({"ts": [track(artist_id=i) for i in (1, 1, 9, 0)]}, {"track": ["artist"]})
    e2 = expand({"t": track(artist_id=1, producer_id=2)}, {"track": ["artist.label", "producer"]})
    e3 = expand({"t": track(artist_id=1)}, {"track": ["artist"], "artist": ["mentor"]})
    e4 = expand({"ts": [track(artist_id=i) for i in (1, 2, 4)]}, {"track": ["artist.mentor"]})

    assert [("artist" in item) for item in e1["ts"]] == [True, True, False, False]
    assert e1["ts"][0]["artist"] is e1["ts"][1]["artist"]
    assert e2["t"]["artist"]["label"] == {"_type": "label", "id": 70}
    assert "label" not in e2["t"]["producer"]
    assert e3["t"]["artist"]["mentor"]["id"] == 2
    assert "mentor" not in e3["t"]["artist"]["mentor"]
    assert [("mentor" in item["artist"]) for item in e4["ts"]] == [False, False, True]


def test_expansion_e5_strict_error(client: Client) -> None:
    body = {"ts": [track(label_id=70), track(label_id=71)]}

    with pytest.raises(CallActionError) as caught:
        client.call_action(SERVICE, "echo", body, expansions={"track": ["label"]}, timeout=10)

    assert [action.errors[0].code for action in caught.value.actions] == ["NOPE"]


def test_expansion_e6_lenient_error(client: Client) -> None:
    body = {"a": {"_type": "artist", "label_id": 71}}

    expanded = client.call_action(SERVICE, "echo", body, expansions={"artist": ["label"]}, timeout=10).body

    assert expanded == body


def test_call_from_another_thread_than_the_future(client: Client) -> None:
    future = client.call_action_future(SERVICE, "echo", {"n": 1})
    bodies: list[Body] = []

    run_all([lambda: bodies.append(future.result(10).body)])

    assert bodies == [{"n": 1}]


# Over Redis


@pytest.mark.timeout(300)
def test_16_threads_of_500_calls_get_8000_right_answers(redis_client: Client) -> None:
    call_in_threads(redis_client, 16, 500)


def test_late_answer_that_arrives_during_the_next_call_is_dropped(redis_client: Client) -> None:
    with pytest.raises(MessageReceiveTimeout, match="action 'wait', request"):
        redis_client.call_action_future(SERVICE, "wait", {"seconds": 0.2}).result(timeout=0.05)

    responses = [
        redis_client.call_action(SERVICE, "wait", {"seconds": 0.05, "n": n}, timeout=10).body["n"]
        for n in range(8)
    ]

    assert responses == list(range(8))
    assert list(redis_client.get_all_responses(SERVICE)) == []


def test_half_a_second_as_time_limit_ends_after_half_a_second(redis_client: Client) -> None:
    started = time.monotonic()
    with pytest.raises(MessageReceiveTimeout, match=r"time limit 0\.5 s"):
        redis_client.call_action(SERVICE, "wait", {"seconds": 1}, timeout=0.5)

    assert 0.5 <= time.monotonic() - started < 1
    assert redis_client.call_action(SERVICE, "echo", {"n": 1}, timeout=10).body == {"n": 1}


def test_6_parallel_answers_of_2_megabytes_in_chunks_from_2_workers(redis_client: Client) -> None:
    actions = [{"action": "big", "body": {"n": n, "size": 2_000_000}} for n in range(6)]

    responses = list(redis_client.call_actions_parallel(SERVICE, actions, timeout=30))

    assert [response.body for response in responses] == [
        {"n": n, "data": bytes([n]) * 2_000_000} for n in range(6)
    ]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        pytest.param({"a": {"b": [1, object()]}}, r"actions\.0\.body\.a\.b\.1", id="unsupported value"),
        pytest.param({"a": 2**70}, r"actions\.0\.body\.a", id="integer beyond 64 bits"),
    ],
)
def test_request_that_cannot_be_sent_names_the_path_and_sends_nothing(
    redis_client: Client, served_redis: RedisServer, body: Body, path: str
) -> None:
    with pytest.raises(InvalidField, match=path):
        redis_client.call_action(SERVICE, "echo", body)

    assert redis_client.call_action(SERVICE, "echo", {"n": 1}, timeout=10).body == {"n": 1}


def test_request_that_contains_itself_is_refused(redis_client: Client) -> None:
    body: Body = {"a": {}}
    body["a"]["again"] = body

    with pytest.raises(InvalidField, match=r"actions\.0\.body\.a\.again"):
        redis_client.call_action(SERVICE, "echo", body)

    assert redis_client.call_action(SERVICE, "echo", {"n": 1}, timeout=10).body == {"n": 1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_parent_and_child_use_one_client_at_once(redis_client: Client) -> None:
    redis_client.call_action(SERVICE, "echo", {"n": 0}, timeout=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12, about threads in the parent
        child = os.fork()
    if child == 0:
        try:
            call_many(redis_client, "child", 300)
        except BaseException:
            os._exit(1)
        os._exit(0)

    call_many(redis_client, "parent", 300)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.timeout(300)
def test_5000_time_outs_leave_memory_flat_and_their_late_answers_are_dropped() -> None:
    with RedisServer() as server:
        # Redis looks for time-outs of blocked clients so many times a second.
        server.execute("CONFIG", "SET", "hz", "500")
        client = Client(redis_config(server))

        def time_out(count: int) -> None:
            for number in range(count):
                with pytest.raises(MessageReceiveTimeout):
                    client.call_action_future(SERVICE, "echo", {"late": number}).result(timeout=0.0005)

        time_out(500)
        gc.collect()
        before = psutil.Process().memory_info().rss
        time_out(5_000)
        gc.collect()
        growth = psutil.Process().memory_info().rss - before

        assert growth < 5_000_000
        assert len(vars(client.handlers[SERVICE].exchange)["_ledger"]) < 3
        with workers(server, 1):
            for number in range(20):
                assert client.call_action(SERVICE, "echo", {"n": number}, timeout=60).body == {"n": number}
            assert list(client.get_all_responses(SERVICE)) == []


# Helpers


def track(**fields: Any) -> Body:
    return {"_type": "track", **fields}


def call_many(client: Client, name: str, count: int) -> None:
    for number in range(count):
        body = {"name": name, "number": number, "random": random.random()}
        assert client.call_action(SERVICE, "echo", body, timeout=60).body == body


def call_in_threads(client: Client, threads: int, count: int) -> None:
    run_all([lambda name=f"thread {n}": call_many(client, name, count) for n in range(threads)])  # type: ignore[misc]


def run_all(functions: list[Callable[[], object]]) -> None:
    errors: list[BaseException] = []

    def run(function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    running = [threading.Thread(target=run, args=(function,), daemon=True) for function in functions]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(200)
    assert not any(thread.is_alive() for thread in running), "a thread waits for ever"
    if errors:
        raise errors[0]


def test_slow_call_in_another_thread_holds_up_no_quick_ones(redis_client: Client) -> None:
    redis_client.call_action(SERVICE, "echo")
    slow = threading.Thread(
        target=redis_client.call_action, args=(SERVICE, "wait", {"seconds": 2}), kwargs={"timeout": 20}
    )
    longest_s = 0.0

    slow.start()
    calls = 0
    while slow.is_alive() and calls < 200:
        started = time.monotonic()
        assert redis_client.call_action(SERVICE, "echo", {"n": calls}, timeout=20).body == {"n": calls}
        longest_s = max(longest_s, time.monotonic() - started)
        calls += 1
    slow.join(20)

    assert longest_s < 1.5
