"""Summaries of jobs."""

from __future__ import annotations

from datetime import timedelta

from django_loco.core.compat import TaskError
from django_loco.core.job import FAILED, READY, SUCCESSFUL, SUMMARY, Job, JobSummary, utcnow

ERRORS = tuple(TaskError(exception_class_path=path, traceback="") for path in ("builtins.OSError", "builtins.KeyError"))


def make_job(**values):
    return Job(task_path="a.b", backend="default", errors=ERRORS, **values)


def test_a_summary_has_what_its_job_has():
    job = make_job(status=READY, key="nightly@1")
    summary = JobSummary.of(job)
    assert [getattr(summary, name) for name in SUMMARY] == [getattr(job, name) for name in SUMMARY]
    assert summary.due_at == job.due_at


def test_it_is_due_at_run_after():
    later = utcnow() + timedelta(hours=1)
    assert JobSummary.of(make_job(run_after=later)).due_at == later


def test_it_names_the_last_error_unless_the_job_has_succeeded():
    assert JobSummary.of(make_job(status=FAILED)).error == "builtins.KeyError"
    assert JobSummary.of(make_job(status=SUCCESSFUL)).error == ""
