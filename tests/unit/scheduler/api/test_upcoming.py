"""The next runs of all schedules."""

from datetime import UTC, datetime, timedelta

import pytest

from django_loco.scheduler import Registry
from django_loco.scheduler.api.upcoming import upcoming_in
from django_loco.scheduler.triggers.trigger import Interval
from tests.unit.scheduler.tasks import send, tick, tock


@pytest.fixture
def registry():
    return Registry(strict=True)


def test_what_is_coming(registry):
    registry.daily(tick, at="04:00", timezone="Europe/Berlin", tags=["nightly"])
    registry.every(tock, hours=1, name="beat")
    registry.cron("0 0 1 1 *", send, args=[1])
    beat, yearly, daily = upcoming_in(registry, 2, after=datetime(2026, 11, 21, 5, 30, tzinfo=UTC))
    assert (daily.name, daily.task) == ("tests.unit.scheduler.tasks.tick", "tests.unit.scheduler.tasks.tick")
    assert (daily.schedule, daily.zone, daily.tags) == ("0 4 * * *", "Europe/Berlin", ("nightly",))
    assert [run.isoformat() for run in daily.next_runs] == ["2026-11-22T04:00:00+01:00", "2026-11-23T04:00:00+01:00"]
    assert (beat.name, beat.schedule, beat.zone) == ("beat", "every hour", "")
    assert [run.hour for run in beat.next_runs] == [6, 7]
    assert [run.year for run in yearly.next_runs] == [2027, 2028]


def test_what_is_coming_starts_now(registry):
    registry.every_minute(tick)
    (row,) = upcoming_in(registry)
    (run,) = row.next_runs
    assert timedelta(0) < run - datetime.now(UTC) <= timedelta(minutes=1)


def test_a_schedule_that_cannot_be_shown_is_named_and_hides_no_other(registry, monkeypatch, caplog):
    registry.daily(tick, at="04:00", name="good")
    registry.every(tock, hours=1, name="strange")
    monkeypatch.setattr(Interval, "words", property(lambda interval: 1 / 0))
    assert [row.name for row in upcoming_in(registry)] == ["good"]
    assert "Schedule 'strange' cannot be shown" in caplog.text
