"""The wall clock leaps while schedulers run. Whatever the rule for missed runs, each tick is fired once."""

import pytest

from django_loco.scheduler import Scheduler

from .tasks import tick
from .test_misfire import RULES, begin
from .test_scheduler import HOUR, MINUTE, NOON, SECOND, Clock, clock, registry, run, store

__all__ = ["clock", "registry", "store"]  # fixtures
ALL = [f"12:{minute}0:00" for minute in range(1, 6)] + ["13:00:00"]
each_rule = pytest.mark.parametrize(("rule", "missed_ticks"), RULES, ids=[str(rule) for rule, _ in RULES])


@each_rule
def test_put_forward_and_right_again(registry, clock, store, rule, missed_ticks):
    """What was fired ahead of its time is not fired again; what was left out comes at its time."""
    registry.cron("*/10 * * * *", tick, name="ten", **rule)
    clock.now += SECOND
    scheduler = begin(registry, clock)
    store.jobs.clear()
    clock.now = NOON + 45 * MINUTE
    scheduler.fire_due()
    assert store.times("ten") == missed_ticks
    clock.now = NOON + 6 * MINUTE
    run(clock, scheduler, until=NOON + HOUR, step=5 * SECOND)
    assert sorted(store.times("ten")) == ALL


@each_rule
def test_put_back(registry, clock, store, rule, missed_ticks):
    """The hour that comes twice has its ticks once."""
    registry.cron("*/10 * * * *", tick, name="ten", **rule)
    clock.now += SECOND
    scheduler = begin(registry, clock)
    store.jobs.clear()
    run(clock, scheduler, until=NOON + 35 * MINUTE, step=5 * SECOND)
    clock.now = NOON + 2 * SECOND
    run(clock, scheduler, until=NOON + HOUR, step=5 * SECOND)
    assert store.times("ten") == ALL


@each_rule
def test_a_restart_while_the_clock_is_wrong(registry, clock, store, rule, missed_ticks):
    registry.cron("*/10 * * * *", tick, name="ten", **rule)
    clock.now += SECOND
    begin(registry, clock)
    store.jobs.clear()
    clock.now = NOON + 45 * MINUTE
    begin(registry, clock)
    clock.now = NOON + 6 * MINUTE
    run(clock, begin(registry, clock), until=NOON + HOUR, step=5 * SECOND)
    assert sorted(store.times("ten")) == ALL


@each_rule
@pytest.mark.parametrize("wrong", [-HOUR, -MINUTE, MINUTE, HOUR])
def test_one_of_two_clocks_is_wrong(registry, clock, store, rule, missed_ticks, wrong):
    registry.cron("*/10 * * * *", tick, name="ten", **rule)
    clock.now += SECOND
    right = begin(registry, clock)
    other = Clock(clock.now + wrong)
    astray = Scheduler(registry, now=other)
    astray.load()
    store.jobs.clear()
    while clock.now < NOON + HOUR:
        run(clock, right, until=clock.now + 10 * SECOND, step=5 * SECOND)
        run(other, astray, until=other.now + 10 * SECOND, step=5 * SECOND)
    found = store.times("ten")
    assert [time for time in ALL if time not in found] == []
    assert len(found) == len(set(store.ticks("ten")))
