"""The service in processes of its own, on a real Redis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from library_service.service import LibraryServer
from pysoa.client.errors import CallActionError
from pysoa.common.types import JobResponse
from pysoa.test.running import ServiceProcess

SOLARIS = "978-0-15-602760-1"


def test_dates_arrive_as_dates(
    running_service: Callable[..., ServiceProcess], own_settings: dict[str, Any]
) -> None:
    library = running_service(LibraryServer, own_settings)

    assert library.call_action("get_book", {"isbn": SOLARIS}).body["book"]["published"].year == 1961


def test_the_last_copy_is_lent_once_only(
    running_service: Callable[..., ServiceProcess], own_settings: dict[str, Any]
) -> None:
    library = running_service(LibraryServer, own_settings, worker_count=2)
    requests = [{"action": "borrow_book", "body": {"isbn": SOLARIS, "member": str(n)}} for n in range(6)]

    responses = list(library.client.call_actions_parallel("library", requests, raise_action_errors=False))

    assert sorted(bool(response.errors) for response in responses) == [False, *[True] * 5]


def test_a_job_stops_at_its_first_error(
    running_service: Callable[..., ServiceProcess], own_settings: dict[str, Any]
) -> None:
    library = running_service(LibraryServer, own_settings)
    unknown = {"action": "get_book", "body": {"isbn": "978-3-16-148410-0"}}
    known = {"action": "get_book", "body": {"isbn": SOLARIS}}

    job = library.client.call_actions("library", [known, unknown, known], raise_action_errors=False)

    assert isinstance(job, JobResponse)
    assert [bool(response.errors) for response in job.actions] == [False, True]
    with pytest.raises(CallActionError, match="BOOK_NOT_FOUND"):
        library.client.call_actions("library", [unknown])
