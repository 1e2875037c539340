"""What the READMEs show runs as it stands there."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from pysoa.client.client import Client
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.test.redis_server import RedisServer

_ROOT = pathlib.Path(__file__).parents[2]
_TIMEOUT_S = 60


def test_the_repositorys_example_runs(tmp_path: pathlib.Path) -> None:
    assert run(tmp_path, "README.md") == "{'square': 49}\n"


def test_the_example_of_common_runs_and_its_assertions_hold(tmp_path: pathlib.Path) -> None:
    run(tmp_path, "packages/common/README.md")


def test_the_examples_of_client_and_server_work_together(
    tmp_path: pathlib.Path, square_service: RedisServer
) -> None:
    output = run(tmp_path, "packages/client/README.md", square_service)

    assert output.splitlines() == [
        "{'square': 49}",
        "{'square': 81} [{'square': 0}, {'square': 1}, {'square': 4}]",
    ]


def test_the_examples_of_transport_redis_and_server_work_together(
    tmp_path: pathlib.Path, square_service: RedisServer
) -> None:
    assert run(tmp_path, "packages/transport-redis/README.md", square_service) == "{'square': 49}\n"


def test_the_tests_that_the_example_of_testing_shows_pass(tmp_path: pathlib.Path) -> None:
    (tmp_path / "test_square.py").write_text(example("packages/testing/README.md"))

    output = run_python(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_square.py")

    assert re.search(r"^\d+ passed in", output, flags=re.MULTILINE)


@pytest.fixture
def square_service(tmp_path: pathlib.Path) -> Iterator[RedisServer]:
    """The service of the server's README, with two workers on a private Redis."""
    with RedisServer() as redis:
        (tmp_path / "square.py").write_text(example("packages/server/README.md", redis))
        service = subprocess.Popen(
            [sys.executable, "-m", "square", "-s", "square", "--fork", "2"],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until_it_answers(redis)
            yield redis
        finally:
            service.terminate()
            try:
                service.wait(20)
            finally:
                service.kill()
                service.wait()


def wait_until_it_answers(redis: RedisServer) -> None:
    hosts = {"hosts": [(redis.host, redis.port)]}
    kwargs = {"backend_type": "redis.standard", "backend_layer_kwargs": hosts}
    client = Client({"square": {"transport": {"kwargs": kwargs}}})
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            client.call_action("square", "status", {"verbose": False}, timeout=1)
        except MessageReceiveTimeout:
            assert time.monotonic() < deadline
        else:
            return


def run(folder: pathlib.Path, readme: str, redis: RedisServer | None = None) -> str:
    """Run a README's example and return what it prints."""
    (folder / "example.py").write_text(example(readme, redis))
    return run_python(folder, "example.py")


def run_python(folder: pathlib.Path, *arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def example(readme: str, redis: RedisServer | None = None) -> str:
    """Return the code in a README, with the port of a private Redis instead of the usual one."""
    blocks = re.findall(
        r"^```python\n(.*?)^```", (_ROOT / readme).read_text(), flags=re.MULTILINE | re.DOTALL
    )
    code = "\n".join(blocks)
    assert code
    return code.replace("6379", str(redis.port)) if redis else code
