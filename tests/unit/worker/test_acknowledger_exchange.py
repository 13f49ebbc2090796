"""Storing outcomes and fetching in one call."""

from __future__ import annotations

import pytest

from django_loco.core.job import SUCCESSFUL, Outcome
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import Claim
from django_loco.worker.acknowledger import Acknowledger
from django_loco.worker.claimed_job import Run

from .support import TroubledQueue, job, run_of

CLAIM = Claim(worker_id="w1", lease=30, threads=10)


class Exchanging(TroubledQueue):
    """Counts exchanges; one of them may find that the queue is away."""

    def exchange(self, outcomes, claim, stored):
        self._call("exchange")
        return super().exchange(outcomes, claim, stored)


@pytest.fixture
def queue() -> Exchanging:
    return Exchanging()


@pytest.fixture
def gone() -> list[Run]:
    return []


@pytest.fixture
def acknowledger(queue, gone) -> Acknowledger:
    return Acknowledger(queue, lambda run, outcome: gone.append(run))


def done(run: Run) -> tuple[Run, Outcome]:
    return run, Outcome(job=run.job, status=SUCCESSFUL, return_value="1")


def held(queue: Exchanging, count: int) -> list[Run]:
    queue.enqueue([job("nothing") for _ in range(count)])
    return [Run(one) for one in queue.fetch(CLAIM)]


def test_outcomes_are_stored_and_jobs_fetched(acknowledger, queue, gone):
    runs = held(queue, 3)
    for run in runs:
        acknowledger.add(*done(run))
    [waiting] = queue.enqueue([job("nothing")])
    assert [one.id for one in acknowledger.exchange(CLAIM)] == [waiting.id]
    assert queue.calls["exchange"] == 1
    assert gone == runs
    assert not acknowledger


def test_without_outcomes_jobs_are_only_fetched(acknowledger, queue):
    [waiting] = queue.enqueue([job("nothing")])
    assert [one.id for one in acknowledger.exchange(CLAIM)] == [waiting.id]
    assert queue.calls["exchange"] == 0


def test_while_the_queue_is_away_outcomes_are_kept(acknowledger, queue, gone):
    [run] = held(queue, 1)
    acknowledger.add(*done(run))
    queue.troubles = dict.fromkeys(("exchange", "renew"), QueueUnavailable("gone"))
    with pytest.raises(QueueUnavailable):
        acknowledger.exchange(CLAIM)
    assert (len(acknowledger), gone) == (1, [])
    queue.troubles.clear()
    assert acknowledger.exchange(CLAIM) == []
    assert gone == [run]


def test_what_is_stored_stays_so_if_the_fetch_fails(acknowledger, queue, gone, caplog):
    [run] = held(queue, 1)
    acknowledger.add(*done(run))
    queue.troubles["fetch"] = QueueUnavailable("gone")
    with pytest.raises(QueueUnavailable):
        acknowledger.exchange(CLAIM)
    assert (len(acknowledger), gone) == (0, [run])
    queue.troubles.clear()
    acknowledger.exchange(CLAIM)
    assert caplog.text == "", "nothing is offered, and refused, a second time"


def test_what_is_refused_is_logged_by_name(acknowledger, gone, caplog):
    run = run_of("nothing")  # the queue does not even know it
    acknowledger.add(*done(run))
    acknowledger.exchange(CLAIM)
    assert gone == [run]
    assert f"The outcome of job {run.job.id}" in caplog.text


def test_what_is_refused_with_a_claim_is_offered_without_one(acknowledger, queue, gone):
    runs = held(queue, 2)
    for run in runs:
        acknowledger.add(*done(run))
    [waiting] = queue.enqueue([job("nothing")])
    queue.troubles["exchange"] = QueueUnavailable("the connection was closed")
    assert [one.id for one in acknowledger.exchange(CLAIM)] == [waiting.id]
    assert gone == []
    assert acknowledger.exchange(CLAIM) == []
    assert gone == runs
