"""Random workflows against a model, on every queue: after each step each node is as the model says."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from django_loco.core.job import FAILED, SUCCESSFUL, Job, Outcome, error_of
from django_loco.jobs.operations.batches.settling import settle_members
from django_loco.jobs.operations.workflows.nodes import node_id, place_of, waits_for_nodes
from django_loco.jobs.operations.workflows.releasing import sweep
from django_loco.queues import Queue
from django_loco.queues.records.workflows import ON_FAILED
from django_loco.tasks import Workflow
from tests.app import tasks

from .conftest import CLAIM

pytestmark = pytest.mark.django_db(transaction=True)

#: How many random workflows are played on each queue.
STORIES = 4 * int(os.environ.get("LOCO_CHAOS", "1"))
NODES = 15


def declared(dice: random.Random) -> tuple[Workflow, dict[str, Any]]:
    """Return a random workflow, and what each of its nodes is declared with."""
    places: dict[str, Any] = {}
    flow = Workflow("random")
    for name in map(str, range(NODES)):
        after = dice.sample([*places], min(len(places), dice.choice([0, 1, 1, 2, 3])))
        places[name] = (after, dice.choice(ON_FAILED))
        flow.add(tasks.echo, name, name=name, after=after, on_failed=places[name][1])
    return flow, places


class Story:
    """One workflow: its jobs end, and sometimes whoever should notice has died."""

    def __init__(self, queue: Queue, dice: random.Random) -> None:
        self.queue, self.dice = queue, dice
        self.flow, self.places = declared(dice)
        self.ends: dict[str, str] = {}
        self.held: list[Job] = []
        self.begun: set[str] = set()

    def stored(self, name: str) -> Job | None:
        return self.queue.get(node_id(self.flow.id, name))

    def fetch(self) -> None:
        fetched = self.queue.fetch(CLAIM)
        assert not self.begun & {job.id for job in fetched}, "a node was released twice"
        self.begun |= {job.id for job in fetched}
        self.held += fetched

    def end_one(self) -> None:
        job = self.held.pop(self.dice.randrange(len(self.held)))
        fails = self.dice.random() < 0.3
        error = error_of(ValueError, "no") if fails else None
        assert self.queue.finish([Outcome(job=job, status=FAILED if fails else SUCCESSFUL, error=error)]) == set()
        place: Any = place_of(job)
        self.ends[place.name] = "failed" if fails else "done"
        if self.dice.random() < 0.8:
            settle_members(self.queue, [job])
        else:  # its worker has died before it could do so
            sweep(self.queue)

    def wanted(self, name: str) -> str:
        after, on_failed = self.places[name]
        known = [self.ends.get(each) for each in after]
        if "failed" in known and on_failed != "ignore":
            return on_failed
        return "wait" if None in known else "run"

    def compare(self) -> None:
        for name in self.places:  # in their order, so that a cancelled node is known to those after it
            wanted, job = self.wanted(name), self.stored(name)
            assert job is not None
            assert waits_for_nodes(job) is (wanted == "wait"), name
            if wanted == "cancel" and name not in self.ends:
                assert job.status == FAILED
                self.ends[name] = "failed"


@pytest.mark.parametrize("seed", range(STORIES))
def test_random_workflows(queue, seed):
    story = Story(queue, random.Random(seed))
    story.flow.enqueue()
    for _ in range(10 * NODES):
        story.fetch()
        if story.held:
            story.end_one()
        story.compare()
        if len(story.ends) == NODES:
            break
    assert len(story.ends) == NODES
    assert queue.waiting_workflows() == []
    queue.settle_batches()
    story.flow.refresh()
    assert story.flow.state == "finished"
    assert story.flow.counts.succeeded == list(story.ends.values()).count("done")
