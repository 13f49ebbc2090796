"""What the exceptions mean by which a job ends: alone, in a group of asyncio, and after its cancellation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from django_loco.core.job import FAILED, READY, Outcome, utcnow
from django_loco.core.job.waits import SLEEP, Wait
from django_loco.exceptions import Discard, Interrupted, InvalidStep, SignalTimeout, Snooze, Throttled
from django_loco.worker.claimed_job import ClaimedJob, Suspended
from django_loco.worker.execution.attempt import INTERRUPTION_DELAY, Attempt
from django_loco.worker.execution.preparation import prepare

from ..support import held


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


def interrupted(stop: threading.Event) -> Outcome:
    attempt = prepare(ClaimedJob(held("nothing"), stop))
    assert isinstance(attempt, Attempt)
    return attempt.failed(Interrupted())


def test_at_once_if_the_worker_is_stopping(stop):
    stop.set()
    outcome = interrupted(stop)
    assert outcome.status == READY
    assert outcome.run_after is None
    assert not outcome.spent


def test_after_a_pause_if_there_was_no_reason_to_end(stop):
    """Else a job that always interrupts itself would keep its worker busy."""
    before = utcnow()
    outcome = interrupted(stop)
    assert outcome.status == READY
    assert not outcome.spent
    assert outcome.run_after is not None
    assert before + INTERRUPTION_DELAY <= outcome.run_after <= utcnow() + INTERRUPTION_DELAY + timedelta(seconds=1)


def raised_by(job: Callable[[], Awaitable[object]], *, cancels: bool = True) -> BaseException:
    """What an async job ends with, when its asyncio task is cancelled while it waits."""

    async def run() -> BaseException:
        task = asyncio.ensure_future(job())
        await asyncio.sleep(0.001)
        if cancels:
            task.cancel()
        [error] = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(error, BaseException)
        return error

    return asyncio.run(run())


def ended(error: BaseException, *, released: bool = False) -> Outcome:
    attempt = prepare(ClaimedJob(held("fail_often"), threading.Event()))
    assert isinstance(attempt, Attempt)
    attempt.claimed.released = released
    return attempt.failed(error)


async def cleaning_up() -> None:
    try:
        await asyncio.sleep(20)
    finally:
        raise ConnectionError("it is closed")


async def wrapping() -> None:
    try:
        await asyncio.sleep(20)
    except BaseException as error:
        raise RuntimeError("not synchronised") from error


async def wrapping_something_else() -> None:
    try:
        await asyncio.sleep(20)
    except asyncio.CancelledError:
        raise RuntimeError("not synchronised") from ValueError("the last number")


async def in_parts() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(cleaning_up())
        group.create_task(asyncio.sleep(20))


async def with_a_part_that_fails() -> None:
    async def broken() -> None:
        raise ValueError("it has a bug")

    async with asyncio.TaskGroup() as group:
        group.create_task(broken())
        group.create_task(cleaning_up())


async def only_failing() -> None:
    raise ValueError("it has a bug")


@pytest.mark.parametrize("job", [cleaning_up, wrapping, wrapping_something_else, in_parts])
def test_what_a_job_raises_when_a_shutdown_cancels_it_is_no_failure(job):
    error = raised_by(job)
    outcome = ended(error, released=True)
    assert (outcome.status, outcome.spent, outcome.error) == (READY, False, None)
    assert ended(error).error is not None  # without a shutdown, the job has cancelled itself


@pytest.mark.parametrize("job", [only_failing, with_a_part_that_fails])
def test_an_error_that_does_not_come_of_the_shutdown_counts(job):
    outcome = ended(raised_by(job, cancels=False), released=True)
    assert outcome.spent
    assert outcome.error is not None


def test_a_ring_of_errors_ends():
    one, other = ValueError(), ValueError()
    one.__cause__, other.__cause__ = other, one
    assert ended(one, released=True).error is not None


@pytest.mark.parametrize(
    "told",
    [Interrupted(), Snooze(60), Throttled(60), Discard("gone"), InvalidStep("used"), SignalTimeout(name="approved")],
    ids=lambda told: type(told).__name__,
)
@pytest.mark.parametrize("released", [False, True])
def test_what_a_job_tells_is_heard_out_of_a_task_group(told, released):
    group = BaseExceptionGroup("", [told, BaseExceptionGroup("", [told])])
    alone, grouped = ended(told, released=released), ended(group, released=released)
    assert (grouped.status, grouped.spent, grouped.snoozed) == (alone.status, alone.spent, alone.snoozed)
    assert bool(grouped.run_after) == bool(alone.run_after)
    assert grouped.status == (FAILED if isinstance(told, Discard | InvalidStep | SignalTimeout) else READY)
    assert grouped.kind == alone.kind


def test_the_end_of_a_run_for_a_sleep_does_not_hide_what_is_beside_it():
    end = Suspended(Wait("nap", SLEEP, None))
    assert ended(BaseExceptionGroup("", [end, BaseExceptionGroup("", [end, Snooze(60)])])).snoozed
    outcome = ended(BaseExceptionGroup("", [ValueError("a bug"), end]))
    assert (outcome.status, outcome.spent) == (READY, True)
    assert "Suspended" not in outcome.error.traceback


def test_beside_another_error_it_is_not():
    outcome = ended(BaseExceptionGroup("", [Snooze(60), ValueError("a bug")]))
    assert not outcome.snoozed
    assert outcome.error is not None
