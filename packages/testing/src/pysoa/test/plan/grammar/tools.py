"""What directives work with: paths into nested dictionaries and lists, and the substitution of variables."""

from __future__ import annotations

from pysoa.test.plan.grammar._paths import get_all_paths, path_get, path_put
from pysoa.test.plan.grammar._variables import substitute_variables

__all__ = ("get_all_paths", "path_get", "path_put", "substitute_variables")
