"""Jobs in the answers of scripts."""

from __future__ import annotations

from datetime import UTC, datetime

from django_loco.core.compat import TaskError
from django_loco.core.job import FAILED, UNREADABLE, Job
from django_loco.queues.redis.codec.answers import calls_of, jobs_of, logs_of
from django_loco.queues.redis.codec.job_lists import fixed_text, state_of
from django_loco.queues.redis.codec.payloads import extra_text, logs_payload

JOB = Job(
    task_path="shop.tasks.send",
    backend="default",
    run_after=datetime(2026, 11, 21, 5, 42, tzinfo=UTC),
    tags=("a", "b"),
    options={"backoff": [1, 2]},
    key="k",
    status=FAILED,
    lost=2,
    worker_ids=("w1", "", "w2"),
    errors=(TaskError(exception_class_path="builtins.ValueError", traceback="\x00 \ud800\n\t"),),
)


def rows(*jobs: Job) -> str:
    return "\n".join("\n".join((job.id, fixed_text(job), state_of(job), "", extra_text(job))) for job in jobs)


def test_a_job_survives_the_round_trip():
    assert jobs_of("default", rows(JOB)) == [JOB]
    assert jobs_of("default", "") == []


def test_a_job_that_cannot_be_read_leaves_the_others():
    broken, whole = jobs_of("default", rows(JOB).replace('"shop.tasks.send"', "7") + "\n" + rows(JOB))
    assert (broken.task_path, broken.status, broken.lost) == (UNREADABLE, FAILED, 2)
    assert whole == JOB


def test_calls_are_those_in_one_queue():
    text = f"{JOB.id}\n{fixed_text(JOB)}"
    assert [call.task_path for call in calls_of("default", text, JOB.queue_name)] == ["shop.tasks.send"]
    assert [*calls_of("default", text, "other")] == []


def test_logs_of_several_runs_survive_the_round_trip():
    _, stored = logs_payload({"1": "first\nsecond"}).split("\n")[:2]
    assert logs_of(["1", "2"], [stored.encode(), None]) == {"1": "first\nsecond"}
