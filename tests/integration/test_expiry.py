"""Jobs that have not begun in time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command

from django_loco import jobs
from django_loco.core.compat import TaskResultStatus, task_finished, task_started
from django_loco.core.job import utcnow
from django_loco.exceptions import JobExpired
from django_loco.signals import job_cancelled
from django_loco.tasks import enqueue_many
from django_loco.tasks.enqueueing.tick_jobs import ScheduledCall
from django_loco.testing import drain, travel
from tests.app.tasks import echo as count

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _manual(settings):
    settings.LOCO = {**settings.LOCO, "TESTING": "manual"}


@pytest.fixture
def heard():
    heard: list[tuple[object, object]] = []

    def receive(signal, task_result, **values):
        heard.append((signal, task_result.status))

    signals = (task_started, task_finished, job_cancelled)
    for signal in signals:
        signal.connect(receive)
    yield heard
    for signal in signals:
        signal.disconnect(receive)


def test_a_job_in_time_runs():
    results = enqueue_many(count.using(expires=60), [(1,), (2,)])
    with travel(utcnow() + timedelta(seconds=50)):
        assert drain() == {"successful": 2}
    results[0].refresh()
    assert results[0].status == TaskResultStatus.SUCCESSFUL


def test_a_job_that_is_too_late_never_runs_and_says_so(heard, caplog):
    caplog.set_level("INFO")
    result = count.using(expires=60, max_attempts=3).enqueue(1)
    with travel(utcnow() + timedelta(seconds=70)):
        assert jobs.why(result)[0].code == "expired"
        assert drain() == {"expired": 1}
        assert drain() == {}
    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.FAILED, 0)
    [error] = result.errors
    assert error.exception_class is JobExpired
    assert "the job had not begun by " in error.traceback
    assert [job.id for job in jobs.filter("status:cancelled")] == [result.id]
    assert heard == [(task_finished, TaskResultStatus.FAILED), (job_cancelled, TaskResultStatus.FAILED)]
    [line] = [record for record in caplog.records if "did not run" in record.getMessage()]
    assert (line.levelname, line.exc_info) == ("INFO", None)
    [reason] = jobs.why(result)
    assert (reason.code, "JobExpired" in reason.text) == ("cancelled", True)


def test_the_job_of_a_tick_that_nobody_has_begun_before_the_next_one_never_runs():
    task = count.using(expires=50)
    first, second = utcnow(), utcnow() + timedelta(seconds=60)
    ticks = [ScheduledCall(task, [number], {}, f"s@{at}", at) for number, at in enumerate((first, second))]
    task.get_backend().enqueue_ticks(ticks)
    with travel(second + timedelta(seconds=5)):
        assert drain() == {"expired": 1, "successful": 1}


def test_people_can_run_it_all_the_same():
    result = count.using(expires=60).enqueue(1)
    with travel(utcnow() + timedelta(seconds=70)):
        drain()
        assert jobs.retry(result) == 1
        assert drain() == {"successful": 1}


def test_people_can_give_it_more_time(capsys):
    result = count.using(expires=60).enqueue(1)
    call_command("loco_jobs", "show", result.id)
    assert "expires_at" in capsys.readouterr().out
    call_command("loco_jobs", "update", f"id:{result.id}", "--expires", "1h", "--yes")
    with travel(utcnow() + timedelta(seconds=70)):
        assert drain() == {"successful": 1}


def test_a_moved_job_keeps_its_expiry(tmp_path):
    result = count.using(expires=3600).enqueue(1)
    before = jobs.get(result).expires_at
    call_command("loco_jobs", "dump", "--output", str(tmp_path / "jobs"))
    assert jobs.delete(result) == 1
    call_command("loco_jobs", "import", str(tmp_path / "jobs"), "--yes")
    assert jobs.get(result).expires_at == before
