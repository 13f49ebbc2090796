"""Which cron expressions there are, and how they are searched."""

from datetime import UTC, datetime
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
