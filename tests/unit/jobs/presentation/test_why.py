"""Why a job does not run: each reason by itself."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from django_loco import jobs
from django_loco.backend import LocoBackend
from django_loco.core.compat import TaskError
from django_loco.core.job import FAILED, RUNNING, SUCCESSFUL, Outcome, error_of, new_id, utcnow
from django_loco.core.job.missing_task import with_time
from django_loco.exceptions import Discard, InvalidState
from django_loco.jobs.operations.workflows.nodes import Place, placed
from django_loco.jobs.presentation.progress import progress_text
from django_loco.jobs.transfer.parking import gone, parked
from django_loco.queues.base import Change
from django_loco.queues.records.batches import new_record
from django_loco.queues.workers import WorkerInfo
from django_loco.tasks import Workflow
from tests.app import tasks
from tests.unit.jobs.conftest import found, make_job


def worker(**given: Any) -> WorkerInfo:
    described: dict[str, Any] = {
        "worker_id": "w",
        "host": "h",
        "pid": 1,
        "queues": None,
        "tags": None,
        "threads": 2,
        "coroutines": 2,
        "lease": 30.0,
        "started_at": utcnow(),
    }
    return WorkerInfo(**described | given)


def codes(job: Any) -> list[str]:
    return [reason.code for reason in jobs.why(job)]


@pytest.mark.parametrize(
    ("described", "fields", "code"),
    [
        ({}, {}, "next"),
        ({"busy": 2}, {}, "busy"),
        ({"busy": 2}, {"is_async": True}, "next"),
        ({"busy": 2, "busy_async": 1}, {}, "next"),
        ({"busy": 3, "busy_async": 2}, {"is_async": True}, "busy"),
        ({"queues": ("reports",)}, {}, "no worker for its queue"),
        ({"tags": ()}, {"tags": ("a",)}, "no worker for its tags"),
        ({"tags": ("b",)}, {"tags": ("a",)}, "no worker for its tags"),
        ({"tags": ("b",)}, {}, "no worker for its tags"),
        ({"state": "quiet"}, {}, "quiet"),
        ({"state": "stopping"}, {}, "quiet"),
        ({"tags": ("a", "b")}, {"tags": ("a",)}, "next"),
        ({"threads": 0}, {}, "no worker for sync jobs"),
        ({"coroutines": 0}, {"is_async": True}, "no worker for async jobs"),
    ],
)
def test_what_workers_take(queue, stored, described, fields, code):
    queue.register(worker(**described))
    assert codes(stored(**fields)) == [code]


def test_a_node_that_waits_names_those_that_it_waits_for(queue):
    flow = Workflow()
    ids = [flow.add(tasks.echo, number, name=f"node {number}").id for number in range(7)]
    last = flow.add(tasks.echo, 7, after=[f"node {number}" for number in range(7)], name="last")
    flow.enqueue()
    [reason] = jobs.why(last.id)
    assert reason.text.startswith(f"It waits for 7 nodes: node 0, job {ids[0]}; node 1, job {ids[1]}; ")
    assert reason.text.endswith("; ….")
    jobs.delete(ids[1:])
    [reason] = jobs.why(last.id)
    assert (reason.code, "failed or was cancelled" in reason.text) == ("cancelled", True)
    assert jobs.shown_job(queue.get(ids[0]), utcnow())["node"] == {"name": "node 0", "after": {}, "on_failed": "cancel"}


def test_a_node_without_its_workflow(queue):
    lost = placed(make_job(), new_id(), Place("a", ("b",)))
    queue.restore([lost])
    assert codes(lost) == ["no workflow"]
    record = new_record(lost.batch, "default", "", "{}", "{}")
    queue.open_batch(record)
    assert codes(lost) == ["not started"]
    queue.seal_batch(record.id)
    assert codes(lost) == ["waits"]
    assert jobs.update(lost.id, run_after=utcnow()) == 1
    assert codes(lost) == ["no worker"]


def test_no_worker_at_all(queue, stored):
    assert codes(stored()) == ["no worker"]


def test_several_reasons(queue, stored):
    queue.register(worker())
    queue.pause("default")
    assert codes(stored("scheduled")) == ["scheduled", "paused"]
    queue.resume("default")
    [reason] = jobs.why(stored("retrying"))
    assert (reason.code, "It has failed before: " in reason.text) == ("retrying", True)


def test_a_job_whose_task_no_worker_has(queue, stored):
    queue.register(worker())
    job = stored("retrying")
    error = with_time(error_of(ImportError, "no module named 'shop'"), utcnow())
    queue.change([Change(before=job, after=replace(job, errors=(error,)))])
    [reason] = jobs.why(job)
    assert (reason.code, reason.operation) == ("no task", "run_now")
    assert "The workers that took it do not have its task: ImportError: no module named 'shop'" in reason.text
    assert reason.remedy == f"When a worker has code with this task: loco_jobs update {job.id} --run-after now"


def test_a_job_that_was_put_off_and_one_that_has_discarded_itself(queue, stored):
    queue.register(worker())
    assert codes(stored("scheduled", last_attempted_at=utcnow())) == ["put off"]
    held = stored("running")
    queue.finish([Outcome(job=held, status=FAILED, error=error_of(Discard, "the customer has left"))])
    [reason] = jobs.why(held)
    assert (reason.code, "the customer has left" in reason.text) == ("cancelled", True)


def test_a_job_that_expires(queue, stored):
    queue.register(worker())
    [now, until] = jobs.why(stored(expires_at=utcnow() + timedelta(seconds=60)))
    assert (now.code, until.code) == ("next", "expires")
    assert re.match(r"It expires in (59 s|1 min): if it has not begun by then, it never runs\.", until.text)
    assert codes(stored(expires_at=utcnow() - timedelta(seconds=1))) == ["expired"]
    begun = stored(expires_at=utcnow() - timedelta(seconds=1), checkpoint="1")
    assert codes(begun) == ["next"]


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
    [reason] = jobs.why(stored("running", progress=progress_text(3, 12, "rows\nof\x1b")))
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


def test_a_mode_in_which_nothing_runs_it(queue, stored, monkeypatch):
    job = stored()
    monkeypatch.setattr(LocoBackend, "runs_stored_jobs", False)
    assert codes(job) == ["foreground"]


def test_a_job_that_is_not_signed(queue, stored, settings):
    queue.register(worker())
    job = stored()
    settings.LOCO = {**settings.LOCO, "SIGN": True}
    assert codes(found(queue, job)) == ["unsigned"]


def test_the_time_until_it_is_due(queue, stored):
    queue.register(worker())
    [reason] = jobs.why(stored(run_after=utcnow() + timedelta(hours=1)))
    assert re.fullmatch(r"It is not due yet: it may run in (1 h|59 min 59 s)\.", reason.text)


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


def test_names_in_reasons_move_no_text(queue, stored):
    job = stored(queue_name="a\u202eb", tags=("c\u202ed",))
    queue.pause(job.queue_name)
    queue.register(worker(tags=()))
    shown = "".join(reason.text + reason.remedy for reason in jobs.why(job))
    assert "a\\u202eb" in shown
    assert "c\\u202ed" in shown
    assert "\u202e" not in shown
