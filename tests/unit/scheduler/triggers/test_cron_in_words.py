"""Cron expressions in words."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_loco.scheduler import Cron
from django_loco.scheduler.triggers.cron_in_words import MONTHS, WEEKDAYS
from django_loco.scheduler.triggers.parsing import parse_schedule

#: A machine may be busy: nothing here is about speed.
any_time = settings(deadline=None)
START = datetime(2026, 11, 21, 5, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * * *", "every minute"),
        ("*/5 * * * *", "every 5 minutes"),
        ("*/1 * * * *", "every minute"),
        ("15 * * * *", "minute 15, every hour"),
        ("0 */2 * * *", "every 2 hours"),
        ("30 */2 * * *", "minute 30, every 2 hours"),
        ("0 4 * * *", "every day at 04:00"),
        ("0 10,16 * * mon-fri", "at 10:00 and 16:00 on Monday to Friday"),
        ("*/5 9-17 * * 1-5", "every 5 minutes, hours 9 to 17 on Monday to Friday"),
        ("0 9-17 * * *", "every hour, hours 9 to 17"),
        ("0 9-17/2 * * *", "every hour, hours 9 to 17 in steps of 2"),
        ("0,20,40 * * * *", "minutes 0, 20 and 40, every hour"),
        ("* 4 * * *", "every minute, hour 4"),
        ("0 0 1,15 * *", "at 00:00 on the 1st and 15th of the month"),
        ("0 0 L * *", "at 00:00 on the last day of the month"),
        ("0 0 */10,31 * *", "at 00:00 on the 1st to 31st in steps of 10 and 31st of the month"),
        ("0 0 W15 * *", "at 00:00 on the weekday nearest to the 15th of the month"),
        (
            "0 9 15w jan,mar-May *",
            "at 09:00 on the weekday nearest to the 15th of the month in January and March to May",
        ),
        ("0 0 * * 5#1", "at 00:00 on the first Friday of the month"),
        ("0 9 * * 5L", "at 09:00 on the last Friday of the month"),
        ("0 0 * * sun", "at 00:00 on Sunday"),
        ("0 0 13 * 5", "at 00:00 on the 13th of the month or on Friday"),
        ("0 0 */2 * 5", "at 00:00 on every 2nd day of the month that is Friday"),
        ("0 0 * */3 *", "at 00:00 in every 3rd month"),
        ("@yearly", "at 00:00 on the 1st of the month in January"),
        ("@hourly", "every hour"),
        ("* * * * * *", "every second"),
        ("*/15 * * * * *", "every 15 seconds"),
        ("10 * * * * *", "second 10, every minute"),
        ("30 0 4 * * *", "every day at 04:00:30"),
        ("0 0 4 * * ? 2030-2032", "at 04:00 in 2030 to 2032"),
    ],
)
def test_an_expression_in_words(expression, words):
    assert Cron(expression, UTC).words == words


listed = st.lists(st.integers(0, 59), min_size=1, max_size=3, unique=True).map(sorted)


clocks = st.one_of(
    st.tuples(st.integers(0, 59), st.lists(st.integers(0, 23), min_size=1, max_size=3, unique=True)).map(
        lambda pair: f"{pair[0]} {','.join(map(str, pair[1]))}"
    ),
    st.sampled_from(["* *", "*/5 *", "0 *", "0 */6", "*/20 *"]),
    listed.filter(lambda minutes: minutes != [0]).map(lambda minutes: f"{','.join(map(str, minutes))} *"),
)


dates = st.one_of(
    st.just("* * *"),
    st.integers(1, 28).map("{} * *".format),
    st.just("L * *"),
    st.sampled_from(WEEKDAYS).map(lambda day: f"* * {day[:3]}"),
    st.sampled_from(["* * 1-5", "* * 1,3", "* * 2#1", "* * L5"]),
    st.sampled_from(MONTHS).map(lambda month: f"* {month[:3]} *"),
)


@any_time
@given(st.tuples(clocks, dates).map(" ".join))
def test_words_are_read_as_what_they_were_made_from(expression):
    cron = Cron(expression, UTC)
    again = parse_schedule(cron.words, UTC)
    tick = START
    for _ in range(5):
        assert again.next_after(tick) == cron.next_after(tick)
        tick = cron.next_after(tick)
