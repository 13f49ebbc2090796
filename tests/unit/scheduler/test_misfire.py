"""What was missed, on a clock that stands still until a test moves it."""

import pytest
from django.test import override_settings

from django_loco.exceptions import QueueUnavailable
from django_loco.queues import queue_for
from django_loco.scheduler import Scheduler
from django_loco.scheduler.misfire import Misfire
from django_loco.scheduler.triggers.trigger import Interval

from .tasks import tick
from .test_scheduler import HOUR, MINUTE, NOON, SECOND, clock, registry, run, store

__all__ = ["clock", "registry", "store"]  # fixtures


def begin(registry, clock):
    scheduler = Scheduler(registry, now=clock)
    scheduler.load()
    scheduler.fire_due()
    return scheduler


RULES = [
    ({"misfire": "skip"}, []),
    ({"misfire": "once"}, ["12:40:00"]),
    ({"misfire": "once", "grace": 600}, ["12:40:00"]),
    ({"misfire": "once", "grace": 100}, []),
    ({"misfire": "once", "grace": 0}, []),
    ({"misfire": "all"}, ["12:10:00", "12:20:00", "12:30:00", "12:40:00"]),
    ({"misfire": "all", "grace": 1600}, ["12:20:00", "12:30:00", "12:40:00"]),
    ({"misfire": "all", "cap": 2}, ["12:30:00", "12:40:00"]),
    ({"misfire": "all", "cap": 3, "grace": 1000}, ["12:30:00", "12:40:00"]),
]


@pytest.mark.parametrize(("rule", "missed_ticks"), RULES, ids=[str(rule) for rule, _ in RULES])
@pytest.mark.parametrize("store_away", [False, True])
def test_while_it_runs(registry, clock, store, rule, missed_ticks, store_away):
    """Suspended, or its clock put forward, from five past twelve to a quarter to one; or its store was away."""
    registry.cron("*/10 * * * *", tick, name="ten", **rule)
    clock.now += SECOND
    scheduler = begin(registry, clock)
    store.jobs.clear()
    if store_away:
        store.failure["default"] = QueueUnavailable("away")
        run(clock, scheduler, until=NOON + 44 * MINUTE + 55 * SECOND, step=5 * SECOND)
        store.failure.clear()
    clock.now = NOON + 45 * MINUTE
    run(clock, scheduler, until=NOON + HOUR)
    assert store.times("ten") == [*missed_ticks, "12:50:00", "13:00:00"]


STARTS = [
    ({"misfire": "skip"}, []),
    ({"misfire": "once"}, []),  # a minute at most, by default
    ({"misfire": "once", "grace": 600}, ["12:40:00"]),
    ({"misfire": "once", "grace": 100}, []),
    ({"misfire": "all"}, []),
    ({"misfire": "all", "grace": 1600}, ["12:20:00", "12:30:00", "12:40:00"]),
    ({"misfire": "all", "grace": 86400, "cap": 2}, ["12:30:00", "12:40:00"]),
]


@pytest.mark.parametrize(("rule", "missed_ticks"), STARTS, ids=[str(rule) for rule, _ in STARTS])
def test_at_the_start(registry, clock, store, rule, missed_ticks):
    registry.cron("*/10 * * * *", tick, name="ten", **rule)
    clock.now = NOON + 45 * MINUTE
    scheduler = begin(registry, clock)
    run(clock, scheduler, until=NOON + HOUR)
    assert store.times("ten") == [*missed_ticks, "12:50:00", "13:00:00"]


@pytest.mark.parametrize("rule", [{"misfire": "once", "grace": 86400}, {"misfire": "all", "grace": 86400}])
def test_a_deploy_makes_up_for_what_it_missed_and_for_nothing_that_was_fired(registry, clock, store, rule):
    registry.cron("*/10 * * * *", tick, name="ten", **rule)
    clock.now += MINUTE
    run(clock, begin(registry, clock), until=NOON + 29 * MINUTE)
    fired = len(store.jobs)
    clock.now = NOON + 31 * MINUTE  # the tick of half past was missed
    replicas = [begin(registry, clock) for _ in range(3)]
    assert store.times("ten")[fired:] == ["12:30:00"]
    run(clock, *replicas, until=NOON + 41 * MINUTE)
    assert store.times("ten")[fired:] == ["12:30:00", "12:40:00"]


def test_a_restart_at_the_moment_loses_no_run_unless_that_is_wanted(registry, clock, store):
    registry.daily(tick, at="12:00", name="once")
    registry.daily(tick, at="12:00", name="all", misfire="all")
    registry.daily(tick, at="12:00", name="skip", misfire="skip")
    clock.now += 30 * SECOND
    begin(registry, clock)
    assert sorted(key.partition("@")[0] for key, _ in store.jobs) == ["all", "once"]


def test_a_single_run_that_was_missed(registry, clock, store):
    registry.once(tick, at=NOON, name="lost")
    registry.once(tick, at=NOON, name="made up for", grace=HOUR)
    clock.now += 30 * MINUTE
    begin(registry, clock)
    assert (store.times("lost"), store.times("made up for")) == ([], ["12:00:00"])


@pytest.mark.parametrize("misfire", ["skip", "once", "all"])
def test_what_is_late_by_a_few_seconds_was_not_missed(registry, clock, store, misfire):
    registry.every(tick, seconds=1, name="second", misfire=misfire)
    clock.now += SECOND / 2
    scheduler = begin(registry, clock)
    store.jobs.clear()
    clock.now += 9 * SECOND
    scheduler.fire_due()
    assert len(store.jobs) == 9


