"""The pictures that the documentation draws."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from _sequence_svg import DiagramError, draw_sequence

_SVG = "{http://www.w3.org/2000/svg}"
_LINES = [
    "Caller -> Redis: RPUSH <request>",
    "Redis --> Worker: request",
    "Worker: runs the action, for as long as it takes",
    "=== later",
]


def drawn(*lines: str) -> ElementTree.Element:
    return ElementTree.fromstring(draw_sequence("A & B", ["Caller", "Redis", "Worker"], list(lines)))


def test_a_picture_is_well_formed_and_says_what_it_shows() -> None:
    picture = drawn(*_LINES)

    assert picture.findtext(f"{_SVG}title") == "A & B"
    assert [element.text for element in picture.iter(f"{_SVG}text")] == [
        *("Caller", "Redis", "Worker"),
        *("RPUSH <request>", "request", "runs the action, for as long as it takes", "later"),
    ]


def test_everything_lies_inside_of_the_picture() -> None:
    picture = drawn(*_LINES)

    width, height = (float(picture.attrib[name]) for name in ("width", "height"))
    for rectangle in picture.iter(f"{_SVG}rect"):
        x, y, wide, high = (float(rectangle.attrib[name]) for name in ("x", "y", "width", "height"))
        assert x >= 0
        assert x + wide <= width
        assert y + high <= height


def test_an_arrow_is_as_long_as_its_text() -> None:
    text = "a text that is much longer than the usual distance between two parties"

    picture = drawn(f"Caller -> Redis: {text}")

    arrow = next(line for line in picture.iter(f"{_SVG}line") if line.attrib["class"] == "call")
    assert float(arrow.attrib["x2"]) - float(arrow.attrib["x1"]) > 6 * len(text)


@pytest.mark.parametrize("line", ["Caller -> Nobody: hello", "just words", "Nobody: a note"])
def test_a_line_that_makes_no_sense_is_an_error(line: str) -> None:
    with pytest.raises(DiagramError, match=r"Nobody|just words"):
        drawn(line)
