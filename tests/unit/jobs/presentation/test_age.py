"""Durations in words."""

from __future__ import annotations

import pytest

from django_loco.jobs.presentation.age import age, elapsed


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3_661, "1 h 1 min"), (90_000, "1 d 1 h"), (86_400, "1 d")],
)
def test_a_duration_has_two_units(seconds, text):
    assert age(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.004, "4 ms"), (7.99, "7.99 s"), (61.0, "1 min 1 s")])
def test_a_measured_duration_is_exact_up_to_a_minute(seconds, text):
    assert elapsed(seconds) == text
