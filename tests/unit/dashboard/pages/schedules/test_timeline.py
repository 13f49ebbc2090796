"""The time line of a schedule: well-formed, in its frame, without styles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from django_loco.dashboard.pages.schedules.timeline import BAND, SPANS, WIDTH, timeline

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
DAY = SPANS["1d"]


def drawn(runs, kind="run"):
    svg = ET.fromstring(timeline(runs, DAY, NOW, '2 "runs" <b>'))  # noqa: S314 - our own
    assert svg.attrib["aria-label"] == '2 "runs" <b>'
    return [each.attrib for each in svg.iter() if each.attrib.get("class") == kind]


def test_runs_are_marks_where_they_are_in_time():
    runs = [NOW + timedelta(hours=hours) for hours in (0, 6, 24)]
    assert [each["d"] for each in drawn(runs)] == [f"M{place:.0f} 7V21" for place in (0, WIDTH / 4, WIDTH)]


def test_runs_outside_are_left_out():
    assert drawn([NOW - timedelta(seconds=1), NOW + timedelta(days=2)]) == []


@pytest.mark.parametrize(("seconds", "width"), [(15, WIDTH), (24 * 60, None)])
def test_many_runs_are_a_band(seconds, width):
    runs = [NOW + number * timedelta(seconds=seconds) for number in range(BAND)]
    [band] = drawn(runs, "band")
    assert (float(band["x"]), drawn(runs)) == (0.0, [])
    assert float(band["width"]) == pytest.approx(width or WIDTH, abs=1)


def test_there_are_no_styles():
    for span in SPANS.values():
        assert "style" not in timeline([NOW], span, NOW, "")
