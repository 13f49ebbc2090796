"""How long jobs are kept, by what their tasks say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.management import call_command

from django_loco import jobs
from django_loco.core.job import FAILED, RETENTION, utcnow
from django_loco.core.job.retention import kept_until
from django_loco.dashboard.pages.job.life import life_of
from django_loco.queues import queue_for
from django_loco.tasks import enqueue_many
from django_loco.testing import drain, travel
from tests.app.tasks import echo, fail

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _manual(settings):
    settings.LOCO = {**settings.LOCO, "TESTING": "manual"}


def ids() -> set[str]:
    return {job.id for job in queue_for("default").list(limit=1000)}


def test_jobs_are_pruned_by_how_they_ended():
    retention = {"succeeded": "1h", "failed": "30d", "cancelled": "forever"}
    echo.using(retention=retention).enqueue(1)
    failed = fail.using(retention=retention).enqueue()
    drain(raise_errors=False)
    cancelled, other = echo.using(retention=retention).enqueue(2), echo.enqueue(3)
    cancelled.cancel()
    drain(raise_errors=False)
    queue = queue_for("default")
    assert queue.prune(86_400) == 0
    for after, left in (
        (timedelta(hours=2), {failed.id, cancelled.id, other.id}),
        (2 * DAY, {failed.id, cancelled.id}),
        (31 * DAY, {cancelled.id}),
        (3650 * DAY, {cancelled.id}),
    ):
        with travel(utcnow() + after):
            queue.prune(86_400)
        assert ids() == left, after


def test_a_retry_begins_anew():
    result = fail.using(retention={"failed": 0}).enqueue()
    drain(raise_errors=False)
    jobs.retry(result.id)
    with travel(utcnow() + DAY):
        assert queue_for("default").prune(10 * 86_400.0) == 0
    drain(raise_errors=False)
    with travel(utcnow() + DAY):
        assert queue_for("default").prune(10 * 86_400.0) == 1


def test_the_setting_holds_for_tasks_of_others(settings):
    settings.LOCO = {**settings.LOCO, "TASKS": {echo.module_path: {"retention": "forever"}}}
    results = enqueue_many(echo, [1, 2])
    drain(raise_errors=False)
    with travel(utcnow() + 1000 * DAY):
        assert queue_for("default").prune(86_400) == 0
    assert ids() == {result.id for result in results}


def test_a_failure_that_is_discarded_counts_as_cancelled_since_it_failed():
    result = fail.using(retention={"failed": "forever", "cancelled": "1h"}).enqueue()
    drain(raise_errors=False)
    failed_at = jobs.get(result.id).finished_at
    jobs.discard(result.id)
    job = jobs.get(result.id)
    assert failed_at is not None
    assert kept_until(job) == failed_at + timedelta(hours=1)


def test_it_is_shown_wherever_the_job_is(capsys):
    soon = echo.using(retention="2h").enqueue(1)
    never = echo.using(retention={"succeeded": "forever"}).enqueue(2)
    drain(raise_errors=False)
    until = kept_until(jobs.get(soon.id))
    assert until is not None
    call_command("loco_jobs", "show", soon.id)
    assert f"kept_until          {until:%Y-%m-%d %H:%M:%S %Z}".split() in _lines(capsys)
    call_command("loco_jobs", "show", never.id)
    shown = _lines(capsys)
    assert ["kept_until", "forever"] in shown
    assert ["retention", '{"succeeded":', '"forever"}'] in shown
    assert [reason.code for reason in jobs.why(soon)] == ["done", "kept"]
    assert jobs.why(never)[1].text == "It is kept forever."
    assert str(life_of(jobs.get(soon.id))[-1].label) == "Kept until"
    assert life_of(jobs.get(soon.id))[-1].at == until
    assert str(life_of(jobs.get(never.id))[-1].label) == "Done"
    assert [reason.code for reason in jobs.why(_plain())] == ["done"]


def _lines(capsys):
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def _plain():
    result = echo.enqueue(3)
    drain(raise_errors=False)
    return result


def test_a_dump_keeps_it(tmp_path):
    result, waiting = echo.using(retention="2h").enqueue(1), echo.using(retention="3h", run_after=DAY).enqueue(2)
    drain(raise_errors=False)
    before = [jobs.get(each.id) for each in (result, waiting)]
    file = str(tmp_path / "jobs.jsonl")
    call_command("loco_jobs", "dump", "--output", file)
    call_command("loco_jobs", "purge", "status:done", "--yes")  # whatever their retention says
    assert ids() == {waiting.id}
    queue_for("default").clear()
    call_command("loco_jobs", "import", file, "--yes")
    assert [jobs.get(each.id) for each in (result, waiting)] == before
    queue = queue_for("default")
    with travel(utcnow() + timedelta(hours=1)):
        assert queue.prune(60) == 0
    with travel(utcnow() + timedelta(hours=2, minutes=1)):
        assert queue.prune(10 * 86_400.0) == 1


def test_a_job_that_runs_again_keeps_it():
    result = echo.using(retention="2h").enqueue(1)
    drain(raise_errors=False)
    again = jobs.run_again(result.id)
    assert jobs.get(again.id).options[RETENTION] == jobs.get(result.id).options[RETENTION]


def test_jobs_of_an_earlier_release_keep_the_rule_of_all():
    result = fail.enqueue()
    drain(raise_errors=False)
    job = jobs.get(result.id)
    assert job.status == FAILED
    assert kept_until(job) is kept_until(replace(job, options={})) is None
    assert queue_for("default").prune(-60) == 1
