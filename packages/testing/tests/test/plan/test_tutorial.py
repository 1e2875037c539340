"""Whoever types what the tutorial on plans shows gets what it shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[5]
_PAGE = _ROOT / "docs" / "testing" / "test-plans-tutorial.md"
_BLOCK = re.compile(
    r"^```(\{code-block\} \w+|console)\n(?::caption: (\S+)\n\n)?(.*?)^```$", re.MULTILINE | re.DOTALL
)
_LIMIT_S = 100


def test_tutorial_shows_what_happens(tmp_path: Path) -> None:
    shutil.copytree(_ROOT / "examples" / "library_service", tmp_path / "library_service")
    files, commands = 0, 0

    for kind, caption, text in _BLOCK.findall(_PAGE.read_text(encoding="utf-8")):
        if kind == "console":
            for command, expected in typed(text):
                commands += 1
                if not command.startswith("python -m pip"):
                    assert_lines_in_order(expected, output_of(command, tmp_path))
        else:
            files += 1
            (tmp_path / caption).write_text(text, encoding="utf-8")

    assert (files, commands) == (5, 9)


def typed(text: str) -> Iterator[tuple[str, list[str]]]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *expected = part.strip().split("\n")
        yield command, expected


def output_of(command: str, folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    result = subprocess.run(
        f"{command} -p no:cacheprovider" if " pytest " in command else command,
        shell=True,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    return result.stdout


def assert_lines_in_order(expected: list[str], output: str) -> None:
    """Assert that each line begins a line of the output, in the same order; dots stand for anything."""
    lines = iter(output.splitlines())
    for text in expected:
        pattern = re.compile(re.escape(text).replace(r"\.\.\.", ".*"))
        is_there = any(pattern.match(re.sub("^=+ ", "", line)) for line in lines)
        assert is_there, f"{text!r} is not in its place in\n{output}"
