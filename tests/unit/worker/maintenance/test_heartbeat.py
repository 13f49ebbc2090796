"""Claims are renewed while their jobs run."""

from __future__ import annotations

from typing import Any

import pytest

from django_loco.core.job import Job
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import Claim
from django_loco.queues.memory import MemoryQueue
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.maintenance import heartbeat as heartbeat_module
from django_loco.worker.maintenance.heartbeat import Heartbeat, info_of

from ..support import Clock, TroubledQueue, claimed_of, fetched, wait_until


@pytest.fixture
def queue() -> TroubledQueue:
    return TroubledQueue()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_all_held_jobs_are_renewed_for_most_of_a_lease(queue, clock, monkeypatch):
    claimed_jobs = fetched(queue, 3)
    asked: list[Any] = []

    def renew(jobs: list[Job], lease: float) -> set[str]:
        asked.append((list(jobs), lease))
        return set()

    monkeypatch.setattr(queue, "renew", renew)
    heartbeat = Heartbeat(queue, claimed_jobs, 30, clock)
    clock.now += 5
    assert heartbeat.turn() == 10
    assert asked == [([claimed.job for claimed in claimed_jobs.values()], 27)]
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
    claimed_jobs = fetched(queue, 2)
    lost, kept = claimed_jobs.values()
    queue._jobs.held.pop(lost.job.id)
    Heartbeat(queue, claimed_jobs, 30, clock).turn()
    assert lost.stopping
    assert not kept.stopping
    assert list(claimed_jobs) == [kept.job.id]
    assert lost.job.id in caplog.text


def test_a_job_that_has_just_ended_was_not_lost(queue, clock, caplog):
    claimed_jobs = fetched(queue, 1)
    [claimed] = claimed_jobs.values()
    queue._jobs.held.clear()
    claimed.decide()
    Heartbeat(queue, claimed_jobs, 30, clock).turn()
    assert not claimed.expired
    assert list(claimed_jobs) == [claimed.job.id]
    assert caplog.text == ""


def test_after_a_lease_without_renewal_all_claims_are_in_doubt(queue, clock, caplog):
    claimed_jobs = fetched(queue, 2)
    old, young = claimed_jobs.values()
    heartbeat = Heartbeat(queue, claimed_jobs, 30, clock)
    old.fetched_at = clock.now
    clock.now += 20
    young.fetched_at = clock.now
    heartbeat.failed(QueueUnavailable("gone"))
    assert [claimed.stopping for claimed in (old, young)] == [False, False]
    clock.now += 8
    heartbeat.failed(QueueUnavailable("gone"))
    assert [claimed.stopping for claimed in (old, young)] == [True, False]
    assert list(claimed_jobs) == [old.job.id, young.job.id]  # if they can be renewed after all, so much the better
    heartbeat.failed(QueueUnavailable("gone"))
    assert caplog.text.count("1 claim has run out") == 1


def test_a_claim_in_doubt_that_is_renewed_after_all_is_kept(queue, clock):
    claimed_jobs = fetched(queue, 1)
    [claimed] = claimed_jobs.values()
    claimed.fetched_at = clock.now
    heartbeat = Heartbeat(queue, claimed_jobs, 30, clock)
    clock.now += 28
    heartbeat.failed(QueueUnavailable("gone"))
    assert claimed.stopping
    heartbeat.turn()
    assert not claimed.stopping
    assert claimed.renewed_at == clock.now


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_run_that_another_one_has_replaced_stays_lost(queue, clock, monkeypatch, is_gone):
    """Its job was rescued and fetched again by the same worker while the queue was renewing."""
    claimed_jobs = fetched(queue, 1)
    [first] = claimed_jobs.values()
    second = ClaimedJob(first.job)

    def renew(jobs: list[Job], lease: float) -> set[str]:
        first.expired = True
        claimed_jobs[first.job.id] = second
        return {first.job.id} if is_gone else set()

    monkeypatch.setattr(queue, "renew", renew)
    Heartbeat(queue, claimed_jobs, 30, clock).turn()
    assert first.stopping
    assert not second.stopping
    assert list(claimed_jobs.values()) == [second]


