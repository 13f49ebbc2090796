"""Schedules that run after others, on a clock that stands still until a test moves it."""

import logging
from dataclasses import replace
from datetime import timedelta

import pytest
from django.test import override_settings

from django_loco.core.job import FAILED, READY, error_of
from django_loco.exceptions import JobCancelled, LocoConfigurationError, QueueUnavailable
from django_loco.scheduler import Registry
from django_loco.scheduler.api.upcoming import upcoming_in
from django_loco.scheduler.dispatch import dependents
from django_loco.scheduler.dispatch.dependents import LOOK_BACK_POLLS, MAX_JOBS, MIN_JOBS
from django_loco.scheduler.entry import SourceLocation
from django_loco.scheduler.sources.database import Pause, StoredSchedules
from django_loco.scheduler.sources.mapping import entry_from
from django_loco.signals import tick_skipped

from ..store import NOON, SECOND, SETTING, Store, StoreBackend, let_go_by, started
from ..tasks import tick, tock

TICK = "tests.unit.scheduler.tasks.tick"


@pytest.fixture(autouse=True)
def store(monkeypatch):
    monkeypatch.setattr(StoreBackend, "store", store := Store())
    store.now = NOON + 6 * SECOND
    with override_settings(TASKS=SETTING):
        yield store


@pytest.fixture
def registry():
    return Registry(strict=True)


@pytest.fixture
def nightly(registry):
    """``mail`` runs after ``nightly``, which is every 10 seconds."""
    registry.every(tick, seconds=10, name="nightly")
    registry.after("nightly", tock, name="mail")
    return registry


def test_it_runs_once_after_each_that_has_succeeded(nightly, store):
    scheduler = started(nightly, store)
    let_go_by(store, 6, scheduler)
    assert store.made("nightly") == ["12:00:10"]
    assert store.made("mail") == []
    store.end("nightly")
    let_go_by(store, 1.5, scheduler)
    assert list(store.jobs) == ["nightly@2026-11-21T12:00:10+00:00", "mail@2026-11-21T12:00:10+00:00"]
    assert store.jobs["mail@2026-11-21T12:00:10+00:00"].task_path == tock.module_path
    let_go_by(store, 60, scheduler, meanwhile=lambda: store.end("nightly"))
    assert store.made("mail") == store.made("nightly")
    assert scheduler.health()["late_ticks"] == 0


def set_pause(scheduler, store, pause):
    """Let the scheduler read from the database that ``mail`` is, or was, paused."""
    scheduler._by_alias["default"].timetable.apply(StoredSchedules((), {"mail": pause}), store.now)


@pytest.mark.parametrize(("resumed_after", "made"), [(1, ["12:00:10"]), (4, []), (None, [])])
def test_a_job_that_ends_before_the_end_of_a_pause_is_read(nightly, store, resumed_after, made):
    scheduler = started(nightly, store)
    began = store.now
    set_pause(scheduler, store, Pause(began, "", None))
    scheduler._known = None, began + 6 * SECOND
    let_go_by(store, 6, scheduler)
    let_go_by(store, 2, scheduler)
    store.end("nightly")
    skipped = []

    def note(*, reason, **_):
        skipped.append(reason)

    tick_skipped.connect(note)
    let_go_by(store, 2, scheduler)
    assert (store.made("mail"), skipped) == ([], [])
    if resumed_after:
        set_pause(scheduler, store, Pause(None, "", began + (6 + resumed_after) * SECOND))
    scheduler._known = None, store.now
    let_go_by(store, 2, scheduler)
    tick_skipped.disconnect(note)
    assert store.made("mail") == made
    assert skipped == ["paused"] * (not made)


def test_no_scheduler_makes_up_for_what_ended_during_a_pause(registry, store):
    registry.every(tick, seconds=10, name="nightly")
    registry.after("nightly", tock, name="mail", grace=3600)
    scheduler = started(registry, store)
    set_pause(scheduler, store, Pause(store.now, "", None))
    let_go_by(store, 6, scheduler)
    store.end("nightly")
    let_go_by(store, 2, scheduler)
    resumed = Pause(None, "", store.now)
    set_pause(scheduler, store, resumed)
    let_go_by(store, 2, scheduler)
    other = started(registry, store)
    set_pause(other, store, resumed)
    let_go_by(store, 2, scheduler, other)
    assert store.made("mail") == []
    let_go_by(store, 20, scheduler, other, meanwhile=lambda: store.end("nightly"))
    assert store.made("nightly") == ["12:00:10", "12:00:20", "12:00:30"]
    assert store.made("mail") == ["12:00:20", "12:00:30"]


