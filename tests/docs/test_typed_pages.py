"""Whoever types what the tutorial shows, in an empty folder, gets what the tutorial shows.

So it is with other pages that show whole files, in blocks with the name of the file for a caption.
"""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from sybil import Document, Example, Region, Sybil
from sybil.parsers.abstract.lexers import LexerCollection
from sybil.parsers.myst import CodeBlockParser, SkipParser
from sybil.parsers.myst.lexers import DirectiveLexer

from pysoa.client.client import Client
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.test.redis_server import RedisServer

_DOCS = pathlib.Path(__file__).parents[2] / "docs"
_COMMAND_LIMIT_S = 90
_START_LIMIT_S = 60
_STOP_LIMIT_S = 30


@pytest.mark.parametrize(("page", "count"), [("tutorial.md", 5), ("guides/testing.md", 10)])
def test_what_a_page_has_one_type_ends_with_passing_tests(typist: Typist, page: str, count: int) -> None:
    console = CodeBlockParser("console", typist.type)
    document = Sybil([typist.files, console, SkipParser()]).parse(_DOCS / page)

    for example in document.examples():
        example.evaluate()

    assert typist.last_output.splitlines()[-1].startswith(f"{count} passed")
    assert typist.stop_the_service() == 0


class Typist:
    """Does what a page says, in a folder of its own, with a Redis on another port."""

    def __init__(self, folder: pathlib.Path, redis: RedisServer) -> None:
        self.last_output = ""
        self._folder = folder
        self._redis = redis
        self._service: subprocess.Popen[bytes] | None = None
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
            "PATH": os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]),
        }

    def files(self, document: Document) -> Iterator[Region]:
        """Find the blocks that are files: those whose caption is a file name."""
        for region in LexerCollection([DirectiveLexer("code-block", arguments="python")])(document):
            region.parsed = (region.lexemes["options"]["caption"], str(region.lexemes["source"]))
            region.evaluator = self.write
            yield region

    def write(self, example: Example) -> None:
        """Write a file."""
        name, text = example.parsed
        (self._folder / name).write_text(text.replace("6379", str(self._redis.port)))

    def type(self, example: Example) -> None:
        """Type commands, and compare what they print with what the page shows, if it shows anything."""
        for command, expected in _commands(str(example.parsed)):
            if command.startswith("cd "):
                self._folder /= command.removeprefix("cd ")
            elif ".standalone " in command:
                self._start_the_service(command)
            else:
                self.last_output = self._run(command)
                if expected:
                    assert _comparable(self.last_output) == _comparable(expected)

    def _run(self, command: str) -> str:
        result = subprocess.run(
            command,
            shell=True,
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_COMMAND_LIMIT_S,
            check=False,
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}"
        return result.stdout

    def _start_the_service(self, command: str) -> None:
        with (self._folder / "service.log").open("wb") as log:
            self._service = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        redis = {"hosts": [(self._redis.host, self._redis.port)]}
        kwargs = {"backend_type": "redis.standard", "backend_layer_kwargs": redis}
        client = Client({"prices": {"transport": {"kwargs": kwargs}}})
        deadline = time.monotonic() + _START_LIMIT_S
        while self._lines_of_log("listening on transport") < 2:
            assert time.monotonic() < deadline, (self._folder / "service.log").read_text()
            try:
                client.call_action("prices", "status", {"verbose": False}, timeout=1)
            except MessageReceiveTimeout:
                continue

    def _lines_of_log(self, text: str) -> int:
        return (self._folder / "service.log").read_text().count(text)

    def stop_the_service(self) -> int:
        """Press Ctrl-C in the service's terminal, if there is one, and return the exit code."""
        if self._service is None:
            return 0
        self._service.send_signal(signal.SIGINT)
        try:
            return self._service.wait(_STOP_LIMIT_S)
        finally:
            self._service.kill()
            self._service.wait()
            self._service = None


@pytest.fixture
def typist(tmp_path: pathlib.Path, clean_redis: RedisServer) -> Iterator[Typist]:
    typist = Typist(tmp_path, clean_redis)
    try:
        yield typist
    finally:
        typist.stop_the_service()


def _commands(block: str) -> Iterator[tuple[str, str]]:
    """Yield each command with the output that follows it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def _comparable(output: str) -> str:
    return re.sub(r"in \d+\.\d+s", "in some time", output).strip()
