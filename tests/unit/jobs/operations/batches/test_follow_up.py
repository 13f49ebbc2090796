from __future__ import annotations

from dataclasses import replace

import pytest

from django_loco.core.job import FAILED, READY, Job, new_id
from django_loco.exceptions import QueueUnavailable
from django_loco.jobs.operations.batches.follow_up import SWEEP_EVERY_SECONDS, FollowUp
from django_loco.queues.records.batches import Batches
from django_loco.queues.records.workflows import Workflows

ENDED = Job(task_path="shop.send", backend="default", status=FAILED, batch=new_id())


class Recording(Batches, Workflows):
    def __init__(self):
        self.calls: list[tuple[object, list[str]]] = []
        self.error: Exception | None = None

    def settle_batches(self, ids=None, members=()):
        self.calls.append((ids, [job.id for job in members]))
        if self.error is not None:
            raise self.error
        return ()


@pytest.fixture
def queue():
    return Recording()


def test_only_members_that_have_ended_are_looked_at(queue):
    follow_up = FollowUp(queue)
    follow_up.note([replace(ENDED, batch=None), replace(ENDED, status=READY)])
    assert follow_up.is_idle
    assert follow_up.settle() is False
    follow_up.note([ENDED])
    assert not follow_up.is_idle
    assert follow_up.settle() is True
    assert queue.calls == [([ENDED.batch], [ENDED.id])]
    assert follow_up.is_idle


def test_after_an_error_they_are_looked_at_again(queue):
    follow_up = FollowUp(queue)
    follow_up.note([ENDED])
    queue.error = QueueUnavailable("away")
    with pytest.raises(QueueUnavailable):
        follow_up.settle()
    assert not follow_up.is_idle
    queue.error = None
    other = replace(ENDED, id=new_id())
    follow_up.note([other])
    assert follow_up.settle() is True
    assert queue.calls[-1] == ([ENDED.batch], [ENDED.id, other.id])


def test_all_batches_are_looked_at_now_and_then(queue):
    now = [100.0]
    follow_up = FollowUp(queue, lambda: now[0])
    follow_up.sweep_if_due()
    follow_up.sweep_if_due()
    assert queue.calls == [(None, [])]
    now[0] += SWEEP_EVERY_SECONDS
    follow_up.sweep_if_due()
    assert queue.calls == [(None, []), (None, [])]
