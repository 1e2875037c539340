"""Running one test case: its action cases in their order, each with set-up, call, checks and tear-down."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from pysoa.common.types import ActionRequest, ActionResponse, JobResponse
from pysoa.test.plan._failures import Failures
from pysoa.test.plan._hooks import Scope, call_directives
from pysoa.test.plan.errors import StatusError
from pysoa.test.plan.grammar._mocks import MOCK_PATCHES_KEY
from pysoa.test.plan.grammar._paths import copy_containers
from pysoa.test.plan.grammar._stubs import STUBBED_ACTIONS_KEY
from pysoa.test.plan.grammar._variables import substitute_variables, substitute_what_is_known
from pysoa.test.plan.grammar.directive import ActionCase, ActionResults, TestCase, TestFixture
from pysoa.test.stub_service import stub_action

if TYPE_CHECKING:  # It imports this module.
    from pysoa.test.plan._plan import ServicePlanTestCase

__all__ = ("CaseRun",)

__test_plan_prune_traceback = True  # read by name, by what prunes tracebacks

_INPUT_KEYS: Final = ("inputs", "job_context_inputs", "job_control_inputs")
_BUILT_IN_ACTIONS: Final = ("introspect", "status")


class CaseRun:
    """One execution of a test case. What it has come to is there for reports.

    Args:
        plan: The plan whose service is called.
        test_case: The test case, which is not changed.
        test_fixture: All test cases of its fixture.
    """

    def __init__(self, plan: ServicePlanTestCase, test_case: TestCase, test_fixture: TestFixture) -> None:
        self._plan: Final = plan
        self._test_fixture: Final = test_fixture
        self.test_case: Final[TestCase] = copy_containers(test_case)
        self.action_results: Final[ActionResults] = {}
        """The responses so far, by the labels of the action cases."""
        self.action_case: ActionCase | None = None
        """The action case that is being executed."""
        self.job_response: JobResponse | None = None
        """Its response."""

    def run(self) -> None:
        """Execute the test case.

        Raises:
            Exception: Something is not as the test case says, or a hook failed. Of several errors this is the
                first; the others are written to the standard error stream.
        """
        failures = Failures()
        scope = Scope(self._plan, "test_case", self.test_case, self._test_fixture)
        with failures.caught():
            scope.set_up()
            for label in self.test_case["actions"]:
                self._run_action_case(label)
            call_directives(
                "assert_test_case_results",
                self.action_results,
                self.test_case,
                self._test_fixture,
                msg=self.test_case["name"],
            )
        scope.tear_down(failures)
        failures.raise_first()

    def _run_action_case(self, label: str) -> None:
        action_name = label.rpartition(".")[0]
        action_case = self.action_case = self.test_case[label]
        self.job_response = None
        self._substitute_inputs(action_case)
        arguments = (action_name, action_case, self.test_case, self._test_fixture)
        failures = Failures()
        scope = Scope(self._plan, "test_case_action", *arguments)
        with failures.caught():
            scope.set_up()
            job_response = self.job_response = self._call(action_name, action_case)
            action_response = job_response.actions[0] if job_response.actions else None
            if action_response is not None:
                self.action_results[label] = action_response
            self._substitute_expectations(action_case, action_response, job_response)
            call_directives(
                "assert_test_case_action_results", *arguments, action_response, job_response, msg=label
            )
        scope.tear_down(failures)
        failures.raise_first()
        self.action_case = self.job_response = None

    def _call(self, action_name: str, action_case: ActionCase) -> JobResponse:
        with self._test_only_action(action_name):
            return self._plan.client.call_actions(
                self._plan.service_name,
                [ActionRequest(action_name, action_case.get("inputs", {}))],
                raise_job_errors=False,
                raise_action_errors=False,
                context=action_case.get("job_context_inputs"),
                control_extra=action_case.get("job_control_inputs"),
            )

    def _test_only_action(self, action_name: str) -> contextlib.AbstractContextManager[object]:
        """Serve an action by the plan if the server has none of that name."""
        server_class = self._plan.server_class
        process = getattr(self._plan, f"_process_stub_action_{action_name}", None)
        if (
            process is None
            or action_name in _BUILT_IN_ACTIONS
            or (server_class is not None and action_name in server_class.action_class_map)
        ):
            return contextlib.nullcontext()
        return stub_action(self._plan.service_name, action_name, side_effect=process)

    @property
    def _sources(self) -> tuple[Any, Any]:
        bodies = {label.lower(): response.body for label, response in self.action_results.items()}
        return bodies, self._plan.model_constants

    def _substitute_inputs(self, action_case: ActionCase) -> None:
        inputs: dict[str, Any] = {key: action_case[key] for key in _INPUT_KEYS if key in action_case}
        substitute_variables(inputs, *self._sources)
        action_case.update(inputs)
        # What is returned to the service cannot refer to its own response; that is left for later.
        for patch in action_case.get(MOCK_PATCHES_KEY, {}).values():
            substitute_what_is_known(patch.get("configure"), *self._sources)
        for stub in action_case.get(STUBBED_ACTIONS_KEY, {}).values():
            substitute_what_is_known(stub, *self._sources)

    def _substitute_expectations(
        self, action_case: ActionCase, action_response: ActionResponse | None, job_response: JobResponse
    ) -> None:
        sources = self._sources
        for response in self.action_results.values():
            substitute_what_is_known(response.body, *sources)
        for stub in action_case.get(STUBBED_ACTIONS_KEY, {}).values():
            substitute_what_is_known(stub.get("expect_request"), *sources)
        left_out = (*_INPUT_KEYS, MOCK_PATCHES_KEY, STUBBED_ACTIONS_KEY)
        expectations = {
            key: value
            for key, value in action_case.items()
            if key not in left_out and not key.startswith("_")
        }
        problem = ""
        try:
            substitute_variables(expectations, *sources)
            for patch in action_case.get(MOCK_PATCHES_KEY, {}).values():
                substitute_variables(patch.get("expectations"), *sources)
        except StatusError as error:
            problem = str(error)
        if problem:
            errors = [*job_response.errors, *(action_response.errors if action_response else [])]
            raise StatusError(f"{problem}\nThe response has these errors: {errors}" if errors else problem)
        action_case.update(expectations)
