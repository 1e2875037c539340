"""Expansions through a client: the worked examples, and what goes wrong."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

import pytest

from pysoa.client.client import Client
from pysoa.client.errors import CallActionError, CallJobError, InvalidExpansionKey, UnexpectedResponseError
from pysoa.common.transport.errors import MessageReceiveTimeout, MessageSendError

if TYPE_CHECKING:  # a conftest cannot be imported
    from packages.client.tests.conftest import Broker

Object = dict[str, Any]


def route(service: str, noun: str) -> dict[str, str]:
    return {
        "service": service,
        "action": f"fetch_{noun}",
        "request_field": f"{noun}_ids",
        "response_field": f"{noun}s",
    }


def expansion(noun: str, route_name: str, type_name: str | None, **others: Any) -> dict[str, Any]:
    return {
        "type": type_name,
        "route": route_name,
        "source_field": f"{noun}_id",
        "destination_field": noun,
        **others,
    }


CONFIG: dict[str, Any] = {
    "type_routes": {
        "artist_route": route("artists", "artist"),
        "label_route": route("labels", "label"),
        "other_route": {**route("artists", "artist"), "request_field": "other_ids"},
        "wrong_route": {**route("artists", "artist"), "response_field": "nothing"},
    },
    "type_expansions": {
        "track": {
            "artist": expansion("artist", "artist_route", "artist"),
            "producer": expansion("producer", "artist_route", "artist"),
            "remixer": expansion("remixer", "other_route", "artist"),
            "label": expansion("label", "label_route", None, raise_action_errors=True),
            "wrong": expansion("artist", "wrong_route", None),
            "strictly_wrong": expansion("artist", "wrong_route", None, raise_action_errors=True),
            "strict_artist": expansion("artist", "artist_route", None, raise_action_errors=True),
        },
        "artist": {
            "label": expansion("label", "label_route", "label"),
            "mentor": expansion("mentor", "artist_route", "artist"),
        },
    },
}

ARTISTS: dict[int, Object] = {
    1: {"_type": "artist", "id": 1, "label_id": 70, "mentor_id": 2},
    2: {"_type": "artist", "id": 2, "label_id": 70, "mentor_id": 1},
    3: {"_type": "artist", "id": 3},
    4: {"_type": "artist", "id": 4, "mentor_id": 3},
}
LABELS: dict[int, Object] = {70: {"_type": "label", "id": 70}}


def track(number: int, **fields: Any) -> Object:
    return {"_type": "track", "id": number, **fields}


class Music:
    """Three services with tracks, artists and labels, and a client of them."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.labels_fail = False
        broker.on("tracks", "get", lambda body: body)
        for action in ("fetch_artist",):
            broker.on("artists", action, self._fetch_artists)
        broker.on("labels", "fetch_label", self._fetch_labels)
        self.client = broker.client("tracks", "artists", "labels", expansion_config=CONFIG)

    def get(self, body: Object, expansions: Any, **kwargs: Any) -> Any:
        return self.client.call_action("tracks", "get", body, expansions=expansions, **kwargs).body

    @property
    def calls(self) -> list[tuple[str, Object]]:
        return [(sent.service, sent.body) for sent in self.broker.sent[1:]]

    def _fetch_artists(self, body: Object) -> Object:
        (ids,) = body.values()
        return {"artists": {i: copy.deepcopy(ARTISTS[i]) for i in ids if i in ARTISTS}}

    def _fetch_labels(self, body: Object) -> Object:
        if self.labels_fail:
            return {"errors": [{"code": "NOPE", "message": "no"}]}
        return {"labels": {i: copy.deepcopy(LABELS[i]) for i in body["label_ids"] if i in LABELS}}


@pytest.fixture
def music(broker: Broker) -> Music:
    return Music(broker)


# The worked examples of the specification


def test_e1_ids_are_asked_for_once_and_gaps_stay(music: Music) -> None:
    tracks = [
        track(1, artist_id=1),
        track(2, artist_id=1),
        track(3, artist_id=9),
        track(4, artist_id=0),
        track(5, artist_id=3, artist="kept"),
    ]

    body = music.get({"tracks": tracks}, {"track": ["artist"]})

    assert music.calls == [("artists", {"artist_ids": [1, 9]})]
    first, second, third, fourth, fifth = body["tracks"]
    assert first["artist"] == ARTISTS[1]
    assert second["artist"] is first["artist"]
    assert "artist" not in third
    assert "artist" not in fourth
    assert fifth["artist"] == "kept"


