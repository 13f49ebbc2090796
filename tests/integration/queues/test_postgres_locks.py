"""Jobs that a transaction of somebody else has locked: the threads of a worker do not wait for them."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection

from django_loco.core.job import READY, RUNNING, SUCCESSFUL, Job, Outcome, utcnow
from django_loco.core.job.limits import Limit
from django_loco.exceptions import JobsLocked
from django_loco.queues import Claim
from django_loco.queues.database import DatabaseQueue
from django_loco.queues.records.pauses import JobPause
from django_loco.queues.timeouts import no_store_timeout, store_timeout

from ...conftest import ON_POSTGRES

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not ON_POSTGRES, reason="about PostgreSQL; runs when LOCO_TEST_DATABASE is postgres"),
]
SECONDS = 20.0


@pytest.fixture
def queue():
    """A queue, in a thread of a worker that soon gives up what it waits for."""
    queue = DatabaseQueue("default", {})
    with store_timeout(2.0):
        yield queue
    queue.clear()
    queue.close()


def job(**given):
    return Job(task_path="a.b", backend="default", **given)


def fetch(queue, **given):
    return queue.fetch(Claim(worker_id="w", lease=30, **{"threads": 100} | given))


def held(queue, number, **given):
    queue.enqueue([job(**given) for _ in range(number)])
    return fetch(queue)


def lock(other, one):
    other.execute("SELECT 1 FROM django_loco_job WHERE id = %s FOR UPDATE", [one.id])


def done(one):
    return Outcome(job=one, status=SUCCESSFUL, return_value="1")


@pytest.mark.parametrize("limit_key", [None, "k"])
def test_a_finish_stores_what_is_free_and_names_the_others(queue, other, limit_key):
    first, locked, last = held(queue, 3, limit_key=limit_key)
    unknown = job().claimed(worker_id="w", token="t", at=utcnow())
    lock(other, locked)
    outcomes = [done(one).not_begun() for one in (first, locked, last, unknown)]
    with pytest.raises(JobsLocked) as caught:
        queue.finish(outcomes)
    assert (caught.value.locked, caught.value.refused) == ({locked.id}, {unknown.id})
    assert [queue.get(one.id).status for one in (first, locked, last)] == [SUCCESSFUL, RUNNING, SUCCESSFUL]
    other.execute("ROLLBACK")
    assert queue.finish([done(locked)]) == set()
    assert queue.finish([done(locked)]) == {locked.id}


def test_what_somebody_cancels_is_locked_and_then_refused(queue, other):
    [cancelled] = held(queue, 1)
    other.execute("UPDATE django_loco_job SET status = 'FAILED', token = NULL WHERE id = %s", [cancelled.id])
    with pytest.raises(JobsLocked, match="a transaction that is still open has locked 1 of them"):
        queue.finish([done(cancelled)])
    other.execute("COMMIT")
    assert queue.finish([done(cancelled)]) == {cancelled.id}


def test_a_job_that_waits_for_a_signal_is_not_woken_by_a_lock(queue, other, monkeypatch):
    """The lock is gone between the statement for jobs without a signal and the one for those that have got one."""
    waiting, signalled = held(queue, 2)
    assert queue.signal(signalled, '{"a":{"value":1}}')
    later = utcnow() + timedelta(hours=1)
    outcomes = [
        Outcome(job=one, status=READY, run_after=later, spent=False, waits=True) for one in (waiting, signalled)
    ]
    lock(other, waiting)
    write = queue._dialect.write

    def write_and_unlock(*args, **given):
        rows = write(*args, **given)
        other.execute("ROLLBACK")
        return rows

    with monkeypatch.context() as patch:
        patch.setattr(queue._dialect, "write", write_and_unlock)
        with pytest.raises(JobsLocked) as caught:
            queue.finish(outcomes)
    assert caught.value.locked == {waiting.id}
    assert queue.get(waiting.id).status == RUNNING
    assert queue.get(signalled.id).run_after == outcomes[1].at, "since the signal"
    assert queue.finish(outcomes[:1]) == set()
    assert queue.get(waiting.id).run_after == later


def test_the_threads_of_a_site_wait_as_ever(queue, other):
    [locked] = held(queue, 1)
    lock(other, locked)
    refused = []

    def finish():
        with no_store_timeout():
            refused.append(queue.finish([done(locked)]))
        queue.close()

    thread = threading.Thread(target=finish)
    thread.start()
    with connection.cursor() as cursor:
        while cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
            assert thread.is_alive()
    other.execute("ROLLBACK")
    thread.join(SECONDS)
    assert refused == [set()]


def test_progress_of_a_locked_job_is_stored_later(queue, other):
    locked, free = held(queue, 2)
    lock(other, locked)
    with store_timeout(1.0):
        with pytest.raises(JobsLocked):
            queue.update(locked, "progress", "[1]")
        assert queue.update(free, "progress", "[1]")
        other.execute("ROLLBACK")
        assert queue.update(locked, "progress", "[1]")
        assert not queue.update(job().claimed(worker_id="w", token="t", at=utcnow()), "progress", "[1]")


def test_a_fetch_takes_the_limited_jobs_behind_a_locked_one(queue, other):
    limits = {"k": Limit(concurrency=5)}
    first, second = queue.enqueue([job(limit_key="k"), job(limit_key="k")])
    lock(other, first)
    assert fetch(queue, threads=1, limits=limits) == []
    assert [one.id for one in fetch(queue, threads=1, limits=limits)] == [second.id]
    other.execute("ROLLBACK")
    assert [one.id for one in fetch(queue, threads=1, limits=limits)] == [first.id]


def test_a_fetch_passes_over_a_locked_job_of_the_future(queue, other):
    """Which a clock that was put back has left there."""
    first, second = queue.enqueue([job(), job()])
    for one in (first, second):
        other.execute(
            "UPDATE django_loco_job SET due_at = due_at + interval '1 h', id = %s WHERE id = %s",
            [id_ahead(one), one.id],
        )
    other.execute("COMMIT")
    other.execute("BEGIN")
    lock(other, Job(task_path="", backend="default", id=id_ahead(first)))
    assert [one.id for one in fetch(queue)] == [id_ahead(second)]


def test_a_fetch_holds_back_what_is_free_of_a_paused_task(queue, other):
    locked, free = queue.enqueue([job(), job()])
    lock(other, locked)
    queue.pause_jobs(JobPause("task", "a.b"))
    assert fetch(queue) == []
    other.execute("SELECT due_at > now() + interval '1 y' FROM django_loco_job WHERE id = %s", [free.id])
    assert other.fetchone() == (True,)


def id_ahead(one):
    return f"0{int(one.id[1:12], 16) + 3_600_000:011x}{one.id[12:]}"
