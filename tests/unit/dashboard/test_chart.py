"""The chart and the lines: well-formed, in their frame, without styles."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from django_loco.dashboard.activity import Bar
from django_loco.dashboard.chart import HEIGHT, LEAST, SPARK_HEIGHT, WIDTH, chart, sparkline, top_of

NUMBERS = st.integers(min_value=0, max_value=10**7)
BARS = st.lists(st.builds(Bar, st.just(datetime(2026, 1, 1, tzinfo=UTC)), NUMBERS, NUMBERS, NUMBERS), max_size=8)


@given(BARS)
def test_every_rectangle_is_inside_and_seen(bars):
    svg = ET.fromstring(chart(bars))  # noqa: S314 - our own
    for each in svg.iter("rect"):
        x, y, width, height = (float(each.attrib[name]) for name in ("x", "y", "width", "height"))
        assert x >= 0
        assert x + width <= WIDTH + 0.1
        assert y >= 0
        assert y + height <= HEIGHT + 0.1
        assert set(each.attrib) == {"class", "x", "y", "width", "height"}


def test_one_failure_among_many_runs_is_seen():
    bars = [Bar(datetime(2026, 1, 1, tzinfo=UTC), succeeded=1_000_000, failed=1)]
    [failed] = [each for each in ET.fromstring(chart(bars)).iter("rect") if each.get("class") == "failed"]  # noqa: S314
    assert float(failed.attrib["height"]) == LEAST


@given(BARS)
def test_the_top_is_not_below_a_bar(bars):
    assert top_of(bars) >= max((bar.runs for bar in bars), default=1)


@given(st.lists(NUMBERS, max_size=5))
def test_a_line_stays_in_its_frame(values):
    [line] = ET.fromstring(sparkline(values))  # noqa: S314
    points = [point.split(",") for point in line.attrib["points"].split()]
    assert len(points) == len(values)
    assert all(0 <= float(y) <= SPARK_HEIGHT for _, y in points)
