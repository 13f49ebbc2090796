"""The list of waiting jobs in a database, when newer jobs have ended."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from django.db import connection

from django_loco.core.job import READY, SUCCESSFUL, Job, first_id, utcnow
from django_loco.queues import queue_for
from django_loco.queues.database.engines import engine_of
from django_loco.queues.database.jobs import lookups
from tests.conftest import ON_POSTGRES

pytestmark = pytest.mark.django_db

NOW = utcnow()
numbers = count()


def job(age: float, **fields: Any) -> Job:
    at = NOW - timedelta(seconds=age)
    values: dict[str, Any] = {
        "id": f"{first_id(at)[:12]}7{next(numbers):019x}",
        "enqueued_at": at,
        "arguments": "[[],{}]",
    }
    return Job(task_path="tests.app.tasks.add", backend="default", **values | fields)


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Jobs of all kinds that wait, the newest first, and newer ones that have ended."""
    monkeypatch.setattr(lookups, "WINDOW", 5)
    monkeypatch.setattr(lookups, "WINDOW_PER_JOB", 0)
    draw = random.Random(7)
    made = [
        job(
            1_000 + 10 * number,
            priority=draw.choice([-5, 0, 7]),
            is_async=draw.random() < 0.5,
            run_after=draw.choice([None, NOW - timedelta(days=9), NOW + timedelta(days=draw.randrange(9))]),
            queue_name=draw.choice(["default", "emails"]),
        )
        for number in range(60)
    ]
    ended = [replace(job(number), status=SUCCESSFUL, finished_at=NOW, worker_ids=("w",)) for number in range(20)]
    queue_for("default").restore([*made, *ended])
    return made


def test_the_newest_come_first_whatever_their_order_of_running_is(waiting):
    queue = queue_for("default")
    assert queue.list(status=READY, limit=7) == waiting[:7]
    of_queue = [each for each in waiting if each.queue_name == "emails"]
    assert queue.list(status=READY, queue_name="emails", limit=7) == of_queue[:7]
    found: list[Job] = []
    while page := queue.list(status=READY, before=found[-1].id if found else None, limit=7):
        found += page
    assert found == waiting


def test_the_index_of_ready_jobs_is_read_backwards(waiting):
    dialect_class, _ = engine_of("default", "default")
    dialect = dialect_class("default", "default")
    page = lookups.Page(READY, None, None, 7)
    sql = dialect.sql(lookups.SORTED_READY, having="{status} = 'READY'", **page.where)
    with connection.cursor() as cursor:
        if ON_POSTGRES:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"EXPLAIN {'' if ON_POSTGRES else 'QUERY PLAN '}{sql}", {"alias": "default", "limit": 7})
        plan = "\n".join(str(row) for row in cursor.fetchall())
    assert "django_loco_ready" in plan
    assert plan.count("TEMP B-TREE") == (not ON_POSTGRES)  # only the outer order is sorted
    assert ("Scan Backward" in plan) == ON_POSTGRES
