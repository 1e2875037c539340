"""The one command line parser."""

from __future__ import annotations

import pytest

from pysoa.server._command_line import build_parser, parse_arguments


def test_help_shows_every_option_and_ends_with_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_arguments(build_parser(), ["-h"])

    assert caught.value.code == 0
    text = capsys.readouterr().out
    for option in ("-s", "--settings", "-d", "--daemon", "-f", "--fork-processes", "--fork", "--no-respawn"):
        assert option in text
    assert "--use-file-watcher" in text


@pytest.mark.parametrize("option", ["-f", "--fork-processes", "--fork"])
def test_every_name_of_the_fork_option_takes_a_number(option: str) -> None:
    options = parse_arguments(build_parser(), [option, "4"])

    assert options.fork_processes == 4


def test_nothing_is_on_by_default() -> None:
    options = parse_arguments(build_parser(), [])

    assert options.fork_processes == 0
    assert options.no_respawn is False
    assert options.use_file_watcher is False
    assert options.settings is None
    assert options.daemon is False


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["--use-file-watcher"], None, id="all-modules"),
        pytest.param(["--use-file-watcher", "a, b"], "a, b", id="list"),
    ],
)
def test_file_watcher_takes_an_optional_list(arguments: list[str], expected: str | None) -> None:
    options = parse_arguments(build_parser(), arguments)

    assert options.use_file_watcher == expected


def test_unknown_option_is_a_warning_that_shows_its_name_and_not_its_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = parse_arguments(build_parser(), ["--fork", "2", "--frok=3", "--token", "hunter2"])

    assert options.fork_processes == 2
    warning = capsys.readouterr().err
    assert "--frok, --token" in warning
    assert "hunter2" not in warning


def test_wrong_number_is_an_error_with_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_arguments(build_parser(), ["--fork", "many"])

    assert caught.value.code == 2
    assert "many" in capsys.readouterr().err
