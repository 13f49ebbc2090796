"""When a schedule would fire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from django_loco.exceptions import LocoConfigurationError
from django_loco.scheduler import Registry
from django_loco.testing import due, schedules

from . import tasks

BERLIN = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)
NEW_YEAR = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def registry(monkeypatch):
    """The schedules of the project."""
    registry = Registry(strict=True)
    monkeypatch.setattr(schedules, "registry_with", lambda name: registry)
    return registry


def test_the_times_of_a_day(registry):
    registry.every(tasks.send, hours=6, args=[1], name="often")
    found = due("often", (NEW_YEAR, NEW_YEAR + DAY))
    assert found == [NEW_YEAR + timedelta(hours=hours) for hours in (0, 6, 12, 18)]
    assert due("often", (NEW_YEAR + timedelta.resolution, NEW_YEAR + timedelta(hours=6))) == []


def test_they_are_on_the_wall_clock_of_the_schedule(registry):
    registry.daily(tasks.send, at="04:00", timezone="Europe/Berlin", args=[1], name="night")
    entry = registry.entry("night")
    spring = datetime(2030, 3, 30, tzinfo=BERLIN)
    found = due(entry, (spring, spring + 3 * DAY))
    assert [moment.isoformat() for moment in found] == [
        "2030-03-30T04:00:00+01:00", "2030-03-31T04:00:00+02:00", "2030-04-01T04:00:00+02:00",
    ]  # fmt: skip


def test_a_schedule_that_has_ended(registry):
    registry.once(tasks.send, at="2029-12-24 18:00", timezone="UTC", args=[1], name="launch")
    assert due("launch", (NEW_YEAR, NEW_YEAR + DAY)) == []
    assert due("launch", (NEW_YEAR - 30 * DAY, NEW_YEAR)) == [datetime(2029, 12, 24, 18, tzinfo=UTC)]


def test_one_that_runs_after_another(registry):
    registry.daily(tasks.send, at="04:00", args=[1], name="first")
    registry.after("first", tasks.asend, args=[1], name="second")
    with pytest.raises(LocoConfigurationError, match="runs after 'first'"):
        due("second", (NEW_YEAR, NEW_YEAR + DAY))


def test_one_that_does_not_exist(registry):
    registry.daily(tasks.send, at="04:00", args=[1], name="first")
    with pytest.raises(LocoConfigurationError, match="Did you mean 'first'"):
        due("frist", (NEW_YEAR, NEW_YEAR + DAY))


@pytest.mark.parametrize("given", [tasks.send, 5, ["night"], None])
def test_what_is_no_schedule(given):
    with pytest.raises(LocoConfigurationError, match=r"is not the name of a schedule\."):
        due(given, (NEW_YEAR, NEW_YEAR + DAY))


def test_too_many(registry, monkeypatch):
    monkeypatch.setattr(schedules, "MAX_TICKS", 5)
    registry.every(tasks.send, seconds=1, args=[1], name="often")
    assert len(due("often", (NEW_YEAR, NEW_YEAR + timedelta(seconds=5)))) == 5
    with pytest.raises(LocoConfigurationError, match="more than 5 times"):
        due("often", (NEW_YEAR, NEW_YEAR + DAY))


@pytest.mark.parametrize(
    "between",
    [NEW_YEAR, (NEW_YEAR,), (NEW_YEAR, DAY), (NEW_YEAR, datetime(2031, 1, 1)), (NEW_YEAR, NEW_YEAR - DAY)],  # noqa: DTZ001
)
def test_what_is_no_period(registry, between):
    with pytest.raises(LocoConfigurationError, match="between"):
        due("any", between)
