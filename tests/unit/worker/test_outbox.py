"""Outcomes on their way to the queue."""

from __future__ import annotations

import pytest

from django_loco.exceptions import QueueUnavailable
from django_loco.job import SUCCESSFUL, Outcome
from django_loco.queues import Claim
from django_loco.worker.outbox import MAX_TRIES, Outbox
from django_loco.worker.run import Run

from .support import TroubledQueue, job, run_of


class Picky(TroubledQueue):
    """Does not take one job's outcome."""

    poison = ""

    def finish(self, outcomes):
        if any(outcome.job.id == self.poison for outcome in outcomes):
            self.calls["refusals"] += 1
            raise ValueError("a NUL in the text")
        return super().finish(outcomes)


@pytest.fixture
def queue() -> Picky:
    return Picky()


@pytest.fixture
def gone() -> list[Run]:
    return []


@pytest.fixture
def outbox(queue, gone) -> Outbox:
    return Outbox(queue, lambda run, outcome: gone.append(run))


def fill(outbox: Outbox, queue: TroubledQueue, count: int) -> list[Run]:
    queue.enqueue([job("nothing") for _ in range(count)])
    runs = [Run(one) for one in queue.fetch(Claim(worker_id="w1", lease=30, threads=count))]
    for run in runs:
        outbox.add(run, Outcome(job=run.job, status=SUCCESSFUL, return_value="1"))
    return runs


def test_an_empty_outbox_asks_nothing(outbox, queue):
    outbox.flush()
    assert queue.calls["finish"] == 0


def test_all_are_stored_in_one_call(outbox, queue, gone):
    runs = fill(outbox, queue, 5)
    outbox.flush()
    assert queue.calls["finish"] == 1
    assert gone == runs
    assert not outbox
    assert all(queue.get(run.job.id).status == SUCCESSFUL for run in runs)


def test_while_the_queue_is_away_they_are_kept(outbox, queue, gone):
    runs = fill(outbox, queue, 3)
    queue.troubles["finish"] = QueueUnavailable("gone")
    for _ in range(MAX_TRIES + 3):
        with pytest.raises(QueueUnavailable):
            outbox.flush()
    assert len(outbox) == 3
    assert gone == []
    queue.troubles.clear()
    outbox.flush()
    assert gone == runs


def test_what_is_refused_is_logged_by_name(outbox, gone, caplog):
    run = run_of("nothing")  # the queue does not even know it
    outbox.add(run, Outcome(job=run.job, status=SUCCESSFUL))
    outbox.flush()
    assert gone == [run]
    assert run.job.id in caplog.text
    assert "tests.unit.worker.tasks.nothing" in caplog.text


def test_one_that_cannot_be_stored_holds_up_no_other(outbox, queue, gone, caplog):
    runs = fill(outbox, queue, 4)
    queue.poison = runs[1].job.id
    with pytest.raises(ValueError, match="NUL"):
        outbox.flush()
    with pytest.raises(ValueError, match="NUL"):
        outbox.flush()
    assert gone == [runs[0], runs[2], runs[3]]
    for _ in range(MAX_TRIES - 1):
        with pytest.raises(ValueError, match="NUL"):
            outbox.flush()
    assert gone[-1] is runs[1]
    assert f"The outcome of job {runs[1].job.id}" in caplog.text
    outbox.flush()
    more = fill(outbox, queue, 2)
    calls = queue.calls["finish"]
    outbox.flush()
    assert queue.calls["finish"] == calls + 1
    assert gone[-2:] == more


def test_an_outage_while_they_are_tried_one_by_one_costs_no_tries(outbox, queue, gone):
    runs = fill(outbox, queue, 2)
    queue.poison = runs[0].job.id
    with pytest.raises(ValueError, match="NUL"):
        outbox.flush()
    queue.poison = ""
    queue.troubles["finish"] = QueueUnavailable("gone")
    for _ in range(MAX_TRIES + 1):
        with pytest.raises(QueueUnavailable):
            outbox.flush()
    queue.troubles.clear()
    outbox.flush()
    assert gone == runs
