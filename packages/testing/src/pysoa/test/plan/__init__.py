"""Test plans: tests of a service that are written as requests and expected responses, in fixture files.

A plan is a class that extends :class:`ServicePlanTestCase`. pytest runs each test case of its fixture files
as a test. This needs ``pysoa-testing[plans]``.
"""

from __future__ import annotations

import importlib

try:
    importlib.import_module("pyparsing")
except ImportError as _error:
    raise ImportError(
        "Test plans need pyparsing, which is not installed. Install pysoa-testing[plans]."
    ) from _error

# Nothing above may need it.
from pysoa.test.plan._fixture_data import FixtureTestCaseData
from pysoa.test.plan._plan import ServicePlanTestCase

__all__ = ("FixtureTestCaseData", "ServicePlanTestCase")
