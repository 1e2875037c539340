"""The settings that clients and servers have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from conformity import fields
from conformity.settings import Settings, SettingsData, SettingsSchema
from pymetrics.recorders.base import MetricsRecorder

from pysoa.common._conformity import class_configuration, list_of
from pysoa.common._plain import is_dict, is_list
from pysoa.common.errors import PySOAError

__all__ = ("SOASettings",)

# Where the modules live that other distributions of PySOA bring; the longest prefixes come first.
_DISTRIBUTIONS: Final = {
    "pysoa.common.transport.redis_gateway": "pysoa-transport-redis",
    "pysoa.common.transport.local": "pysoa-server",
    "pysoa.server": "pysoa-server",
    "pysoa.client": "pysoa-client",
    "pysoa.test": "pysoa-testing",
}


class SOASettings(Settings):
    """Settings shared between client and server.

    Built from a mapping, which is copied, merged over :attr:`defaults` (mappings key by key, anything else as
    a whole) and validated by :attr:`schema`. The result is a read-only mapping, in which each class entry has
    gained an ``object``, the class that its ``path`` names.
    """

    class ImproperlyConfigured(PySOAError, Settings.ImproperlyConfigured):
        """Raised when settings are wrong. The text names each wrong key and says what to do."""

    schema: SettingsSchema = {
        "transport": class_configuration(),
        "middleware": list_of(
            class_configuration(),
            description="The list of all middleware objects that should be applied to this server or client",
        ),
        "metrics": class_configuration(
            base_class=MetricsRecorder,
            description="Configuration for defining a usage and performance metrics recorder.",
        ),
    }
    """What is allowed under each key. Subclasses add to it or override parts of it."""

    defaults: SettingsData = {
        "middleware": [],
        "metrics": {"path": "pymetrics.recorders.noop:NonOperationalMetricsRecorder"},
    }
    """The values of the keys that may be left out."""

    def set(self, data: Mapping[str, Any]) -> None:
        """Replace all settings.

        Args:
            data: The settings, to be merged over the defaults. It is not changed.

        Raises:
            ImproperlyConfigured: A key is missing, unknown or wrong, or a class cannot be imported.
        """
        if not isinstance(data, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
            raise self.ImproperlyConfigured(
                f"{type(self).__name__} must be made from a mapping (dictionary), not {type(data).__name__}"
            )
        try:
            super().set(data)
        except Settings.ImproperlyConfigured as error:
            text = str(error)
            advice = "\n".join(self._advice(data, text))
            separator = "" if text.endswith("\n") or not advice else "\n"
            raise self.ImproperlyConfigured(f"{text}{separator}{advice}") from error
        except Exception as error:  # Validation imports the modules that are named, which may raise anything.
            advice = "\n".join(self._advice(data, "")) or f"{type(error).__name__}: {error}"
            raise self.ImproperlyConfigured(f"Invalid settings:\n{advice}") from error

    def _advice(self, data: Mapping[str, Any], text: str) -> Iterator[str]:
        if text.startswith("Unknown setting(s)"):
            yield f"{type(self).__name__} knows these settings: {', '.join(sorted(self.schema))}"
        settings: Mapping[str, Any] = self._merge_mappings(data, self.defaults)
        for key in sorted(settings):
            for pointer, path in _class_paths(key, settings[key]):
                problem = _import_problem(path)
                if problem is not None:
                    yield f"Cannot import {path!r}, the class set at {pointer}: {problem}"


def _class_paths(pointer: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield where a setting names a class, and which one."""
    if is_dict(value):
        if "path" in value:
            yield f"{pointer}.path", value["path"]
    elif is_list(value):
        for index, item in enumerate(value):
            yield from _class_paths(f"{pointer}.{index}", item)


def _import_problem(path: Any) -> str | None:
    """Return why a class cannot be imported and what to do about it; ``None`` if it can."""
    if not isinstance(path, str):
        return "it is not a string. Write it as 'package.module:ClassName'."
    try:
        fields.PythonPath.resolve_python_path(path)
    except ModuleNotFoundError as error:
        return f"there is no module {error.name!r}. {_installation_advice(error.name or path)}"
    except AttributeError as error:
        return f"{error}. Check the name of the class."
    except ValueError:
        return "it is not a valid import path. Write it as 'package.module:ClassName'."
    except Exception as error:  # The module is user code, and importing it may raise anything.
        return f"importing it raised {type(error).__name__}: {error}."
    return None


def _installation_advice(module: str) -> str:
    for prefix, distribution in _DISTRIBUTIONS.items():
        if module == prefix or module.startswith(f"{prefix}."):
            return f"Install {distribution}, or set the path to a class that is installed."
    return "Install the package that has it, or correct the path."
