"""Jobs that somebody cancels while they run here."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any

import pytest

from django_loco.core.compat import task_finished
from django_loco.core.job import FAILED, RUNNING, SUCCESSFUL, Job, Outcome, error_of
from django_loco.exceptions import JobCancelled, JobsLocked, QueueUnavailable
from django_loco.jobs.operations import Cancel
from django_loco.jobs.presentation.progress import progress_of
from django_loco.signals import job_cancelled
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.execution.context.progress import is_new, report
from django_loco.worker.execution.executor import aexecute, execute
from django_loco.worker.maintenance import cancellations as module
from django_loco.worker.maintenance.cancellations import Cancellations
from django_loco.worker.worker import Worker

from .. import support, tasks
from ..support import Clock, TroubledQueue, claimed_of, fetched, job


@pytest.fixture
def queue() -> TroubledQueue:
    return TroubledQueue()


def wait_until(condition: Callable[[], Any]) -> None:
    """As long as a very busy machine takes for a dozen changes of thread."""
    support.wait_until(condition, 40)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.01)


def cancel(queue: TroubledQueue, job_id: str) -> Job:
    """Cancel a running job as another process does it; return it as it is then."""
    running = queue.get(job_id)
    assert running is not None
    assert running.status == RUNNING
    outcome = Cancel(by="anna").of(running)
    assert isinstance(outcome, Outcome)
    assert queue.finish([outcome]) == set()
    after = queue.get(job_id)
    assert after is not None
    return after


def begun(queue: TroubledQueue, task: str, name: str, **fields: Any) -> str:
    [one] = queue.enqueue([job(task, name, **fields)])
    tasks.retried(tasks.events[f"{name} began"])
    return one.id


def is_idle(worker: Worker) -> bool:
    return not worker._held


@pytest.mark.interrupts
@pytest.mark.parametrize("task", ["until_cancelled", "auntil_cancelled"])
@pytest.mark.parametrize("options", [{}, {"timeout": 60}], ids=["no timeout", "a timeout"])
def test_a_running_job_ends_and_is_not_retried(queue, start, caplog, ends, task, options):
    caplog.set_level(logging.INFO, logger="django_loco")
    tasks.told.clear()
    worker = start()
    job_id = begun(queue, task, "a", options=options)
    after = cancel(queue, job_id)
    tasks.retried(tasks.events["a ended"])
    wait_until(lambda: is_idle(worker))
    assert tasks.told == [(True, True)]
    assert queue.get(job_id) == after
    assert after.errors[-1].exception_class_path == "django_loco.exceptions.JobCancelled"
    assert "cancelled by anna" in after.errors[-1].traceback
    [result] = ends
    assert (result.status, result.errors[-1].exception_class, len(result.errors)) == (FAILED, JobCancelled, 1)
    assert caplog.text.count(f"Job {job_id} (tests.unit.worker.tasks.{task}) was cancelled") == 1
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
    assert "came too late" not in caplog.text
    assert "claim" not in caplog.text
    [next_one] = queue.enqueue([job("nothing")])
    wait_until(lambda: getattr(queue.get(next_one.id), "status", None) == SUCCESSFUL)


@pytest.mark.parametrize("task", ["wait_for", "stubborn"])
def test_one_that_cannot_be_interrupted_is_given_up(queue, start, monkeypatch, task):
    """It waits in C code, or swallows the cancellation. Another thread or task takes its place."""
    worker = start(threads=1, coroutines=1)
    for pool in (worker._threads._interrupter, worker._event_loop):
        monkeypatch.setattr(pool, "_grace", 0.05)
    after = cancel(queue, begun(queue, task, "a"))
    wait_until(lambda: is_idle(worker))
    wait_until(lambda: worker._threads.abandoned + worker._event_loop.abandoned == 1)
    assert queue.get(after.id) == after
    [next_one] = queue.enqueue([job("anothing" if after.is_async else "nothing")])
    wait_until(lambda: getattr(queue.get(next_one.id), "status", None) == SUCCESSFUL)
    tasks.events["a"].set()
    wait_until(lambda: worker._threads.abandoned + worker._event_loop.abandoned == 0)
    assert queue.get(after.id) == after


def test_a_job_that_returns_all_the_same_stays_cancelled(queue, start):
    worker = start()
    job_id = begun(queue, "until_stopped", "a")
    after = cancel(queue, job_id)
    wait_until(lambda: is_idle(worker))
    assert queue.get(job_id) == after


def test_the_heartbeat_marks_them_as_well(queue, start, monkeypatch, caplog):
    monkeypatch.setattr(module, "CHECK_SECONDS", 3600.0)
    worker = start(lease=0.3)
    job_id = begun(queue, "auntil_cancelled", "a")
    cancel(queue, job_id)
    tasks.retried(tasks.events["a ended"])
    wait_until(lambda: is_idle(worker))
    assert "Lost the claim" not in caplog.text


# Before the worker has noticed


@pytest.fixture
def ends() -> Iterator[list[Any]]:
    """The results with which ``task_finished`` was sent."""
    found: list[Any] = []
    receiver = lambda task_result, **_: found.append(task_result)  # noqa: E731 - a weak reference is kept to it
    task_finished.connect(receiver)
    yield found
    task_finished.disconnect(receiver)


@pytest.fixture
def cancellations_heard() -> Iterator[list[Any]]:
    """The results with which ``job_cancelled`` was sent."""
    found: list[Any] = []
    receiver = lambda task_result, **_: found.append(task_result)  # noqa: E731 - as above
    job_cancelled.connect(receiver)
    yield found
    job_cancelled.disconnect(receiver)


@pytest.mark.parametrize("task", ["wait_for", "await_for"])
def test_a_job_that_waits_for_a_thread_does_not_begin(task, ends):
    error = error_of(JobCancelled, "cancelled by anna")
    claimed = claimed_of(task, "a")
    tasks.events["a"].set()
    claimed.cancelled = error

    async def on_a_loop() -> Outcome | None:
        return await aexecute(claimed, lambda attempt: attempt.begin())

    outcome = asyncio.run(on_a_loop()) if task == "await_for" else copy_context().run(execute, claimed)
    assert not tasks.events["a began"].is_set()
    assert outcome is not None
    assert (outcome.status, outcome.error) == (FAILED, error)
    assert [(result.status, result.errors[-1]) for result in ends] == [(FAILED, error)]


def test_of_a_job_that_ended_meanwhile_the_cancellation_counts(queue, start, monkeypatch, caplog, ends):
    caplog.set_level(logging.INFO, logger="django_loco")
    monkeypatch.setattr(module, "CHECK_SECONDS", 3600.0)
    worker = start(lease=3)  # announcements come ten times per lease
    job_id = begun(queue, "wait_for", "a")
    after = cancel(queue, job_id)
    tasks.events["a"].set()
    wait_until(lambda: is_idle(worker))
    assert queue.get(job_id) == after
    wait_until(lambda: len(ends) == 2)
    assert [result.status for result in ends] == [SUCCESSFUL, FAILED]
    assert "cancelled by anna" in ends[-1].errors[-1].traceback
    assert caplog.text.count(f"Job {job_id} (tests.unit.worker.tasks.wait_for) was cancelled") == 1
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
    assert "came too late" not in caplog.text


@pytest.mark.parametrize("how", ["interrupted", "failed", "successful"])
def test_of_a_job_that_learns_of_it_when_it_saves_a_checkpoint_the_end_is_announced(
    queue, start, monkeypatch, ends, cancellations_heard, how
):
    monkeypatch.setattr(module, "CHECK_SECONDS", 3600.0)
    worker = start(lease=3)  # announcements come ten times per lease
    after = cancel(queue, begun(queue, "checkpoint_and_end", "a", arguments=f'[["a", "{how}"], {{}}]'))
    tasks.events["a"].set()
    wait_until(lambda: cancellations_heard)
    assert [result.id for result in [*ends, *cancellations_heard]] == [after.id] * 2
    assert [result.errors[-1].exception_class for result in ends] == [JobCancelled]
    assert queue.get(after.id) == after
    assert is_idle(worker)


def test_of_a_job_that_its_worker_hands_back_the_end_is_announced(queue, start, monkeypatch, caplog, ends):
    monkeypatch.setattr(module, "CHECK_SECONDS", 3600.0)
    worker = start()
    after = cancel(queue, begun(queue, "wait_for", "a"))
    worker.stop(time.monotonic() + 1.5)
    wait_until(lambda: len(ends) == 1)
    assert (ends[0].id, ends[0].status) == (after.id, FAILED)
    assert queue.get(after.id) == after
    assert "came too late" not in caplog.text
    tasks.events["a"].set()
    assert worker.join(10)
    assert worker.health()["handed_back"] == 0


def test_a_queue_that_cannot_say_why_it_refuses(queue, start, monkeypatch, caplog):
    def away(job_id: str) -> Job | None:
        raise QueueUnavailable("gone")

    monkeypatch.setattr(module, "CHECK_SECONDS", 3600.0)
    worker = start()
    cancel(queue, begun(queue, "wait_for", "a"))
    monkeypatch.setattr(queue, "get", away)
    tasks.events["a"].set()
    wait_until(lambda: is_idle(worker))
    assert "Cannot find out why the outcome of" in caplog.text
    assert "came too late" in caplog.text


# The thread


def interrupted(queue: TroubledQueue, held: dict[str, ClaimedJob], clock: Clock) -> tuple[Cancellations, list[Any]]:
    found: list[Any] = []
    return Cancellations(queue, held, found.append, clock), found


def test_jobs_are_asked_for_when_they_are_a_second_old(queue, clock, monkeypatch):
    monkeypatch.setattr(module, "CHECK_SECONDS", 1.0)
    asked: list[list[Job]] = []
    monkeypatch.setattr(queue, "lost", lambda jobs: asked.append(jobs) or set())
    held = fetched(queue, 3)
    for number, claimed in enumerate(held.values()):
        claimed.fetched_at = clock.now + number
    cancellations, _ = interrupted(queue, held, clock)
    assert cancellations.turn() == 1.0
    assert asked == []
    clock.now += 1.5
    held_jobs = [*held.values()]
    cancellations.turn()
    assert asked == [[held_jobs[0].job]]
    held_jobs[0].decide()
    clock.now += 1
    cancellations.turn()
    assert asked[1:] == [[held_jobs[1].job]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_only_what_was_cancelled_is_interrupted_and_once(queue, clock):
    held = fetched(queue, 3)
    first, second, third = held.values()
    for claimed in held.values():
        claimed.fetched_at = clock.now - 5
    cancel(queue, first.job.id)
    queue.finish([Outcome.released(second.job)])
    cancellations, found = interrupted(queue, held, clock)
    cancellations.turn()
    cancellations.turn()
    assert found == [first]
    assert first.cancelled is not None
    assert (second.cancelled, third.cancelled) == (None, None)
    assert [claimed.stopping for claimed in (first, second, third)] == [True, False, False]


def test_two_threads_that_find_it_at_the_same_time_interrupt_it_once(queue, clock, monkeypatch, caplog):
    caplog.set_level(logging.INFO, logger="django_loco")
    held = fetched(queue, 1)
    [claimed] = held.values()
    cancel(queue, claimed.job.id)
    cancellations, found = interrupted(queue, held, clock)
    get = queue.get

    def get_second(job_id: str) -> Job | None:
        monkeypatch.undo()
        cancellations.interrupt_cancelled([claimed])  # as the heartbeat does
        return get(job_id)

    monkeypatch.setattr(queue, "get", get_second)
    cancellations.interrupt_cancelled([claimed])
    assert found == [claimed]
    assert caplog.text.count("was cancelled") == 1


def test_many_are_asked_for_in_several_calls(queue, clock, monkeypatch):
    monkeypatch.setattr(module, "CHECK_BATCH", 2)
    sizes: list[int] = []
    monkeypatch.setattr(queue, "lost", lambda jobs: sizes.append(len(jobs)) or set())
    held = fetched(queue, 5)
    for claimed in held.values():
        claimed.fetched_at = clock.now - 5
    interrupted(queue, held, clock)[0].turn()
    assert sizes == [2, 2, 1]


def test_a_queue_that_is_away_is_asked_again_later(queue, clock, monkeypatch):
    def lost(jobs: Any) -> set[str]:
        raise QueueUnavailable("gone")

    held = fetched(queue, 1)
    [claimed] = held.values()
    claimed.fetched_at = clock.now - 5
    cancel(queue, claimed.job.id)
    cancellations, found = interrupted(queue, held, clock)
    monkeypatch.setattr(queue, "lost", lost)
    with pytest.raises(QueueUnavailable):
        cancellations.turn()
    monkeypatch.undo()
    cancellations.turn()
    assert found == [claimed]


def test_progress_that_cannot_be_stored_now_is_stored_later_and_keeps_no_job_from_being_cancelled(queue, clock):
    held = fetched(queue, 2)
    for number, claimed in enumerate(held.values()):
        claimed.fetched_at = clock.now - 5
        report(claimed, number + 1, 2, "")

    def locked(*given: Any) -> bool:
        raise QueueUnavailable("the database is locked")

    for claimed in held.values():
        claimed.update = locked
    cancellations, found = interrupted(queue, held, clock)
    first, second = held.values()
    cancel(queue, first.job.id)
    cancellations.turn()
    assert found == [first]
    assert is_new(second)
    second.update = queue.update
    cancellations.turn()
    assert not is_new(second)
    assert progress_of(queue.get(second.job.id)).done == 2
    assert queue.get(first.job.id).progress is None


def test_progress_of_a_job_that_somebody_has_locked_keeps_no_other_from_being_stored(queue, clock):
    def locked(*given: Any) -> bool:
        raise JobsLocked("locked")

    held = fetched(queue, 2)
    first, second = held.values()
    for claimed, update in ((first, locked), (second, queue.update)):
        claimed.update = update
        report(claimed, 1, 2, "")
    interrupted(queue, held, clock)[0].turn()
    assert is_new(first)
    assert not is_new(second)
