"""Storing outcomes and fetching in one call."""

from __future__ import annotations

import pytest

from django_loco.core.job import SUCCESSFUL, Outcome
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import Claim
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.outcomes.acknowledger import Acknowledger

from ..support import TroubledQueue, claimed_of, job

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
def gone() -> list[ClaimedJob]:
    return []


@pytest.fixture
def acknowledger(queue, gone) -> Acknowledger:
    return Acknowledger(queue, lambda claimed, outcome: gone.append(claimed))


def done(claimed: ClaimedJob) -> tuple[ClaimedJob, Outcome]:
    return claimed, Outcome(job=claimed.job, status=SUCCESSFUL, return_value="1")


def held(queue: Exchanging, count: int) -> list[ClaimedJob]:
    queue.enqueue([job("nothing") for _ in range(count)])
    return [ClaimedJob(one) for one in queue.fetch(CLAIM)]


def test_outcomes_are_stored_and_jobs_fetched(acknowledger, queue, gone):
    claimed_jobs = held(queue, 3)
    for claimed in claimed_jobs:
        acknowledger.add(*done(claimed))
    [waiting] = queue.enqueue([job("nothing")])
    assert [one.id for one in acknowledger.exchange(CLAIM)] == [waiting.id]
    assert queue.calls["exchange"] == 1
    assert gone == claimed_jobs
    assert not acknowledger


def test_without_outcomes_jobs_are_only_fetched(acknowledger, queue):
    [waiting] = queue.enqueue([job("nothing")])
    assert [one.id for one in acknowledger.exchange(CLAIM)] == [waiting.id]
    assert queue.calls["exchange"] == 0


def test_while_the_queue_is_away_outcomes_are_kept(acknowledger, queue, gone):
    [claimed] = held(queue, 1)
    acknowledger.add(*done(claimed))
    queue.troubles = dict.fromkeys(("exchange", "renew"), QueueUnavailable("gone"))
    with pytest.raises(QueueUnavailable):
        acknowledger.exchange(CLAIM)
    assert (len(acknowledger), gone) == (1, [])
    queue.troubles.clear()
    assert acknowledger.exchange(CLAIM) == []
    assert gone == [claimed]


def test_what_is_stored_stays_so_if_the_fetch_fails(acknowledger, queue, gone, caplog):
    [claimed] = held(queue, 1)
    acknowledger.add(*done(claimed))
    queue.troubles["fetch"] = QueueUnavailable("gone")
    with pytest.raises(QueueUnavailable):
        acknowledger.exchange(CLAIM)
    assert (len(acknowledger), gone) == (0, [claimed])
    queue.troubles.clear()
    acknowledger.exchange(CLAIM)
    assert caplog.text == "", "nothing is offered, and refused, a second time"


def test_what_is_refused_is_logged_by_name(acknowledger, gone, caplog):
    claimed = claimed_of("nothing")  # the queue does not even know it
    acknowledger.add(*done(claimed))
    acknowledger.exchange(CLAIM)
    assert gone == [claimed]
    assert f"The outcome of job {claimed.job.id}" in caplog.text


def test_what_is_refused_with_a_claim_is_offered_without_one(acknowledger, queue, gone):
    claimed_jobs = held(queue, 2)
    for claimed in claimed_jobs:
        acknowledger.add(*done(claimed))
    [waiting] = queue.enqueue([job("nothing")])
    queue.troubles["exchange"] = QueueUnavailable("the connection was closed")
    assert [one.id for one in acknowledger.exchange(CLAIM)] == [waiting.id]
    assert gone == []
    assert acknowledger.exchange(CLAIM) == []
    assert gone == claimed_jobs
