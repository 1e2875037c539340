"""The measurements of scale run through, with numbers so small that nothing can be learned from them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "scale.py"

SMALL = {
    "--actions": "12",
    "--services": "2",
    "--queued": "100",
    "--calls-made": "100",
    "--idle-workers": "2",
    "--idle-seconds": "1",
    "--scale-rounds": "2",
    "--scale-seconds": "0.05",
}


@pytest.mark.timeout(300)
def test_all_that_a_system_grows_by_is_compared_and_told(tmp_path: Path) -> None:
    written = tmp_path / "scale.json"
    options = [word for option in SMALL.items() for word in option]

    done = subprocess.run(
        [sys.executable, str(PROGRAM), *options, "--json", str(written)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(written.read_text())
    assert [found["title"] for found in result["comparisons"]] == [
        "actions, one called",
        "actions called in turn",
        "services known, one called",
        "services for 2 workers, in turn",
        "jobs waiting",
        "calls made before, Redis",
        "calls made before, in-process",
        "idle workers on the same Redis",
    ]
    assert all(found["title"] in done.stdout for found in result["comparisons"])
    assert all(found["cpu_ratio"][0] > 0 for found in result["comparisons"])
    assert result["idle"]["workers"] == 2
