from __future__ import annotations

import threading
from typing import Any, cast

import pytest
from pymetrics.recorders.noop import noop_metrics

from pysoa.common.transport.base import (
    ClientTransport,
    ReceivedMessage,
    ServerTransport,
    Transport,
    get_hex_thread_id,
)


class _ClientTransport(ClientTransport):
    def send_request_message(
        self,
        request_id: int,
        meta: dict[str, Any],
        body: dict[str, Any],
        message_expiry_in_seconds: int | None = None,
    ) -> None: ...

    def receive_response_message(self, receive_timeout_in_seconds: int | None = None) -> ReceivedMessage:
        return ReceivedMessage(None, None, None)


class _ServerTransport(ServerTransport):
    def receive_request_message(self) -> ReceivedMessage:
        return ReceivedMessage(None, None, None)

    def send_response_message(self, request_id: int, meta: dict[str, Any], body: dict[str, Any]) -> None: ...


class _BothTransport(_ClientTransport, _ServerTransport):
    pass


def test_constructor_arguments_become_attributes() -> None:
    metrics = type(noop_metrics)()

    client = _ClientTransport("a", metrics)
    server = _ServerTransport("b", metrics, 3)

    assert (client.service_name, client.metrics) == ("a", metrics)
    assert (server.service_name, server.metrics, server.instance_index) == ("b", metrics, 3)


def test_metrics_and_index_have_defaults() -> None:
    server = _ServerTransport("b")

    assert (server.metrics, server.instance_index) == (noop_metrics, 1)
    assert Transport("a").metrics is noop_metrics


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param((b"a",), "service_name must be a unicode string", id="bytes name"),
        pytest.param((None,), "service_name must be a unicode string", id="no name"),
        pytest.param(("a", "b"), "metrics must be a MetricsRecorder", id="string metrics"),
        pytest.param(("a", None), "metrics must be a MetricsRecorder", id="no metrics"),
    ],
)
@pytest.mark.parametrize("transport_class", [Transport, _ClientTransport, _ServerTransport])
def test_wrong_constructor_arguments_are_refused(
    transport_class: Any, arguments: tuple[object, ...], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        transport_class(*arguments)


@pytest.mark.parametrize("abstract_class", [ClientTransport, ServerTransport])
def test_transports_that_lack_a_method_cannot_be_built(abstract_class: Any) -> None:
    with pytest.raises(TypeError, match="abstract"):
        abstract_class("a")


def test_transport_may_be_both_sides() -> None:
    transport = _BothTransport("a")

    assert isinstance(transport, ClientTransport)
    assert isinstance(transport, ServerTransport)


def test_transports_get_plain_values_unless_they_ask_for_native_ones() -> None:
    assert _ClientTransport("a").carries_native_values is False
    assert _ServerTransport("a").carries_native_values is False


def test_repr_of_a_transport_shows_nothing_of_its_configuration() -> None:
    assert "a-service" not in repr(_ClientTransport("a-service"))


def test_received_message_unpacks_in_the_published_order() -> None:
    request_id, meta, body = ReceivedMessage(1, {"a": 1}, {"b": 2})

    assert (request_id, meta, body) == (1, {"a": 1}, {"b": 2})
    assert ReceivedMessage._fields == ("request_id", "meta", "body")
    assert isinstance(ReceivedMessage(None, None, None), tuple)


def test_thread_id_is_twelve_hexadecimal_digits_of_the_current_thread() -> None:
    seen: list[tuple[str, int]] = []
    thread = threading.Thread(target=lambda: seen.append((get_hex_thread_id(), threading.get_ident())))

    thread.start()
    thread.join(timeout=10)

    assert len(seen[0][0]) >= 12
    assert int(seen[0][0], 16) == seen[0][1]
    assert int(get_hex_thread_id(), 16) == threading.get_ident()


def test_methods_of_the_interface_accept_the_documented_keywords() -> None:
    transport = _BothTransport("a")

    transport.send_request_message(1, {}, {}, message_expiry_in_seconds=3)
    received = transport.receive_response_message(receive_timeout_in_seconds=3)

    assert received == cast("object", (None, None, None))
