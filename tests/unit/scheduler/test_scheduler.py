"""The scheduler on a clock that stands still until a test moves it."""

import logging
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace

import pytest
from django.test import override_settings

from django_loco.core.compat import BaseTaskBackend
from django_loco.exceptions import QueueFull, QueueUnavailable
from django_loco.queues import queue_for
from django_loco.queues.base import PROBE_SECONDS
from django_loco.scheduler import Cron, Interval, Registry, ScheduleEntry, Scheduler
from django_loco.scheduler.dispatch import timetable
from django_loco.scheduler.dispatch.alias_scheduler import STORE_TIMEOUT_SECONDS
from django_loco.scheduler.entry import SourceLocation
from django_loco.scheduler.misfire import MISSED_AFTER

from .tasks import send, tick, tock

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


class Clock:
    def __init__(self, now=NOON):
        self.now = now

    def __call__(self):
        return self.now


class Store:
    """What any number of schedulers share."""

    def __init__(self):
        self.jobs, self.keys, self.attempts, self.failure = [], set(), 0, {}

    def ticks(self, name):
        return [tick for key, tick in self.jobs if key.startswith(f"{name}@")]

    def times(self, name):
        return [f"{tick:%H:%M:%S}" for tick in self.ticks(name)]


class StoreBackend(BaseTaskBackend):
    store = Store()

    def enqueue(self, task, args, kwargs):
        raise NotImplementedError

    def enqueue_tick(self, task, args, kwargs, *, key, tick):
        self.store.attempts += 1
        for failing in (self.alias, task, key.partition("@")[0]):
            if failing in self.store.failure:
                raise self.store.failure[failing]
        if key in self.store.keys:
            return None
        self.store.keys.add(key)
        self.store.jobs.append((key, tick))
        return object()

    @property
    def queue(self):
        return SimpleNamespace(answers=lambda: self.alias not in self.store.failure)

    def enqueue_ticks(self, ticks):
        return [self.enqueue_tick(task, args, kwargs, key=key, tick=at) for task, args, kwargs, key, at in ticks]


@pytest.fixture(autouse=True)
def store(monkeypatch):
    store = Store()
    monkeypatch.setattr(StoreBackend, "store", store)
    backend = {"BACKEND": f"{__name__}.StoreBackend", "QUEUES": []}
    with override_settings(TASKS={"default": backend, "other": backend}):
        yield store


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def registry():
    return Registry(strict=True)


@pytest.fixture
def start(registry, clock):
    """Makes a scheduler that has just been started, without its thread."""

    def make(entries=None):
        scheduler = Scheduler(registry if entries is None else Entries(entries), now=clock)
        scheduler.load()
        return scheduler

    return make


class Entries(Registry):
    """A registry of ready-made entries."""

    def __init__(self, entries):
        super().__init__()
        self._entries = {entry.name: entry for entry in entries}


def run(clock, *schedulers, until, step=SECOND / 2):
    """Let time go by in small steps."""
    while clock.now < until:
        clock.now += step
        for scheduler in schedulers:
            scheduler.fire_due()


def test_a_tick_is_enqueued_with_its_arguments_key_and_time(registry, start, clock, monkeypatch):
    calls = []
    monkeypatch.setattr(StoreBackend, "enqueue_tick", lambda self, *args, **kwargs: calls.append((args, kwargs)))
    registry.cron("1 12 * * *", send, args=[5], kwargs={"template": "fancy"}, name="mail")
    scheduler = start()
    clock.now += MINUTE
    scheduler.fire_due()
    assert calls == [
        (
            (send, [5], {"template": "fancy"}),
            {"key": "mail@2026-11-21T12:01:00+00:00", "tick": NOON + MINUTE},
        )
    ]


