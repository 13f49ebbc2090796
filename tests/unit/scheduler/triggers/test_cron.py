"""Cron expressions: against croniter in UTC, and against a count of every minute around changes of the clocks."""

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from django_loco.scheduler import Cron
from django_loco.scheduler.triggers.cron_parser import ParsedCron

#: A machine may be busy: nothing here is about speed.
any_time = settings(deadline=None)
MINUTE = timedelta(minutes=1)
NEW_YORK = ZoneInfo("America/New_York")
LONDON = ZoneInfo("Europe/London")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # by half an hour
SANTIAGO = ZoneInfo("America/Santiago")  # at midnight
CAIRO = ZoneInfo("Africa/Cairo")  # at midnight
AZORES = ZoneInfo("Atlantic/Azores")  # at midnight, into another day
TROLL = ZoneInfo("Antarctica/Troll")  # by two hours
APIA = ZoneInfo("Pacific/Apia")  # left out a day, 30 December 2011


@cache
def days_of_change(zone):
    days = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=count) for count in range(365)]
    return [day for day in days if offset(zone, day) != offset(zone, day + timedelta(days=1))]


def offset(zone, moment):
    return moment.astimezone(zone).utcoffset()


def field(low, high):
    number = st.integers(low, high)
    return st.one_of(
        st.just("*"),
        st.integers(2, high).map("*/{}".format),
        number.map(str),
        st.lists(number, min_size=2, max_size=4).map(lambda items: ",".join(map(str, items))),
        st.tuples(number, number)
        .filter(lambda pair: pair[0] != pair[1])  # for croniter all there is, see below
        .map(lambda pair: "{}-{}".format(*sorted(pair))),
    )


rarely = st.just("*") | st.just("*") | st.just("*")
expressions = st.tuples(
    field(0, 59), field(0, 23), rarely | field(1, 28), rarely | field(1, 12), rarely | field(0, 6)
).map(" ".join)
moments = st.datetimes(
    datetime.fromisoformat("1990-01-01"), datetime.fromisoformat("2040-01-01"), timezones=st.just(UTC)
)
frequent = st.tuples(field(0, 59), field(0, 23)).map("{0[0]} {0[1]} * * *".format)
changes = st.sampled_from(
    [
        (zone, day)
        for zone in (NEW_YORK, LONDON, LORD_HOWE, SANTIAGO, CAIRO, AZORES, TROLL)
        for day in days_of_change(zone)
    ]
)


def following(cron, moment):
    return cron.next_after(moment)


def ticks(cron, start, end):
    while (start := following(cron, start)) <= end:
        yield start


@any_time
@given(expressions, moments)
def test_without_changes_of_the_clocks_it_is_croniter(expression, moment):
    reference = croniter(expression, moment, ret_type=datetime, implement_cron_bug=True)
    cron, tick = Cron(expression, UTC), moment
    for _ in range(5):
        tick = cron.next_after(tick)
        assert tick == reference.get_next()
        assert tick.tzinfo is UTC


@cache
def minutes_around(zone, day):
    """The instants of each wall clock minute of five days, none for those that are skipped."""
    start, end = day - timedelta(days=2), day + timedelta(days=3)
    instants: dict[datetime, list[datetime]] = {}
    wall, last = (moment.astimezone(zone).replace(tzinfo=None) for moment in (start, end))
    while wall < last:
        instants[wall] = []
        wall += MINUTE
    while start < end:
        instants.setdefault(start.astimezone(zone).replace(tzinfo=None), []).append(start)
        start += MINUTE
    return instants


def counted_ticks(expression, zone, day):
    """What the rules say of an expression that fires every day, from every single minute."""
    instants = minutes_around(zone, day)
    minutes, hours = (range(60) if values == ["*"] else values for values in croniter.expand(expression)[0][:2])
    fires = {wall for wall in instants if wall.minute in minutes and (wall.hour in hours)}
    odd = sorted(wall for wall in instants if len(instants[wall]) != 1)
    length = odd[-1] - odd[0] + MINUTE
    before = {wall for wall in fires if odd[0] - length <= wall < odd[0]}
    after = {wall for wall in fires if odd[-1] < wall <= odd[-1] + length}
    rhythm = bool(before and after)
    found = set()
    for wall in fires:
        if instants[wall]:
            found.update(instants[wall] if rhythm else instants[wall][:1])
        elif not rhythm:
            found.add(min(instants[later][0] for later in instants if later > wall and instants[later]))
    return sorted(found)


@pytest.mark.slow
@any_time
@given(frequent, changes)
def test_around_a_change_of_the_clocks_it_is_what_counting_minutes_gives(expression, change):
    zone, day = change
    start, end = day - timedelta(days=1), day + timedelta(days=2)
    counted = [tick for tick in counted_ticks(expression, zone, day) if start < tick <= end]
    assert list(ticks(Cron(expression, zone), start, end)) == counted


