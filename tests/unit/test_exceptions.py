"""The exceptions that a job raises to put itself off."""

from __future__ import annotations

import copy
import math
import pickle
from datetime import UTC, datetime, timedelta

import pytest
from django.test import override_settings

from django_loco import exceptions
from django_loco.exceptions import (
    LONGEST_SNOOZE,
    DuplicateJob,
    FilterError,
    LocoConfigurationError,
    LocoError,
    SignalTimeout,
    Snooze,
    Throttled,
    Unfinished,
)

EXCEPTIONS = [value for value in vars(exceptions).values() if isinstance(value, type) and issubclass(value, LocoError)]
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("snooze", "seconds"),
    [
        (Snooze(60), 60),
        (Snooze(0.5), 0.5),
        (Snooze(-1), -1),
        (Snooze(LONGEST_SNOOZE), LONGEST_SNOOZE),
        (Snooze(timedelta(minutes=5)), 300),
        (Snooze(delay=7), 7),
        (Snooze(until=NOW + timedelta(hours=1)), 3600),
        (Snooze(until=NOW - timedelta(hours=1)), -3600),
    ],
)
def test_when_the_next_run_is_due(snooze, seconds):
    assert snooze.due_at(NOW) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("delay", ["x", True, [], b"1", NOW])
def test_a_delay_of_another_type(delay):
    with pytest.raises(TypeError, match="a number of seconds or a timedelta, not "):
        Snooze(delay)


@pytest.mark.parametrize("delay", [math.nan, math.inf, -math.inf, 1e12, -1e12, 10**400, timedelta.max])
def test_a_delay_that_is_beyond_the_calendar(delay):
    with pytest.raises(ValueError, match="a hundred years at most"):
        Snooze(delay)


def test_neither_or_both():
    for given in ({}, {"delay": 1, "until": NOW}):
        with pytest.raises(TypeError, match=r"^Write Snooze\(seconds\)"):
            Snooze(**given)


def test_a_moment_of_no_use():
    with pytest.raises(TypeError, match="takes a datetime, not 'soon'"):
        Snooze(until="soon")
    with pytest.raises(ValueError, match="up to the year 9998"):
        Snooze(until=datetime.max.replace(tzinfo=UTC))
    with pytest.raises(ValueError, match="an aware datetime"):
        Snooze(until=datetime(2026, 5, 1, 12))  # noqa: DTZ001 - the mistake


@override_settings(USE_TZ=False, TIME_ZONE="Europe/Berlin")
def test_without_time_zones_a_moment_is_local():
    assert Snooze(until=datetime(2026, 5, 1, 14)).due_at(NOW) == NOW  # noqa: DTZ001


def test_the_text_says_for_how_long():
    assert [str(each) for each in (Snooze(60), Snooze(until=NOW))] == ["for 60", f"until {NOW}"]


@pytest.mark.parametrize(
    "error",
    [
        *(kind("why") for kind in EXCEPTIONS if kind not in (Snooze, Throttled)),
        LocoConfigurationError("why", field="at"),
        Unfinished("why", done=3),
        DuplicateJob("why", results=[1]),
        FilterError("why", text="status:", position=7),
        SignalTimeout("why", name="paid"),
        Snooze(60),
        Snooze(timedelta(minutes=1)),
        Snooze(until=NOW),
        Throttled(30, limit="mail"),
        Throttled(timedelta(minutes=1)),
    ],
    ids=repr,
)
def test_copies_are_equal(error):
    """``manage.py test --parallel`` sends the error of a test from one process to another."""
    error.add_note("while a job ran")
    for copied in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own
        assert (type(copied), str(copied), vars(copied)) == (type(error), str(error), vars(error))