def test_each_tick_is_fired_once(registry, start, clock, store):
    registry.every(tick, seconds=1, name="second")
    registry.every(tick, seconds=15, name="quarter")
    registry.every_minute(tick, name="minute")
    clock.now += SECOND / 2
    run(clock, start(), until=NOON + 2 * MINUTE)
    assert {after - before for before, after in pairwise(store.ticks("second"))} == {SECOND}
    assert (len(store.ticks("second")), len(store.ticks("quarter")), len(store.ticks("minute"))) == (121, 9, 3)
    assert store.attempts == len(store.jobs)


def test_nothing_is_fired_before_its_time(registry, start, clock, store):
    registry.every_minute(tick, name="minute")
    clock.now += SECOND
    scheduler = start()
    clock.now = NOON + MINUTE - timedelta.resolution
    scheduler.fire_due()
    assert store.attempts == 0 or store.times("minute") == ["12:00:00"]
    clock.now = NOON + MINUTE
    scheduler.fire_due()
    assert store.times("minute")[-1] == "12:01:00"


@pytest.mark.parametrize(("late", "times"), [(59, ["12:00:00"]), (61, [])])
def test_a_restart_fires_what_it_just_missed(start, clock, store, late, times):
    clock.now += late * SECOND
    start([entry("noon", Cron("0 12 * * *", UTC)), entry("eleven", Cron("0 11 * * *", UTC))]).fire_due()
    assert store.times("noon") == times
    assert store.times("eleven") == []


def test_a_run_on_start_is_once_per_deploy(registry, clock, store):
    registry.daily(tick, at="04:00", name="nightly", run_on_start=True)

    def deploy(release):
        with override_settings(LOCO={"RELEASE": release}):
            replicas = [Scheduler(registry, now=clock) for _ in range(3)]
            for scheduler in replicas:
                scheduler.load()
                clock.now += SECOND
                scheduler.fire_due()
        assert {scheduler.health()["schedules"] for scheduler in replicas} == {1}

    deploy("one")
    assert [key for key, _ in store.jobs] == ["nightly@release one"]
    deploy("one")
    assert len(store.jobs) == 1
    deploy("two")
    assert [key for key, _ in store.jobs] == ["nightly@release one", "nightly@release two"]


def test_a_run_on_start_waits_for_the_store(registry, clock, store):
    registry.daily(tick, at="04:00", name="nightly", run_on_start=True)
    store.failure["default"] = QueueUnavailable("away")
    with override_settings(LOCO={"RELEASE": "one"}):
        scheduler = Scheduler(registry, now=clock)
        scheduler.load()
    run(clock, scheduler, until=NOON + 5 * SECOND)
    assert store.jobs == []
    store.failure.clear()
    run(clock, scheduler, until=NOON + 20 * SECOND)
    assert [key for key, _ in store.jobs] == ["nightly@release one"]


def test_jitter_puts_off_the_job_and_not_the_tick(registry, start, clock, store):
    registry.cron("1 12 * * *", tick, name="mail", jitter=600)
    scheduler = start()
    clock.now += MINUTE
    scheduler.fire_due()
    ((key, run_at),) = store.jobs
    assert key == "mail@2026-11-21T12:01:00+00:00"
    assert NOON + MINUTE < run_at < NOON + 11 * MINUTE


def test_two_schedulers_make_one_job_of_each_tick(registry, start, clock, store):
    registry.every(tick, seconds=1, name="second")
    registry.cron("* * * * *", tick, name="minute")
    clock.now += SECOND / 4
    one = start()
    clock.now += SECOND / 4
    other = start()
    run(clock, one, other, until=NOON + 3 * MINUTE)
    assert len(store.ticks("second")) == len(set(store.ticks("second"))) == 181
    assert store.times("minute") == ["12:00:00", "12:01:00", "12:02:00", "12:03:00"]
    assert store.attempts > len(store.jobs)


