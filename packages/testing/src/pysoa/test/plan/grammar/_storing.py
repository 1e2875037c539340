"""How directives store the values of lines in the dictionaries of action cases and test cases."""

from __future__ import annotations

from typing import Any

from pyparsing import ParseResults

from pysoa.test.plan.grammar._clock import clock_of
from pysoa.test.plan.grammar._elements import text_of
from pysoa.test.plan.grammar.data_types import get_parsed_data_type_value
from pysoa.test.plan.grammar.tools import path_put

__all__ = ("put", "value_of")


def value_of(parse_results: ParseResults, action_case: dict[str, Any], test_case: dict[str, Any]) -> Any:
    """Return the value of a line, converted to its data type under the clock that holds for it.

    Raises:
        DataTypeConversionError: The text is not of that type.
    """
    return get_parsed_data_type_value(
        parse_results, text_of(parse_results, "value"), clock=clock_of(action_case, test_case)
    )


def put(case: dict[str, Any], key: str, path: str, value: Any) -> None:
    """Put a value at a path below a key.

    What is there is a dictionary; a list if the path of the first line starts with an index.

    Raises:
        TypeError: Other lines need another container there.
        ValueError: The path is not well-formed.
    """
    is_index = path.partition(".")[0].isdecimal()
    path_put(case.setdefault(key, [] if is_index else {}), path, value)
