"""Stubs answer calls of any client, and leave nothing behind."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pysoa.client.client import Client
from pysoa.client.errors import CallActionError, CallJobError, ImproperlyConfigured
from pysoa.common.errors import Error
from pysoa.common.transport.errors import (
    MessageReceiveError,
    MessageReceiveTimeout,
    MessageSendError,
    PySOATransportError,
)
from pysoa.common.types import ActionResponse, JobResponse
from pysoa.server.errors import ActionError, JobError
from pysoa.test.stub_service import stub_action


def originals() -> tuple[object, object]:
    return Client.send_request, Client.get_all_responses


# Answers


def test_a_service_that_no_client_knows_can_be_stubbed(nobody: Client) -> None:
    with stub_action("user", "get_user", body={"name": "John"}) as stub:
        response = nobody.call_action("user", "get_user", {"id": 1})

    assert response == ActionResponse("get_user", body={"name": "John"})
    assert stub.call_body == {"id": 1}


def test_a_stub_wins_over_the_action_of_a_real_service(client: Client, echo_calls: list[Any]) -> None:
    with stub_action("echo", "echo", body={"stubbed": True}):
        response = client.call_action("echo", "echo", {"a": 1})

    assert response.body == {"stubbed": True}
    assert echo_calls == []


def test_a_stub_without_answer_responds_with_an_empty_body(nobody: Client) -> None:
    with stub_action("user", "get_user") as stub:
        assert nobody.call_action("user", "get_user").body == {}

    assert stub.call_bodies == ({},)


@pytest.mark.parametrize(
    "errors",
    [
        pytest.param([{"code": "X", "message": "m", "field": "f"}], id="dictionaries"),
        pytest.param([Error(code="X", message="m", field="f")], id="objects"),
        pytest.param(iter([Error(code="X", message="m", field="f")]), id="an iterator"),
    ],
)
def test_errors_make_the_call_fail(nobody: Client, errors: Any) -> None:
    with stub_action("user", "get_user", errors=errors), pytest.raises(CallActionError) as raised:
        nobody.call_action("user", "get_user")

    assert raised.value.actions[0].errors == [Error(code="X", message="m", field="f", is_caller_error=False)]


def test_body_and_errors_may_come_together(nobody: Client) -> None:
    errors = [Error(code="X", message="m")]

    with stub_action("user", "get_user", body={"a": 1}, errors=errors):
        response = nobody.call_action("user", "get_user", raise_action_errors=False)

    assert (response.body, response.errors) == ({"a": 1}, errors)


def test_an_error_without_message_is_refused_when_the_stub_begins() -> None:
    stubbing = stub_action("user", "get_user", errors=[{"code": "X"}])

    with pytest.raises(TypeError):
        stubbing.start()

    assert not stubbing.enabled


def test_the_answer_can_be_set_after_the_stub_began(nobody: Client) -> None:
    with stub_action("user", "get_user") as stub:
        stub.return_value = {"name": "John"}

        assert nobody.call_action("user", "get_user").body == {"name": "John"}


@pytest.mark.parametrize("nothing", [None, {}, [], ()], ids=repr)
def test_an_empty_answer_is_none(nobody: Client, nothing: Any) -> None:
    with stub_action("user", "get_user", body=nothing, errors=nothing, side_effect=nothing):
        assert nobody.call_action("user", "get_user") == ActionResponse("get_user")


@pytest.mark.parametrize("names", [(b"user", "get_user"), ("user", 7)], ids=repr)
def test_names_that_are_no_text_are_refused(names: tuple[Any, Any]) -> None:
    with pytest.raises(AssertionError, match=r"Stubbed (service|action) name \".*\" must be unicode"):
        stub_action(*names)


@pytest.mark.parametrize(
    ("service", "actions", "text"),
    [
        (b"user", [{"action": "a"}], "Called service name \"b'user'\" must be unicode"),
        ("user", [{"action": 7}], 'Called action name "7" must be unicode'),
    ],
    ids=["service", "action"],
)
def test_calls_by_names_that_are_no_text_are_refused(
    nobody: Client, service: Any, actions: Any, text: str
) -> None:
    with stub_action("user", "a"), pytest.raises(AssertionError, match=text):
        nobody.send_request(service, actions)


def test_an_action_that_is_none_is_refused(nobody: Client) -> None:
    with stub_action("user", "a"):
        with pytest.raises(TypeError):
            nobody.send_request("user", [{"action": "a", "bodyy": {}}])
        with pytest.raises(KeyError):
            nobody.send_request("user", [{"body": {}}])


# What a stub returns or raises


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (ActionResponse("other", body={"a": 1}), ActionResponse("other", body={"a": 1})),
        (JobResponse(actions=[ActionResponse("x", body={"a": 1})]), ActionResponse("x", body={"a": 1})),
        ("text", ActionResponse("get_user")),
    ],
    ids=["action response", "job response", "anything else"],
)
def test_what_a_stub_returns_becomes_a_response(nobody: Client, result: Any, expected: Any) -> None:
    with stub_action("user", "get_user", side_effect=[result]):
        assert nobody.call_action("user", "get_user") == expected


def test_the_first_of_the_actions_in_a_job_response_is_used(nobody: Client) -> None:
    result = JobResponse(actions=[ActionResponse("x"), ActionResponse("y")])

    with stub_action("user", "get_user", side_effect=[result]):
        response = nobody.call_actions("user", [{"action": "get_user"}])

    assert response.actions == [ActionResponse("x")]


def test_an_action_error_is_the_callers_fault(nobody: Client) -> None:
    error = ActionError([Error(code="X", message="m")])

    with stub_action("user", "get_user", side_effect=error), pytest.raises(CallActionError) as raised:
        nobody.call_action("user", "get_user")

    assert raised.value.actions[0].errors == [Error(code="X", message="m", is_caller_error=True)]


def test_a_job_error_fails_the_job(nobody: Client) -> None:
    error = JobError([Error(code="X", message="m")])

    with stub_action("user", "get_user", side_effect=error), pytest.raises(CallJobError) as raised:
        nobody.call_action("user", "get_user")

    assert [each.code for each in raised.value.errors] == ["X"]


def test_a_job_response_without_actions_has_no_actions(nobody: Client) -> None:
    """T8: the job response does not take the place of an action response."""
    result = JobResponse(errors=[Error(code="X", message="m")])

    with stub_action("user", "get_user", side_effect=[result]):
        response = nobody.call_actions("user", [{"action": "get_user"}], raise_job_errors=False)

    assert response == JobResponse(errors=[Error(code="X", message="m")])


@pytest.mark.parametrize("error_class", [MessageReceiveTimeout, MessageReceiveError])
def test_errors_of_receiving_are_raised_when_the_response_is_received(
    nobody: Client, error_class: type[PySOATransportError]
) -> None:
    with stub_action("user", "get_user", side_effect=error_class("late")) as stub:
        future = nobody.call_action_future("user", "get_user")

        assert stub.call_count == 1
        with pytest.raises(error_class, match="late"):
            future.result()


@pytest.mark.parametrize("error", [MessageSendError("gone"), ValueError("broken")], ids=repr)
def test_all_other_errors_are_raised_when_the_request_is_sent(nobody: Client, error: Exception) -> None:
    with stub_action("user", "get_user", side_effect=error), pytest.raises(type(error)):
        nobody.call_action_future("user", "get_user")


def test_a_stubbed_time_out_comes_once(nobody: Client) -> None:
    with stub_action("user", "get_user", side_effect=MessageReceiveTimeout("late")):
        future = nobody.call_action_future("user", "get_user")
        with pytest.raises(MessageReceiveTimeout):
            future.result()

        with pytest.raises(Exception, match=r"Got unexpected response\(s\) with ID\(s\) \[\] for request"):
            future.result()


# Life


def test_nothing_is_left_when_a_stub_has_ended() -> None:
    before = originals()

    with stub_action("user", "get_user"):
        assert originals() != before

    assert originals() == before
    assert "send_request" not in vars(Client)


def test_a_stub_ends_with_an_exception_too(nobody: Client) -> None:
    before = originals()

    with pytest.raises(ZeroDivisionError), stub_action("user", "get_user"):
        _ = 1 / 0

    assert originals() == before


def test_start_and_stop_do_what_a_with_block_does(nobody: Client) -> None:
    stubbing = stub_action("user", "get_user", body={"a": 1})

    stub = stubbing.start()
    assert (stubbing.enabled, stubbing.is_local) == (True, True)
    assert nobody.call_action("user", "get_user").body == {"a": 1}
    assert stub.called
    stubbing.stop()

    assert (stubbing.enabled, stubbing.is_local) == (False, False)
    with pytest.raises(ImproperlyConfigured):
        nobody.call_action("user", "get_user")


def test_an_active_stub_stays_the_same_until_its_first_end() -> None:
    stubbing = stub_action("user", "get_user")

    first = stubbing.start()
    assert stubbing.start() is first
    stubbing.stop()
    assert not stubbing.enabled
    stubbing.stop()

    assert stubbing.start() is not first
    stubbing.stop()


def test_a_configured_stub_is_a_value_that_can_be_used_again(nobody: Client) -> None:
    stubbing = stub_action("user", "get_user", body={"a": 1})

    with stubbing as first:
        nobody.call_action("user", "get_user")
    with stubbing as second:
        assert nobody.call_action("user", "get_user").body == {"a": 1}

    assert (first.call_count, second.call_count) == (1, 1)


def test_stubs_may_end_in_any_order(nobody: Client) -> None:
    """T4: no stub takes another one away, and none comes back."""
    before = originals()
    first, second = stub_action("a", "x", body={"n": 1}), stub_action("a", "y", body={"n": 2})
    first.start()
    second.start()

    first.stop()

    assert nobody.call_action("a", "y").body == {"n": 2}
    with pytest.raises(ImproperlyConfigured):
        nobody.call_action("a", "x")
    second.stop()
    assert originals() == before


def test_the_stub_that_began_last_wins(nobody: Client) -> None:
    with stub_action("user", "get_user", body={"n": 1}) as outer:
        with stub_action("user", "get_user", body={"n": 2}):
            assert nobody.call_action("user", "get_user").body == {"n": 2}
        assert nobody.call_action("user", "get_user").body == {"n": 1}

    assert outer.call_count == 1


def test_a_replacement_by_a_test_may_lie_above_and_below_stubs(
    nobody: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    before = originals()
    below = Client.send_request

    def send_request(self: Client, service_name: str, actions: Any, *args: Any, **kwargs: Any) -> int:
        sent.append(service_name)
        return below(self, service_name, actions, *args, **kwargs)

    outer = stub_action("user", "a", body={"n": 1})
    outer.start()
    below = Client.send_request
    with monkeypatch.context() as patch:
        patch.setattr(Client, "send_request", send_request)
        with stub_action("user", "b", body={"n": 2}):
            assert nobody.call_action("user", "b").body == {"n": 2}
            assert sent == []
            assert nobody.call_action("user", "a").body == {"n": 1}
            assert sent == ["user"]
        outer.stop()
        assert sent == ["user"]

    with stub_action("user", "c"):
        pass  # has what could not be taken away taken away now
    assert originals() == before


def test_a_mock_in_place_of_a_method_gets_the_calls_that_no_stub_takes(
    nobody: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Recorder:
        """Like a mock, it is not bound to the client."""

        def __call__(self, *args: Any, **kwargs: Any) -> int:
            calls.append((args, kwargs))
            return 77

    calls: list[Any] = []
    monkeypatch.setattr(Client, "send_request", Recorder())

    with stub_action("user", "a"):
        request_id = nobody.send_request("user", [{"action": "b"}], continue_on_error=True)

    assert request_id == 77
    (service_name, actions), kwargs = calls[0]
    assert (service_name, actions[0].action, kwargs) == ("user", "b", {"continue_on_error": True})


# Beside stubs


def test_actions_that_are_not_stubbed_are_called_as_ever(client: Client) -> None:
    with stub_action("echo", "other"):
        assert client.call_action("echo", "echo", {"a": 1}).body == {"echo": {"a": 1}}


def test_a_failed_call_of_an_unknown_service_does_not_harm_its_stubs(nobody: Client) -> None:
    """T5: calls that are stubbed go on working."""
    with stub_action("user", "get_user", body={"a": 1}):
        with pytest.raises(ImproperlyConfigured, match='Unrecognized service name "user"'):
            nobody.call_action("user", "get_friends")

        assert nobody.call_action("user", "get_user").body == {"a": 1}


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"suppress_response": True}, id="as an argument"),
        pytest.param({"control_extra": {"suppress_response": True}}, id="in the control header"),
    ],
)
def test_a_request_without_response_leaves_no_response(nobody: Client, how: dict[str, Any]) -> None:
    """T7: later calls in parallel get what they asked for."""
    with stub_action("user", "get_user", side_effect=[{"n": 1}, {"n": 2}]) as stub:
        nobody.send_request("user", [{"action": "get_user"}], **how)

        assert list(nobody.get_all_responses("user")) == []
        jobs = nobody.call_jobs_parallel([{"service_name": "user", "actions": [{"action": "get_user"}]}])

    assert [job.actions[0].body for job in jobs] == [{"n": 2}]
    assert stub.call_count == 2


def test_ids_of_stubbed_requests_are_never_those_of_real_ones(client: Client) -> None:
    """T9: real ids are positive."""
    with stub_action("user", "get_user"):
        stubbed = [client.send_request("user", [{"action": "get_user"}]) for _ in range(3)]
        real = client.send_request("echo", [{"action": "echo"}])

    assert all(request_id <= 0 for request_id in stubbed)
    assert len(set(stubbed)) == 3
    assert real > 0


def test_a_positional_continue_on_error_counts_as_well(nobody: Client) -> None:
    with (
        stub_action("user", "a", errors=[Error(code="X", message="m")]),
        stub_action("user", "b", body={"n": 2}) as second,
    ):
        nobody.send_request("user", [{"action": "a"}, {"action": "b"}], None, None, True)

    assert second.called


def test_subclasses_of_the_client_are_stubbed_too() -> None:
    class MyClient(Client):
        """One that adds something to each request."""

        def send_request(self, service_name: str, actions: Any, *args: Any, **kwargs: Any) -> int:
            actions = [{"action": each.action, "body": {**each.body, "mine": 1}} for each in actions]
            return super().send_request(service_name, actions, *args, **kwargs)

    with stub_action("user", "get_user") as stub:
        MyClient({}).call_action("user", "get_user")

    assert stub.call_body == {"mine": 1}


def test_each_client_gets_its_own_responses() -> None:
    first, second = Client({}), Client({})

    with stub_action("user", "get_user", side_effect=[{"n": 1}, {"n": 2}]):
        first_id = first.send_request("user", [{"action": "get_user"}])
        second_id = second.send_request("user", [{"action": "get_user"}])

        responses = [list(client.get_all_responses("user")) for client in (second, first)]

    assert [(i, job.actions[0].body) for ((i, job),) in responses] == [
        (second_id, {"n": 2}),
        (first_id, {"n": 1}),
    ]


def test_stubs_serve_calls_in_many_threads_and_come_and_go_meanwhile() -> None:
    """T14: threads do not disturb each other."""
    before = originals()
    client = Client({})
    failures: list[object] = []

    def work(number: int) -> None:
        try:
            for turn in range(50):
                with stub_action(f"service {number}", "echo", side_effect=lambda body: dict(body)):
                    body = {"n": number, "turn": turn}
                    assert client.call_action(f"service {number}", "echo", body).body == body
                    assert client.call_action("shared", "echo", body).body == body
        except BaseException as error:
            failures.append(error)

    with stub_action("shared", "echo", side_effect=lambda body: dict(body)):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    assert not any(thread.is_alive() for thread in threads)
    assert failures == []
    assert originals() == before
