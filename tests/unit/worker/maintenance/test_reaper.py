"""Jobs of dead workers are given back, and old results are pruned."""

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
from django_loco.worker.maintenance import reaper as upkeep_module
from django_loco.worker.maintenance.reaper import Upkeep

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
    upkeep = Upkeep(queue, 30, 60, clock)
    for _ in range(4):
        with suppress(QueueUnavailable):
            upkeep.turn()
    assert sizes == [100, 50, 25, 12]
    assert len(queue.fetch(Claim(worker_id="w2", lease=30, threads=9))) == 5


def test_what_cannot_be_pruned_at_once_is_pruned_in_parts(queue, clock, monkeypatch):
    sizes: list[int] = []

    def picky(older_than: float, limit: int) -> int:
        sizes.append(limit)
        if limit > 300:
            raise QueueUnavailable("statement timeout")
        return 0

    monkeypatch.setattr(queue, "prune", picky)
    upkeep = Upkeep(queue, 30, 60, clock)
    for _ in range(3):
        with suppress(QueueUnavailable):
            upkeep.turn()
    assert sizes == [1_000, 500, 250]


def test_a_rescue_that_fails_does_not_keep_old_results(queue, clock):
    queue.troubles["rescue"] = QueueUnavailable("too large")
    with pytest.raises(QueueUnavailable):
        Upkeep(queue, 30, 60, clock).turn()
    assert queue.calls["prune"] == 1


def test_rescue_goes_on_while_there_is_more(queue, clock, monkeypatch):
    monkeypatch.setattr(upkeep_module, "RESCUE_BATCH", 2)
    fetched(queue, 5, lease=-1)
    assert Upkeep(queue, 30, 60, clock).turn() == 3
    assert queue.calls["rescue"] == 3
    assert len(queue.fetch(Claim(worker_id="w2", lease=30, threads=9))) == 5


def test_nothing_is_rescued_while_other_workers_may_only_seem_dead(queue, clock):
    fetched(queue, 1, lease=-1)
    Upkeep(queue, 30, 60, clock, may_rescue=lambda: False).turn()
    assert queue.calls["rescue"] == 0
    assert queue.calls["prune"] == 1


def test_the_end_does_not_wait_until_all_are_rescued(queue, clock, monkeypatch):
    monkeypatch.setattr(upkeep_module, "RESCUE_BATCH", 1)
    fetched(queue, 3, lease=-1)
    upkeep = Upkeep(queue, 30, 60, clock)
    rescue = queue.rescue
    monkeypatch.setattr(queue, "rescue", lambda limit: upkeep.end() or rescue(limit))
    upkeep.turn()
    assert queue.calls["rescue"] == 1


def test_the_end_does_not_wait_until_all_is_pruned(queue, clock, monkeypatch):
    upkeep = Upkeep(queue, 30, 60, clock)
    full = iter([1_000, 1_000, 0])
    monkeypatch.setattr(queue, "prune", lambda older_than, limit: upkeep.end() or next(full))
    upkeep.turn()
    assert next(full) == 1_000


def test_prune_once_a_minute_and_while_there_is_more(queue, clock, monkeypatch):
    monkeypatch.setattr(upkeep_module, "PRUNE_BATCH", 2)
    left = [2, 2, 1, 0]
    asked: list[Any] = []

    def prune(older_than: float, limit: int) -> int:
        asked.append((older_than, limit))
        return left.pop(0)

    monkeypatch.setattr(queue, "prune", prune)
    upkeep = Upkeep(queue, 30, 86_400, clock)
    for _ in range(20):
        upkeep.turn()
        clock.now += 3
    assert asked == [(86_400, 2)] * 3
    upkeep.turn()
    assert len(asked) == 4


def lost_for_good(queue: TroubledQueue, **fields: Any) -> Job:
    one = replace(job("nothing"), lost=MAX_LOST - 1, **fields)
    queue.enqueue([one])
    queue.fetch(Claim(worker_id="w1", lease=-1, threads=1))
    return one


def one_turn(upkeep: Upkeep) -> None:
    """In a thread: it tidies the connections of the one it runs in, which must not be the tests' own."""
    thread = threading.Thread(target=upkeep.turn)
    thread.start()
    thread.join()


def test_a_job_that_is_lost_for_good_is_told_of(queue, clock, caplog):
    heard: list[Any] = []

    def receiver(sender: type, task_result: Any, **kwargs: Any) -> None:
        heard.append(task_result)

    task_finished.connect(receiver)
    one = lost_for_good(queue)
    try:
        one_turn(Upkeep(queue, 30, 60, clock))
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
        one_turn(Upkeep(queue, 30, 60, clock))
    finally:
        task_finished.disconnect(receiver)
    assert heard == [one.id]
