"""Jobs that others have written into the store: the pages show what can be read of them, and they can be deleted."""

from __future__ import annotations

import pytest

from django_loco.queues import queue_for
from tests.integration.queues.test_broken_rows import BROKEN, spoil
from tests.integration.queues.test_redis_hostile import spoilt, write

from .conftest import JOBS, WORKERS, change, text

pytestmark = pytest.mark.django_db

COLUMNS = [
    *BROKEN,
    *((name, "'{'") for name in ("arguments", "metadata", "checkpoint", "return_value")),
    *((name, "''") for name in ("arguments", "task_path", "queue_name", "status", "worker_id")),
    ("key", "'@'"),
    ("task_path", "'no dot'"),
    ("arguments", f"'{'[' * 5_000}'"),
]
VALUES: list[object] = [None, [], {}, "x", -1, 1e300, [[7]]]
PLACES = [(place, value) for place in range(10) for value in VALUES]


def all_is_well(client, good, bad):
    shown = text(client.get(JOBS, {"q": f"id:{good.id}"}))
    assert "add tests.app.tasks" in shown
    for address in (JOBS, f"{JOBS}?q=task:x", f"{JOBS}?q=args.a:1", WORKERS, f"{JOBS}{bad.id}/run-again/"):
        text(client.get(address, follow=True))
    assert bad.id in text(client.get(change(bad), follow=True))
    form = {"operation": "delete", "job": [bad.id, good.id], "confirmed": "yes", "which": "chosen"}
    text(client.post(f"{JOBS}operate/", form, follow=True))
    assert queue_for("default").get(good.id) is None


@pytest.mark.parametrize("queue", ["database"], indirect=True)
@pytest.mark.parametrize(("column", "value"), COLUMNS)
def test_a_row_that_was_edited(client, queue, stored, column, value):
    good, bad = stored("failed"), stored("failed")
    spoil(bad, column, value)
    all_is_well(client, good, bad)


@pytest.mark.parametrize("queue", ["redis"], indirect=True)
@pytest.mark.parametrize(("place", "value"), PLACES)
def test_a_record_in_redis_that_was_edited(client, queue, stored, place, value):
    good, bad = stored("failed"), stored("failed")
    write(queue, "jobs", bad, spoilt(place, value))
    all_is_well(client, good, bad)
