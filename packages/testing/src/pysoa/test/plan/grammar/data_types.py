"""The data types of values in fixtures, and how their text is converted."""

from __future__ import annotations

import base64
import decimal
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from pyparsing import ParserElement, ParseResults, Regex

from pysoa.test.plan.errors import DataTypeConversionError
from pysoa.test.plan.grammar._clock import Clock, SystemClock
from pysoa.test.plan.grammar._expected_values import AnyValue, RegexValue
from pysoa.test.plan.grammar._moments import parse_date, parse_datetime, parse_time
from pysoa.test.plan.grammar._variables import has_placeholder

__all__ = (
    "AnyValue",
    "DataTypeGrammar",
    "RegexValue",
    "data_type_descriptions",
    "get_all_data_type_names",
    "get_parsed_data_type_value",
    "get_typed_value",
)

data_type_descriptions: Final[Mapping[str, str]] = {
    "str": "A string; the type of values that name none",
    "int": "An integer",
    "float": "A floating-point number",
    "decimal": "A ``decimal.Decimal``",
    "bool": "``true``, in any case, is ``True``; all else is ``False``",
    "bytes": "The text as bytes in UTF-8",
    "base64_bytes": "Bytes, written in Base64",
    "encoded_ascii": "A string, written in ASCII with the escape sequences of Python, such as ``\\x0b``",
    "encoded_unicode": "A string, written with the escape sequences of Python, such as ``\\u000B``",
    "emptystr": "The empty string; the text of the value is ignored",
    "emptylist": "An empty list; the text of the value is ignored",
    "emptydict": "An empty dictionary; the text of the value is ignored",
    "datetime": (
        "A ``datetime``: up to seven integers between commas, or ``now``, ``midnight``, ``utc_now`` or "
        "``utc_midnight``, perhaps with an offset of days, hours, minutes, seconds and microseconds"
    ),
    "date": "A ``date``: three integers between commas, or ``today`` or ``utc_today``",
    "time": (
        "A ``time``: up to four integers between commas, or ``now``, ``utc_now`` or ``midnight``, perhaps "
        "with an offset"
    ),
    "none": "``None``; the text of the value is ignored",
    "None": "``None``; the text of the value is ignored",
    "regex": "In expectations: a string that matches this regular expression at its beginning",
    "not regex": "In expectations: a string that does not match this regular expression at its beginning",
}
"""What each data type is."""

DataTypeGrammar: Final[ParserElement] = Regex(
    rf"(?P<data_type>{'|'.join(sorted(data_type_descriptions, reverse=True))})(?![A-Za-z0-9_])"
).set_name("a data type")
"""The name of a data type; the result is called ``data_type``."""


def get_all_data_type_names() -> list[str]:
    """Return the names of all data types, sorted."""
    return sorted(data_type_descriptions, key=lambda name: (name.lower(), name.isupper(), name))


def get_parsed_data_type_value(parse_result: ParseResults, value: str, *, clock: Clock | None = None) -> Any:
    """Convert a value to the data type that its line names, which is ``str`` if it names none.

    Args:
        parse_result: What the line was parsed to.
        value: The text of the value.
        clock: What keywords such as ``now`` refer to; ``None`` means the real time.

    Returns:
        The value; the text itself if it has placeholders.

    Raises:
        DataTypeConversionError: The text is not of that type.
    """
    type_name = cast(str, parse_result["data_type"]) if "data_type" in parse_result else "str"
    return get_typed_value(type_name, value, clock=clock)


def get_typed_value(type_name: str, value: str, *, clock: Clock | None = None) -> Any:
    """Convert the text of a value.

    Args:
        type_name: The name of the data type.
        value: The text of the value.
        clock: What keywords such as ``now`` refer to; ``None`` means the real time.

    Returns:
        The value; the text itself if it has placeholders.

    Raises:
        DataTypeConversionError: There is no such type, or the text is not of that type.
    """
    if has_placeholder(value):
        return value
    if type_name in _MOMENT_CONVERTERS:
        return _MOMENT_CONVERTERS[type_name](value, clock or SystemClock())
    if type_name not in _CONVERTERS:
        raise DataTypeConversionError(
            f"Unknown type: {type_name}. The types are {', '.join(get_all_data_type_names())}"
        )
    try:
        return _CONVERTERS[type_name](value)
    except (ValueError, decimal.InvalidOperation, re.error) as error:
        reason = "" if isinstance(error, decimal.InvalidOperation) else f": {error}"
        raise DataTypeConversionError(f"Could not convert {value!r} to {type_name}{reason}") from error


_CONVERTERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "str": str,
    "int": lambda value: int(value) if value else 0,
    "float": lambda value: float(value) if value else 0.0,
    "decimal": lambda value: decimal.Decimal(value or "0.0"),
    "bool": lambda value: value.lower() == "true",
    "bytes": str.encode,
    "base64_bytes": base64.b64decode,
    "encoded_ascii": lambda value: value.encode("ascii").decode("unicode_escape"),
    "encoded_unicode": lambda value: value.encode("ascii", "backslashreplace").decode("unicode_escape"),
    "emptystr": lambda _: "",
    "emptylist": lambda _: [],
    "emptydict": lambda _: {},
    "none": lambda _: None,
    "None": lambda _: None,
    "regex": RegexValue,
    "not regex": lambda value: RegexValue(value, negate=True),
}

_MOMENT_CONVERTERS: Final[Mapping[str, Callable[[str, Clock], Any]]] = {
    "datetime": parse_datetime,
    "date": parse_date,
    "time": parse_time,
}
