"""Schedules as text or as a dict of units."""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest

from django_loco.exceptions import LocoConfigurationError
from django_loco.scheduler.triggers.parsing import moment_of, parse_schedule, zone_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("*/5 * * * *", "*/5 * * * *"),
        ("0 */15 * * * *", "0 */15 * * * *"),
        ("@daily", "@daily"),
        ("7pm every Thursday", "0 19 * * 4"),
        ("10:00", "0 10 * * *"),
        ("every 7 minutes", "every 7 minutes"),
        ({"minutes": 5, "phase": 40}, "every 5 minutes, 40 s later"),
    ],
)
def test_text_is_english_or_cron(text, shown):
    assert str(parse_schedule(text, UTC)) == shown


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (15, 'the schedule is 15; it must be text such as "every 15 minutes" or "*/15 * * * *", or a dict'),
        (None, "the schedule is None"),
        ({"minute": 5}, "the schedule has the unknown unit 'minute'. Did you mean 'minutes'?"),
        ({}, "the interval is 0 s"),
        ({"seconds": 0}, "the interval is 0 s"),
        ("5 * * *", "the cron expression '5 * * *' has 4 fields"),
        ("61 * * * *", "the cron expression '61 * * * *' cannot be understood"),
        ("0 0 31 2 *", "never fires"),
    ],
)
def test_text_that_is_neither(text, problem):
    with pytest.raises(LocoConfigurationError) as caught:
        parse_schedule(text, UTC)
    assert problem in str(caught.value)


class PytzZone(tzinfo):
    """A zone as pytz makes them: its offset is the local mean time, or the one for which it is localized."""

    def __init__(self, offset):
        self.zone, self.offset = "Europe/Berlin", timedelta(minutes=offset)

    def utcoffset(self, moment):
        return self.offset

    def dst(self, moment):
        return timedelta(0)


def test_a_zone_of_pytz_is_that_of_its_name():
    assert zone_of(PytzZone(53)) is ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("wall", "offset", "hour"),
    [((7, 1, 18), 53, 16), ((7, 1, 18), 120, 16), ((12, 1, 18), 60, 17), ((10, 31, 2), 120, 0), ((10, 31, 2), 60, 1)],
)
def test_a_moment_in_a_zone_of_pytz(wall, offset, hour):
    moment = datetime(2027, *wall, tzinfo=PytzZone(offset))
    assert moment_of("at", moment, UTC) == datetime(2027, *wall[:2], hour, tzinfo=UTC)
