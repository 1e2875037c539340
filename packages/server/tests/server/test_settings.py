from __future__ import annotations

import json
import logging.config
from typing import Any

import pytest

from pysoa.server.settings import ServerSettings

LOCAL = {"path": "pysoa.common.transport.local:LocalServerTransport"}


def load(**settings: Any) -> ServerSettings:
    return ServerSettings({"transport": LOCAL, **settings})


def test_defaults_fill_what_a_service_does_not_say() -> None:
    settings = load()

    assert settings["harakiri"] == {"timeout": 300, "shutdown_grace": 30}
    assert settings["heartbeat_file"] is None
    assert settings["request_log_success_level"] == "INFO"
    assert settings["request_log_error_level"] == "INFO"
    assert settings["middleware"] == []
    assert settings["client_routing"] == {}
    assert settings["extra_fields_to_redact"] == set()
    assert settings["send_tracebacks"] is True
    assert settings["heartbeat_during_jobs"] is False
    assert settings["maximum_transport_outage_in_seconds"] is None
    assert [item["object"].__name__ for item in settings["coroutine_middleware"]] == [
        "DefaultCoroutineMiddleware"
    ]


WRONG_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"foo": 1}, "Unknown setting.*foo"),
    ({"transport": {"path": "no.such:Thing"}}, "no.such:Thing"),
    ({"transport": {"path": "pysoa.server.middleware:ServerMiddleware"}}, "transport"),
    ({"middleware": [{"path": "pysoa.server.middleware:ServerMiddleware", "kwargs": {"x": 1}}]}, "x"),
    ({"harakiri": {"timeout": -1}}, "harakiri"),
    ({"harakiri": {"shutdown_grace": 0}}, "harakiri"),
    ({"request_log_error_level": 10}, "request_log_error_level"),
    ({"request_log_error_level": "NOTICE"}, "request_log_error_level"),
    ({"heartbeat_file": 5}, "heartbeat_file"),
    ({"client_routing": {"other": 5}}, "client_routing"),
    ({"maximum_transport_outage_in_seconds": 0}, "maximum_transport_outage_in_seconds"),
    ({"send_tracebacks": "no"}, "send_tracebacks"),
    ({"extra_fields_to_redact": "shoe_size"}, "extra_fields_to_redact"),
    ({"extra_fields_to_redact": {"shoe_size": 1}}, "extra_fields_to_redact"),
    ({"extra_fields_to_redact": 5}, "extra_fields_to_redact"),
    ({"extra_fields_to_redact": ["shoe_size", 5, []]}, "extra_fields_to_redact"),
    ({"extra_fields_to_redact": {"shoe_size", 5}}, "extra_fields_to_redact"),
]
WRONG_IDS = [f"{number} {next(iter(settings))}" for number, (settings, _) in enumerate(WRONG_SETTINGS)]


@pytest.mark.parametrize(("settings", "message"), WRONG_SETTINGS, ids=WRONG_IDS)
def test_wrong_setting_is_refused_by_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ServerSettings.ImproperlyConfigured, match=message):
        load(**settings)


@pytest.mark.parametrize(
    "names", [{"a"}, frozenset({"a"}), ["a"], ("a",), json.loads('["a", "b"]')], ids=repr
)
def test_names_to_redact_may_be_any_collection(names: Any) -> None:
    """D-49."""
    assert load(extra_fields_to_redact=names)["extra_fields_to_redact"] == names


# -- D-39: logging -------------------------------------------------------------------------------------------


def logging_of(**config: Any) -> dict[str, Any]:
    merged: dict[str, Any] = load(logging=config)["logging"]
    logging_config = logging.config.DictConfigurator(merged)
    assert logging_config.config is not None
    return merged


class JsonFormatter(logging.Formatter):
    def __init__(self, fields: Any = None) -> None:
        super().__init__("%(message)s")
        self.fields = fields


HERE = __name__


@pytest.mark.parametrize(
    "formatter",
    [
        {"()": f"{HERE}.JsonFormatter", "fields": ["message"]},
        {"class": f"{HERE}.JsonFormatter"},
        {"class": "logging.Formatter", "format": "{message}", "style": "{", "validate": True},
        {"format": "%(message)s %(extra)s", "defaults": {"extra": "none"}},
        {"format": "%(message)s", "datefmt": "%H:%M"},
    ],
    ids=repr,
)
def test_formatter_may_be_anything_that_dictconfig_documents(formatter: dict[str, Any]) -> None:
    merged = logging_of(
        formatters={"mine": formatter},
        handlers={"mine": {"class": "logging.NullHandler", "formatter": "mine"}},
        root={"handlers": ["mine"]},
    )

    assert merged["formatters"] == {"mine": formatter}


