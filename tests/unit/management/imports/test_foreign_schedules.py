from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from django_loco.exceptions import LocoConfigurationError
from django_loco.management.imports.foreign_schedules import every, given, moment, rows_of

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        (None, None),
        (NOON, NOON),
        (NOON.replace(tzinfo=None), NOON),
        ("2030-01-02 12:00:00", NOON),
        ("2030-01-02T14:00:00+02:00", NOON.astimezone(timezone(timedelta(hours=2)))),
    ],
)
def test_times_of_each_engine(stored, read):
    assert moment(stored) == read


def test_without_use_tz_a_time_is_on_the_clock_of_the_site(settings):
    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Kolkata"
    assert moment("2030-01-02 17:30:00") == NOON
    assert moment(NOON) == NOON


def test_intervals_in_words():
    assert [every(1, "hours"), every(3, "days")] == ["every hour", "every 3 days"]


def test_what_is_empty_is_not_given_but_what_is_false_is():
    assert given({"a": None, "b": "", "c": [], "d": {}, "e": 0, "f": False, "g": 1}) == {"e": 0, "f": False, "g": 1}


def test_a_database_that_there_is_not():
    with pytest.raises(LocoConfigurationError, match=r"\['defualt'\] does not exist\. Did you mean 'default'\?"):
        next(rows_of("defualt", "django_q_schedule"))
