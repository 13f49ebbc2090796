"""The questions that a queue answers by means of others."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from django_loco.core.job import FAILED, Job, utcnow
from django_loco.queues import lookups
from django_loco.queues.lookups import status_of
from django_loco.queues.memory import MemoryQueue
from django_loco.queues.workers import WorkerInfo

PLAIN, LIMITED = datetime(2026, 11, 21, 6, tzinfo=UTC), datetime(2026, 11, 21, 5, tzinfo=UTC)


def test_a_status_may_be_given_as_text():
    assert status_of("FAILED") is status_of(FAILED) is FAILED
    assert status_of(None) is None
    with pytest.raises(ValueError, match=r"'FALIED' is not a status\. Did you mean 'FAILED'\?"):
        status_of("FALIED")


class Due(MemoryQueue):
    """A queue with a plain and a limited job that are due."""

    def __init__(self):
        super().__init__("default", {})
        self.asked = None

    def counts(self, limit=None):
        return {("mail", FAILED): 1, ("other", FAILED): 1}

    def oldest_due(self, queues=None):
        return PLAIN

    def oldest_limited(self, queues=None):
        self.asked = queues
        return LIMITED


def worker(*queues):
    room = {"threads": 1, "coroutines": 1, "lease": 30.0}
    names = {"worker_id": "-".join(queues) or "any", "queues": queues or None, "tags": None}
    return WorkerInfo(host="web1", pid=1, started_at=utcnow(), **names, **room)


def test_limited_jobs_wait_for_their_limits_while_a_worker_serves_their_queue(monkeypatch):
    queue = Due()
    assert queue.oldest_waiting() == PLAIN
    monkeypatch.setattr(lookups, "declared_limits", lambda: {"api": object()})
    assert (queue.oldest_waiting(), {*queue.asked}) == (LIMITED, {"mail", "other"})
    queue.register(worker("mail"))
    assert (queue.oldest_waiting(), queue.asked) == (LIMITED, ("other",))
    queue.register(worker())
    assert queue.oldest_waiting() == PLAIN


def test_jobs_with_another_token_are_lost():
    queue = MemoryQueue("default", {})
    [stored] = queue.enqueue([Job(task_path="a.b", backend="default")])
    gone = Job(task_path="a.b", backend="default", token="t")
    assert lookups.JobLookups.lost(queue, [stored, gone]) == {gone.id}
