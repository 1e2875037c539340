"""Peers of both generations, each in a process and an environment of its own, over real Redis servers."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import pytest

from pysoa.test.redis_server import RedisSentinel, RedisServer

Generation = Literal["original", "new"]

_PEERS = pathlib.Path(__file__).parent / "peers"
_ROOT = pathlib.Path(__file__).parents[2]
_CALL_TIMEOUT_S = 60.0


class Topology(NamedTuple):
    """Where Redis is, as the transport settings of either generation name it."""

    backend_type: str
    backend_layer_kwargs: Mapping[str, Any]

    def transport_kwargs(self, **extra: Any) -> dict[str, Any]:
        """Return the keyword arguments of a Redis transport."""
        return {
            "backend_type": self.backend_type,
            "backend_layer_kwargs": dict(self.backend_layer_kwargs),
            **extra,
        }


class ClientProcess:
    """A client of one generation; see ``peers/client_process.py``."""

    def __init__(self, python: str, settings: Mapping[str, Any]) -> None:
        """Start the process and hand it the client's settings."""
        self._process = subprocess.Popen(
            [python, str(_PEERS / "client_process.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
        )
        self._put(dict(settings))

    def call(self, method: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Call a method of the client and return the outcome as plain values."""
        assert self._process.stdout is not None
        alarm = threading.Timer(_CALL_TIMEOUT_S, self._process.kill)
        alarm.start()
        try:
            self._put((method, args, kwargs))
            answer: dict[str, Any] = pickle.load(self._process.stdout)
        finally:
            alarm.cancel()
        return answer

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        _end(self._process)

    def _put(self, value: object) -> None:
        assert self._process.stdin is not None
        pickle.dump(value, self._process.stdin, protocol=4)
        self._process.stdin.flush()


@pytest.fixture(scope="session")
def pythons() -> dict[Generation, str]:
    """The interpreters of both generations.

    The original is installed once into ``.venv-original``, since the two can never share an environment;
    ``PYSOA_ORIGINAL_PYTHON`` names an interpreter that has it already.
    """
    return {"new": sys.executable, "original": os.environ.get("PYSOA_ORIGINAL_PYTHON") or _install_original()}


@pytest.fixture(scope="session")
def topologies() -> Iterator[Callable[[str], Topology]]:
    """Start a topology when it is first asked for: ``one_master``, ``two_masters`` or ``sentinel``."""
    with contextlib.ExitStack() as stack:
        started: dict[str, Topology] = {}

        def topology(name: str) -> Topology:
            if name not in started:
                started[name] = _STARTERS[name](stack)
            return started[name]

        yield topology


@pytest.fixture
def start_worker(
    pythons: dict[Generation, str],
) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start worker processes of the service; they end with the test."""
    with contextlib.ExitStack() as stack:

        def start(generation: Generation, topology: Topology, **extra: Any) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [pythons[generation], "-m", "interop_service.standalone", "-s", "interop_service.settings"],
                env=_environment(INTEROP_TRANSPORT=repr(topology.transport_kwargs(**extra))),
            )
            # An idle worker of 1.4.9 needs five seconds to notice that it is to stop.
            stack.callback(process.wait)
            stack.callback(process.kill if generation == "original" else process.terminate)
            return process

        yield start


@pytest.fixture
def start_client(pythons: dict[Generation, str]) -> Iterator[Callable[..., ClientProcess]]:
    """Start clients in processes of their own; they end with the test."""
    with contextlib.ExitStack() as stack:

        def start(generation: Generation, topology: Topology, **extra: Any) -> ClientProcess:
            client = ClientProcess(
                pythons[generation],
                {
                    "interop": {
                        "transport": {
                            "path": "pysoa.common.transport.redis_gateway.client:RedisClientTransport",
                            "kwargs": topology.transport_kwargs(
                                **{"receive_timeout_in_seconds": 20, **extra}
                            ),
                        }
                    }
                },
            )
            stack.callback(client.close)
            return client

        yield start


def _install_original() -> str:
    folder = _ROOT / ".venv-original"
    python = folder / "bin" / "python"
    complete = folder / "complete"
    # From Python 3.12 on, setuptools stands in for the distutils that redis-py 3 imports.
    requirements = ["pysoa==1.4.9", "setuptools<80"]
    with (_ROOT / ".venv-original.lock").open("w") as lock:
        # The workers of pytest-xdist come here at the same time.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            subprocess.run(
                [str(python), "-m", "pip", "install", "--quiet", *requirements],
                check=True,
                timeout=300,
            )
            complete.touch()
    return str(python)


def _one_master(stack: contextlib.ExitStack) -> Topology:
    server = stack.enter_context(RedisServer())
    return Topology("redis.standard", {"hosts": [(server.host, server.port)]})


def _two_masters(stack: contextlib.ExitStack) -> Topology:
    servers = [stack.enter_context(RedisServer()) for _ in range(2)]
    return Topology("redis.standard", {"hosts": [(server.host, server.port) for server in servers]})


def _sentinel(stack: contextlib.ExitStack) -> Topology:
    master = stack.enter_context(RedisServer())
    for _ in range(2):
        stack.enter_context(RedisServer(replica_of=master))
    sentinels = [stack.enter_context(RedisSentinel({"interop": master}, quorum=2)) for _ in range(3)]
    return Topology(
        "redis.sentinel",
        {
            "hosts": [(sentinel.host, sentinel.port) for sentinel in sentinels],
            "sentinel_services": ["interop"],
            "sentinel_failover_retries": 5,
        },
    )


_STARTERS = {"one_master": _one_master, "two_masters": _two_masters, "sentinel": _sentinel}


def _environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(_PEERS), "PYTHONWARNINGS": "ignore", **extra}


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
