"""Draws the nodes of a workflow and the arrows between them, as SVG without styles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from .layout import Slot, columns_of

#: The size of a box, and the distances between two boxes, in pixels.
WIDTH, HEIGHT, ACROSS, DOWN = 184, 46, 52, 14
#: The most characters of a name that fit into a box.
MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A node in the graph."""

    id: str
    name: str
    state: str
    """The state, used as its CSS class."""

    state_text: str
    """The state in the reader's language."""

    url: str
    after: Sequence[str]
    """The ids of the nodes that this node waits for."""


def graph(boxes: Sequence[Box], label: str) -> SafeString:
    """Return a graph.

    Boxes link to jobs. Arrows lead to a box from the boxes that it waits for. ``label`` is its text.
    """
    columns = columns_of({box.id: box.after for box in boxes})
    corners = _corners(columns)
    width = max(0, len(columns) * (WIDTH + ACROSS) - ACROSS) + 4
    height = max(map(_height, columns), default=0) + 4
    return format_html(
        '<svg class="graph" viewBox="-2 -2 {} {}" width="{}" height="{}" role="group" aria-label="{}">{}{}</svg>',
        *(width, height, width, height, label),
        format_html_join("", '<path class="arrow" d="{}"/><path class="head" d="{}"/>', _arrows(boxes, corners)),
        format_html_join("", "{}", ((_box(box, *corners[box.id]),) for box in boxes)),
    )


def _height(column: Sequence[Slot]) -> int:
    return sum(HEIGHT * isinstance(slot, str) + DOWN for slot in column) - DOWN


def _corners(columns: Sequence[Sequence[Slot]]) -> dict[Slot, tuple[int, int]]:
    """Return the upper left corner of each slot. Columns are centred vertically."""
    most = max(map(_height, columns), default=0)
    corners: dict[Slot, tuple[int, int]] = {}
    for at, column in enumerate(columns):
        top = (most - _height(column)) // 2
        for slot in column:
            corners[slot] = at * (WIDTH + ACROSS), top
            top += HEIGHT * isinstance(slot, str) + DOWN
    return corners


def _box(box: Box, left: int, top: int) -> SafeString:
    name = box.name if len(box.name) <= MOST else f"{box.name[: MOST - 1]}…"
    content = format_html(
        '<title>{}: {}</title><rect x="{}" y="{}" width="{}" height="{}" rx="8"/>'
        '<text class="name" x="{}" y="{}">{}</text><text x="{}" y="{}">{}</text>',
        *(box.name, box.state_text, left, top, WIDTH, HEIGHT),
        *(left + 12, top + 19, name, left + 12, top + 36, box.state_text),
    )
    if not box.url:
        return format_html('<g class="node {}">{}</g>', box.state, content)
    return format_html('<a class="node {}" id="box-{}" href="{}">{}</a>', box.state, box.id, box.url, content)


def _arrows(boxes: Sequence[Box], corners: Mapping[Slot, tuple[int, int]]) -> Iterator[tuple[str, str]]:
    """Yield the line and the head of each arrow."""
    for box in boxes:
        right, y = corners[box.id][0], corners[box.id][1] + HEIGHT // 2
        for before in box.after:
            if before in corners:
                yield _line(before, box.id, corners), f"M{right - 8} {y - 4}L{right} {y}L{right - 8} {y + 4}Z"


def _line(before: str, node: str, corners: Mapping[Slot, tuple[int, int]]) -> str:
    """Return the line from one node to another, through the slots where it passes between other nodes."""
    x, y = corners[before][0] + WIDTH, corners[before][1] + HEIGHT // 2
    line = f"M{x} {y}"
    passed = sorted(slot for slot in corners if isinstance(slot, tuple) and slot[:2] == (before, node))
    for left, top in (*(corners[slot] for slot in passed), (corners[node][0] - 6, corners[node][1] + HEIGHT // 2)):
        bend = (left - x) // 2
        line += f"C{x + bend} {y} {left - bend} {top} {left} {top}"
        x, y = left + WIDTH, top
        line += f"H{x}" if left < corners[node][0] - ACROSS else ""
    return line
