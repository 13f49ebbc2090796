"""Durable steps: what is done in an earlier run of a job is not done again."""

from __future__ import annotations

import asyncio
import json
from functools import partial

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection, transaction

from django_loco import jobs
from django_loco.core.compat import TaskResultStatus
from django_loco.core.on_commit import open_transactions
from django_loco.exceptions import Interrupted
from django_loco.log import bound
from django_loco.queues import queue_for
from django_loco.tasks import task
from django_loco.testing import drain, run_job

pytestmark = pytest.mark.django_db(transaction=True)

#: The calls of steps, in order.
CALLED: list[object] = []


@pytest.fixture(autouse=True)
def _manual(settings):
    settings.LOCO = {**settings.LOCO, "TESTING": "manual"}
    CALLED.clear()


def charge(order, *, amount=1):
    CALLED.append((order, amount))
    return (order, amount)


async def acharge(order):
    CALLED.append(order)
    return {"order": order}


def fail():
    CALLED.append("fail")
    raise ConnectionError("not yet")


def give(value):
    CALLED.append("give")
    return value


@task(takes_context=True, max_attempts=3, backoff=0.01)
def order(context, number):
    first = context.step("charge", charge, number, amount=7)
    if context.attempt == 1:
        context.step("ship", fail)
    second = context.step("ship", charge, 2)
    return [first, second, context.steps]


@task(takes_context=True, max_attempts=2, backoff=0.01)
async def aorder(context):
    first = await context.astep("charge", acharge, 1)
    second = await context.astep("sync", charge, 2)
    if context.attempt == 1:
        raise ConnectionError("not yet")
    return [first, second]


def count(label):
    with transaction.atomic():
        CALLED.append((bound("task"), open_transactions(), connection.vendor))
        Group.objects.create(name=label)
    return Group.objects.count()


@task(takes_context=True)
async def queries(context):
    return await asyncio.gather(
        context.astep("plain", count, "a"),
        context.astep("bound", partial(count, label="b")),
        context.astep("from a lambda", lambda: acharge(3)),
    )


def leave_autocommit():
    connection.ensure_connection()
    transaction.set_autocommit(False)


@task(takes_context=True, max_attempts=3, backoff=0.01)
def wrong(context, how):
    if how == "twice":
        context.step("a", charge, 1)
        context.step("a", charge, 1)
    elif how == "result":
        context.step("a", give, object())
    elif how == "size":
        context.step("a", give, "x" * 2_000_000)
    elif how == "name":
        context.step("", charge, 1)
    elif how == "async":
        context.step("a", acharge, 1)
    elif how == "by hand in the step":
        try:
            context.step("a", leave_autocommit)
        finally:
            transaction.set_autocommit(True)
    elif how == "by hand":
        leave_autocommit()
        try:
            context.step("a", charge, 1)
        finally:
            transaction.set_autocommit(True)
    else:
        with transaction.atomic():
            context.step("a", charge, 1)


@task(takes_context=True, max_attempts=3, backoff=0.01)
async def awrong(context):
    await sync_to_async(leave_autocommit)()
    try:
        await context.astep("a", charge, 1)
    finally:
        await sync_to_async(transaction.set_autocommit)(True)


@task(takes_context=True)
def lose(context):
    def others():
        jobs.cancel(context.task_result.id)
        return 1

    try:
        context.step("a", others)
    except Interrupted as error:
        CALLED.append(str(error))
        raise


def ran(task, *args):
    result = task.enqueue(*args)
    drain(scheduled=True, raise_errors=False)
    result.refresh()
    return result


def test_a_step_that_is_stored_is_not_called_again():
    result = ran(order, 5)
    assert result.return_value == [[5, 7], [2, 1], {"charge": [5, 7], "ship": [2, 1]}]
    assert CALLED == [(5, 7), "fail", (2, 1)]
    assert json.loads(jobs.get(result).steps) == {"charge": [5, 7], "ship": [2, 1]}


def test_async_jobs_have_them_too():
    assert ran(aorder).return_value == [{"order": 1}, [2, 1]]
    assert CALLED == [1, (2, 1)]


def test_async_jobs_may_make_queries_in_steps_whose_functions_are_sync():
    assert sorted(ran(queries).return_value[:2]) == [1, 2]
    own = (f"{__name__}.queries", ["default"], connection.vendor)
    assert CALLED.count(own) == 2
    assert 3 in CALLED


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("twice", "has had a step of that name"),
        ("result", "cannot be stored as JSON"),
        ("size", "the results of all steps"),
        ("name", "text that is not empty"),
        ("async", "await context.astep"),
        ("atomic", "Call step() outside of atomic()"),
        ("by hand", "set_autocommit(False) holds for DATABASES['default']"),
        ("by hand in the step", "set_autocommit(False) holds for DATABASES['default']"),
    ],
)
def test_mistakes_are_named_and_not_tried_again(settings, how, words):
    settings.LOCO = {**settings.LOCO, "MAX_RESULT_SIZE": 1_000_000}
    result = ran(wrong, how)
    assert result.status == TaskResultStatus.FAILED
    assert len(result.errors) == 1
    assert result.errors[0].exception_class_path == "django_loco.exceptions.InvalidStep"
    assert words in result.errors[0].traceback
    assert "tests.integration.test_steps.wrong: step" in result.errors[0].traceback


def test_async_jobs_that_commit_by_hand_have_no_steps_either():
    result = ran(awrong)
    assert "set_autocommit(False) holds" in result.errors[0].traceback
    assert CALLED == []


def test_a_job_that_was_lost_goes_no_further():
    result = ran(lose)
    assert result.errors[-1].exception_class_path == "django_loco.exceptions.JobCancelled"
    assert len(CALLED) == 1
    assert "another worker has the job" in CALLED[0]
    assert jobs.get(result).steps is None


def test_a_retry_by_hand_goes_on_where_it_stopped():
    result = ran(order.using(max_attempts=1), 5)
    jobs.retry(result)
    drain()
    assert CALLED == [(5, 7), "fail", (2, 1)]


def test_they_are_shown(capsys):
    result = ran(order, 5)
    call_command("loco_jobs", "show", result.id)
    assert "steps" in capsys.readouterr().out
    assert queue_for("default").get(result.id).steps is not None


def test_run_job_has_them():
    assert run_job(order, 5, attempt=2)[2] == {"charge": [5, 7], "ship": [2, 1]}
