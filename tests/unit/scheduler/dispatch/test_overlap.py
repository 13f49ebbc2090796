"""What becomes of ticks while an earlier job of their schedule has not ended."""

import logging
from datetime import timedelta

import pytest
from django.test import override_settings

from django_loco.core.job import FAILED, READY
from django_loco.exceptions import LocoConfigurationError, QueueFull, QueueRefused, QueueUnavailable
from django_loco.scheduler import Registry, Scheduler
from django_loco.scheduler.dispatch import overlap
from django_loco.scheduler.sources.mapping import entry_from

from ..store import MINUTE, NOON, SECOND, SETTING, Store, StoreBackend, let_go_by, started
from ..tasks import tick


@pytest.fixture(autouse=True)
def store(monkeypatch):
    monkeypatch.setattr(StoreBackend, "store", store := Store())
    store.now = NOON + SECOND / 4
    with override_settings(TASKS=SETTING):
        yield store


@pytest.fixture
def registry():
    return Registry(strict=True)


def test_by_default_ticks_overlap_and_nobody_looks(registry, store):
    registry.every(tick, seconds=10, name="beat")
    let_go_by(store, 30, started(registry, store))
    assert store.made("beat") == ["12:00:00", "12:00:10", "12:00:20", "12:00:30"]
    assert store.looks == []


def test_a_store_that_fails_at_the_look_for_jobs_gets_no_ticks_of_the_others(registry, store, monkeypatch):
    registry.every(tick, seconds=10, name="beat")
    registry.every(tick, seconds=10, name="careful", overlap="skip")
    scheduler = started(registry, store)
    scheduler.fire_due()
    store.end("careful")
    store.failure = QueueUnavailable("no route to host")
    given = []
    enqueue_ticks = StoreBackend.enqueue_ticks
    monkeypatch.setattr(
        StoreBackend, "enqueue_ticks", lambda self, ticks: given.extend(ticks) or enqueue_ticks(self, ticks)
    )
    let_go_by(store, 10, scheduler)
    assert given == []
    store.failure = None
    let_go_by(store, 5, scheduler)
    assert store.made("beat") == store.made("careful") == ["12:00:00", "12:00:10"]


def test_schedules_that_are_due_together_are_looked_up_together(registry, store, monkeypatch):
    asked, each_series = [], Store.each_series
    monkeypatch.setattr(Store, "each_series", lambda *given: asked.append(given[1]) or each_series(*given))
    for name, how in (("a", "skip"), ("b", "queue"), ("c", "skip"), ("d", "allow")):
        registry.every(tick, seconds=10, name=name, overlap=how)
    let_go_by(store, 10, started(registry, store))
    assert asked == [["a", "b", "c"]] * 2
    assert [len(store.made(name)) for name in "abcd"] == [1, 1, 1, 2]


def test_an_error_of_one_look_affects_no_other_schedule(registry, store, monkeypatch):
    def series(self, name, limit=100):
        if name == "broken":
            raise ValueError("unreadable")
        return []

    monkeypatch.setattr(Store, "series", series)
    for name in ("broken", "a", "b"):
        registry.every(tick, seconds=10, name=name, overlap="skip")
    started(registry, store).fire_due()
    assert [len(store.made(name)) for name in ("broken", "a", "b")] == [0, 1, 1]


def test_the_time_that_the_store_takes_makes_no_tick_a_missed_one(registry, store, monkeypatch):
    monkeypatch.setattr("django_loco.scheduler.dispatch.timetable.MAX_BATCH", 1)
    enqueue_ticks = StoreBackend.enqueue_ticks

    def slow(self, ticks):
        store.now += 12 * SECOND
        return enqueue_ticks(self, ticks)

    monkeypatch.setattr(StoreBackend, "enqueue_ticks", slow)
    for name in "abc":
        registry.every(tick, minutes=1, name=name, overlap="skip", misfire="skip")
    scheduler = started(registry, store)
    store.now = NOON + MINUTE
    scheduler.fire_due()
    assert [store.made(name) for name in "abc"] == [["12:01:00"]] * 3


@pytest.mark.parametrize("held", [True, False])
def test_a_tick_that_was_skipped_is_not_made_up_for_by_the_next_scheduler(registry, store, held, caplog):
    caplog.set_level(logging.INFO)
    registry.hourly(tick, name="beat", overlap="skip", grace=3 * 3600)
    store.now -= 2 * MINUTE
    scheduler = started(registry, store)
    if held:
        registry.run("beat")
        let_go_by(store, 240, scheduler)
    store.end("beat")
    store.now += 30 * MINUTE
    let_go_by(store, 5, started(registry, store))
    assert ("12:00:00" in store.made("beat")) is not held
    assert ("the tick of 2026-11-21 12:00:00+00:00 is skipped" in caplog.text) is held