def test_what_ends_during_a_pause_is_announced_as_skipped(nightly, store):
    skipped = []

    def note(schedule, reason, **values):
        skipped.append((schedule, reason))

    scheduler = started(nightly, store)
    let_go_by(store, 2, scheduler)
    set_pause(scheduler, store, Pause(store.now, "", None))
    tick_skipped.connect(note)
    let_go_by(store, 6, scheduler, meanwhile=lambda: store.end("nightly"))
    tick_skipped.disconnect(note)
    assert skipped == [("mail", "paused")]


def test_it_does_not_run_after_a_failure(nightly, store, caplog):
    scheduler = started(nightly, store)
    let_go_by(store, 6, scheduler)
    store.end("nightly", FAILED)
    let_go_by(store, 6, scheduler)
    assert store.made("mail") == []
    (record,) = caplog.records
    (job,) = store.jobs.values()
    what = "Schedule 'mail' does not run after 'nightly' of 2026-11-21T12:00:10+00:00"
    assert record.message == f"{what}: its job {job.id} has failed"
    let_go_by(store, 3, scheduler)
    store.end("nightly")
    let_go_by(store, 3, scheduler)
    assert store.made("mail") == ["12:00:20"]


def test_it_does_not_run_after_one_that_was_cancelled_or_moved(nightly, store, caplog):
    scheduler = started(nightly, store)
    let_go_by(store, 6, scheduler)
    store.change("nightly", errors=(error_of(JobCancelled, "moved from TASKS['default'] to TASKS['redis']"),))
    store.end("nightly", FAILED)
    let_go_by(store, 2, scheduler)
    assert store.made("mail") == []
    (record,) = caplog.records
    assert record.message.endswith(" was cancelled, or moved to another store")


def test_one_that_failed_and_has_succeeded_after_all(nightly, store):
    scheduler = started(nightly, store)
    let_go_by(store, 6, scheduler)
    store.end("nightly", FAILED)
    let_go_by(store, 2, scheduler)
    store.change("nightly", status=READY, finished_at=None)
    let_go_by(store, 2, scheduler)
    store.end("nightly")
    let_go_by(store, 2, scheduler)
    assert store.made("mail") == store.made("nightly")[:1]


def test_runs_by_hand_and_of_deploys_are_followed_too(registry, store):
    registry.daily(tick, at="04:00", name="nightly", run_on_start=True)
    registry.after("nightly", tock, name="mail")
    with override_settings(LOCO={"RELEASE": "one"}):
        scheduler = started(registry, store)
    registry.run("nightly")
    let_go_by(store, 5, scheduler, meanwhile=lambda: store.end("nightly"))
    assert sorted(store.made("mail")) == sorted(store.made("nightly"))
    assert "release one" in store.made("mail")
    assert len(store.made("mail")) == 2


def test_a_chain(registry, store):
    registry.after("b", tick, name="c")
    registry.after("c", tick, name="d")
    registry.after("a", tick, name="b")
    registry.every(tick, seconds=10, name="a")
    registry.after("a", tick, name="beside b")
    scheduler = started(registry, store)
    let_go_by(store, 60, scheduler, meanwhile=lambda: [store.end(name) for name in "abcd"])
    assert store.made("a")[:5] == store.made("b")[:5] == store.made("beside b")[:5]
    assert store.made("c")[:4] == store.made("d")[:4] == store.made("a")[:4]
    registry.run("c")
    let_go_by(store, 3, scheduler, meanwhile=lambda: store.end("c"))
    assert any(member.startswith("run ") for member in store.made("d"))
    assert not any(member.startswith("run ") for member in store.made("b"))


def test_two_schedulers_make_one_job_of_each(nightly, store):
    schedulers = [started(nightly, store), started(nightly, store)]
    let_go_by(store, 60, *schedulers, meanwhile=lambda: store.end("nightly"))
    assert store.made("mail") == store.made("nightly")
    assert len(store.made("mail")) == 6