def test_stacks_stay_in_the_registry_for_some_minutes(queue, clock):
    info = info_of(Claim(worker_id="w1", lease=30, threads=1), 30.0)
    heartbeat = Heartbeat(queue, {}, 30, clock, worker=info)
    heartbeat.register("Thread main")
    heartbeat.register()
    assert queue.workers()[0].stacks == "Thread main"
    clock.now += heartbeat_module.STACKS_SECONDS
    heartbeat.turn()
    assert queue.workers()[0].stacks == ""


def test_the_registry_has_how_many_jobs_of_each_kind_are_held(queue, clock):
    info = info_of(Claim(worker_id="w1", lease=30, threads=1), 30.0)
    held = [claimed_of(name) for name in ("nothing", "anothing", "anothing")]
    Heartbeat(queue, {claimed.job.id: claimed for claimed in held}, 30, clock, worker=info).register()
    [shown] = queue.workers()
    assert (shown.busy, shown.busy_async) == (3, 2)


def test_the_end_of_an_outage_of_the_registry_is_logged(queue, clock, caplog):
    info = info_of(Claim(worker_id="w1", lease=60), 60)
    heartbeat = Heartbeat(queue, {}, 60, clock, worker=info)
    caplog.set_level("INFO", "django_loco.worker")
    queue.troubles["register"] = QueueUnavailable("full")
    heartbeat.register()
    heartbeat.register()
    queue.troubles.clear()
    heartbeat.register()
    heartbeat.register()
    assert [record.getMessage() for record in caplog.records] == [
        "The worker cannot be registered with its queue for now: full",
        "The worker is registered with its queue again",
    ]


def test_a_heartbeat_goes_on_after_an_outage(queue):
    claimed_jobs = fetched(queue, 1)
    heartbeat = Heartbeat(queue, claimed_jobs, 0.06)
    queue.troubles["renew"] = QueueUnavailable("gone")
    heartbeat.start()
    wait_until(lambda: claimed_jobs[next(iter(claimed_jobs))].stopping)
    queue.troubles.clear()
    before = heartbeat.last_beat
    wait_until(lambda: heartbeat.last_beat > before)
    heartbeat.end()
    assert heartbeat.join(5)


def test_a_part_that_cannot_be_renewed_costs_the_others_nothing(queue, clock, monkeypatch):
    monkeypatch.setattr(heartbeat_module, "RENEW_BATCH", 2)
    claimed_jobs = fetched(queue, 5)
    bad = list(claimed_jobs)[2]
    renew = queue.renew
    renewed: list[str] = []

    def picky(jobs: list[Job], lease: float) -> set[str]:
        if bad in [one.id for one in jobs]:
            raise QueueUnavailable("too slow")
        renewed.extend(one.id for one in jobs)
        return renew(jobs, lease)

    monkeypatch.setattr(queue, "renew", picky)
    for claimed in claimed_jobs.values():
        claimed.fetched_at = clock.now
    heartbeat = Heartbeat(queue, claimed_jobs, 30, clock)
    for _ in range(3):
        clock.now += 10
        with pytest.raises(QueueUnavailable) as caught:
            heartbeat.turn()
        heartbeat.failed(caught.value)
    ids = list(claimed_jobs)
    assert renewed == 3 * [ids[0], ids[1], ids[4]]
    assert [claimed.stopping for claimed in claimed_jobs.values()] == [False, False, True, True, False]


def test_its_claim_is_not_renewed(caplog):
    queue = MemoryQueue("default", {})
    claimed_jobs = fetched(queue, 2)
    dead, waiting = claimed_jobs.values()
    dead.started = True
    Heartbeat(queue, claimed_jobs, 30).turn()
    assert list(claimed_jobs.values()) == [waiting]
    assert dead.expired
    assert "it will be rescued" in caplog.text


def test_the_claim_of_a_later_run_is_kept_when_the_thread_of_an_earlier_one_has_died(queue, clock):
    [earlier] = fetched(queue, 1).values()
    earlier.started = True  # and no thread runs it
    later = ClaimedJob(earlier.job)

    class Held(dict[str, ClaimedJob]):
        def copy(self) -> dict[str, ClaimedJob]:
            before = dict(self)
            self[later.job.id] = later
            return before

    held = Held({earlier.job.id: earlier})
    Heartbeat(queue, held, 30, clock).turn()
    assert held == {later.job.id: later}
    assert not later.expired
