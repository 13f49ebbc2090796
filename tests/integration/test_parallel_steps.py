"""Steps, sleeps and waits of one job that go on beside each other."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection

from django_loco import jobs
from django_loco.core.compat import TaskResultStatus
from django_loco.core.job import FOREVER, utcnow
from django_loco.exceptions import Discard
from django_loco.tasks import task
from django_loco.testing import drain, travel

pytestmark = pytest.mark.django_db(transaction=True)

#: What jobs have done, in order.
DONE: list[object] = []


@pytest.fixture(autouse=True)
def _manual(settings):
    settings.LOCO = {**settings.LOCO, "TESTING": "manual"}
    DONE.clear()


#: Sync methods, which async jobs must not call.
SYNC = {
    "astep": lambda context: context.step("a", DONE.append, "a"),
    "asleep": lambda context: context.sleep("a", hours=1),
    "await_for": lambda context: context.wait_for("a"),
}


@task(takes_context=True, max_attempts=3, backoff=0.01)
async def wrong(context, method):
    SYNC[method](context)


@task(takes_context=True, max_attempts=3, backoff=0.01)
def wrong_on_a_loop_of_its_own(context, method):
    async def main():
        SYNC[method](context)

    asyncio.run(main())


@task(takes_context=True)
async def sync_in_its_thread(context):
    await sync_to_async(context.step)("a", DONE.append, "a")
    return await sync_to_async(context.wait_for)("approved")


@task(takes_context=True)
def sync_job(context):
    return context.step("a", lambda: 7)


@task(takes_context=True)
async def gathered(context):
    return await asyncio.gather(context.await_for("legal"), context.await_for("finance"))


@task(takes_context=True)
async def grouped(context):
    async with asyncio.TaskGroup() as group:
        both = [group.create_task(context.await_for(name)) for name in ("legal", "finance")]
    return [each.result() for each in both]


@task(takes_context=True)
async def signal_or_time(context):
    return await asyncio.gather(context.await_for("legal"), context.await_for("finance", timeout=60, default="nobody"))


@task(takes_context=True)
async def two_sleeps(context):
    async def short():
        await context.asleep("short", seconds=1)
        DONE.append("short")

    async with asyncio.TaskGroup() as group:
        group.create_task(context.asleep("long", hours=1))
        group.create_task(short())


async def slow(name):
    DONE.append(f"{name} begins")
    await asyncio.sleep(0.05)
    DONE.append(f"{name} ends")
    return name


def in_thread(call, *args):
    """Make a call in a thread of the job's own, which has to close its connection."""
    try:
        return call(*args)
    finally:
        connection.close()


@task(takes_context=True)
async def step_and_sleep(context):
    return await asyncio.gather(context.astep("charge", slow, "charge"), context.asleep("nap", hours=1))


@task(takes_context=True)
async def thread_and_sleep(context):
    charging = asyncio.to_thread(in_thread, context.step, "charge", async_to_sync(slow), "charge")
    return await asyncio.gather(charging, context.asleep("nap", hours=1))


@task(takes_context=True)
async def branch_and_wait(context):
    async def branch():
        await context.astep("charge", slow, "charge")
        await asyncio.gather(asyncio.sleep(0), sync_to_async(DONE.append)("between"))
        return await context.astep("ship", slow, "ship")

    async with asyncio.TaskGroup() as group:
        group.create_task(context.await_for("approved"))
        group.create_task(branch())


@task(takes_context=True)
async def waits_in_steps(context):
    async def two():
        await asyncio.gather(context.asleep("in two", minutes=1))

    await asyncio.gather(
        context.astep("one", lambda: context.asleep("in one", hours=1)),
        context.astep("two", two),
        context.asleep("beside", hours=2),
    )


@task(takes_context=True)
async def not_waiting_any_more(context):
    waiting = asyncio.create_task(context.asleep("nap", seconds=1))
    await context.astep("charge", slow, "charge")
    waiting.cancel()
    await context.await_for("approved")


@task(takes_context=True)
def in_threads(context):
    both = threading.Barrier(2)

    def wait(name):
        both.wait(10)
        return in_thread(context.wait_for, name)

    with ThreadPoolExecutor() as pool:
        return [each.result() for each in [pool.submit(wait, name) for name in ("legal", "finance")]]


@task(takes_context=True, max_attempts=3, backoff=0.01)
async def beside(context, kind):
    async def cleaning_up():
        try:
            await asyncio.sleep(60)
        finally:
            raise {"ConnectionError": ConnectionError, "Discard": Discard}[kind]("closed")

    DONE.append(context.attempt)
    async with asyncio.TaskGroup() as group:
        group.create_task(cleaning_up())
        group.create_task(context.await_for("approved"))


def enqueued(task, *args):
    result = task.enqueue(*args)
    drain(raise_errors=False)
    return result


def drained(result, **options):
    drain(raise_errors=False, **options)
    result.refresh()
    return result


@pytest.mark.parametrize("names", [("legal", "finance"), ("finance", "legal")])
@pytest.mark.parametrize("job", [gathered, grouped], ids=["gather", "TaskGroup"])
def test_a_job_waits_for_two_signals_that_come_in_any_order(job, names):
    result = enqueued(job)
    assert set(json.loads(jobs.get(result).waits)) == {"legal", "finance"}
    assert jobs.get(result).run_after == FOREVER
    for name in names:
        assert jobs.signal(result, name, name)
        assert drain() != {}
    result.refresh()
    assert result.return_value == ["legal", "finance"]