def test_each_is_looked_at_once_a_second_whatever_is_due(registry, store):
    registry.every(tick, seconds=10, name="nightly")
    registry.after("nightly", tock, name="mail")
    registry.after("nightly", tock, name="more mail")
    registry.every(tick, seconds=1, name="busy")
    scheduler = started(registry, store)
    let_go_by(store, 30, scheduler, step=0.1)
    assert {name for name, _ in store.looks} == {"nightly"}
    assert len(store.looks) <= 31


def test_without_such_schedules_nobody_looks(registry, store):
    registry.every(tick, seconds=10, name="nightly")
    let_go_by(store, 30, started(registry, store))
    assert store.looks == []


def test_a_scheduler_that_starts_follows_the_last_of_the_last_minute(nightly, store):
    let_go_by(store, 35, meanwhile_fire(nightly, store))
    assert store.made("mail") == []
    for ago, key in enumerate(reversed(store.jobs)):
        store.end_at(key, store.now - ago * 15 * SECOND)
    started_at = len(store.jobs)
    scheduler = started(nightly, store)
    let_go_by(store, 2, scheduler)
    assert (started_at, store.made("mail")) == (4, ["12:00:40"])


def meanwhile_fire(registry, store):
    """A scheduler that knows nothing of what runs after others."""
    alone = Registry(strict=True)
    alone.every(tick, seconds=10, name="nightly")
    return started(alone, store)


@pytest.mark.parametrize(
    ("options", "made"),
    [
        ({}, []),
        ({"misfire": "skip"}, []),
        ({"misfire": "skip", "grace": 3600}, []),
        ({"grace": 3600}, ["12:00:40"]),
        ({"misfire": "all"}, []),
        ({"misfire": "all", "grace": 3600}, ["12:00:10", "12:00:20", "12:00:30", "12:00:40"]),
        ({"misfire": "all", "grace": 3600, "cap": 2}, ["12:00:30", "12:00:40"]),
    ],
)
def test_what_has_ended_while_no_scheduler_ran(registry, store, options, made):
    registry.daily(tick, name="nightly", at="04:00")
    let_go_by(store, 36, meanwhile_fire(registry, store))
    for key in store.jobs:
        store.end_at(key, store.now)
        store.now += SECOND
    store.now += timedelta(minutes=10)
    registry.after("nightly", tock, name="mail", **options)
    scheduler = started(registry, store)
    let_go_by(store, 3, scheduler)
    assert store.made("mail") == made


@pytest.mark.parametrize(
    ("options", "made"),
    [
        ({}, ["12:00:40"]),
        ({"misfire": "skip"}, []),
        ({"misfire": "all"}, ["12:00:10", "12:00:20", "12:00:30", "12:00:40"]),
    ],
)
def test_what_has_ended_while_a_scheduler_was_held_up(registry, store, options, made):
    registry.daily(tick, name="nightly", at="04:00")
    registry.after("nightly", tock, name="mail", **options)
    scheduler = started(registry, store)
    scheduler.fire_due()
    let_go_by(store, 36, meanwhile_fire(registry, store))
    for key in store.jobs:
        store.end_at(key, store.now)
        store.now += SECOND
    store.now += timedelta(minutes=10)
    let_go_by(store, 3, scheduler)
    assert store.made("mail") == made


def test_a_failure_of_before_is_old_news(nightly, store, caplog):
    let_go_by(store, 12, meanwhile_fire(nightly, store))
    store.end("nightly", FAILED)
    let_go_by(store, 2, started(nightly, store))
    assert caplog.text == ""


@pytest.mark.parametrize("overlap", ["skip", "queue"])
def test_overlap(registry, store, overlap, caplog):
    caplog.set_level(logging.INFO)
    registry.every(tick, seconds=10, name="nightly")
    registry.after("nightly", tock, name="mail", overlap=overlap)
    scheduler = started(registry, store)
    let_go_by(store, 30, scheduler, meanwhile=lambda: store.end("nightly"))
    assert store.made("mail") == ["12:00:10"]
    assert scheduler.health()["waiting"] == (2 if overlap == "queue" else 0)
    let_go_by(store, 4, scheduler, meanwhile=lambda: store.end("mail"))
    assert store.made("mail")[1:] == (["12:00:20", "12:00:30"] if overlap == "queue" else [])
    assert ("is skipped: an earlier job had not ended" in caplog.text) == (overlap == "skip")


