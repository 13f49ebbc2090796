"""What each operation does to one job."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from django_loco.core.job import FAILED, READY, RUNNING, UNREADABLE, error_of, utcnow
from django_loco.exceptions import InvalidState, JobCancelled
from django_loco.jobs.operations import Cancel, Delete, GiveUp, Retry, is_possible, require
from django_loco.jobs.operations.edits import move_of, update_of
from django_loco.jobs.states import STATES, state_of
from django_loco.jobs.transfer.parking import gone, parked
from django_loco.queues import queue_for
from django_loco.queues.base import Change
from tests.unit.jobs.conftest import found, make_job, run

ALL = (Cancel(), GiveUp(), Retry(), Delete())


def in_state(stored, state):
    if state != "cancelled":
        return stored(state)
    job = stored()
    queue_for(job.backend).change([Cancel().of(job)])
    return found(queue_for(job.backend), job)


@pytest.mark.parametrize("operation", ALL, ids=lambda each: each.name)
@pytest.mark.parametrize("state", STATES)
def test_in_which_states_each_is_possible(operation, state, stored):
    job = in_state(stored, state)
    assert state_of(job, utcnow()) == state
    assert is_possible(operation, job) == (state in operation.states)
    if state in operation.states:
        require(operation, job)
        return
    with pytest.raises(InvalidState, match=rf"Job {job.id} .* is {state}, so it cannot be {operation.past}"):
        require(operation, job)


@pytest.mark.parametrize("operation", [Retry(), move_of("emails"), update_of(priority=5)], ids=lambda each: each.name)
@pytest.mark.parametrize("left", [parked, lambda job, target: gone(parked(job, target))], ids=["parked", "gone"])
def test_what_is_or_may_be_in_another_store_cannot_be_made_to_run(operation, left, queue, stored):
    job = stored()
    queue.change([Change(before=job, after=left(job, "other"))])
    away = found(queue, job)
    assert not is_possible(operation, away)
    with pytest.raises(InvalidState, match=rf"Job {job.id} .* cancelled or deleted"):
        require(operation, away)


@pytest.mark.parametrize("operation", [Cancel(), GiveUp(), Delete()], ids=lambda each: each.name)
def test_what_is_on_its_way_can_be_given_up(operation, queue, stored):
    job = stored()
    queue.change([Change(before=job, after=parked(job, "other"))])
    require(operation, found(queue, job))


def test_a_cancelled_job_never_runs_and_says_by_whom(queue, stored):
    job = stored("scheduled")
    assert queue.change([Cancel("anna").of(job)]) == set()
    after = found(queue, job)
    assert (after.status, after.run_after, after.worker_ids) == (FAILED, job.run_after, ())
    assert after.errors == (error_of(JobCancelled, "cancelled by anna"),)
    assert after.finished_at is not None


def test_a_cancelled_job_keeps_its_errors(queue, stored):
    job = stored("retrying")
    queue.change([Cancel().of(job)])
    after = found(queue, job)
    assert after.errors == (*job.errors, error_of(JobCancelled, "cancelled"))
    assert after.worker_ids == job.worker_ids


def test_a_running_job_is_taken_from_its_worker(queue, stored):
    job = stored("running")
    assert queue.finish([Cancel("anna").of(job)]) == set()
    after = found(queue, job)
    assert (after.status, after.token, after.worker_ids) == (FAILED, None, ("worker-1",))
    assert after.errors == (error_of(JobCancelled, "cancelled by anna"),)
    assert queue.lost([job]) == {job.id}


def test_of_many_errors_the_ends_are_kept(stored, settings):
    settings.LOCO = {"TESTING": "live", "ERRORS_KEPT": 1}
    errors = tuple(error_of(ValueError, str(number)) for number in range(5))
    after = Cancel().of(replace(stored(), errors=errors)).after
    assert after.errors == (errors[0], error_of(JobCancelled, "cancelled"))


def test_a_discarded_failed_job_counts_as_cancelled_and_keeps_its_end(queue, stored):
    job = stored("failed")
    queue.change([GiveUp("anna").of(job)])
    after = found(queue, job)
    assert state_of(after, utcnow()) == "cancelled"
    assert after.finished_at == job.finished_at
    assert after.errors == (*job.errors, error_of(JobCancelled, "discarded by anna"))


def test_a_retried_job_is_due_after_those_that_wait_and_keeps_its_history(queue, stored):
    job = stored("failed", age=60)
    waiting = stored(age=30)
    at = utcnow()
    queue.change([Retry(at).of(job)])
    after = found(queue, job)
    assert (after.status, after.run_after, after.finished_at) == (READY, at, None)
    assert (after.errors, after.worker_ids, after.attempt) == (job.errors, job.worker_ids, 2)
    assert waiting.due_at < after.due_at
    assert run(queue, job).status == RUNNING


def test_nothing_is_retried_where_jobs_run_inside_enqueue(settings):
    settings.TASKS = {
        "default": {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": {"mode": "ForegroundBlocking"}}
    }
    with pytest.raises(InvalidState, match=r"runs jobs inside enqueue\(\).*run_again"):
        Retry().require_backend("default")


@pytest.mark.parametrize("operation", ALL, ids=lambda each: each.name)
def test_a_job_that_cannot_be_read_can_only_be_deleted(operation):
    job = replace(make_job(), task_path=UNREADABLE, status=FAILED if isinstance(operation, Retry) else READY)
    assert is_possible(operation, job) == isinstance(operation, Delete)
    if not isinstance(operation, Delete):
        with pytest.raises(InvalidState, match="cannot be read as it is stored, so it can only be deleted"):
            require(operation, job)


def test_a_deleted_job_is_gone(queue, stored):
    for state in ("waiting", "done"):
        job = stored(state)
        assert queue.change([Delete().of(job)]) == set()
        assert queue.get(job.id) is None


def test_the_time_of_a_retry_is_that_of_the_operation():
    assert abs(Retry().at - utcnow()) < timedelta(minutes=1)