@any_time
@given(
    expressions,
    changes,
    st.timedeltas(timedelta(hours=-5), timedelta(hours=30)),
    st.timedeltas(timedelta(0), timedelta(hours=5)),
)
def test_ticks_do_not_depend_on_when_they_are_asked_for(expression, change, begin, length):
    zone, day = change
    cron, other = Cron(expression, zone), Cron(expression, zone)
    moment = day + begin
    tick = following(cron, moment)
    assert tick > moment
    later = moment + length
    assert (tick == following(other, later)) if later < tick else (following(other, later) > tick)


@any_time
@given(expressions, changes)
def test_ticks_strictly_increase_and_are_whole_minutes(expression, change):
    zone, day = change
    cron, tick = Cron(expression, zone), day - timedelta(hours=3)
    for _ in range(30):
        previous, tick = tick, following(cron, tick)
        assert tick > previous
        assert tick.second == tick.microsecond == 0


def local(zone, expression, day):
    """The ticks of ``day``, as they read on the wall clock."""
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    found = ticks(Cron(expression, zone), start - timedelta(days=1), start + timedelta(days=2))
    there = [tick.astimezone(zone) for tick in found]
    return [f"{tick:%H:%M%z}" for tick in there if tick.date() == start.date()]


@pytest.mark.parametrize(
    ("zone", "expression", "day", "expected"),
    [
        # 02:00 becomes 03:00
        (NEW_YORK, "30 2 * * *", "2026-03-08", ["03:00-0400"]),
        (NEW_YORK, "0,20,40 2 * * *", "2026-03-08", ["03:00-0400"]),
        (NEW_YORK, "0 3 * * *", "2026-03-08", ["03:00-0400"]),
        (NEW_YORK, "*/30 1-3 * * *", "2026-03-08", ["01:00-0500", "01:30-0500", "03:00-0400", "03:30-0400"]),
        (NEW_YORK, "7 0-4 * * *", "2026-03-08", ["00:07-0500", "01:07-0500", "03:07-0400", "04:07-0400"]),
        # 02:00 becomes 01:00
        (NEW_YORK, "30 1 * * *", "2026-11-01", ["01:30-0400"]),
        (NEW_YORK, "0,20,40 1 * * *", "2026-11-01", ["01:00-0400", "01:20-0400", "01:40-0400"]),
        (NEW_YORK, "7 0-2 * * *", "2026-11-01", ["00:07-0400", "01:07-0400", "01:07-0500", "02:07-0500"]),
        (NEW_YORK, "0 0-2 * * *", "2026-11-01", ["00:00-0400", "01:00-0400", "01:00-0500", "02:00-0500"]),
        (NEW_YORK, "0 1,2 * * *", "2026-11-01", ["01:00-0400", "02:00-0500"]),
        (LONDON, "30 1 * * *", "2026-03-29", ["02:00+0100"]),
        (LONDON, "30 1 * * *", "2026-10-25", ["01:30+0100"]),
        # 02:00 becomes 02:30, and 02:00 becomes 01:30: what fires hourly is no rhythm of half an hour
        (LORD_HOWE, "15 2 * * *", "2026-10-04", ["02:30+1100"]),
        (LORD_HOWE, "45 1 * * *", "2026-04-05", ["01:45+1100"]),
        (LORD_HOWE, "45 0-2 * * *", "2026-04-05", ["00:45+1100", "01:45+1100", "02:45+1030"]),
        (
            LORD_HOWE,
            "*/15 1 * * *",
            "2026-04-05",
            ["01:00+1100", "01:15+1100", "01:30+1100", "01:45+1100"],
        ),
        (
            LORD_HOWE,
            "*/15 1-2 * * *",
            "2026-04-05",
            [
                *("01:00+1100", "01:15+1100", "01:30+1100", "01:45+1100", "01:30+1030", "01:45+1030"),
                *("02:00+1030", "02:15+1030", "02:30+1030", "02:45+1030"),
            ],
        ),
        # 00:00 becomes 01:00
        (CAIRO, "0 */12 * * *", "2026-04-24", ["01:00+0300", "12:00+0300"]),
        (SANTIAGO, "0 0 * * *", "2026-09-06", ["01:00-0300"]),
        # 24:00 becomes 23:00
        (SANTIAGO, "30 23 * * *", "2026-04-04", ["23:30-0300"]),
    ],
)
def test_a_day_on_which_the_clocks_change(zone, expression, day, expected):
    assert local(zone, expression, day) == expected


@pytest.mark.parametrize("day", ["2026-03-08", "2026-11-01"])
def test_a_rhythm_is_kept_in_real_time(day):
    start = datetime.fromisoformat(day).replace(tzinfo=NEW_YORK).astimezone(UTC)
    found = list(ticks(Cron("*/5 * * * *", NEW_YORK), start, start + timedelta(hours=6)))
    assert {after - before for before, after in pairwise(found)} == {timedelta(minutes=5)}
    assert len(found) == 72


