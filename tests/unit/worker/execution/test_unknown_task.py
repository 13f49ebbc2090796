"""Jobs of tasks that a worker does not have: how long they wait, what is logged, and when it is over."""

from __future__ import annotations

from contextvars import copy_context
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings

from django_loco.core.compat import TaskError, task_finished
from django_loco.core.job import FAILED, READY, SUCCESSFUL, Job, Outcome, utcnow
from django_loco.core.job.unknown_task import unknown_since
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.execution import unknown_task as unknown
from django_loco.worker.execution.errors import record_of
from django_loco.worker.execution.executor import execute
from django_loco.worker.execution.unknown_task import (
    LONGEST_SECONDS,
    SHORTEST_SECONDS,
    SPREAD,
    UnknownTaskPaths,
    put_off_unknown,
)
from django_loco.worker.worker import Worker

from ..support import Clock, TroubledQueue, held, job, wait_until

RECORD = record_of(ImportError("no module named gone"))


def gone(name: str = "gone.tasks.send", **given: Any) -> Job:
    return replace(held("nothing"), task_path=name, **given)


def missed(seconds: float, one: Job | None = None) -> Job:
    """A job that was first missed so many seconds ago."""
    since = (utcnow() - timedelta(seconds=seconds)).isoformat()
    told = f"Traceback ...\nThis task has been missing since {since}.\n"
    return replace(one or gone(), errors=(TaskError(exception_class_path="a.B", traceback=told),))


def ended(claimed: ClaimedJob) -> Outcome:
    outcome = copy_context().run(execute, claimed)
    assert outcome is not None
    return outcome


# One job


def test_when_it_was_first_missed_is_kept_with_the_job():
    first = put_off_unknown(gone(), RECORD)
    since = unknown_since(first.applied())
    assert abs((utcnow() - since).total_seconds()) < 5
    again = put_off_unknown(first.applied(), record_of(ValueError("another reason")))
    assert again.applied().errors == first.applied().errors
    assert unknown_since(again.applied()) == since


def test_an_attempt_that_has_run_since_begins_anew():
    one = missed(1_000)
    error = TaskError(exception_class_path="builtins.ValueError", traceback="ValueError: no\n")
    assert unknown_since(one) is not None
    assert unknown_since(replace(one, errors=(*one.errors, error))) is None
    assert unknown_since(gone()) is None


@pytest.mark.parametrize(("task", "args"), [("nothing", []), ("snooze", [60]), ("fail_often", [])])
def test_the_time_begins_anew_when_the_job_has_run_however_that_ends(task, args):
    claimed = ClaimedJob(missed(1_000, held(task, *args)))
    after = ended(claimed).applied()
    assert unknown_since(after) is None
    assert not any("has been missing" in error.traceback for error in after.errors)


@pytest.mark.parametrize("text", ["yesterday", "2026-11-27", "2026-11-27T12:00:00", "9" * 400])
def test_a_time_that_somebody_has_made_up_is_none(text):
    error = TaskError(exception_class_path="a.B", traceback=f"This task has been missing since {text}.\n")
    assert unknown_since(gone(errors=(error,))) is None


@pytest.mark.parametrize(
    ("age", "pause"),
    [(0, SHORTEST_SECONDS), (60, SHORTEST_SECONDS), (400, 100), (8_000, 2_000), (10**6, LONGEST_SECONDS)],
)
def test_the_pause_grows_with_the_time_for_which_it_has_been_missed(age, pause):
    seconds = [(put_off_unknown(missed(age), RECORD).run_after - utcnow()).total_seconds() for _ in range(200)]
    assert all(pause * (1 - SPREAD) - 1 < one < pause * (1 + SPREAD) + 1 for one in seconds)
    assert max(seconds) - min(seconds) > pause * SPREAD


@override_settings(LOCO={"UNKNOWN_TASK_TTL": 100})
def test_in_the_end_it_fails_and_that_is_announced():
    results = []
    task_finished.connect(lambda task_result, **_: results.append(task_result), weak=False, dispatch_uid="in the end")
    assert ended(ClaimedJob(missed(99))).status == READY
    outcome = ended(ClaimedJob(missed(101)))
    task_finished.disconnect(dispatch_uid="in the end")
    assert outcome.status == FAILED
    assert outcome.error.exception_class_path == "django_loco.exceptions.UnknownTask"
    assert "LOCO['UNKNOWN_TASK_TTL']" in outcome.error.traceback
    assert [(result.status, result.task.module_path) for result in results] == [(FAILED, "gone.tasks.send")]


@override_settings(LOCO={"UNKNOWN_TASK_TTL": 100})
def test_so_does_one_whose_arguments_cannot_be_read_either():
    assert ended(ClaimedJob(replace(missed(101), arguments="no JSON"))).status == FAILED


def test_by_default_it_waits_for_a_week():
    assert ended(ClaimedJob(missed(7 * 86_400 - 60))).status == READY
    assert ended(ClaimedJob(missed(7 * 86_400 + 60))).status == FAILED


# Many


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def missing(clock) -> UnknownTaskPaths:
    return UnknownTaskPaths(clock)


def runs(count: int, name: str = "gone.tasks.send", **given: Any) -> list[ClaimedJob]:
    return [ClaimedJob(gone(name, **given)) for _ in range(count)]