def test_while_the_store_is_away_nothing_is_lost(nightly, store, caplog):
    scheduler = started(nightly, store)
    let_go_by(store, 6, scheduler)
    store.failure = QueueUnavailable("away")
    looks = len(store.looks)
    let_go_by(store, 4, scheduler)
    assert len(store.looks) - looks <= 4
    store.end("nightly")
    store.failure = None
    let_go_by(store, 9, scheduler)
    assert store.made("mail") == ["12:00:10"]
    assert scheduler.health()["unreachable"] == []
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_a_store_that_goes_away_between_look_and_job(nightly, store, monkeypatch):
    scheduler = started(nightly, store)
    let_go_by(store, 6, scheduler)
    store.end("nightly")
    enqueue = StoreBackend.enqueue_ticks

    def away(self, ticks):
        raise QueueUnavailable("away")

    monkeypatch.setattr(StoreBackend, "enqueue_ticks", away)
    let_go_by(store, 3, scheduler)
    assert store.made("mail") == []
    monkeypatch.setattr(StoreBackend, "enqueue_ticks", enqueue)
    let_go_by(store, 8, scheduler)
    assert store.made("mail")[0] == "12:00:10"


def test_what_cannot_be_looked_at_does_not_concern_the_others(nightly, store, monkeypatch, caplog):
    scheduler = started(nightly, store)
    monkeypatch.setattr(dependents, "jobs_of", lambda entry, limit: 1 / 0)
    let_go_by(store, 20, scheduler)
    assert len(store.made("nightly")) == 2
    assert caplog.text.count("Schedule 'nightly': its jobs cannot be read, so schedules that run after it are off") == 1


def test_a_clock_put_back_holds_up_nothing(nightly, store):
    scheduler = started(nightly, store)
    let_go_by(store, 6, scheduler)
    store.end("nightly")
    store.now -= timedelta(hours=1)
    let_go_by(store, 2, scheduler)
    assert store.made("mail") == ["12:00:10"]


def test_what_ends_long_after_its_successors_is_followed(registry, store):
    registry.every(tick, seconds=1, name="nightly")
    registry.after("nightly", tock, name="mail")
    scheduler = started(registry, store)
    let_go_by(store, 0.5, scheduler)
    let_go_by(store, 1, scheduler)
    (first, *_) = store.jobs
    let_go_by(store, 5 * MIN_JOBS, scheduler, meanwhile=lambda: store.end("nightly", but=first))
    assert len(store.made("mail")) > 4 * MIN_JOBS
    assert first.removeprefix("nightly") not in {key.removeprefix("mail") for key in store.jobs if key[:4] == "mail"}
    store.end("nightly")
    let_go_by(store, 3, scheduler)
    assert first.replace("nightly", "mail") in store.jobs
    let_go_by(store, 10, scheduler, meanwhile=lambda: store.end("nightly"))
    assert store.limits[-1] == MIN_JOBS


def test_old_failures_that_are_retried_are_all_followed_once(registry, store):
    registry.daily(tick, at="04:00", name="nightly")
    registry.after("nightly", tock, name="mail")
    schedulers = [started(registry, store), started(registry, store)]
    let_go_by(store, 2, *schedulers)
    for _ in range(3 * MIN_JOBS):
        registry.run("nightly")
    store.end("nightly", FAILED)
    let_go_by(store, 60, *schedulers)
    store.change("nightly", status=READY, finished_at=None)
    store.end("nightly")
    let_go_by(store, LOOK_BACK_POLLS + 3, *schedulers, started(registry, store))
    assert sorted(store.made("mail")) == sorted(store.made("nightly"))
    let_go_by(store, 3 * LOOK_BACK_POLLS, *schedulers)
    assert set(store.limits[-2 * LOOK_BACK_POLLS :]) == {MIN_JOBS}


def test_an_idle_scheduler_rarely_reads_further_down_for_failures(registry, store):
    registry.daily(tick, at="04:00", name="nightly")
    registry.after("nightly", tock, name="mail")
    registry.run("nightly")
    store.end("nightly", FAILED)
    for _ in range(2 * MIN_JOBS):
        registry.run("nightly")
    store.end("nightly")
    scheduler = started(registry, store)
    let_go_by(store, 5, scheduler)
    store.limits.clear()
    let_go_by(store, 10 * LOOK_BACK_POLLS, scheduler)
    assert 9 <= store.limits.count(MAX_JOBS) <= 11
    assert store.limits.count(MIN_JOBS) == len(store.limits) - store.limits.count(MAX_JOBS)


