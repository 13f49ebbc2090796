"""The pages of jobs over a large store, in the admin and on the dashboard: prints what each takes, as JSON objects.

``python admin_pages.py DONE WAITING AGE``, in a Django site with empty tables. It fills the store first. The waiting
jobs were enqueued ``AGE`` seconds ago.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import Any

import django

BATCH = 5_000
#: The number of finished jobs that are made one by one; in a database they are then copied.
SEED, SECONDS_OF_SEED = 50_000, 1_000
REPEATS = 5
QUEUES = ("default", "emails")
LIST, BOARD = "/admin/django_loco/locojob/", "/jobs/"
PAGES = {
    "the first page": LIST,
    "failed jobs": f"{LIST}?q=status:failed",
    "one queue": f"{LIST}?q=queue:emails",
    "waiting jobs of a queue": f"{LIST}?q=queue:emails+status:waiting",
    "waiting jobs": f"{LIST}?q=status:waiting",
    "a task": f"{LIST}?q=task:add",
    "an argument, in the newest 100,000": f"{LIST}?q=args.a:-1",
    "workers and queues": "/admin/django_loco/locoworker/",
    "dashboard: overview": BOARD,
    "dashboard: jobs": f"{BOARD}jobs/",
    "dashboard: failed jobs": f"{BOARD}jobs/?q=status:failed",
    "dashboard: one queue": f"{BOARD}jobs/?q=queue:emails",
    "dashboard: a job": f"{BOARD}jobs/{{job}}/",
    "dashboard: failures": f"{BOARD}failures/?period=14d",
    "dashboard: queues": f"{BOARD}queues/",
    "dashboard: tasks": f"{BOARD}tasks/",
    "dashboard: workers": f"{BOARD}workers/",
    "dashboard: schedules": f"{BOARD}schedules/",
}


def main() -> None:
    django.setup()
    fill(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
    measure()


def jobs(count: int, *, is_waiting: bool, age: float = 0.0) -> Iterator[Any]:
    from django_loco.core.job import FAILED, SUCCESSFUL, Job, error_of, first_id, new_id, utcnow  # noqa: PLC0415 - when Django is set up

    now = utcnow()
    for number in range(count):
        at = now - timedelta(seconds=age + 0.01 * (count - number))
        job = Job(
            id=first_id(at)[:12] + new_id()[12:],
            task_path="tests.app.tasks.add",
            backend="default",
            arguments=f"[[{number}, 2], {{}}]",
            queue_name=random.choice(QUEUES),
            enqueued_at=at,
        )
        if is_waiting:
            yield job
        elif number % 50:
            yield replace(job, status=SUCCESSFUL, started_at=at, finished_at=at, worker_ids=("w",), return_value="3")
        else:
            error = error_of(ValueError, "no such user")
            yield replace(job, status=FAILED, started_at=at, finished_at=at, worker_ids=("w",), errors=(error,))


def batched(items: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := [*islice(items, BATCH)]:
        yield batch


def fill(done: int, waiting: int, age: float) -> None:
    from django.db import connection  # noqa: PLC0415 - when Django is set up
    from django_loco.queues import queue_for  # noqa: PLC0415

    queue = queue_for("default")
    seed = SEED if queue.database else done
    for batch in batched(jobs(min(seed, done), is_waiting=False)):
        (fill_database if queue.database else fill_redis)(queue, batch)
    if queue.database:
        copy(connection, done // SEED)
    for batch in batched(jobs(waiting, is_waiting=True, age=age)):
        queue.enqueue(batch)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE django_loco_job")


def copy(connection: Any, times: int) -> None:
    """Let there be the finished jobs so many times, each time under ids of an earlier hour."""
    from django_loco.models import StoredJob  # noqa: PLC0415 - when Django is set up

    fields = StoredJob._meta.concrete_fields  # noqa: SLF001 - Django documents it
    names = ", ".join(field.column for field in fields if not field.primary_key)
    digits = "replace(CAST(id AS text), '-', '')"
    if connection.vendor == "postgresql":
        new = "CAST(lpad(to_hex(%s - id_number), 12, '0') || substr({digits}, 13) AS uuid)"
    else:
        new = "printf('%%012x', %s - id_number) || substr({digits}, 13)"
    numbered = f"SELECT *, row_number() OVER (ORDER BY id) AS id_number FROM django_loco_job LIMIT {SEED}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE seed AS {numbered}")
        for each in range(1, times):
            highest = int(1000 * (time.time() - SECONDS_OF_SEED * (each + 1)))
            cursor.execute(
                f"INSERT INTO django_loco_job (id, {names}) SELECT {new.format(digits=digits)}, {names} FROM seed",
                [highest],
            )


def fill_database(_queue: Any, batch: Any) -> None:
    from django_loco.models import StoredJob  # noqa: PLC0415 - when Django is set up
    from django_loco.queues.rows import COLUMNS, row_of  # noqa: PLC0415

    rows = []
    for job in batch:
        times = {name: getattr(job, name) for name in COLUMNS if name.endswith(("_at", "_after"))}
        rows.append(StoredJob(**dict(zip(COLUMNS, row_of(job), strict=True)) | times, due_at=job.due_at))
    StoredJob.objects.bulk_create(rows)


def fill_redis(queue: Any, batch: Any) -> None:
    from django_loco.core.job import READY, Outcome  # noqa: PLC0415 - when Django is set up
    from django_loco.queues import Claim  # noqa: PLC0415

    ends = {job.id: job for job in batch}
    queue.enqueue([replace(job, status=READY, worker_ids=(), errors=(), return_value=None) for job in batch])
    held = queue.fetch(Claim(worker_id="w", lease=60, threads=len(batch), coroutines=0))
    outcomes = [
        Outcome(
            job=job,
            status=ends[job.id].status,
            return_value=ends[job.id].return_value,
            error=next(iter(ends[job.id].errors), None),
        )
        for job in held
    ]
    queue.finish(outcomes)


def measure() -> None:
    from django.contrib.auth.models import User  # noqa: PLC0415 - when Django is set up
    from django.db import connection  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415
    from django_loco import jobs as stored  # noqa: PLC0415

    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    client.get("/admin/")
    job = stored.filter("status:failed").first()
    for name, form in PAGES.items():
        address, took = form.format(job=job and job.id), []
        for _ in range(REPEATS):
            began = time.perf_counter()
            response = client.get(address)
            took.append(1000 * (time.perf_counter() - began))
            assert response.status_code == 200, response.content  # noqa: S101
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        told = {"page": name, "first": took[0], "median": statistics.median(took), "queries": len(queries)}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
