"""What an idle worker asks a database, and what it learns by it."""

from __future__ import annotations

import itertools

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_loco.core import running_tests
from django_loco.core.job import Job, utcnow
from django_loco.queues import Claim
from django_loco.queues.database import DatabaseQueue
from django_loco.queues.database.records import pauses
from django_loco.queues.workers import Command, WorkerInfo

pytestmark = pytest.mark.django_db(transaction=True)
CLAIM = Claim(worker_id="w", lease=60, threads=100, coroutines=100)


@pytest.fixture
def queue():
    queue = DatabaseQueue("default", {})
    queue.register(
        WorkerInfo(
            worker_id="w",
            host="a",
            pid=1,
            queues=None,
            tags=None,
            threads=1,
            coroutines=1,
            lease=60,
            started_at=utcnow(),
        )
    )
    return queue


@pytest.fixture
def seconds_pass(monkeypatch):
    """Let a second pass between any two looks at the clock."""
    ticks = itertools.count(pauses.time.monotonic())
    monkeypatch.setattr(pauses.time, "monotonic", lambda: next(ticks))


@pytest.fixture
def in_production(monkeypatch):
    """Tests of projects let workers look for limited jobs at each fetch."""
    monkeypatch.setattr(running_tests, "is_on", lambda: False)


@pytest.mark.usefixtures("in_production")
def test_an_idle_turn_is_two_statements(queue, monkeypatch):
    for _ in range(5):  # PostgreSQL's fetch is prepared meanwhile
        queue.fetch(CLAIM)
    monkeypatch.setattr(queue, "_next_poll", 0.0)
    with CaptureQueriesContext(connection) as queries:
        assert queue.fetch(CLAIM) == []
        assert queue.recent_command_of("w") == Command.RUN
    assert len(queries) == 2, queries.captured_queries


def test_a_fetch_reads_the_command(queue, monkeypatch):
    queue.fetch(CLAIM)
    queue.command("w", Command.STOP)
    assert queue.recent_command_of("w") == Command.RUN
    monkeypatch.setattr(queue, "_next_poll", 0.0)
    queue.fetch(CLAIM)
    with CaptureQueriesContext(connection) as queries:
        assert queue.recent_command_of("w") == Command.STOP
    assert not len(queries)


@pytest.mark.usefixtures("seconds_pass")
def test_a_worker_that_fetches_nothing_asks_for_the_command(queue):
    queue.fetch(CLAIM)
    queue.command("w", Command.STOP)
    assert queue.recent_command_of("w") == Command.STOP


@pytest.mark.usefixtures("in_production")
def test_a_process_without_limits_finds_limited_jobs_at_the_next_poll(queue, monkeypatch):
    assert queue.fetch(CLAIM) == []
    limited = [
        Job(task_path="a.b", backend="default", limit_key="api", is_async=is_async) for is_async in (True, False)
    ]
    queue.enqueue(limited)
    assert queue.fetch(CLAIM) == []
    monkeypatch.setattr(queue, "_next_poll", 0.0)
    assert {job.id for job in queue.fetch(CLAIM)} == {job.id for job in limited}
