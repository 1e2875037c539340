"""``make demo``: a private Redis, the library service with two workers, and a client that calls it.

Nothing is left behind: no process and no file, also when it fails or is interrupted.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Generator

import library_client
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.test.redis_server import RedisServer

_EXAMPLES = pathlib.Path(__file__).resolve().parent
_START_TIMEOUT_S = 20
_STOP_TIMEOUT_S = 10
_LOG_LINES_SHOWN = 40


class ServiceError(Exception):
    """The service did not start."""


def main() -> None:
    """Run the demonstration."""
    signal.signal(signal.SIGTERM, _exit)
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pysoa-demo-")))
        server = stack.enter_context(RedisServer())
        redis = f"{server.host}:{server.port}"
        version = ".".join(map(str, server.version))
        print(f"Started a private Redis {version} on {redis}.")
        stack.enter_context(_running_service(redis, folder))
        print("Started the example service with two worker processes:")
        print("    python -m library_service.standalone -s library_service.settings --fork 2\n")
        library_client.main(redis)
    print("The service and Redis have ended. Read examples/ to see how it is done.")


@contextlib.contextmanager
def _running_service(redis: str, folder: pathlib.Path) -> Generator[None]:
    log_file = folder / "service.log"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_EXAMPLES), os.environ.get("PYTHONPATH")])),
        "LIBRARY_REDIS": redis,
        "LIBRARY_DATABASE": str(folder / "library.sqlite3"),
    }
    with log_file.open("wb") as log:
        # A session of its own: Ctrl-C reaches only this process, which then stops the service in good order.
        service = subprocess.Popen(
            [
                *(sys.executable, "-m", "library_service.standalone"),
                *("-s", "library_service.settings", "--fork", "2"),
            ],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_it_answers(service, redis)
        yield
    except Exception:
        lines = log_file.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
        print("The service's log ends with:", *lines, sep="\n    ", file=sys.stderr)
        raise
    finally:
        _stop(service)


def _wait_until_it_answers(service: subprocess.Popen[bytes], redis: str) -> None:
    """Ask for the service's status, until it answers or has ended."""
    client = library_client.make_client(redis)
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            client.call_action("library", "status", {"verbose": False}, timeout=1)
        except MessageReceiveTimeout as error:
            if service.poll() is not None:
                raise ServiceError(f"The service ended with exit code {service.returncode}.") from error
            if time.monotonic() > deadline:
                raise ServiceError(f"The service gave no answer in {_START_TIMEOUT_S} s.") from error
        else:
            return


def _stop(service: subprocess.Popen[bytes]) -> None:
    """End the service, and by force whatever is left of it then."""
    # From here on deadlines bound the time, and a second Ctrl-C would only leave processes behind.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    service.terminate()
    try:
        service.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        print(f"The service did not end within {_STOP_TIMEOUT_S} s, so it is killed.", file=sys.stderr)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(service.pid, signal.SIGKILL)
    service.wait()


def _exit(signal_number: int, _frame: types.FrameType | None) -> None:
    sys.exit(128 + signal_number)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nInterrupted; everything was ended.", file=sys.stderr)
        sys.exit(130)
    except ServiceError as error:
        sys.exit(str(error))
