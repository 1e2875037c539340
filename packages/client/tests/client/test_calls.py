"""The ``call_*`` family: what is sent, returned and raised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pysoa.client.client import Client
from pysoa.client.errors import CallActionError, CallJobError, ImproperlyConfigured
from pysoa.common.serializer.errors import InvalidField
from pysoa.common.transport.errors import MessageReceiveTimeout, MessageSendError
from pysoa.common.types import ActionRequest, ActionResponse, JobResponse

if TYPE_CHECKING:  # a conftest cannot be imported
    from packages.client.tests.conftest import Broker

ACTION_ERROR = {"code": "NOPE", "message": "Not this"}
JOB_ERROR = {"code": "SERVER_ERROR", "message": "Broken"}


@pytest.fixture
def client(broker: Broker) -> Client:
    broker.on("echo", "fail", lambda _: {"errors": [ACTION_ERROR], "body": {"partly": True}})
    broker.on("echo", "break", lambda _: {"errors": [JOB_ERROR], "context": {}, "actions": []})
    broker.on("other", "echo", lambda body: body)
    return broker.client("echo", "other")


# What is sent


def test_request_has_the_form_of_1_4_9(client: Client, broker: Broker) -> None:
    client.call_action("echo", "echo", {"n": 1}, correlation_id="abc")

    (sent,) = broker.sent
    assert sent.meta == {"client_version": [1, 4, 9]}
    assert sent.message == {
        "control": {"continue_on_error": False, "suppress_response": False},
        "context": {"correlation_id": "abc", "switches": []},
        "actions": [{"action": "echo", "body": {"n": 1}}],
    }
    assert [*sent.message] == ["control", "context", "actions"]
    assert sent.expiry is None
    assert broker.receives == [("echo", None)]


def test_all_parts_of_a_request_arrive(broker: Broker) -> None:
    client = broker.client(context={"switches": [3], "caller": "me"})

    client.call_actions(
        "echo",
        [ActionRequest("echo", {"n": (1, 2)}), {"action": "echo"}],
        timeout=7,
        switches={9},
        continue_on_error=True,
        context={"extra": 1, "switches": [4]},
        control_extra={"k": 1},
    )

    (sent,) = broker.sent
    assert sent.message["control"] == {
        "continue_on_error": True,
        "suppress_response": False,
        "k": 1,
        "timeout": 7,
    }
    assert sorted(sent.message["context"].pop("switches")) == [3, 4, 9]
    assert len(sent.message["context"].pop("correlation_id")) == 32
    assert sent.message["context"] == {"caller": "me", "extra": 1}
    assert sent.message["actions"] == [
        {"action": "echo", "body": {"n": [1, 2]}},
        {"action": "echo", "body": {}},
    ]
    assert sent.expiry == 7
    assert broker.receives == [("echo", 7)]


def test_missing_body_is_empty_but_none_in_an_action_is_none(client: Client, broker: Broker) -> None:
    client.call_action("echo", "echo", None)
    client.send_request("echo", [{"action": "slow", "body": None}])

    assert [sent.body for sent in broker.sent] == [{}, None]


def test_later_changes_of_the_clients_context_are_seen(broker: Broker) -> None:
    context = {"tenant": "a"}
    client = broker.client(context=context)
    context["tenant"] = "b"

    client.call_action("echo", "echo")

    assert broker.sent[0].message["context"]["tenant"] == "b"


def test_request_ids_grow_by_one_also_when_sending_fails(client: Client, broker: Broker) -> None:
    first = client.send_request("echo", [{"action": "echo"}])
    broker.send_errors.append(MessageSendError("no"))
    with pytest.raises(MessageSendError):
        client.send_request("echo", [{"action": "echo"}])
    third = client.send_request("echo", [{"action": "echo"}])

    assert third == first + 2
    assert client.handlers["echo"].request_counter == third + 1
    assert 1 <= first <= 1_000_000


def test_client_version_can_be_patched(
    client: Client, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.handler_class, "_client_version", [0, 68, 0])

    client.call_action("echo", "echo")

    assert broker.sent[0].meta == {"client_version": [0, 68, 0]}


def test_meta_is_fresh_for_every_request(client: Client, broker: Broker) -> None:
    client.call_action("echo", "echo")
    broker.sent[0].meta["client_version"].append("changed")

    client.call_action("echo", "echo")

    assert broker.sent[1].meta == {"client_version": [1, 4, 9]}


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        pytest.param(None, "not iterable", id="none at all"),
        pytest.param([5], "must be a mapping, not int", id="a number"),
        pytest.param([{"action": "a", "z": 1}], "unexpected keyword argument 'z'", id="an unknown key"),
        pytest.param([{"body": None}], "missing 1 required positional argument: 'action'", id="no name"),
    ],
)
def test_malformed_actions_are_type_errors(
    client: Client, broker: Broker, actions: Any, message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        client.call_actions("echo", actions)

    assert broker.sent == []


def test_empty_action_list_is_sent(client: Client, broker: Broker) -> None:
    client.send_request("echo", [])

    assert broker.sent[0].message["actions"] == []


def test_unknown_service_is_reported_before_malformed_actions(client: Client) -> None:
    with pytest.raises(ImproperlyConfigured, match=r'^Unrecognized service name "nobody"') as caught:
        client.call_actions("nobody", [5])  # type: ignore[list-item]  # what callers do wrong

    assert "which has settings for: echo, other" in str(caught.value)


def test_service_name_must_be_text(client: Client) -> None:
    with pytest.raises(ValueError, match=r"^Called service name \"b'echo'\" must be unicode$"):
        client.call_action(b"echo", "echo")  # type: ignore[arg-type]  # what callers do wrong


def test_body_that_contains_itself_is_refused_by_name_and_not_sent(client: Client, broker: Broker) -> None:
    body: dict[str, Any] = {"a": {}}
    body["a"]["b"] = body

    with pytest.raises(InvalidField, match=r"actions\.0\.body\.a\.b.*service 'echo', action 'echo'"):
        client.call_action("echo", "echo", body)

    assert broker.sent == []
    assert client.call_action("echo", "echo", {"n": 1}).body == {"n": 1}


def test_d21_calls_refuse_to_suppress_their_response(client: Client, broker: Broker) -> None:
    extra = {"suppress_response": True}
    job = {"service_name": "echo", "actions": [{"action": "echo"}]}
    for call in (
        lambda: client.call_action("echo", "echo", control_extra=extra),
        lambda: client.call_actions("echo", [{"action": "echo"}], control_extra=extra),
        lambda: client.call_actions_parallel("echo", [{"action": "echo"}], control_extra=extra),
        lambda: client.call_jobs_parallel([job], control_extra=extra),
        lambda: client.call_action_future("echo", "echo", control_extra=extra),
        lambda: client.call_jobs_parallel_future([job], control_extra=extra),
    ):
        with pytest.raises(ValueError, match="control_extra contains 'suppress_response'"):
            call()

    assert broker.sent == []
    assert client.call_action("echo", "echo", control_extra={"suppress_response": False}).action == "echo"


def test_calls_have_no_argument_suppress_response(client: Client) -> None:
    with pytest.raises(TypeError, match="suppress_response"):
        client.call_action("echo", "echo", suppress_response=True)  # type: ignore[call-arg]  # on purpose


def test_d04_all_jobs_of_a_call_carry_the_switches_of_its_context(client: Client, broker: Broker) -> None:
    context = {"switches": [5], "color": "red"}

    list(client.call_actions_parallel("echo", [{"action": "echo"}] * 3, context=context))

    assert [sent.message["context"]["switches"] for sent in broker.sent] == [[5], [5], [5]]
    assert context == {"switches": [5], "color": "red"}


def test_d05_all_jobs_of_a_call_share_one_correlation_id(client: Client, broker: Broker) -> None:
    client.call_jobs_parallel(
        [{"service_name": name, "actions": [{"action": "echo"}]} for name in ("echo", "other", "echo")]
    )
    client.call_action("echo", "echo")

    ids = [sent.message["context"]["correlation_id"] for sent in broker.sent]
    assert ids[0] == ids[1] == ids[2] != ids[3]


def test_d05_none_in_the_clients_context_counts_as_absent(broker: Broker) -> None:
    client = broker.client(context={"correlation_id": None})

    client.call_action("echo", "echo")

    assert len(broker.sent[0].message["context"]["correlation_id"]) == 32


# What is returned and raised


def test_call_action_returns_the_action_response(client: Client) -> None:
    assert client.call_action("echo", "echo", {"n": 1}) == ActionResponse("echo", [], {"n": 1})


def test_call_actions_returns_the_job_response(client: Client) -> None:
    response = client.call_actions("echo", [{"action": "echo", "body": {"n": n}} for n in range(2)])

    assert response == JobResponse([], {}, [ActionResponse("echo", [], {"n": n}) for n in range(2)])


def test_call_actions_parallel_sends_a_job_per_action_and_yields_in_order(
    client: Client, broker: Broker
) -> None:
    def actions() -> Iterator[dict[str, Any]]:
        for number in range(3):
            yield {"action": "echo", "body": {"n": number}}

    responses = client.call_actions_parallel("echo", actions())

    assert [response.body for response in responses] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert [len(sent.actions) for sent in broker.sent] == [1, 1, 1]


def test_call_jobs_parallel_returns_in_the_order_of_the_jobs(client: Client) -> None:
    jobs = [
        {"service_name": name, "actions": [{"action": "echo", "body": {"n": n}}], "ignored": True}
        for n, name in enumerate(["echo", "other", "echo"])
    ]

    responses = client.call_jobs_parallel(iter(jobs))

    assert [response.actions[0].body for response in responses] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_no_jobs_give_no_responses(client: Client) -> None:
    assert client.call_jobs_parallel([]) == []
    assert list(client.call_actions_parallel("echo", [])) == []


@pytest.mark.parametrize("key", ["service_name", "actions"])
def test_job_without_a_key_is_a_key_error(client: Client, key: str) -> None:
    job = {"service_name": "echo", "actions": [{"action": "echo"}]}
    del job[key]

    with pytest.raises(KeyError, match=key):
        client.call_jobs_parallel([job])


def test_job_errors_are_raised_by_all_four(client: Client) -> None:
    job = {"service_name": "echo", "actions": [{"action": "break"}]}
    for call in (
        lambda: client.call_action("echo", "break"),
        lambda: client.call_actions("echo", [{"action": "break"}]),
        lambda: client.call_actions_parallel("echo", [{"action": "break"}]),
        lambda: client.call_jobs_parallel([job]),
    ):
        with pytest.raises(CallJobError) as caught:
            call()
        assert [error.code for error in caught.value.errors] == ["SERVER_ERROR"]
        assert "service 'echo', action 'break', request " in caught.value.__notes__[0]


def test_job_errors_are_returned_if_they_are_not_to_be_raised(client: Client) -> None:
    job = {"service_name": "echo", "actions": [{"action": "break"}]}
    action = {"action": "break"}

    from_action: Any = client.call_action("echo", "break", raise_job_errors=False)
    from_actions = client.call_actions("echo", [action], raise_job_errors=False)
    from_parallel: list[Any] = list(client.call_actions_parallel("echo", [action], raise_job_errors=False))
    from_jobs = client.call_jobs_parallel([job], raise_job_errors=False)

    assert from_action == from_actions.errors == from_parallel[0] == from_jobs[0].errors
    assert isinstance(from_action, list)


def test_action_errors_are_raised_by_all_four(client: Client) -> None:
    actions = [{"action": "echo"}, {"action": "fail"}]
    for call in (
        lambda: client.call_action("echo", "fail"),
        lambda: client.call_actions("echo", actions),
        lambda: client.call_actions_parallel("echo", actions),
        lambda: client.call_jobs_parallel([{"service_name": "echo", "actions": actions}]),
    ):
        with pytest.raises(CallActionError) as caught:
            call()
        assert [action.action for action in caught.value.actions] == ["fail"]
        assert "request " in caught.value.__notes__[0]


def test_action_errors_are_returned_if_they_are_not_to_be_raised(client: Client) -> None:
    response = client.call_action("echo", "fail", raise_action_errors=False)

    assert [error.code for error in response.errors] == ["NOPE"]
    assert response.body == {"partly": True}


def test_job_error_wins_over_action_error(broker: Broker, client: Client) -> None:
    action: dict[str, Any] = {"action": "both", "errors": [ACTION_ERROR], "body": {}}
    broker.on("echo", "both", lambda _: {"errors": [JOB_ERROR], "context": {}, "actions": [action]})

    with pytest.raises(CallJobError):
        client.call_action("echo", "both")


def test_first_job_with_a_problem_decides_what_is_raised(client: Client) -> None:
    jobs = [{"service_name": "echo", "actions": [{"action": name}]} for name in ("echo", "fail", "break")]

    with pytest.raises(CallActionError):
        client.call_jobs_parallel(jobs)


def test_subclass_chooses_what_is_raised(broker: Broker) -> None:
    class MyJobError(Exception):
        pass

    class MyActionError(Exception):
        pass

    class MyImproperlyConfigured(Exception):
        pass

    class MyClient(Client):
        JobError = MyJobError  # type: ignore[assignment]  # another class
        CallActionError = MyActionError  # type: ignore[assignment]
        ImproperlyConfigured = MyImproperlyConfigured  # type: ignore[assignment]

    broker.on("echo", "fail", lambda _: {"errors": [ACTION_ERROR]})
    broker.on("echo", "break", lambda _: {"errors": [JOB_ERROR], "context": {}, "actions": []})
    client = MyClient({"echo": broker.settings()})

    with pytest.raises(MyActionError):
        client.call_action("echo", "fail")
    with pytest.raises(MyJobError):
        client.call_action("echo", "break")
    with pytest.raises(MyImproperlyConfigured):
        client.call_action("nobody", "break")


# Transport errors


def test_transport_error_while_sending_is_raised_by_the_future_method(client: Client, broker: Broker) -> None:
    broker.send_errors.append(MessageSendError("no"))

    with pytest.raises(MessageSendError):
        client.call_action_future("echo", "echo")


def test_transport_errors_take_the_places_of_responses_if_caught(client: Client, broker: Broker) -> None:
    broker.send_errors.append(MessageSendError("not sent"))
    jobs = [
        {"service_name": "echo", "actions": [{"action": "echo"}]},
        {"service_name": "echo", "actions": [{"action": "slow"}]},
        {"service_name": "echo", "actions": [{"action": "slow"}]},
        {"service_name": "other", "actions": [{"action": "echo", "body": {"n": 3}}]},
    ]

    items: list[Any] = list(client.call_jobs_parallel(jobs, catch_transport_errors=True, timeout=0.05))

    assert isinstance(items[0], MessageSendError)
    assert isinstance(items[1], MessageReceiveTimeout)
    assert items[1] is items[2]
    assert items[3].actions[0].body == {"n": 3}
    assert str(items[1]).startswith(
        "No message received for service echo (service 'echo', action 'slow', requests"
    )


def test_transport_errors_are_items_of_parallel_actions_if_caught(client: Client) -> None:
    actions: list[dict[str, Any]] = [{"action": "slow"}, {"action": "echo", "body": {"n": 1}}]

    items: list[Any] = list(
        client.call_actions_parallel("echo", actions, catch_transport_errors=True, timeout=0.05)
    )

    assert isinstance(items[0], MessageReceiveTimeout)
    assert items[1].body == {"n": 1}


def test_response_that_came_before_the_deadline_counts_even_if_another_service_used_it_up(
    client: Client,
) -> None:
    jobs = [
        {"service_name": "other", "actions": [{"action": "slow"}]},
        *({"service_name": "echo", "actions": [{"action": "echo", "body": {"n": n}}]} for n in range(5)),
    ]

    items: list[Any] = list(client.call_jobs_parallel(jobs, catch_transport_errors=True, timeout=0.05))

    assert isinstance(items[0], MessageReceiveTimeout)
    assert [item.actions[0].body["n"] for item in items[1:]] == [0, 1, 2, 3, 4]


def test_serialization_errors_are_not_caught(client: Client, broker: Broker) -> None:
    broker.send_errors.append(InvalidField("Cannot encode this"))

    with pytest.raises(InvalidField, match=r"^Cannot encode this \(service 'echo', action 'echo', request"):
        client.call_actions_parallel("echo", [{"action": "echo"}], catch_transport_errors=True)


def test_time_out_says_what_was_called(client: Client) -> None:
    with pytest.raises(MessageReceiveTimeout) as caught:
        client.call_action("echo", "slow", timeout=0.05)

    request_id = client.handlers["echo"].request_counter - 1
    assert str(caught.value) == (
        "No message received for service echo "
        f"(service 'echo', action 'slow', request {request_id}, time limit 0.05 s)"
    )
    assert caught.value.__dict__["request_ids"] == (request_id,)
