"""The heartbeat file of real workers."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Service


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("beat*")}


def test_each_worker_has_a_file_that_goes_with_it(service: Service) -> None:
    path = str(service.folder / "beat.{{fid}}.{{pid}}")
    process = service.start_and_wait("--fork", "2", workers=2, settings=json.dumps({"heartbeat_file": path}))
    service.call("pid")
    _wait_until_there_are(2, service.folder)
    children = process.children()

    names = _names(service.folder)
    exit_code = process.stop()

    assert names <= {f"beat.{fid}.{pid}" for fid in (1, 2) for pid in children}
    assert exit_code == 0
    assert _names(service.folder) == set()


def test_file_that_cannot_be_made_ends_the_service_with_code_1(service: Service) -> None:
    process = service.start(settings=json.dumps({"heartbeat_file": "/nowhere/at/all/beat"}))

    assert process.wait() == 1
    assert "/nowhere/at/all/beat" in process.output
    assert "torn down" in process.output


def test_long_job_lets_the_file_grow_old_unless_the_settings_ask_otherwise(service: Service) -> None:
    path = service.folder / "beat"
    settings = {"heartbeat_file": str(path), "heartbeat_during_jobs": True}
    process = service.start_and_wait(settings=json.dumps(settings))
    service.client().send_request(service.name, [{"action": "sleep", "body": {"seconds": 4}}])
    process.wait_for_output("sleeping")
    at_start = float(path.read_text())

    deadline = time.monotonic() + 3.9
    while float(path.read_text()) <= at_start and time.monotonic() < deadline:
        time.sleep(0.02)

    assert at_start + 2.5 < float(path.read_text())
    assert process.stop() == 0


def _wait_until_there_are(count: int, folder: Path) -> None:
    deadline = time.monotonic() + 10
    while len(_names(folder)) < count and time.monotonic() < deadline:
        time.sleep(0.02)
