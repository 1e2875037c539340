from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pysoa.common._log_context import request_contexts
from pysoa.common.logging import PySOALogContextFilter


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    yield

    assert PySOALogContextFilter.get_logging_request_context() is None
    assert PySOALogContextFilter.get_logging_action_name() is None


def _attributes_of_record() -> dict[str, Any]:
    record = logging.LogRecord("name", logging.INFO, "path", 1, "message", (), None)

    assert PySOALogContextFilter().filter(record) is True

    names = ("correlation_id", "request_id", "service_name", "action_name")
    return {name: getattr(record, name) for name in names}


def test_record_outside_of_a_request_shows_placeholders() -> None:
    assert _attributes_of_record() == {
        "correlation_id": "--",
        "request_id": "--",
        "service_name": "unknown",
        "action_name": "(n/a)",
    }


def test_record_shows_the_current_request_and_action() -> None:
    PySOALogContextFilter.set_logging_request_context(correlation_id="c", request_id=7, other=1)
    PySOALogContextFilter.set_logging_action_name("status")

    attributes = _attributes_of_record()

    PySOALogContextFilter.clear_logging_request_context()
    PySOALogContextFilter.clear_logging_action_name()
    assert attributes["correlation_id"] == "c"
    assert attributes["request_id"] == 7
    assert attributes["action_name"] == "status"


@pytest.mark.parametrize("value", [0, "", None], ids=["zero", "empty", "none"])
def test_false_ids_show_as_placeholders(value: object) -> None:
    PySOALogContextFilter.set_logging_request_context(correlation_id=value, request_id=value)

    attributes = _attributes_of_record()

    PySOALogContextFilter.clear_logging_request_context()
    assert attributes["correlation_id"] == attributes["request_id"] == "--"


def test_service_name_is_the_same_in_every_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PySOALogContextFilter, "_service_name", None)
    PySOALogContextFilter.set_service_name("user")
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append(_attributes_of_record()["service_name"]))

    thread.start()
    thread.join(10)

    assert seen == ["user"]


def test_contexts_nest() -> None:
    PySOALogContextFilter.set_logging_request_context(correlation_id="outer")
    PySOALogContextFilter.set_logging_request_context(correlation_id="inner")
    inner = PySOALogContextFilter.get_logging_request_context()
    PySOALogContextFilter.clear_logging_request_context()
    outer = PySOALogContextFilter.get_logging_request_context()
    PySOALogContextFilter.clear_logging_request_context()

    assert (inner, outer) == ({"correlation_id": "inner"}, {"correlation_id": "outer"})


def test_action_names_nest() -> None:
    PySOALogContextFilter.set_logging_action_name("outer")
    PySOALogContextFilter.set_logging_action_name("inner")
    inner = PySOALogContextFilter.get_logging_action_name()
    PySOALogContextFilter.clear_logging_action_name()
    outer = PySOALogContextFilter.get_logging_action_name()
    PySOALogContextFilter.clear_logging_action_name()

    assert (inner, outer) == ("inner", "outer")


def test_clearing_too_often_does_nothing() -> None:
    PySOALogContextFilter.clear_logging_request_context()
    PySOALogContextFilter.clear_logging_action_name()


def test_context_keys_that_are_names_of_parameters_break_nothing() -> None:
    context = {"cls": 1, "self": 2, "request_id": 3, "context": 4}

    PySOALogContextFilter.set_logging_request_context(**context)

    current = PySOALogContextFilter.get_logging_request_context()
    PySOALogContextFilter.clear_logging_request_context()
    assert current == context


def test_context_keys_that_are_no_strings_break_nothing() -> None:
    context: dict[Any, Any] = {b"bytes": 1, 2: 3, "request_id": 9}
    token = request_contexts.set((context,))

    attributes = _attributes_of_record()

    request_contexts.reset(token)
    assert attributes["request_id"] == 9


def test_later_changes_of_a_mapping_do_not_reach_the_log() -> None:
    context = {"correlation_id": "first"}
    PySOALogContextFilter.set_logging_request_context(**context)
    context["correlation_id"] = "second"

    attributes = _attributes_of_record()

    PySOALogContextFilter.clear_logging_request_context()
    assert attributes["correlation_id"] == "first"


def test_new_threads_start_without_context() -> None:
    PySOALogContextFilter.set_logging_request_context(correlation_id="here")
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(PySOALogContextFilter.get_logging_request_context()))

    thread.start()
    thread.join(10)

    PySOALogContextFilter.clear_logging_request_context()
    assert seen == [None]


def test_each_of_several_concurrent_tasks_logs_its_own_ids() -> None:
    async def handle(identity: int, everyone_has_pushed: asyncio.Barrier) -> tuple[object, object]:
        PySOALogContextFilter.set_logging_request_context(request_id=identity)
        PySOALogContextFilter.set_logging_action_name(f"action-{identity}")
        await everyone_has_pushed.wait()
        attributes = _attributes_of_record()
        await everyone_has_pushed.wait()
        PySOALogContextFilter.clear_logging_request_context()
        PySOALogContextFilter.clear_logging_action_name()
        return attributes["request_id"], attributes["action_name"]

    async def main() -> list[tuple[object, object]]:
        PySOALogContextFilter.set_logging_request_context(request_id="parent")
        barrier = asyncio.Barrier(3)
        return await asyncio.gather(*(handle(identity, barrier) for identity in (1, 2, 3)))

    seen = asyncio.run(main())

    assert seen == [(1, "action-1"), (2, "action-2"), (3, "action-3")]


def test_coroutine_that_outlives_its_job_keeps_the_correlation_id() -> None:
    async def job() -> str:
        PySOALogContextFilter.set_logging_request_context(correlation_id="of the job")
        job_has_ended = asyncio.Event()

        async def outliving() -> str:
            await job_has_ended.wait()
            return str(_attributes_of_record()["correlation_id"])

        task = asyncio.create_task(outliving())
        PySOALogContextFilter.clear_logging_request_context()
        job_has_ended.set()
        return await task

    assert asyncio.run(job()) == "of the job"