@pytest.mark.parametrize("begin", [True, False])
def test_skip_leaves_ticks_out_while_a_job_waits_or_runs(registry, store, begin, caplog):
    caplog.set_level(logging.INFO)
    registry.every(tick, seconds=10, name="beat", overlap="skip")
    registry.every(tick, seconds=10, name="other")
    scheduler = started(registry, store)
    scheduler.fire_due()
    if begin:
        store.begin("beat")
    let_go_by(store, 30, scheduler)
    assert store.made("beat") == ["12:00:00"]
    assert len(store.made("other")) == 4
    assert (
        "Schedule 'beat': the tick of 2026-11-21 12:00:10+00:00 is skipped: an earlier job had not ended" in caplog.text
    )
    assert {record.levelname for record in caplog.records if "skipped" in record.message} == {"INFO"}
    store.end("beat", FAILED)
    let_go_by(store, 20, scheduler)
    assert store.made("beat") == ["12:00:00", "12:00:40"]
    assert scheduler.health()["waiting"] == scheduler.health()["late_ticks"] == 0


@pytest.mark.parametrize("policy", ["skip", "queue"])
def test_a_scheduler_whose_clock_is_ahead_does_not_stop_the_others(registry, store, policy, caplog):
    registry.every(tick, seconds=10, name="beat", overlap=policy)
    right = started(registry, store)
    ahead = Scheduler(registry, now=lambda: store.now + 3 * MINUTE)
    ahead.load()

    def work():
        for key, job in store.jobs.items():
            if job.status == READY and job.run_after <= store.now:
                store.end_at(key, store.now)

    let_go_by(store, 120, ahead, right, meanwhile=work)
    assert [made for made in sorted(store.made("beat")) if made < "12:02:30"] == [
        f"12:{second // 60:02}:{second % 60:02}" for second in range(0, 130, 10)
    ]
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning == (
        "Schedule 'beat': a scheduler has fired the tick of 2026-11-21 12:03:00+00:00, 179 s early: its clock is "
        "ahead, or the one here is behind"
    )


def test_a_run_by_hand_counts(registry, store):
    registry.every(tick, seconds=10, name="beat", overlap="skip")
    scheduler = started(registry, store)
    registry.run("beat")
    let_go_by(store, 10, scheduler)
    assert [member[:4] for member in store.made("beat")] == ["run "]


def test_an_earlier_job_counts_though_a_later_one_has_ended(registry, store):
    registry.every(tick, seconds=10, name="beat", overlap="skip")
    scheduler = started(registry, store)
    scheduler.fire_due()
    registry.run("beat")
    store.end_at(list(store.jobs)[-1], store.now)
    let_go_by(store, 20, scheduler)
    assert [member[:4] for member in store.made("beat")] == ["12:0", "run "]


def test_a_tick_that_another_scheduler_fired_is_not_left_out(registry, store, caplog):
    caplog.set_level(logging.INFO)
    registry.every(tick, seconds=10, name="beat", overlap="skip")
    schedulers = [started(registry, store), started(registry, store)]
    let_go_by(store, 60, *schedulers, meanwhile=lambda: store.end("beat"))
    assert len(store.made("beat")) == 7
    let_go_by(store, 5, *schedulers)
    for scheduler in schedulers:
        scheduler.fire_due()
    assert "skipped" not in caplog.text


def test_queue_lets_ticks_wait_for_their_turn(registry, store, caplog):
    registry.every(tick, seconds=10, name="beat", overlap="queue")
    scheduler = started(registry, store)
    let_go_by(store, 35, scheduler)
    assert store.made("beat") == ["12:00:00"]
    assert (scheduler.health()["waiting"], scheduler.health()["late_by"]) == (3, 0.0)
    for expected in ("12:00:10", "12:00:20", "12:00:30"):
        store.end("beat")
        let_go_by(store, 1.5, scheduler)
        assert store.made("beat")[-1] == expected
    assert scheduler.health()["waiting"] == 0
    store.end("beat")
    let_go_by(store, 5, scheduler)
    assert store.made("beat")[-1] == "12:00:40"
    assert caplog.text == ""


def test_who_waits_looks_once_a_second(registry, store):
    registry.every(tick, seconds=1, name="beat", overlap="queue", cap=1000)
    scheduler = started(registry, store)
    scheduler.fire_due()
    store.looks.clear()
    let_go_by(store, 100, scheduler, step=0.125)
    assert len(store.looks) <= 101
    assert scheduler.health()["waiting"] == 100
    assert scheduler.fire_due() > 0


