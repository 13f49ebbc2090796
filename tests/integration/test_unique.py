"""Unique jobs, from the options of a task to the result of a duplicate, on every queue."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction

from django_loco import jobs
from django_loco.core.compat import TaskResultStatus, task_backends
from django_loco.core.job import FAILED, RUNNING, SUCCESSFUL, Outcome, utcnow
from django_loco.core.uniqueness import digest_of
from django_loco.exceptions import DuplicateJob, InvalidArguments, InvalidState, JobExpired
from django_loco.jobs.operations import reruns
from django_loco.jobs.transfer.parking import parked
from django_loco.queues import Claim, queue_for
from django_loco.queues.base import Change
from django_loco.queues.memory import MemoryQueue
from django_loco.tasks import InvalidTask, LocoTask, enqueue_many, task
from django_loco.tasks.enqueueing import duplicates
from django_loco.testing import drain, travel
from django_loco.worker.pools.inline import run_once
from tests.app import tasks
from tests.app.tasks import sync_stock

pytestmark = pytest.mark.django_db(transaction=True)

BACKEND = "django_loco.backend.LocoBackend"


@pytest.fixture(params=["database", "memory", "redis"], autouse=True)
def queue(request, settings):
    options = {"queue": request.param}
    if request.param == "redis":
        options["url"] = request.getfixturevalue("redis_server").url
    settings.LOCO = {**settings.LOCO, "TESTING": "manual"}
    settings.TASKS = {"default": {"BACKEND": BACKEND, "QUEUES": [], "OPTIONS": options}}
    queue = queue_for("default")
    queue.clear()
    yield queue
    queue.clear()
    tasks.ran.clear()  # other tests count in it


def fetched(queue, number=10):
    return queue.fetch(Claim(worker_id="w", lease=60, threads=number, coroutines=number))


def require_our_clock(queue):
    """Skip what follows on Redis: it judges by a clock of its own, which ``travel`` does not move."""
    if queue.database is None and not isinstance(queue, MemoryQueue):
        pytest.skip("Redis judges by its own clock")


def ids(queue):
    return sorted(job.id for job in queue.list())


def test_a_duplicate_gets_the_result_of_the_job_that_will_run(queue):
    first, second = sync_stock.enqueue("a"), sync_stock.enqueue("a", full=False)
    other = sync_stock.enqueue("a", full=True)
    assert (first.duplicate, second.duplicate, other.duplicate) == (False, True, False)
    assert second.id == first.id
    assert ids(queue) == sorted([first.id, other.id])
    drain()
    second.refresh()
    assert (second.return_value, second.duplicate) == ("a", True)
    assert not sync_stock.enqueue("a").duplicate


def test_positional_and_keyword_arguments_and_defaults_are_the_same_call(queue):
    first = sync_stock.enqueue(shop="a")
    assert sync_stock.enqueue("a").id == sync_stock.enqueue("a", full=False).id == first.id
    assert not sync_stock.enqueue("b").duplicate


def test_the_result_of_a_duplicate_says_how_far_the_job_is(queue):
    sync_stock.enqueue("a")
    [held] = fetched(queue)
    result = sync_stock.enqueue("a")
    assert (result.id, result.status, result.duplicate) == (held.id, RUNNING, True)


def test_some_arguments_can_be_chosen(queue):
    chosen = sync_stock.using(unique=["shop"])
    assert chosen.enqueue("a", full=True).id == chosen.enqueue("a").id
    assert not chosen.enqueue("b").duplicate


def test_a_function_can_choose(queue):
    chosen = sync_stock.using(unique=lambda shop, **_: shop.lower())
    assert chosen.enqueue("A", full=True).id == chosen.enqueue("a").id
    assert not chosen.enqueue("b").duplicate


def test_a_text_stands_for_any_call_of_any_task(queue):
    first = sync_stock.using(unique_key="stock").enqueue("a")
    second = tasks.add.using(unique_key="stock").enqueue(1, 2)
    assert (second.id, second.duplicate) == (first.id, True)
    assert (second.task.module_path, second.args) == (sync_stock.module_path, ["a"])
    assert queue.get(first.id).unique_key == digest_of("stock")


def test_unique_can_be_turned_off_for_a_call(queue):
    sync_stock.enqueue("a")
    assert not sync_stock.using(unique=False).enqueue("a").duplicate


def test_enqueue_many_returns_a_result_for_each_call(queue):
    waiting = sync_stock.enqueue("a")
    results = enqueue_many(sync_stock, ["a", "b", "c", "b", {"shop": "c"}])
    assert [result.duplicate for result in results] == [True, False, False, True, True]
    assert results[0].id == waiting.id
    assert results[3].id == results[1].id
    assert results[4].id == results[2].id
    assert len(queue.list()) == 3


def test_until_started(queue):
    early = sync_stock.using(unique_until="started")
    first = early.enqueue("a")
    assert early.enqueue("a").id == first.id
    fetched(queue)
    assert not early.enqueue("a").duplicate


def test_for_a_time(queue):
    first = sync_stock.using(unique_for=timedelta(hours=1)).enqueue("a")
    drain()
    assert sync_stock.using(unique_for=3600).enqueue("a").id == first.id
    jobs.delete(first.id)
    assert not sync_stock.using(unique_for=3600).enqueue("a").duplicate


def test_replace_gives_a_waiting_job_the_newest_call(queue):
    debounced = sync_stock.using(unique=("shop",), on_duplicate="replace")
    first = debounced.using(run_after=timedelta(minutes=5)).enqueue("a", full=True)
    second = debounced.using(run_after=timedelta(hours=1), priority=7).enqueue("a")
    assert (second.id, second.duplicate) == (first.id, True)
    job = queue.get(first.id)
    assert (job.arguments, job.priority) == ('[["a"],{}]', 7)
    assert job.run_after - utcnow() > timedelta(minutes=50)
    results = enqueue_many(debounced, [("a",), {"shop": "a", "full": True}])
    assert {result.id for result in results} == {first.id}
    assert queue.get(first.id).arguments == '[[],{"shop":"a","full":true}]'
    assert queue.get(first.id).run_after is None


def test_replace_keeps_a_job_that_has_begun(queue):
    task = sync_stock.using(unique=("shop",), on_duplicate="replace")
    first = task.enqueue("a", full=True)
    [held] = fetched(queue)
    assert task.enqueue("a").id == first.id
    assert queue.get(first.id) == held


def test_max_wait_limits_how_long_newer_calls_put_a_job_off(queue):
    debounced = sync_stock.using(unique=("shop",), on_duplicate="replace", max_wait=60)
    first = debounced.using(run_after=timedelta(seconds=50)).enqueue("a")
    debounced.using(run_after=timedelta(seconds=55)).enqueue("a", full=True)
    assert queue.get(first.id).run_after - queue.get(first.id).enqueued_at < timedelta(seconds=60)
    debounced.using(run_after=timedelta(hours=1)).enqueue("a", full=True)
    job = queue.get(first.id)
    assert job.run_after == job.enqueued_at + timedelta(seconds=60)
    assert job.arguments == '[["a"],{"full":true}]'
    require_our_clock(queue)
    with travel(timedelta(minutes=5)):
        debounced.using(run_after=timedelta(hours=1)).enqueue("a")
        assert queue.get(first.id).run_after <= utcnow()
        assert fetched(queue)[0].id == first.id


def test_a_worker_puts_a_rerun_off_until_its_time_has_come(queue):
    task = sync_stock.using(unique=("shop",), on_duplicate="rerun")
    task.enqueue("a")
    [held] = fetched(queue)
    second = task.enqueue("a", full=True)
    require_our_clock(queue)
    with travel(timedelta(minutes=1)):
        assert drain() == {"released": 1}
        queue.finish([Outcome(job=held, status=SUCCESSFUL, return_value="1")])  # its worker dies then
    with travel(timedelta(minutes=2)):
        assert drain() == {"released": 1, "successful": 1}
    second.refresh()
    assert second.return_value == "a"


def test_raise(queue):
    strict = sync_stock.using(on_duplicate="raise")
    first = strict.enqueue("a")
    with pytest.raises(DuplicateJob, match=f"Job {first.id} ") as caught:
        strict.enqueue("a")
    assert (caught.value.result.id, caught.value.result.duplicate) == (first.id, True)
    for calls in (["b", "a"], ["b", "b"]):
        with pytest.raises(DuplicateJob):
            enqueue_many(strict, calls)
    assert ids(queue) == [first.id]


def test_what_is_cancelled_makes_room(queue):
    first = sync_stock.enqueue("a")
    first.cancel()
    second = sync_stock.enqueue("a")
    assert not second.duplicate
    jobs.delete(second.id)
    assert not sync_stock.enqueue("a").duplicate


def test_a_job_that_has_expired_makes_room(queue, monkeypatch):
    first = sync_stock.using(expires=60).enqueue("a")
    assert sync_stock.enqueue("a").duplicate
    monkeypatch.setattr(duplicates, "utcnow", lambda: utcnow() + timedelta(seconds=61))
    second = sync_stock.enqueue("a")
    assert not second.duplicate
    first.refresh()
    assert (first.status, first.errors[-1].exception_class) == (FAILED, JobExpired)


def test_a_job_that_has_expired_raises_nothing(queue):
    strict = sync_stock.using(on_duplicate="raise")
    late = strict.using(expires=60).enqueue("a")
    with travel(timedelta(minutes=2)):
        first = strict.enqueue("a")
        assert not first.duplicate
        with pytest.raises(DuplicateJob, match=f"Job {first.id} "):
            strict.enqueue("a")
    late.refresh()
    assert late.errors[-1].exception_class is JobExpired


def test_a_job_that_has_expired_may_hold_its_key_for_a_time(queue):
    strict = sync_stock.using(on_duplicate="raise", unique_for=3600)
    late = strict.using(expires=60).enqueue("a")
    with travel(timedelta(minutes=2)), pytest.raises(DuplicateJob, match=f"Job {late.id} "):
        enqueue_many(strict, ["b", "a"])
    assert ids(queue) == [late.id]


def failed_job(queue):
    """Return the result of a job that has failed."""
    first = tasks.fail.using(unique=True, max_attempts=1).enqueue()
    drain(raise_errors=False)
    return first


def test_a_retry_that_meets_a_newer_job_says_so(queue):
    first = failed_job(queue)
    newer = tasks.fail.using(unique=True).enqueue()
    assert not newer.duplicate
    with pytest.raises(InvalidState, match=f"job {newer.id} has its unique key"):
        jobs.retry(first.id)
    assert jobs.filter("status:failed").retry() == 0
    assert queue.get(first.id).status == FAILED
    assert f"(and job {newer.id}, which has its unique key, has ended)" in jobs.why(first.id)[0].remedy
    newer.cancel()
    assert "unique" not in jobs.why(first.id)[0].remedy
    assert jobs.retry(first.id) == 1
    assert tasks.fail.using(unique=True).enqueue().id == first.id


def test_a_call_like_a_stored_one_is_a_duplicate_of_a_waiting_job(queue):
    result = sync_stock.enqueue("a")
    assert jobs.run_again(result.id).id == result.id
    assert not jobs.run_again(result.id, args=["b"]).duplicate
    drain()
    assert not jobs.run_again(result.id).duplicate


def test_a_job_that_enqueues_itself_finds_itself(queue, settings):
    settings.WORKER_MODE = "ForegroundBlocking"
    tasks.ran.clear()
    results = enqueue_many(sync_stock, ["a", "a"])
    assert [result.duplicate for result in results] == [False, False]  # the first has ended by then
    result = tasks.enqueue_itself.enqueue()
    assert result.return_value == [result.id, True]


def test_a_tick_finds_the_job_that_waits(queue):
    backend, now = task_backends["default"], utcnow()
    first = backend.enqueue_tick(sync_stock, ["a"], {}, key="nightly@1", tick=now)
    assert backend.enqueue_tick(sync_stock, ["a"], {}, key="nightly@1", tick=now) is None
    second = backend.enqueue_tick(sync_stock, ["a"], {}, key="nightly@2", tick=now)
    assert (first.duplicate, second.duplicate, second.id) == (False, True, first.id)
    drain()
    assert not backend.enqueue_tick(sync_stock, ["a"], {}, key="nightly@3", tick=now).duplicate


def test_names_that_are_no_arguments_are_refused():
    with pytest.raises(InvalidTask, match=r"unique names 'shp', which is no argument .* Did you mean 'shop'"):
        sync_stock.using(unique=["shp"])
    with pytest.raises(InvalidTask, match=r"which is no argument of it\. Choices are: a, b\."):
        tasks.add.using(unique=["context"])
    assert LocoTask is type(tasks.echo.using(unique=["anything"]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unique": "shop"}, "unique is 'shop'; it must be True, False, a list of names"),
        ({"unique": []}, r"unique is \[\]; it must be"),
        ({"unique": True, "unique_until": "ended"}, 'it must be "finished" or "started"'),
        ({"unique": True, "unique_for": 0}, "unique_for is 0; it must be a number of seconds"),
        ({"unique": True, "on_duplicate": "drop"}, "on_duplicate is 'drop'; it must be"),
        ({"unique_until": "started"}, "unique_until is given without unique. Add unique=True"),
        ({"unique": True, "unique_until": "started", "unique_for": 5}, "unique_until and unique_for are both given"),
        ({"unique_key": ""}, "unique_key is ''; it must be text"),
        ({"unique_key": 7}, "unique_key is 7; it must be text"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(InvalidTask, match=message):
        tasks.add.using(**options)


def test_a_key_is_not_given_to_the_decorator():
    with pytest.raises(TypeError, match=r"use \.using\(unique_key=\.\.\.\)"):
        task(unique_key="x")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda a, b: 1 / 0, "raised ZeroDivisionError: division by zero"),
        (lambda a: a, "raised TypeError"),
        (lambda a, b: {a}, r"returned \{1\}; it must return text"),
        (lambda a, b: None, "returned None; it must return"),
    ],
)
def test_a_function_that_does_not_work_stores_nothing(queue, function, message):
    with pytest.raises(InvalidArguments, match=message):
        tasks.add.using(unique=function).enqueue(1, 2)
    assert queue.list() == []


def test_after_a_rollback_nobody_has_the_key(queue):
    if queue.database is None:
        return
    with transaction.atomic():
        lost = sync_stock.enqueue("a")
        assert sync_stock.enqueue("a").id == lost.id
        transaction.set_rollback(True)
    assert not sync_stock.enqueue("a").duplicate


def test_the_result_is_right_after_a_commit_that_stores_the_job(queue):
    waiting = sync_stock.enqueue("a")
    with transaction.atomic():
        result = sync_stock.enqueue("a")
    assert (result.id, result.duplicate) == (waiting.id, True)
    assert result.status == TaskResultStatus.READY
    assert connection.in_atomic_block is False


@task(unique=True, on_duplicate="rerun")
def reindex():
    tasks.ran.append("reindex")


def test_a_tick_lets_a_job_run_once_more_after_the_one_that_runs(queue):
    backend, now = task_backends["default"], utcnow()
    tasks.ran.clear()
    running = reindex.enqueue()
    [held] = queue.fetch(Claim(worker_id="w", lease=60, threads=5))
    first = backend.enqueue_tick(reindex, [], {}, key="nightly@1", tick=now)
    assert (first.duplicate, first.id == running.id) == (False, False)
    assert backend.enqueue_tick(reindex, [], {}, key="nightly@1", tick=now) is None
    second = backend.enqueue_tick(reindex, [], {}, key="nightly@2", tick=now)
    assert (second.duplicate, second.id) == (True, first.id)
    run_once(queue, held)
    drain()
    assert tasks.ran == ["reindex"] * 2
    reindex.enqueue()
    fetched(queue)
    assert not queue.holders({reruns.key_after(queue.get(first.id).unique_key)})
    late = backend.enqueue_tick(reindex, [], {}, key="nightly@1", tick=now)  # by another scheduler
    assert late is None or late.duplicate
    assert not queue.holders({reruns.key_after(queue.get(first.id).unique_key)})


@task(unique=["shop"], on_duplicate="replace")
def restock(shop, amount=0):
    tasks.ran.append((shop, amount))


@task(unique=["shop"], on_duplicate="rerun")
def restock_again(shop, amount=0):
    tasks.ran.append((shop, amount))


def fire(task, tick, amount):
    """Offer the tick of a schedule, as one of several schedulers does."""
    return task_backends["default"].enqueue_tick(task, ["a"], {"amount": amount}, key=tick, tick=utcnow())


@pytest.mark.parametrize("one", [restock, restock_again], ids=["replace", "rerun"])
@pytest.mark.parametrize("is_signed", [False, True])
def test_a_tick_gives_a_job_that_waits_its_arguments_and_its_time_once(queue, settings, one, is_signed):
    settings.LOCO = {**settings.LOCO, "SIGN": is_signed}
    waiting = one.using(run_after=timedelta(hours=1)).enqueue("a", amount=1)
    first = fire(one, "nightly@1", 2)
    assert (first.id, first.duplicate, first.kwargs) == (waiting.id, True, {"amount": 2})
    assert [summary.key for summary in queue.series("nightly")] == ["nightly@1"]
    assert fire(one, "nightly@1", 2) is None
    one.enqueue("a", amount=3)
    assert fire(one, "nightly@1", 2) is None, "the newest call stays"
    drain()
    assert fire(one, "nightly@1", 2) is None
    drain()
    assert tasks.ran == [("a", 3)]


def test_a_tick_leaves_a_job_alone_that_runs_or_belongs_to_another_tick(queue):
    running = restock.enqueue("a", amount=1)
    fetched(queue)
    result = fire(restock, "nightly@1", 2)
    assert (result.id, result.duplicate, result.kwargs) == (running.id, True, {"amount": 1})
    queue.clear()
    first = fire(restock, "nightly@2", 2)
    second = fire(restock, "weekly@1", 3)
    assert (first.duplicate, second.duplicate, second.id, second.kwargs) == (False, True, first.id, {"amount": 2})
    assert [job.key for job in queue.list()] == ["nightly@2"]


@pytest.mark.parametrize("action", ["keep", "raise", "replace", "rerun"])
def test_a_tick_makes_a_job_if_the_one_with_its_key_has_expired(queue, action):
    one = restock.using(on_duplicate=action)
    late = one.using(expires=timedelta(seconds=5)).enqueue("a", amount=1)
    with travel(timedelta(seconds=6)):
        first = fire(one, "nightly@1", 2)
        assert fire(one, "nightly@1", 2) is None
    assert (first.duplicate, first.id == late.id) == (False, False)
    late.refresh()
    assert late.errors[-1].exception_class is JobExpired


def park(queue, result):
    """Let the job of ``result`` be on its way to another store; return it as it is then."""
    job = queue.get(result.id)
    assert queue.change([Change(before=job, after=parked(job, "other"))]) == set()
    return queue.get(result.id)


def test_calls_and_ticks_leave_a_job_as_it_is_that_is_on_its_way_to_another_store(queue):
    first = restock.enqueue("a", amount=1)
    away = park(queue, first)
    for result in (restock.enqueue("a", amount=2), fire(restock, "nightly@1", 3)):
        assert (result.id, result.duplicate, result.kwargs) == (first.id, True, {"amount": 1})
    assert queue.get(first.id) == away
    assert len(queue.list()) == 1


def test_a_job_that_has_expired_on_its_way_to_another_store_is_not_ended_here(queue):
    away = park(queue, restock.using(expires=5).enqueue("a", amount=1))
    with travel(timedelta(minutes=1)):
        assert restock.enqueue("a", amount=2).id == away.id
    assert queue.get(away.id) == away


@pytest.mark.parametrize("by_tick", [False, True])
def test_a_call_to_rerun_a_job_that_is_on_its_way_follows_it(queue, by_tick):
    away = park(queue, restock_again.enqueue("a", amount=1))
    second = fire(restock_again, "nightly@1", 2) if by_tick else restock_again.enqueue("a", amount=2)
    assert (second.id == away.id, second.duplicate) == (False, False)
    assert queue.get(away.id) == away
    assert reruns.follows(queue.get(second.id))
    assert queue.change([Change(before=away, after=None)]) == set()  # it is in the other store now
    require_our_clock(queue)
    with travel(timedelta(minutes=1)):
        drain()
        drain()
    assert tasks.ran == [("a", 2)]


def test_a_job_that_follows_stays_on_its_way_to_another_store(queue):
    running = restock_again.enqueue("a", amount=1)
    [held] = fetched(queue)
    away = park(queue, restock_again.enqueue("a", amount=2))
    assert restock_again.enqueue("a", amount=3).id == away.id
    run_once(queue, held)
    running.refresh()
    assert running.status == SUCCESSFUL
    assert queue.get(away.id) == away


def test_a_worker_that_is_faster_than_a_tick_runs_the_job_as_it_was(queue, monkeypatch):
    restock.enqueue("a", amount=1)
    change = queue.change

    def changed(changes):
        fetched(queue)
        return change(changes)

    monkeypatch.setattr(queue, "change", changed)
    result = fire(restock, "nightly@1", 2)
    assert (result.duplicate, result.status, result.kwargs) == (True, RUNNING, {"amount": 1})


def test_of_several_schedulers_one_gives_a_job_the_arguments_of_a_tick(queue):
    waiting = restock.using(run_after=timedelta(hours=1)).enqueue("a", amount=1)
    ready = threading.Barrier(6)

    def offer(_):
        ready.wait(20)
        try:
            return fire(restock, "nightly@1", 2)
        finally:
            queue.close()

    with ThreadPoolExecutor(6) as pool:
        results = [result for result in pool.map(offer, range(6)) if result]
    assert [result.id for result in results] == [waiting.id]
    drain()
    assert tasks.ran == [("a", 2)]


@task(unique=True, on_duplicate="rerun")
def reindex_again(times):
    tasks.ran.append("begins")
    if len(tasks.ran) < times:
        results = [reindex_again.enqueue(times) for _ in range(2)]
        tasks.ran.append([result.status for result in results])
        assert results[0].id == results[1].id
        assert [result.duplicate for result in results] == [False, True]
    tasks.ran.append("ends")


def test_in_the_foreground_it_runs_once_more_as_well(settings):
    settings.WORKER_MODE = "ForegroundBlocking"
    tasks.ran.clear()
    reindex_again.enqueue(4)
    assert tasks.ran == ["begins", ["READY", "READY"], "ends", "begins", "ends"]
    assert jobs.filter("status:done").count() >= 2
