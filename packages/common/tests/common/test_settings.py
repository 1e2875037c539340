from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from conformity import fields
from conformity.settings import Settings
from pymetrics.recorders.noop import noop_metrics

from pysoa.common._conformity import accepts_kwargs, class_configuration, dictionary
from pysoa.common.errors import PySOAError
from pysoa.common.settings import SOASettings


@accepts_kwargs(dictionary({"size": fields.Integer()}, optional_keys=["size"]))
class Transport:
    """Something that settings can name."""


class Undecorated:
    """Something that settings cannot name, since nothing tells its kwargs."""


_PATH = f"{__name__}:Transport"


def _error_of(data: Any, settings_class: type[SOASettings] = SOASettings) -> str:
    with pytest.raises(settings_class.ImproperlyConfigured) as caught:
        settings_class(data)
    return str(caught.value)


def test_defaults_are_no_middleware_and_no_metrics() -> None:
    settings = SOASettings({"transport": {"path": _PATH}})

    assert settings["middleware"] == []
    assert settings["metrics"] == {
        "path": "pymetrics.recorders.noop:NonOperationalMetricsRecorder",
        "object": type(noop_metrics),
    }


@pytest.mark.parametrize("path", [_PATH, _PATH.replace(":", ".")])
def test_classes_are_added_to_their_entries(path: str) -> None:
    settings = SOASettings({"transport": {"path": path, "kwargs": {"size": 1}}})

    assert settings["transport"] == {"path": path, "kwargs": {"size": 1}, "object": Transport}


def test_given_data_is_not_changed() -> None:
    data: dict[str, Any] = {"transport": {"path": _PATH, "kwargs": {}}, "middleware": [{"path": _PATH}]}

    SOASettings(data)

    assert data == {"transport": {"path": _PATH, "kwargs": {}}, "middleware": [{"path": _PATH}]}


def test_settings_can_be_made_from_settings() -> None:
    settings = SOASettings({"transport": {"path": _PATH}})

    assert SOASettings(settings) == settings


def test_mappings_are_merged_over_the_defaults_key_by_key() -> None:
    class MySettings(SOASettings):
        defaults = {"transport": {"path": _PATH}}

    settings = MySettings({"transport": {"kwargs": {"size": 5}}})

    assert settings["transport"] == {"path": _PATH, "kwargs": {"size": 5}, "object": Transport}


def test_subclasses_add_to_schema_and_defaults() -> None:
    class MySettings(SOASettings):
        schema = {"extra": fields.Integer()}
        defaults = {"extra": 5}

    assert set(MySettings.schema) == {"transport", "middleware", "metrics", "extra"}
    assert MySettings({"transport": {"path": _PATH}})["extra"] == 5


def test_error_is_one_of_ours_and_one_of_the_settings_library() -> None:
    assert issubclass(SOASettings.ImproperlyConfigured, PySOAError)
    with pytest.raises(Settings.ImproperlyConfigured):
        SOASettings({})


def test_missing_settings_are_named() -> None:
    assert _error_of({}) == "No value provided for required setting(s): transport"


def test_unknown_settings_are_named_beside_the_known_ones() -> None:
    assert _error_of({"transport": {"path": _PATH}, "foo": 1}) == (
        "Unknown setting(s): foo\nSOASettings knows these settings: metrics, middleware, transport"
    )


@pytest.mark.parametrize(
    ("transport", "text"),
    [
        pytest.param(3, "  - Not a mapping (dictionary)\n", id="number"),
        pytest.param({}, "  - path: Missing key (and no default specified): path\n", id="no path"),
        pytest.param({"path": _PATH, "foo": 1}, "  - Extra keys present: foo\n", id="extra key"),
        pytest.param(
            {"path": _PATH, "kwargs": {"foo": 1}}, "  - kwargs: Extra keys present: foo\n", id="extra kwarg"
        ),
        pytest.param(
            {"path": _PATH, "kwargs": {"size": "1"}}, "  - kwargs.size: Not an integer\n", id="wrong type"
        ),
    ],
)
def test_wrong_values_are_named_by_their_place(transport: object, text: str) -> None:
    assert _error_of({"transport": transport}) == f"Invalid setting 'transport':\n{text}"


