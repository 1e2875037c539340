"""Settings and construction of clients."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from conformity.settings import Settings

from pysoa.client.client import Client
from pysoa.client.errors import ImproperlyConfigured
from pysoa.client.expander import ExpansionSettings
from pysoa.client.settings import ClientSettings

if TYPE_CHECKING:  # a conftest cannot be imported
    from packages.client.tests.conftest import Broker

REDIS_PATH = "pysoa.common.transport.redis_gateway.client:RedisClientTransport"


@pytest.mark.parametrize("config", [None, {}])
def test_client_without_services(config: Any) -> None:
    client = Client(config)

    assert client.settings == {}
    assert client.config == {}
    assert client.context == {}
    assert client.handlers == {}
    assert not hasattr(client, "expansion_converter")


def test_all_settings_are_checked_by_the_constructor(broker: Broker) -> None:
    with pytest.raises(Settings.ImproperlyConfigured, match=r"Unknown setting\(s\): foo"):
        Client({"good": broker.settings(), "bad": {**broker.settings(), "foo": 5}})


def test_old_setting_for_caching_transports_is_gone(broker: Broker) -> None:
    with pytest.raises(Settings.ImproperlyConfigured, match="transport_cache_time_in_seconds"):
        Client({"bad": {**broker.settings(), "transport_cache_time_in_seconds": 5}})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("transport", {"path": "pysoa.client.middleware:ClientMiddleware"}),
        ("middleware", [{"path": "pysoa.client.settings:ClientSettings"}]),
        ("metrics", {"path": "pysoa.client.middleware:ClientMiddleware"}),
    ],
)
def test_class_of_the_wrong_kind_is_refused(broker: Broker, key: str, value: Any) -> None:
    with pytest.raises(Settings.ImproperlyConfigured, match="is not one of or a subclass of one of"):
        Client({"bad": {**broker.settings(), key: value}})


def test_both_kinds_of_improperly_configured_are_caught() -> None:
    config = {"bad": {"transport": {"path": "nowhere.at:All"}}}

    with pytest.raises(Settings.ImproperlyConfigured):
        Client(config)
    with pytest.raises(ImproperlyConfigured):
        Client(config)


def test_missing_redis_transport_names_the_distribution_to_install() -> None:
    program = f"""
import sys
sys.modules["pysoa.common.transport.redis_gateway"] = None  # as if it were not installed
from pysoa.client import Client
try:
    Client({{"library": {{"transport": {{"kwargs": {{"backend_type": "redis.standard"}}}}}}}})
except Client.ImproperlyConfigured as error:
    assert "{REDIS_PATH}" in str(error), error
    assert "pysoa-transport-redis" in str(error), error
    print("named")
"""

    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    assert finished.stdout == "named\n", finished.stderr


def test_default_transport_is_that_for_redis() -> None:
    assert ClientSettings.defaults["transport"] == {"path": REDIS_PATH}


def test_settings_are_copied_and_gain_classes(broker: Broker) -> None:
    config = {"echo": broker.settings()}

    client = Client(config)

    assert client.config is config
    assert "object" not in config["echo"]["transport"]
    assert client.settings["echo"]["transport"]["object"].__name__ == "MemoryTransport"
    assert client.settings["echo"]["middleware"] == []


def test_nothing_is_built_before_it_is_needed(broker: Broker) -> None:
    client = broker.client("a", "b")
    assert broker.transports == []

    client.get_all_responses("a")

    assert [transport.service_name for transport in broker.transports] == ["a"]
    assert list(client.handlers) == ["a"]


def test_settings_class_can_be_given(broker: Broker) -> None:
    class MySettings(ClientSettings):
        pass

    class MyClient(Client):
        settings_class = MySettings

    assert type(Client({"echo": broker.settings()}, settings_class=MySettings).settings["echo"]) is MySettings
    assert type(MyClient({"echo": broker.settings()}).settings["echo"]) is MySettings


def test_context_is_kept_by_reference() -> None:
    context: dict[str, Any] = {"caller": "me"}

    assert Client({}, context=context).context is context


def test_headers_can_be_made_without_arguments() -> None:
    client: Any = Client({})  # both methods are used by the status action and by tests of services

    assert client._make_control_header() == {"continue_on_error": False, "suppress_response": False}
    assert list(client._make_context_header()) == ["correlation_id", "switches"]


@pytest.mark.parametrize(
    "config",
    [
        {"type_routes": {}},
        {"type_routes": {}, "type_expansions": {}, "more": 1},
        {"type_routes": {"r": {"service": "s"}}, "type_expansions": {}},
        {"type_routes": {}, "type_expansions": {"t": {"e": {"route": "r"}}}},
    ],
)
def test_bad_expansion_settings_are_refused_at_once(config: Any) -> None:
    with pytest.raises(Settings.ImproperlyConfigured):
        Client({}, config)


def test_cross_references_of_expansions_are_not_checked_at_once() -> None:
    expansion = {"type": None, "route": "nowhere", "source_field": "a", "destination_field": "a"}
    config = {"type_routes": {}, "type_expansions": {"t": {"e": expansion}}}

    client = Client({}, config)

    assert client.expansion_converter.type_expansions == config["type_expansions"]
    assert dict(ExpansionSettings(config)) == config


def test_with_context_shares_everything_but_the_context(broker: Broker) -> None:
    client = broker.client(context={"a": 1})

    other = client.with_context({"b": 2})

    assert type(other) is type(client)
    assert other.handlers is client.handlers
    assert other.settings is client.settings
    assert (client.context, other.context) == ({"a": 1}, {"b": 2})
