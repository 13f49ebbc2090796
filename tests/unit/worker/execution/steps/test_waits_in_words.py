"""Sleeps and waits in the lines of the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils.translation import override

from django_loco.core.job.waits import SIGNAL, SLEEP, Wait
from django_loco.worker.execution.steps import waits_in_words
from django_loco.worker.execution.steps.waits_in_words import length_text, waits_text

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits_in_words, "utcnow", lambda: NOON)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0.0 s"), (7, "7.0 s"), (60.4, "60.4 s"), (61, "1 min 1 s"), (266_400, "3 d 2 h")]
)
def test_a_length_has_its_two_largest_units_in_english(seconds, text):
    with override("de"):
        assert length_text(seconds) == text


def test_a_wait_says_for_what_and_until_when():
    until = NOON + timedelta(days=2)
    assert waits_text([Wait("paid", SIGNAL, None)]) == "waits for the signal 'paid'"
    assert waits_text([Wait("nap", SLEEP, until)]) == "sleeps at 'nap' until 2026-12-03 12:00:00 UTC, for 2 d"


def test_of_many_waits_some_are_named():
    waits = [Wait(str(number), SIGNAL, None) for number in range(5)]
    assert waits_text(waits).endswith("waits for the signal '2', and 2 more")
