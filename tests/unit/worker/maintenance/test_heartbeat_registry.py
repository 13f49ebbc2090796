"""How workers show that they live, and how those that have died are noticed."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_loco.core.job import utcnow
from django_loco.exceptions import QueueUnavailable
from django_loco.queues.memory import MemoryQueue
from django_loco.queues.workers import WorkerInfo
from django_loco.worker.maintenance.batch_size import BatchSize
from django_loco.worker.maintenance.cancellations import Cancellations
from django_loco.worker.maintenance.heartbeat import Heartbeat
from django_loco.worker.maintenance.housekeeping import Housekeeping
from django_loco.worker.maintenance.reaper import IMPORTED_AT, report_dead, rescue_jobs_of

from ..support import Clock, fetched


def worker(name: str, lease: float = 30) -> WorkerInfo:
    return WorkerInfo(
        worker_id=f"host:1:{name}",
        host="host",
        pid=1,
        queues=None,
        tags=None,
        threads=1,
        coroutines=1,
        lease=lease,
        started_at=utcnow(),
    )


class TroubledQueue(MemoryQueue):
    trouble: Exception | None = None
    asked = 0

    def register(self, worker: WorkerInfo) -> None:
        if self.trouble:
            raise self.trouble
        super().register(worker)

    def unregister(self, worker_id: str) -> bool:
        if self.trouble:
            raise self.trouble
        return super().unregister(worker_id)

    def workers(self) -> Sequence[WorkerInfo]:
        self.asked += 1
        return super().workers()


@pytest.fixture
def queue() -> MemoryQueue:
    return TroubledQueue("default", {})


@pytest.fixture
def clock() -> Clock:
    return Clock()


def known(queue: MemoryQueue) -> list[str]:
    return [one.worker_id for one in queue.workers()]


def heartbeat(queue: MemoryQueue, clock: Clock) -> Heartbeat:
    return Heartbeat(queue, fetched(queue, 2), 30, clock, worker=worker("a"))


def test_each_heartbeat_shows_that_the_worker_lives_and_how_much_it_holds(queue, clock):
    beat = heartbeat(queue, clock)
    assert known(queue) == []
    for _ in range(2):
        beat.turn()
        [shown] = queue.workers()
        assert (shown.worker_id, shown.busy) == ("host:1:a", 2)
        queue.unregister("host:1:a")


@pytest.mark.parametrize("has_entry", [False, True])
def test_a_store_that_was_emptied_is_told(queue, clock, caplog, has_entry):
    """One deleted job is none: the worker's own entry is still there."""
    held = fetched(queue, 2)
    cancellations = Cancellations(queue, held, lambda _: None)
    beat = Heartbeat(queue, held, 30, clock, worker=worker("a"), on_lost=cancellations.interrupt_cancelled)
    beat.turn()
    queue.clear()
    queue.unregister("host:1:a")
    if has_entry:
        queue.register(worker("a"))
    beat.turn()
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in lines] == ["WARNING", "WARNING", *([] if has_entry else ["ERROR"])]
    assert "is no longer in the queue (it was deleted, or the store was emptied or replaced); it keeps" in lines[0][1]
    assert has_entry or lines[-1][1].startswith("The store of TASKS['default'] was emptied or replaced")
    assert known(queue) == ["host:1:a"]
    caplog.clear()
    beat.turn()
    assert not caplog.records


def test_a_worker_that_ends_is_no_longer_listed(queue, clock):
    beat = heartbeat(queue, clock)
    beat.turn()
    beat.close()
    assert known(queue) == []


def test_a_queue_that_was_away_is_asked_at_the_end(queue, clock):
    beat = heartbeat(queue, clock)
    beat.turn()
    beat.backoff.failed(QueueUnavailable("gone"))
    beat.close()
    assert known(queue) == []


@pytest.mark.parametrize("error", [QueueUnavailable("gone"), ImproperlyConfigured("gone")], ids=["away", "wrong"])
def test_a_queue_that_cannot_be_asked_at_the_end_is_no_trouble(queue, clock, caplog, error):
    caplog.set_level("INFO", "django_loco")
    beat = heartbeat(queue, clock)
    beat.turn()
    queue.trouble = error
    beat.close()
    [record] = caplog.records
    assert (record.levelname, record.getMessage()) == (
        "INFO",
        "The worker could not take itself off the registry: gone",
    )