def test_e2_d12_nested_expansion_stays_within_what_was_attached(music: Music) -> None:
    body = music.get({"t": track(1, artist_id=1, producer_id=2)}, {"track": ["artist.label", "producer"]})

    assert music.calls == [("artists", {"artist_ids": [1, 2]}), ("labels", {"label_ids": [70]})]
    assert body["t"]["artist"] == {**ARTISTS[1], "label": LABELS[70]}
    assert body["t"]["producer"] == ARTISTS[2]


def test_d12_one_dictionary_for_two_destinations_shows_in_both(music: Music) -> None:
    body = music.get({"t": track(1, artist_id=1, producer_id=1)}, {"track": ["artist.label", "producer"]})

    assert body["t"]["artist"] is body["t"]["producer"]
    assert body["t"]["producer"]["label"] == LABELS[70]


def test_e3_global_expansion_reaches_what_arrives_and_ends(
    music: Music, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="pysoa.client.client"):
        body = music.get({"t": track(1, artist_id=1)}, {"track": ["artist"], "artist": ["mentor"]})

    assert music.calls == [("artists", {"artist_ids": [1]}), ("artists", {"artist_ids": [2]})]
    assert body["t"]["artist"]["id"] == 1
    assert body["t"]["artist"]["mentor"] == ARTISTS[2]
    assert caplog.messages == [
        "Avoiding infinite recursion by skipping duplicate expansion: artists.fetch_artist.artist_ids = {1}"
    ]


def test_e4_d14_ids_asked_for_before_are_not_asked_for_again(music: Music) -> None:
    tracks = [track(1, artist_id=1), track(2, artist_id=2), track(3, artist_id=4)]

    body = music.get({"ts": tracks}, {"track": ["artist.mentor"]})

    assert music.calls == [("artists", {"artist_ids": [1, 2, 4]}), ("artists", {"artist_ids": [3]})]
    artists = [item["artist"] for item in body["ts"]]
    assert artists[2]["mentor"] == ARTISTS[3]
    assert "mentor" not in artists[0]
    assert "mentor" not in artists[1]


def test_e5_d13_strict_error_holds_each_failed_response_once(music: Music) -> None:
    music.labels_fail = True

    with pytest.raises(CallActionError) as caught:
        music.get({"ts": [track(1, label_id=70), track(2, label_id=71)]}, {"track": ["label"]})

    assert music.calls == [("labels", {"label_ids": [70, 71]})]
    assert [[error.code for error in action.errors] for action in caught.value.actions] == [["NOPE"]]


def test_e6_lenient_error_leaves_objects_as_they_are(music: Music) -> None:
    music.labels_fail = True

    body = music.get({"ts": [track(1, artist_id=1)]}, {"track": ["artist.label"]})

    assert music.calls == [("artists", {"artist_ids": [1]}), ("labels", {"label_ids": [70]})]
    assert body["ts"][0]["artist"] == ARTISTS[1]


# Which objects, which requests


def test_response_body_itself_may_be_the_object(music: Music) -> None:
    body = music.get(track(1, artist_id=3), {"track": ["artist"]})

    assert body["artist"] == ARTISTS[3]


def test_all_actions_of_all_jobs_are_expanded_together(music: Music) -> None:
    jobs = [
        {"service_name": "tracks", "actions": [{"action": "get", "body": track(n, artist_id=n)}]}
        for n in (1, 2, 1)
    ]

    responses = music.client.call_jobs_parallel(jobs, expansions={"track": ["artist"]})

    assert music.calls[2:] == [("artists", {"artist_ids": [1, 2]})]
    assert [r.actions[0].body["artist"]["id"] for r in responses] == [1, 2, 1]


def test_all_ways_to_call_expand(music: Music) -> None:
    body = track(1, artist_id=3)
    action = {"action": "get", "body": body}
    expansions = {"track": ["artist"]}
    client = music.client

    bodies = [
        client.call_actions("tracks", [action], expansions=expansions).actions[0].body,
        next(client.call_actions_parallel("tracks", [action], expansions=expansions)).body,
        client.call_action_future("tracks", "get", body, expansions=expansions).result().body,
    ]

    assert [found["artist"]["id"] for found in bodies] == [3, 3, 3]


