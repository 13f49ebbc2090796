"""The operations on stored jobs, on every queue: found by filters, changed beside workers, run by them afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from asgiref.sync import async_to_sync
from django.db import connections

from django_loco import jobs
from django_loco.core.compat import TaskResultDoesNotExist
from django_loco.core.job import FAILED, READY, SUCCESSFUL, Outcome, new_id, utcnow
from django_loco.exceptions import InvalidState
from django_loco.models import StoredJob
from django_loco.tasks import enqueue_many
from tests.app import tasks

from .conftest import CLAIM, SECONDS, drain

pytestmark = pytest.mark.django_db(transaction=True)


def side_by_side(*works: Callable[[], object]) -> None:
    """Call each function in a thread of its own; raise what one raises."""
    errors: list[BaseException] = []

    def call(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=call, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    if errors:
        raise errors[0]


def test_a_failed_job_is_found_by_its_error_and_argument_and_runs_again():
    failing, other = tasks.fail.enqueue("on purpose"), tasks.fail.enqueue("other")
    drain()
    search = jobs.filter("status:failed error:ValueError args.0:'on purpose'")
    assert [job.id for job in search] == [failing.id]
    assert search.retry() == 1
    assert jobs.get(failing).status == READY
    drain()
    failing.refresh()
    assert (failing.status, len(failing.errors), failing.attempts) == (FAILED, 2, 2)
    assert jobs.get(other).attempt == 1


def test_a_cancelled_job_never_runs_and_one_that_was_retried_does():
    tasks.ran.clear()
    first, second = tasks.add.enqueue(1, 1), tasks.add.enqueue(2, 2)
    first.cancel(by="anna")
    second.cancel(by="anna")
    second.retry()
    drain()
    assert tasks.ran == [("add", (2, 2))]
    second.refresh()
    assert second.return_value == 4
    assert jobs.filter("status:cancelled").first().id == first.id


def test_a_running_job_is_cancelled_in_the_store_at_once(queue):
    result = tasks.add.enqueue(1, 2)
    [held] = queue.fetch(CLAIM)
    assert jobs.cancel(result, by="anna") == 1
    assert queue.lost([held]) == {held.id}
    assert queue.finish([Outcome(job=held, status=SUCCESSFUL, return_value="3")]) == {held.id}
    result.refresh()
    assert (result.status, result.worker_ids) == (FAILED, ["worker-1"])
    assert "cancelled by anna" in result.errors[-1].traceback
    drain()
    assert jobs.get(result).status == FAILED


def test_what_is_discarded_is_not_among_the_failed_any_more():
    result = tasks.fail.enqueue()
    drain()
    assert jobs.filter("status:failed").discard(by="anna") == 1
    assert not jobs.filter("status:failed")
    assert jobs.retry(result) == 1


def test_edits_are_what_runs():
    tasks.ran.clear()
    result = tasks.add.using(run_after=timedelta(hours=1)).enqueue(1, 2)
    assert jobs.update(result, args=[3], kwargs={"b": 4}, priority=7, tags=["t"], run_after=timedelta(0)) == 1
    assert jobs.move(result, queue="emails") == 1
    stored = jobs.get(result)
    assert (stored.queue_name, stored.priority, stored.tags) == ("emails", 7, ("t",))
    assert jobs.filter("tag:t queue:emails priority:7").count() == 1
    drain()
    result.refresh()
    assert result.return_value == 7


def test_a_job_runs_again_with_other_arguments():
    old = tasks.fail.enqueue("old")
    drain()
    new = jobs.run_again(old, args=["new"])
    drain()
    new.refresh()
    assert "ValueError: new" in new.errors[0].traceback
    assert len(jobs.get(old).errors) == 1


def test_what_is_deleted_is_gone():
    done, waiting = tasks.add.enqueue(1, 2), tasks.add.using(run_after=timedelta(hours=1)).enqueue(3, 4)
    drain()
    assert jobs.delete([done, waiting]) == 2
    for result in (done, waiting):
        with pytest.raises(TaskResultDoesNotExist):
            result.refresh()


def test_the_key_of_a_deleted_job_stays_known_or_the_job_stays(queue):
    first = replace(jobs.get(tasks.add.enqueue(1, 2)), id=new_id(), key="nightly@1")
    queue.enqueue([first])
    assert [job.id for job in jobs.filter("schedule:nightly")] == [first.id]
    drain()
    try:
        assert jobs.delete(first.id) == 1
    except InvalidState as error:
        assert "its queue still has to know its once-key" in str(error)  # noqa: PT017 - only some queues raise it
    assert queue.enqueue([replace(first, id=new_id())]) == []


def test_a_running_job_is_not_deleted(queue):
    result = tasks.add.enqueue(1, 2)
    [held] = queue.fetch(CLAIM)
    with pytest.raises(InvalidState, match="is running, so it cannot be deleted"):
        jobs.delete(result)
    assert queue.finish([Outcome(job=held, status=SUCCESSFUL, return_value="3")]) == set()


def test_all_are_found_in_order_across_aliases_and_pages():
    enqueue_many(tasks.add, [(number, 1) for number in range(1_100)])
    enqueue_many(tasks.add.using(backend="bulk"), [(number, 2) for number in range(400)])
    ids = list(jobs.filter().ids())
    assert len(ids) == len(set(ids)) == 1_500
    assert ids == sorted(ids, reverse=True)
    assert jobs.filter("args.1:2").count() == jobs.filter("backend:bulk").count() == 400
    assert jobs.filter("status:waiting").count(1_000).text == "1,000+"
    pages = [jobs.filter("args.1:2").page(150)]
    while (before := pages[-1].next) is not None:
        pages.append(jobs.filter("args.1:2").page(150, before=before))
    assert [len(page.jobs) for page in pages] == [150, 150, 100]
    assert [job.id for page in pages for job in page.jobs] == list(jobs.filter("backend:bulk").ids())


def test_times_bound_what_is_read():
    old = tasks.add.enqueue(1, 2)
    since = utcnow() + timedelta(milliseconds=2)
    while utcnow() <= since:
        time.sleep(0.001)
    new = tasks.add.enqueue(3, 4)
    assert [job.id for job in jobs.filter(older=since)] == [old.id]
    assert [job.id for job in jobs.filter(newer=since)] == [new.id]


def test_large_jobs_are_operated_on_in_small_batches():
    enqueue_many(tasks.echo, [("x" * 500_000,) for _ in range(30)])
    assert jobs.filter("status:waiting").cancel() == 30
    assert jobs.filter("status:cancelled").delete() == 30
    assert jobs.filter().count() == 0


def test_a_paused_queue_waits():
    result = tasks.send.enqueue(1)
    jobs.pause(queue="emails", backend="default")
    assert jobs.paused() == {"default": ["emails"]}
    drain()
    assert jobs.get(result).status == READY
    assert jobs.stats(backend="default")[0].is_paused
    assert jobs.resume(queue="emails")
    drain()
    result.refresh()
    assert result.status == SUCCESSFUL


def test_each_job_is_cancelled_or_done_but_never_both(queue):
    results = enqueue_many(tasks.add, [(number, 0) for number in range(600)])
    claim = replace(CLAIM, threads=20)
    ran: list[str] = []
    cancelled: list[int] = []

    def work() -> None:
        while held := queue.fetch(claim):
            refused = queue.finish([Outcome(job=job, status=SUCCESSFUL, return_value="0") for job in held])
            ran.extend(job.id for job in held if job.id not in refused)

    def cancel(text: str) -> Callable[[], None]:
        return lambda: cancelled.append(jobs.filter(text).cancel(by="anna"))

    side_by_side(work, work, cancel("status:waiting"), cancel("status:waiting,running"))
    done = set(jobs.filter("status:done").ids())
    stopped = set(jobs.filter("status:cancelled").ids())
    assert done == set(ran)
    assert len(ran) == len(done)
    assert (len(stopped), done & stopped) == (sum(cancelled), set())
    assert done | stopped == {result.id for result in results}


@pytest.mark.parametrize("queue", ["database"], indirect=True)
def test_a_job_that_cannot_be_read_can_be_deleted():
    result = tasks.add.enqueue(1, 2)
    StoredJob.objects.update(tags="broken")
    with pytest.raises(InvalidState, match="cannot be read as it is stored, so it can only be deleted"):
        jobs.cancel(result)
    assert jobs.filter().cancel() == 0
    assert jobs.filter("status:waiting").delete() == 1


def test_of_several_who_retry_one_job_one_counts():
    enqueue_many(tasks.fail, [(str(number),) for number in range(100)])
    jobs.filter().cancel()
    counts: list[int] = []
    side_by_side(*[lambda: counts.append(jobs.filter("status:cancelled").retry())] * 4)
    assert sum(counts) == 100
    assert jobs.filter("status:waiting").count() == 100


def test_a_result_is_waited_for():
    result = tasks.add.enqueue(1, 2)
    side_by_side(drain, partial(result.wait, SECONDS))
    assert result.return_value == 3
    other = tasks.fail.enqueue()
    with pytest.raises(TimeoutError):
        async_to_sync(other.await_)(0.01)
    drain()
    assert async_to_sync(other.await_)(0).status == FAILED