def test_trouble_with_the_list_is_logged_once_and_costs_no_heartbeat(queue, clock, caplog):
    beat = heartbeat(queue, clock)
    queue.trouble = QueueUnavailable("no such table")
    for _ in range(3):
        clock.now += 10
        beat.turn()
    assert beat.last_beat == clock.now
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    queue.trouble = None
    beat.turn()
    queue.trouble = QueueUnavailable("no such table")
    beat.turn()
    assert len(caplog.records) == 2, "it is another trouble now"


def test_a_death_is_reported_once_and_the_living_are_not(queue, caplog):
    queue.register(worker("living"))
    queue.register(worker("dead", lease=-1))
    report_dead(queue)
    report_dead(queue)
    assert known(queue) == ["host:1:living"]
    [record] = caplog.records
    assert "Worker host:1:dead (process 1 on host) has died" in record.getMessage()


def test_after_an_outage_a_process_reports_nobody_until_it_has_given_a_sign_of_life(queue, caplog):
    own = {"host": socket.gethostname(), "pid": os.getpid(), "started_at": utcnow()}
    queue.register(replace(worker("own", lease=-1), **own))
    queue.register(worker("other", lease=-1))
    assert not report_dead(queue)
    assert caplog.text == ""
    queue.register(replace(worker("own"), **own))
    assert report_dead(queue)
    assert known(queue) == ["host:1:own"]


def test_an_earlier_process_with_the_same_number_is_reported(queue):
    earlier = {"host": socket.gethostname(), "pid": os.getpid(), "started_at": IMPORTED_AT - timedelta(seconds=1)}
    queue.register(replace(worker("earlier", lease=-1), **earlier))
    assert report_dead(queue)
    assert known(queue) == []


def test_the_death_of_a_process_that_has_exited_is_reported_without_an_age(queue, caplog):
    queue.register(worker("living"))
    queue.register(worker("dead"))
    rescue_jobs_of(["dead"], queue, BatchSize(100))
    assert known(queue) == ["host:1:living"]
    [record] = caplog.records
    assert "Worker host:1:dead (process 1 on host) has died: its process has exited." in record.getMessage()


def test_of_several_that_notice_a_death_one_reports_it(queue, caplog, monkeypatch):
    queue.register(worker("dead", lease=-1))
    monkeypatch.setattr(queue, "unregister", lambda worker_id: False)
    report_dead(queue)
    assert caplog.text == ""


def test_upkeep_looks_for_the_dead_once_in_a_third_of_a_lease(queue, clock):
    housekeeping = Housekeeping(queue, 30, 60, clock)
    asked = []
    for _ in range(8):
        housekeeping.turn()
        asked.append(queue.asked)
        clock.now += 3
    assert asked == [1, 1, 1, 1, 2, 2, 2, 2]


def test_upkeep_reports_nobody_while_it_may_not_rescue(queue, clock):
    queue.register(worker("suspended", lease=-1))
    Housekeeping(queue, 30, 60, clock, may_rescue=lambda: False).turn()
    assert known(queue) == ["host:1:suspended"]


def test_nobody_is_reported_as_dead_right_after_an_outage(queue, clock, caplog, monkeypatch):
    """Nobody could show that it is alive: this worker itself would be among the dead."""
    queue.register(worker("silent", lease=-1))
    housekeeping = Housekeeping(queue, 30, 60, clock)
    with monkeypatch.context() as outage:
        outage.setattr(queue, "rescue", lambda limit=100: (_ for _ in ()).throw(QueueUnavailable("away")))
        with pytest.raises(QueueUnavailable):
            housekeeping.turn()
    for _ in range(9):
        clock.now += 3
        housekeeping.turn()
    assert known(queue) == ["host:1:silent"]
    clock.now += 3
    housekeeping.turn()
    assert known(queue) == []


def test_upkeep_reports_those_that_are_known_to_have_died(queue, clock, caplog):
    queue.register(worker("aaaa"))
    queue.register(worker("bbbb"))
    Housekeeping(queue, 30, 60, clock, dead=["aaaa"]).turn()
    assert known(queue) == ["host:1:bbbb"]
    assert "Worker host:1:aaaa" in caplog.text
