"""The directives of PySOA, in the order in which lines are tried and hooks run."""

from __future__ import annotations

from typing import Final

from pysoa.test.plan.grammar.directive import Directive
from pysoa.test.plan.grammar.directives import (
    expects_errors,
    expects_values,
    inputs,
    mock,
    plans,
    stub_action,
    time,
)

__all__ = ("BUILT_IN_DIRECTIVES",)

BUILT_IN_DIRECTIVES: Final[tuple[type[Directive], ...]] = (
    plans.TestCaseCommentDirective,
    plans.TestCaseNameDirective,
    plans.TestCaseDescriptionDirective,
    plans.TestCaseSkipDirective,
    inputs.ActionInputDirective,
    expects_errors.ActionExpectsFieldMessageErrorsDirective,
    expects_errors.ActionExpectsMessageErrorsDirective,
    expects_errors.ActionExpectsFieldErrorsDirective,
    expects_errors.ActionExpectsErrorsDirective,
    expects_errors.ActionExpectsNoErrorsDirective,
    expects_values.ActionExpectsFieldValueDirective,
    expects_values.ActionExpectsAnyDirective,
    expects_values.ActionExpectsNoneDirective,
    expects_values.ActionExpectsNotPresentDirective,
    mock.MockAssertCalledTestPlanDirective,
    mock.MockAssertCalledActionDirective,
    mock.MockPathResultForTestPlanDirective,
    mock.MockPathResultForActionDirective,
    stub_action.StubActionBodyForTestPlanDirective,
    stub_action.StubActionBodyForActionDirective,
    stub_action.StubActionErrorForTestPlanDirective,
    stub_action.StubActionErrorForActionDirective,
    stub_action.AssertStubActionCalledForTestPlanDirective,
    stub_action.AssertStubActionCalledForActionDirective,
    time.FreezeTimeTestPlanDirective,
    time.FreezeTimeActionDirective,
)
"""All of them."""