def test_if_too_many_wait_the_oldest_are_skipped(registry, store, caplog):
    registry.every(tick, seconds=10, name="beat", overlap="queue", cap=2)
    scheduler = started(registry, store)
    let_go_by(store, 40, scheduler)
    assert scheduler.health()["waiting"] == 2
    assert (
        "Schedule 'beat': more than 2 ticks wait for an earlier job to end; that of 2026-11-21 12:00:10+00:00 is "
        "skipped" in caplog.text
    )
    let_go_by(store, 8, scheduler, meanwhile=lambda: store.end("beat"))
    assert store.made("beat") == ["12:00:00", "12:00:30", "12:00:40"]


def test_what_a_restart_finds_waiting_was_missed(registry, store):
    registry.every(tick, seconds=10, name="beat", overlap="queue")
    registry.every(tick, seconds=10, name="all", overlap="queue", misfire="all", grace=60)
    let_go_by(store, 43, started(registry, store))
    restarted = started(registry, store)
    let_go_by(store, 8, restarted, meanwhile=lambda: [store.end("beat"), store.end("all")])
    assert store.made("beat") == ["12:00:00", "12:00:40", "12:00:50"]
    # The first one began with what its grace time brought, and so all the others waited.
    assert store.made("all")[:4] == ["11:59:10", "11:59:50", "12:00:00", "12:00:10"]


def test_two_schedulers_with_lines_make_one_job_of_each_tick(registry, store):
    registry.every(tick, seconds=2, name="beat", overlap="queue")
    schedulers = [started(registry, store), started(registry, store)]
    ends = iter(range(10**6))

    def meanwhile():
        if next(ends) % 7 == 0:
            store.end("beat")
        unended = [job for job in store.jobs.values() if job.finished_at is None]
        assert len(unended) <= 1

    let_go_by(store, 60, *schedulers, step=0.25, meanwhile=meanwhile)
    let_go_by(store, 20, *schedulers, step=0.25, meanwhile=lambda: store.end("beat"))
    made = store.made("beat")
    assert made == sorted(set(made))
    assert len(made) == 41


def test_a_scheduler_that_starts_lets_those_go_first_that_wait_in_another(registry, store):
    registry.every(tick, seconds=5, name="beat", overlap="queue")
    first = started(registry, store)
    let_go_by(store, 13, first)
    assert first.health()["waiting"] == 2
    second = started(registry, store)
    let_go_by(store, 1, second, first)
    store.end("beat")
    let_go_by(store, 20, second, first, step=0.25, meanwhile=lambda: store.end("beat"))
    assert store.made("beat") == [f"12:00:{seconds:02}" for seconds in range(0, 35, 5)]


def test_it_does_not_wait_for_what_nobody_has(registry, store):
    registry.every(tick, seconds=5, name="beat", overlap="queue", misfire="skip")
    let_go_by(store, 13, started(registry, store))
    store.end("beat")
    alone = started(registry, store)
    let_go_by(store, 2, alone)
    assert store.made("beat") == ["12:00:05"]
    let_go_by(store, 2.25, alone, step=0.25)
    assert store.made("beat") == ["12:00:05", "12:00:15"]
    store.end("beat")
    let_go_by(store, 2.75, alone, step=0.25)
    assert store.made("beat") == ["12:00:05", "12:00:15", "12:00:20"]


@pytest.mark.parametrize("error", [QueueUnavailable("away"), QueueFull("full")])
@pytest.mark.parametrize("mode", ["skip", "queue"])
def test_while_the_store_is_away_ticks_wait(registry, store, mode, error, caplog):
    registry.every(tick, seconds=2, name="beat", overlap=mode)
    scheduler = started(registry, store)
    scheduler.fire_due()
    store.end("beat")
    store.failure = error
    let_go_by(store, 4, scheduler)
    assert scheduler.health()["unreachable"] == ["default"]
    store.failure = None
    let_go_by(store, 6, scheduler, meanwhile=lambda: store.end("beat"))
    # Those that waited for the store came at once, and so the second upon the job of the first.
    assert store.made("beat") == [f"12:00:{second:02}" for second in range(0, 12, 2) if mode == "queue" or second != 4]
    assert scheduler.health()["unreachable"] == []
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


def test_a_store_that_goes_away_while_a_tick_waits(registry, store):
    registry.every(tick, seconds=10, name="beat", overlap="queue")
    scheduler = started(registry, store)
    let_go_by(store, 12, scheduler)
    store.failure = QueueUnavailable("away")
    looks = len(store.looks)
    let_go_by(store, 60, scheduler)
    assert len(store.looks) - looks < 12
    store.failure = None
    let_go_by(store, 20, scheduler, meanwhile=lambda: store.end("beat"))
    # What waited has waited on; of what was due meanwhile the last is made up for.
    assert store.made("beat")[:4] == ["12:00:00", "12:00:10", "12:01:10", "12:01:20"]


