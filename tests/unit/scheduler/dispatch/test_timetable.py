"""What a scheduler goes by while the schedules of the database are changed and paused."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from django_loco.exceptions import LocoConfigurationError
from django_loco.scheduler import Cron, Interval, Registry
from django_loco.scheduler.dispatch import timetable
from django_loco.scheduler.dispatch.timetable import Timetable, period_of
from django_loco.scheduler.entry import Problem, ScheduleEntry
from django_loco.scheduler.misfire import Misfire
from django_loco.scheduler.sources.database import DATABASE_LOCATION, Pause, StoredSchedules
from django_loco.scheduler.triggers.trigger import Once

from ..tasks import send, tick

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def registry():
    registry = Registry(strict=True)
    registry.every_minute(tick, name="code", misfire="skip")
    return registry


@pytest.fixture
def plan(registry):
    plan = Timetable(registry, (), NOON, "default")
    plan.begin(NOON)
    return plan


def row(name, seconds, **fields):
    fields = {"misfire": Misfire("skip"), **fields}
    return ScheduleEntry(name=name, task=tick, trigger=Interval(seconds * SECOND), location=DATABASE_LOCATION, **fields)


def rows(*entries, **pauses):
    return StoredSchedules(entries, pauses)


def paused(since=NOON):
    return Pause(since, "", None)


def resumed(until):
    return Pause(None, "", until)


def fire(plan, now):
    """Return what is fired up to ``now``, as a scheduler would that wakes up often."""
    fired = []
    while due := plan.due_heap.take(now):
        if not plan.skip_if_paused(due, due.at):
            fired.append((plan.due_heap.entries[due.position].name, due.tick))
            plan.due_heap.plan_next(due, due.tick)
    return fired


def times(fired, name):
    return [f"{tick:%H:%M:%S}" for found, tick in fired if found == name]


def test_what_is_new_begins_now_what_is_gone_ends(plan):
    plan.apply(rows(), NOON)
    plan.apply(rows(row("new", 20)), NOON + 30 * SECOND)
    assert times(fire(plan, NOON + MINUTE), "new") == ["12:00:40", "12:01:00"]
    plan.apply(rows(), NOON + MINUTE)
    assert {name for name, _ in fire(plan, NOON + 3 * MINUTE)} == {"code"}


def test_a_change_holds_from_the_next_tick_on(plan):
    plan.apply(rows(row("row", 20)), NOON)
    assert times(fire(plan, NOON + 50 * SECOND), "row") == ["12:00:20", "12:00:40"]
    plan.apply(rows(row("row", 15)), NOON + 50 * SECOND)
    assert times(fire(plan, NOON + 90 * SECOND), "row") == ["12:01:00", "12:01:15", "12:01:30"]


def test_another_argument_leaves_the_tick_as_it_is_even_one_that_waits_for_its_queue(plan):
    plan.apply(rows(row("row", 20)), NOON)
    due = plan.due_heap.take(NOON + 20 * SECOND)
    plan.due_heap.postpone(due, NOON + 25 * SECOND)
    plan.apply(rows(replace(row("row", 20), task=send, args=(5,))), NOON + 22 * SECOND)
    assert times(fire(plan, NOON + 24 * SECOND), "row") == []
    assert times(fire(plan, NOON + 25 * SECOND), "row") == ["12:00:20"]
    assert next(entry for entry in plan.due_heap.entries if entry.name == "row").task is send


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_no_tick_of_the_others_is_lost_or_doubled_by_changes(registry, seed):
    chance = random.Random(seed)
    registry.cron("*/7 * * * * *", tick, name="cron")
    registry.hourly(tick, at=59, name="start", run_on_start=True)
    plans = [Timetable(registry, (), NOON, "default") for _ in range(2)]
    steady = [row("steady", 11), row("jittered", 13, jitter=5 * SECOND)]
    fired = [[], []]
    for plan in plans:
        plan.begin(NOON)
        plan.apply(rows(*steady), NOON)
    now = NOON
    while now < NOON + 10 * MINUTE:
        now += chance.random() * 5 * SECOND
        others = [row(f"other-{number}", chance.randint(1, 9)) for number in range(chance.randint(0, 5))]
        mixed = chance.sample([*steady, *others], len(steady) + len(others))
        # Some ticks are due and have not been fired.
        plans[1].apply(rows(*mixed, Problem("off", "", "bad")), now)
        for number in range(2):
            fired[number] += fire(plans[number], now)
    watched = {"code", "cron", "start", "steady", "jittered"}
    assert sorted(item for item in fired[1] if item[0] in watched) == sorted(fired[0])
    assert len(fired[0]) > 190


def test_a_single_run_that_is_over_does_not_come_back(plan):
    plan.apply(rows(row("once", 20)), NOON)
    soon = Registry(strict=True)
    soon.once(tick, at=NOON + SECOND, name="once")
    once = soon.entry("once")
    plan.apply(rows(once), NOON)
    assert times(fire(plan, NOON + 2 * SECOND), "once") == ["12:00:01"]
    plan.apply(rows(once, row("more", 1)), NOON)
    assert times(fire(plan, NOON + MINUTE), "once") == []


def test_a_deploy_that_cannot_be_identified_turns_off_only_the_runs_on_start(registry, monkeypatch, caplog):
    def fail():
        raise RuntimeError("no such package")

    monkeypatch.setattr(timetable, "deploy_id", fail)
    registry.hourly(tick, at=1, name="start", run_on_start=True)
    plan = Timetable(registry, (), NOON, "default")
    plan.begin(NOON)
    plan.apply(rows(), NOON)
    (record,) = caplog.records
    assert "no schedule runs on start: set LOCO['RELEASE']" in record.message
    assert [plan.due_heap.entries[due.position].name for due in plan.due(NOON + MINUTE)] == ["code", "start"]


def test_what_the_database_has_at_the_start_is_made_up_for_like_what_the_code_has(registry):
    plan = Timetable(registry, (), NOON, "default")
    plan.begin(NOON + 20 * SECOND)
    nightly = ScheduleEntry(name="nightly", task=tick, trigger=Cron("0 12 * * *", UTC), location=DATABASE_LOCATION)
    plan.apply(rows(nightly), NOON + 22 * SECOND)
    assert times(fire(plan, NOON + 22 * SECOND), "nightly") == ["12:00:00"]
    later = replace(nightly, name="later")
    plan.apply(rows(nightly, later), NOON + 24 * SECOND)
    assert times(fire(plan, NOON + 24 * SECOND), "later") == []


def test_a_pause_leaves_out_ticks_and_nothing_is_made_up_for(plan):
    fast = row("fast", 10)
    plan.apply(rows(fast), NOON)
    assert len(times(fire(plan, NOON + 20 * SECOND), "fast")) == 2
    plan.apply(rows(fast, fast=paused(), code=paused()), NOON + 25 * SECOND)
    assert fire(plan, NOON + 2 * MINUTE) == []
    plan.apply(rows(fast, fast=resumed(NOON + 125 * SECOND)), NOON + 127 * SECOND)
    fired = fire(plan, NOON + 3 * MINUTE)
    assert times(fired, "fast") == ["12:02:10", "12:02:20", "12:02:30", "12:02:40", "12:02:50", "12:03:00"]
    assert times(fired, "code") == ["12:03:00"]


def test_a_tick_that_came_between_a_resumption_and_the_look_at_it_is_fired(plan):
    fast = row("fast", 10)
    plan.apply(rows(fast, fast=paused()), NOON)
    plan.apply(rows(fast, fast=resumed(NOON + 19 * SECOND)), NOON + 21 * SECOND)
    assert times(fire(plan, NOON + 21 * SECOND), "fast") == ["12:00:20"]


@pytest.mark.parametrize("misfire", [Misfire(), Misfire("all", HOUR), Misfire("once", HOUR)])
def test_a_scheduler_that_starts_makes_up_for_nothing_from_a_pause(registry, misfire):
    plan = Timetable(registry, (), NOON, "default")
    plan.begin(NOON + 30 * SECOND)
    plan.apply(rows(row("row", 300, misfire=misfire), row=resumed(NOON + 15 * SECOND)), NOON + 31 * SECOND)
    assert times(fire(plan, NOON + 31 * SECOND), "row") == []
    assert times(fire(plan, NOON + 5 * MINUTE), "row") == ["12:05:00"]


def test_a_pause_of_a_scheduler_that_slept_costs_one_step(plan):
    plan.apply(rows(row("fast", 1), fast=paused()), NOON)
    woken = NOON + 1000 * HOUR + SECOND / 2
    due = plan.due_heap.take(NOON + SECOND)
    assert plan.skip_if_paused(due, woken)
    assert sorted(due.tick for due in plan.due_heap._heap) == [NOON + MINUTE, woken + SECOND / 2]


def test_a_name_that_the_code_has_is_the_codes(registry, plan):
    both = registry.combined_with([row("code", 5), row("row", 5), Problem("bad", "", "bad")])
    assert both.entry("code").location != DATABASE_LOCATION
    assert [problem.schedule for problem in both.problems()] == ["code", "bad"]
    assert "Schedule 'code': a schedule in the code or the settings has this name" in both.problems()[0].message
    assert registry.problems() == []
    plan.apply(rows(row("code", 5), row("row", 5)), NOON)
    assert sorted(entry.name for entry in plan.due_heap.entries) == ["code", "row"]


def test_a_name_whose_schedule_in_the_code_is_off_is_the_codes_as_well():
    registry = Registry()
    registry.hourly(tick, at=75, name="digest")
    assert registry.combined_with([row("digest", 5)]).entries() == []


def test_code_that_runs_after_a_row_is_off_everywhere():
    registry = Registry()
    registry.after("row", tick, name="second")
    registry.after("second", tick, name="third")
    told = registry.problems()
    both = registry.combined_with([row("row", 5)])
    assert [problem.schedule for problem in told] == ["second", "third"]
    assert (both.problems(), [entry.name for entry in both.entries()]) == (told, ["row"])
    with pytest.raises(LocoConfigurationError, match="after is 'row', which is not a schedule"):
        both.entry("second")


def test_tags_choose_among_rows(registry):
    plan = Timetable(registry, ("night",), NOON, "default")
    plan.begin(NOON)
    plan.apply(rows(row("row", 20), row("tagged", 20, tags=("night",))), NOON)
    assert {name for name, _ in fire(plan, NOON + HOUR)} == {"tagged"}


@pytest.mark.parametrize(
    ("trigger", "seconds"),
    [
        (Interval(timedelta(seconds=90)), 90.0),
        (Cron("0 4 * * *", UTC), 86400.0),
        (Cron("0 4 * * 1-5", UTC), 3 * 86400.0),
        (Once(datetime(2026, 1, 1, tzinfo=UTC), UTC), 0.0),
    ],
)
def test_the_period_is_the_longest_time_between_the_next_ticks(trigger, seconds):
    assert period_of(trigger, datetime(2025, 12, 30, 12, tzinfo=UTC)) == seconds


def test_a_trigger_that_raises_has_no_period():
    class Broken:
        zone = None

        def next_after(self, moment):
            raise ArithmeticError("no next")

    assert period_of(Broken(), NOON) == 0.0
