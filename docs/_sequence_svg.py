"""Draws sequence diagrams as SVG."""

from __future__ import annotations

import html
import re
from typing import NamedTuple

__all__ = ["DiagramError", "draw_sequence"]

_LINE = re.compile(r"(?P<source>[^-:=]+?)\s*(?P<arrow>-->|->)\s*(?P<target>[^:]+?)\s*:\s*(?P<text>.+)")
_NOTE = re.compile(r"(?P<party>[^-:=>]+?)\s*:\s*(?P<text>.+)")
_DIVIDER = re.compile(r"===\s*(?P<text>.+)")

_CHARACTER_WIDTH = 6.4
_SHORTEST_GAP = 96
_MARGIN = 16
_HEAD_HEIGHT = 30
_STEP_HEIGHT = 40
_NOTE_HEIGHT = 24


class DiagramError(ValueError):
    """A line of a diagram cannot be understood."""


class _Step(NamedTuple):
    kind: str
    source: int
    target: int
    text: str


def draw_sequence(title: str, parties: list[str], lines: list[str]) -> str:
    """Return the SVG of a sequence diagram.

    Args:
        title: What the picture shows, for those who do not see it.
        parties: Who is there, from left to right.
        lines: What happens, from top to bottom, as in the description of this module.

    Raises:
        DiagramError: A line cannot be understood, or names a party that is not there.
    """
    steps = [_step(line, parties) for line in lines]
    centres = _centres(parties, steps)
    right = max(
        [centres[-1] + _text_width(parties[-1]) / 2 + _MARGIN, *(_right_end(step, centres) for step in steps)]
    )
    y = float(_MARGIN + _HEAD_HEIGHT)
    drawn: list[str] = []
    for step in steps:
        y += _STEP_HEIGHT
        drawn += _DRAWINGS[step.kind](step, centres, y, right)
    bottom = y + _MARGIN * 1.5
    life_lines = [
        f'<line class="life" x1="{x:.0f}" y1="{_MARGIN + _HEAD_HEIGHT}" x2="{x:.0f}" y2="{bottom:.0f}"/>'
        for x in centres
    ]
    heads = [part for name, x in zip(parties, centres, strict=True) for part in _head(name, x)]
    height = bottom + _MARGIN / 2
    return "\n".join(
        [
            f'<svg class="sequence" role="img" viewBox="0 0 {right:.0f} {height:.0f}" '
            f'width="{right:.0f}" height="{height:.0f}" xmlns="http://www.w3.org/2000/svg">',
            f"<title>{html.escape(title)}</title>",
            *life_lines,
            *heads,
            *drawn,
            "</svg>",
        ]
    )


def _step(line: str, parties: list[str]) -> _Step:
    def number(name: str) -> int:
        if name not in parties:
            raise DiagramError(f"{name!r} is none of the parties {', '.join(parties)}: {line!r}")
        return parties.index(name)

    if match := _DIVIDER.fullmatch(line):
        return _Step("divider", 0, 0, match["text"])
    if match := _LINE.fullmatch(line):
        kind = "call" if match["arrow"] == "->" else "reply"
        return _Step(kind, number(match["source"]), number(match["target"]), match["text"])
    if match := _NOTE.fullmatch(line):
        return _Step("note", number(match["party"]), number(match["party"]), match["text"])
    raise DiagramError(f"Neither an arrow nor a note nor a divider: {line!r}")


def _centres(parties: list[str], steps: list[_Step]) -> list[float]:
    """Put the parties so far apart that names and the texts of arrows between neighbours fit."""
    centres = [_MARGIN + _text_width(parties[0]) / 2]
    for index in range(1, len(parties)):
        names = (_text_width(parties[index - 1]) + _text_width(parties[index])) / 2 + _MARGIN
        gap = max(float(_SHORTEST_GAP), names)
        x = centres[-1] + gap
        for step in steps:
            if step.kind in ("call", "reply") and index == max(step.source, step.target):
                x = max(x, centres[min(step.source, step.target)] + _text_width(step.text) + 12)
            elif step.kind == "note" and index == step.source:
                x = max(x, _text_width(step.text) / 2 + _MARGIN / 2)
                if index > 0:
                    x = max(x, centres[index - 1] + _text_width(step.text) / 2 + 8)
            elif step.kind == "note" and index - 1 == step.source:
                x = max(x, centres[index - 1] + _text_width(step.text) / 2 + 8)
        centres.append(x)
    first_notes = [_text_width(s.text) / 2 + _MARGIN / 2 for s in steps if s.kind == "note" and s.source == 0]
    shift = max([0.0, *(width - centres[0] for width in first_notes)])
    return [x + shift for x in centres]


def _right_end(step: _Step, centres: list[float]) -> float:
    if step.kind == "note":
        return centres[step.source] + _text_width(step.text) / 2 + _MARGIN
    if step.kind == "divider":
        return _text_width(step.text) + 3 * _MARGIN
    return 0.0


def _text_width(text: str) -> float:
    return len(text) * _CHARACTER_WIDTH + 14


def _head(name: str, x: float) -> list[str]:
    width = _text_width(name)
    return [
        f'<rect class="party" x="{x - width / 2:.0f}" y="{_MARGIN}" width="{width:.0f}" '
        f'height="{_HEAD_HEIGHT}" rx="4"/>',
        f'<text class="party" x="{x:.0f}" y="{_MARGIN + _HEAD_HEIGHT / 2 + 4:.0f}">'
        f"{html.escape(name)}</text>",
    ]


def _arrow(step: _Step, centres: list[float], y: float, _right: float) -> list[str]:
    start, end = centres[step.source], centres[step.target]
    direction = 1 if end >= start else -1
    tip, back = end - direction, end - 9 * direction
    return [
        f'<line class="{step.kind}" x1="{start:.0f}" y1="{y:.0f}" x2="{back:.0f}" y2="{y:.0f}"/>',
        f'<path class="tip" d="M {tip:.0f} {y:.0f} L {back:.0f} {y - 4:.0f} L {back:.0f} {y + 4:.0f} Z"/>',
        f'<text x="{(start + end) / 2:.0f}" y="{y - 6:.0f}">{html.escape(step.text)}</text>',
    ]


def _note(step: _Step, centres: list[float], y: float, _right: float) -> list[str]:
    x, width = centres[step.source], _text_width(step.text)
    return [
        f'<rect class="note" x="{x - width / 2:.0f}" y="{y - _NOTE_HEIGHT + 6:.0f}" width="{width:.0f}" '
        f'height="{_NOTE_HEIGHT}" rx="3"/>',
        f'<text x="{x:.0f}" y="{y - 1.5:.0f}">{html.escape(step.text)}</text>',
    ]


def _divider(step: _Step, _centres: list[float], y: float, right: float) -> list[str]:
    return [
        f'<line class="divider" x1="{_MARGIN / 2:.0f}" y1="{y:.0f}" '
        f'x2="{right - _MARGIN / 2:.0f}" y2="{y:.0f}"/>',
        f'<text class="divider" x="{_MARGIN:.0f}" y="{y - 6:.0f}">{html.escape(step.text)}</text>',
    ]


_DRAWINGS = {"call": _arrow, "reply": _arrow, "note": _note, "divider": _divider}
