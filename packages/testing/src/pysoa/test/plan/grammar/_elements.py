"""The pieces that the grammars of directives are made of.

Blanks between them are free. Their names are what messages about unparsable lines say was expected.
"""

# The types of pyparsing are incomplete.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from typing import Final

from pyparsing import Keyword, Literal, Optional, ParserElement, ParseResults, Regex

from pysoa.test.plan.grammar.data_types import DataTypeGrammar

__all__ = (
    "ActionCaseGrammar",
    "OptionalTypeGrammar",
    "VarNameGrammar",
    "VarValueGrammar",
    "colon",
    "keyword",
    "symbol",
    "text_of",
)


def keyword(text: str) -> ParserElement:
    """Return the grammar of a word, or of several with exactly one blank between them."""
    return Keyword(text).set_name(f"'{text}'")


def symbol(text: str, name: str = "") -> ParserElement:
    """Return the grammar of a punctuation mark, which is no part of the results."""
    return Literal(text).set_name(name or f"'{text}'").suppress()


colon: Final = symbol(":")
"""The most frequent of them."""


def _text(tokens: ParseResults) -> str:
    return str(tokens[0]).strip(" \t")


VarNameGrammar: Final[ParserElement] = Regex(r"[A-Za-z0-9\-_.{}]+").set_name("a path")("variable_name")
"""The path of a value; the result is called ``variable_name``."""

VarValueGrammar: Final[ParserElement] = (
    Regex(r".*").set_parse_action(_text).set_name("a value").set_results_name("value")
)
"""The rest of the line without blanks around it, perhaps empty; the result is called ``value``."""

OptionalTypeGrammar: Final[ParserElement] = Optional(DataTypeGrammar) + symbol(":", "a data type or ':'")
"""Perhaps the name of a data type, and a colon in any case."""

ActionCaseGrammar: Final[ParserElement] = (
    Regex(
        r"(?!(?:input|expect)(?![A-Za-z0-9_]))(?P<action>[A-Za-z0-9_]+)"
        r"(?:[ ]*\.[ ]*(?P<action_index>[0-9]+))?"
    ).set_name("the name of an action")
    + colon
    + Optional(keyword("global").set_results_name("is_global"))
)
"""Which action case a line belongs to, and whether it holds for all later test cases."""


def text_of(results: ParseResults, name: str) -> str:
    """Return a result, or the empty string if the line lacks it."""
    value: object = results.get(name)  # type: ignore[no-untyped-call]  # pyparsing says too little
    return "" if value is None else str(value)
