"""The pure parts of the reloader; ``process/test_reload.py`` has the rest."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from pysoa.server import autoreload
from pysoa.server._file_state import FileState


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (
            "pysoa.server.autoreload",
            [
                "AbstractReloader",
                "NEED_RELOAD_EXIT_CODE",
                "USE_PY_INOTIFY",
                "_PollingReloader",
                "_PyInotifyReloader",
                "_clean_files",
                "get_reloader",
            ],
        ),
        (
            "pysoa.server.standalone",
            [
                "_get_arg_parser",
                "_get_args",
                "_run_server",
                "_run_server_reloader_wrapper",
                "django_main",
                "is_double_import",
                "simple_main",
            ],
        ),
    ],
    ids=["autoreload", "standalone"],
)
def test_names_of_1x_are_still_there(module: str, names: list[str]) -> None:
    imported = importlib.import_module(module)

    assert [name for name in names if not hasattr(imported, name)] == []


def test_reloader_of_the_system_is_chosen_when_watchfiles_is_installed() -> None:
    reloader = autoreload.get_reloader("some.module", None)

    assert type(reloader).__name__ == "_WatchfilesReloader"


def test_polling_reloader_is_chosen_when_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)

    reloader = autoreload.get_reloader("some.module", None)

    assert type(reloader).__name__ == "_PollingReloader"


def test_prefixes_choose_modules_by_the_beginning_of_their_names() -> None:
    reloader = autoreload.get_reloader(None, ["pysoa.server.auto", "json"])

    names = {Path(name).name for name in reloader.get_watch_file_names()}

    assert {"autoreload.py", "decoder.py"} <= names
    assert "settings.py" not in names


def test_dot_in_a_prefix_is_a_dot() -> None:
    reloader = autoreload.get_reloader(None, ["pysoa.server.autoreloa."])

    assert reloader.get_watch_file_names() == []


def test_without_prefixes_every_loaded_module_is_watched() -> None:
    reloader = autoreload.get_reloader(None, None)

    names = set(reloader.get_watch_file_names())

    assert {autoreload.__file__, pytest.__file__} <= names


def test_only_new_files_are_those_not_returned_before() -> None:
    reloader = autoreload.get_reloader(None, ["pysoa.server.autoreload"])
    first = reloader.get_watch_file_names(only_new=True)

    second = reloader.get_watch_file_names(only_new=True)

    assert len(first) == 1
    assert second == []


class TestCommand:
    def test_interpreter_options_are_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PYSOA_RELOADER_WRAPPER_BIN", raising=False)
        monkeypatch.setattr(sys, "orig_argv", ["python", "-X", "dev", "-m", "service", "-f", "2"])

        command = autoreload.service_command("service")

        assert command == [sys.executable, "-X", "dev", "-m", "service", "-f", "2"]

    def test_wrapper_runs_the_main_module(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYSOA_RELOADER_WRAPPER_BIN", "coverage run")
        monkeypatch.setattr(sys, "argv", ["/path/service.py", "-f", "2"])

        command = autoreload.service_command("service")

        assert command == ["coverage", "run", "-m", "service", "-f", "2"]

    def test_wrapper_runs_the_script_when_there_is_no_main_module(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PYSOA_RELOADER_WRAPPER_BIN", "coverage run")
        monkeypatch.setattr(sys, "argv", ["/bin/service", "-f", "2"])

        command = autoreload.service_command(None)

        assert command == ["coverage", "run", "/bin/service", "-f", "2"]


class TestWatching:
    @pytest.fixture(params=["watchfiles", "polling"])
    def reloader(
        self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> autoreload.AbstractReloader:
        if request.param == "polling":
            monkeypatch.setitem(sys.modules, "watchfiles", None)
        return autoreload.get_reloader(None, None)

    def test_unchanged_file_is_no_change(self, reloader: autoreload.AbstractReloader, tmp_path: Path) -> None:
        reloader.watch_files([_write(tmp_path / "a.py", "a")])

        changed = reloader.code_changed(0.1)
        reloader.stop_watching()

        assert changed is False

    def test_change_before_the_watching_began_is_noticed(
        self, reloader: autoreload.AbstractReloader, tmp_path: Path
    ) -> None:
        state = _write(tmp_path / "a.py", "a")
        _write(tmp_path / "a.py", "longer")
        reloader.watch_files([state])

        changed = reloader.code_changed(5)
        changed_again = reloader.code_changed(0.1)
        reloader.stop_watching()

        assert changed is True
        assert changed_again is False

    def test_replaced_file_is_a_change_and_a_vanished_one_is_not(
        self, reloader: autoreload.AbstractReloader, tmp_path: Path
    ) -> None:
        reloader.watch_files([_write(tmp_path / "a.py", "a")])
        (tmp_path / "a.py").unlink()
        gone = reloader.code_changed(0.1)

        _write(tmp_path / "new.py", "longer")
        (tmp_path / "new.py").rename(tmp_path / "a.py")
        replaced = _is_noticed(reloader)
        reloader.stop_watching()

        assert gone is False
        assert replaced is True


def _is_noticed(reloader: autoreload.AbstractReloader) -> bool:
    return any(reloader.code_changed(0.5) for _ in range(20))


def _write(path: Path, text: str) -> FileState:
    path.write_text(text)
    state = FileState.of(str(path))
    assert state is not None
    return state


def test_state_of_a_file_with_an_odd_name_survives_the_pipe(tmp_path: Path) -> None:
    state = _write(tmp_path / "1 2 \udcff\n.py", "a")

    assert FileState.from_bytes(state.to_bytes()) == state
