"""The thread that rescues and prunes."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from django_loco.core.job import SUCCESSFUL, Job, Outcome
from django_loco.exceptions import QueueUnavailable
from django_loco.metrics.tally import Tally
from django_loco.queues import Claim
from django_loco.signals import job_lost
from django_loco.worker.execution import announcer
from django_loco.worker.maintenance.housekeeping import Housekeeping

from .. import tasks
from ..support import Clock, TroubledQueue, job, wait_until


@pytest.fixture
def queue() -> TroubledQueue:
    return TroubledQueue()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_rescue_that_fails_does_not_keep_old_results(queue, clock):
    queue.troubles["rescue"] = QueueUnavailable("too large")
    with pytest.raises(QueueUnavailable):
        Housekeeping(queue, 30, 60, clock).turn()
    assert queue.calls["prune"] == 1


@pytest.fixture
def tally() -> Tally:
    return Tally()


def count(tally: Tally) -> None:
    tally.lost([Job(task_path="shop.send", backend="default")])


def test_statistics_are_written_once_a_minute_even_if_rescues_fail(queue, clock, tally):
    queue.troubles["rescue"] = QueueUnavailable("too large")
    housekeeping = Housekeeping(queue, 30, 60, clock, tally=tally)
    for _ in range(40):
        count(tally)
        with pytest.raises(QueueUnavailable):
            housekeeping.turn()
        clock.now += 3
    [found] = {each.labels: each.runs for each in queue.minutes(0)}.values()
    assert found == 21


def test_statistics_are_written_at_the_end(queue, clock, tally):
    housekeeping = Housekeeping(queue, 30, 60, clock, tally=tally)
    count(tally)
    housekeeping.close()
    assert [each.runs for each in queue.minutes(0)] == [1]


def test_the_end_does_not_wait_for_a_queue_that_is_away(queue, clock, tally):
    housekeeping = Housekeeping(queue, 30, 60, clock, tally=tally)
    housekeeping.failed(QueueUnavailable("gone"))
    count(tally)
    housekeeping.close()
    assert queue.minutes(0) == []


def test_a_receiver_that_hangs_holds_up_no_rescue(queue, start, monkeypatch):
    monkeypatch.setattr(announcer, "_announcer", announcer.Announcer(0.1))
    release, heard = threading.Event(), []

    def receiver(task_result: Any, **_: Any) -> None:
        heard.append(task_result.id)
        release.wait(20)

    ids = [one.id for one in queue.enqueue([job("nothing") for _ in range(2)])]
    job_lost.connect(receiver)
    try:
        queue.fetch(Claim(worker_id="dead", lease=-1, threads=1))
        worker = start(queue, lease=0.3)
        wait_until(lambda: queue.get(ids[0]).status == SUCCESSFUL)
        wait_until(lambda: worker.health()["trouble"])
        assert "a receiver of a signal has not returned" in worker.health()["trouble"]
        [second] = queue.enqueue([job("wait_for", "a")])
        tasks.retried(tasks.events["a began"])
        assert queue.finish([Outcome.released(worker._held[second.id].job)]) == set()
        [taken] = queue.fetch(Claim(worker_id="dead", lease=-1, threads=1))
        wait_until(lambda: queue.get(taken.id).lost == 1)
        assert heard == [ids[0]]
    finally:
        release.set()
        job_lost.disconnect(receiver)


def test_rescues_do_not_wait_until_all_old_results_are_deleted(queue, clock, monkeypatch):
    def prune(older_than: float, limit: int) -> int:
        clock.now += 0.07
        return limit

    monkeypatch.setattr(queue, "prune", prune)
    housekeeping = Housekeeping(queue, 30, 60, clock)
    assert [housekeeping.turn() for _ in range(5)] == [0] * 5
    assert queue.calls["rescue"] == 5
    monkeypatch.setattr(queue, "prune", lambda older_than, limit: 0)
    assert [housekeeping.turn() for _ in range(2)] == [3, 3]


def test_the_next_turn_goes_on_with_old_results_though_batches_have_been_finished(queue, clock, monkeypatch):
    deleted = iter([1_000] * 4)

    def prune(older_than: float, limit: int) -> int:
        clock.now += 0.3
        return next(deleted)

    monkeypatch.setattr(queue, "prune", prune)
    housekeeping = Housekeeping(queue, 30, 60, clock)
    for _ in range(2):
        housekeeping.turn()
        housekeeping._follow_up.note([Job(task_path="shop.send", backend="default", batch="b", status="SUCCESSFUL")])
    assert len([*deleted]) == 2
