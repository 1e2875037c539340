"""Subclasses override the public methods, and tests replace them: all calls then go through these."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from pysoa.client.client import Client, FutureSOAResponse, ServiceHandler
from pysoa.client.errors import ImproperlyConfigured, UnexpectedResponseError
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import ActionResponse, JobRequest, JobResponse

if TYPE_CHECKING:  # a conftest cannot be imported
    from packages.client.tests.conftest import Broker


class Stub:
    """Replaces both methods on the class, as ``stub_action`` does, for services configured nowhere."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests: list[tuple[str, Any, dict[str, Any]]] = []
        self.responses: list[tuple[int, JobResponse | Exception]] = []
        self.next_id = 0
        stub = self

        def send_request(client: Client, service_name: str, actions: Any, *args: Any, **kwargs: Any) -> int:
            assert not args
            stub.requests.append((service_name, actions, kwargs))
            request_id, stub.next_id = stub.next_id, stub.next_id + 1
            names = [getattr(action, "action", None) or action["action"] for action in actions]
            answers = [ActionResponse(name, body={"id": request_id}) for name in names]
            stub.responses.append((request_id, JobResponse(actions=answers)))
            return request_id

        def get_all_responses(
            client: Client, service_name: str, *args: Any, **kwargs: Any
        ) -> Generator[tuple[int, JobResponse], None, None]:
            assert not args
            assert list(kwargs) == ["receive_timeout_in_seconds"]
            while stub.responses:
                request_id, response = stub.responses.pop(0)
                if isinstance(response, Exception):
                    raise response
                yield request_id, response

        monkeypatch.setattr(Client, "send_request", send_request)
        monkeypatch.setattr(Client, "get_all_responses", get_all_responses)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Stub:
    return Stub(monkeypatch)


def test_stubs_serve_services_that_are_configured_nowhere(stub: Stub) -> None:
    client = Client({})

    response = client.call_action("anything", "act", {"n": 1}, timeout=3, context={"c": 1})

    assert response.body == {"id": 0}
    ((service_name, actions, kwargs),) = stub.requests
    assert service_name == "anything"
    assert [(action.action, action.body) for action in actions] == [("act", {"n": 1})]
    assert kwargs == {
        "switches": None,
        "correlation_id": None,
        "continue_on_error": False,
        "context": {"c": 1},
        "control_extra": None,
        "message_expiry_in_seconds": 3,
    }


def test_stubs_serve_all_ways_to_call(stub: Stub) -> None:
    client = Client({})
    action = {"action": "act"}

    assert client.call_action("s", "act").body == {"id": 0}
    assert client.call_actions("s", [action]).actions[0].body == {"id": 1}
    assert [r.body for r in client.call_actions_parallel("s", [action] * 3)] == [
        {"id": 2},
        {"id": 3},
        {"id": 4},
    ]
    jobs = [{"service_name": name, "actions": [action]} for name in ("s", "s")]
    assert [r.actions[0].body for r in client.call_jobs_parallel(jobs)] == [{"id": 5}, {"id": 6}]
    assert client.call_action_future("s", "act").result().body == {"id": 7}


def test_futures_under_stubs_resolve_in_any_order(stub: Stub) -> None:
    client = Client({})
    first, second = (client.call_action_future("s", "act") for _ in range(2))

    assert second.result().body == {"id": 1}
    assert first.result().body == {"id": 0}


def test_stubbed_time_out_is_delivered_once(stub: Stub) -> None:
    client = Client({})
    future = client.call_action_future("s", "act")
    error = MessageReceiveTimeout("late")
    stub.responses[0] = (0, error)

    with pytest.raises(MessageReceiveTimeout) as caught:
        future.result()
    with pytest.raises(
        UnexpectedResponseError,
        match=r"^Got unexpected response\(s\) with ID\(s\) \[\] for request with ID 0",
    ):
        future.result()

    assert caught.value is error
    assert str(error) == "late"


def test_unknown_responses_under_stubs_are_named(stub: Stub) -> None:
    client = Client({})
    future = client.call_action_future("s", "act")
    stub.responses[0] = (99, JobResponse())

    with pytest.raises(
        UnexpectedResponseError,
        match=r"^Got unexpected response\(s\) with ID\(s\) \[99\] for request with ID 0",
    ):
        future.result()


def test_result_after_the_stub_is_gone_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client({})
    with monkeypatch.context() as patches:
        Stub(patches)
        future = client.call_action_future("s", "act")

    with pytest.raises(ImproperlyConfigured, match="Unrecognized service name"):
        future.result()


