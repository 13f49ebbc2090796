"""Jobs that say how far they are."""

from __future__ import annotations

import logging
import threading
from decimal import Decimal
from typing import Any

import pytest

from django_loco.core.job import FAILED, RUNNING, SUCCESSFUL, Job
from django_loco.core.serialization import encode
from django_loco.exceptions import QueueUnavailable
from django_loco.jobs.presentation.progress import JobProgress, progress_of
from django_loco.queues.memory import MemoryQueue
from django_loco.tasks import task
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.execution.context.progress import is_new, report, save_progress
from django_loco.worker.maintenance import cancellations
from django_loco.worker.pools.inline import run_inline

from ...support import TroubledQueue, claimed_of, fetched, held, wait_until

reached, go_on = threading.Event(), threading.Event()


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellations, "CHECK_SECONDS", 0.01)
    reached.clear()
    go_on.clear()


@task(takes_context=True)
def work(context: Any, to: int, error: str = "") -> None:
    for number in range(to):
        context.progress(number + 1, to, f"row {number}")
    if error:
        raise ValueError(error)


@task(takes_context=True)
async def awork(context: Any, to: int, error: str = "") -> None:
    for number in range(to):
        await context.aprogress(number + 1, to, f"row {number}")
    if error:
        raise ValueError(error)


@task(takes_context=True)
def wait(context: Any) -> None:
    context.progress(1, 4)
    reached.set()
    go_on.wait(20)


@task(takes_context=True)
def say(context: Any, value: Any) -> None:
    context.progress(value)


def job(name: str, *args: Any) -> Job:
    return Job(
        task_path=f"{__name__}.{name}",
        backend="default",
        arguments=encode([args, {}]),
        is_async=name.startswith("a"),
    )


def seen(queue: MemoryQueue, one: Job) -> JobProgress | None:
    stored = queue.get(one.id)
    assert stored is not None
    return progress_of(stored)


@pytest.mark.parametrize("name", ["work", "awork"])
@pytest.mark.parametrize(("error", "status"), [("", SUCCESSFUL), ("boom", FAILED)])
def test_what_was_said_last_is_stored_before_the_end(queue, start, name, error, status):
    [one] = queue.enqueue([job(name, 1000, error)])
    start(drain=True).join(20)
    progress = seen(queue, one)
    assert (progress.done, progress.total, progress.note) == (1000, 1000, "row 999")
    assert queue.get(one.id).status == status


@pytest.mark.parametrize("name", ["work", "awork"])
def test_inside_enqueue(queue, name):
    ended = run_inline(queue, one := job(name, 3))
    assert ended.status == SUCCESSFUL
    assert seen(queue, one).done == 3


def test_others_see_it_while_the_job_runs(queue, start):
    [one] = queue.enqueue([job("wait")])
    start()
    assert reached.wait(10)
    wait_until(lambda: seen(queue, one) is not None)
    assert (queue.get(one.id).status, seen(queue, one).percent) == (RUNNING, 25.0)
    go_on.set()
    wait_until(lambda: queue.get(one.id).status == SUCCESSFUL)
    assert seen(queue, one).percent == 100.0


def test_a_million_calls_store_once():
    stored: list[str] = []

    def update(job: Job, field: str, text: str) -> bool:
        stored.append(text)
        return True

    claimed = ClaimedJob(held("nothing"), update=update)
    for number in range(1_000_000):
        report(claimed, number, 1_000_000, "")
    assert is_new(claimed)
    save_progress(claimed)
    save_progress(claimed)
    assert not is_new(claimed)
    assert len(stored) == 1
    assert claimed.job.progress == stored[0]


@pytest.mark.parametrize("value", [3, 2.5, True, Decimal("2.5"), float("nan")])
def test_numbers(value):
    claimed = claimed_of("nothing")
    report(claimed, value, value, "")
    assert claimed.report is not None


@pytest.mark.parametrize("value", ["3", None, [1], 1j])
def test_what_is_no_number_is_named(value):
    with pytest.raises(TypeError, match=r"done is .*; it must be a number"):
        report(claimed_of("nothing"), value, None, "")
    if value is not None:
        with pytest.raises(TypeError, match=r"total is .*; it must be a number"):
            report(claimed_of("nothing"), 1, value, "")


def test_a_mistake_fails_the_job_with_that_error(queue):
    ended = run_inline(queue, job("say", "x"))
    assert "progress(): done is 'x'; it must be a number." in ended.errors[0].traceback


def test_a_note_may_be_anything():
    claimed = claimed_of("nothing")
    report(claimed, 1, 2, ValueError("late"))
    assert claimed.report == (1, 2, "late")


def held_by(queue: TroubledQueue) -> ClaimedJob:
    [claimed] = fetched(queue, 1).values()
    claimed.update = queue.update
    report(claimed, 1, 2, "")
    return claimed


def test_a_job_that_another_worker_has_learns_of_it():
    claimed = held_by(queue := TroubledQueue())
    queue.clear()
    save_progress(claimed)
    assert claimed.stopping
    assert not is_new(claimed)


def test_one_that_has_just_ended_is_not_taken_for_lost():
    claimed = held_by(queue := TroubledQueue())
    claimed.decide()
    queue.clear()
    save_progress(claimed)
    assert not claimed.refused


def unreachable(*args: object) -> bool:
    raise QueueUnavailable("the store is away")


def test_while_the_queue_is_away_it_is_kept_for_later():
    claimed = held_by(TroubledQueue())
    store, claimed.update = claimed.update, unreachable
    with pytest.raises(QueueUnavailable):
        save_progress(claimed)
    assert is_new(claimed)
    claimed.update = store
    save_progress(claimed)
    assert not is_new(claimed)


@pytest.mark.parametrize("name", ["work", "awork"])
def test_a_job_ends_well_if_its_progress_cannot_be_stored(
    name: str, queue: MemoryQueue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(queue, "update", unreachable)
    ended = run_inline(queue, job(name, 3))
    assert ended is not None
    assert ended.status == SUCCESSFUL
    assert "is not stored: the store is away" in caplog.text


def test_of_two_threads_that_store_the_later_report_wins():
    entered, leave = threading.Event(), threading.Event()
    stored: list[str] = []

    def update(job: Job, field: str, text: str) -> bool:
        if not entered.is_set():
            entered.set()
            leave.wait(10)
        stored.append(text)
        return True

    claimed = ClaimedJob(held("nothing"), update=update)
    report(claimed, 1, 2, "")
    first = threading.Thread(target=save_progress, args=(claimed,))
    first.start()
    assert entered.wait(10)
    report(claimed, 2, 2, "")
    second = threading.Thread(target=save_progress, args=(claimed,))
    second.start()
    leave.set()
    first.join(10)
    second.join(10)
    assert ['"done":1' in text for text in stored] == [True, False]
