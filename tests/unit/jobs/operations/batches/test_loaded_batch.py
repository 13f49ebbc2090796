"""What a batch says of itself, and what is done with all its members."""

from __future__ import annotations

import pytest

from django_loco.exceptions import BatchDoesNotExist, InvalidState
from django_loco.jobs.operations.batches.batch import Batch
from django_loco.queues import Claim
from tests.app import tasks

CLAIM = Claim(worker_id="w", lease=60, threads=10)


def states(own: Batch, *actions) -> list[str]:
    found: list[str] = []
    for act in actions:
        act()
        own.refresh()
        found.append(own.state)
    return found


def test_its_state_is_as_it_was_loaded(queue):
    own = Batch("import")
    own.enqueue(tasks.echo, 1)
    assert states(own, own.refresh, own.seal, own.cancel) == ["open", "sealed", "finished"]
    assert (own.counts.total, own.counts.cancelled) == (1, 1)
    with pytest.raises(InvalidState, match=f"Batch {own.id} has finished"):
        own.cancel()


def test_a_cancelled_batch_finishes_when_its_running_members_have_ended(queue, monkeypatch):
    own = Batch("import")
    own.enqueue(tasks.echo, 1)
    monkeypatch.setattr(own, "_do", lambda *_: 0)  # the member runs on
    assert states(own, own.cancel) == ["cancelled"]


def test_its_failed_members_are_retried_page_by_page(queue, monkeypatch):
    monkeypatch.setattr("django_loco.jobs.operations.batches.loaded_batch.CHUNK", 2)
    own = Batch("import")
    own.enqueue_many(tasks.echo, [(number,) for number in range(5)])
    assert own.cancel() == 5
    assert own.retry() == 5
    assert len(queue.fetch(CLAIM)) == 5


def test_a_batch_that_is_gone():
    own = Batch("import")
    with pytest.raises(BatchDoesNotExist, match=f"no batch {own.id} in TASKS"):
        own.refresh()
