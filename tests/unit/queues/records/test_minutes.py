"""The numbers of a minute."""

from __future__ import annotations

import pytest

from django_loco.queues.records.minutes import BUCKETS, NUMBERS, TOTAL, Labels, Minute, minute_of, totals_of

LABELS = Labels(1, "default", "shop.send", "failed")


def test_numbers_have_names():
    minute = Minute(LABELS, range(len(NUMBERS)))
    assert (minute.runs, minute.duration_seconds, minute.wait_seconds) == (0, 1e-6, 2e-6)
    assert minute.durations[:3] == (3, 3 + 4, 3 + 4 + 5)
    assert minute.waits[0] == 3 + BUCKETS
    assert minute.waits[-1] == sum(range(3 + BUCKETS, 3 + 2 * BUCKETS))


@pytest.mark.parametrize("more", [(1,) * len(NUMBERS), range(len(NUMBERS))])
def test_minutes_are_added_number_by_number(more):
    minute = Minute(LABELS, tuple(range(len(NUMBERS)))).plus(more)
    assert minute == Minute(LABELS, tuple(a + b for a, b in zip(range(len(NUMBERS)), more, strict=True)))


def test_totals_are_sums_over_time_with_their_last_minute():
    other = LABELS._replace(outcome="successful")
    ones = (1,) * len(NUMBERS)
    minutes = [Minute(LABELS, ones), Minute(other, ones), Minute(LABELS._replace(minute=9), ones)]
    twos = tuple(2 * number for number in ones)
    assert totals_of([*minutes, Minute(LABELS, (0,) * len(NUMBERS))]) == [
        (Minute(LABELS._replace(minute=TOTAL), twos), 9),
        (Minute(other._replace(minute=TOTAL), ones), 1),
    ]


def test_a_minute_has_sixty_seconds():
    assert [minute_of(seconds) for seconds in (0, 59.9, 60, 1_800_000_000)] == [0, 0, 1, 30_000_000]
