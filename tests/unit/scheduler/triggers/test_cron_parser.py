"""Which cron expressions there are, and how they are searched."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_loco.exceptions import LocoConfigurationError
from django_loco.scheduler import Cron

#: A machine may be busy: nothing here is about speed.
any_time = settings(deadline=None)
LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        (5, 'the cron expression is 5; it must be text, such as "*/5 * * * *"'),
        ("", "the cron expression '' has 0 fields; it must have five"),
        ("* * * *", "'* * * *' has 4 fields; it must have five: minute, hour, day of the month, month"),
        ("0 0 * * * * * *", "has 8 fields; it must have five"),
        ("99 * * * * *", "'99 * * * * *' cannot be understood"),
        ("0 0 0 1 1 * 1850", "cannot be understood"),
        ("0 0 0 31 2 * *", "never fires"),
        ("0 0 0 29 2 * 2027", "never fires"),
        ("61 * * * *", "'61 * * * *' cannot be understood: "),
        ("* * * * funday", "cannot be understood"),
        ("*/0 * * * *", "cannot be understood"),
        ("@never", "cannot be understood"),
        ("0 0 31 2 *", "'0 0 31 2 *' never fires"),
        ("0 0 31 4,6,9,11 *", "never fires"),
        ("R * * * *", "'R * * * *' has a random time"),
        ("0 h(2-4) * * *", "has a random time"),
    ],
)
def test_a_wrong_expression_is_told_what_is_wrong(expression, problem):
    with pytest.raises(LocoConfigurationError) as caught:
        Cron(expression, UTC)
    assert problem in str(caught.value)


@any_time
@given(st.text("0123456789*/-,#LWlwrhJANMONmon?@ .()", max_size=20))
def test_whatever_is_written_is_understood_or_refused(expression):
    try:
        cron = Cron(expression, UTC)
    except LocoConfigurationError:
        return
    moment = datetime(2026, 11, 21, tzinfo=UTC)
    assert cron.next_after(moment) == Cron(expression, UTC).next_after(moment)
    assert cron.words


def test_a_search_leaves_no_trace_for_the_next_one_or_another_thread():
    cron = Cron("0 4 * * *", LONDON)
    before = vars(cron._parsed).copy()
    cron.next_after(datetime(2026, 11, 21, tzinfo=UTC))
    assert vars(cron._parsed) == before


#: Expressions of a range with the first and the last number, and how a number is read from a tick.
RANGES = {
    "{} 0 0 * * *": (0, 59, lambda tick: tick.second),
    "{} 0 * * *": (0, 59, lambda tick: tick.minute),
    "0 {} * * *": (0, 23, lambda tick: tick.hour),
    "0 0 {} 1 *": (1, 31, lambda tick: tick.day),
    "0 0 1 {} *": (1, 12, lambda tick: tick.month),
    "0 0 * * {}": (0, 6, lambda tick: tick.isoweekday() % 7),
}


@any_time
@given(st.sampled_from(sorted(RANGES)), st.integers(0, 59), st.integers(0, 59), st.integers(1, 12))
def test_a_range_wraps_around_in_its_steps(expression, start, end, step):
    first, last, number_of = RANGES[expression]
    count = last - first + 1
    start, end = (first + number % count for number in (start, end))
    steps = range(start, (end if start <= end else end + count) + 1, step)
    cron, tick = Cron(expression.format(f"{start}-{end}/{step}"), UTC), datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    found = set()
    for _ in range(count):
        tick = cron.next_after(tick)
        found.add(number_of(tick))
    assert found == {first + (number - first) % count for number in steps}


@pytest.mark.parametrize(
    ("expression", "same"),
    [
        ("0 23-5/2 * * *", "0 23,1,3,5 * * *"),
        ("0 20-6/3,12 * * *", "0 20,23,2,5,12 * * *"),
        ("0 0 1 nov-MAR/2 *", "0 0 1 11,1,3 *"),
        ("0 0 * * fri-mon/2", "0 0 * * 5,0"),
        ("0 0 * * 5-7/2", "0 0 * * 5,7"),
    ],
)
def test_a_range_that_wraps_around_is_a_list(expression, same):
    one, other, tick = Cron(expression, UTC), Cron(same, UTC), datetime(2026, 11, 21, tzinfo=UTC)
    for _ in range(10):
        before, tick = tick, one.next_after(tick)
        assert tick == other.next_after(before)


def weekday_nearest_to(number, day):
    there = day.replace(day=number)
    first, last = 1, monthrange(day.year, day.month)[1]
    shift = {5: 2 if number == first else -1, 6: -2 if number == last else 1}.get(there.weekday(), 0)
    return day == there + timedelta(days=shift)


DAYS_OF_THE_MONTH = {
    "*": lambda day: True,
    "*/10": lambda day: day.day % 10 == 1,
    "1": lambda day: day.day == 1,
    "1,15": lambda day: day.day in (1, 15),
    "L": lambda day: (day + timedelta(days=1)).day == 1,
    "1W": lambda day: weekday_nearest_to(1, day),
    "15W": lambda day: weekday_nearest_to(15, day),
}
DAYS_OF_THE_WEEK = {
    "*": lambda day: True,
    "*/2": lambda day: day.isoweekday() % 7 in (0, 2, 4, 6),
    "mon": lambda day: day.weekday() == 0,
    "5#1": lambda day: day.weekday() == 4 and day.day <= 7,
    "mon#3": lambda day: day.weekday() == 0 and 15 <= day.day <= 21,
    "L5": lambda day: day.weekday() == 4 and (day + timedelta(days=7)).day <= 7,
    "5L": lambda day: day.weekday() == 4 and (day + timedelta(days=7)).day <= 7,
}


@pytest.mark.parametrize("weekday", DAYS_OF_THE_WEEK)
@pytest.mark.parametrize("date", DAYS_OF_THE_MONTH)
def test_days_of_the_month_and_of_the_week_are_what_counting_days_gives(date, weekday):
    both = all if date.startswith("*") or weekday.startswith("*") else any
    rules = DAYS_OF_THE_MONTH[date], DAYS_OF_THE_WEEK[weekday]
    year = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=count) for count in range(365)]
    counted = [day for day in year if both(rule(day) for rule in rules)]
    cron, tick, found = Cron(f"0 0 {date} * {weekday}", UTC), year[0] - timedelta(seconds=1), []
    while (tick := cron.next_after(tick)) <= year[-1]:
        found.append(tick)
    assert found == counted