@pytest.mark.parametrize("job", [gathered, grouped], ids=["gather", "TaskGroup"])
def test_both_signals_may_come_before_the_next_run(job):
    result = enqueued(job)
    assert jobs.signal(result, "finance", 2)
    assert jobs.signal(result, "legal", 1)
    assert drained(result).return_value == [1, 2]


def test_each_signal_that_is_awaited_is_told():
    result = enqueued(gathered)
    assert [reason.text for reason in jobs.why(result)[:2]] == [
        "It waits for the signal legal, however long that takes.",
        "It waits for the signal finance, however long that takes.",
    ]
    jobs.signal(result, "legal")
    drain()
    assert "signal finance" in jobs.why(result)[0].text


def test_a_signal_and_a_time_that_go_on_beside_each_other():
    result = enqueued(signal_or_time)
    assert 50 < (jobs.get(result).run_after - utcnow()).total_seconds() <= 60
    with travel(timedelta(minutes=2)):
        assert drain() == {"snoozed": 1}
        assert jobs.signal(result, "legal", 1)
        assert drained(result).return_value == [1, "nobody"]


def test_the_sleep_that_ends_first_counts():
    result = enqueued(two_sleeps)
    assert (jobs.get(result).run_after - utcnow()).total_seconds() <= 1
    with travel(timedelta(seconds=2)):
        assert drain() == {"snoozed": 1}
    assert DONE == ["short"]
    assert (jobs.get(result).run_after - utcnow()).total_seconds() > 3500
    with travel(timedelta(hours=2)):
        assert drained(result).status == TaskResultStatus.SUCCESSFUL


@pytest.mark.parametrize("job", [step_and_sleep, thread_and_sleep], ids=["task", "thread"])
def test_a_step_that_goes_on_beside_a_sleep_is_done_once(job):
    result = enqueued(job)
    assert jobs.get(result).run_after > utcnow()
    assert json.loads(jobs.get(result).steps) == {"charge": "charge"}
    with travel(timedelta(hours=2)):
        assert drained(result).return_value == ["charge", None]
    assert DONE == ["charge begins", "charge ends"]


def test_a_branch_beside_a_wait_goes_on_to_its_end():
    result = enqueued(branch_and_wait)
    assert json.loads(jobs.get(result).steps) == {"charge": "charge", "ship": "ship"}
    assert DONE == ["charge begins", "charge ends", "between", "ship begins", "ship ends"]
    jobs.signal(result, "approved")
    assert drained(result).status == TaskResultStatus.SUCCESSFUL
    assert DONE[5:] == ["between"]


def test_a_wait_does_not_wait_for_the_steps_around_it():
    result = enqueued(waits_in_steps)
    assert set(json.loads(jobs.get(result).waits)) == {"in one", "in two", "beside"}
    assert 50 < (jobs.get(result).run_after - utcnow()).total_seconds() <= 60


def test_a_wait_that_the_job_has_cancelled_does_not_count():
    assert jobs.get(enqueued(not_waiting_any_more)).run_after == FOREVER


@pytest.mark.parametrize("method", SYNC)
@pytest.mark.parametrize("job", [wrong, wrong_on_a_loop_of_its_own], ids=["async job", "loop of its own"])
def test_a_sync_step_on_an_event_loop_is_refused_before_it_is_called(job, method, settings):
    result = drained(job.enqueue(method), scheduled=True)
    [error] = result.errors
    assert error.exception_class_path == "django_loco.exceptions.InvalidStep"
    assert f"step 'a': an event loop runs in this thread. Write await context.{method}(...)." in error.traceback
    assert DONE == []


def test_a_sync_step_of_an_async_job_may_be_done_in_a_thread():
    result = enqueued(sync_in_its_thread)
    jobs.signal(result, "approved", 1)
    assert drained(result).return_value == 1
    assert DONE == ["a"]


def test_a_sync_job_that_runs_inside_of_enqueue_on_an_event_loop_may_have_steps(settings, monkeypatch):
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # as in notebooks; otherwise enqueue() is refused there
    settings.LOCO = {**settings.LOCO, "TESTING": "live"}
    settings.TASKS = {
        "default": {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": {"mode": "ForegroundBlocking"}}
    }

    async def main():
        return sync_job.enqueue().return_value

    assert asyncio.run(main()) == 7


def test_threads_of_a_job_wait_for_signals_too():
    result = enqueued(in_threads)
    jobs.signal(result, "finance", 2)
    drain()
    jobs.signal(result, "legal", 1)
    assert drained(result).return_value == [1, 2]


def test_an_error_beside_the_end_of_a_run_is_tried_again():
    result = drained(beside.enqueue("ConnectionError"), scheduled=True)
    assert DONE == [1, 2, 3]
    assert [error.exception_class_path for error in result.errors] == ["builtins.ExceptionGroup"] * 3


def test_a_discard_beside_the_end_of_a_run_is_one():
    result = drained(beside.enqueue("Discard"), scheduled=True)
    assert DONE == [1]
    assert [error.exception_class_path for error in result.errors] == ["django_loco.exceptions.Discard"]