def test_d11_nodes_with_other_request_fields_get_requests_of_their_own(music: Music) -> None:
    body = music.get({"t": track(1, artist_id=1, remixer_id=2)}, {"track": ["artist", "remixer"]})

    assert music.calls == [("artists", {"artist_ids": [1]}), ("artists", {"other_ids": [2]})]
    assert (body["t"]["artist"]["id"], body["t"]["remixer"]["id"]) == (1, 2)


def test_all_requests_of_a_round_are_sent_before_any_is_read(music: Music) -> None:
    music.broker.responders.pop(("artists", "fetch_artist"))
    future = music.client.call_action_future(
        "tracks", "get", {"t": track(1, artist_id=1, label_id=70)}, expansions={"track": ["artist", "label"]}
    )

    with pytest.raises(MessageReceiveTimeout):
        future.result(timeout=0.05)

    assert [sent.service for sent in music.broker.sent] == ["tracks", "artists", "labels"]


def test_d04_d05_expansions_carry_context_switches_and_correlation_id(music: Music) -> None:
    context = {"switches": [5], "tenant": "x"}

    music.client.call_actions(
        "tracks",
        [{"action": "get", "body": track(1, artist_id=1)}],
        expansions={"track": ["artist.label"]},
        context=context,
        switches=[6],
        timeout=7,
        control_extra={"priority": 1},
        continue_on_error=True,
    )

    contexts = [sent.message["context"] for sent in music.broker.sent]
    assert len({item["correlation_id"] for item in contexts}) == 1
    assert all(item["tenant"] == "x" and sorted(item["switches"]) == [5, 6] for item in contexts)
    assert [sent.expiry for sent in music.broker.sent] == [7, 7, 7]
    assert [sent.message["control"] for sent in music.broker.sent[1:]] == [
        {"continue_on_error": False, "suppress_response": False, "priority": 1, "timeout": 7}
    ] * 2


@pytest.mark.parametrize("expansions", [None, {}, [], "anything"])
def test_client_without_converter_ignores_expansions(broker: Broker, expansions: Any) -> None:
    assert broker.client().call_action("echo", "echo", {"n": 1}, expansions=expansions).body == {"n": 1}


def test_no_paths_expand_nothing(music: Music) -> None:
    assert music.get(track(1, artist_id=1), {"track": []}) == track(1, artist_id=1)
    assert music.calls == []


def test_text_ids_do_not_match_number_ids(music: Music) -> None:
    music.broker.on("artists", "fetch_artist", lambda _: {"artists": {"1": ARTISTS[1]}})

    assert "artist" not in music.get(track(1, artist_id=1), {"track": ["artist"]})


def test_any_value_is_attached_even_none(music: Music) -> None:
    music.broker.on(
        "artists", "fetch_artist", lambda _: {"artists": {1: None, 2: [{"_type": "artist", "label_id": 70}]}}
    )

    body = music.get({"ts": [track(1, artist_id=1), track(2, artist_id=2)]}, {"track": ["artist.label"]})

    assert body["ts"][0]["artist"] is None
    assert body["ts"][1]["artist"][0]["label"] == LABELS[70]


def test_flags_of_the_call_do_not_concern_expansions(music: Music) -> None:
    music.labels_fail = True

    with pytest.raises(CallActionError):
        music.get(track(1, label_id=70), {"track": ["label"]}, raise_action_errors=False)


# What goes wrong


@pytest.mark.parametrize(
    ("expansions", "key"),
    [({"album": ["x"]}, "album"), ({"track": ["x"]}, "x"), ({"track": ["label.x"]}, "None")],
)
def test_d15_unknown_expansions_are_reported_before_anything_is_sent(
    music: Music, expansions: Any, key: str
) -> None:
    with pytest.raises(InvalidExpansionKey, match=rf"^Invalid key in expansion request: {key}$"):
        music.client.call_action_future("tracks", "get", {}, expansions=expansions)

    assert music.broker.sent == []


def test_d16_unhashable_id_is_skipped_with_a_warning(music: Music, caplog: pytest.LogCaptureFixture) -> None:
    tracks = [track(1, artist_id=[1, 2]), track(2, artist_id=2)]

    body = music.get({"ts": tracks}, {"track": ["artist"]})

    assert "artist" not in body["ts"][0]
    assert body["ts"][1]["artist"]["id"] == 2
    assert "Skipping expansion artist: field artist_id of an object holds a list" in caplog.text