def test_a_day_that_does_not_exist():
    daily = [tick.astimezone(APIA).isoformat() for tick in ticks(Cron("0 4 * * *", APIA), *around_the_missing_day())]
    assert daily == ["2011-12-29T04:00:00-10:00", "2011-12-31T04:00:00+14:00"]
    yearly = [tick.astimezone(APIA).isoformat() for tick in ticks(Cron("0 4 30 12 *", APIA), *around_the_missing_day())]
    assert yearly == ["2011-12-31T00:00:00+14:00"]


def around_the_missing_day():
    return datetime(2011, 12, 29, tzinfo=APIA).astimezone(UTC), datetime(2011, 12, 31, 12, tzinfo=APIA).astimezone(UTC)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 4 * * mon", "2026-11-23T04:00"),
        ("0 0 L * *", "2026-11-30T00:00"),
        ("0 9 * * 5#1", "2026-12-04T09:00"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
        ("0 0 13 * 5", "2026-11-27T00:00"),  # the 13th, and every Friday
        ("0 0 */2 * 5", "2026-11-27T00:00"),  # Fridays with an odd date, as in crontab(5)
        ("0 10-10 * * *", "2026-11-21T10:00"),
        ("0 0-0/2,9 * * fri-fri", "2026-11-27T00:00"),
        ("0 9 * * 5L", "2026-11-27T09:00"),
        ("0 9 * * L5", "2026-11-27T09:00"),
        ("0 9 15W 8 *", "2027-08-16T09:00"),  # the 15th is a Sunday
        ("0 9 ? * MON-FRI", "2026-11-23T09:00"),
        ("0 0 1-10/3 jan *", "2027-01-01T00:00"),
        ("@hourly", "2026-11-21T06:00"),
        ("@daily", "2026-11-22T00:00"),
        ("@midnight", "2026-11-22T00:00"),
        ("@weekly", "2026-11-22T00:00"),
        ("@monthly", "2026-12-01T00:00"),
        ("@yearly", "2027-01-01T00:00"),
        ("@annually", "2027-01-01T00:00"),
        ("*/20 * * * * *", "2026-11-21T05:30:20"),
        ("15 30 9 * * mon", "2026-11-23T09:30:15"),
        ("0 0 9 * * 5L", "2026-11-27T09:00"),
        ("0 0 4 1 1 ? 2030", "2030-01-01T04:00"),
        ("0 0 4 1 1 * 2031,2090", "2031-01-01T04:00"),
        ("0 0 4 1 1 * 2090", "2090-01-01T04:00"),
    ],
)
def test_what_an_expression_means(expression, expected):
    moment = datetime(2026, 11, 21, 5, 30, tzinfo=UTC)
    assert Cron(expression, UTC).next_after(moment) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_a_year_that_is_past_does_not_come_again():
    cron = Cron("0 0 4 1 1 * 2025,2027", UTC)
    first = cron.next_after(datetime(2026, 11, 21, tzinfo=UTC))
    assert first == datetime(2027, 1, 1, 4, tzinfo=UTC)
    assert cron.next_after(first) is None


def test_a_rhythm_of_seconds_goes_through_a_change_of_the_clocks_and_fast():
    cron, start = Cron("*/15 * * * * *", NEW_YORK), datetime(2026, 3, 8, 6, 59, 40, tzinfo=UTC)
    assert list(ticks(cron, start, start + timedelta(minutes=1))) == [
        start + timedelta(seconds=count) for count in (5, 20, 35, 50)
    ]
    with patch.object(ParsedCron, "next_after", autospec=True, side_effect=ParsedCron.next_after) as searched:
        assert cron.next_after(datetime(2026, 3, 8, 6, 59, 59, tzinfo=UTC)).second == 0
    assert searched.call_count < 10  # and not once for each second that is skipped


def test_a_time_with_seconds_that_is_skipped_runs_once():
    start = datetime(2026, 3, 8, tzinfo=UTC)
    found = list(ticks(Cron("15 30 2 * * *", NEW_YORK), start, start + timedelta(days=2)))
    assert [f"{tick.astimezone(NEW_YORK):%d %H:%M:%S}" for tick in found] == ["08 03:00:00", "09 02:30:15"]


def test_a_moment_may_be_in_another_zone():
    moment = datetime(2026, 11, 21, 5, 30, tzinfo=LONDON)
    assert Cron("0 4 * * *", NEW_YORK).next_after(moment) == datetime(2026, 11, 21, 9, tzinfo=UTC)


def test_equal_expressions_are_equal():
    assert Cron("0 4 * * *", LONDON) == Cron("0 4 * * *", LONDON)
    assert len({Cron("0 4 * * *", LONDON), Cron("0 4 * * *", LONDON), Cron("0 4 * * *", UTC)}) == 2
    assert str(Cron("0 4 * * *", LONDON)) == "0 4 * * *"
