"""Schedules as text or as a dict of units."""

from datetime import UTC

import pytest

from django_loco.exceptions import LocoConfigurationError
from django_loco.scheduler.triggers.parsing import parse_schedule


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