@pytest.mark.parametrize(
    "handler",
    [
        {"()": "logging.NullHandler", "level": 15},
        {"class": "logging.FileHandler", "filename": "/dev/null", "delay": True, "level": "NOTSET"},
        {"class": "logging.NullHandler", "level": "WARN"},
    ],
    ids=repr,
)
def test_handler_may_be_anything_that_dictconfig_documents(handler: dict[str, Any]) -> None:
    merged = logging_of(handlers={"mine": handler}, root={"handlers": ["mine"], "level": 15})

    assert merged["handlers"] == {"mine": handler}


def test_factory_under_a_default_name_gets_only_its_own_arguments() -> None:
    formatter = {"()": f"{HERE}.JsonFormatter", "fields": ["message"]}

    assert logging_of(formatters={"console": formatter})["formatters"] == {"console": formatter}


@pytest.mark.parametrize(
    "config",
    [
        {"formatters": {"mine": {"format": "x", "unknown": 1}}},
        {"formatters": {"mine": {}}},
        {"formatters": {"mine": {"style": "x", "format": "y"}}},
        {"handlers": {"mine": {"level": "INFO"}}},
        {"handlers": {"mine": {"class": "logging.Formatter"}}},
        {"handlers": {"mine": {"class": "logging.NullHandler", "level": "LOUD"}}},
        {"handlers": {"mine": {"class": "logging.NullHandler", "level": True}}},
        {"root": {"handlers": ["mine"]}},
        {"handlers": {"mine": {"class": "logging.NullHandler", "formatter": "no"}}},
        {"unknown": {}},
    ],
    ids=repr,
)
def test_mistake_in_the_logging_setting_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ServerSettings.ImproperlyConfigured, match="logging"):
        load(logging=config)


def test_default_handlers_and_formatters_that_nothing_uses_are_left_out() -> None:
    """So that no handler is made, and no socket opened, for nothing."""
    merged = load()["logging"]

    assert set(merged["handlers"]) == {"console"}
    assert set(merged["formatters"]) == {"console"}
    assert set(merged["filters"]) == {"pysoa_logging_context_filter"}


def test_default_handler_that_is_used_is_merged_in_with_all_that_it_needs() -> None:
    merged = logging_of(loggers={"mine": {"handlers": ["syslog"], "level": "INFO"}}, root={"handlers": []})

    assert set(merged["handlers"]) == {"syslog"}
    assert set(merged["formatters"]) == {"syslog"}
    assert merged["handlers"]["syslog"]["class"] == "pysoa.common.logging.SyslogHandler"


def test_changed_part_of_a_default_handler_is_merged_with_the_rest_of_it() -> None:
    merged = logging_of(handlers={"console": {"level": "DEBUG"}})

    assert merged["handlers"]["console"] == {
        "class": "logging.StreamHandler",
        "level": "DEBUG",
        "formatter": "console",
        "filters": ["pysoa_logging_context_filter"],
    }


def test_what_a_service_defines_stays_even_if_nothing_uses_it() -> None:
    merged = logging_of(
        handlers={"spare": {"class": "logging.NullHandler"}},
        formatters={"spare": {"format": "x"}},
        filters={"spare": {"name": "x"}},
    )

    assert "spare" in merged["handlers"]
    assert "spare" in merged["formatters"]
    assert "spare" in merged["filters"]


def test_incremental_configuration_names_no_default_handler() -> None:
    merged = logging_of(incremental=True, loggers={"mine": {"level": "DEBUG"}})

    assert merged["handlers"] == {}


def test_defaults_of_the_class_are_not_changed_by_loading() -> None:
    load(logging={"root": {"handlers": []}})

    assert set(ServerSettings.defaults["logging"]["handlers"]) == {"console", "syslog"}


# -- extending -----------------------------------------------------------------------------------------------


def test_subclass_adds_keys_and_keeps_the_rest() -> None:
    import conformity.fields

    fields: Any = conformity.fields

    class MySettings(ServerSettings):
        schema = {"limit": fields.Integer()}
        defaults = {"limit": 5}

    settings = MySettings({"transport": LOCAL})

    assert settings["limit"] == 5
    assert settings["harakiri"]["timeout"] == 300