@pytest.mark.parametrize(
    ("options", "ago", "followed"),
    [
        ({}, timedelta(days=10), 0),
        ({"grace": 3600}, timedelta(days=10), 0),
        ({"misfire": "all"}, timedelta(days=10), 0),
        ({"misfire": "all", "grace": 3600}, timedelta(minutes=30), 5),
        ({"grace": 3600}, timedelta(minutes=30), 1),
        ({"misfire": "skip"}, timedelta(minutes=30), 0),
    ],
)
def test_what_was_imported_counts_as_missed_when_it_ended(registry, store, options, ago, followed):
    registry.daily(tick, at="04:00", name="nightly")
    registry.after("nightly", tock, name="mail", **options)
    scheduler = started(registry, store)
    let_go_by(store, 5, scheduler)
    for _ in range(5):
        registry.run("nightly")
    store.change("nightly", enqueued_at=store.now - ago)
    for key in store.jobs:
        store.end_at(key, store.now - ago)
    let_go_by(store, 5, scheduler)
    assert len(store.made("mail")) == followed


def test_a_worker_with_a_slow_clock_is_followed(registry, store):
    registry.daily(tick, at="04:00", name="nightly")
    registry.after("nightly", tock, name="mail", misfire="skip")
    scheduler = started(registry, store)
    let_go_by(store, 5, scheduler)
    registry.run("nightly")
    (key,) = store.jobs
    store.end_at(key, store.now - timedelta(minutes=10))
    let_go_by(store, 2, scheduler)
    assert store.made("mail") == store.made("nightly")


def test_a_new_row_does_not_run_after_what_ended_before_it(registry, store):
    registry.daily(tick, at="04:00", name="nightly")
    scheduler = started(registry, store)
    timetable = scheduler._by_alias["default"].timetable
    timetable.apply(StoredSchedules((), {}), store.now)
    registry.run("nightly")
    store.end("nightly")
    let_go_by(store, 2, scheduler)
    rows = Registry(strict=True)
    rows.after("nightly", tock, name="mail")
    row = replace(rows._entries["mail"], since=store.now)
    scheduler._known = StoredSchedules((row,), {}), store.now
    registry.run("nightly")
    let_go_by(store, 1, scheduler, meanwhile=lambda: store.end("nightly"))
    let_go_by(store, 3, scheduler)
    assert store.made("mail") == store.made("nightly")[1:]


def test_many_that_run_side_by_side_are_all_followed(registry, store):
    """More are made and end between two looks than are looked at as a rule."""
    registry.daily(tick, at="04:00", name="nightly")
    registry.after("nightly", tock, name="mail")
    scheduler = started(registry, store)
    let_go_by(store, 5, scheduler)
    for _ in range(5 * MIN_JOBS):
        registry.run("nightly")
    store.end("nightly")
    let_go_by(store, 10, scheduler)
    assert len(store.made("mail")) == 5 * MIN_JOBS
    assert max(store.limits) == MAX_JOBS


def test_the_looks_at_many_schedules_leave_time_for_ticks(registry, store, monkeypatch):
    moments = iter(range(10**6))
    monkeypatch.setattr(dependents.time, "monotonic", lambda: next(moments) / 100)
    for number in range(100):
        registry.daily(tick, at="04:00", name=f"nightly {number}")
        registry.after(f"nightly {number}", tock, name=f"mail {number}")
    scheduler = started(registry, store)
    scheduler.fire_due()
    assert 1 <= len(store.looks) <= 12
    let_go_by(store, 10, scheduler)
    assert {name for name, _ in store.looks} == {f"nightly {number}" for number in range(100)}


def test_a_scheduler_of_a_tag_follows_what_another_one_fires(nightly, store):
    nightly.after("nightly", tock, name="report", tags=["reports"])
    scheduler = started(nightly, store, tags=["reports"])
    let_go_by(store, 12, started(nightly, store), scheduler, meanwhile=lambda: store.end("nightly"))
    assert store.made("report") == store.made("nightly")
    assert scheduler.health()["schedules"] == 1


