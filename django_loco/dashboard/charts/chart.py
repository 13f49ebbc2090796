"""Draws SVG with presentation attributes and classes only, because a strict Content Security Policy forbids styles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ...jobs.presentation.numbers import number_text
from .activity import Bar

WIDTH, HEIGHT = 720.0, 160.0
#: The least height of a part that is not 0, so that one failure among a million runs is visible.
LEAST = 2.5
#: The number of bars that are needed to compute the time of one bar.
MIN_BARS = 2
SPARK_WIDTH, SPARK_HEIGHT = 120.0, 24.0


def top_of(bars: Sequence[Bar]) -> int:
    """Return the value at the upper edge of the chart: that of the highest bar, rounded up to one digit and a half."""
    highest = max((bar.runs for bar in bars), default=0)
    step = max(1, int(10 ** (len(str(highest)) - 1)) // 2)
    return max(4, -(-highest // step) * step)


def clock_of(at: datetime, *, of_days: bool) -> str:
    """Return a time in the viewer's zone, with its date if the chart is ``of_days``."""
    return date_format(timezone.localtime(at), "D j H:i" if of_days else "H:i")


def chart(bars: Sequence[Bar], *, of_days: bool = False, marks: Sequence[tuple[datetime, str]] = ()) -> SafeString:
    """Return stacked bars. Failed runs are at the bottom, where their heights are easy to compare.

    ``of_days``: the times need a date. ``marks``: moments at which a line is drawn, each with its text.
    """
    slot = WIDTH / max(1, len(bars))
    top = top_of(bars)
    lines = format_html_join(
        "", '<path class="grid" d="M0 {0}H{1}"/>', ((HEIGHT * part / 4, WIDTH) for part in range(4))
    )
    columns = format_html_join(
        "",
        "<g><title>{}</title>{}</g>",
        ((_title(bar, of_days=of_days), _column(bar, place * slot, slot, top)) for place, bar in enumerate(bars)),
    )
    moments = format_html_join(
        "",
        '<path class="mark" d="M{0} 0V{1}"><title>{2}</title></path>',
        ((f"{left:.1f}", f"{HEIGHT:g}", text) for left, text in _placed(bars, marks)),
    )
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-labelledby="activity-h">'
        "{}{}{}</svg>",
        f"{WIDTH:g}",
        f"{HEIGHT:g}",
        lines,
        columns,
        moments,
    )


def _placed(bars: Sequence[Bar], marks: Sequence[tuple[datetime, str]]) -> Iterator[tuple[float, str]]:
    """Yield the position and the text of each mark within the time of the bars, from left to right."""
    if len(bars) < MIN_BARS:
        return
    seconds = (bars[1].at - bars[0].at).total_seconds() * len(bars)
    for at, text in sorted(marks):
        part = (at - bars[0].at).total_seconds() / seconds
        if 0 <= part <= 1:
            yield WIDTH * part, text


def _column(bar: Bar, left: float, slot: float, top: int) -> SafeString:
    # The first rectangle reacts to the mouse over the whole height, so that the title of a low bar is easy to find.
    rectangles = [("hit", left, 0.0, slot, HEIGHT)]
    rectangles += [(kind, left + slot * 0.1, y, slot * 0.8, height) for kind, y, height in _stack(bar, top)]
    return format_html_join(
        "",
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>',
        ((kind, *(f"{number:.2f}" for number in numbers)) for kind, *numbers in rectangles),
    )


def _stack(bar: Bar, top: int) -> Iterator[tuple[str, float, float]]:
    y = HEIGHT
    for kind, value in (("failed", bar.failed), ("other", bar.other), ("succeeded", bar.succeeded)):
        if value:
            height = min(y, max(LEAST, HEIGHT * value / top))
            y -= height
            yield kind, y, height


def _title(bar: Bar, *, of_days: bool) -> str:
    return _("%(time)s: %(succeeded)s succeeded, %(failed)s failed, %(other)s retried or stopped") % {
        "time": clock_of(bar.at, of_days=of_days),
        "succeeded": number_text(bar.succeeded),
        "failed": number_text(bar.failed),
        "other": number_text(bar.other),
    }


def small_chart(ended: Sequence[int], failed: Sequence[int]) -> SafeString:
    """Return narrow bars of ended runs, with failed ones at the bottom. It is decoration, like ``sparkline``.

    There is one path for each colour, because a page has many such charts.
    """
    top, step = max([*ended, 1]), SPARK_WIDTH / max(1, len(ended))
    heights = [(_least(number, top), _least(bad, top)) for number, bad in zip(ended, failed, strict=True)]
    whole = "".join(f"M{_middle(at, step)} {SPARK_HEIGHT:g}v-{all_of:.1f}" for at, (all_of, _) in _drawn(heights))
    part = "".join(f"M{_middle(at, step)} {SPARK_HEIGHT:g}v-{bad:.1f}" for at, (_, bad) in _drawn(heights) if bad)
    return format_html(
        '<svg class="spark" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">'
        '<path class="ended" stroke-width="{}" d="{}"/><path class="failed" stroke-width="{}" d="{}"/></svg>',
        f"{SPARK_WIDTH:g}",
        f"{SPARK_HEIGHT:g}",
        f"{step * 0.8:.2f}",
        whole,
        f"{step * 0.8:.2f}",
        part,
    )


def _least(number: int, top: int) -> float:
    return max(LEAST, SPARK_HEIGHT * number / top) if number else 0.0


def _middle(at: int, step: float) -> str:
    return f"{(at + 0.5) * step:.1f}"


def _drawn(heights: Sequence[tuple[float, float]]) -> Iterator[tuple[int, tuple[float, float]]]:
    return ((at, each) for at, each in enumerate(heights) if each[0])


def sparkline(values: Sequence[int]) -> SafeString:
    """Return a small line of ``values``. It is decoration, since the numbers are shown beside it."""
    top = max([*values, 1])
    step = SPARK_WIDTH / max(1, len(values) - 1)
    points = " ".join(
        f"{place * step:.1f},{SPARK_HEIGHT - 2 - value / top * (SPARK_HEIGHT - 4):.1f}"
        for place, value in enumerate(values)
    )
    return format_html(
        '<svg class="spark" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">'
        '<polyline points="{}"/></svg>',
        f"{SPARK_WIDTH:g}",
        f"{SPARK_HEIGHT:g}",
        points,
    )
