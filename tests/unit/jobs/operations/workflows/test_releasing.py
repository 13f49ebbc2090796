"""Random graphs against a model: which nodes run, and which are cancelled, in whatever order the others end."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from django_loco.core.job import FAILED, READY, SUCCESSFUL, Job, Outcome, error_of, new_id
from django_loco.jobs.operations.workflows.nodes import Place, edges_of, node_id, place_of, placed, waits_for_nodes
from django_loco.jobs.operations.workflows.releasing import advance, advance_members, sweep
from django_loco.queues.base import Change
from django_loco.queues.claim import Claim
from django_loco.queues.memory import MemoryQueue
from django_loco.queues.records.batches import WORKFLOW, new_record
from django_loco.queues.records.workflows import ON_FAILED, START

CLAIM = Claim(worker_id="w", lease=60.0, threads=1000, coroutines=0)


class Killed(BaseException):
    """Stands for the death of the process."""


class Dying(MemoryQueue):
    """Dies between the steps of whoever releases nodes, now and then."""

    dice: random.Random | None = None

    def _may_die(self):
        if self.dice is not None and self.dice.random() < 0.2:
            raise Killed

    def note_ends(self, workflow, upstream):
        found = super().note_ends(workflow, upstream)
        self._may_die()
        return found

    def change(self, changes):
        refused = super().change(changes)
        self._may_die()
        return refused


@pytest.fixture
def queue():
    return Dying("model", {"max_results": 2})


def stored(queue, places):
    """Store a workflow; return its id."""
    record = replace(new_record(new_id(), queue.alias, "", "{}", "{}"), kind=WORKFLOW)
    jobs = [placed(Job(task_path="shop.send", backend=queue.alias), record.id, place) for place in places]
    queue.open_batch(record)
    queue.add_edges(record.id, [edge for job, place in zip(jobs, places, strict=True) for edge in edges_of(job, place)])
    queue.enqueue(jobs)
    queue.seal_batch(record.id)
    return record.id


def random_places(dice, number):
    names = []
    for name in map(str, range(number)):
        after = dice.sample(names, min(len(names), dice.choice([0, 1, 1, 2, 3])))
        yield Place(name, tuple(after), dice.choice(ON_FAILED))
        names.append(name)


def expected(place, ends):
    """Return what the model says of a node whose upstream nodes have ended, or not: ``run``, ``cancel`` or ``wait``."""
    known = [ends.get(name) for name in place.after]
    if "failed" in known and place.on_failed != "ignore":
        return place.on_failed
    return "wait" if None in known else "run"


def standings(queue, workflow, places):
    return {place.name: queue.get(node_id(workflow, place.name)) for place in places}


def end_one(queue, dice, held):
    job = held.pop(dice.randrange(len(held)))
    fails = dice.random() < 0.3
    error = error_of(ValueError, "no") if fails else None
    queue.finish([Outcome(job=job, status=FAILED if fails else SUCCESSFUL, error=error)])
    return job, "failed" if fails else "done"


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("dies", [False, True])
def test_random_graphs(queue, seed, dies):
    dice = random.Random(seed)
    places = [*random_places(dice, 25)]
    workflow = stored(queue, places)
    ends: dict[str, str] = {}
    begun: set[str] = set()
    held: list[Job] = []
    advance(queue, workflow, [START])
    queue.dice = dice if dies else None
    for _ in range(1000):
        fetched = queue.fetch(CLAIM)
        assert not begun & {job.id for job in fetched}
        begun |= {job.id for job in fetched}
        held += fetched
        if held and dice.random() < 0.8:
            job, way = end_one(queue, dice, held)
            ends[place_of(job).name] = way
            try:
                advance_members(queue, [job])
            except Killed:
                pass
        if dies:
            alive, queue.dice = queue.dice, None
            sweep(queue)
            queue.dice = alive
        for place in places:  # in their order, so that a cancelled node is known to those after it
            wanted, job = expected(place, ends), queue.get(node_id(workflow, place.name))
            assert waits_for_nodes(job) is (wanted == "wait"), place
            if wanted == "cancel" and place.name not in ends:
                assert job.status == FAILED
                ends[place.name] = "failed"
        if len(ends) == len(places):
            break
    assert len(ends) == len(places)
    assert queue.waiting_workflows() == []


def test_a_node_that_somebody_changes_meanwhile_is_read_again(queue):
    workflow = stored(queue, [Place("a")])
    job_id = node_id(workflow, "a")
    get_many, left = queue.get_many, [3]

    def changed_after_it_was_read(ids):
        found = get_many(ids)
        if left[0]:
            left[0] -= 1
            queue.change([Change(before=job, after=replace(job, priority=job.priority + 1)) for job in found])
        return found

    queue.get_many = changed_after_it_was_read
    assert advance(queue, workflow, [START]) == [job_id]
    assert (queue.get(job_id).priority, waits_for_nodes(queue.get(job_id))) == (3, False)


def test_one_that_somebody_has_let_run_is_left_alone(queue):
    workflow = stored(queue, [Place("a"), Place("b", ("a",))])
    job = queue.get(node_id(workflow, "b"))
    queue.change([Change(before=job, after=replace(job, run_after=None))])
    assert advance(queue, workflow, [START]) == [node_id(workflow, "a")]
    [first, second] = sorted(queue.fetch(CLAIM), key=lambda job: place_of(job).name)
    queue.finish([Outcome(job=first, status=FAILED, error=error_of(ValueError, "no"))])
    advance_members(queue, [first])
    assert queue.lost([second]) == set()
    assert queue.waiting_workflows() == []


def test_one_that_is_not_stored_keeps_its_edges(queue):
    workflow = stored(queue, [Place("a")])
    queue.add_edges(
        workflow, [*edges_of(placed(Job(task_path="x", backend="model"), workflow, Place("b")), Place("b"))]
    )
    assert advance(queue, workflow, [START]) == [node_id(workflow, "a")]
    assert queue.waiting_workflows() == [workflow]
    queue.enqueue([placed(Job(task_path="x", backend="model"), workflow, Place("b"))])
    assert sweep(queue) == 1
    assert queue.get(node_id(workflow, "b")).status == READY
