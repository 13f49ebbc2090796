"""Why a job does not run: each reason by itself."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

from django_loco import jobs
from django_loco.backend import LocoBackend
from django_loco.core.job import FAILED, Outcome, error_of, new_id, utcnow
from django_loco.core.job.unknown_task import with_time
from django_loco.exceptions import Discard
from django_loco.jobs.operations.workflows.nodes import Place, placed
from django_loco.queues.base import Change
from django_loco.queues.records.batches import new_record
from django_loco.tasks import Workflow
from tests.app import tasks
from tests.unit.jobs.conftest import found, make_job
from tests.unit.jobs.presentation.reasons.support import codes, worker


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


def test_names_in_reasons_move_no_text(queue, stored):
    job = stored(queue_name="a\u202eb", tags=("c\u202ed",))
    queue.pause(job.queue_name)
    queue.register(worker(tags=()))
    shown = "".join(reason.text + reason.remedy for reason in jobs.why(job))
    assert "a\\u202eb" in shown
    assert "c\\u202ed" in shown
    assert "\u202e" not in shown
