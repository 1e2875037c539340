"""The heartbeat file of a server process."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pysoa.server import _heartbeat
from pysoa.server._heartbeat import Heartbeat


class TestName:
    def test_pid_becomes_the_process_id(self, tmp_path: Path) -> None:
        heartbeat = Heartbeat(str(tmp_path / "beat.{{pid}}"))

        heartbeat.create()

        assert [path.name for path in tmp_path.iterdir()] == [f"beat.{os.getpid()}"]

    def test_fid_becomes_the_forked_process_id(self, tmp_path: Path) -> None:
        heartbeat = Heartbeat(str(tmp_path / "beat.{{fid}}"), forked_process_id=3)

        heartbeat.create()

        assert [path.name for path in tmp_path.iterdir()] == ["beat.3"]

    def test_fid_stays_in_the_name_when_the_process_was_not_forked(self, tmp_path: Path) -> None:
        heartbeat = Heartbeat(str(tmp_path / "beat.{{fid}}"))

        heartbeat.create()

        assert [path.name for path in tmp_path.iterdir()] == ["beat.{{fid}}"]

    def test_relative_path_is_fixed_when_the_file_is_created(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        heartbeat = Heartbeat("beat")

        heartbeat.create()

        assert heartbeat.path == tmp_path / "beat"


class TestContent:
    def test_file_holds_the_time_of_its_creation(self, tmp_path: Path) -> None:
        before = time.time()

        Heartbeat(str(tmp_path / "beat")).create()

        assert before <= float((tmp_path / "beat").read_text()) <= time.time()

    def test_creation_empties_the_file_of_an_earlier_process(self, tmp_path: Path) -> None:
        (tmp_path / "beat").write_text("x" * 100)

        Heartbeat(str(tmp_path / "beat")).create()

        float((tmp_path / "beat").read_text())

    def test_shorter_time_leaves_no_digits_of_a_longer_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_heartbeat, "_UPDATE_INTERVAL_IN_SECONDS", -1.0)
        heartbeat = Heartbeat(str(tmp_path / "beat"))
        times = iter((1234567890.123456, 1234567891.5))
        monkeypatch.setattr(time, "time", lambda: next(times))
        heartbeat.create()

        heartbeat.update()

        assert (tmp_path / "beat").read_text() == "1234567891.5"

    def test_update_within_two_and_a_half_seconds_writes_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [1000.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        heartbeat = Heartbeat(str(tmp_path / "beat"))
        heartbeat.create()
        first = (tmp_path / "beat").read_text()

        now[0] += 2.5
        heartbeat.update()

        assert (tmp_path / "beat").read_text() == first

    def test_update_after_more_than_two_and_a_half_seconds_writes_the_time(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [1000.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        heartbeat = Heartbeat(str(tmp_path / "beat"))
        heartbeat.create()
        first = float((tmp_path / "beat").read_text())

        now[0] += 2.51
        heartbeat.update()

        assert float((tmp_path / "beat").read_text()) > first


class TestTrouble:
    def test_creation_in_a_missing_folder_raises_with_the_path(self, tmp_path: Path) -> None:
        heartbeat = Heartbeat(str(tmp_path / "missing" / "beat"))

        with pytest.raises(FileNotFoundError) as caught:
            heartbeat.create()

        assert caught.value.filename == str(tmp_path / "missing" / "beat")

    def test_update_and_deletion_without_a_file_do_nothing(self, tmp_path: Path) -> None:
        heartbeat = Heartbeat(str(tmp_path / "beat"))

        heartbeat.update()
        heartbeat.delete()

        assert list(tmp_path.iterdir()) == []

    def test_deletion_removes_the_file(self, tmp_path: Path) -> None:
        heartbeat = Heartbeat(str(tmp_path / "beat"))
        heartbeat.create()

        heartbeat.delete()

        assert list(tmp_path.iterdir()) == []

    def test_deletion_of_a_file_that_is_gone_is_a_warning(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        heartbeat = Heartbeat(str(tmp_path / "beat"))
        heartbeat.create()
        (tmp_path / "beat").unlink()

        heartbeat.delete()

        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "Cannot remove the heartbeat file" in caplog.text