def test_after_a_pause_what_was_due_last_is_late_and_not_missed(registry, clock, store):
    registry.every(tick, seconds=1, name="second", misfire="skip")
    clock.now += SECOND / 2
    scheduler = begin(registry, clock)
    store.jobs.clear()
    clock.now += HOUR
    scheduler.fire_due()
    assert len(store.jobs) == 10
    assert store.times("second")[-1] == "13:00:00"


def test_a_clock_put_back_makes_nothing_run_twice(registry, clock, store):
    registry.cron("*/10 * * * *", tick, name="ten", misfire="all", grace=HOUR)
    clock.now += SECOND
    scheduler = begin(registry, clock)
    run(clock, scheduler, until=NOON + 45 * MINUTE, step=10 * SECOND)
    clock.now = NOON + 5 * MINUTE
    run(clock, scheduler, until=NOON + HOUR, step=10 * SECOND)
    times = store.times("ten")
    assert times[-6:] == [f"12:{minute}0:00" for minute in range(1, 6)] + ["13:00:00"]
    assert len(times) == len(set(times))


def test_one_that_makes_up_for_much_does_not_hold_up_the_others(registry, clock, store):
    registry.every(tick, seconds=1, name="second", misfire="all", cap=1000)
    registry.cron("30 * * * *", tick, name="half")
    clock.now += SECOND / 2
    scheduler = begin(registry, clock)
    store.jobs.clear()
    clock.now += HOUR
    scheduler.fire_due()
    assert len(store.ticks("second")) == 1000
    assert store.times("half") == ["12:30:00"]
    assert [tick for name in ("second",) for tick in store.ticks(name)] == sorted(store.ticks("second"))


def test_an_outage_amid_what_is_made_up_for_loses_nothing(registry, clock, store):
    registry.cron("*/10 * * * *", tick, name="ten", misfire="all")
    clock.now += SECOND
    scheduler = begin(registry, clock)
    store.jobs.clear()
    clock.now = NOON + 45 * MINUTE
    enqueued = store.keys.add

    class Keys(set):
        def add(self, key):
            enqueued(key)
            if len(store.jobs) == 1:
                store.failure["default"] = QueueUnavailable("away")
            super().add(key)

    store.keys = Keys(store.keys)
    scheduler.fire_due()
    assert len(store.jobs) == 2
    store.failure.clear()
    run(clock, scheduler, until=NOON + 46 * MINUTE)
    assert store.times("ten") == ["12:10:00", "12:20:00", "12:30:00", "12:40:00"]


def test_what_is_left_out_is_told(registry, clock, store, caplog):
    registry.cron("*/10 * * * *", tick, name="ten", misfire="skip")
    clock.now += SECOND
    scheduler = begin(registry, clock)
    clock.now = NOON + 45 * MINUTE
    scheduler.fire_due()
    assert "Schedule 'ten': the ticks from 2026-11-21 12:10:00+00:00 on were missed and are skipped" in caplog.text


def test_in_memory_a_start_makes_up_for_nothing(registry, clock):
    queue = {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": {"queue": "memory", "mode": "BackgroundQueue"}}
    with override_settings(TASKS={"default": queue}):
        queue_for("default").clear()
        registry.cron("*/10 * * * *", tick, misfire="all", grace=HOUR)
        clock.now += 5 * MINUTE
        begin(registry, clock)
        assert queue_for("default").list() == []


ROW = NOON + 20 * SECOND
FIRSTS = [
    (Misfire("once"), None, NOON),
    (Misfire("once"), NOON - HOUR, NOON),
    (Misfire("once"), ROW, NOON + 10 * MINUTE),
    (Misfire("once", grace=HOUR), ROW, NOON + 10 * MINUTE),
    (Misfire("once", grace=HOUR), NOON - 5 * MINUTE, NOON),
    (Misfire("all"), ROW, NOON + 10 * MINUTE),
    (Misfire("all", grace=HOUR), NOON - 15 * MINUTE, NOON - 10 * MINUTE),
    (Misfire("skip"), ROW, NOON + 10 * MINUTE),
    *((Misfire(mode), NOON + 15 * MINUTE, NOON + 20 * MINUTE) for mode in ("skip", "once", "all")),
]


@pytest.mark.parametrize(("rule", "since", "tick"), FIRSTS)
def test_no_tick_is_made_up_for_that_is_older_than_the_schedule(rule, since, tick):
    assert rule.first(Interval(10 * MINUTE), NOON + MINUTE / 2, since) == tick


AGES = [70, 40, 20, 5]
ENDS = [
    (Misfire("skip"), True, []),
    (Misfire("skip"), False, [5]),
    (Misfire("once"), True, [5]),
    (Misfire("all"), True, [40, 20, 5]),
    (Misfire("all"), False, AGES),
    (Misfire("all", grace=SECOND), False, [5]),
    (Misfire("all", grace=MINUTE / 2), True, [20, 5]),
    (Misfire("all", cap=2), False, [20, 5]),
]


@pytest.mark.parametrize(("rule", "starts", "missed_ticks"), ENDS)
def test_what_ended_while_nobody_looked(rule, starts, missed_ticks):
    """Ten seconds are no pause: what is as late as that was not missed."""
    assert rule.missed_runs(AGES, lambda age: NOON - age * SECOND, NOON, starts=starts) == missed_ticks


def test_nothing_is_made_up_for_twice():
    """However long the grace time is, it begins with the tick that was missed."""
    trigger = Interval(10 * SECOND)
    rule = Misfire("all", grace=HOUR)
    assert rule.missed_ticks(trigger, NOON, NOON + 25 * SECOND) == [NOON + number * 10 * SECOND for number in range(3)]
