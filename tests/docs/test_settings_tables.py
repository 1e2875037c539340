"""What the settings tables of the documentation show of a schema."""

from __future__ import annotations

from _settings_rows import rows_of
from conformity import fields

from pysoa.client.expander import ExpansionSettings
from pysoa.client.settings import ClientSettings
from pysoa.common.transport.redis_gateway.server import RedisServerTransport
from pysoa.server.settings import ServerSettings


def test_settings_are_shown_with_inherited_keys_and_their_defaults() -> None:
    defaults = {row.key: row.default for row in rows_of(ClientSettings)}

    assert defaults == {
        "transport": "pysoa.common.transport.redis_gateway.client:RedisClientTransport",
        "middleware": "[]",
        "metrics": "pymetrics.recorders.noop:NonOperationalMetricsRecorder",
    }


def test_keys_below_a_key_are_shown_with_their_limits_unless_it_is_closed() -> None:
    rows = {row.key: row for row in rows_of(ServerSettings, closed=frozenset({"logging"}))}

    assert (rows["harakiri.timeout"].type, rows["harakiri.timeout"].default) == ("int ≥ 0", "300")
    assert rows["heartbeat_file"].type == "str or None"
    assert not [key for key in rows if key.startswith("logging.")]


def test_every_setting_has_a_description() -> None:
    rows = rows_of(ServerSettings, closed=frozenset({"logging"}))

    assert [row.key for row in rows if not row.description] == []


def test_the_arguments_of_a_class_are_shown_with_the_defaults_of_its_constructor() -> None:
    rows = {row.key: row for row in rows_of(RedisServerTransport, defaults={"queue_capacity": 10_000})}

    assert rows["backend_type"].default == "required"
    assert rows["backend_layer_kwargs.hosts"].type == "list of (str, int) or str"
    assert rows["queue_capacity"].default == "10000"


def test_keys_that_users_choose_are_shown_as_names() -> None:
    keys = [row.key for row in rows_of(ExpansionSettings)]

    assert "type_expansions.<name>.<name>.source_field" in keys


def test_a_single_dictionary_field_will_do() -> None:
    schema = fields.Dictionary(
        {"size": fields.Integer(gt=0), "colour": fields.Nullable(fields.UnicodeString(description="`red`?"))},
        optional_keys=("colour",),
    )

    rows = rows_of(schema, defaults={"colour": None})

    assert [tuple(row) for row in rows] == [
        ("size", "int > 0", "required", ""),
        ("colour", "str or None", "None", "`red`?"),
    ]
