"""A row that was edited by hand and cannot be read: its job fails, and no other job notices."""

import logging
from datetime import timedelta

import pytest
from django.db import connection

from django_loco.core.compat import TaskResultStatus, task_backends
from django_loco.core.job import FAILED, READY, RUNNING, SUCCESSFUL, Job, Outcome, utcnow
from django_loco.models import StoredJob
from django_loco.queues import Claim
from django_loco.queues.database import DatabaseQueue

from ...conftest import ON_POSTGRES

pytestmark = pytest.mark.django_db(transaction=True)

NOT_A_LIST = [
    "'no JSON'",
    "''",
    "'7'",
    "'null'",
    "'[7]'",
    "'[null]'",
    "'{\"a\": 1}'",
    "'\"text\"'",
    f"'{'[' * 100_000}'",
]
BROKEN = [
    *[(column, value) for column in ("tags", "errors") for value in NOT_A_LIST],
    *[("worker_ids", value) for value in NOT_A_LIST if value != "'[7]'"],
    *[("worker_ids", value) for value in ("'[-7]'", "'[1e99]'", "'[true]'", "'[9999999999999]'")],
    *[("options", value) for value in ("'no JSON'", "''", "'7'", "'null'", "'[]'", "'\"text\"'")],
    *[("errors", value) for value in ("'[{}]'", '\'[{"exception_class_path": 1, "traceback": "x"}]\'', "'[[1, 2]]'")],
]
TIMES = ("run_after", "enqueued_at", "started_at")
if ON_POSTGRES:
    BROKEN += [(time, value) for time in TIMES for value in ("'infinity'", "'-infinity'", "'12000-01-01'")]
    BROKEN += [(time, "'0044-03-15 BC'") for time in TIMES]
else:
    BROKEN += [(time, value) for time in TIMES for value in ("'soon'", "''", "7", "'2026-02-30 00:00:00'", "x'00'")]
    BROKEN += [("priority", "'high'"), ("priority", "1e30"), ("lost", "'often'"), ("arguments", "x'ff'")]
    BROKEN += [(column, "CAST(x'ff' AS TEXT)") for column in ("tags", "options", "queue_name", "task_path", "errors")]


@pytest.fixture
def queue():
    return DatabaseQueue("default", {})


def spoil(job, column, value):
    with connection.cursor() as cursor:
        digits = (
            job.id if not ON_POSTGRES else f"{job.id[:8]}-{job.id[8:12]}-{job.id[12:16]}-{job.id[16:20]}-{job.id[20:]}"
        )
        cursor.execute(f"UPDATE {StoredJob._meta.db_table} SET {column} = {value} WHERE id = %s", [digits])
        assert cursor.rowcount == 1


def three(queue, **given):
    jobs = [Job(task_path="shop.tasks.send", backend="default", **given) for _ in range(3)]
    return queue.enqueue(jobs)


def fetch(queue, **given):
    return queue.fetch(Claim(**{"worker_id": "w", "lease": 60, "threads": 9, "coroutines": 9} | given))


def statuses(queue):
    found = {}
    for (_, status), count in queue.counts().items():
        found[status] = found.get(status, 0) + count
    return found


def ids(jobs):
    return {job.id for job in jobs}


@pytest.mark.parametrize(("column", "value"), BROKEN, ids=[f"{column} {value:.30}" for column, value in BROKEN])
def test_a_job_that_cannot_be_read_fails_and_holds_up_nobody(queue, caplog, column, value):
    good, bad, better = three(queue)
    spoil(bad, column, value)
    assert ids(queue.list()) == ids(queue.list_calls()) == {good.id, bad.id, better.id}
    assert not queue.get(bad.id).is_readable
    assert f"{column}: " in queue.get(bad.id).errors[-1].traceback
    assert queue.oldest_due() is not None
    with caplog.at_level(logging.ERROR, "django_loco.queues"):
        assert ids(fetch(queue)) == {good.id, better.id}
    assert f"Job {bad.id} of TASKS['default'] fails" in caplog.text
    assert statuses(queue) == {FAILED: 1, RUNNING: 2}
    [failed] = queue.list(status=FAILED)
    assert "cannot be read as it is stored in the table django_loco_job" in failed.errors[-1].traceback
    assert failed.token is None
    assert queue.prune(older_than=-1) == 1
    assert queue.get(bad.id) is None


@pytest.mark.parametrize(("column", "value"), BROKEN, ids=[f"{column} {value:.30}" for column, value in BROKEN])
def test_so_does_one_that_is_spoilt_while_its_worker_dies(queue, caplog, column, value):
    jobs = three(queue)
    fetch(queue, lease=-1)
    spoil(jobs[0], column, value)
    with caplog.at_level(logging.ERROR, "django_loco.queues"):
        assert {job.id: job.lost for job in queue.rescue()} == {job.id: 1 for job in jobs[1:]}
    assert f"Job {jobs[0].id} of TASKS['default'] fails" in caplog.text
    assert statuses(queue) == {FAILED: 1, READY: 2}
    assert queue.rescue() == []


