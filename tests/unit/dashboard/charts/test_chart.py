"""The chart and the lines: well-formed, in their frame, without styles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from django_loco.dashboard.charts.activity import Bar
from django_loco.dashboard.charts.chart import (
    HEIGHT,
    LEAST,
    SPARK_HEIGHT,
    WIDTH,
    chart,
    clock_of,
    small_chart,
    sparkline,
    top_of,
)

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


def test_marks_are_lines_in_the_time_of_the_bars_and_escaped():
    first = datetime(2026, 1, 1, tzinfo=UTC)
    bars = [Bar(first + timedelta(hours=number)) for number in range(4)]
    marks = [(first + timedelta(hours=2), "<r2>"), (first - timedelta(hours=1), "old"), (first, "r1")]
    svg = ET.fromstring(chart(bars, marks=marks))  # noqa: S314 - our own
    found = [(each.attrib["d"], each[0].text) for each in svg.iter("path") if each.attrib["class"] == "mark"]
    assert found == [(f"M0.0 0V{HEIGHT:g}", "r1"), (f"M{WIDTH / 2:.1f} 0V{HEIGHT:g}", "<r2>")]
    assert "mark" not in chart(bars[:1], marks=marks)


def test_times_of_several_days_have_their_day():
    at = datetime(2026, 1, 5, 13, 30, tzinfo=UTC)
    with timezone.override("UTC"):
        assert clock_of(at, of_days=False) == "13:30"
        assert clock_of(at, of_days=True) == "Mon 5 13:30"


def test_small_charts_are_two_paths_within_their_frame():
    svg = ET.fromstring(small_chart([0, 1, 1_000_000], [0, 1, 0]))  # noqa: S314 - our own
    ended, failed = svg.iter("path")
    assert (ended.attrib["d"].count("M"), failed.attrib["d"].count("M")) == (2, 1)
    heights = [float(each.partition("v-")[2]) for each in ended.attrib["d"].split("M")[1:]]
    assert heights == [LEAST, SPARK_HEIGHT]
    assert "style" not in small_chart([], [])