def test_what_is_not_known_to_be_missing_is_tried(missing):
    assert missing.take(runs(3)) == []
    missing.note(gone(), RECORD)
    assert missing.take(runs(3, "other.task")) == []


def test_what_is_known_to_be_missing_is_put_off_without_a_trial(missing):
    missing.note(gone(), RECORD)
    taken = missing.take([*runs(3), *runs(2, "other.task")])
    assert [(claimed.job.task_path, outcome.status) for claimed, outcome in taken] == [("gone.tasks.send", READY)] * 3
    assert all(
        outcome.error.traceback.startswith("ImportError: no module named gone\nThis task") for _, outcome in taken
    )


def test_now_and_then_one_is_tried(missing, clock):
    missing.note(gone(), RECORD)
    clock.now += unknown.REMEMBERED_SECONDS
    assert len(missing.take(runs(5))) == 4
    assert len(missing.take(runs(5))) == 5


def test_what_has_been_missed_for_too_long_goes_to_a_pool_to_fail(missing):
    missing.note(gone(), RECORD)
    assert missing.take([ClaimedJob(missed(8 * 86_400))]) == []


def test_while_most_are_put_off_more_are_asked_for(missing):
    missing.note(gone(), RECORD)
    missing.take(runs(10))
    assert (missing.more(is_async=False), missing.more(is_async=True)) == (20, 0)
    missing.take([*runs(5), *runs(5, "other.task"), *runs(6, is_async=True)])
    assert (missing.more(is_async=False), missing.more(is_async=True)) == (0, 12)
    missing.take(runs(700))
    assert missing.more(is_async=False) == unknown.MAX_MORE
    missing.take([])
    assert missing.more(is_async=False) == 0


def test_the_log_says_it_once_a_minute_for_each_task(missing, clock, caplog):
    for path in ("gone.one", "gone.two"):
        missing.note(gone(path), RECORD)
    for _ in range(59):
        clock.now += 1
        missing.note(gone("gone.one"), RECORD)
        missing.take(runs(100, "gone.one"))
    assert [record.getMessage() for record in caplog.records] == [
        f"Jobs of gone.{name} wait for a worker that has this task: ImportError: no module named gone"
        for name in ("one", "two")
    ]
    caplog.clear()
    clock.now += 1
    missing.take(runs(1, "gone.one"))
    assert [record.getMessage() for record in caplog.records] == [
        "Jobs of gone.one wait for a worker that has this task: put off 5,960 times in 60 s"
    ]


def test_paths_without_end_take_up_no_memory_without_end(missing):
    for number in range(2 * unknown.MAX_REMEMBERED):
        missing.note(gone(f"gone.task{number}"), RECORD)
    assert len(missing._paths) <= unknown.MAX_REMEMBERED


# A worker


def test_new_jobs_do_not_wait_behind_thousands_whose_task_is_gone():
    queue = TroubledQueue()
    queue.enqueue([replace(job("nothing"), task_path="gone.tasks.send") for _ in range(3_000)])
    [new] = queue.enqueue([job("nothing")])
    worker = Worker(queue, threads=2, coroutines=2, lease=30, result_ttl=60)
    worker.start()
    wait_until(lambda: queue.get(new.id).status == SUCCESSFUL)
    assert queue.calls["exchange"] + queue.calls["fetch"] < 60
    assert worker.health()["failed"] == 0
    worker.retire()
    assert worker.join(10)
    assert queue.counts() == {("default", READY): 3_000, ("default", SUCCESSFUL): 1}


@override_settings(LOCO={"UNKNOWN_TASK_TTL": 100})
def test_sync_and_async_ones_that_have_waited_for_too_long_fail_in_a_worker(caplog):
    queue = TroubledQueue()
    waited = missed(101).errors
    ids = [
        queue.enqueue([replace(job("nothing"), task_path="gone.tasks.send", errors=waited, is_async=is_async)])[0].id
        for is_async in (False, True)
    ]
    worker = Worker(queue, threads=1, coroutines=1, lease=30, result_ttl=60)
    worker.start()
    wait_until(lambda: all(queue.get(one).status == FAILED for one in ids))
    worker.retire()
    assert worker.join(10)
    assert [queue.get(one).errors[-1].exception_class_path.rpartition(".")[2] for one in ids] == ["UnknownTask"] * 2


def test_what_a_worker_has_asked_for_in_vain_goes_back_in_its_old_place():
    queue = TroubledQueue()
    queue.enqueue([replace(job("nothing"), task_path="gone.tasks.send") for _ in range(200)])
    numbers = [queue.enqueue([job("nothing")])[0].id for _ in range(300)]
    worker = Worker(queue, threads=1, coroutines=0, lease=30, result_ttl=60)
    worker.start()
    wait_until(lambda: queue.counts().get(("default", SUCCESSFUL)) == 300)
    worker.retire()
    assert worker.join(10)
    ended = sorted((queue.get(one) for one in numbers), key=lambda one: one.started_at)
    assert {one.status for one in ended} == {SUCCESSFUL}
    assert all(len(one.worker_ids) == 1 for one in ended)


def test_outcomes_of_this_kind_spend_no_attempt():
    outcome = put_off_unknown(gone(), RECORD)
    assert isinstance(outcome, Outcome)
    assert (outcome.status, outcome.spent) == (READY, False)
