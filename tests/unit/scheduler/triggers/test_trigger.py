from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_loco.exceptions import LocoConfigurationError
from django_loco.scheduler import Cron, Interval
from django_loco.scheduler.triggers.trigger import Once, Within, delay_of, first_tick, last_tick, last_ticks
from tests.unit.texts import texts

#: A machine may be busy: nothing here is about speed.
any_time = settings(deadline=None)
NEW_YORK = ZoneInfo("America/New_York")
HOUR = timedelta(hours=1)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

moments = st.datetimes(
    datetime.fromisoformat("1990-01-01"), datetime.fromisoformat("2090-01-01"), timezones=st.just(UTC)
)
periods = st.timedeltas(timedelta(seconds=1), timedelta(weeks=60))


@st.composite
def intervals(draw):
    period = draw(periods)
    return Interval(period, draw(st.timedeltas(timedelta(0), period - timedelta.resolution)))


@any_time
@given(intervals(), moments)
def test_ticks_of_an_interval_are_its_period_apart(interval, moment):
    first = interval.next_after(moment)
    assert moment < first <= moment + interval.period
    assert interval.next_after(first) - first == interval.period


@any_time
@given(intervals(), moments, moments)
def test_every_scheduler_computes_the_same_ticks_of_an_interval(interval, moment, other):
    same = Interval(interval.period, interval.phase)
    assert (interval.next_after(moment) - same.next_after(other)) % interval.period == timedelta(0)


def test_an_interval_is_counted_from_1970_and_shifted_by_its_phase():
    assert Interval(timedelta(minutes=5)).next_after(NOON) == NOON + timedelta(minutes=5)
    assert Interval(timedelta(minutes=5), timedelta(seconds=40)).next_after(NOON) == NOON + timedelta(seconds=40)


def test_a_moment_may_be_in_any_zone():
    there = NOON.astimezone(tz=None)
    assert Interval(timedelta(minutes=5)).next_after(there) == NOON + timedelta(minutes=5)
    assert Interval(timedelta(minutes=5)).next_after(there).tzinfo is UTC


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(timedelta(seconds=1)), "every second"),
        (Interval(timedelta(seconds=15)), "every 15 seconds"),
        (Interval(timedelta(seconds=90)), "every 90 seconds"),
        (Interval(timedelta(seconds=1.5)), "every 1.5 seconds"),
        (Interval(timedelta(minutes=1)), "every minute"),
        (Interval(timedelta(hours=36)), "every 36 hours"),
        (Interval(timedelta(days=14)), "every 2 weeks"),
        (Interval(timedelta(hours=1), timedelta(minutes=10)), "every hour, 600 s later"),
    ],
)
def test_an_interval_in_words(interval, text):
    assert str(interval) == text


def test_an_interval_ends_before_the_calendar_does():
    with pytest.raises(LocoConfigurationError, match="it must be at most 36525 days"):
        Interval(timedelta(days=40_000))


@pytest.mark.parametrize("period", [timedelta(0), timedelta(seconds=-5), timedelta(milliseconds=999)])
def test_an_interval_is_a_second_or_more(period):
    with pytest.raises(LocoConfigurationError, match=r"the interval is .* s; it must be a second or more"):
        Interval(period)


@pytest.mark.parametrize("phase", [timedelta(seconds=-1), timedelta(seconds=60)])
def test_a_phase_is_within_the_interval(phase):
    with pytest.raises(LocoConfigurationError, match=r"phase is .* from 0 s to less than the interval, 60 s"):
        Interval(timedelta(seconds=60), phase)


@any_time
@given(intervals(), moments, st.timedeltas(timedelta(0), timedelta(weeks=100)))
def test_the_last_tick_of_an_interval(interval, after, length):
    until = after + length
    last = last_tick(interval, after, until)
    if last is None:
        assert interval.next_after(after) > until
    else:
        assert after < last <= until < last + interval.period


def test_the_last_tick_of_a_cron_expression_is_found_beyond_a_gap():
    mornings = Cron("* 6-7 * * *", UTC)
    assert last_tick(mornings, NOON - timedelta(days=30), NOON) == NOON.replace(hour=7, minute=59)
    assert last_tick(mornings, NOON - timedelta(hours=4), NOON) is None


class Counted:
    """An interval that counts what it is asked."""

    zone = None

    def __init__(self, period):
        self.interval, self.calls = Interval(period), 0

    def next_after(self, moment):
        self.calls += 1
        return self.interval.next_after(moment)


def test_the_last_of_a_million_ticks_takes_a_few_dozen_steps():
    trigger = Counted(timedelta(seconds=1))
    assert last_tick(trigger, NOON - timedelta(days=12), NOON) == NOON
    assert trigger.calls < 50


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("expression", "late", "fired"),
    [
        ("0 12 * * *", timedelta(0), True),
        ("0 12 * * *", timedelta(seconds=59), True),
        ("0 12 * * *", timedelta(seconds=60), False),
        ("* * * * *", timedelta(seconds=30), True),
        ("* * * * *", timedelta(seconds=31), False),
    ],
)
def test_a_start_fires_what_was_just_missed(expression, late, fired):
    trigger = Cron(expression, UTC)
    begun = first_tick(trigger, NOON + late, MINUTE)
    assert begun == (NOON if fired else trigger.next_after(NOON))


