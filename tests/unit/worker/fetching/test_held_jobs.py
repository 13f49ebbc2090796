"""Which ends of jobs a worker counts."""

from __future__ import annotations

import time

import pytest

from django_loco.core.job import FAILED, SUCCESSFUL, Outcome, error_of
from django_loco.exceptions import JobCancelled
from django_loco.metrics.tally import Tally
from django_loco.queues import Claim
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.fetching.held_jobs import HeldJobs

from ..support import FakePool, TroubledQueue, job


@pytest.fixture
def queue() -> TroubledQueue:
    return TroubledQueue()


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
def held(queue, tally):
    return HeldJobs(queue, (FakePool(9), FakePool(9)), {}, on_accepted=lambda *_: None, tally=tally)


def begun(queue: TroubledQueue, held: HeldJobs) -> ClaimedJob:
    queue.enqueue([job("nothing")])
    [one] = queue.fetch(Claim(worker_id="w1", lease=30, threads=1))
    claimed = ClaimedJob(one)
    held.hand_over([claimed], 9)
    claimed.began_at = claimed.fetched_at
    return claimed


def counted(tally: Tally) -> dict[str, int]:
    return {each.labels.outcome: each.runs for each in tally.take()}


def finish(held: HeldJobs, claimed: ClaimedJob, outcome: Outcome) -> None:
    claimed.decide(outcome)
    held.collect([(claimed, outcome)])
    held.acknowledger.flush()


def test_an_outcome_counts_when_the_queue_has_taken_it(queue, held, tally):
    claimed = begun(queue, held)
    claimed.duration = 2.0
    outcome = Outcome(job=claimed.job, status=SUCCESSFUL)
    held.collect([(claimed, outcome)])
    assert counted(tally) == {}
    held.acknowledger.flush()
    [found] = tally.take()
    assert (found.labels.outcome, found.duration_seconds, found.waits[-1]) == ("successful", 2.0, 1)


def test_an_outcome_that_is_refused_does_not_count(queue, held, tally):
    claimed = begun(queue, held)
    queue.finish([Outcome.released(claimed.job)])
    finish(held, claimed, Outcome(job=claimed.job, status=SUCCESSFUL))
    assert counted(tally) == {}


def test_an_outcome_that_is_dropped_does_not_count(queue, held, tally, monkeypatch):
    now = [0.0]
    held = HeldJobs(
        queue, (FakePool(9), FakePool(9)), {}, on_accepted=lambda *_: None, tally=tally, clock=lambda: now[0]
    )
    claimed = begun(queue, held)
    queue.troubles["finish"] = ValueError("never")
    finish(held, claimed, Outcome(job=claimed.job, status=FAILED))
    while held.acknowledger:
        now[0] += 60
        held.acknowledger.flush()
    assert counted(tally) == {}


def test_a_cancelled_run_counts_though_the_queue_has_its_end_already(queue, held, tally):
    claimed = begun(queue, held)
    claimed.cancelled, claimed.refused = error_of(JobCancelled, "by anna"), True
    finish(held, claimed, Outcome(job=claimed.job, status=FAILED, error=claimed.cancelled))
    assert counted(tally) == {"cancelled": 1}


def test_a_run_that_is_handed_back_at_the_end_is_interrupted(queue, held, tally):
    began, waiting = begun(queue, held), begun(queue, held)
    waiting.began_at = None
    held.release([began, waiting])
    held.acknowledger.flush()
    [found] = tally.take()
    assert (found.labels.outcome, found.runs, found.durations[-1]) == ("interrupted", 1, 1)


def recorded(queue: TroubledQueue) -> dict[tuple[str, str], int]:
    return {(each.labels.task_path.rpartition(".")[2], each.labels.outcome): each.runs for each in queue.minutes(0)}


def test_a_worker_writes_what_it_has_counted_at_its_end(queue, start):
    names = ["nothing", "nothing", "anothing", "fail_often"]
    queue.enqueue([job(name, options={"backoff": 0} if name == "fail_often" else {}) for name in names])
    worker = start(drain=True)
    assert worker.join(20)
    expected = {"nothing": 2, "anothing": 1}
    assert recorded(queue) == {
        **{(name, "successful"): runs for name, runs in expected.items()},
        ("fail_often", "retried"): 2,
        ("fail_often", "failed"): 1,
    }
    assert all(each.durations[-1] == each.waits[-1] == each.runs for each in queue.minutes(0))


def test_a_worker_counts_the_jobs_of_dead_ones(queue, start):
    queue.enqueue([job("nothing")])
    queue.fetch(Claim(worker_id="dead", lease=-1, threads=1))
    worker = start(drain=True)
    assert worker.join(20)
    assert recorded(queue) == {("nothing", "lost"): 1, ("nothing", "successful"): 1}


def test_a_worker_counts_what_its_isolated_workers_lose(queue, start):
    worker = start(isolate=lambda claim: pytest.fail("there are no suspects"))
    worker._isolation._on_rescued([job("nothing")])
    worker.stop(time.monotonic() + 5)
    assert worker.join(10)
    assert recorded(queue) == {("nothing", "lost"): 1}


def test_a_queue_without_room_for_statistics_runs_its_jobs(queue, start, monkeypatch):
    def refuse(minutes) -> None:
        queue.calls["record"] += 1
        raise RuntimeError("the table is full")

    monkeypatch.setattr(queue, "record", refuse)
    [one] = queue.enqueue([job("nothing")])
    assert start(drain=True).join(20)
    assert queue.get(one.id).status == SUCCESSFUL
    assert queue.calls["record"] == 1
