"""Draws when a schedule runs next, as SVG without styles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH, HEIGHT = 300.0, 24.0
#: From this number of runs on a band is drawn, since single marks would be too close.
BAND = 60


@dataclass(frozen=True, slots=True)
class Span:
    """The length of the time line, from now into the future."""

    name: str
    length: timedelta
    marks: int
    """The number of parts that it is divided into."""


SPANS = {
    each.name: each
    for each in (
        Span("1h", timedelta(hours=1), 4),
        Span("6h", timedelta(hours=6), 6),
        Span("1d", timedelta(days=1), 4),
        Span("7d", timedelta(days=7), 7),
    )
}
DEFAULT_SPAN = "1d"


def timeline(runs: Sequence[datetime], span: Span, now: datetime, label: str) -> SafeString:
    """Return a line from ``now`` on with a mark at each of ``runs``, and ``label`` as its text for screen readers."""
    step = WIDTH / span.marks
    grid = format_html_join(
        "",
        '<path class="grid" d="M{} 4V{}"/>',
        ((f"{step * part:.1f}", f"{HEIGHT:g}") for part in range(span.marks + 1)),
    )
    places = [WIDTH * ((run - now) / span.length) for run in runs if timedelta(0) <= run - now <= span.length]
    if len(places) >= BAND:
        drawn = format_html(
            '<rect class="band" x="{}" y="9" width="{}" height="10"/>',
            f"{places[0]:.1f}",
            f"{max(2.0, (WIDTH if len(runs) == len(places) else places[-1]) - places[0]):.1f}",
        )
    else:
        # The positions are rounded, so that the part seldom changes.
        drawn = format_html_join("", '<path class="run" d="M{} 7V21"/>', ((f"{place:.0f}",) for place in places))
    return format_html(
        '<svg class="timeline" viewBox="-2 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}{}</svg>',
        f"{WIDTH + 4:g}",
        f"{HEIGHT:g}",
        label,
        grid,
        drawn,
    )
