"""The worker as a whole, on a queue in memory: its loop, its troubles and its end."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from django_loco.core.compat import task_finished
from django_loco.core.job import FAILED, READY, RUNNING, SUCCESSFUL, Job, Outcome, utcnow
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import Claim
from django_loco.worker.fetching import fetcher
from django_loco.worker.maintenance.heartbeat import Heartbeat
from django_loco.worker.worker import Worker

from . import tasks
from .support import TroubledQueue, job, wait_until


@pytest.fixture
def queue() -> TroubledQueue:
    return TroubledQueue()


def enqueue(queue: TroubledQueue, *names: str, **fields: Any) -> list[str]:
    return [one.id for one in queue.enqueue([job(name, **fields) for name in names])]


def wait_for(queue: TroubledQueue, ids: list[str], status: str = SUCCESSFUL) -> list[Job]:
    wait_until(lambda: all((one := queue.get(job_id)) and one.status == status for job_id in ids))
    return [one for job_id in ids if (one := queue.get(job_id))]


def blocked(queue: TroubledQueue, *names: str, task: str = "wait_for") -> list[str]:
    """Enqueue jobs that run until their events are set, and wait until they do."""
    ids = [one.id for one in queue.enqueue([job(task, name) for name in names])]
    for name in names:
        tasks.retried(tasks.events[f"{name} began"])
    return ids


def soon(seconds: float = 5) -> float:
    return time.monotonic() + seconds


# Starting


@pytest.mark.parametrize("refused", ["loco-worker-housekeeping", "loco-worker-fetcher"])
def test_a_worker_that_lacks_a_thread_leaves_none_behind(queue, no_thread, refused):
    worker = Worker(queue, threads=2, coroutines=2, lease=30, result_ttl=60)
    with no_thread(refused), pytest.raises(RuntimeError, match="new thread"):
        worker.start()
    assert worker.join(10)
    assert not worker.is_alive
    assert queue.workers() == []


# Running


def test_jobs_of_both_kinds_run(queue, start):
    ids = enqueue(queue, "nothing", "anothing")
    start()
    wait_for(queue, ids)
    more = enqueue(queue, "anothing", "nothing")
    wait_for(queue, more)


def test_a_job_that_comes_later_is_not_kept_waiting(queue, start, monkeypatch):
    monkeypatch.setattr(fetcher, "POLL_SECONDS", 3600.0)
    start()
    wait_until(lambda: queue.calls["wait"])
    wait_for(queue, enqueue(queue, "nothing"))


def test_an_attempt_leaves_its_mark(queue, start):
    worker = start(worker_id="host:1")
    [one] = wait_for(queue, [queue.enqueue([job("look")])[0].id])
    assert one.worker_ids == ("host:1",)
    assert json.loads(one.return_value or "")["worker_ids"] == ["host:1"]
    assert worker.worker_id == "host:1"


def test_a_retry_comes_round(queue, start):
    [one_id] = [one.id for one in queue.enqueue([job("fail_often", options={"backoff": 0})])]
    start()
    [one] = wait_for(queue, [one_id], FAILED)
    assert len(one.errors) == len(one.worker_ids) == 3


def test_only_the_wanted_queues_and_tags(queue, start):
    ids = [
        one.id
        for one in queue.enqueue(
            [job("nothing", queue_name="emails", tags=("a",)), job("nothing"), job("nothing", queue_name="emails")]
        )
    ]
    start(queues=("emails",), tags=("a",), drain=True)
    wait_for(queue, ids[:1])
    assert [queue.get(job_id).status for job_id in ids[1:]] == [READY, READY]


def test_no_more_jobs_than_there_are_places(queue, start):
    start(threads=2)
    blocked(queue, "a", "b")
    enqueue(queue, *["nothing"] * 5)
    wait_until(lambda: queue.calls["fetch"] > 1)
    assert queue.counts()["default", RUNNING] == 2


@pytest.mark.slow
def test_a_prefetched_job_that_has_to_wait_goes_back(queue, start):
    """The rate was high, so there is a stock; then comes a job that takes its time."""
    worker = start(threads=1)
    worker._fetcher.jobs.threads._rate = 40.0
    enqueue(queue, "nothing")
    wait_until(lambda: worker.health()["done"] == 1)
    ids = [one.id for one in queue.enqueue([job("wait_for", "a"), *(job("nothing") for _ in range(3))])]
    tasks.retried(tasks.events["a began"])
    wait_until(lambda: worker.health()["buffered"])
    wait_until(lambda: queue.counts().get(("default", READY)) == 3)
    assert [queue.get(job_id).worker_ids for job_id in ids[1:]] == [()] * 3


def test_health(queue, start):
    worker = Worker(queue, threads=2, coroutines=2, lease=30, result_ttl=60)
    assert worker.health()["alive"] is False
    worker = start()
    blocked(queue, "a")
    enqueue(queue, "fail", "anothing", "fail_often")
    wait_until(lambda: worker.health()["done"] == worker.health()["failed"] == worker.health()["retried"] == 1)
    health = worker.health()
    assert health["alive"] is True
    assert health["worker_id"] == worker.worker_id
    assert health["running"] == 1
    assert health["buffered"] == health["unstored"] == health["abandoned"] == 0
    assert health["last_poll_age"] < 3
    assert health["last_heartbeat_age"] < 3
    assert health["trouble"] == ""
    assert health["active_threads"] == 1
    assert 1 <= health["thread_limit"] <= 2
    assert health["thread_limit_reason"] == "no job waits for a thread"
    assert json.loads(json.dumps(health)) == health


# Troubles


@pytest.mark.parametrize("error", [QueueUnavailable, ZeroDivisionError])
@pytest.mark.parametrize("call", ["fetch", "finish", "renew", "rescue", "prune", "wait"])
def test_no_error_of_the_queue_stops_the_worker_for_good(queue, start, caplog, impatient, monkeypatch, call, error):
    caplog.set_level(logging.INFO, "django_loco.worker")
    # On a busy machine renewals are late for so short a lease. Then nothing is rescued, so nothing fails in between.
    monkeypatch.setattr(Heartbeat, "is_steady", True)
    queue.troubles[call] = error("gone")
    worker = start(lease=0.3, threads=3)
    ids = enqueue(queue, "nothing", "anothing", "nothing")
    if call == "renew":  # there must be something to renew
        blocked(queue, "a")
    wait_until(lambda: queue.calls[call] >= 3)
    assert worker.is_alive
    queue.troubles.clear()
    wait_for(queue, ids)
    assert worker.is_alive
    if call == "finish":  # a queue that takes renewals is not away
        return
    wait_until(lambda: "again, after" in caplog.text)
    errors = [record for record in caplog.records if record.levelname == "ERROR" and "for now" in record.getMessage()]
    assert len(errors) == 1
    wait_until(lambda: worker.health()["trouble"] == "")


def test_a_queue_that_goes_away_is_one_error_of_the_worker(queue, start, impatient, caplog):
    queue.troubles = dict.fromkeys(["fetch", "rescue"], QueueUnavailable("gone"))
    with caplog.at_level(logging.INFO, "django_loco.worker"):
        start()
        wait_until(lambda: caplog.text.count("for now: ") == 2)
    told = [(record.levelname, record.getMessage()) for record in caplog.records if "for now: " in record.getMessage()]
    assert [(level, text.partition("for now: ")[2]) for level, text in told] == [
        ("ERROR", "gone"),
        ("INFO", "the same error"),
    ]


def test_outcomes_wait_for_the_queue(queue, start, impatient):
    worker = start()
    ids = blocked(queue, "a", "b")
    queue.troubles["finish"] = queue.troubles["fetch"] = QueueUnavailable("gone")
    tasks.events["a"].set()
    tasks.events["b"].set()
    wait_until(lambda: worker.health()["unstored"] == 2)
    assert "QueueUnavailable" in worker.health()["trouble"]
    wait_until(lambda: queue.calls["finish"] > 2)
    assert set(worker._held) == set(ids)  # their claims are kept meanwhile
    queue.troubles.clear()
    wait_for(queue, ids)
    assert worker.health()["unstored"] == 0


def test_the_age_of_the_last_poll_tells_of_an_outage(queue, start):
    worker = start()
    wait_until(lambda: queue.calls["fetch"])
    queue.troubles["fetch"] = QueueUnavailable("gone")
    wait_until(lambda: worker.health()["last_poll_age"] > 0.3)


@pytest.mark.slow
def test_a_full_worker_is_no_ill_worker(queue, start, monkeypatch):
    worker = start(threads=1, coroutines=0)
    blocked(queue, "a")
    before = worker._fetcher.last_turn
    wait_until(lambda: worker._fetcher.last_turn > before)


def test_a_bug_in_the_loop_is_death_and_says_so(queue, start, caplog, monkeypatch):
    worker = start()
    wait_until(lambda: worker.is_alive)
    monkeypatch.setattr(worker._fetcher, "_guarded_turn", lambda: 1 / 0)
    worker._fetcher._inbox.wake.set()
    assert worker.join(10)
    assert not worker.is_alive
    assert worker.health()["alive"] is False
    assert "The worker has died" in caplog.text
    assert not any(thread.is_alive for thread in worker._helpers)  # nobody renews what nobody finishes


def test_a_dead_helper_is_death_too(queue, start):
    worker = start()
    wait_until(lambda: worker.is_alive)
    worker._heartbeat.end()
    assert worker._heartbeat.join(5)
    assert not worker.is_alive


def test_leases_are_renewed_however_long_a_job_runs(queue, start):
    start(lease=0.3)
    other = start(lease=0.3)
    [one_id] = blocked(queue, "a")
    calls = queue.calls["rescue"]
    wait_until(lambda: queue.calls["rescue"] > calls + 40)  # well over a lease: there are 20 in one for two workers
    assert queue.get(one_id).status == RUNNING
    tasks.events["a"].set()
    [one] = wait_for(queue, [one_id])
    assert one.lost == 0
    assert other.is_alive


def test_the_jobs_of_a_dead_worker_are_back_after_a_lease(queue, start):
    [one_id] = enqueue(queue, "nothing")
    assert queue.fetch(Claim(worker_id="dead", lease=0.3 * 0.9, threads=1))
    start(lease=0.3)
    [one] = wait_for(queue, [one_id])
    assert one.lost == 1


def test_a_job_whose_claim_was_lost_is_told_and_its_outcome_refused(queue, start, caplog):
    start(lease=0.3)
    [one_id] = blocked(queue, "a", task="until_stopped")
    hold = queue._jobs.held[one_id]
    thief = replace(hold.job, token="another", worker_id="another")
    queue._jobs.held[one_id] = hold._replace(job=thief, until=time.monotonic() + 60)
    wait_until(lambda: "was lost" in caplog.text)
    wait_until(lambda: "ended after its claim was lost" in caplog.text)
    assert queue.get(one_id) == thief


def test_a_late_outcome_is_refused_and_named(queue, start, caplog):
    start()
    [one_id] = blocked(queue, "a")
    hold = queue._jobs.held[one_id]
    queue._jobs.held[one_id] = hold._replace(job=replace(hold.job, token="another"))
    tasks.events["a"].set()
    wait_until(lambda: "came too late" in caplog.text)
    assert one_id in caplog.text
    assert "tests.unit.worker.tasks.wait_for" in caplog.text
    assert queue.get(one_id).status == RUNNING


def test_a_job_that_the_same_worker_gets_a_second_time(queue, start, caplog):
    """Its lease ran out in a suspended process, it was rescued, and this worker fetches it anew."""
    worker = start()
    [one_id] = blocked(queue, "a")
    first = worker._held[one_id]
    hold = queue._jobs.held[one_id]
    queue._jobs.held[one_id] = hold._replace(until=0.0)
    tasks.events["a began"].clear()
    wait_until(lambda: queue.rescue() or queue.get(one_id).lost)
    tasks.retried(tasks.events["a began"])
    assert first.stopping
    assert worker._held[one_id] is not first
    tasks.events["a"].set()
    [one] = wait_for(queue, [one_id])
    assert one.lost == 1
    wait_until(lambda: not worker._held)
    wait_until(lambda: worker.health()["running"] == 0)


def test_an_unknown_task_is_no_crash_loop(queue, start, caplog):
    [one_id] = [queue.enqueue([replace(job("nothing"), task_path="gone.tasks.nothing")])[0].id]
    worker = start()
    wait_until(lambda: queue.get(one_id).errors)
    one = queue.get(one_id)
    assert one.status == READY
    assert 10 < (one.run_after - utcnow()).total_seconds() <= 20
    assert one.worker_ids == ()
    assert one.errors[0].exception_class_path == "django_loco.exceptions.UnknownTask"
    assert worker.is_alive
    wait_for(queue, enqueue(queue, "nothing"))


# The end


def test_start_stop_and_join_may_be_repeated(queue, start):
    worker = Worker(queue, threads=1, coroutines=1, lease=30, result_ttl=60)
    assert worker.join(0)
    worker.start()
    worker.start()
    assert worker.health()["alive"] is True
    assert not worker.join(0.01)
    for _ in range(2):
        worker.stop(soon())
    for _ in range(2):
        assert worker.join(5)
    assert not worker.is_alive


def threads_of_workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("loco-worker-")]


def test_nothing_is_left_of_a_worker(queue, start):
    before = threads_of_workers()
    worker = start()
    wait_for(queue, enqueue(queue, "nothing", "anothing"))
    [limited] = [one.id for one in queue.enqueue([job("spin")])]
    wait_for(queue, [limited], FAILED)
    assert len(threads_of_workers()) >= len(before) + 7
    worker.stop(soon())
    assert worker.join(5)
    assert set(threads_of_workers()) <= set(before)


def test_running_jobs_end_before_the_worker_does(queue, start):
    worker = start()
    ids = blocked(queue, "a") + blocked(queue, "b", task="await_for")
    waiting = enqueue(queue, "nothing")
    worker.stop(soon(20))
    assert not worker.join(0.05)
    tasks.events["a"].set()
    tasks.events["b"].set()
    assert worker.join(5)
    wait_for(queue, ids)
    wait_for(queue, waiting, READY)


def test_a_job_sees_the_stop_at_once(queue, start):
    worker = start()
    [one_id] = blocked(queue, "a", task="until_stopped")
    worker.stop(soon(20))
    assert worker.join(5)
    assert queue.get(one_id).return_value == '"stopped early"'


def test_quiet_goes_on_with_what_runs_and_hands_back_what_waits(queue, start):
    worker = start(threads=1)
    worker._fetcher.jobs.threads._rate = 100.0
    ids = [one.id for one in queue.enqueue([job("wait_for", "a"), job("nothing"), job("nothing")])]
    tasks.retried(tasks.events["a began"])
    wait_until(lambda: worker.health()["buffered"] == 2 or queue.counts().get(("default", READY)) == 2)
    worker.quiet()
    wait_for(queue, ids[1:], READY)
    assert worker.is_alive
    tasks.events["a"].set()
    wait_for(queue, ids[:1])
    wait_until(lambda: worker.health()["done"] == 1)
    assert worker.is_alive
    assert queue.get(ids[1]).status == READY


@pytest.mark.parametrize("task", ["wait_for", "await_for"])
def test_a_job_that_is_being_fetched_when_quiet_comes_does_not_begin(queue, start, monkeypatch, task):
    worker = start()
    fetch, fetched = queue.fetch, threading.Event()

    def fetch_for_long(claim: Claim) -> list[Job]:
        if jobs := fetch(claim):
            worker.quiet()
            fetched.set()
        return jobs

    monkeypatch.setattr(queue, "fetch", fetch_for_long)
    [one_id] = [one.id for one in queue.enqueue([job(task, "a")])]
    tasks.retried(fetched)
    wait_for(queue, [one_id], READY)
    assert not tasks.events["a began"].is_set()


def test_at_the_deadline_claims_go_back(queue, start, caplog):
    worker = start()
    ids = blocked(queue, "a") + blocked(queue, "b", task="await_for") + blocked(queue, "c", task="stubborn")
    worker.stop(soon(0.5))
    assert worker.join(5)
    for one in wait_for(queue, ids, READY):
        assert one.worker_ids == ()
        assert one.errors == ()
        assert one.lost == 0
    tasks.events["a"].set()  # its thread is still there; what it returns is of no consequence
    wait_until(lambda: not any(thread.busy for thread in worker._threads._threads))
    assert queue.get(ids[0]).status == READY
    # The loop has ended without "c". Its coroutine ends here, rather than in whatever test it is collected.
    [left] = asyncio.all_tasks(worker._event_loop._thread.loop)
    left._log_destroy_pending = False
    left.get_coro().close()


def test_a_deadline_in_the_past_hands_back_all_the_same(queue, start):
    worker = start()
    ids = blocked(queue, "a") + blocked(queue, "b", task="await_for")
    worker.stop(time.monotonic())
    assert worker.join(5)
    wait_for(queue, ids, READY)


def test_a_second_stop_can_shorten_the_first(queue, start):
    worker = start()
    ids = blocked(queue, "a")
    worker.stop(soon(60))
    assert not worker.join(0.05)
    worker.stop(soon(0.1))
    assert worker.join(5)
    wait_for(queue, ids, READY)


@pytest.mark.parametrize("seconds", [0, 0.3])
def test_a_stop_in_an_outage_ends_all_the_same(queue, start, caplog, seconds):
    worker = start()
    blocked(queue, "a")
    queue.troubles = dict.fromkeys(["fetch", "finish", "renew", "rescue", "prune", "wait"], QueueUnavailable("gone"))
    worker.stop(soon(seconds))
    assert worker.join(seconds + 10)
    assert "1 outcome could not be stored" in caplog.text


def test_an_outage_that_ends_before_the_deadline_loses_nothing(queue, start, impatient):
    worker = start()
    ids = blocked(queue, "a")
    queue.troubles["finish"] = QueueUnavailable("gone")
    tasks.events["a"].set()
    wait_until(lambda: queue.calls["finish"] > 1)
    worker.stop(soon(20))
    assert not worker.join(0.1)
    queue.troubles.clear()
    assert worker.join(5)
    wait_for(queue, ids)


def test_drain_ends_when_there_is_nothing_left(queue, start):
    ids = enqueue(queue, *["nothing", "anothing"] * 20)
    worker = start(drain=True)
    assert worker.join(10)
    assert not worker.is_alive
    assert worker.health()["done"] == 40
    wait_for(queue, ids)


class FollowedQueue(TroubledQueue):
    """A queue in which a job follows when the end of the first one is stored, after the fetch of the same call."""

    followed: Sequence[Job] = ()

    def exchange(self, outcomes: Sequence[Outcome], claim: Claim, stored: Callable[[set[str]], None]) -> list[Job]:
        jobs = super().exchange(outcomes, claim, stored)
        if outcomes and not self.followed:
            self.followed = self.enqueue([job("nothing")])
        return jobs


def test_drain_runs_what_follows_the_last_end(start):
    queue = FollowedQueue()
    enqueue(queue, "nothing")
    assert start(queue, drain=True).join(10)
    [followed] = queue.followed
    assert queue.get(followed.id).status == SUCCESSFUL


def test_drain_waits_for_what_runs_and_what_that_enqueues(queue, start):
    worker = start()
    blocked(queue, "a")
    worker.drain()
    assert not worker.join(0.05)
    more = enqueue(queue, "nothing")
    tasks.events["a"].set()
    assert worker.join(5)
    wait_for(queue, more)


def test_drain_does_not_wait_for_what_is_not_due(queue, start):
    enqueue(queue, "nothing", run_after=utcnow().replace(year=2099))
    assert start(drain=True).join(5)


def test_drain_waits_until_the_jobs_of_dead_workers_were_looked_for(queue, start, monkeypatch):
    """Right after ``kill -9`` of one worker, the next one is often started to finish what is left."""
    asked, may_answer, rescue = threading.Event(), threading.Event(), queue.rescue

    def slow_rescue(limit):
        asked.set()
        may_answer.wait(10)
        return rescue(limit)

    monkeypatch.setattr(queue, "rescue", slow_rescue)
    ids = enqueue(queue, "nothing", "nothing")
    assert len(queue.fetch(Claim(worker_id="dead", lease=-1, threads=2))) == 2
    worker = start(drain=True)
    assert asked.wait(5)
    assert not worker.join(0.05)
    may_answer.set()
    assert worker.join(5)
    assert {queue.get(job_id).status for job_id in ids} == {SUCCESSFUL}


@pytest.mark.parametrize("error", [QueueUnavailable("gone"), ValueError("a bug")])
def test_drain_ends_though_the_jobs_of_dead_workers_cannot_be_looked_for(queue, start, impatient, error):
    """An outage is waited for; any other error would come back each time."""
    queue.troubles["rescue"] = error
    worker = start(drain=True)
    wait_until(lambda: queue.calls["rescue"])
    if isinstance(error, QueueUnavailable):
        assert not worker.join(0.05)
        queue.troubles.clear()
    assert worker.join(5)


def test_drain_misses_nothing_that_was_enqueued_before_it(queue, start):
    for _ in range(30):
        worker = start()
        ids = enqueue(queue, "nothing")
        worker.drain()
        assert worker.join(5)
        wait_for(queue, ids)


@pytest.mark.parametrize("count", [1, 3])
def test_max_jobs(queue, start, count):
    ids = enqueue(queue, *["nothing", "anothing"] * 5)
    worker = start(max_jobs=count)
    assert worker.join(10)
    assert sum(queue.get(job_id).status == SUCCESSFUL for job_id in ids) == count
    assert sum(queue.get(job_id).status == READY for job_id in ids) == 10 - count


def test_a_process_killed_by_a_poison_pill_is_not_this_ones_business(queue, start):
    """Lost once too often: failed for good, and told of by whoever finds it."""
    heard = threading.Event()

    def receiver(**kwargs: Any) -> None:
        heard.set()

    task_finished.connect(receiver)
    [one_id] = [queue.enqueue([replace(job("nothing"), lost=2)])[0].id]
    queue.fetch(Claim(worker_id="dead", lease=-1, threads=1))
    start(lease=0.3)
    try:
        assert heard.wait(5)
    finally:
        task_finished.disconnect(receiver)
    assert queue.get(one_id).status == FAILED


# Races


def test_a_stop_races_with_fetches(queue, start):
    """Whatever the moment: each job has run, or waits as if it had never been touched."""
    for round_ in range(25):
        ids = enqueue(queue, *["nothing", "anothing"] * 30)
        worker = start(threads=4, coroutines=4)
        while not queue.calls["fetch"]:
            threading.Event().wait(0.0005)
        threading.Event().wait(0.0004 * round_)
        worker.stop(soon(5 if round_ % 2 else 0))
        assert worker.join(10)
        states = {(one.status, len(one.worker_ids)) for job_id in ids if (one := queue.get(job_id))}
        assert states <= {(SUCCESSFUL, 1), (READY, 0)}
        queue.clear()
        queue.calls.clear()


@pytest.mark.slow
@pytest.mark.interrupts
def test_timeouts_race_with_completion(queue, start, nimble):
    """Each job ends once, as it should, and every thread lives to run the next one."""
    worker = start(threads=3)
    ids = [
        one.id
        for one in queue.enqueue([job("busy", 0.0004 * (i % 10), options={"timeout": 0.002}) for i in range(600)])
    ]
    wait_until(lambda: all(queue.get(job_id).status in (SUCCESSFUL, FAILED) for job_id in ids), 30)
    statuses = [queue.get(job_id).status for job_id in ids]
    assert set(statuses) == {SUCCESSFUL, FAILED}
    assert worker.health()["abandoned"] == 0
    wait_until(lambda: worker.health()["done"] + worker.health()["failed"] == 600)  # after the queue has answered
    wait_for(queue, enqueue(queue, *["nothing"] * 6))


def test_a_worker_id_tells_where_it_is(queue):
    first, second = (Worker(queue, threads=1, coroutines=1, lease=30, result_ttl=60) for _ in range(2))
    assert first.worker_id != second.worker_id
    assert first.worker_id.count(":") == 2
