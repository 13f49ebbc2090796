"""What ``loco_doctor`` finds about jobs and workers, on every durable queue."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from django_loco import __version__, jobs
from django_loco.core.job import FAILED, Job, Outcome, error_of, utcnow
from django_loco.exceptions import QueueUnavailable
from django_loco.management.doctor import stored_jobs
from django_loco.management.doctor.registry import STORE_CHECKS
from django_loco.queues import Claim, Queue
from django_loco.worker import in_process
from tests.app import tasks

from .conftest import CLAIM, examined, findings, found, problems


def test_a_healthy_project_has_no_problem(queue: Queue, worker):
    tasks.add.enqueue(1, 2)
    report = examined()
    assert problems() == []
    assert report.summary == "Nothing is wrong."
    ok = {each.id for section in report.sections for each in section.findings if each.level == "ok"}
    assert {check.id for check in STORE_CHECKS} <= ok | {"store.configuration", "jobs.elsewhere"}
    assert report.sections[1].title.startswith("TASKS['default']: ")


def test_running_jobs_without_a_worker(queue: Queue, register):
    tasks.add.enqueue(1, 2)
    queue.fetch(Claim(worker_id="gone", lease=0, threads=1))
    stuck = found("jobs.stuck")
    assert (stuck.level, stuck.remedy) == (
        "error",
        "Start loco_worker, which takes them back.",
    )
    assert stuck.text.startswith("1 running job has lost the worker")
    assert "tests.app.tasks.add" in stuck.text
    register()
    assert found("jobs.stuck").level == "info"
    assert len(queue.rescue()) == 1, "the doctor has changed nothing"
    assert "jobs.stuck" not in {each.id for each in findings()}


def test_a_valid_lease_is_not_stuck(queue: Queue, worker):
    tasks.add.enqueue(1, 2)
    queue.fetch(CLAIM)
    assert queue.examiner(queue).expired() == []
    assert problems() == []


def test_jobs_that_killed_their_workers(queue: Queue, worker):
    tasks.add.enqueue(1, 2)
    for _ in range(2):
        queue.fetch(Claim(worker_id="gone", lease=0, threads=1))
        queue.rescue()
    assert "1 waiting job was running when two workers died" in found("jobs.lost").text
    queue.fetch(Claim(worker_id="gone", lease=0, threads=1, suspects=True))
    queue.rescue()
    lost = found("jobs.lost")
    assert "1 job has failed because three workers died with it (LostJob)" in lost.text
    assert lost.remedy.startswith("When the cause is corrected: loco_jobs retry")
    jobs.filter("status:failed error:LostJob").retry()


def test_other_failures_are_no_lost_jobs(queue: Queue, worker):
    tasks.add.enqueue(1, 2)
    [job] = queue.fetch(CLAIM)
    queue.finish([Outcome(job=job, status=FAILED, error=error_of(ValueError, "no"))])
    assert problems() == []


def test_jobs_of_tasks_that_do_not_exist(queue: Queue, worker):
    queue.enqueue([Job(task_path="tests.app.tasks.gone", backend="default") for _ in range(2)])
    queue.enqueue([Job(task_path="tests.app.nowhere.gone", backend="default")])
    unknown = [each for each in findings() if each.id == "jobs.unknown-task"]
    assert [each.text.partition(",")[0] for each in unknown] == [
        "2 waiting jobs are of tests.app.tasks.gone",
        "1 waiting job is of tests.app.nowhere.gone",
    ]
    assert "loco_jobs delete task:tests.app.tasks.gone" in unknown[0].remedy


def test_a_paused_queue(queue: Queue, worker):
    jobs.pause(queue="emails")
    assert found("jobs.paused").level == "info"
    tasks.add.using(queue_name="emails").enqueue(1, 2)
    paused = found("jobs.paused")
    assert (paused.level, paused.text) == ("warning", "The queue 'emails' is paused, and 1 job waits in it.")
    assert paused.remedy == "loco_jobs resume emails"


def test_a_paused_task(queue: Queue, worker):
    jobs.pause(task="shop.tasks.send", force=True)
    paused = found("jobs.paused")
    assert (paused.level, paused.text) == ("warning", "The task 'shop.tasks.send' is paused.")
    assert paused.remedy == "loco_jobs resume --task shop.tasks.send"


def test_a_queue_that_no_worker_takes_jobs_from(queue: Queue, register):
    register(queues=("default",))
    tasks.add.enqueue(1, 2)
    assert problems() == []
    tasks.add.using(queue_name="emails").enqueue(1, 2)
    assert found("jobs.unserved").text == (
        "1 job waits in the queue 'emails', and no living worker takes jobs of this queue."
    )
    assert found("jobs.unserved").remedy == "Start a worker without --queues, or with --queues emails."


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"tags": ("big",)}, "1 job waits in the queue 'default': no living worker takes jobs with no tags."),
        ({"threads": 0}, "1 job waits in the queue 'default': no living worker runs sync jobs."),
    ],
)
def test_jobs_that_no_worker_takes_for_their_tags_or_kind(queue: Queue, register, given: Any, text: str):
    register(**given)
    tasks.add.enqueue(1, 2)
    assert found("jobs.unserved").text == text


def test_no_worker(queue: Queue, monkeypatch):
    assert found("workers.none").level == "warning"
    tasks.add.enqueue(1, 2)
    monkeypatch.setattr(queue, "oldest_due", lambda queues=None: utcnow() - timedelta(hours=2, minutes=5, seconds=30))
    none = found("workers.none")
    assert (none.level, none.text) == (
        "error",
        "No worker is alive, and jobs are due: the oldest has waited for 2 h 5 min.",
    )


def test_no_worker_while_limited_jobs_wait(queue: Queue, settings):
    settings.LOCO = {**getattr(settings, "LOCO", {}), "LIMITS": {"mail": {"rate": "60/m"}}}
    since = utcnow() - timedelta(minutes=11, seconds=5)
    queue.enqueue([Job(task_path="tests.app.tasks.add", backend="default", limit_key="mail", enqueued_at=since)])
    none = found("workers.none")
    assert (none.level, none.text) == (
        "error",
        "No worker is alive, and jobs are due: the oldest has waited for 11 min 5 s.",
    )
    with pytest.raises(CommandError, match="oldest due job has waited"):
        call_command("loco_status", max_age=60.0)


def test_a_job_that_waits_beside_a_worker_that_runs_nothing(queue: Queue, worker, monkeypatch):
    tasks.add.enqueue(1, 2)
    assert problems() == []
    monkeypatch.setattr(queue, "oldest_due", lambda queues=None: utcnow() - timedelta(seconds=45))
    assert "although a living worker of this queue runs nothing" in found("jobs.waiting").text
    jobs.pause(queue="default")
    assert problems() == ["jobs.paused"]


def test_a_job_that_waits_beside_workers_that_may_not_take_it(queue: Queue, register, monkeypatch):
    tasks.add.enqueue(1, 2)
    monkeypatch.setattr(queue, "oldest_due", lambda queues=None: utcnow() - timedelta(seconds=45))
    register("busy:1:a", busy=10)
    register("other:2:b", queues=("emails",))
    register("tagged:3:c", tags=("video",))
    assert "jobs.waiting" not in problems()


def test_a_job_that_has_waited_for_too_long(queue: Queue, register, monkeypatch):
    register(busy=10)
    tasks.add.enqueue(1, 2)
    monkeypatch.setattr(queue, "oldest_due", lambda queues=None: utcnow() - timedelta(hours=2, seconds=9))
    assert "'default' has waited for 2 h 8 s; 1 job waits there." in found("jobs.waiting").text
    assert problems(max_age=10_000) == []
    jobs.pause(queue="default")
    assert problems() == ["jobs.paused"]


def test_workers_that_have_died(queue: Queue, register):
    register("dead:1:a", lease=0.0)
    register("alive:2:b")
    silent = found("workers.silent")
    assert silent.text.startswith("The worker dead:1:a on web-1 has given no sign of life for ")


def test_a_worker_that_is_about_to_lose_its_jobs(queue: Queue, worker, monkeypatch):
    late = [type(worker)(**{**_fields(worker), "heartbeat_age": 25.0})]
    monkeypatch.setattr(queue, "workers", lambda: late)
    assert found("workers.silent").text == (
        "The last sign of life of the worker web-1:7:abc on web-1 is 25 s old: it loses its jobs after 30 s."
    )


def _fields(worker: Any) -> dict[str, Any]:
    return {name: getattr(worker, name) for name in worker.__dataclass_fields__}


def test_workers_of_another_version(queue: Queue, register):
    register()
    register("b", version="0.0.9")
    register("c", version="0.0.9")
    assert found("workers.versions").text == f"2 workers run django-loco 0.0.9; here it is {__version__}."
    for worker_id in "bc":
        queue.unregister(worker_id)
    register("d", version="")
    assert "an older django-loco" in found("workers.versions").text


def test_a_real_worker_says_its_version(queue: Queue):
    worker = in_process.worker_for("default", threads=1, coroutines=1)
    worker.start()
    try:
        assert found_versions(queue) == [__version__]
        assert problems() == []
    finally:
        worker.quiet()
        worker.stop(0.0)
        assert worker.join(30)


def found_versions(queue: Queue) -> list[str]:
    """Wait until the worker is registered."""
    deadline = time.monotonic() + 30
    while not (workers := queue.workers()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return [each.version for each in workers]


def test_a_store_that_goes_away_in_between(queue: Queue, worker, monkeypatch):
    def away(*args: Any, **given: Any) -> Any:
        raise QueueUnavailable("the store is away")

    monkeypatch.setattr(queue, "suspects", away)
    gone = found("store.gone")
    assert gone.text == "The store did not answer jobs.lost: the store is away"
    assert [each.id for each in findings() if each.level == "error"] == ["store.gone"]


def test_a_check_that_fails_is_a_finding(queue: Queue, worker, monkeypatch):
    def broken(*args: Any, **given: Any) -> Any:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(queue, "suspects", broken)
    assert found("doctor.failed").text == "The check jobs.lost failed: ZeroDivisionError: oops"
    tasks.add.using(queue_name="emails").enqueue(1, 2)
    monkeypatch.setattr(stored_jobs, "missing_workers", broken)
    assert sorted(each.text.split()[2] for each in findings() if each.id == "doctor.failed") == [
        "jobs.lost",
        "jobs.unserved",
    ]


def test_findings_can_be_silenced(queue: Queue, settings):
    assert problems() == ["workers.none"]
    settings.SILENCED_SYSTEM_CHECKS = ["workers.none"]
    assert problems() == []


def test_nothing_is_written(queue: Queue, register):
    """The database is read-only for it; Redis has the same keys and values afterwards."""
    register("dead", lease=0.0)
    tasks.add.enqueue(1, 2)
    queue.fetch(Claim(worker_id="gone", lease=0, threads=1))
    tasks.add.enqueue(1, 2)
    if queue.database is None:
        server = queue.server  # type: ignore[attr-defined]
        before = _contents(server.client)
        lasting = {key for key in before if server.client.pttl(key) == -1}  # the others may expire meanwhile
        assert "jobs.stuck" in problems(production=True)
        after = _contents(server.client)
        assert after.items() <= before.items()
        assert lasting <= after.keys()
        return
    on, off = (
        ("PRAGMA query_only = ON", "PRAGMA query_only = OFF")
        if connection.vendor == "sqlite"
        else ("SET default_transaction_read_only = on", "SET default_transaction_read_only = off")
    )
    with connection.cursor() as cursor:
        cursor.execute(on)
        try:
            ids = problems(production=True)
        finally:
            cursor.execute(off)
    assert "jobs.stuck" in ids
    assert not {"store.gone", "doctor.failed", "store.unreachable"} & set(ids)


def _contents(client: Any) -> dict[bytes, Any]:
    return {key: stored for key in client.keys("*") if (stored := client.dump(key)) is not None}


def test_it_costs_little_with_many_jobs(queue: Queue, worker, django_assert_max_num_queries):
    for _ in range(3):
        queue.enqueue([Job(task_path=tasks.add.module_path, backend="default") for _ in range(1_000)])
    with django_assert_max_num_queries(60):
        assert problems() == []
