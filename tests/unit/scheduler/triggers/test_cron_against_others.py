"""A year of ticks in zones that change their clocks, against two other implementations.

croniter itself, given a zone rather than wall clock times, fires a time of the day that comes twice both times: around
a change nothing is asked of it. On all other days the ticks have to be the same.

cronsim takes Debian's cron for its model: an expression whose minute or hour starts with ``*`` is a rhythm, any other
is a list of times of the day. Ours looks at what the expression does around the change: it is a rhythm if it fires in
the hour before and in the hour after. Where both come to the same, the ticks have to be the same; where they do not,
only the ticks around the changes may differ.

* ``*/15 1 * * *`` is no rhythm of ours: it fires in one hour of the day, and of two such hours in one. cronsim fires
  in both.
* ``0 */2 * * *`` is none either: 02:00, skipped, is made up for at 03:00. cronsim leaves it out.
* ``7 0-4 * * *`` is a rhythm of ours, and the repeated hour has its tick, too. For cronsim it is a list of times.
* Of several skipped times cronsim makes several ticks at one moment. Ours has one.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from croniter.croniter import CroniterBadDateError
from cronsim import CronSim
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from django_loco.scheduler import Cron
from django_loco.scheduler.triggers.cron_parser import ParsedCron

from .test_cron import days_of_change, expressions, minutes_around, offset

pytestmark = pytest.mark.slow
ZONES = [
    ZoneInfo(name)
    for name in ("America/New_York", "Europe/London", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo")
]
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)

times = st.tuples(
    st.integers(0, 59).map(str) | st.sampled_from(["0,30", "*/20"]),
    st.integers(0, 23).map(str) | st.sampled_from(["*/2", "0-4", "0,1,2,3", "1,2", "22,23,0", "*/6", "*"]),
)
dates = st.sampled_from(["* * *", "* * *", "* * 0", "* * 1-5", "1,15 * *", "L * *", "* 3,4,9,10,11 *", "* * 0#2"])
frequent = st.tuples(times.map(" ".join), dates).map(" ".join)
a_day = st.tuples(st.integers(0, 59), st.sampled_from(["0", "1", "2", "3", "1,2", "0,23"]), dates).map(
    "{0[0]} {0[1]} {0[2]}".format
)


def ours(expression, zone, start=START, end=END):
    cron = Cron(expression, zone)
    while (start := cron.next_after(start)) is not None and start < end:
        yield start


def theirs(expression, zone, start=START, end=END):
    found = (tick.astimezone(UTC) for tick in CronSim(expression, start.astimezone(zone)))
    return takewhile(lambda tick: tick < end, found)


def is_list_of_times(expression):
    """What is no rhythm for cronsim."""
    return not any(field.startswith("*") for field in expression.split()[:2])


def is_rhythm(expression, zone, day):
    """Whether the expression, taken for every day, fires as long before and after the change as the change is long."""
    instants = minutes_around(zone, day)
    odd = sorted(wall for wall in instants if len(instants[wall]) != 1)
    length = odd[-1] - odd[0] + timedelta(minutes=1)
    clock = Cron(" ".join([*expression.split()[:2], "* * *"]), UTC)
    before, after = (
        clock.next_after((start - timedelta.resolution).replace(tzinfo=UTC)) < (start + length).replace(tzinfo=UTC)
        for start in (odd[0] - length, odd[-1] + timedelta(minutes=1))
    )
    return before and after


def is_disputed(expression, zone, day):
    """Whether the two need not come to the same.

    An expression of certain days fires in the hour before only if that is on one of them, which is not looked into.
    """
    return is_list_of_times(expression) == is_rhythm(expression, zone, day) or not expression.endswith("* * *")


def rest_of_the_hour(zone, day):
    """The minutes that exist of an hour whose beginning is skipped; none if that is all of it, or nothing is."""
    instants = minutes_around(zone, day)
    skipped = {wall.replace(minute=0) for wall in instants if not instants[wall]}
    return {instants[wall][0] for wall in instants if instants[wall] and wall.replace(minute=0) in skipped}


@settings(deadline=None, max_examples=30)
@given(a_day, st.sampled_from(ZONES))
def test_a_year_is_what_cronsim_gives(expression, zone):
    ticks = list(ours(expression, zone))
    assert all(before < after for before, after in pairwise(ticks))
    different = set(ticks) ^ set(theirs(expression, zone))
    days = [day for day in days_of_change(zone) if is_disputed(expression, zone, day)]
    assert [tick for tick in different if not any(abs(tick - day) < 2 * DAY for day in days)] == []


@settings(deadline=None, max_examples=20)
@given(a_day, st.sampled_from(ZONES))
def test_a_year_but_for_the_changes_is_what_croniter_gives(expression, zone):
    found = croniter(expression, START.astimezone(zone), ret_type=datetime, implement_cron_bug=True)
    expected = takewhile(lambda tick: tick < END, (tick.astimezone(UTC) for tick in found.all_next(datetime)))
    different = set(ours(expression, zone)) ^ set(expected)
    assert [tick for tick in different if not any(abs(tick - day) < 2 * DAY for day in days_of_change(zone))] == []


@settings(deadline=None, max_examples=80)
@given(frequent, st.sampled_from([(zone, day) for zone in ZONES for day in days_of_change(zone)]))
def test_the_days_around_a_change_are_what_cronsim_gives(expression, change):
    zone, day = change
    start, end = day - DAY, day + 2 * DAY
    ticks = list(ours(expression, zone, start, end))
    assert all(before < after for before, after in pairwise(ticks))
    if not is_disputed(expression, zone, day):
        known = rest_of_the_hour(zone, day) & set(ticks)
        assert ticks == sorted(set(theirs(expression, zone, start, end)) | known)


@pytest.mark.parametrize("minute", [30, 31, 45])
def test_cronsim_leaves_out_what_exists_of_an_hour_whose_beginning_is_skipped(minute):
    lord_howe, day = ZONES[2], datetime(2026, 10, 3, tzinfo=UTC)
    asked = (f"{minute} * * * *", lord_howe, day, day + DAY)
    (tick,) = set(ours(*asked)) - set(theirs(*asked))
    assert tick.astimezone(lord_howe).isoformat() == f"2026-10-04T02:{minute}:00+11:00"
    assert tick in rest_of_the_hour(lord_howe, day)


@settings(deadline=None, max_examples=40)
@given(expressions | frequent)
def test_without_changes_of_the_clocks_it_is_cronsim(expression):
    ticks = ours(expression, UTC)
    assert [tick for tick, _ in zip(ticks, range(20), strict=False)] == [
        tick for tick, _ in zip(theirs(expression, UTC), range(20), strict=False)
    ]


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(["*/15", "0", "7,30", "10-20/5"]), frequent)
def test_with_seconds_too(seconds, rest):
    expression = f"{seconds} {rest}"
    ticks, other = Cron(expression, UTC), CronSim(expression, START)
    tick = START
    for _ in range(20):
        tick = ticks.next_after(tick)
        assert tick == next(other)


@pytest.mark.parametrize(
    ("expression", "more", "less"),
    [
        ("*/15 1 * * *", 0, 4),  # in November, once rather than twice
        ("0 */2 * * *", 1, 0),  # in March, 03:00 for 02:00
        ("7 0-4 * * *", 1, 1),  # in November a tick more, and in March none at 03:00 for 02:07
        ("0 3 * * *", 0, 0),
        ("30 2 * * *", 0, 0),
        ("30 1 * * *", 0, 0),
        ("0 * * * *", 0, 0),
    ],
)
def test_the_differences_are_those_that_are_told(expression, more, less):
    new_york = ZONES[0]
    mine, other = set(ours(expression, new_york)), set(theirs(expression, new_york))
    assert (len(mine - other), len(other - mine)) == (more, less)


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_each_of_these_zones_changes_its_clocks_twice(zone):
    assert len(days_of_change(zone)) == 2
    assert all(offset(zone, day) != offset(zone, day + timedelta(days=1)) for day in days_of_change(zone))


fields = st.tuples(
    st.sampled_from(["0", "59", "*/7", "3,30", "10-20/5"]),
    st.sampled_from(["0", "*", "*/25", "59", "5,6,7"]),
    st.sampled_from(["0", "*", "23", "*/5", "9-17"]),
    st.sampled_from(["*", "1", "31", "L", "*/2", "1,15", "15W", "29-31", "?"]),
    st.sampled_from(["*", "2", "*/3", "feb,apr", "12"]),
    st.sampled_from(["*", "1-5", "0", "*/2", "5#1", "L5", "7", "mon,wed"]),
    st.sampled_from(["", "", "*", "2027-2030", "2028"]),
)


@settings(deadline=None, max_examples=300)
@given(fields.map(" ".join).map(str.strip), st.datetimes(START.replace(tzinfo=None), END.replace(tzinfo=None)))
def test_days_by_croniter_and_times_by_ourselves_are_what_croniter_gives(expression, start):
    whole = croniter(
        expression,
        start,
        ret_type=datetime,
        implement_cron_bug=True,
        second_at_beginning=True,
        max_years_between_matches=130 if len(expression.split()) == 7 else None,
    )
    # Of these it takes one kind of days for a condition of the other, see ``_alternatives``.
    assume(
        not (whole.nth_weekday_of_month or whole.nearest_weekday) or "*" in (whole.expressions[2], whole.expressions[4])
    )
    try:
        expected = [whole.get_next(datetime) for _ in range(3)]
    except CroniterBadDateError:
        return
    found = [start]
    for _ in expected:
        found.append(ParsedCron(whole).next_after(found[-1]))
    assert found[1:] == expected
