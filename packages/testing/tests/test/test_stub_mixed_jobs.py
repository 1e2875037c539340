"""Jobs may mix stubbed actions with real ones, and calls of all styles may be stubbed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pysoa.client.client import Client
from pysoa.client.errors import CallJobError, ImproperlyConfigured, UnexpectedResponseError
from pysoa.common.errors import Error
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import JobResponse
from pysoa.server.errors import JobError
from pysoa.test.stub_service import stub_action

FAIL: dict[str, Any] = {"action": "fail", "body": {"errors": [{"code": "REAL", "message": "m"}]}}
ECHO: dict[str, Any] = {"action": "echo", "body": {"n": 0}}
A_AND_B: list[dict[str, Any]] = [{"action": "a"}, {"action": "b"}]
STUB_ERRORS = [Error(code="STUBBED", message="m")]


def outline(job: JobResponse) -> list[Any]:
    """Return the body of each action, or its error codes."""
    return [[error.code for error in each.errors] or each.body for each in job.actions]


def test_actions_of_several_stubs_and_a_real_service_are_merged_in_their_order(client: Client) -> None:
    actions = [{"action": name} for name in ("a", "echo", "b", "echo", "a")]

    with stub_action("echo", "a", side_effect=[{"a": 1}, {"a": 2}]), stub_action("echo", "b", {"b": 1}):
        job = client.call_actions("echo", actions)

    assert [each.action for each in job.actions] == ["a", "echo", "b", "echo", "a"]
    assert outline(job) == [{"a": 1}, {"echo": {}}, {"b": 1}, {"echo": {}}, {"a": 2}]


def test_the_context_of_the_real_response_is_kept(client: Client) -> None:
    with stub_action("echo", "a"):
        job = client.call_actions("echo", [{"action": "a"}, ECHO], correlation_id="mine")

    assert job.context == {"correlation_id": "mine"}


def test_the_job_ends_with_the_first_error_whosever_it_is(client: Client, echo_calls: list[Any]) -> None:
    with stub_action("echo", "a", errors=STUB_ERRORS), stub_action("echo", "b") as never:
        stub_first = client.call_actions("echo", [*A_AND_B, ECHO], raise_action_errors=False)
        real_first = client.call_actions("echo", [FAIL, *A_AND_B[:1]], raise_action_errors=False)

    assert outline(stub_first) == [["STUBBED"]]
    assert outline(real_first) == [["REAL"]]
    assert not never.called
    assert echo_calls == [{"n": 0}], "the real actions are executed first"


def test_with_continue_on_error_all_actions_answer(client: Client) -> None:
    actions = [{"action": "a"}, FAIL, {"action": "b"}, ECHO]

    with stub_action("echo", "a", errors=STUB_ERRORS), stub_action("echo", "b", {"b": 1}):
        job = client.call_actions("echo", actions, raise_action_errors=False, continue_on_error=True)

    assert outline(job) == [["STUBBED"], ["REAL"], {"b": 1}, {"echo": {"n": 0}}]


def test_job_errors_of_stubs_and_of_the_service_are_united(
    client: Client, errors_of: Callable[[Any], list[str]]
) -> None:
    with stub_action("echo", "a", side_effect=JobError(STUB_ERRORS)):
        stubbed = client.call_actions("echo", [ECHO, {"action": "a"}], raise_job_errors=False)
        both = client.call_actions("echo", [{"action": "fail_job"}, {"action": "a"}], raise_job_errors=False)

    assert (errors_of(stubbed), outline(stubbed)) == (["STUBBED"], [{"echo": {"n": 0}}])
    assert errors_of(both) == ["NO_JOB", "STUBBED"]


def test_a_job_error_ends_the_job_even_with_continue_on_error(client: Client) -> None:
    with (
        stub_action("echo", "a", side_effect=JobError(STUB_ERRORS)),
        stub_action("echo", "b") as never,
        pytest.raises(CallJobError),
    ):
        client.call_actions("echo", [{"action": "a"}, {"action": "b"}], continue_on_error=True)

    assert not never.called


def test_a_stubbed_time_out_replaces_the_response_of_a_mixed_job(client: Client) -> None:
    with stub_action("echo", "a", side_effect=[MessageReceiveTimeout("late"), {"n": 1}]):
        with pytest.raises(MessageReceiveTimeout, match="late"):
            client.call_actions("echo", [ECHO, {"action": "a"}])

        assert outline(client.call_actions("echo", [ECHO, {"action": "a"}])) == [{"echo": {"n": 0}}, {"n": 1}]


def test_a_stub_that_breaks_leaves_nothing_of_the_mixed_job(client: Client) -> None:
    """T6: later calls get their own responses."""
    with stub_action("echo", "a", side_effect=[ValueError("broken"), {"n": 1}]):
        with pytest.raises(ValueError, match="broken"):
            client.call_actions("echo", [ECHO, {"action": "a"}])

        assert list(client.get_all_responses("echo")) == []
        jobs = client.call_jobs_parallel(
            [{"service_name": "echo", "actions": [ECHO, {"action": "a"}]} for _ in range(1)]
        )

    assert outline(jobs[0]) == [{"echo": {"n": 0}}, {"n": 1}]
    assert list(client.get_all_responses("echo")) == []


def test_a_mixed_job_without_response_leaves_no_response(client: Client, echo_calls: list[Any]) -> None:
    with stub_action("echo", "a") as stub:
        client.send_request("echo", [ECHO, {"action": "a"}], suppress_response=True)

        assert list(client.get_all_responses("echo")) == []

    assert stub.called
    assert echo_calls == [{"n": 0}]


# Styles of calling


def test_several_actions_at_once(nobody: Client) -> None:
    with stub_action("user", "a", side_effect=lambda body: {"n": body["n"] + 1}):
        job = nobody.call_actions("user", [{"action": "a", "body": {"n": n}} for n in range(3)])

    assert outline(job) == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_actions_in_parallel(client: Client) -> None:
    with stub_action("echo", "a", side_effect=lambda body: {"n": body["n"] + 1}):
        actions = [{"action": "a", "body": {"n": 0}}, ECHO, {"action": "a", "body": {"n": 2}}]
        responses = list(client.call_actions_parallel("echo", actions))

    assert [response.body for response in responses] == [{"n": 1}, {"echo": {"n": 0}}, {"n": 3}]


def test_jobs_in_parallel(client: Client) -> None:
    with stub_action("user", "a", {"n": 1}), stub_action("echo", "b", {"n": 2}):
        jobs = client.call_jobs_parallel(
            [
                {"service_name": "echo", "actions": [{"action": "b"}, ECHO]},
                {"service_name": "user", "actions": [{"action": "a"}]},
                {"service_name": "echo", "actions": [ECHO]},
            ]
        )

    assert [outline(job) for job in jobs] == [
        [{"n": 2}, {"echo": {"n": 0}}],
        [{"n": 1}],
        [{"echo": {"n": 0}}],
    ]


def test_jobs_after_one_that_timed_out_are_reported_as_timed_out(nobody: Client) -> None:
    job = {"service_name": "user", "actions": [{"action": "a"}]}

    with stub_action("user", "a", side_effect=[{"n": 1}, MessageReceiveTimeout("late"), {"n": 3}]):
        jobs: list[Any] = nobody.call_jobs_parallel([job, job, job], catch_transport_errors=True)

    assert outline(jobs[0]) == [{"n": 1}]
    assert [type(each) for each in jobs[1:]] == [MessageReceiveTimeout, MessageReceiveTimeout]


def test_futures_call_the_stub_at_once_and_have_their_results_in_any_order(nobody: Client) -> None:
    with stub_action("user", "a", side_effect=[{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}]) as stub:
        one = nobody.call_action_future("user", "a")
        several = nobody.call_actions_future("user", [{"action": "a"}, {"action": "a"}])
        parallel = nobody.call_actions_parallel_future("user", [{"action": "a"}])

        assert stub.call_count == 4
        assert [response.body for response in parallel.result()] == [{"n": 4}]
        assert one.result().body == {"n": 1}
        assert outline(several.result()) == [{"n": 2}, {"n": 3}]


def test_a_future_outlives_its_stub_only_while_another_one_is_active(nobody: Client) -> None:
    with stub_action("user", "b"):
        with stub_action("user", "a", {"n": 1}):
            future = nobody.call_action_future("user", "a")
            late = nobody.call_action_future("user", "a")

        assert future.result().body == {"n": 1}

    with pytest.raises((ImproperlyConfigured, UnexpectedResponseError)):
        late.result()


def test_a_real_future_from_before_the_stub_has_its_result_within_it(client: Client) -> None:
    future = client.call_action_future("echo", "echo", {"n": 1})

    with stub_action("echo", "echo", {"n": 2}):
        assert future.result().body == {"echo": {"n": 1}}


def test_expansions_may_be_stubbed() -> None:
    client = Client(
        {},
        expansion_config={
            "type_routes": {
                "author": {
                    "service": "authors",
                    "action": "get_authors",
                    "request_field": "ids",
                    "response_field": "authors",
                }
            },
            "type_expansions": {
                "book": {
                    "author_rule": {
                        "type": "author",
                        "route": "author",
                        "source_field": "author_id",
                        "destination_field": "author",
                    }
                }
            },
        },
    )
    book = {"_type": "book", "author_id": "7"}
    authors = {"authors": {"7": {"_type": "author", "name": "Lem"}}}

    with (
        stub_action("books", "get_book", {"book": book}),
        stub_action("authors", "get_authors", authors) as get_authors,
    ):
        body = client.call_action("books", "get_book", expansions={"book": ["author_rule"]}).body

    assert body["book"]["author"]["name"] == "Lem"
    assert get_authors.call_count == 1


def test_closing_the_responses_early_loses_only_what_was_taken(nobody: Client) -> None:
    with stub_action("user", "a", side_effect=[{"n": 1}, {"n": 2}]):
        for _ in range(2):
            nobody.send_request("user", [{"action": "a"}])
        responses = nobody.get_all_responses("user")
        first = next(responses)
        responses.close()

        (second,) = nobody.get_all_responses("user")

    assert (outline(first[1]), outline(second[1])) == ([{"n": 1}], [{"n": 2}])
