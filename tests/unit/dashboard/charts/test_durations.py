"""Durations as pages show them."""

from __future__ import annotations

import pytest

from django_loco.dashboard.charts.durations import coarse, estimated


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (14.9, "10 s"), (119, "1 min"), (3_700, "1 h 1 min")])
def test_ages_change_seldom(seconds, text):
    assert coarse(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.0001, "1 ms"), (0.065, "65 ms"), (1.49, "1.5 s"), (59.94, "59.9 s"), (200, "3 min")],
)
def test_an_estimate_claims_no_more_than_it_knows(seconds, text):
    assert estimated(seconds) == text
