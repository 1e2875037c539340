"""What importing the client costs, and what it gives."""

from __future__ import annotations

import subprocess
import sys

import pysoa.client
from pysoa.client import Client, client


def test_shortcut_is_the_client() -> None:
    assert Client is client.Client
    assert pysoa.client.__all__ == ("Client",)
    assert "Client" in dir(pysoa.client)


def test_package_has_nothing_else() -> None:
    assert not hasattr(pysoa.client, "ServiceHandler")


def test_published_names_are_there() -> None:
    assert set(client.__all__) == {
        "ActionRequestArgument",
        "ActionRequestArgumentIterable",
        "ActionRequestArgumentList",
        "Client",
        "FutureSOAResponse",
        "JobRequestArgument",
        "ServiceHandler",
    }
    assert client.FutureSOAResponse.__module__ == "pysoa.client.client"
    assert client.ServiceHandler.__module__ == "pysoa.client.client"


def test_importing_the_package_does_not_load_the_client() -> None:
    program = "import pysoa.client, sys; print('pysoa.client.client' in sys.modules)"

    assert _output_of(program) == "False\n"


def test_importing_the_client_loads_no_server_no_redis_and_no_pytest() -> None:
    program = (
        "import pysoa.client.client, sys; "
        "print([m for m in ('redis', 'pytest', 'django', 'pysoa.server') if m in sys.modules])"
    )

    assert _output_of(program) == "[]\n"


def _output_of(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    ).stdout