def test_a_store_that_answers_again_is_reachable_though_nothing_can_be_fired_yet(registry, store):
    registry.every(tick, seconds=10, name="beat", overlap="skip")
    scheduler = started(registry, store)
    scheduler.fire_due()
    store.failure = QueueUnavailable("away")
    let_go_by(store, 12, scheduler)
    assert scheduler.health()["unreachable"] == ["default"]
    store.failure = None
    let_go_by(store, 20, scheduler)
    assert scheduler.health()["unreachable"] == []
    assert store.made("beat") == ["12:00:00"], "its job has not ended"


def test_a_clock_put_back_forgets_nothing_that_waits(registry, store):
    registry.every(tick, seconds=10, name="beat", overlap="queue")
    scheduler = started(registry, store)
    let_go_by(store, 25, scheduler)
    store.now -= timedelta(seconds=3600)
    scheduler.fire_due()
    store.end("beat")
    let_go_by(store, 4, scheduler, meanwhile=lambda: store.end("beat"))
    assert store.made("beat")[:3] == ["12:00:00", "12:00:10", "12:00:20"]


def test_what_goes_wrong_with_one_does_not_concern_the_others(registry, store, caplog, monkeypatch):
    registry.every(tick, seconds=10, name="bad", overlap="skip")
    registry.every(tick, seconds=10, name="good")
    scheduler = started(registry, store)
    monkeypatch.setattr(overlap, "jobs_of", lambda entry, limit: 1 / 0)
    let_go_by(store, 10, scheduler)
    assert (store.made("bad"), len(store.made("good"))) == ([], 2)
    assert "Schedule 'bad': the tick of 2026-11-21 12:00:10+00:00 could not be fired and is skipped" in caplog.text


def test_a_tick_that_waits_and_is_refused_is_left_out_and_no_outage(registry, store, caplog):
    registry.every(tick, seconds=10, name="beat", overlap="queue")
    scheduler = started(registry, store)
    let_go_by(store, 12, scheduler)
    store.end("beat")
    store.failure = QueueRefused("too long")
    let_go_by(store, 2, scheduler)
    assert scheduler.health()["unreachable"] == []
    assert "Schedule 'beat': the tick of 12:00:10" in caplog.text.replace("2026-11-21 ", "")
    store.failure = None
    let_go_by(store, 7, scheduler)
    assert store.made("beat") == ["12:00:00", "12:00:20"]


def test_what_waits_of_a_schedule_that_is_gone_or_paused_is_left_out(registry, store):
    registry.every(tick, seconds=10, name="beat", overlap="queue")
    scheduler = started(registry, store)
    let_go_by(store, 12, scheduler)
    assert scheduler.health()["waiting"] == 1
    scheduler._by_alias["default"].timetable._by_name = {}
    let_go_by(store, 2, scheduler)
    assert scheduler.health()["waiting"] == 0


def test_quiet_fires_nothing_that_waits(registry, store):
    registry.every(tick, seconds=10, name="beat", overlap="queue")
    scheduler = started(registry, store)
    let_go_by(store, 12, scheduler)
    store.end("beat")
    scheduler.quiet()
    let_go_by(store, 5, scheduler)
    assert store.made("beat") == ["12:00:00"]


def test_the_run_of_a_deploy_waits_rather_than_be_left_out(registry, store):
    registry.daily(tick, at="04:00", name="nightly", run_on_start=True, overlap="skip")
    registry.run("nightly")
    with override_settings(LOCO={"RELEASE": "one"}):
        scheduler = started(registry, store)
    let_go_by(store, 5, scheduler)
    assert len(store.made("nightly")) == 1
    store.end("nightly")
    let_go_by(store, 3, scheduler)
    assert store.made("nightly")[1:] == ["release one"]


def test_jitter_is_kept_by_what_waits(registry, store):
    registry.every(tick, minutes=1, name="beat", overlap="queue", jitter=30)
    scheduler = started(registry, store)
    let_go_by(store, 62, scheduler)
    store.end("beat")
    let_go_by(store, 3, scheduler)
    (_, second) = store.jobs.values()
    assert second.run_after == registry.entry("beat").run_at(NOON + MINUTE) > NOON + MINUTE


def test_an_overlap_that_there_is_not(registry):
    with pytest.raises(LocoConfigurationError, match='overlap is \'wait\'; it must be "allow", "skip" or "queue"'):
        registry.hourly(tick, overlap="wait")


def test_as_data():
    entry = entry_from(
        "beat", {"run": "tests.unit.scheduler.tasks.tick", "schedule": "hourly", "overlap": "queue"}, None
    )
    assert entry.overlap == "queue"
