"""How far a job is, on the stores and pages of a project."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command
from django.db import transaction

from django_loco import jobs
from django_loco.core.job import RUNNING
from django_loco.queues import Claim, queue_for
from django_loco.testing import drain
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.execution.context.progress import report, save_progress
from tests.app import tasks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _manual(settings):
    settings.LOCO = {**settings.LOCO, "TESTING": "manual"}


def test_a_result_shows_it_in_any_process():
    result = tasks.advance.enqueue(3, 12)
    assert result.progress is None
    assert drain(raise_errors=False) == {"failed": 1}
    result.refresh()
    assert (result.progress.done, result.progress.total, result.progress.percent) == (3, 12, 25.0)
    assert tasks.advance.get_result(result.id).progress == result.progress


def test_metadata_and_checkpoint_stay_beside_it():
    result = tasks.advance.using(metadata={"a": 1}).enqueue(3, 12)
    drain(raise_errors=False)
    stored = jobs.get(result)
    assert (stored.metadata, stored.checkpoint) == ('{"a":1,"b":2}', "3")


def test_it_is_shown_and_dumped(capsys, tmp_path):
    result = tasks.advance.enqueue(3, 12)
    drain(raise_errors=False)
    call_command("loco_jobs", "show", result.id, "--format", "json")
    assert json.loads(capsys.readouterr().out)["progress"]["percent"] == 25.0
    before = jobs.get(result)
    call_command("loco_jobs", "dump", "--output", str(tmp_path / "jobs"))
    jobs.delete(result)
    call_command("loco_jobs", "import", str(tmp_path / "jobs"), "--yes")
    assert jobs.get(result).progress == before.progress


def test_a_rollback_of_the_job_does_not_take_it_back():
    tasks.advance.enqueue(3, 12)
    queue = queue_for("default")
    [held] = queue.fetch(Claim(worker_id="w", lease=60, threads=1))
    claimed = ClaimedJob(held, update=queue.update)
    with transaction.atomic():
        report(claimed, 1, 2, "")
        transaction.set_rollback(True)
    save_progress(claimed)
    assert (jobs.get(held.id).status, jobs.shown_job(jobs.get(held.id), held.enqueued_at)["progress"]["done"]) == (
        RUNNING,
        1,
    )
