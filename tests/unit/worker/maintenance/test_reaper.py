"""Jobs of dead workers are given back."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from django_loco.core.compat import task_finished
from django_loco.core.job import FAILED, MAX_LOST, Job
from django_loco.exceptions import LostJob, QueueUnavailable
from django_loco.queues import Claim
from django_loco.worker.maintenance import reaper as reaper_module
from django_loco.worker.maintenance.housekeeping import Housekeeping

from ..support import Clock, TroubledQueue, fetched, job


@pytest.fixture
def queue() -> TroubledQueue:
    return TroubledQueue()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_cannot_be_rescued_at_once_is_rescued_in_parts(queue, clock, monkeypatch):
    fetched(queue, 5, lease=-1)
    rescue = queue.rescue
    sizes: list[int] = []

    def picky(limit: int) -> list[Job]:
        sizes.append(limit)
        if limit > 13:
            raise QueueUnavailable("too large")
        return rescue(limit)

    monkeypatch.setattr(queue, "rescue", picky)
    housekeeping = Housekeeping(queue, 30, 60, clock)
    for _ in range(4):
        with suppress(QueueUnavailable):
            housekeeping.turn()
    assert sizes == [100, 50, 25, 12]
    assert len(queue.fetch(Claim(worker_id="w2", lease=30, threads=9))) == 5


def test_rescue_goes_on_while_there_is_more(queue, clock, monkeypatch):
    monkeypatch.setattr(reaper_module, "RESCUE_BATCH", 2)
    fetched(queue, 5, lease=-1)
    assert Housekeeping(queue, 30, 60, clock).turn() == 3
    assert queue.calls["rescue"] == 3
    assert len(queue.fetch(Claim(worker_id="w2", lease=30, threads=9))) == 5


def test_nothing_is_rescued_while_other_workers_may_only_seem_dead(queue, clock):
    fetched(queue, 1, lease=-1)
    Housekeeping(queue, 30, 60, clock, may_rescue=lambda: False).turn()
    assert queue.calls["rescue"] == 0
    assert queue.calls["prune"] == 1


def test_the_end_does_not_wait_until_all_are_rescued(queue, clock, monkeypatch):
    monkeypatch.setattr(reaper_module, "RESCUE_BATCH", 1)
    fetched(queue, 3, lease=-1)
    housekeeping = Housekeeping(queue, 30, 60, clock)
    rescue = queue.rescue
    monkeypatch.setattr(queue, "rescue", lambda limit: housekeeping.end() or rescue(limit))
    housekeeping.turn()
    assert queue.calls["rescue"] == 1


def lost_for_good(queue: TroubledQueue, **fields: Any) -> Job:
    one = replace(job("nothing"), lost=MAX_LOST - 1, **fields)
    queue.enqueue([one])
    queue.fetch(Claim(worker_id="w1", lease=-1, threads=1))
    return one


def one_turn(housekeeping: Housekeeping) -> None:
    """In a thread: it tidies the connections of the one it runs in, which must not be the tests' own."""
    thread = threading.Thread(target=housekeeping.turn)
    thread.start()
    thread.join()


def test_a_job_that_is_lost_for_good_is_told_of(queue, clock, caplog):
    heard: list[Any] = []

    def receiver(sender: type, task_result: Any, **kwargs: Any) -> None:
        heard.append(task_result)

    task_finished.connect(receiver)
    one = lost_for_good(queue)
    try:
        one_turn(Housekeeping(queue, 30, 60, clock))
    finally:
        task_finished.disconnect(receiver)
    assert [(result.id, result.status) for result in heard] == [(one.id, FAILED)]
    assert heard[0].errors[-1].exception_class is LostJob
    [record] = [record for record in caplog.records if record.exc_info]
    assert record.exc_info[0] is LostJob
    assert "took its worker down 3 times" in caplog.text


def test_even_if_its_task_is_not_known_here(queue, clock):
    heard: list[Any] = []

    def receiver(sender: type, task_result: Any, **kwargs: Any) -> None:
        heard.append(task_result.id)

    task_finished.connect(receiver)
    one = lost_for_good(queue, task_path="gone.tasks.nothing")
    try:
        one_turn(Housekeeping(queue, 30, 60, clock))
    finally:
        task_finished.disconnect(receiver)
    assert heard == [one.id]
