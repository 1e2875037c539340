"""What mock lines do: patching targets with mocks, configuring these, and checking how they were called."""

from __future__ import annotations

import builtins
import importlib
import json
from collections.abc import Mapping
from typing import Any, Final, TypeGuard
from unittest import mock

__all__ = (
    "DELETE",
    "MOCK_PATCHES_KEY",
    "AttributeDict",
    "check_mocks",
    "parse_calls",
    "parse_exception",
    "parse_json",
    "start_mocks",
    "stop_mocks",
)

__test_plan_prune_traceback = True  # read by name, by what prunes tracebacks

MOCK_PATCHES_KEY: Final = "mock_patches"
"""Where cases keep their mocks: ``{TARGET: {"configure": {PATH: value}, "expectations": {PATH: ...}}}``."""
_RUNNING_KEY: Final = "_mock_running"


class _Delete:
    def __repr__(self) -> str:
        return "DELETE"


DELETE: Final = _Delete()
"""Says that an attribute is deleted instead of set."""


class AttributeDict(dict[str, Any]):
    """A dictionary whose values are attributes as well."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{name!r} is no key of {self!r}") from None


def _object(value: dict[str, Any]) -> Any:
    return mock.ANY if value == {"mock.ANY": True} else AttributeDict(value)


def parse_json(text: str) -> Any:
    """Return what a JSON text stands for, with :class:`AttributeDict` for objects.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        return json.loads(text, object_hook=_object)
    except ValueError as error:
        raise ValueError(f"{error}. Expected JSON, found {text!r}; texts need double quotes") from error


def parse_calls(text: str) -> list[Any]:
    """Return the positional and keyword arguments of a call.

    Raises:
        ValueError: The text is no JSON of that form.
    """
    call = parse_json(text)
    if _is_list_of_two(call) and isinstance(call[0], list) and isinstance(call[1], dict):
        return call
    raise ValueError(
        'Expected call JSON syntax must be in the form: [[arg1, ...], {"kwarg1": val1, ...}]; '
        f"found {text!r}"
    )


def _is_list_of_two(value: Any) -> TypeGuard[list[Any]]:
    return type(value) is list and len(value) == 2  # pyright: ignore[reportUnknownArgumentType]


def parse_exception(text: str) -> type[BaseException]:
    """Return an exception class by its name: a builtin, or ``package.module:Class``.

    Raises:
        ValueError: There is no such class.
    """
    module_name, colon, class_name = text.partition(":")
    try:
        value = (
            getattr(importlib.import_module(module_name), class_name) if colon else getattr(builtins, text)
        )
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f'Could not resolve python path for value "{text}" due to error: {error!r}. '
            "Expected the name of a builtin exception or package.module:Class"
        ) from error
    if not (isinstance(value, type) and issubclass(value, BaseException)):
        raise ValueError(
            f'Could not resolve python path for value "{text}" due to error: {value!r} is no exception class'
        )
    return value


def start_mocks(case: dict[str, Any]) -> None:
    """Patch all targets of a test case or action case."""
    running: list[tuple[str, Any, mock.MagicMock]] = []
    case[_RUNNING_KEY] = running
    for target, patch in case.get(MOCK_PATCHES_KEY, {}).items():
        double = mock.MagicMock()
        configuration: Mapping[str, Any] = patch.get("configure", {})
        for path in sorted(configuration, key=len):
            _configure(double, path, configuration[path])
        patcher = mock.patch(target, new=double)
        patcher.start()
        running.append((target, patcher, double))


def _configure(double: mock.MagicMock, path: str, value: Any) -> None:
    *parents, name = path.split(".")
    owner = _attribute(double, parents)
    if value is DELETE:
        delattr(owner, name)
    else:
        setattr(owner, name, value)


def _attribute(double: mock.MagicMock, names: list[str]) -> Any:
    attribute: Any = double
    for name in names:
        attribute = getattr(attribute, name)
    return attribute


def stop_mocks(case: dict[str, Any]) -> None:
    """Take back what :func:`start_mocks` has patched, and nothing else."""
    running = case.pop(_RUNNING_KEY, [])
    for _, patcher, _ in reversed(running):
        patcher.stop()


def check_mocks(case: dict[str, Any], label: str) -> None:
    """Check that the mocks were called as the lines say.

    Args:
        case: The test case or action case.
        label: What to call it in messages.

    Raises:
        AssertionError: They were not.
    """
    for target, _, double in case.get(_RUNNING_KEY, []):
        expectations: Mapping[str | None, Any] = case[MOCK_PATCHES_KEY][target].get("expectations", {})
        for path, expectation in expectations.items():
            name = f"{target}.{path}" if path else target
            called = _attribute(double, path.split(".") if path else [])
            problem = _problem(called, expectation)
            if problem:
                raise AssertionError(f"{label}: mock `{name}`\n{problem}")


def _problem(called: mock.MagicMock, expectation: Mapping[str, Any]) -> str:
    count = called.call_count
    if expectation["not_called"]:
        if count:
            return (
                f"Expected mock to not have been called. Called {count} times.\n"
                f"Calls: {called.call_args_list}"
            )
        return ""
    calls = [mock.call(*arguments, **keywords) for arguments, keywords in expectation["calls"]]
    try:
        called.assert_has_calls(calls)
    except AssertionError as error:
        return str(error)
    if count != len(calls):
        return (
            f"Expected mock to be called {len(calls)} times. Called {count} times.\n"
            f"Calls: {called.call_args_list}"
        )
    return ""
