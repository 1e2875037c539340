"""Starting a service: settings, options, background."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from .conftest import Service


def test_service_serves_until_sigterm_and_ends_with_code_0(service: Service) -> None:
    process = service.start_and_wait()

    answer = service.call("pid")
    exit_code = process.stop()

    assert answer == {"pid": process.pid, "fid": None}
    assert exit_code == 0
    assert "torn down" in process.output
    assert "Server shutdown complete" in process.output


def test_console_script_starts_the_service(service: Service) -> None:
    script = service.folder / "bin" / "process-service"
    script.parent.mkdir()
    script.write_text(
        f"import sys\nsys.path.append({str(service.folder)!r})\n"
        "from process_service.standalone import get_server, simple_main\nsimple_main(get_server)\n"
    )

    process = service.start_and_wait(command=["-I", str(script), "-s", "process_service.settings"])

    assert process.stop() == 0


class TestSettings:
    @pytest.mark.parametrize("options", [[], ["--fork", "2"]], ids=["one-process", "forked"])
    def test_missing_settings_option_is_reported_once_by_the_first_process(
        self, service: Service, options: list[str]
    ) -> None:
        process = service.start(*options, command=["-m", "process_service.standalone"])

        assert process.wait() == 2
        assert process.output.count("the following arguments are required: -s/--settings") == 1

    def test_missing_settings_module_is_named(self, service: Service) -> None:
        process = service.start("-s", "process_service.nowhere")

        assert process.wait() == 1
        assert "ValueError: Cannot import settings module process_service.nowhere" in process.output

    def test_settings_module_cannot_be_named_relatively(self, service: Service) -> None:
        process = service.start("-s", ".settings")

        assert process.wait() == 1
        assert "ValueError: Cannot import settings module .settings" in process.output

    def test_module_without_settings_is_named(self, service: Service) -> None:
        service.write("empty.py", "")

        process = service.start("-s", "process_service.empty")

        assert process.wait() == 1
        assert "Cannot find `SOA_SERVER_SETTINGS` or `settings` variable" in process.output

    def test_module_may_call_them_just_settings(self, service: Service) -> None:
        service.write("plain.py", "from process_service.settings import SOA_SERVER_SETTINGS as settings")

        process = service.start_and_wait("-s", "process_service.plain")

        assert process.stop() == 0

    def test_wrong_setting_is_found_once_before_anything_is_forked(self, service: Service) -> None:
        process = service.start("--fork", "2", settings='{"heartbeet_file": "/tmp/beat"}')

        assert process.wait() == 1
        assert "Unknown setting(s): heartbeet_file" in process.output
        assert process.output.count("simple_main(get_server)") == 1
        assert "pre fork" not in process.output

    def test_settings_module_is_imported_once_for_all_workers(self, service: Service) -> None:
        service.append("settings.py", "print('settings imported', flush=True)\n")

        process = service.start_and_wait("--fork", "2", workers=2)

        assert process.stop() == 0
        assert process.output.count("settings imported") == 1

    def test_class_with_its_own_main_finds_settings_in_its_own_way(self, service: Service) -> None:
        service.append(
            "server.py",
            """
            def main(cls, forked_process_id=None):
                say("own main", forked_process_id)

            ProcessServer.main = classmethod(main)
            """,
        )

        process = service.start("--fork", "2", "--no-respawn", command=["-m", "process_service.standalone"])

        assert process.wait() == 0
        assert "own main 1" in process.output
        assert "own main 2" in process.output

    def test_server_without_a_name_is_refused(self, service: Service) -> None:
        process = service.start(environment={"TEST_SERVICE_NAME": ""})

        assert process.wait() == 1
        assert "AttributeError: Server subclass must set service_name" in process.output


class TestOptions:
    def test_help_lists_every_option_and_ends_with_code_0(self, service: Service) -> None:
        process = service.start(command=["-m", "process_service.standalone", "-h"])

        assert process.wait() == 0
        for option in ("--settings", "--daemon", "--fork-processes", "--no-respawn", "--use-file-watcher"):
            assert option in process.output

    def test_unknown_option_is_a_warning_for_the_service_to_handle(self, service: Service) -> None:
        process = service.start_and_wait("--my-own-option=3", "--fork", "2", workers=2)

        assert process.stop() == 0
        assert process.output.count("PySOA does not know the option(s) --my-own-option") == 1

    @pytest.mark.parametrize("count", ["0", "1", "-3"])
    def test_fewer_than_two_forks_run_in_the_first_process(self, service: Service, count: str) -> None:
        process = service.start_and_wait("--fork", count)

        assert service.call("pid") == {"pid": process.pid, "fid": None}
        assert process.stop() == 0


class TestDaemon:
    @pytest.mark.parametrize("forks", [0, 2], ids=["one-process", "forked"])
    def test_there_is_one_daemon_in_a_session_of_its_own(self, service: Service, forks: int) -> None:
        process = service.start("-d", "--fork", str(forks))

        exit_code = process.wait()
        process.wait_for_output("set up", count=forks or 1)

        assert exit_code == 0
        printed = re.findall(r"^PID=(\d+)$", process.output, re.MULTILINE)
        assert len(printed) == 1
        daemon = psutil.Process(int(printed[0]))
        try:
            assert os.getsid(daemon.pid) == daemon.pid
            assert len(daemon.children()) == forks
            assert service.call("pid")["pid"] in [daemon.pid, *(child.pid for child in daemon.children())]
        finally:
            daemon.send_signal(signal.SIGTERM)
            psutil.wait_procs([daemon], timeout=20)
        assert not daemon.is_running()
