"""Jobs that sleep and wait for signals between their runs."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from contextlib import suppress
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils.translation import override

from django_loco import jobs
from django_loco.core.compat import TaskResultStatus
from django_loco.core.job import FOREVER, pending_wait, utcnow
from django_loco.exceptions import InvalidArguments, InvalidState, SignalTimeout
from django_loco.queues import queue_for
from django_loco.tasks import task
from django_loco.testing import drain, travel
from django_loco.worker.execution.steps import waits

pytestmark = pytest.mark.django_db(transaction=True)

#: The calls of steps, in order.
CALLED: list[object] = []
RUNS: list[int] = []


@pytest.fixture(autouse=True)
def _manual(settings):
    settings.LOCO = {**settings.LOCO, "TESTING": "manual"}
    CALLED.clear()
    RUNS.clear()


def charge(number):
    CALLED.append(number)
    return number


@task(takes_context=True, max_attempts=2, backoff=0.01)
def cool_down(context):
    RUNS.append(context.attempt)
    context.step("charge", charge, 1)
    context.sleep("cool-down", hours=24)
    context.step("again", charge, 2)
    return [context.attempt, context.steps]


@task(takes_context=True)
def nap(context):
    RUNS.append(context.attempt)
    context.sleep("nap", seconds=0)
    return context.steps


@task(takes_context=True, max_attempts=2, backoff=0.01)
async def acool_down(context):
    RUNS.append(context.attempt)
    await context.astep("charge", charge, 1)
    await context.asleep("cool-down", timedelta(days=1))
    return await context.await_for("approved", timeout=60, default="nobody")


@task(takes_context=True, max_attempts=2, backoff=0.01)
def approve(context, timeout=None):
    RUNS.append(context.attempt)
    return [context.step("ask", charge, 1), context.wait_for("approved", timeout)]


@task(takes_context=True, max_attempts=3, backoff=3600)
def decide(context):
    try:
        answer = context.wait_for("approved", timedelta(hours=1))
    except SignalTimeout as error:
        answer = error.name
    if context.attempt == 1:
        raise ConnectionError("once more")
    return answer


@task(takes_context=True)
async def wait_for_many(context):
    names = ("finance", "legal", "audit", "tax")
    await asyncio.gather(*(context.await_for(name, timeout=3 * 86_400) for name in names))


def in_atomic(context):
    with transaction.atomic():
        context.sleep("a", hours=1)


def swallowed(context):
    with suppress(BaseException):
        context.sleep("a", hours=1)


def used_twice(context):
    context.step("a", charge, 1)
    context.sleep("a", seconds=1)


#: Mistakes, and words of the errors.
MISTAKES = {
    "no length": (lambda context: context.sleep("a"), "write sleep("),
    "two lengths": (lambda context: context.sleep("a", timedelta(1), days=1), "write sleep("),
    "below 0": (lambda context: context.sleep("a", seconds=-1), "0 or more"),
    "too long": (lambda context: context.sleep("a", days=1e9), "too long"),
    "not a length": (lambda context: context.sleep("a", "1 day"), "must be seconds or a timedelta"),
    "not a number": (lambda context: context.sleep("a", days="1"), "write sleep("),
    "timeout": (lambda context: context.wait_for("a", "soon"), "must be seconds or a timedelta"),
    "twice": (used_twice, "has had a step of that name"),
    "name": (lambda context: context.wait_for(""), "text that is not empty"),
    "atomic": (in_atomic, "a transaction is open"),
    "swallowed": (swallowed, "has caught the exception that ends the run"),
}


@task(takes_context=True, max_attempts=3, backoff=0.01)
def wrong(context, how):
    MISTAKES[how][0](context)


@task(takes_context=True)
def swallow_twice(context):
    swallowed(context)
    context.step("b", charge, 7)


@task(takes_context=True)
async def agroup(context):
    async with asyncio.TaskGroup() as group:
        group.create_task(context.await_for("approved"))


@task(takes_context=True, max_attempts=1)
def in_finally(context):
    try:
        context.sleep("a", hours=1)
    finally:
        raise ConnectionError("of the finally block")


def enqueued(task, *args):
    result = task.enqueue(*args)
    drain(raise_errors=False)
    return result


def drained(result):
    drain(raise_errors=False)
    result.refresh()
    return result


def the_reason(result):
    return jobs.why(result)[0]


def test_a_job_that_sleeps_runs_again_when_the_time_is_up():
    result = enqueued(cool_down)
    assert (result_of(result).attempt, RUNS, CALLED) == (1, [1], [1])
    assert the_reason(result).text.startswith("It sleeps until ")
    with travel(timedelta(hours=23)):
        assert drain() == {}
    with travel(timedelta(hours=25)):
        assert drained(result).return_value == [1, {"charge": 1, "cool-down": None, "again": 2}]
    assert (RUNS, CALLED) == ([1, 1], [1, 2])


def test_sleeping_is_not_cut_short_by_whoever_runs_the_job_early():
    result = enqueued(cool_down)
    due = jobs.get(result).run_after
    jobs.update(result, run_after=timedelta(0))
    assert drain() == {"snoozed": 1}
    assert jobs.get(result).run_after == due
    assert CALLED == [1]


def test_a_sleep_of_no_time_does_not_end_the_run():
    result = enqueued(nap)
    result.refresh()
    assert (RUNS, result.return_value) == ([1], {"nap": None})


def test_a_sleep_that_is_over_is_not_slept_again():
    result = enqueued(cool_down)
    with travel(timedelta(hours=25)):
        drain()
    assert json.loads(jobs.get(result).steps)["cool-down"] is None
    assert jobs.get(result).attempt == 1


def test_async_jobs_sleep_and_wait_too():
    result = enqueued(acool_down)
    with travel(timedelta(hours=25)):
        assert drain() == {"snoozed": 1}
        assert the_reason(result).text.startswith("It waits for the signal approved until ")
    with travel(timedelta(hours=26)):
        assert drained(result).return_value == "nobody"
    assert CALLED == [1]


def test_in_tests_drain_lets_time_pass():
    result = enqueued(acool_down)
    drain(scheduled=True)
    result.refresh()
    assert result.return_value == "nobody"


def test_a_signal_ends_the_wait():
    result = enqueued(approve)
    job = jobs.get(result)
    assert (job.run_after, pending_wait(job).name, job.attempt) == (FOREVER, "approved", 1)
    assert drain(scheduled=True) == {}
    assert the_reason(result).text == "It waits for the signal approved, however long that takes."
    assert the_reason(result).remedy == f"To send it: loco_jobs signal {job.id} approved"
    assert jobs.signal(result, "approved", {"by": "anna", "sum": [1.5, None]})
    assert drained(result).return_value == [1, {"by": "anna", "sum": [1.5, None]}]
    assert (RUNS, CALLED) == ([1, 1], [1])


def test_a_job_that_a_signal_wakes_is_due_since_then():
    result = enqueued(approve)
    with travel(timedelta(days=3)):
        before = utcnow()
        jobs.signal(result, "approved")
        assert before <= jobs.get(result).due_at <= utcnow()


def test_a_job_that_a_signal_wakes_while_it_ends_its_run_is_due_since_then(monkeypatch):
    result = approve.enqueue()

    def late(*args):
        monkeypatch.undo()
        try:
            return waits.signal_of(*args)
        finally:
            assert jobs.signal(result, "approved", 1)

    monkeypatch.setattr("django_loco.worker.execution.steps.waits.signal_of", late)
    with travel(timedelta(days=3)):
        before = utcnow()
        drain(limit=2)
    assert RUNS == [1, 1]
    assert jobs.get(result).due_at >= before


def test_a_signal_may_come_before_the_job_waits():
    result = approve.enqueue()
    assert jobs.signal(result, "approved", 5)
    assert drained(result).return_value == [1, 5]
    assert RUNS == [1]


def test_the_first_of_two_signals_counts():
    result = enqueued(approve)
    assert jobs.signal(result, "approved", "first")
    assert not jobs.signal(result, "approved", "second")
    assert drained(result).return_value == [1, "first"]


def test_a_signal_of_another_name_wakes_nobody():
    result = enqueued(approve)
    assert jobs.signal(result, "other")
    assert drain() == {}
    assert jobs.get(result).run_after == FOREVER
    assert jobs.signal(result, "approved")
    assert drained(result).return_value == [1, None]


def test_without_an_answer_the_job_fails_and_waits_anew_after_a_retry():
    result = enqueued(approve, 60)
    with travel(timedelta(minutes=2)):
        assert drained(result).status == TaskResultStatus.FAILED
        assert "the signal 'approved' has not come by" in result.errors[-1].traceback
        assert len(result.errors) == 1
        with pytest.raises(InvalidState, match="is failed, so no signal reaches it"):
            jobs.signal(result, "approved")
        jobs.retry(result)
        drain()
        assert jobs.get(result).run_after > utcnow()
        assert jobs.signal(result, "approved", 5)
        assert drained(result).return_value == [1, 5]


def test_a_time_that_was_up_stays_so_for_later_runs():
    result = enqueued(decide)
    with travel(timedelta(hours=2)):
        drain(raise_errors=False)
        with pytest.raises(InvalidState, match="'approved' any more: its time was up"):
            jobs.signal(result, "approved", "late")
        drain(scheduled=True)
        result.refresh()
    assert result.return_value == "approved"


def test_the_signal_and_the_time_exclude_each_other(monkeypatch):
    result = enqueued(decide)
    with travel(timedelta(hours=2)):

        def late(*args):
            monkeypatch.undo()
            assert jobs.signal(result, "approved", "just in time")
            return waits.signal_of(*args)

        monkeypatch.setattr("django_loco.worker.execution.steps.waits.signal_of", late)
        drain(scheduled=True, raise_errors=False)
    result.refresh()
    assert result.return_value == "just in time"


@pytest.mark.parametrize("how", MISTAKES)
def test_mistakes_are_named_and_not_tried_again(how):
    result = wrong.enqueue(how)
    drain(scheduled=True, raise_errors=False)
    result.refresh()
    assert result.status == TaskResultStatus.FAILED
    assert len(result.errors) == 1
    assert MISTAKES[how][1] in result.errors[0].traceback


def test_a_job_that_swallows_the_end_of_its_run_does_no_other_step():
    result = enqueued(swallow_twice)
    assert CALLED == []
    assert pending_wait(jobs.get(result)) is not None


def test_asyncio_may_put_the_end_of_the_run_into_a_group():
    result = enqueued(agroup)
    assert pending_wait(jobs.get(result)).name == "approved"


def test_an_error_that_replaces_the_end_of_the_run_counts():
    result = enqueued(in_finally)
    assert result_of(result).status == TaskResultStatus.FAILED
    assert "of the finally block" in result_of(result).errors[0].traceback


@pytest.mark.parametrize("name", ["", None, 5])
def test_the_name_of_a_signal_is_text(name):
    with pytest.raises(InvalidArguments, match="must be text that is not empty"):
        jobs.signal(approve.enqueue(), name)


@pytest.mark.parametrize("value", [object(), float("nan"), "x" * 2_000_000])
def test_the_value_of_a_signal_is_json(settings, value):
    settings.LOCO = {**settings.LOCO, "MAX_RESULT_SIZE": 1_000_000}
    with pytest.raises(InvalidArguments, match="cannot be sent as JSON"):
        jobs.signal(approve.enqueue(), "approved", value)


def test_no_signal_for_a_job_that_is_not_there():
    with pytest.raises(jobs.TaskResultDoesNotExist):
        jobs.signal("01a220e4884f7d2ba19ca3780b5165c2", "approved")


def test_no_signal_for_a_step_that_is_done():
    result = enqueued(approve)
    with pytest.raises(InvalidState, match="has done the step 'ask' already"):
        jobs.signal(result, "ask")


def test_a_signal_is_sent_with_the_commit(transactional_queue):
    result = enqueued(approve)
    with suppress(RuntimeError), transaction.atomic():
        jobs.signal(result, "approved", 1)
        raise RuntimeError
    assert drain() == {}
    with transaction.atomic():
        jobs.signal(result, "approved", 2)
    assert drained(result).return_value == [1, 2]


@pytest.fixture
def transactional_queue():
    if queue_for("default").database is None:
        pytest.skip("only a queue in a database takes part in transactions")


def test_on_the_command_line(capsys):
    result = enqueued(approve)
    call_command("loco_jobs", "signal", result.id[-8:], "approved", '{"by": "anna"}')
    assert "Sent the signal 'approved' to job" in capsys.readouterr().out
    call_command("loco_jobs", "signal", result.id, "approved")
    assert "has the signal 'approved' already" in capsys.readouterr().out
    assert drained(result).return_value == [1, {"by": "anna"}]
    with pytest.raises(CommandError, match="is done, so no signal reaches it"):
        call_command("loco_jobs", "signal", result.id, "approved")
    with pytest.raises(CommandError, match="Text needs quotes"):
        call_command("loco_jobs", "signal", result.id, "approved", "yes")
    call_command("loco_jobs", "show", result.id)
    assert "signals" in capsys.readouterr().out


def test_lists_say_that_a_job_waits(capsys):
    enqueued(approve)
    call_command("loco_jobs", "list")
    assert "scheduled  " in capsys.readouterr().out


def result_of(result):
    return jobs.get(result)


@pytest.mark.parametrize(
    ("waiting", "text"),
    [
        (approve, "approve waits for the signal 'approved'"),
        (cool_down, "cool_down sleeps at 'cool-down' until .* UTC, for 1 d"),
        (wait_for_many, "many waits for the signal 'finance' until .* UTC, for 3 d, .*'legal'.*'audit'.*, and 1 more"),
    ],
)
def test_the_log_says_what_a_job_waits_for(waiting, text, caplog):
    caplog.set_level(logging.INFO, "django_loco.worker")
    with override("de"):  # the log is English
        waiting.enqueue()
        drain()
    assert [line for line in caplog.messages if re.fullmatch(f".*{text}", line)], caplog.messages
