"""Parsing one line of a fixture with the grammars of all directives, and saying why that fails."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterator
from typing import Final

from pyparsing import (
    And,
    CaselessKeyword,
    CaselessLiteral,
    Keyword,
    Literal,
    ParseException,
    ParserElement,
    ParseResults,
    StringEnd,
    Suppress,
)

from pysoa.test.plan.grammar.directive import Directive

__all__ = ("LineGrammar", "UnparsableLine", "line_grammar_of")

_END: Final = "Expected end of text"
_WORD: Final = re.compile(r"[A-Za-z0-9_]+|\S")


class UnparsableLine(Exception):
    """A line matches no grammar.

    Args:
        reason: What was found, where, and what was expected.
        column: Where, counted from 1.
    """

    def __init__(self, reason: str, column: int) -> None:
        super().__init__(reason)
        self.column = column


@functools.lru_cache(maxsize=8)
def line_grammar_of(directives: tuple[type[Directive], ...]) -> LineGrammar:
    """Return the grammar of a line that may be any of these directives; it is built only once."""
    return LineGrammar(directives)


class LineGrammar:
    """The grammar of a line.

    Args:
        directives: The directives, of which the first that matches the whole line is meant.
    """

    def __init__(self, directives: tuple[type[Directive], ...]) -> None:
        self._grammars = [_LineOf(directive) for directive in directives]

    def parse(self, line: str) -> tuple[type[Directive], ParseResults]:
        """Parse a line.

        Args:
            line: The line, with its tabs expanded.

        Returns:
            The directive that the line is, and the results of its grammar.

        Raises:
            UnparsableLine: It is none.
        """
        if line[:1] == " ":
            raise UnparsableLine(
                "Expected a directive or comment in column 1, found blanks",
                1,
            )
        for kind in self._grammars:
            if kind.is_possible(line):
                try:
                    return kind.directive, kind.parse(line)
                except ParseException:
                    continue
        raise self._diagnose(line)

    def _diagnose(self, line: str) -> UnparsableLine:
        """Explain the failure of those grammars that could make sense of the longest part of the line."""
        position = -1
        expected: list[str] = []
        for kind in self._grammars:
            try:
                kind.parse(line)
            except ParseException as error:
                if error.loc > position:
                    position, expected = error.loc, []
                if error.loc == position:
                    text = "the end of the line" if error.msg == _END else error.msg.removeprefix("Expected ")
                    expected.append(text)
        position = len(line) - len(line[position:].lstrip(" "))
        choices = [choice for choice in dict.fromkeys(expected) if choice != "':'" or len(set(expected)) == 1]
        found = _WORD.match(line, position)
        what = f"{found[0]!r} at column {position + 1}" if found else "the end of the line"
        options = " or ".join([", ".join(choices[:-1]), choices[-1]] if len(choices) > 1 else choices)
        hint = _hint(found[0] if found else "", choices)
        return UnparsableLine(f"Expected {options}, found {what}{hint}", position + 1)


class _LineOf:
    """The grammar of one directive, and a quick look at whether trying it makes sense."""

    def __init__(self, directive: type[Directive]) -> None:
        self.directive = directive
        self._grammar: ParserElement = directive.get_full_grammar() + StringEnd()
        self._required = tuple(sorted(set(_required_texts(self._grammar)), key=len, reverse=True))

    def parse(self, line: str) -> ParseResults:
        """Return the results of the grammar.

        Raises:
            ParseException: The line does not match it.
        """
        return self._grammar.parse_string(line)  # pyright: ignore[reportUnknownMemberType]

    def is_possible(self, line: str) -> bool:
        """Tell whether the line has all words that the grammar cannot do without."""
        return all(text in line for text in self._required)


def _required_texts(element: ParserElement) -> Iterator[str]:
    if isinstance(element, And):
        for part in element.exprs:
            yield from _required_texts(part)
    elif isinstance(element, Suppress):
        yield from _required_texts(element.expr)
    elif isinstance(element, (Keyword, Literal)) and not isinstance(
        element, (CaselessKeyword, CaselessLiteral)
    ):
        yield element.match


def _hint(found: str, choices: list[str]) -> str:
    words = re.findall(r"'([^']+)'", " ".join(choices))
    close = difflib.get_close_matches(found, words, n=1)
    return f"; did you mean '{close[0]}'?" if close and close[0] != found else ""