def test_a_hundred_broken_ones_do_not_stop_the_rescue(queue):
    jobs = three(queue)
    others = queue.enqueue([Job(task_path="shop.tasks.send", backend="default") for _ in range(100)])
    fetch(queue, threads=200, lease=-1)
    for job in others:
        spoil(job, "options", "'[]'")
    freed = [job for _ in range(2) for job in queue.rescue(limit=100)]
    assert ids(freed) == ids(jobs)


def test_a_row_that_is_spoilt_while_it_runs_can_be_finished_and_released(queue):
    held = fetch(queue, threads=len(three(queue)))
    for job in held:
        spoil(job, "tags", "'no JSON'")
    assert queue.renew(held, 60) == set()
    assert queue.update(held[0], "checkpoint", "1")
    done = [Outcome(job=held[0], status=SUCCESSFUL, return_value="1"), Outcome.released(held[1])]
    assert queue.finish(done) == set()
    assert queue.get(held[0].id).status == SUCCESSFUL
    stored = []
    assert queue.exchange([Outcome.released(held[2])], Claim(worker_id="w", lease=60, threads=9), stored.append) == []
    assert stored == [set()]
    assert statuses(queue) == {SUCCESSFUL: 1, FAILED: 2}


@pytest.mark.parametrize("value", ["'GONE'", "''", "'ready'"])
def test_a_status_that_there_is_not_is_shown_as_failed_and_never_run(queue, value):
    jobs = three(queue)
    spoil(jobs[0], "status", value)
    assert ids(fetch(queue)) == ids(jobs[1:])
    assert queue.rescue() == []
    assert statuses(queue)[RUNNING] == 2
    assert queue.get(jobs[0].id).status == FAILED
    assert len(queue.list()) == 3


def test_a_job_that_was_made_ready_by_hand_is_not_deleted_but_run(queue):
    job, *_ = three(queue)
    for held in fetch(queue):
        queue.finish([Outcome(job=held, status=FAILED, at=utcnow() - timedelta(days=2))])
    spoil(job, "status", "'READY'")
    assert queue.prune(older_than=86_400) == 2
    [again] = fetch(queue)
    assert again.id == job.id
    assert queue.finish([Outcome(job=again, status=SUCCESSFUL, return_value="1")]) == set()
    assert queue.get(job.id).status == SUCCESSFUL


def test_a_broken_row_is_of_its_series_still(queue):
    jobs = [Job(task_path="a.b", backend="default", key=f"nightly@{number}") for number in range(3)]
    queue.enqueue(jobs)
    spoil(jobs[1], "tags", "'no JSON'")
    assert ids(queue.series("nightly")) == ids(jobs)


@pytest.mark.skipif(ON_POSTGRES, reason="PostgreSQL stores nothing but times in such a column")
@pytest.mark.parametrize("value", ["'0'", "7", "x'00'"])
def test_a_due_time_that_is_none_delays_nobody(queue, value):
    jobs = three(queue)
    spoil(jobs[0], "due_at", value)
    assert queue.oldest_due() in (None, min(job.due_at for job in jobs[1:]))
    assert {job.id for job in fetch(queue)} >= ids(jobs[1:])


@pytest.mark.skipif(not ON_POSTGRES, reason="SQLite has no infinite times")
def test_so_does_an_infinite_one_delay_nobody(queue):
    jobs = three(queue)
    spoil(jobs[0], "due_at", "'-infinity'")
    spoil(jobs[1], "due_at", "'infinity'")
    assert queue.oldest_due() is None
    assert ids(fetch(queue)) == {jobs[0].id, jobs[2].id}


@pytest.mark.parametrize("column", ["arguments", "return_value"])
def test_a_result_whose_call_or_value_cannot_be_read_is_shown(queue, column):
    job, *_ = three(queue)
    spoil(job, column, "'no JSON'")
    spoil(job, "status", "'SUCCESSFUL'")
    result = task_backends["default"].get_result(job.id)
    assert result.status == TaskResultStatus.SUCCESSFUL
    assert "cannot be read" in result.errors[-1].traceback


def test_the_times_of_a_row_may_be_in_another_zone(queue):
    job, *_ = three(queue, run_after=utcnow() - timedelta(days=1))
    spoil(job, "started_at", "'2026-11-21 07:42:00+02:00'")
    assert queue.get(job.id).started_at.isoformat() == "2026-11-21T05:42:00+00:00"
