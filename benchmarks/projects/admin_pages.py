"""Pages and commands over a large store: prints what each takes, as JSON objects, one a line.

``python admin_pages.py DONE WAITING AGE``, in a Django site with empty tables. It fills the store first. The waiting
jobs were enqueued ``AGE`` seconds ago.
"""

from __future__ import annotations

import io
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import django

REPEATS = 5
#: How long before now the jobs in the midst of five million were enqueued.
DEEP_MS = 50_000_000
LIST, BOARD = "/admin/django_loco/locojob/", "/jobs/"
PAGES = {
    "the first page": LIST,
    "far down": f"{LIST}?before={{deep}}",
    "failed jobs": f"{LIST}?q=status:failed",
    "failed jobs, far down": f"{LIST}?q=status:failed&before={{deep}}",
    "done jobs of a queue, far down": f"{LIST}?q=queue:emails+status:done&before={{deep}}",
    "one queue": f"{LIST}?q=queue:emails",
    "waiting jobs of a queue": f"{LIST}?q=queue:emails+status:waiting",
    "waiting jobs": f"{LIST}?q=status:waiting",
    "a task": f"{LIST}?q=task:add",
    "a tag": f"{LIST}?q=tag:bulk",
    "an error": f"{LIST}?q=error:Timeout",
    "failed jobs with an error": f"{LIST}?q=status:failed+error:Timeout",
    "older than an hour": f"{LIST}?q=older:1h",
    "an id": f"{LIST}?q=id:{{job}}",
    "an argument, in the newest 100,000": f"{LIST}?q=args.a:-1",
    "a task without jobs, in the newest 100,000": f"{LIST}?q=task:none",
    "an error without jobs, in the newest 100,000": f"{LIST}?q=status:failed+error:None",
    "a job": f"{LIST}{{job}}/change/",
    "workers and queues": "/admin/django_loco/locoworker/",
    "dashboard: overview": BOARD,
    "dashboard: overview of 14 days": f"{BOARD}?range=14d",
    "dashboard: jobs": f"{BOARD}jobs/",
    "dashboard: failed jobs": f"{BOARD}jobs/?q=status:failed",
    "dashboard: one queue": f"{BOARD}jobs/?q=queue:emails",
    "dashboard: a job": f"{BOARD}jobs/{{job}}/",
    "dashboard: failures": f"{BOARD}failures/?period=14d",
    "dashboard: queues": f"{BOARD}queues/",
    "dashboard: tasks": f"{BOARD}tasks/",
    "dashboard: tasks of 14 days": f"{BOARD}tasks/?range=14d",
    "dashboard: workers": f"{BOARD}workers/",
    "dashboard: schedules": f"{BOARD}schedules/",
    "/metrics": "/metrics",
}
COMMANDS = (
    "loco_status",
    "loco_status --max-age 1000000000",
    "loco_jobs stats",
    "loco_jobs list",
    "loco_jobs list status:failed",
    "loco_jobs list queue:emails status:waiting",
    "loco_jobs why {waiting}",
    "loco_jobs show {job}",
)


def main() -> None:
    django.setup()
    from django_loco.queues import queue_for  # noqa: PLC0415 - when Django is set up
    from large_store import fill  # noqa: PLC0415

    fill(queue_for("default"), int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
    measure()


def measure() -> None:
    """Print what everything takes."""
    from django.db import connection  # noqa: PLC0415 - when Django is set up
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415

    for name, call in calls():
        took, began_cpu = [], time.process_time()
        for _ in range(REPEATS):
            began = time.perf_counter()
            call()
            took.append(1000 * (time.perf_counter() - began))
        cpu = 1000 * (time.process_time() - began_cpu) / REPEATS
        with CaptureQueriesContext(connection) as queries:
            call()
        told = {"first": took[0], "median": statistics.median(took), "best": min(took), "cpu": cpu}
        told |= {"page": name, "queries": len(queries)}
        print(json.dumps(told), flush=True)


def calls() -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the pages and commands, and functions that ask for them."""
    from django.conf import settings  # noqa: PLC0415 - when Django is set up
    from django.contrib.auth.models import User  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415
    from django.urls import include, path  # noqa: PLC0415

    settings.ROOT_URLCONF = (path("", include("tests.app.urls")), path("", include("django_loco.urls.metrics")))
    client = Client()
    client.force_login(User.objects.filter(is_superuser=True).first() or User.objects.create_superuser("admin"))
    client.get("/admin/")

    def page(address: str) -> None:
        response = client.get(address)
        assert response.status_code == 200, response.content  # noqa: S101

    def command(line: str) -> None:
        call_command(*line.split(), stdout=io.StringIO())

    words = jobs_to_see()
    for name, form in PAGES.items():
        yield name, lambda form=form: page(form.format_map(words))  # type: ignore[misc]
    for form in COMMANDS:
        yield form.format(job="ID", waiting="ID"), lambda form=form: command(form.format_map(words))  # type: ignore[misc]


def jobs_to_see() -> dict[str, Any]:
    """Return the ids of a failed job, of one that waits, and of one in the midst of all."""
    from django_loco import jobs  # noqa: PLC0415 - when Django is set up

    deep = int(1000 * time.time()) - DEEP_MS
    failed, waiting = jobs.filter("status:failed").first(), jobs.filter("status:waiting").first()
    return {"job": failed and failed.id, "waiting": waiting and waiting.id, "deep": f"{deep:012x}{'0' * 20}"}


if __name__ == "__main__":
    main()
