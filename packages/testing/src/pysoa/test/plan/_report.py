"""What a failed test case looks like: its lines in the fixture file, and how far it has come."""

# Values are of any type here, and so is what they contain.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import os
import pprint
from types import TracebackType
from typing import Any, Final

import attrs

from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse, JobResponse
from pysoa.test.plan._case_run import CaseRun
from pysoa.test.plan._fixture_data import FixtureTestCaseData

__all__ = ("describe", "prune_tracebacks")

_PRUNE_MARK: Final = "__test_plan_prune_traceback"
_CONTEXT_LINES: Final = 3
_MAXIMUM_LINES: Final = 25


def describe(case: FixtureTestCaseData, run: CaseRun | None, error: BaseException, wide: bool) -> str:
    """Return the lines of a test case and the values that it had when it failed.

    Args:
        case: The test case.
        run: Its execution; ``None`` if it was not executed.
        error: Why it failed.
        wide: Whether long values are shown to their end.
    """
    parts = [_source(case)]
    if run is not None:
        parts.append(_values(run, wide))
    path = os.path.relpath(case.fixture_file)
    parts.append(f"{path}:{case.line_number}: {type(error).__name__}")
    return "\n\n".join(parts)


def prune_tracebacks(error: BaseException) -> None:
    """Take the frames of code that runs plans out of the tracebacks of an exception and of its causes.

    This concerns modules with a global ``__test_plan_prune_traceback``. A traceback of nothing else is kept.
    """
    seen: set[int] = set()
    errors: list[BaseException | None] = [error]
    while errors:
        current = errors.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        current.__traceback__ = _pruned(current.__traceback__)
        errors += [current.__cause__, current.__context__]


def _pruned(entry: TracebackType | None) -> TracebackType | None:
    entries: list[TracebackType] = []
    first = entry
    while entry is not None:
        if _PRUNE_MARK not in entry.tb_frame.f_globals:
            entries.append(entry)
        entry = entry.tb_next
    pruned: TracebackType | None = None
    for kept in reversed(entries):
        pruned = TracebackType(pruned, kept.tb_frame, kept.tb_lasti, kept.tb_lineno)
    return pruned or first


def _source(case: FixtureTestCaseData) -> str:
    lines = case.test_fixture[0]["fixture_source"]
    name_index = case.line_number - 1
    first = last = name_index
    while first > 0 and lines[first - 1].strip():
        first -= 1
    while last + 1 < len(lines) and lines[last + 1].strip():
        last += 1
    shown = range(max(first - _CONTEXT_LINES, 0), min(last + 1 + _CONTEXT_LINES, len(lines)))
    return "\n".join(f"{'>' if index == name_index else ' '}   {lines[index]}" for index in shown).rstrip()


def _values(run: CaseRun, wide: bool) -> str:
    values: dict[str, Any] = {"action_results": run.action_results}
    if run.action_case is None:
        shown = {key: value for key, value in run.test_case.items() if key != "fixture_source"}
        values["test_case"] = shown
    else:
        values["action_case"] = {
            key: value for key, value in run.action_case.items() if not key.startswith("_")
        }
        values["job_response"] = run.job_response
    return "\n".join(_value(name, value, wide) for name, value in values.items())


def _value(name: str, value: object, wide: bool) -> str:
    lines = f"{name} = {pprint.pformat(_readable(value), width=100, sort_dicts=False)}".split("\n")
    if len(lines) > _MAXIMUM_LINES and not wide:
        left_out = len(lines) - _MAXIMUM_LINES
        lines = [*lines[:_MAXIMUM_LINES], f"... {left_out} more lines; -l shows them"]
    return "\n".join(lines)


def _readable(value: Any) -> Any:
    """Return responses as dictionaries, which are printed line by line, without tracebacks of services."""
    if isinstance(value, JobResponse):
        return {name: _readable(getattr(value, name)) for name in ("errors", "context", "actions")}
    if isinstance(value, ActionResponse):
        return {name: _readable(getattr(value, name)) for name in ("action", "errors", "body")}
    if isinstance(value, Error):
        return attrs.evolve(value, traceback=None)
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if isinstance(value, dict):
        return {key: _readable(item) for key, item in value.items()}
    return value
