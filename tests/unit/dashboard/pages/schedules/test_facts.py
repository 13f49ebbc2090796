"""The order of schedules, and which are late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from django_loco.dashboard.pages.schedules.facts import in_order, late_since
from django_loco.scheduler import Interval, Problem, ScheduleEntry, Tick
from django_loco.scheduler.entry import SourceLocation
from django_loco.scheduler.sources.database import Pause
from django_loco.scheduler.triggers.trigger import After
from tests.unit.scheduler.tasks import tick

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def entry(name="hourly", trigger=None, **given):
    return ScheduleEntry(
        name=name, task=tick, trigger=trigger or Interval(HOUR), location=SourceLocation("", "", 0), **given
    )


def fired(due, status="SUCCESSFUL", ended=None):
    return Tick(tick="", due=due, fired=due or NOON, late=0.0, status=status, ended=ended, error="", job="1")


def test_what_runs_after_another_follows_it():
    after = {"b": "a", "c": "b", "d": "a", "lost": "gone"}
    entries = [entry(name, After(after[name]) if name in after else None) for name in ("z", "d", "c", "b", "a", "lost")]
    problem = Problem("wrong", "", "m")
    found = [(getattr(item, "name", "m"), depth) for item, depth in in_order([*entries, problem])]
    assert found == [("a", 0), ("b", 1), ("c", 2), ("d", 1), ("lost", 0), ("m", 0), ("z", 0)]


@pytest.mark.parametrize(
    ("now", "late"),
    [(NOON + 59 * MINUTE, None), (NOON + HOUR + 30 * MINUTE / 60, None), (NOON + HOUR + 2 * MINUTE, NOON + HOUR)],
)
def test_a_tick_that_is_due_for_long_and_has_no_job_is_late(now, late):
    assert late_since(entry(), [fired(NOON), fired(None)], None, now) == late


@pytest.mark.parametrize(
    ("schedule", "ticks", "pause"),
    [
        (entry(), [], None),
        (entry(), [fired(None)], None),
        (entry(trigger=After("other")), [fired(NOON)], None),
        (entry(overlap="skip"), [fired(NOON, "RUNNING")], None),
        (entry(overlap="skip"), [fired(NOON, ended=NOON + 4 * HOUR + MINUTE)], None),
        (entry(changed_at=NOON + 4 * HOUR + MINUTE), [fired(NOON)], None),
        (entry(), [fired(NOON)], Pause(NOON, "anna", None)),
        (entry(), [fired(NOON)], Pause(None, "", NOON + 4 * HOUR + MINUTE)),
    ],
)
def test_what_is_not_late_though_it_has_no_job(schedule, ticks, pause):
    assert late_since(schedule, ticks, pause, NOON + 4 * HOUR + 3 * MINUTE) is None


def test_one_that_skips_is_late_when_its_job_has_ended():
    ended = NOON + 2 * HOUR + MINUTE
    assert late_since(entry(overlap="skip"), [fired(NOON, ended=ended)], None, NOON + 4 * HOUR) == NOON + 3 * HOUR


def test_a_row_is_late_from_its_change_on():
    row = entry(changed_at=NOON + 2 * HOUR + MINUTE)
    assert late_since(row, [fired(NOON)], None, NOON + 4 * HOUR) == NOON + 3 * HOUR


def test_one_that_may_overlap_is_late_while_a_job_runs():
    assert late_since(entry(), [fired(NOON, "RUNNING")], None, NOON + 4 * HOUR) == NOON + HOUR
