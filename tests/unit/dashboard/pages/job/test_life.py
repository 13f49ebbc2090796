"""The steps of the life of a job."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from django_loco.core.job import FAILED, FOREVER, READY, RUNNING, SUCCESSFUL, Job, utcnow
from django_loco.core.job.waits import SIGNAL, SLEEP, Wait, text_of_waits
from django_loco.dashboard.pages.job.life import life_of

NOW = utcnow()
JOB = Job(task_path="a.b", backend="default", arguments="[[], {}]", enqueued_at=NOW - timedelta(minutes=10))


def steps(job):
    return [(step.kind, str(step.label), step.since) for step in life_of(job)]


def test_a_job_that_waits_has_its_run_ahead():
    assert JOB.status == READY
    assert steps(JOB) == [("past", "Enqueued", ""), ("ahead", "Runs", "")]


def test_a_time_that_is_ahead_is_told_apart():
    job = replace(JOB, run_after=NOW + timedelta(hours=2))
    assert steps(job) == [("past", "Enqueued", ""), ("ahead", "Due", "2 h 10 min"), ("ahead", "Runs", "")]


def test_a_job_that_sleeps_or_waits_says_until_when():
    until = NOW + timedelta(hours=2)
    for kind, label in ((SLEEP, "Sleeps until"), (SIGNAL, "Waits for a signal until")):
        job = replace(JOB, waits=text_of_waits({"a": Wait("a", kind, until)}), run_after=until)
        assert steps(job)[1:] == [("ahead", label, "2 h 10 min"), ("ahead", "Runs", "")]
    job = replace(JOB, waits=text_of_waits({"a": Wait("a", SIGNAL, None)}), run_after=FOREVER)
    assert steps(job)[1:] == [("now", "Waits for a signal", ""), ("ahead", "Runs", "")]


def test_a_job_that_runs_ends_some_time():
    started = JOB.enqueued_at + timedelta(seconds=1.5)
    job = replace(JOB, status=RUNNING, started_at=started, last_attempted_at=started)
    assert steps(job)[1:] == [("past", "First attempt", "1.50 s"), ("now", "Running", ""), ("ahead", "Ends", "")]


def test_steps_are_in_the_order_of_their_times():
    first = JOB.enqueued_at + timedelta(seconds=1)
    job = replace(
        JOB,
        status=SUCCESSFUL,
        started_at=first,
        run_after=first + timedelta(seconds=30),
        last_attempted_at=first + timedelta(seconds=31),
        finished_at=first + timedelta(seconds=32),
    )
    assert [label for _, label, _ in steps(job)] == ["Enqueued", "First attempt", "Due", "Last attempt", "Done"]
    assert steps(job)[-1] == ("done", "Done", "1.00 s")


def test_a_job_that_ended_before_it_was_due_was_never_due():
    job = replace(JOB, status=FAILED, run_after=NOW + timedelta(hours=1), finished_at=NOW)
    assert [label for _, label, _ in steps(job)] == ["Enqueued", "Failed"]