def test_a_start_fires_only_the_last_of_what_was_just_missed():
    every_second = Interval(timedelta(seconds=1))
    assert first_tick(every_second, NOON + timedelta(seconds=0.4), MINUTE) == NOON
    assert first_tick(every_second, NOON + timedelta(seconds=0.6), MINUTE) == NOON + timedelta(seconds=1)


def test_one_run_comes_once():
    once = Once(NOON, NEW_YORK)
    assert once.next_after(NOON - MINUTE) == NOON
    assert once.next_after(NOON) is None
    assert str(once) == once.words == "once at 2026-11-21 07:00"


def test_limits():
    trigger = Within(Interval(MINUTE), NOON, NOON + 2 * MINUTE)
    assert trigger.next_after(NOON - timedelta(days=1)) == NOON
    assert trigger.next_after(NOON) == NOON + MINUTE
    assert trigger.next_after(NOON + MINUTE) == NOON + 2 * MINUTE
    assert trigger.next_after(NOON + 2 * MINUTE) is None
    assert str(trigger) == "every minute"
    assert trigger.words == "every minute, from 2026-11-21 12:00, until 2026-11-21 12:02"
    assert trigger.zone is None


def test_one_limit_is_enough():
    assert Within(Interval(MINUTE), start=NOON).next_after(NOON + MINUTE) == NOON + 2 * MINUTE
    assert Within(Interval(MINUTE), start=NOON).next_after(NOON - MINUTE) == NOON
    assert Within(Interval(MINUTE), end=NOON).next_after(NOON - MINUTE) == NOON
    assert Within(Interval(MINUTE), end=NOON).next_after(NOON) is None


def test_limits_are_on_the_wall_clock_of_what_they_limit():
    assert Within(Cron("0 4 * * *", NEW_YORK), end=NOON).words == "every day at 04:00, until 2026-11-21 07:00"


@pytest.mark.parametrize("end", [NOON - MINUTE, NOON + timedelta(seconds=30)])
def test_limits_that_leave_nothing(end):
    with pytest.raises(LocoConfigurationError, match=r"never fires from start, .*; end must be later than start"):
        Within(Interval(MINUTE), NOON + timedelta(seconds=10), end)


@pytest.mark.parametrize(("word", "limit"), [("start", NOON + MINUTE), ("end", NOON - MINUTE)])
def test_a_single_run_outside_of_its_limit(word, limit):
    with pytest.raises(LocoConfigurationError, match=f"once at .*, but {word} is .*: it never fires") as caught:
        Within(Once(NOON, UTC), **{word: limit})
    assert caught.value.field == word
    assert Within(Once(NOON, UTC), **{word: NOON}).next_after(NOON - MINUTE) == NOON


def test_what_was_just_missed_is_looked_for_within_the_limits():
    assert first_tick(Within(Interval(HOUR), start=NOON), NOON + timedelta(seconds=30), MINUTE) == NOON
    assert first_tick(Within(Interval(HOUR), end=NOON), NOON + timedelta(seconds=30), MINUTE) == NOON
    assert first_tick(Once(NOON, UTC), NOON + timedelta(seconds=30), MINUTE) == NOON
    assert first_tick(Once(NOON, UTC), NOON + timedelta(seconds=61), MINUTE) is None


@any_time
@given(texts, st.timedeltas(timedelta(0), timedelta(days=3)))
def test_a_delay_is_within_the_jitter_and_the_same_everywhere(key, jitter):
    assert timedelta(0) <= delay_of(key, jitter) <= jitter
    assert delay_of(key, jitter) == delay_of(key, jitter)


def test_delays_are_spread_over_the_jitter():
    delays = [delay_of(f"mail@{number}", MINUTE).total_seconds() for number in range(1000)]
    tenths = Counter(int(delay // 6) for delay in delays)
    assert set(tenths) == set(range(10))
    assert min(tenths.values()) > 60


def test_the_last_ticks():
    mornings = Cron("*/30 6-7 * * *", UTC)
    assert [f"{tick:%d %H:%M}" for tick in last_ticks(mornings, NOON - timedelta(days=9), NOON, 6)] == [
        *("20 07:00", "20 07:30"),
        *("21 06:00", "21 06:30", "21 07:00", "21 07:30"),
    ]
    assert last_ticks(mornings, NOON - timedelta(hours=5, minutes=10), NOON, 6) == [
        NOON.replace(hour=7),
        NOON.replace(hour=7, minute=30),
    ]
    assert last_ticks(mornings, NOON - HOUR, NOON, 6) == []


@any_time
@given(intervals(), moments, st.integers(0, 20), st.integers(1, 10))
def test_the_last_ticks_of_an_interval_are_those_that_counting_gives(interval, after, periods, count):
    until = after + periods * interval.period
    ticks, tick = [], interval.next_after(after)
    while tick <= until:
        ticks.append(tick)
        tick = interval.next_after(tick)
    assert last_ticks(interval, after, until, count) == ticks[-count:]
