"""Heartbeat, upkeep and waker, turn by turn and as threads."""

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
from django_loco.worker.claimed_job import Run
from django_loco.worker.maintenance import heartbeat as heartbeat_module
from django_loco.worker.maintenance import reaper as upkeep_module
from django_loco.worker.maintenance.heartbeat import Heartbeat
from django_loco.worker.maintenance.listener import Waker
from django_loco.worker.maintenance.periodic_thread import Role
from django_loco.worker.maintenance.reaper import Upkeep

from ..support import TroubledQueue, job, wait_until
from ..test_prefetch import Clock


@pytest.fixture
def queue() -> TroubledQueue:
    return TroubledQueue()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fetched(queue: TroubledQueue, count: int, lease: float = 30) -> dict[str, Run]:
    queue.enqueue([job("nothing") for _ in range(count)])
    return {one.id: Run(one) for one in queue.fetch(Claim(worker_id="w1", lease=lease, threads=count))}


# Every role


class Counting(Role):
    name = "counting"
    duty = "count"

    def __init__(self, queue: TroubledQueue) -> None:
        super().__init__(queue)
        self.turns = 0
        self.trouble: Exception | None = None

    def turn(self) -> float:
        self.turns += 1
        if self.trouble:
            raise self.trouble
        return 0.001


def test_a_role_takes_turn_after_turn(queue):
    role = Counting(queue)
    assert role.join(0)
    role.start()
    wait_until(lambda: role.turns > 3)
    assert role.is_alive
    role.end()
    assert role.join(5)
    assert queue.closed.is_set()


def test_no_error_ends_it(queue, caplog):
    role = Counting(queue)
    role.trouble = ZeroDivisionError("oops")
    role.start()
    wait_until(lambda: role.turns >= 3)
    assert role.is_alive
    role.trouble = None
    before = role.turns
    wait_until(lambda: role.turns > before + 3)
    role.end()
    assert role.join(5)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "The worker cannot count for now: oops"
    ]


# Heartbeat


def test_all_held_jobs_are_renewed_for_most_of_a_lease(queue, clock, monkeypatch):
    runs = fetched(queue, 3)
    asked: list[Any] = []

    def renew(jobs: list[Job], lease: float) -> set[str]:
        asked.append((list(jobs), lease))
        return set()

    monkeypatch.setattr(queue, "renew", renew)
    heartbeat = Heartbeat(queue, runs, 30, clock)
    clock.now += 5
    assert heartbeat.turn() == 10
    assert asked == [([run.job for run in runs.values()], 27)]
    assert heartbeat.last_beat == clock.now


def test_who_renews_in_time_is_steady(queue, clock):
    heartbeat = Heartbeat(queue, {}, 30, clock)
    for _ in range(3):
        assert heartbeat.is_steady
        clock.now += 15
        heartbeat.turn()
    assert heartbeat.is_steady


def test_who_has_not_renewed_for_half_a_lease_is_not_steady(queue, clock):
    heartbeat = Heartbeat(queue, {}, 30, clock)
    clock.now += 15.1
    assert not heartbeat.is_steady


def test_who_renews_again_is_steady_only_when_all_others_must_have_renewed_as_well(queue, clock):
    heartbeat = Heartbeat(queue, {}, 30, clock)
    clock.now += 15.1
    heartbeat.turn()
    assert not heartbeat.is_steady
    clock.now += 9.9
    heartbeat.turn()
    assert not heartbeat.is_steady
    clock.now += 0.2
    assert heartbeat.is_steady


def test_with_nothing_held_the_queue_is_not_asked(queue, clock):
    Heartbeat(queue, {}, 30, clock).turn()
    assert queue.calls["renew"] == 0


def test_a_lost_claim_is_told_to_its_job_and_not_renewed_again(queue, clock, caplog):
    runs = fetched(queue, 2)
    lost, kept = runs.values()
    queue._held.pop(lost.job.id)
    Heartbeat(queue, runs, 30, clock).turn()
    assert lost.stopping
    assert not kept.stopping
    assert list(runs) == [kept.job.id]
    assert lost.job.id in caplog.text


def test_a_job_that_has_just_ended_was_not_lost(queue, clock, caplog):
    runs = fetched(queue, 1)
    [run] = runs.values()
    queue._held.clear()
    run.settle()
    Heartbeat(queue, runs, 30, clock).turn()
    assert not run.lost
    assert list(runs) == [run.job.id]
    assert caplog.text == ""


