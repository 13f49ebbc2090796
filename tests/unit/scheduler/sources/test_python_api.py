"""Schedules that are declared in Python."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import override_settings

from django_loco.scheduler import Cron, Interval, Registry
from django_loco.scheduler.api.upcoming import upcoming_in
from django_loco.scheduler.triggers.trigger import Once
from tests.unit.scheduler.tasks import tick, tock

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def registry():
    return Registry(strict=True)


def trigger(registry):
    (entry,) = registry.entries()
    return entry.trigger


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [
        ({"seconds": 15}, 15),
        ({"seconds": 1.5}, 1.5),
        ({"minutes": 5}, 300),
        ({"minutes": 1, "seconds": 30}, 90),
        ({"hours": 2}, 7200),
        ({"days": 1}, 86400),
        ({"weeks": 1}, 604800),
        ({"interval": timedelta(minutes=3)}, 180),
    ],
)
def test_every(registry, interval, seconds):
    registry.every(tick, **interval)
    assert trigger(registry) == Interval(timedelta(seconds=seconds))


@pytest.mark.parametrize("phase", [20, timedelta(seconds=20)])
def test_every_with_a_phase(registry, phase):
    registry.every(tick, minutes=1, phase=phase)
    assert trigger(registry) == Interval(timedelta(minutes=1), timedelta(seconds=20))


@pytest.mark.parametrize(
    ("declare", "expression"),
    [
        (lambda registry: registry.hourly(tick), "0 * * * *"),
        (lambda registry: registry.hourly(tick, at=15), "15 * * * *"),
        (lambda registry: registry.daily(tick), "0 0 * * *"),
        (lambda registry: registry.daily(tick, at="04:30"), "30 4 * * *"),
        (lambda registry: registry.daily(tick, at="4:05"), "5 4 * * *"),
        (lambda registry: registry.daily(tick, at=time(16, 45)), "45 16 * * *"),
        (lambda registry: registry.weekly(tick), "0 0 * * mon"),
        (lambda registry: registry.weekly(tick, on="Sunday", at="12:00"), "0 12 * * sun"),
        (lambda registry: registry.weekly(tick, on=["monday", "fri"], at="12:00"), "0 12 * * mon,fri"),
        (lambda registry: registry.monthly(tick), "0 0 1 * *"),
        (lambda registry: registry.monthly(tick, day=15, at="06:00"), "0 6 15 * *"),
        (lambda registry: registry.monthly(tick, day="last", at="06:00"), "0 6 L * *"),
        (lambda registry: registry.cron("*/5 * * * *", tick), "*/5 * * * *"),
    ],
)
def test_shorthand_for_cron(registry, declare, expression):
    declare(registry)
    assert trigger(registry) == Cron(expression, ZoneInfo("UTC"))


def test_every_minute(registry):
    registry.every_minute(tick)
    assert trigger(registry) == Interval(timedelta(minutes=1))


def test_the_wall_clock_is_that_of_time_zone(registry):
    with override_settings(TIME_ZONE="America/New_York"):
        registry.daily(tick, at="04:00")
    assert trigger(registry).zone == ZoneInfo("America/New_York")


@pytest.mark.parametrize("zone", ["Europe/Berlin", BERLIN])
def test_or_that_of_timezone(registry, zone):
    registry.daily(tick, at="04:00", timezone=zone)
    assert trigger(registry) == Cron("0 4 * * *", BERLIN)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("7pm every Thursday", "0 19 * * 4"),
        ("every other day", "every 2 days at 00:00"),
        ("*/5 * * * *", "*/5 * * * *"),
    ],
)
def test_when(registry, text, shown):
    registry.when(text, tick, timezone=BERLIN)
    assert (str(trigger(registry)), trigger(registry).zone) == (shown, BERLIN)


def test_when_it_is_an_interval(registry):
    registry.when("every 7 minutes", tick)
    assert str(trigger(registry)) == "every 7 minutes"


@pytest.mark.parametrize(
    ("at", "moment"),
    [
        ("2026-12-24 18:00", "2026-12-24T17:00+00:00"),
        ("2026-12-24", "2026-12-23T23:00+00:00"),
        ("2026-12-24T18:00Z", "2026-12-24T18:00+00:00"),
        (datetime(2026, 12, 24, 18, tzinfo=UTC), "2026-12-24T18:00+00:00"),
        (datetime.fromisoformat("2026-12-24T18:00"), "2026-12-24T17:00+00:00"),
        (date(2026, 12, 24), "2026-12-23T23:00+00:00"),
    ],
)
def test_once(registry, at, moment):
    registry.once(tick, at=at, timezone="Europe/Berlin")
    assert trigger(registry) == Once(datetime.fromisoformat(moment), BERLIN)


def test_limits_are_on_the_wall_clock_of_the_schedule(registry):
    registry.daily(tick, at="04:00", timezone="Europe/Berlin", start="2026-12-01", end="2026-12-24 04:00")
    found = trigger(registry)
    assert found.next_after(datetime(2026, 11, 21, tzinfo=UTC)) == datetime(2026, 12, 1, 3, tzinfo=UTC)
    assert found.next_after(datetime(2026, 12, 23, 12, tzinfo=UTC)) == datetime(2026, 12, 24, 3, tzinfo=UTC)
    assert found.next_after(datetime(2026, 12, 24, 3, tzinfo=UTC)) is None


def test_limits_of_an_interval_are_on_that_of_the_project(registry):
    with override_settings(TIME_ZONE="Europe/Berlin"):
        registry.every(tick, hours=1, start="2026-12-01")
    assert trigger(registry).start == datetime(2026, 11, 30, 23, tzinfo=UTC)


@pytest.mark.parametrize("jitter", [90, timedelta(seconds=90)])
def test_a_run_is_put_off_by_the_same_in_every_scheduler(registry, jitter):
    registry.hourly(tick, jitter=jitter)
    (entry,) = registry.entries()
    other = Registry(strict=True)
    other.hourly(tick, jitter=jitter)
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert noon < entry.run_at(noon) < noon + timedelta(seconds=90)
    assert entry.run_at(noon) == other.entries()[0].run_at(noon.astimezone(BERLIN))
    assert [row.next_runs[0] for row in upcoming_in(registry, after=noon)] == [entry.run_at(noon + timedelta(hours=1))]


def test_without_jitter_a_run_is_at_its_tick(registry):
    registry.hourly(tick)
    (entry,) = registry.entries()
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert entry.run_at(noon) is noon


def test_the_decorator_declares_the_task_and_returns_it(registry):
    assert registry.cron("0 3 * * *", name="nightly")(tick) is tick
    assert registry.hourly(at=15)(tick) is tick
    assert registry.daily(tock) is tock
    nightly, hourly, daily = registry.entries()
    assert (nightly.name, str(nightly.trigger), nightly.task) == ("nightly", "0 3 * * *", tick)
    assert (str(hourly.trigger), str(daily.trigger)) == ("15 * * * *", "0 0 * * *")
    assert nightly.location.file == __file__
