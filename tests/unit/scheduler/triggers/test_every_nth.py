"""Times of the day on every n-th day and in every n-th week, on the wall clock."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_loco.scheduler import Cron
from django_loco.scheduler.triggers.every_nth import EveryNth
from django_loco.scheduler.triggers.trigger import last_tick

#: A machine may be busy: nothing here is about speed.
any_time = settings(deadline=None)
BERLIN = ZoneInfo("Europe/Berlin")
#: Two of them put the clocks forward or back at midnight, one by half an hour.
ZONES = [BERLIN, *map(ZoneInfo, ["UTC", "Atlantic/Azores", "America/Havana", "Australia/Lord_Howe", "Asia/Kolkata"])]
MONDAY = date(1970, 1, 5)

moments = st.datetimes(
    datetime.fromisoformat("1995-01-01"), datetime.fromisoformat("2060-01-01"), timezones=st.just(UTC)
)


def ticks(trigger, moment, count):
    found = [trigger.next_after(moment)]
    while len(found) < count:
        found.append(trigger.next_after(found[-1]))
    return found


@pytest.mark.parametrize(
    ("expression", "count", "unit", "expected"),
    [
        ("0 0 * * *", 2, "day", ["Sat 28 Mar 00:00", "Mon 30 Mar 00:00", "Wed 01 Apr 00:00", "Fri 03 Apr 00:00"]),
        ("30 4,20 * * *", 3, "day", ["Fri 27 Mar 04:30", "Fri 27 Mar 20:30", "Mon 30 Mar 04:30", "Mon 30 Mar 20:30"]),
        ("0 0 * * 1", 2, "week", ["Mon 30 Mar 00:00", "Mon 13 Apr 00:00", "Mon 27 Apr 00:00", "Mon 11 May 00:00"]),
        ("0 18 * * 5,0", 2, "week", ["Fri 03 Apr 18:00", "Sun 05 Apr 18:00", "Fri 17 Apr 18:00", "Sun 19 Apr 18:00"]),
    ],
)
def test_ticks_stay_on_the_wall_clock_when_the_clocks_change(expression, count, unit, expected):
    """The clocks of Berlin were put forward on 29 March 2026."""
    trigger = EveryNth(Cron(expression, BERLIN), count, unit)
    found = ticks(trigger, datetime(2026, 3, 26, tzinfo=UTC), 4)
    assert [f"{tick.astimezone(BERLIN):%a %d %b %H:%M}" for tick in found] == expected


@any_time
@given(
    st.sampled_from(ZONES),
    st.sampled_from(["0 0 * * *", "30 2 * * *", "15 1,23 * * *", "59 23 * * *"]),
    st.integers(2, 40),
    moments,
)
def test_days_are_those_that_counting_gives(zone, expression, count, moment):
    cron = Cron(expression, zone)
    expected, tick = [], moment
    while len(expected) < 3:
        tick = cron.next_after(tick)
        if (tick.astimezone(zone).date() - MONDAY).days % count == 0:
            expected.append(tick)
    assert ticks(EveryNth(cron, count, "day"), moment, 3) == expected


@any_time
@given(
    st.sampled_from(ZONES), st.sampled_from(["0 0 * * 1", "30 2 * * 0", "15 1,23 * * 3,6"]), st.integers(2, 9), moments
)
def test_weeks_are_those_that_counting_gives(zone, expression, count, moment):
    cron = Cron(expression, zone)
    expected, tick = [], moment
    while len(expected) < 5:
        tick = cron.next_after(tick)
        if (tick.astimezone(zone).date() - MONDAY).days // 7 % count == 0:
            expected.append(tick)
    trigger = EveryNth(cron, count, "week")
    assert ticks(trigger, moment, 5) == expected
    for before, after in pairwise(expected):
        assert last_tick(trigger, moment, after - timedelta.resolution) == before


def test_a_long_period_takes_few_steps(monkeypatch):
    calls = []
    find = Cron.next_after
    monkeypatch.setattr(Cron, "next_after", lambda cron, moment: calls.append(moment) or find(cron, moment))
    trigger = EveryNth(Cron("* * * * *", BERLIN), 36_525, "day")
    assert trigger.next_after(datetime(2026, 3, 25, tzinfo=UTC)) == datetime(2070, 1, 5, tzinfo=BERLIN).astimezone(UTC)
    assert len(calls) < 5_000
