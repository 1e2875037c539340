"""Calls between PySOA 1.4.9 and ours, in both directions, over a real Redis."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from typing import Any

import pytest

JSON = {"default_serializer_config": {"path": "pysoa.common.serializer:JSONSerializer"}}

PAIRS = [
    pytest.param("original", "new", id="1.4.9 calls ours"),
    pytest.param("new", "original", id="ours calls 1.4.9"),
    pytest.param("new", "new", id="ours calls ours"),
]

BODY = {
    "null": None,
    "yes": True,
    "numbers": [0, -1, 2**63, -(2**63), 1.5, float("inf")],
    "text": "snow ☃",
    "bytes": b"\x00\xff",
    "nested": {"list": [[], {}, [{"deep": [1, 2]}]]},
    "date": datetime.date(2026, 2, 28),
    "time": datetime.time(23, 59, 59, 999999),
    "naive": datetime.datetime(2026, 2, 28, 12, 30, 15, 123456),
    "aware": datetime.datetime(2026, 2, 28, 12, 30, 15, 654321, tzinfo=datetime.UTC),
    "decimal": decimal.Decimal("-12.340"),
    "exponent": decimal.Decimal("1E+30"),
}


def error(code: str, message: str, **fields: Any) -> dict[str, Any]:
    return {
        "code": code,
        "message": message,
        "field": None,
        "traceback": None,
        "variables": None,
        "denied_permissions": None,
        "is_caller_error": False,
        **fields,
    }


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize(("client", "server"), PAIRS)
class TestOneMaster:
    @pytest.fixture
    def call(
        self, client: Any, server: Any, version: int, topologies: Any, start_worker: Any, start_client: Any
    ) -> Callable[..., dict[str, Any]]:
        topology = topologies("one_master")
        start_worker(server, topology)
        result: Callable[..., dict[str, Any]] = start_client(client, topology, protocol_version=version).call
        return result

    def test_everything_that_a_caller_sees_is_the_same(self, call: Callable[..., dict[str, Any]]) -> None:
        echoed = call("call_action", "interop", "echo", body=BODY)
        typed = call(
            "call_action",
            "interop",
            "typed",
            body={"count": 3, "when": datetime.datetime(2026, 1, 1, 1, 1, 1, 1)},
        )
        invalid = call("call_action", "interop", "typed", body={"count": -1, "surplus": 1})
        unknown = call("call_action", "interop", "no_such_action")
        failed = call("call_action", "interop", "fail_action")
        stopped = call("call_actions", "interop", [{"action": "echo"}, {"action": "fail_job"}])
        crashed = call("call_action", "interop", "crash")
        garbled = call("call_action", "interop", "invalid_answer")
        headers = call(
            "call_action",
            "interop",
            "headers",
            switches=[5, 3],
            correlation_id="c-1",
            context={"caller": "tests"},
        )

        assert echoed["returned"] == {"action": "echo", "errors": [], "body": BODY}
        assert typed["returned"]["body"] == {
            "numbers": [0, 1, 2],
            "pair": [1, "two"],
            "when": datetime.datetime(2026, 1, 1, 1, 1, 1, 1),
        }
        assert invalid["raised"] == "CallActionError"
        assert sorted((each["code"], each["field"]) for each in invalid["errors"]) == [
            ("INVALID", "count"),
            ("MISSING", "when"),
            ("UNKNOWN", None),
        ]
        assert all(each["is_caller_error"] for each in invalid["errors"])
        assert unknown["errors"] == [
            error(
                "UNKNOWN",
                'The action "no_such_action" was not found on this server.',
                field="action",
                is_caller_error=True,
            )
        ]
        assert failed["errors"] == [
            error(
                "NO_STOCK",
                "None left",
                field="sku",
                variables={"left": 0},
                denied_permissions=["sell"],
                is_caller_error=True,
            )
        ]
        assert stopped["raised"] == "CallJobError"
        assert stopped["errors"] == [error("STOP", "The job is over")]
        assert crashed["errors"][0]["code"] == "SERVER_ERROR"
        assert crashed["errors"][0]["message"] == "Internal server error: a crash on purpose"
        assert "ValueError: a crash on purpose" in crashed["errors"][0]["traceback"]
        assert garbled["errors"][0]["message"] == (
            "Internal server error: invalid_answer had an invalid response:\n\tid INVALID: Not an integer"
        )
        assert headers["returned"]["body"]["switches"] == [3, 5]
        assert headers["returned"]["body"]["context"] == {"correlation_id": "c-1", "caller": "tests"}
        assert headers["returned"]["body"]["control"] == {
            "continue_on_error": False,
            "suppress_response": False,
        }

    def test_parallel_calls_all_get_their_own_answers(self, call: Callable[..., dict[str, Any]]) -> None:
        answer = call(
            "call_actions_parallel",
            "interop",
            [{"action": "echo", "body": {"n": number}} for number in range(50)],
        )

        assert [each["body"]["n"] for each in answer["returned"]] == list(range(50))

    def test_an_answer_that_is_too_large_becomes_an_error(self, call: Callable[..., dict[str, Any]]) -> None:
        answer = call("call_action", "interop", "letters", body={"letter": "x", "size": 300_000})

        assert answer["raised"] == "CallJobError"
        assert answer["errors"] == [
            error("RESPONSE_TOO_LARGE", "Could not send the response because it was too large")
        ]


@pytest.mark.parametrize("topology", ["two_masters", "sentinel"])
@pytest.mark.parametrize(("client", "server"), PAIRS)
def test_other_topologies_carry_calls_and_parallel_calls(
    client: Any, server: Any, topology: str, topologies: Any, start_worker: Any, start_client: Any
) -> None:
    redis = topologies(topology)
    for _ in range(2):
        start_worker(server, redis)
    call = start_client(client, redis).call

    single = [call("call_action", "interop", "echo", body={"n": number}) for number in range(6)]
    parallel = call(
        "call_actions_parallel",
        "interop",
        [{"action": "echo", "body": {"n": number}} for number in range(20)],
    )

    assert [each["returned"]["body"]["n"] for each in single] == list(range(6))
    assert [each["body"]["n"] for each in parallel["returned"]] == list(range(20))


@pytest.mark.parametrize(("client", "server"), PAIRS)
def test_json_is_answered_with_json(
    client: Any, server: Any, topologies: Any, start_worker: Any, start_client: Any
) -> None:
    redis = topologies("one_master")
    start_worker(server, redis)
    call = start_client(client, redis, **JSON).call
    body = {"n": 1.5, "text": "☃", "list": [None, True, {"a": []}]}

    answer = call("call_action", "interop", "echo", body=body)
    refused = call("call_action", "interop", "echo", body={"when": datetime.date(2026, 1, 1)})

    assert answer["returned"]["body"] == body
    assert refused["raised"] == "InvalidField"


@pytest.mark.parametrize(("client", "server"), PAIRS)
def test_a_chunked_answer_arrives_whole(
    client: Any, server: Any, topologies: Any, start_worker: Any, start_client: Any
) -> None:
    redis = topologies("one_master")
    start_worker(
        server, redis, chunk_messages_larger_than_bytes=102_400, maximum_message_size_in_bytes=4_000_000
    )
    call = start_client(client, redis).call

    answers = [
        call("call_action", "interop", "letters", body={"letter": "x", "size": size})["returned"]["body"][
            "text"
        ]
        for size in (102_000, 2_000_000, 10)
    ]

    assert [len(text) for text in answers] == [102_000, 2_000_000, 10]


@pytest.mark.parametrize(
    ("client", "servers"),
    [
        pytest.param("new", ["original", "original"], id="ours calls two workers of 1.4.9"),
        pytest.param("new", ["original", "new"], id="ours calls one worker of each"),
        pytest.param("new", ["new", "new"], id="ours calls two of ours"),
        pytest.param("original", ["new", "new"], id="1.4.9 calls two of ours"),
    ],
)
def test_chunked_answers_to_parallel_calls_never_mix(
    client: Any, servers: list[Any], topologies: Any, start_worker: Any, start_client: Any
) -> None:
    redis = topologies("one_master")
    for server in servers:
        start_worker(
            server, redis, chunk_messages_larger_than_bytes=102_400, maximum_message_size_in_bytes=4_000_000
        )
    call = start_client(client, redis).call
    letters = "abcdefghijkl"

    answer = call(
        "call_actions_parallel",
        "interop",
        [
            {"action": "letters", "body": {"letter": letter, "size": 1_000_000, "wait": 0.05}}
            for letter in letters
        ],
        timeout=40,
    )
    afterwards = call("call_action", "interop", "echo", body={"n": 1})

    assert "returned" in answer, answer
    assert [each["body"]["text"] for each in answer["returned"]] == [letter * 1_000_000 for letter in letters]
    assert afterwards["returned"]["body"] == {"n": 1}


def test_a_suppressed_response_of_1_4_9_does_not_disturb_the_next_call(
    topologies: Any, start_worker: Any, start_client: Any
) -> None:
    redis = topologies("one_master")
    start_worker("original", redis)
    call = start_client("new", redis).call

    suppressed = call("send_request", "interop", [{"action": "echo"}], suppress_response=True)
    after = call("call_action", "interop", "echo", body={"n": 1}, timeout=5)

    assert isinstance(suppressed["returned"], int)
    assert after["returned"]["body"] == {"n": 1}
