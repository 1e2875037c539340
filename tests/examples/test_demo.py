"""``make demo`` shows what it promises, and leaves nothing behind."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

import psutil
import pytest

_DEMO = pathlib.Path(__file__).parents[2] / "examples" / "demo.py"
_TIMEOUT_S = 60


@pytest.fixture
def mark() -> str:
    """What the environments of all processes of one demonstration have in common."""
    return uuid.uuid4().hex


@pytest.fixture
def demo(mark: str, tmp_path: pathlib.Path) -> Iterator[subprocess.Popen[str]]:
    """A demonstration that has just begun, in a process group of its own."""
    process = subprocess.Popen(
        [sys.executable, "-u", str(_DEMO)],
        env={**os.environ, "DEMO_MARK": mark, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        yield process
        process.kill()


def test_the_demo_shows_every_kind_of_call_and_ends_by_itself(
    demo: subprocess.Popen[str], mark: str, tmp_path: pathlib.Path
) -> None:
    output, errors = demo.communicate(timeout=_TIMEOUT_S)

    assert (demo.returncode, errors) == (0, "")
    assert "errors: []" in output
    assert "'Solaris' by Stanisław Lem" in output
    assert "lent to Ada" in output
    assert len(set(re.findall(r"worker (\d+) counted", output))) == 2
    assert "CallActionError: NO_COPY_LEFT at 'isbn'" in output
    assert "get_book(isbn)" in output
    assert left_over(mark) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("signal_number", "exit_code"),
    [pytest.param(signal.SIGINT, 130, id="Ctrl-C"), pytest.param(signal.SIGTERM, 143, id="SIGTERM")],
)
@pytest.mark.parametrize(
    "moment",
    ["Started a private Redis", "Started the example service", "A single call", "Two calls in parallel"],
)
def test_an_interrupted_demo_leaves_nothing_behind(
    demo: subprocess.Popen[str],
    mark: str,
    tmp_path: pathlib.Path,
    moment: str,
    signal_number: signal.Signals,
    exit_code: int,
) -> None:
    assert demo.stdout is not None
    while moment not in (line := demo.stdout.readline()):
        assert line, "the demo ended early"

    os.killpg(demo.pid, signal_number)
    demo.communicate(timeout=_TIMEOUT_S)

    assert demo.returncode == exit_code
    assert left_over(mark) == []
    assert list(tmp_path.iterdir()) == []


def test_a_service_that_does_not_start_ends_the_demo_with_its_log(tmp_path: pathlib.Path) -> None:
    examples = shutil.copytree(_DEMO.parent, tmp_path / "examples")
    (examples / "library_service" / "service.py").write_text("raise RuntimeError('broken on purpose')\n")

    demo = subprocess.run(
        [sys.executable, str(examples / "demo.py")],
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )

    assert demo.returncode == 1
    assert "broken on purpose" in demo.stderr
    assert demo.stderr.endswith("The service ended with exit code 1.\n")


def left_over(mark: str, timeout_s: float = 5) -> list[str]:
    """Return the processes with this mark that have not ended by the deadline."""
    deadline = time.monotonic() + timeout_s
    while (found := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def marked(mark: str) -> list[str]:
    found: list[str] = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("DEMO_MARK") == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {process.cmdline()}")
        except psutil.Error:
            continue
    return found
