from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pysoa.utils import dict_to_hashable

_PROGRAM = "from pysoa.utils import get_python_interpreter_arguments as get\nprint(*get(), sep='\\n')\n"


def test_equal_dictionaries_become_equal_keys() -> None:
    one = dict_to_hashable({"a": [1, 2], "b": {"c": 3}})
    other = dict_to_hashable({"b": {"c": 3}, "a": (1, 2)})

    assert one == other
    assert hash(one) == hash(other)
    assert one == frozenset({("a", (1, 2)), ("b", frozenset({("c", 3)}))})


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"a": {1, 2}}, id="set"),
        pytest.param({"a": [[1], {"b": [2]}]}, id="lists and dictionaries in lists"),
        pytest.param({"a": ({"b": 1},)}, id="dictionary in a tuple"),
    ],
)
def test_containers_at_any_depth_can_be_hashed(value: dict[str, Any]) -> None:
    assert {dict_to_hashable(value): 1} == {dict_to_hashable(value): 1}


def test_other_values_stay_as_they_are() -> None:
    value = object()

    assert dict_to_hashable({"a": value}) == frozenset({("a", value)})


def test_value_that_cannot_be_hashed_raises_a_type_error() -> None:
    with pytest.raises(TypeError):
        dict_to_hashable({"a": bytearray()})


@pytest.mark.parametrize("as_module", [False, True], ids=["script", "module"])
def test_arguments_of_the_interpreter_end_with_what_was_started(tmp_path: Path, as_module: bool) -> None:
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    started = ["-m", "program"] if as_module else [str(program)]

    finished = subprocess.run(
        [sys.executable, "-W", "ignore", *started, "first", "--second"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert finished.stdout.splitlines() == [sys.executable, "-W", "ignore", *started]
