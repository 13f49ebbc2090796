"""``on_duplicate="rerun"``: a job that has begun runs once more afterwards, with the newest arguments."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_loco import jobs
from django_loco.core.job import READY, SUCCESSFUL, Outcome, utcnow
from django_loco.jobs.operations import reruns
from django_loco.queues import Claim
from django_loco.tasks import enqueue_many, task
from tests.app.tasks import sync_stock

from .conftest import drain

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "second"])


def fetched(queue, number=10):
    return queue.fetch(Claim(worker_id="w", lease=60, threads=number, coroutines=number))


def call(shop, full):
    return {"shop": shop, "full": full}


def test_rerun_gives_a_waiting_job_the_newest_call(queue):
    unique = sync_stock.using(unique=("shop",), on_duplicate="rerun")
    first = unique.enqueue("a", full=True)
    second = unique.enqueue("a")
    assert (second.id, second.duplicate) == (first.id, True)
    assert queue.get(first.id).arguments == '[["a"],{}]'
    assert len(queue.list()) == 1


def test_rerun_runs_once_more_after_a_job_that_has_begun(queue):
    unique = sync_stock.using(unique=("shop",), on_duplicate="rerun")
    unique.enqueue("a")
    [held] = fetched(queue)
    second = unique.enqueue("a", full=True)
    third = unique.using(priority=7).enqueue("a", full=False)
    assert (second.duplicate, third.duplicate, third.id) == (False, True, second.id)
    assert fetched(queue) == []
    assert jobs.why(second)[0].code == "follows"
    finish(queue, held)
    [again] = fetched(queue)
    assert (again.id, again.arguments, again.priority) == (second.id, '[["a"],{"full":false}]', 7)
    assert (again.unique_key, again.unique_until) == (held.unique_key, held.unique_until)
    assert (again.started_at, again.attempt) == (again.last_attempted_at, 1)
    assert not unique.enqueue("a").duplicate
    finish(queue, again)
    assert len(fetched(queue)) == 1
    assert len(queue.list()) == 3


def test_a_rerun_keeps_its_time(queue):
    unique = sync_stock.using(unique=("shop",), on_duplicate="rerun")
    unique.enqueue("a")
    [held] = fetched(queue)
    second = unique.using(run_after=timedelta(hours=1)).enqueue("a")
    finish(queue, held)
    assert fetched(queue) == []
    assert queue.get(second.id).run_after > utcnow() + timedelta(minutes=50)


def test_a_rerun_follows_a_cancelled_job_too(queue):
    unique = sync_stock.using(unique=("shop",), on_duplicate="rerun")
    unique.enqueue("a")
    [held] = fetched(queue)
    second = unique.enqueue("a", full=True)
    jobs.cancel(held.id)
    assert [job.id for job in fetched(queue)] == [second.id]


def test_a_rerun_waits_for_the_last_attempt(queue):
    unique = sync_stock.using(unique=("shop",), on_duplicate="rerun")
    first = unique.enqueue("a")
    [held] = fetched(queue)
    queue.finish([Outcome(job=held, status=READY, run_after=utcnow())])
    second = unique.enqueue("a", full=True)
    assert [job.id for job in fetched(queue)] == [first.id]
    assert reruns.follows(queue.get(second.id))


def test_of_a_list_the_last_call_counts(queue):
    unique = sync_stock.using(unique=("shop",), on_duplicate="rerun")
    results = enqueue_many(unique, [call("a", False), call("b", False), call("a", True)])
    assert (results[0].id, results[0].duplicate, results[2].duplicate) == (results[2].id, True, False)
    assert queue.get(results[2].id).arguments == '[[],{"shop":"a","full":true}]'
    held = fetched(queue)
    results = enqueue_many(unique, [call("a", True), call("b", True), call("a", False)])
    assert len(queue.list()) == 4
    finish(queue, *held)
    assert sorted(job.arguments for job in fetched(queue)) == [
        '[[],{"shop":"a","full":false}]',
        '[[],{"shop":"b","full":true}]',
    ]


def test_a_rerun_that_a_worker_has_fetched_gets_the_newest_call(queue, monkeypatch):
    monkeypatch.setattr(reruns, "POLL", timedelta(0))
    unique = sync_stock.using(unique=("shop",), on_duplicate="rerun")
    unique.enqueue("a")
    [held] = fetched(queue)
    second = unique.enqueue("a", full=True)
    [looked_at] = fetched(queue)
    assert looked_at.id == second.id
    unique.enqueue("a", full=False)
    assert queue.finish([reruns.put_off(looked_at)]) == {second.id}
    finish(queue, held)
    [again] = fetched(queue)
    assert again.arguments == '[["a"],{"full":false}]'


#: The arguments of runs, in order.
RAN: list[int] = []


@task(unique=lambda _number: "all", on_duplicate="rerun")
def rebuild(number):
    RAN.append(number)
    if number == 0:
        results = [rebuild.enqueue(each) for each in (1, 2, 3)]
        RAN.append(len({result.id for result in results}))


def test_a_worker_runs_it_once_more():
    RAN.clear()
    rebuild.enqueue(0)
    drain()
    assert RAN == [0, 1, 3]


def finish(queue, *held):
    queue.finish([Outcome(job=job, status=SUCCESSFUL, return_value="1") for job in held])
    reruns.settle_ended(queue, held)
