"""``on_duplicate="rerun"``: a job that has begun runs once more afterwards, with the newest arguments."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from django_loco import jobs
from django_loco.core.compat import task_backends
from django_loco.core.job import READY, SUCCESSFUL, Outcome, utcnow
from django_loco.exceptions import JobExpired
from django_loco.jobs.operations import reruns
from django_loco.jobs.operations.after_end import settle_ended
from django_loco.queues import Claim
from django_loco.tasks import enqueue_many, task
from django_loco.testing import travel
from tests.app import tasks
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
    assert reruns.put_off(replace(looked_at, limit_key="api")).gives_back == ("api",)
    finish(queue, held)
    [again] = fetched(queue)
    assert again.arguments == '[["a"],{"full":false}]'


def test_a_rerun_that_has_expired_makes_room(queue):
    unique = sync_stock.using(unique_key="stock", on_duplicate="rerun")
    unique.enqueue("a")
    [held] = fetched(queue)
    late = unique.using(expires=60).enqueue("b")
    with travel(timedelta(minutes=2)):
        second = tasks.echo.using(unique_key="stock", on_duplicate="rerun").enqueue(1)
    assert (second.duplicate, second.id == late.id) == (False, False)
    assert queue.get(late.id).errors[-1].exception_class is JobExpired
    finish(queue, held)
    assert [job.id for job in fetched(queue)] == [second.id]


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


def fire(task, tick, *, full):
    """Offer the tick of a schedule, as one of several schedulers does."""
    return task_backends["default"].enqueue_tick(task, ["a"], {"full": full}, key=tick, tick=utcnow())


def test_a_tick_gives_a_rerun_that_waits_its_call_once(queue):
    unique = sync_stock.using(unique=("shop",), on_duplicate="rerun")
    unique.enqueue("a")
    [held] = fetched(queue)
    second = unique.enqueue("a", full=True)
    result = fire(unique, "nightly@1", full=False)
    assert (result.id, result.duplicate, result.kwargs) == (second.id, True, {"full": False})
    assert fire(unique, "nightly@1", full=False) is None, "another scheduler"
    assert reruns.follows(queue.get(second.id))
    later = fire(unique, "weekly@1", full=True)
    assert (later.id, later.duplicate, later.kwargs) == (second.id, True, {"full": False})
    finish(queue, held)
    [again] = fetched(queue)
    assert (again.key, again.arguments) == ("nightly@1", '[["a"],{"full":false}]')
    assert fire(unique, "nightly@1", full=False) is None
    third = unique.enqueue("a", full=True)
    assert fire(unique, "nightly@1", full=False) is None or queue.get(third.id).key is None
    finish(queue, again)
    assert [job.id for job in fetched(queue)] == [third.id]
    assert len(queue.list()) == 3


def test_a_tick_takes_a_rerun_back_that_a_worker_has_fetched(queue, monkeypatch):
    monkeypatch.setattr(reruns, "POLL", timedelta(0))
    unique = sync_stock.using(unique=("shop",), on_duplicate="rerun")
    unique.enqueue("a")
    [held] = fetched(queue)
    second = unique.enqueue("a", full=True)
    [looked_at] = fetched(queue)
    assert fire(unique, "nightly@1", full=False).kwargs == {"full": False}
    assert queue.finish([reruns.put_off(looked_at)]) == {second.id}
    finish(queue, held)
    [again] = fetched(queue)
    assert (again.id, again.key, again.arguments) == (second.id, "nightly@1", '[["a"],{"full":false}]')


def test_a_tick_whose_job_a_worker_takes_first_runs_once_more(queue, monkeypatch):
    unique = sync_stock.using(unique=("shop",), on_duplicate="rerun")
    first = unique.enqueue("a", full=True)
    change = queue.change

    def changed(changes):
        fetched(queue)
        return change(changes)

    with monkeypatch.context() as patch:
        patch.setattr(queue, "change", changed)
        result = fire(unique, "nightly@1", full=False)
    assert (result.duplicate, result.id == first.id) == (False, False)
    assert reruns.follows(queue.get(result.id))
    assert fire(unique, "nightly@1", full=False) is None


def test_a_known_tick_leaves_a_later_call_alone_after_two_looks(queue, monkeypatch):
    unique = sync_stock.using(unique=("shop",), on_duplicate="rerun")
    fire(unique, "nightly@1", full=True)
    finish(queue, *fetched(queue))
    later = unique.enqueue("a")
    looks, holders = [], queue.holders
    monkeypatch.setattr(queue, "holders", lambda keys: looks.append(keys) or holders(keys))
    fire(unique, "nightly@1", full=True)  # by a scheduler that is late
    assert (queue.get(later.id).key, queue.get(later.id).arguments) == (None, '[["a"],{}]')
    assert len(looks) == 2


@pytest.mark.parametrize("has_follower", [False, True])
def test_of_several_schedulers_one_gives_a_rerun_the_call_of_a_tick(queue, has_follower):
    unique = sync_stock.using(unique=("shop",), on_duplicate="rerun")
    unique.enqueue("a")
    [held] = fetched(queue)
    if has_follower:
        unique.enqueue("a", full=True)
    ready = threading.Barrier(6)

    def offer(_):
        ready.wait(20)
        try:
            return fire(unique, "nightly@1", full=False)
        finally:
            queue.close()

    with ThreadPoolExecutor(6) as pool:
        results = [result for result in pool.map(offer, range(6)) if result]
    assert [result.duplicate for result in results] == [has_follower]
    finish(queue, held)
    [again] = fetched(queue)
    assert (again.id, again.key, again.arguments) == (results[0].id, "nightly@1", '[["a"],{"full":false}]')
    assert len(queue.list()) == 2


def finish(queue, *held):
    queue.finish([Outcome(job=job, status=SUCCESSFUL, return_value="1") for job in held])
    settle_ended(queue, held)
