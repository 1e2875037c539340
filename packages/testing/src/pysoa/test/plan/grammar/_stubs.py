"""What stub lines do: stubbing actions of other services, and checking how they were called."""

from __future__ import annotations

import pprint
from typing import Any, Final

from pysoa.common.errors import Error
from pysoa.test.stub_service import StubbedAction, stub_action

__all__ = ("STUBBED_ACTIONS_KEY", "check_stubs", "start_stubs", "stop_stubs")

__test_plan_prune_traceback = True  # read by name, by what prunes tracebacks

STUBBED_ACTIONS_KEY: Final = "stubbed_actions"
"""Where cases keep their stubs, by service and action."""
_RUNNING_KEY: Final = "_stubs_running"


def start_stubs(case: dict[str, Any]) -> None:
    """Stub all actions of a test case or action case, sorted by service and action."""
    running: dict[tuple[str, str], tuple[stub_action, StubbedAction]] = {}
    case[_RUNNING_KEY] = running
    for (service, action), stub in sorted(
        case.get(STUBBED_ACTIONS_KEY, {}).items(), key=lambda item: str(item[0])
    ):
        errors = [Error(**error) for error in stub.get("errors", [])]
        stubbing = stub_action(service, action, body=stub.get("body"), errors=errors)
        running[service, action] = (stubbing, stubbing.start())


def stop_stubs(case: dict[str, Any]) -> None:
    """End the stubs that :func:`start_stubs` has begun."""
    running = case.pop(_RUNNING_KEY, {})
    for stubbing, _ in reversed(running.values()):
        stubbing.stop()


def check_stubs(case: dict[str, Any], label: str) -> None:
    """Check that the stubs were called as the lines say.

    Args:
        case: The test case or action case.
        label: What to call it in messages.

    Raises:
        AssertionError: They were not.
    """
    for (service, action), (_, stubbed) in case.get(_RUNNING_KEY, {}).items():
        stub = case[STUBBED_ACTIONS_KEY][service, action]
        bodies = list(stubbed.call_bodies)
        header = f"{label}: stub action `{service}.{action}`"
        if stub.get("expect_not_called") and bodies:
            raise AssertionError(
                f"{header}\nExpected stub to not have been called. Called {len(bodies)} times.\n"
                f"Requests: {pprint.pformat(bodies)}"
            )
        if "expect_request" in stub and stub["expect_request"] not in bodies:
            raise AssertionError(
                f"{header}\nExpected a call with this request:\n{pprint.pformat(stub['expect_request'])}\n"
                f"Actual requests of {len(bodies)} calls:\n{pprint.pformat(bodies)}"
            )