def test_it_is_started_again_and_what_waited_was_missed(registry, store):
    registry.every(tick, seconds=10, name="nightly")
    registry.after("nightly", tock, name="mail", overlap="queue", misfire="skip")
    scheduler = started(registry, store)
    let_go_by(store, 26, scheduler, meanwhile=lambda: store.end("nightly"))
    assert scheduler.health()["waiting"] == 2
    scheduler.load()
    assert scheduler.health()["waiting"] == 0


def test_how_it_is_listed(nightly):
    mail, first = upcoming_in(nightly, 3)
    assert (mail.schedule, mail.words, mail.zone, mail.next_runs, mail.after) == (
        *("after nightly", "when a run of nightly has succeeded", "", ()),
        "nightly",
    )
    assert (len(first.next_runs), first.after) == (3, None)


@pytest.mark.parametrize(
    ("after", "problem"),
    [
        (
            {"mail": "nigthly"},
            "Schedule 'mail': after is 'nigthly', which is not a schedule. Did you mean 'nightly'?",
        ),
        ({"mail": "mail"}, "Schedule 'mail': after makes a loop: 'mail' after 'mail'. One of them must"),
        ({"mail": "b", "b": "mail"}, "Schedule 'mail': after makes a loop: 'mail' after 'b' after 'mail'. One of them"),
        ({"mail": "b", "b": "c", "c": "b"}, "Schedule 'mail': after is 'b', which is off."),
        ({"mail": "wrong"}, "Schedule 'mail': after is 'wrong', which is off."),
    ],
)
def test_what_is_wrong_turns_off_only_itself(after, problem, store):
    registry = Registry()
    registry.every(tick, seconds=10, name="nightly")
    registry.hourly(tick, at=75, name="wrong")
    for name, other in after.items():
        registry.after(other, tick, name=name)
    told = {found.schedule: found for found in registry.problems()}
    assert told["mail"].message.startswith(problem)
    assert told["mail"].is_certain
    assert f"Correct it at {__file__}:" in told["mail"].hint
    assert [entry.name for entry in registry.entries()] == ["nightly"]
    assert set(told) == {"wrong", *after}
    scheduler = started(registry, store)
    let_go_by(store, 10, scheduler, meanwhile=lambda: store.end("nightly"))
    assert (store.made("mail"), scheduler.health()["broken"]) == ([], len(told))


def test_long_chains_and_loops_are_looked_through_once():
    registry = Registry()
    for number in range(2000):
        registry.after(f"{number + 1}", tick, name=f"{number}")
    registry.hourly(tick, name="2000")
    assert (registry.problems(), len(registry.entries())) == ([], 2001)
    del registry._entries["2000"]
    registry.after("0", tick, name="2000")
    assert len(registry.problems()) == 2001
    assert max(len(problem.message) for problem in registry.problems()) < 300


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ({"after": "a", "schedule": "hourly"}, "it has schedule and after; it must have one of schedule, at"),
        ({"after": "a", "at": "2026-12-24"}, "it has at and after; it must have one of"),
        ({"after": 5}, "after is 5; it must be the name of another schedule."),
        ({"after": " "}, "after is ' '; it must be the name of another schedule."),
        (
            {"after": "a", "start": "2026-12-24"},
            "start is for schedules with ticks of their own, and this one runs after",
        ),
        ({"after": "a", "run_on_start": True}, "run_on_start is for schedules with ticks of their own"),
    ],
)
def test_what_cannot_be_written(item, problem):
    with pytest.raises(LocoConfigurationError) as caught:
        entry_from("it", {"run": TICK} | item, SourceLocation("", "settings", 0))
    assert problem in str(caught.value)


def test_as_data():
    entry = entry_from(
        "it", {"run": TICK, "after": "nightly"}, SourceLocation("", "settings", 0), {"timezone": "Europe/Berlin"}
    )
    assert entry.after == "nightly"


def test_in_python_what_is_about_ticks_is_no_option(registry):
    with pytest.raises(LocoConfigurationError, match="has no option 'start'"):
        registry.after("nightly", tick, start="2026-12-24")


def test_as_a_decorator(registry):
    assert registry.after("nightly")(tick) is tick
    registry.every(tock, seconds=10, name="nightly")
    assert [entry.after for entry in registry.entries()] == ["nightly", None]
