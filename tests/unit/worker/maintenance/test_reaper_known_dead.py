"""Jobs of workers whose deaths are known are rescued before their leases have run out."""

from __future__ import annotations

from contextlib import suppress

import pytest

from django_loco.core.job import FAILED, MAX_LOST, READY, RUNNING, Job
from django_loco.exceptions import JobsLocked, QueueUnavailable
from django_loco.metrics.tally import Tally
from django_loco.queues import Claim
from django_loco.queues.memory import MemoryQueue
from django_loco.worker.maintenance.housekeeping import Housekeeping


@pytest.fixture
def queue():
    return MemoryQueue("default", {})


def hold(queue: MemoryQueue, worker_id: str, lost: int = 0) -> str:
    [job] = queue.enqueue([Job(task_path="tests.app.tasks.add", backend="default", lost=lost)])
    queue.fetch(Claim(worker_id=worker_id, lease=600, threads=1))
    return job.id


def test_only_theirs_and_only_once(queue):
    ids = [hold(queue, worker_id) for worker_id in ("host:1:aaaa", "host:1:bbbb", "aaaa", "host:aaaa:cccc")]
    housekeeping = Housekeeping(queue, 600, 600, dead=["aaaa"])
    housekeeping.turn()
    assert [queue.get(i).status for i in ids] == [READY, RUNNING, READY, RUNNING]
    assert [queue.get(i).lost for i in ids] == [1, 0, 1, 0]
    assert len(queue.fetch(Claim(worker_id="host:1:aaaa", lease=600, threads=9))) == 2
    housekeeping.turn()
    assert queue.get(ids[0]).status == RUNNING


def test_what_kills_its_workers_fails_at_last(queue, caplog):
    job_id = hold(queue, "host:1:aaaa", lost=MAX_LOST - 1)
    Housekeeping(queue, 600, 600, dead=["aaaa"]).turn()
    assert queue.get(job_id).status == FAILED
    assert "has failed: it took its worker down 3 times" in caplog.text


def test_it_is_tried_again_while_the_queue_is_away(queue, monkeypatch):
    job_id = hold(queue, "host:1:aaaa")
    housekeeping = Housekeeping(queue, 600, 600, dead=["aaaa"])
    with monkeypatch.context() as patch:
        patch.setattr(queue, "list", lambda **_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            housekeeping.turn()
    housekeeping.turn()
    assert queue.get(job_id).status == READY


def test_many_are_freed_in_parts_of_which_a_failure_makes_smaller_ones(queue, monkeypatch):
    ids = [hold(queue, "host:1:aaaa") for _ in range(250)]
    sizes = []
    finish = queue.finish

    def picky(outcomes):
        sizes.append(len(outcomes))
        if len(outcomes) > 60:
            raise QueueUnavailable("too large")
        return finish(outcomes)

    monkeypatch.setattr(queue, "finish", picky)
    housekeeping = Housekeeping(queue, 600, 600, dead=["aaaa"])
    for _ in range(10):
        with suppress(QueueUnavailable):
            housekeeping.turn()
    assert sizes[:2] == [100, 50]
    assert {queue.get(job_id).status for job_id in ids} == {READY}


def test_those_that_somebody_has_locked_hold_up_no_other(queue, monkeypatch):
    """They are rescued when their leases have run out."""
    locked, *others = [hold(queue, "host:1:aaaa") for _ in range(3)]
    finish = queue.finish

    def finish_free(outcomes):
        finish([outcome for outcome in outcomes if outcome.job.id != locked])
        raise JobsLocked("locked", locked={locked})

    monkeypatch.setattr(queue, "finish", finish_free)
    tally = Tally()
    Housekeeping(queue, 600, 600, dead=["aaaa"], tally=tally).turn()
    assert [queue.get(job_id).status for job_id in (locked, *others)] == [RUNNING, READY, READY]
    assert [(each.labels.outcome, each.runs) for each in tally.take()] == [("lost", 2)]


def test_their_runs_are_counted_as_lost(queue):
    tally = Tally()
    for worker_id in ("host:1:aaaa", "host:1:aaaa", "host:1:bbbb"):
        hold(queue, worker_id)
    Housekeeping(queue, 600, 600, dead=["aaaa"], tally=tally).turn()
    assert [(each.labels.outcome, each.runs) for each in tally.take()] == [("lost", 2)]
