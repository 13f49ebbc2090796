"""The kept logs of a job, as people see them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from django_loco import jobs
from django_loco.core.job import READY, Job, Outcome
from django_loco.jobs.presentation.logs import RunLog, logs_of
from django_loco.jobs.presentation.shown import BROKEN
from django_loco.queues import queue_for


def log_of(**values: object) -> str:
    return json.dumps({"attempt": 1, "began_at": "2026-11-28T12:34:56.789+00:00", "dropped": 0, "text": "one"} | values)


@pytest.fixture
def logged(stored):
    """Store a job whose last run has this log."""

    def store(log: str) -> Job:
        job = stored()
        queue_for("default").restore([again := replace(job, id="1" * 32)], {again.id: log})
        return again

    return store


def test_a_job_without_a_log_has_none(stored):
    assert jobs.log(stored()) == ""
    assert logs_of(stored()) == ()


def test_the_runs_are_shown_one_after_the_other(logged):
    job = logged(f"{log_of()}\n{log_of(attempt=2, dropped=1204, text='two' + chr(10) + 'three')}")
    assert jobs.log(job.id) == (
        "--- attempt 1, 2026-11-28T12:34:56.789+00:00 ---\none\n"
        "--- attempt 2, 2026-11-28T12:34:56.789+00:00 ---\n(1,204 older lines are not kept)\ntwo\nthree\n"
    )


@pytest.mark.parametrize("log", ["7", "x", "[]", "null", '{"dropped":1}', '{"text":"a","dropped":"x"}', "[" * 100_000])
def test_what_somebody_has_edited_is_shown_as_far_as_possible(logged, log):
    job = logged(f"{log}\n{log_of()}")
    broken, whole = logs_of(job)
    assert broken == RunLog(text=BROKEN)
    assert broken.title == "an attempt"
    assert whole.text == "one"


def test_control_characters_are_escaped(logged):
    job = logged(log_of(text="a\x1b[31m\ud800", began_at="now\x1b\n"))
    [run] = logs_of(job)
    assert run.text == "a\\x1b[31m\\ud800"
    assert run.began_at == "now\\x1b "


def test_an_unknown_job(logged):
    with pytest.raises(jobs.TaskResultDoesNotExist):
        jobs.log("0" * 32)


def test_a_log_is_found_after_a_run(stored):
    held = stored("running")
    queue_for("default").finish([Outcome(job=held, status=READY, log=log_of())])
    assert [run.text for run in logs_of(held)] == ["one"]
