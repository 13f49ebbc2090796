"""How a job has ended, or that it runs."""

from __future__ import annotations

import pytest

from django_loco import jobs
from django_loco.backend import LocoBackend
from django_loco.core.compat import TaskError
from django_loco.core.job import FAILED, RUNNING, SUCCESSFUL, Outcome
from django_loco.core.job.progress import text_of_progress
from django_loco.exceptions import InvalidState
from django_loco.jobs.transfer.parking import gone, parked
from django_loco.queues.base import Change
from tests.unit.jobs.conftest import make_job
from tests.unit.jobs.presentation.reasons.support import codes, worker


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_retry_that_would_be_refused_is_not_named(stored, monkeypatch, is_cancelled):
    job = stored("waiting" if is_cancelled else "failed")
    if is_cancelled:
        jobs.cancel(job.id)
    assert jobs.why(job)[0].command == f"loco_jobs retry {job.id}"
    monkeypatch.setattr(LocoBackend, "runs_stored_jobs", False)
    with pytest.raises(InvalidState, match="inside enqueue"):
        jobs.retry(job.id)
    [reason] = jobs.why(job)
    assert (reason.remedy, reason.command, reason.operation) == ("Enqueue it again.", "", "")


def test_a_job_that_says_how_far_it_is(stored):
    [reason] = jobs.why(stored("running", progress=text_of_progress(3, 12, "rows\nof\x1b")))
    assert "It has done 3 of 12 (25 %): rows" in reason.text
    assert "\x1b" not in reason.text


def test_a_job_that_has_ended_or_runs(queue, stored):
    for state in ("done", "failed", "running"):
        assert codes(stored(state)) == [state]
    jobs.discard(job := stored("failed"))
    assert codes(job) == ["cancelled"]


def test_a_running_job_whose_worker_is_silent(queue, stored, monkeypatch):
    job = stored("running")
    monkeypatch.setattr(queue, "workers", lambda: [worker(worker_id=job.worker_id, heartbeat_age=31.0)])
    assert codes(job) == ["lost"]


@pytest.mark.parametrize(
    ("status", "field", "text"),
    [
        (SUCCESSFUL, "finished_at", "It has succeeded."),
        (RUNNING, "last_attempted_at", "The worker None runs it."),
    ],
)
def test_a_time_that_is_not_stored(queue, monkeypatch, status, field, text):
    job = make_job(status=status)
    monkeypatch.setattr(queue, "get", lambda _: job)
    assert getattr(job, field) is None
    [reason] = jobs.why(job)
    assert reason.text == text


def test_a_job_that_has_gone_to_another_store_is_not_offered_again(queue, stored):
    job = stored(key="s@1")
    queue.change([Change(before=job, after=gone(parked(job, "other")))])
    [reason] = jobs.why(job.id)
    assert reason.code == "cancelled"
    assert reason.text.endswith("moved from TASKS['default'] to TASKS['other']")
    assert reason.remedy == f"See it there: loco_jobs show {job.id} --backend other"


def test_an_error_of_several_lines_is_named_and_moves_no_text(queue, stored):
    held = stored("running")
    error = TaskError(exception_class_path="shop.NoPrice", traceback="shop.NoPrice: of \u202eseven\nDETAIL: none\n")
    queue.finish([Outcome(job=held, status=FAILED, error=error)])
    [reason] = jobs.why(held)
    assert reason.text == "It has failed for good after 1 attempt: shop.NoPrice: of \\u202eseven"
