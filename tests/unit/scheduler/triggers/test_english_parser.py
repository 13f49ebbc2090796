"""Schedules in English, and cron expressions in words."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_loco.exceptions import LocoConfigurationError
from django_loco.scheduler import Cron, Interval
from django_loco.scheduler.triggers.english_parser import EXAMPLES, parse_english
from django_loco.scheduler.triggers.parsing import parse_schedule

#: A machine may be busy: nothing here is about speed.
any_time = settings(deadline=None)
START = datetime(2026, 11, 21, 5, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("every 15 seconds", "*/15 * * * * *"),
        ("run every minute", "* * * * *"),
        ("fire every day at 4:00 pm", "0 16 * * *"),
        ("at 10:00 am", "0 10 * * *"),
        ("run at midnight on the 1st and 15th of the month", "0 0 1,15 * *"),
        ("On Sunday at 12:00", "0 12 * * 0"),
        ("7pm every Thursday", "0 19 * * 4"),
        ("midnight on Tuesdays", "0 0 * * 2"),
        ("every second", "* * * * * *"),
        ("every 5 minutes", "*/5 * * * *"),
        ("every five minutes", "*/5 * * * *"),
        ("Every hour.", "0 * * * *"),
        ("every hour at minute 15", "15 * * * *"),
        ("minutes 0, 20 and 40", "0,20,40 * * * *"),
        ("every other hour", "0 */2 * * *"),
        ("every second hour", "0 */2 * * *"),
        ("every 5th minute", "*/5 * * * *"),
        ("every third month", "0 0 1 */3 *"),
        ("every 3rd day of the month", "0 0 3 * *"),
        ("hourly", "0 * * * *"),
        ("daily at 7 a.m.", "0 7 * * *"),
        ("weekly", "0 0 * * 1"),
        ("weekly on friday at 18:30", "30 18 * * 5"),
        ("monthly at 06:00", "0 6 1 * *"),
        ("every month on the 3rd at 6 am", "0 6 3 * *"),
        ("every 3 months", "0 0 1 */3 *"),
        ("every year", "0 0 1 1 *"),
        ("once a day at noon", "0 12 * * *"),
        ("12 am", "0 0 * * *"),
        ("12 pm", "0 12 * * *"),
        ("at 07:00:30", "30 0 7 * * *"),
        ("at 9:30 and 16:30 on weekdays", "30 9,16 * * 1-5"),
        ("at 8:15 every weekday", "15 8 * * 1-5"),
        ("noon on weekends", "0 12 * * 6,0"),
        ("9 am, monday to friday", "0 9 * * 1-5"),
        ("9 am monday through sunday", "0 9 * * 1-7"),
        ("9 am on mon, wed and fri", "0 9 * * 1,3,5"),
        ("every second monday of the month at 9:00", "0 9 * * 1#2"),
        ("the 2nd monday of the month at 9:00", "0 9 * * 1#2"),
        ("every first monday", "0 0 * * 1#1"),
        ("the last friday of the month at 9:00", "0 9 * * L5"),
        ("at 6:00 on the first monday and first friday", "0 6 * * 1#1,5#1"),
        ("at 6:00 on the first monday and last friday", "0 6 * * 1#1,L5"),
        ("at 23:59 on the last day of the month", "59 23 L * *"),
        ("at 6:00 on the first day of each month", "0 6 1 * *"),
        ("every 10 minutes in december", "*/10 * * 12 *"),
        ("noon from january to march", "0 12 * 1-3 *"),
    ],
)
def test_a_text_and_its_expression(text, expression):
    assert parse_english(text, UTC) == expression
    Cron(expression, UTC)


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("every 7 minutes", timedelta(minutes=7)),
        ("every 90 seconds", timedelta(seconds=90)),
        ("every 24 hours", timedelta(days=1)),
        ("every 48 hours", timedelta(days=2)),
    ],
)
def test_what_no_expression_says_is_an_interval(text, period):
    assert parse_english(text, UTC) == Interval(period)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("every 2 days", "every 2 days at 00:00"),
        ("every other day", "every 2 days at 00:00"),
        ("every 2 days at noon", "every 2 days at 12:00"),
        ("every 3 days at 7:15 and 19:15", "every 3 days at 07:15 and 19:15"),
        ("every other week", "every 2 weeks at 00:00 on Monday"),
        ("every second week", "every 2 weeks at 00:00 on Monday"),
        ("every 3 weeks on tuesday and friday at 6 pm", "every 3 weeks at 18:00 on Tuesday and Friday"),
    ],
)
def test_days_and_weeks_are_counted_on_the_wall_clock(text, words):
    berlin = ZoneInfo("Europe/Berlin")
    trigger = parse_schedule(text, berlin)
    assert (trigger.zone, trigger.words, str(trigger)) == (berlin, words, words)
    assert parse_schedule(words, berlin) == trigger


@pytest.mark.parametrize("text", EXAMPLES)
def test_what_is_proposed_is_understood(text):
    assert parse_schedule(text, UTC).next_after(START)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("evry 5 mins", "'evry' is not understood. Did you mean 'every 5 minutes'?"),
        ("7pm evry Thrusday", "'evry' is not understood. Did you mean '7pm every thursday'?"),
        ("every 15 minutos", "'minutos' is not understood. Did you mean 'every 15 minutes'?"),
        ("every 15 mon", "'15' is not understood."),
        ("15 once a day", "'15' is not understood."),
        ("every 15 secs", "'secs' is not understood. Did you mean 'every 15 seconds'?"),
        ("every day at 9", "'9' is not understood. Did you mean 'every day at 9:00'?"),
        ("evry day at 9 pm", "Did you mean 'every day at 9 pm'?"),
        ("at 17 on weekdays", "Did you mean 'at 17:00 on weekdays'?"),
        ("at 31", "'31' is not understood. Did you mean '"),
        ("in a while", "Did you mean '"),
        ("", "the schedule '' is not understood: it does not say when."),
        ("run", "it does not say when"),
        ("13:75", "'13:75' is not a time of day"),
        ("25:00", "'25:00' is not a time of day"),
        ("13 pm", "'13 pm' is not a time of day"),
        ("on the 32nd", "'32nd' is not a day of a month"),
        ("the 6th monday of the month", "'6th' is not a monday of a month"),
        ("every 3rd day", "'every 3rd day' may be a date or an interval: write 'every 3 days' or 'on the 3rd'."),
        ("every second monday", "'every second monday' has two meanings: write 'the 2nd monday of the month'."),
        ("at minute 60", "'60' is not a minute of an hour"),
        ("on friday the 13th", "days of the month cannot be combined with days of the week"),
        (
            "at 6:00 on the first monday and friday",
            "'first monday' is one day of the month, but 'friday' is a day of every week: write 'first friday', or",
        ),
        ("weekends and the last monday", "but 'saturday' is a day of every week: write 'last saturday'"),
        ("at 9:30 and 16:00", "several times of day must have the same minute"),
        ("every minute at 4 pm", "a time of day cannot be combined with every minute"),
        ("every minute at minute 5", "a minute cannot be combined with every minute"),
        ("daily at minute 5", "a minute can only be combined with every hour"),
        ("every day every hour", "it says twice how often to run"),
        ("every 7 minutes on weekdays", "every 7 minutes does not divide evenly"),
        ("every 2 days on friday", "every 2 days cannot be combined with other days or months"),
        ("every 2 weeks in december", "every 2 weeks cannot be combined with other days or months"),
        ("every 2 weeks on the 1st", "every 2 weeks cannot be combined with other days or months"),
        ("every 2 weeks on the first monday", "every 2 weeks cannot be combined with other days or months"),
        ("every 0 days", "every 0 days has no fixed place"),
        ("every 99999 days", "it must be at most 36525 days"),
        ("every 5 months", "every 5 months has no fixed place"),
        ("every 0 minutes", "the interval is 0 s; it must be a second or more"),
        ("every 0 months", "every 0 months has no fixed place"),
        ("every 999999999 hours", "it must be at most 36525 days"),
        ("every 999999999 weeks", "999999999 weeks are too long"),
    ],
)
def test_what_is_not_understood_is_told_with_what_is(text, problem):
    with pytest.raises(LocoConfigurationError) as caught:
        parse_schedule(text, UTC)
    assert problem in str(caught.value)


@pytest.mark.parametrize("text", ["every 3rd day", "every minute at 4 pm", "", "13 pm"])
def test_no_other_schedule_is_proposed_where_each_word_is_understood(text):
    with pytest.raises(LocoConfigurationError) as caught:
        parse_schedule(text, UTC)
    assert "Did you mean" not in str(caught.value)
    assert "It must be English such as" in str(caught.value)


@any_time
@given(st.lists(st.sampled_from([*" ".join(EXAMPLES).split(), "0", "99", "every", "*"]), max_size=6).map(" ".join))
def test_whatever_is_written_is_understood_or_refused(text):
    try:
        trigger = parse_schedule(text, UTC)
    except LocoConfigurationError:
        return
    assert trigger.next_after(START) > START
    assert trigger.words