def test_real_request_sent_before_stubbing_gets_its_real_response(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = broker.client()
    future = client.call_action_future("echo", "echo", {"n": 1})

    with monkeypatch.context() as patches:
        Stub(patches)
        assert future.result().body == {"n": 1}


class Overriding(Client):
    """Adds to each request, and writes down each response, as subclasses in the wild do."""

    seen: list[int]

    def send_request(self, service_name: str, actions: Any, *args: Any, **kwargs: Any) -> int:
        kwargs["context"] = {**(kwargs.get("context") or {}), "added": True}
        return super().send_request(service_name, actions, *args, **kwargs)

    def get_all_responses(
        self, service_name: str, receive_timeout_in_seconds: float | None = None
    ) -> Generator[tuple[int, JobResponse], None, None]:
        for request_id, response in super().get_all_responses(service_name, receive_timeout_in_seconds):
            self.seen.append(request_id)
            yield request_id, response


class OverridingSendOnly(Client):
    """Has its own idea of a missing correlation id."""

    def send_request(self, service_name: str, actions: Any, *args: Any, **kwargs: Any) -> int:
        if kwargs.get("correlation_id") is None and service_name == "echo":
            kwargs["correlation_id"] = "mine"
        return super().send_request(service_name, actions, *args, **kwargs)


@pytest.fixture
def overriding(broker: Broker) -> Overriding:
    client = Overriding({"echo": broker.settings()})
    client.seen = []
    return client


def test_all_traffic_goes_through_overridden_methods(overriding: Overriding, broker: Broker) -> None:
    assert overriding.call_action("echo", "echo", {"n": 1}).body == {"n": 1}
    assert [r.body for r in overriding.call_actions_parallel("echo", [{"action": "echo"}] * 2)] == [{}, {}]

    assert overriding.seen == [sent.request_id for sent in broker.sent]
    assert all(sent.message["context"]["added"] for sent in broker.sent)


def test_overriding_client_keeps_the_responses_of_others(overriding: Overriding, broker: Broker) -> None:
    own = overriding.send_request("echo", [{"action": "echo", "body": {"n": 0}}])
    future = overriding.call_action_future("echo", "echo", {"n": 1})

    assert overriding.call_action("echo", "echo", {"n": 2}).body == {"n": 2}

    assert future.result().body == {"n": 1}
    assert [request_id for request_id, _ in overriding.get_all_responses("echo")] == [own]


def test_overriding_client_keeps_its_deadline(overriding: Overriding, broker: Broker) -> None:
    with pytest.raises(MessageReceiveTimeout, match=r"^No message received for service echo"):
        overriding.call_action("echo", "slow", timeout=0.05)

    assert overriding.call_action("echo", "echo", {"n": 1}).body == {"n": 1}


def test_overriding_client_serves_several_threads(overriding: Overriding) -> None:
    failures: list[BaseException] = []

    def call(name: int) -> None:
        try:
            for number in range(50):
                body = {"name": name, "number": number}
                assert overriding.call_action("echo", "echo", body, timeout=30).body == body
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=call, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failures == []


def test_overridden_send_request_decides_about_a_missing_correlation_id(broker: Broker) -> None:
    client = OverridingSendOnly({"echo": broker.settings(), "other": broker.settings()})
    broker.on("other", "echo", lambda body: body)

    client.call_jobs_parallel(
        [{"service_name": name, "actions": [{"action": "echo"}]} for name in ("echo", "other", "other")]
    )

    ids = [sent.message["context"]["correlation_id"] for sent in broker.sent]
    assert ids[0] == "mine"
    assert ids[1] == ids[2] != "mine"


def test_replaced_methods_of_one_client_are_used(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    client = broker.client()
    answers: Iterator[tuple[int, JobResponse]] = iter([(7, JobResponse(actions=[ActionResponse("x")]))])

    def send_request(**_: object) -> int:
        return 7

    def get_all_responses(*_: object, **__: object) -> Iterator[tuple[int, JobResponse]]:
        return answers

    monkeypatch.setattr(client, "send_request", send_request)
    monkeypatch.setattr(client, "get_all_responses", get_all_responses)

    assert client.call_action("echo", "echo").action == "x"
    assert broker.sent == []


def test_replaced_future_call_of_the_class_is_used_for_any_service() -> None:
    client = Client({})

    with mock.patch.object(Client, "call_action_future") as call_action_future:
        client.call_action("unknown", "x")

    assert call_action_future.called


def test_overridden_handler_sees_all_traffic(broker: Broker) -> None:
    seen: list[str] = []

    class MyHandler(ServiceHandler):
        def send_request(
            self, job_request: JobRequest, message_expiry_in_seconds: float | None = None
        ) -> int:
            seen.append("send")
            return super().send_request(job_request, message_expiry_in_seconds)

        def get_all_responses(
            self, receive_timeout_in_seconds: float | None = None
        ) -> Generator[tuple[int, JobResponse], None, None]:
            seen.append("receive")
            return super().get_all_responses(receive_timeout_in_seconds)

    class MyClient(Client):
        handler_class = MyHandler

    client = MyClient({"echo": broker.settings()})

    assert client.call_action("echo", "echo", {"n": 1}).body == {"n": 1}
    assert seen == ["send", "receive"]


def test_handler_can_be_used_alone(broker: Broker) -> None:
    handler = ServiceHandler("echo", broker.client().settings["echo"])

    request_id = handler.send_request(JobRequest(actions=[{"action": "echo", "body": {"n": 1}}]))

    assert [(i, r.actions[0].body) for i, r in handler.get_all_responses(5)] == [(request_id, {"n": 1})]


def test_blocking_calls_go_through_overridden_futures(broker: Broker) -> None:
    class MyFuture(FutureSOAResponse[Any]):
        made = 0

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            MyFuture.made += 1

    class MyClient(Client):
        FutureResponse = MyFuture

        def call_actions_future(self, *args: Any, **kwargs: Any) -> Any:
            kwargs["context"] = {"added": True}
            return super().call_actions_future(*args, **kwargs)

    client = MyClient({"echo": broker.settings()})

    client.call_action("echo", "echo")
    client.call_actions("echo", [{"action": "echo"}])

    assert [sent.message["context"]["added"] for sent in broker.sent] == [True, True]
    assert MyFuture.made == 3


def test_overridden_headers_are_sent(broker: Broker) -> None:
    class MyClient(Client):
        def _make_context_header(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
            return {**super()._make_context_header(*args, **kwargs), "added": True}

    client = MyClient({"echo": broker.settings()})

    client.call_action("echo", "echo")

    assert broker.sent[0].message["context"]["added"] is True