def test_two_schedulers_make_one_job_of_each_tick_in_memory_too(registry, clock):
    queue = {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": {"queue": "memory", "mode": "BackgroundQueue"}}
    with override_settings(TASKS={"default": queue}):
        queue_for("default").clear()
        registry.every(tick, seconds=1)
        clock.now += SECOND / 2
        schedulers = [Scheduler(registry, now=clock), Scheduler(registry, now=clock)]
        for scheduler in schedulers:
            scheduler.load()
        run(clock, *schedulers, until=NOON + MINUTE)
        due = sorted(job.due_at for job in queue_for("default").list(limit=1000))
        queue_for("default").clear()
    # Not the tick of noon: in memory a scheduler that starts cannot know whether it was fired.
    assert due == [NOON + count * SECOND for count in range(1, 61)]


def test_a_short_pause_loses_no_tick(registry, start, clock, store):
    registry.every(tick, seconds=1, name="second")
    clock.now += SECOND / 2
    scheduler = start()
    run(clock, scheduler, until=NOON + 5 * SECOND)
    clock.now += 9 * SECOND
    scheduler.fire_due()
    assert store.ticks("second") == [NOON + count * SECOND for count in range(15)]


def test_a_long_pause_fires_the_last_missed_tick_once(registry, start, clock, store, caplog):
    registry.every(tick, seconds=1, name="second")
    registry.every(tick, minutes=5, name="five")
    registry.cron("*/10 9-17 * * *", tick, name="office")
    registry.daily(tick, at="13:00", name="one o'clock")
    registry.daily(tick, at="23:00", name="eleven")
    clock.now += timedelta(seconds=40)
    scheduler = start()
    clock.now = NOON + 8 * HOUR + timedelta(seconds=90)
    store.jobs.clear()
    scheduler.fire_due()
    assert {name: store.times(name) for name in ("second", "five", "office", "one o'clock", "eleven")} == {
        "second": ["20:01:30"],
        "five": ["20:00:00"],
        "office": ["17:50:00"],
        "one o'clock": ["13:00:00"],
        "eleven": [],
    }
    assert "Schedule 'five': the tick of 2026-11-21 20:00:00+00:00 was fired 90.0 s late" in caplog.text
    assert scheduler.health()["late_ticks"] == 3
    assert "'second'" not in caplog.text


def test_a_clock_put_back_neither_stalls_nor_repeats(registry, start, clock, store, caplog):
    registry.every(tick, seconds=15, name="beat")
    clock.now += SECOND
    scheduler = start()
    run(clock, scheduler, until=NOON + HOUR)
    fired = len(store.jobs)
    clock.now = NOON + HOUR / 2
    scheduler.fire_due()
    assert "The clock was put back by 1800.0 s" in caplog.text
    assert scheduler._by_alias["default"].timetable.due_heap.next_at == NOON + HOUR / 2 + 15 * SECOND
    run(clock, scheduler, until=NOON + 2 * HOUR)
    assert len(store.jobs) == len(set(store.keys)) == fired + 4 * 60


def test_a_clock_that_was_wrong_and_is_put_right_stalls_nothing(registry, start, clock, store):
    registry.every(tick, seconds=15, name="beat")
    clock.now += 10 * HOUR + SECOND
    scheduler = start()
    run(clock, scheduler, until=NOON + 10 * HOUR + MINUTE)
    clock.now = NOON
    scheduler.fire_due()
    run(clock, scheduler, until=NOON + MINUTE)
    assert store.times("beat")[-4:] == ["12:00:15", "12:00:30", "12:00:45", "12:01:00"]


@pytest.mark.parametrize("back", [2 * SECOND, 15 * SECOND, HOUR])
def test_a_tick_that_waits_for_its_queue_outlives_a_clock_that_is_put_back(registry, start, clock, store, back):
    registry.daily(tick, at="12:00", timezone="UTC", name="daily")
    registry.every(tick, seconds=15, name="beat")
    clock.now -= MINUTE / 2
    scheduler = start()
    run(clock, scheduler, until=NOON - SECOND)
    store.failure["default"] = QueueUnavailable("no route to host")
    run(clock, scheduler, until=NOON + 20 * SECOND)
    clock.now -= back
    run(clock, scheduler, until=clock.now + 5 * SECOND)
    store.failure.clear()
    run(clock, scheduler, until=NOON + MINUTE, step=SECOND)
    assert store.times("daily") == ["12:00:00"]
    assert store.times("beat")[-3:] == ["12:00:30", "12:00:45", "12:01:00"]


def test_a_tick_that_waits_is_not_fired_ahead_of_its_time_by_a_clock_that_is_put_right(registry, start, clock, store):
    registry.every(tick, hours=1, name="hourly")
    clock.now += 10 * HOUR - SECOND
    scheduler = start()
    store.failure["default"] = QueueUnavailable("no route to host")
    run(clock, scheduler, until=NOON + 10 * HOUR + 5 * SECOND)
    store.failure.clear()
    clock.now = NOON + SECOND
    run(clock, scheduler, until=NOON + HOUR + SECOND, step=MINUTE / 2)
    assert store.times("hourly") == ["13:00:00"]


def test_a_clock_that_is_being_adjusted_is_not_put_back(registry, start, clock, caplog):
    registry.every(tick, seconds=15)
    scheduler = start()
    scheduler.fire_due()
    clock.now -= SECOND / 2
    scheduler.fire_due()
    assert "put back" not in caplog.text


def test_ticks_wait_while_the_store_is_away(registry, start, clock, store, caplog):
    registry.every(tick, seconds=1, name="second")
    registry.daily(tick, at="12:01", name="daily")
    clock.now += SECOND / 2
    scheduler = start()
    run(clock, scheduler, until=NOON + 58 * SECOND)
    store.failure["default"] = QueueUnavailable("no route to host")
    tried = store.attempts
    run(clock, scheduler, until=NOON + 5 * MINUTE)
    assert store.times("daily") == []
    # Once a pause, not once a schedule: after 1, 2, 4, 8 and then every 10 seconds.
    assert store.attempts - tried <= 4 + 242 / 10 + 1
    assert [record.levelname for record in caplog.records].count("ERROR") == 1
    assert "TASKS['default'] takes no jobs, so the ticks of its schedules wait: no route to host" in caplog.text
    store.failure.clear()
    caplog.clear()
    run(clock, scheduler, until=clock.now + 10 * SECOND)
    assert store.times("daily") == ["12:01:00"]
    assert "TASKS['default'] takes jobs again" in caplog.text
    assert store.ticks("second")[-1] == clock.now
    assert store.ticks("second") == sorted(set(store.ticks("second")))


def test_a_store_that_is_away_gets_no_tick_until_it_answers(registry, start, clock, store, monkeypatch):
    calls = []
    queue, enqueue_ticks = StoreBackend.queue.fget, StoreBackend.enqueue_ticks
    monkeypatch.setattr(StoreBackend, "queue", property(lambda self: calls.append("asked") or queue(self)))
    monkeypatch.setattr(
        StoreBackend, "enqueue_ticks", lambda self, ticks: calls.append("given") or enqueue_ticks(self, ticks)
    )
    registry.every(tick, seconds=1, name="away")
    scheduler = start()
    clock.now += SECOND
    scheduler.fire_due()
    calls.clear()
    store.failure["default"] = QueueUnavailable("no route to host")
    clock.now += SECOND
    scheduler.fire_due()
    assert calls == ["given", "asked"]
    calls.clear()
    clock.now += SECOND
    scheduler.fire_due()
    assert calls == ["asked"]
    store.failure.clear()
    calls.clear()
    clock.now += 2 * SECOND
    scheduler.fire_due()
    assert calls[:2] == ["asked", "given"]
    assert store.times("away") == [f"12:00:0{second}" for second in range(6)]


def test_ticks_are_not_missed_because_their_store_hangs_for_a_moment():
    assert timedelta(seconds=STORE_TIMEOUT_SECONDS + PROBE_SECONDS) < MISSED_AFTER


def test_the_number_of_schedules_is_logged(registry, start, caplog):
    caplog.set_level(logging.INFO, "django_loco.scheduler")
    registry.hourly(tick, name="first")
    scheduler = start()
    registry.hourly(tick, name="second", backend="other")
    start()
    assert [message for message in caplog.messages if "schedule" in message] == ["1 schedule", "2 schedules"]
    assert scheduler.health()["schedules"] == 1


def test_a_short_outage_loses_no_tick(registry, start, clock, store):
    registry.every(tick, seconds=1, name="second")
    clock.now += SECOND / 2
    scheduler = start()
    run(clock, scheduler, until=NOON + 5 * SECOND)
    store.failure["default"] = QueueFull("full")
    run(clock, scheduler, until=NOON + 8 * SECOND)
    store.failure.clear()
    run(clock, scheduler, until=NOON + 30 * SECOND)
    assert store.ticks("second") == [NOON + count * SECOND for count in range(31)]


def test_one_store_being_away_does_not_concern_the_others(registry, start, clock, store):
    registry.every(tick, seconds=1, name="here")
    registry.every(tock.using(backend="other"), seconds=1, name="there")
    clock.now += SECOND / 2
    scheduler = start()
    store.failure["other"] = QueueUnavailable("gone")
    run(clock, scheduler, until=NOON + MINUTE)
    assert len(store.ticks("here")) == 61
    assert store.ticks("there") == []
    assert scheduler.health()["unreachable"] == ["other"]
    assert scheduler.health()["late_by"] > 59


def test_a_clock_put_back_during_an_outage_does_not_prolong_it(registry, start, clock, store):
    registry.every(tick, seconds=15, name="beat")
    clock.now += SECOND
    scheduler = start()
    store.failure["default"] = QueueUnavailable("gone")
    run(clock, scheduler, until=NOON + MINUTE)
    store.failure.clear()
    clock.now = NOON - HOUR
    scheduler.fire_due()
    run(clock, scheduler, until=NOON - HOUR + MINUTE)
    assert store.times("beat") == ["11:00:15", "11:00:30", "11:00:45", "11:01:00"]


def test_what_goes_wrong_with_one_schedule_does_not_concern_the_others(registry, start, clock, store, caplog):
    registry.every(tick, seconds=1, name="good")
    registry.every(tock, seconds=1, name="bad")
    clock.now += SECOND / 2
    scheduler = start()
    store.failure["bad"] = RuntimeError("no such queue")
    run(clock, scheduler, until=NOON + 3 * SECOND)
    store.failure.clear()
    run(clock, scheduler, until=NOON + 5 * SECOND)
    assert len(store.ticks("good")) == 6
    assert store.times("bad") == ["12:00:04", "12:00:05"]
    assert "Schedule 'bad': the tick of 2026-11-21 12:00:01+00:00 could not be enqueued and is skipped" in caplog.text
    assert "no such queue" in caplog.text


class Faulty:
    zone = None

    def next_after(self, moment):
        if moment >= NOON:
            raise ArithmeticError("no next")
        return NOON


class Once(Faulty):
    def next_after(self, moment):
        return NOON if moment < NOON else None


def entry(name, trigger):
    return ScheduleEntry(name=name, task=tick, trigger=trigger, location=SourceLocation("", "", 0))


@pytest.mark.parametrize("trigger", [Faulty(), Once()])
def test_a_schedule_without_a_next_tick_is_over_and_the_others_run(start, clock, store, caplog, trigger):
    clock.now = NOON - SECOND
    scheduler = start([entry("over", trigger), entry("beat", Interval(SECOND))])
    run(clock, scheduler, until=NOON + 3 * SECOND)
    assert store.times("over") == ["12:00:00"]
    assert store.times("beat")[-3:] == ["12:00:01", "12:00:02", "12:00:03"]
    assert ("Schedule 'over' is off" in caplog.text) == (type(trigger) is Faulty)


def test_it_waits_until_the_next_tick_and_a_second_at_most(registry, start, clock):
    registry.cron("* * * * *", tick)
    clock.now = NOON + timedelta(seconds=57.25)
    scheduler = start()
    assert scheduler.fire_due() == 1
    clock.now = NOON + timedelta(seconds=59.75)
    assert scheduler.fire_due() == 0.25
    clock.now = NOON + MINUTE
    assert scheduler.fire_due() == 1


def test_without_schedules_it_waits(start):
    assert start().fire_due() == 1


def test_quiet_fires_nothing(registry, start, clock, store):
    registry.every(tick, seconds=1)
    clock.now += timedelta(seconds=0.6)
    scheduler = start()
    scheduler.quiet()
    run(clock, scheduler, until=NOON + MINUTE)
    assert store.attempts == 0
    assert scheduler.fire_due() == 1


def test_quiet_comes_through_while_ticks_are_being_fired(registry, start, clock, store, monkeypatch):
    monkeypatch.setattr(timetable, "MAX_BATCH", 5)
    for number in range(10):
        registry.every(tick, seconds=1, name=f"beat {number}")
    clock.now += timedelta(seconds=0.6)
    scheduler = start()
    monkeypatch.setattr(StoreBackend, "enqueue_tick", lambda self, *args, **kwargs: scheduler.quiet())
    clock.now += SECOND
    scheduler.fire_due()
    assert scheduler._by_alias["default"].timetable.due_heap.next_at == NOON + SECOND


class Counting:
    """A trigger that counts what it is asked."""

    zone = None
    calls = 0

    def next_after(self, moment):
        Counting.calls += 1
        return Interval(HOUR).next_after(moment)


def test_schedules_that_are_not_due_cost_nothing(start, clock):
    clock.now += 2 * MINUTE
    scheduler = start([entry(f"number {number}", Counting()) for number in range(2000)])
    assert Counting.calls == 2000
    run(clock, scheduler, until=NOON + 50 * MINUTE)
    assert Counting.calls == 2000
    run(clock, scheduler, until=NOON + HOUR + SECOND)
    assert Counting.calls == 4000


def test_health(registry, clock, store):
    registry.every(tick, seconds=10)
    scheduler = Scheduler(registry, now=clock)
    assert scheduler.health() == {
        "alive": False,
        "schedules": 0,
        "broken": 0,
        "rows_age": None,
        "last_pass_age": None,
        "last_tick_age": None,
        "late_by": 0.0,
        "late_ticks": 0,
        "waiting": 0,
        "unreachable": [],
        "stuck": False,
    }
    scheduler.load()
    clock.now += 13 * SECOND
    assert (scheduler.health()["schedules"], scheduler.health()["late_by"]) == (1, 13.0)
    scheduler.fire_due()
    assert scheduler.health()["late_by"] == 0.0
    assert 0 <= scheduler.health()["last_tick_age"] < 5
    assert 0 <= scheduler.health()["last_pass_age"] < 5


def test_health_counts_what_is_off(caplog):
    registry = Registry()
    registry.hourly(tick, at=75)
    scheduler = Scheduler(registry)
    scheduler.load()
    assert "1 more schedule is off because of errors: see manage.py loco_scheduler --check" in caplog.text
    assert (scheduler.health()["schedules"], scheduler.health()["broken"]) == (0, 1)


def test_a_cron_schedule_in_a_zone_fires_at_the_times_of_that_zone(registry, start, clock, store):
    registry.daily(tick, at="07:02", timezone="America/New_York", name="morning")
    clock.now += SECOND
    run(clock, start(), until=NOON + 5 * MINUTE)
    assert store.times("morning") == ["12:02:00"]
    assert isinstance(registry.entries()[0].trigger, Cron)