def test_after_a_lease_without_renewal_all_claims_are_in_doubt(queue, clock, caplog):
    runs = fetched(queue, 2)
    old, young = runs.values()
    heartbeat = Heartbeat(queue, runs, 30, clock)
    old.fetched_at = clock.now
    clock.now += 20
    young.fetched_at = clock.now
    heartbeat.failed(QueueUnavailable("gone"))
    assert [run.stopping for run in (old, young)] == [False, False]
    clock.now += 8
    heartbeat.failed(QueueUnavailable("gone"))
    assert [run.stopping for run in (old, young)] == [True, False]
    assert list(runs) == [old.job.id, young.job.id]  # if they can be renewed after all, so much the better
    heartbeat.failed(QueueUnavailable("gone"))
    assert caplog.text.count("have run out") == 1


def test_a_claim_in_doubt_that_is_renewed_after_all_is_kept(queue, clock):
    runs = fetched(queue, 1)
    [run] = runs.values()
    run.fetched_at = clock.now
    heartbeat = Heartbeat(queue, runs, 30, clock)
    clock.now += 28
    heartbeat.failed(QueueUnavailable("gone"))
    assert run.stopping
    heartbeat.turn()
    assert not run.stopping
    assert run.renewed_at == clock.now


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_run_that_another_one_has_replaced_stays_lost(queue, clock, monkeypatch, is_gone):
    """Its job was rescued and fetched again by the same worker while the queue was renewing."""
    runs = fetched(queue, 1)
    [first] = runs.values()
    second = Run(first.job)

    def renew(jobs: list[Job], lease: float) -> set[str]:
        first.lost = True
        runs[first.job.id] = second
        return {first.job.id} if is_gone else set()

    monkeypatch.setattr(queue, "renew", renew)
    Heartbeat(queue, runs, 30, clock).turn()
    assert first.stopping
    assert not second.stopping
    assert list(runs.values()) == [second]


def test_a_heartbeat_goes_on_after_an_outage(queue):
    runs = fetched(queue, 1)
    heartbeat = Heartbeat(queue, runs, 0.06)
    queue.troubles["renew"] = QueueUnavailable("gone")
    heartbeat.start()
    wait_until(lambda: runs[next(iter(runs))].stopping)
    queue.troubles.clear()
    before = heartbeat.last_beat
    wait_until(lambda: heartbeat.last_beat > before)
    heartbeat.end()
    assert heartbeat.join(5)


def test_a_part_that_cannot_be_renewed_costs_the_others_nothing(queue, clock, monkeypatch):
    monkeypatch.setattr(heartbeat_module, "RENEW_BATCH", 2)
    runs = fetched(queue, 5)
    bad = list(runs)[2]
    renew = queue.renew
    renewed: list[str] = []

    def picky(jobs: list[Job], lease: float) -> set[str]:
        if bad in [one.id for one in jobs]:
            raise QueueUnavailable("too slow")
        renewed.extend(one.id for one in jobs)
        return renew(jobs, lease)

    monkeypatch.setattr(queue, "renew", picky)
    for run in runs.values():
        run.fetched_at = clock.now
    heartbeat = Heartbeat(queue, runs, 30, clock)
    for _ in range(3):
        clock.now += 10
        with pytest.raises(QueueUnavailable) as caught:
            heartbeat.turn()
        heartbeat.failed(caught.value)
    ids = list(runs)
    assert renewed == 3 * [ids[0], ids[1], ids[4]]
    assert [run.stopping for run in runs.values()] == [False, False, True, True, False]


# Upkeep


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


# Waker


@pytest.fixture
def waker(queue):
    waker = Waker(queue, threading.Event(), threading.Event())
    yield waker
    waker.end()
    assert waker.join(5)


def test_jobs_ring_the_bell_of_a_hungry_fetcher(queue, waker):
    waker._hungry.set()
    waker.start()
    wait_until(lambda: queue.calls["wait"])
    queue.enqueue([job("nothing")])
    assert waker._bell.wait(5)
    assert not waker._hungry.is_set()


def test_and_of_no_other(queue, waker):
    waker.start()
    queue.enqueue([job("nothing")])
    assert not waker._bell.wait(0.05)
    assert queue.calls["wait"] == 0


def test_a_hungry_fetcher_is_not_left_waiting_between_two_waits(queue, waker, monkeypatch):
    results = iter([False, False, False, True])
    monkeypatch.setattr(queue, "wait", lambda timeout: next(results))
    waker._hungry.set()
    waker.start()
    assert waker._bell.wait(5)


def test_a_waker_ends_in_the_midst_of_waiting(queue, waker):
    waker._hungry.set()
    waker.start()
    wait_until(lambda: queue.calls["wait"])
    waker.end()
    assert waker.join(0.7)