def test_class_without_a_schema_of_its_kwargs_is_refused() -> None:
    path = f"{__name__}:Undecorated"

    text = _error_of({"transport": {"path": path}})

    assert text.startswith(f"Invalid setting 'transport':\n  - path: Neither class '{path}' nor one of its ")
    assert "@ClassConfigurationSchema.provider" in text


def test_class_with_a_wrong_base_is_refused() -> None:
    text = _error_of({"transport": {"path": _PATH}, "metrics": {"path": _PATH}})

    assert text.startswith("Invalid setting 'metrics':\n  - path: Type <class ")
    assert "is not one of or a subclass of one of" in text


@pytest.mark.parametrize(
    ("module", "distribution"),
    [
        ("pysoa.common.transport.redis_gateway.missing", "pysoa-transport-redis"),
        ("pysoa.common.transport.local.missing", "pysoa-server"),
        ("pysoa.server.missing", "pysoa-server"),
        ("pysoa.client.missing", "pysoa-client"),
        ("pysoa.test.missing", "pysoa-testing"),
    ],
)
def test_class_of_a_distribution_that_is_not_installed_names_what_to_install(
    module: str, distribution: str
) -> None:
    text = _error_of({"transport": {"path": f"{module}:Transport"}})

    assert text.startswith("Invalid setting 'transport':\n  - path: ImportError: No module named 'pysoa.")
    assert (
        f"\nCannot import '{module}:Transport', the class set at transport.path: there is no module 'pysoa."
    ) in text
    assert text.endswith(f"'. Install {distribution}, or set the path to a class that is installed.")


def test_default_class_that_is_not_installed_names_what_to_install() -> None:
    class MySettings(SOASettings):
        defaults = {"transport": {"path": "pysoa.common.transport.redis_gateway.missing:Transport"}}

    text = _error_of({"transport": {"kwargs": {"backend_type": "redis.standard"}}}, MySettings)

    assert "Install pysoa-transport-redis" in text


@pytest.mark.parametrize(
    ("path", "text"),
    [
        pytest.param(
            "no_such_module:X",
            "there is no module 'no_such_module'. Install the package that has it, or correct the path.",
            id="module",
        ),
        pytest.param(
            "pysoa.common.errors:Nope",
            "module 'pysoa.common.errors' has no attribute 'Nope'. Check the name of the class.",
            id="class",
        ),
        pytest.param(
            "nonsense",
            "it is not a valid import path. Write it as 'package.module:ClassName'.",
            id="no separator",
        ),
        pytest.param(None, "it is not a string. Write it as 'package.module:ClassName'.", id="None"),
        pytest.param(["a"], "it is not a string. Write it as 'package.module:ClassName'.", id="list"),
    ],
)
def test_wrong_class_path_names_path_place_and_remedy(path: Any, text: str) -> None:
    error = _error_of({"transport": {"path": _PATH}, "middleware": [{"path": _PATH}, {"path": path}]})

    assert error.endswith(f"Cannot import {path!r}, the class set at middleware.1.path: {text}")


def test_module_that_fails_to_import_is_named_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "module_that_fails.py").write_text("raise RuntimeError('no database')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    text = _error_of({"transport": {"path": "module_that_fails:Transport"}})

    assert text == (
        "Invalid settings:\nCannot import 'module_that_fails:Transport', the class set at transport.path: "
        "importing it raised RuntimeError: no database."
    )


def test_settings_that_are_no_mapping_are_refused() -> None:
    assert _error_of([1]) == "SOASettings must be made from a mapping (dictionary), not list"


def test_repr_shows_no_values() -> None:
    settings = SOASettings({"transport": {"path": _PATH, "kwargs": {"size": 12345}}})

    assert "12345" not in repr(settings)


def test_class_entries_may_be_checked_for_their_base() -> None:
    schema = class_configuration(Transport)

    assert schema.errors({"path": _PATH}) == []