@pytest.mark.parametrize("response", [{"artists": {1: {}}}, {"nothing": None}, {"nothing": [1]}])
def test_d16_missing_response_field_of_a_lenient_node_is_a_warning(
    music: Music, caplog: pytest.LogCaptureFixture, response: Object
) -> None:
    music.broker.on("artists", "fetch_artist", lambda _: response)

    body = music.get({"ts": [track(1, artist_id=1), track(2, artist_id=2)]}, {"track": ["wrong"]})

    assert not any("artist" in item for item in body["ts"])
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("Skipping expansion wrong: response field nothing (it ")


def test_d16_missing_response_field_of_a_strict_node_is_an_error(music: Music) -> None:
    with pytest.raises(
        InvalidExpansionKey, match=r"nothing .it is missing in the response of artists.fetch_artist"
    ):
        music.get(track(1, artist_id=1), {"track": ["strictly_wrong"]})


def test_d16_expansion_response_without_actions(music: Music, caplog: pytest.LogCaptureFixture) -> None:
    music.broker.on("artists", "fetch_artist", lambda _: {"errors": [], "context": {}, "actions": []})

    assert "artist" not in music.get(track(1, artist_id=1), {"track": ["artist"]})
    assert "artists.fetch_artist.artist_ids holds no action response" in caplog.text
    with pytest.raises(UnexpectedResponseError, match=r"artists\.fetch_artist\.artist_ids holds no action"):
        music.get(track(1, artist_id=1), {"track": ["strict_artist"]})


def test_job_error_of_a_strict_node_is_raised_once_and_of_a_lenient_one_not(music: Music) -> None:
    error = {"code": "SERVER_ERROR", "message": "x"}
    music.broker.on("artists", "fetch_artist", lambda _: {"errors": [error], "context": {}, "actions": []})
    tracks = {"ts": [track(1, artist_id=1), track(2, artist_id=2)]}

    assert not any("artist" in item for item in music.get(copy.deepcopy(tracks), {"track": ["artist"]})["ts"])
    with pytest.raises(CallJobError) as caught:
        music.get(tracks, {"track": ["strict_artist"]})
    assert len(caught.value.errors) == 1


def test_action_error_wins_over_job_error(music: Music) -> None:
    error = {"code": "SERVER_ERROR", "message": "x"}
    music.broker.on("artists", "fetch_artist", lambda _: {"errors": [error], "context": {}, "actions": []})
    music.labels_fail = True

    with pytest.raises(CallActionError):
        music.get(track(1, artist_id=1, label_id=70), {"track": ["strict_artist", "label"]})


def test_body_of_a_failed_lenient_action_is_used_all_the_same(music: Music) -> None:
    error = {"code": "PARTLY", "message": "x"}
    music.broker.on(
        "artists", "fetch_artist", lambda _: {"errors": [error], "body": {"artists": {1: {"id": 1}}}}
    )

    assert music.get(track(1, artist_id=1), {"track": ["artist"]})["artist"] == {"id": 1}


def test_transport_error_of_an_expansion_propagates_and_abandons_the_round(music: Music) -> None:
    future = music.client.call_action_future(
        "tracks", "get", track(1, artist_id=1, label_id=70), expansions={"track": ["artist", "label"]}
    )
    music.broker.send_errors.append(MessageSendError("full"))

    with pytest.raises(MessageSendError, match=r"^full \(service 'artists', action 'fetch_artist', request"):
        future.result()

    assert future.done()


def test_service_of_a_route_that_is_not_configured(broker: Broker) -> None:
    broker.on("tracks", "get", lambda body: body)
    client = broker.client("tracks", expansion_config=CONFIG)

    with pytest.raises(Client.ImproperlyConfigured, match=r'^Unrecognized service name "artists"'):
        client.call_action("tracks", "get", track(1, artist_id=1), expansions={"track": ["artist"]})


def test_subclass_chooses_the_error_for_unknown_expansions(broker: Broker) -> None:
    class MyError(Exception):
        pass

    class MyClient(Client):
        InvalidExpansionKey = MyError  # type: ignore[assignment]  # another class

    client = MyClient({"tracks": broker.settings()}, CONFIG)

    with pytest.raises(MyError, match="Invalid key in expansion request: album"):
        client.call_action("tracks", "get", expansions={"album": ["x"]})
