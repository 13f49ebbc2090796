"""Statistics in a database."""

from __future__ import annotations

import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_loco.exceptions import QueueRefused, QueueUnavailable
from django_loco.models import StoredMinute
from django_loco.queues.database import DatabaseQueue
from django_loco.queues.database.records import minutes as minute_rows
from django_loco.queues.records.minutes import HOUR, KEPT_MINUTES, NUMBERS, Labels, Minute, minute_of

from ...conftest import ON_POSTGRES

pytestmark = pytest.mark.django_db(transaction=True)
NOW = minute_of(time.time())


@pytest.fixture
def queue():
    return DatabaseQueue("default", {})


def minute(number: int = NOW, task_path: str = "shop.send", runs: int = 1) -> Minute:
    return Minute(Labels(number, "default", task_path, "failed"), (runs, *[0] * (len(NUMBERS) - 1)))


def test_a_minute_of_a_process_is_one_statement(queue):
    with CaptureQueriesContext(connection) as queries:
        queue.record([minute(task_path=f"shop.task_{number}") for number in range(minute_rows.BATCH // 3)])
    statements = [query["sql"].split()[0] for query in queries if query["sql"].split()[0] in ("INSERT", "DELETE")]
    assert statements == ["INSERT"]


def test_other_aliases_have_their_own(queue):
    queue.record([minute()])
    other = DatabaseQueue("other", {})
    other.record([minute(runs=3)])
    assert queue.minutes(0) == [minute()]
    other.clear()
    assert (queue.minutes(0), other.minutes(0)) == ([minute()], [])


def test_many_old_minutes_are_deleted_in_parts(queue, monkeypatch):
    monkeypatch.setattr(minute_rows, "DELETED_AT_ONCE", 3)
    long_ago = (NOW - KEPT_MINUTES - 100) // HOUR * HOUR  # one hour, whose sum is deleted first
    queue.record([minute(long_ago + number) for number in range(20)])
    left = []
    queue.record([minute()])
    for _ in range(8):
        queue.prune(3600)
        left.append(StoredMinute.objects.filter(minute__range=(1, NOW - 1)).count())
    assert left == [18, 15, 12, 9, 6, 3, 0, 0]
    assert queue.minutes(0) == [minute()]


@pytest.mark.skipif(not ON_POSTGRES, reason="SQLite stores numbers of any size in any column")
def test_a_sum_that_does_not_fit_is_refused_and_changes_nothing(queue):
    queue.record([minute(runs=2**63 - 1)])
    with pytest.raises(QueueRefused):
        queue.record([minute(runs=1)])
    assert queue.minutes(0) == [minute(runs=2**63 - 1)]


def test_a_table_that_is_missing_is_named_by_its_remedy(queue):
    with connection.schema_editor() as editor:
        editor.delete_model(StoredMinute)
    try:
        with pytest.raises(QueueUnavailable, match="migrations of django_loco are missing"):
            queue.record([minute()])
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(StoredMinute)
