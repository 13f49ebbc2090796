"""The contract of workflows: which nodes can be decided, and when."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from unittest import SkipTest

from ....core.job import Job, new_id
from ....exceptions import BatchFinished
from ....queues.base import Change
from ....queues.records.batches import WORKFLOW, new_record
from ....queues.records.workflows import START, Decidable, Edge, OnFailed, Workflows
from ..case import ContractCase, done, failed, retry
from .batch_case import cancelled


class WorkflowContract(ContractCase):
    """A node can be decided when the nodes that it waits for have ended. A queue without workflows is not tested."""

    def workflow(self, *, is_sealed: bool = True) -> str:
        """Store an empty workflow; return its id."""
        if type(self.queue).add_edges is Workflows.add_edges:
            raise SkipTest(f"{type(self.queue).__name__} has no workflows")
        record = replace(new_record(new_id(), self.queue.alias, "nightly", "{}", "{}"), kind=WORKFLOW)
        self.queue.open_batch(record)
        if is_sealed:
            self.queue.seal_batch(record.id)
        return record.id

    def nodes(self, workflow: str, number: int) -> list[Job]:
        """Store nodes without edges; return them."""
        return self.queue.enqueue([self.job(batch=workflow) for _ in range(number)])

    def edge(self, workflow: str, upstream: Sequence[Job], node: Job, on_failed: OnFailed = "cancel") -> None:
        """Make ``node`` wait for the nodes ``upstream``."""
        self.queue.add_edges(workflow, [Edge(job.id, node.id, on_failed) for job in upstream])

    def decidable(self, workflow: str, *ended: Job) -> dict[str, str]:
        """Return the nodes that can be decided after ``ended`` (without it: all), each with a failed upstream node."""
        found = self.queue.note_ends(workflow, [job.id for job in ended] or None)
        assert len({node.id for node in found}) == len(found)
        return dict(found)

    def held_of(self, *nodes: Job) -> list[Job]:
        """Fetch all jobs. Return ``nodes`` as they are held, in the given order."""
        held = {job.id: job for job in self.fetch()}
        return [held[node.id] for node in nodes]

    def test_a_workflow_is_told_from_a_batch(self) -> None:
        workflow = self.workflow()
        batch = new_record(new_id(), self.queue.alias, "import", "{}", "{}")
        self.queue.open_batch(batch)
        kinds = {record.id: record.kind for record in self.queue.list_batches()}
        assert kinds == {workflow: WORKFLOW, batch.id: batch.kind}

    def test_a_node_waits_for_all(self) -> None:
        workflow = self.workflow()
        first, second, last = self.nodes(workflow, 3)
        self.edge(workflow, [first, second], last)
        assert self.decidable(workflow, first, second) == {}
        one, other = self.held_of(first, second)
        assert self.decidable(workflow, first, second) == {}
        self.queue.finish([done(one)])
        assert self.decidable(workflow, first) == {}
        self.queue.finish([done(other)])
        assert self.decidable(workflow, second) == {last.id: ""}

    def test_it_can_be_asked_again_until_the_node_is_closed(self) -> None:
        workflow = self.workflow()
        first, last = self.nodes(workflow, 2)
        self.edge(workflow, [first], last)
        self.queue.finish([done(self.held_of(first)[0])])
        for _ in range(2):
            assert self.decidable(workflow, first) == self.decidable(workflow) == {last.id: ""}
            assert self.queue.waiting_workflows() == [workflow]
        self.queue.close_nodes(workflow, [last.id])
        self.queue.close_nodes(workflow, [last.id])
        assert self.decidable(workflow, first) == self.decidable(workflow) == {}
        assert self.queue.waiting_workflows() == []

    def test_a_retry_is_no_end(self) -> None:
        workflow = self.workflow()
        first, last = self.nodes(workflow, 2)
        self.edge(workflow, [first], last)
        self.queue.finish([retry(self.held_of(first)[0])])
        assert self.decidable(workflow, first) == {}

    def test_one_failure_decides_unless_it_is_ignored(self) -> None:
        workflow = self.workflow()
        first, second, *last = self.nodes(workflow, 5)
        modes: tuple[OnFailed, ...] = ("cancel", "run", "ignore")
        for node, mode in zip(last, modes, strict=True):
            self.edge(workflow, [first, second], node, mode)
        one, other = self.held_of(first, second)
        self.queue.finish([failed(one)])
        assert self.decidable(workflow, first) == {node.id: first.id for node in last[:2]}
        self.queue.finish([done(other)])
        assert self.decidable(workflow, second) == {node.id: first.id for node in last}

    def test_what_was_cancelled_or_deleted_has_failed(self) -> None:
        workflow = self.workflow()
        first, second, third, *last = self.nodes(workflow, 6)
        for upstream, node in zip((first, second, third), last, strict=True):
            self.edge(workflow, [upstream], node)
        self.queue.change([Change(before=second, after=None)])
        held = {job.id: job for job in self.fetch()}
        self.queue.finish([cancelled(held[first.id])])
        failures = {last[0].id: first.id, last[1].id: second.id}
        assert self.decidable(workflow, first, second, third) == self.decidable(workflow) == failures

    def test_what_is_retried_after_all_is_waited_for_again(self) -> None:
        workflow = self.workflow()
        first, second, last = self.nodes(workflow, 3)
        self.edge(workflow, [first, second], last, "ignore")
        one, _ = self.held_of(first, second)
        self.queue.finish([failed(one)])
        assert self.decidable(workflow, first) == {}
        ended = self.stored(first)
        again = replace(ended, status=first.status, finished_at=None)
        assert self.queue.change([Change(before=ended, after=again)]) == set()
        assert self.decidable(workflow) == {}
        self.queue.finish([done(self.held_of(first)[0])])
        assert self.decidable(workflow) == {}
        self.queue.add_edges(workflow, [Edge(first.id, last.id, "ignore")])
        [running] = self.queue.get_many([second.id, new_id()])
        self.queue.finish([done(running)])
        assert self.decidable(workflow, second) == {last.id: ""}

    def test_the_start_is_waited_for(self) -> None:
        workflow = self.workflow(is_sealed=False)
        [node] = self.nodes(workflow, 1)
        self.queue.add_edges(workflow, [Edge(START, node.id, "cancel")])
        assert self.queue.note_ends(workflow, [START]) == []
        assert self.queue.waiting_workflows() == []
        self.queue.seal_batch(workflow)
        assert self.queue.waiting_workflows() == [workflow]
        assert list(self.queue.note_ends(workflow, [START])) == [Decidable(node.id, "")]

    def test_workflows_do_not_touch_each_other(self) -> None:
        mine, other = self.workflow(), self.workflow()
        first, last, stranger = (*self.nodes(mine, 2), *self.nodes(other, 1))
        self.edge(mine, [first], last)
        self.edge(other, [first], stranger)
        self.queue.finish([done(self.held_of(first)[0])])
        assert self.decidable(mine, first) == self.decidable(mine) == {last.id: ""}
        self.queue.drop_edges(mine)
        assert self.decidable(mine) == {}
        assert self.decidable(other) == {stranger.id: ""}
        assert self.queue.waiting_workflows() == [other]

    def test_one_that_was_not_stored_leaves_nothing(self) -> None:
        workflow = self.workflow(is_sealed=False)
        self.queue.add_edges(workflow, [Edge(START, new_id(), "cancel")])
        self.queue.drop_batch(workflow)
        self.queue.drop_batch(workflow)
        assert self.queue.get_batch(workflow) is None
        assert list(self.queue.list_batches()) == []

    def test_members_are_listed_by_how_they_stand(self) -> None:
        workflow = self.workflow()
        first, second, third = self.nodes(workflow, 3)
        held = self.held_of(first, second, third)
        self.queue.finish([done(held[0]), failed(held[1])])
        self.queue.settle_batches([workflow], held)
        found = {kind: list(self.queue.batch_members(workflow, kind)) for kind in ("succeeded", "failed", "left")}
        assert found == {"succeeded": [first.id], "failed": [second.id], "left": [third.id]}
        assert sorted(job.id for job in self.queue.get_many([first.id, third.id])) == sorted([first.id, third.id])

    def test_nodes_are_kept_until_their_workflow_has_finished(self) -> None:
        workflow = self.workflow()
        first, _ = self.nodes(workflow, 2)
        other = self.enqueue()
        held = {job.id: job for job in self.fetch()}
        self.queue.finish([done(held[first.id], '"kept"'), done(held[other.id])])
        self.queue.settle_batches([workflow], [first])
        self.queue.prune(-10.0)
        self.queue.prune(-10.0)
        assert self.stored(first).return_value == '"kept"'
        assert self.queue.get(other.id) is None

    def test_edges_are_pruned_with_their_workflow(self) -> None:
        """A process that dies leaves edges to nodes that it has not stored, and nobody looks at a finished workflow."""
        old, other = self.workflow(), self.workflow()
        self.queue.settle_batches([old])
        self.queue.note_called(self.queue.settle_batches([old])[0])
        nodes = [self.job(batch=workflow) for workflow in (old, other)]
        for workflow, node in zip((old, other), nodes, strict=True):
            self.queue.add_edges(workflow, [Edge(new_id(), node.id, "run"), Edge(START, node.id, "run")])
        self.queue.prune(older_than=60)
        assert [*self.decidable(old)] == [nodes[0].id]
        self.queue.prune(older_than=-60)
        assert self.queue.get_batch(old) is None
        assert self.decidable(old) == {}
        assert [*self.decidable(other)] == [nodes[1].id]

    def test_the_edges_to_a_node_that_is_refused_are_deleted_alone(self) -> None:
        workflow = self.workflow()
        first, last = self.nodes(workflow, 2)
        self.edge(workflow, [first], last)
        late = self.job(batch=workflow)
        self.edge(workflow, [first], late)
        self.queue.seal_batch(workflow, is_cancelled=True)
        with suppress(BatchFinished):
            self.queue.enqueue([late])
        self.queue.close_nodes(workflow, [late.id])
        self.queue.finish([done(self.held_of(first)[0])])
        assert self.decidable(workflow) == {last.id: ""}

    def test_many_edges_of_one_node(self) -> None:
        workflow = self.workflow()
        *upstream, last = self.nodes(workflow, 301)
        self.edge(workflow, upstream, last)
        held = self.held_of(*upstream)
        self.queue.finish([done(job) for job in held[:-1]])
        assert self.decidable(workflow, *upstream) == {}
        self.queue.finish([done(held[-1])])
        assert self.decidable(workflow, upstream[-1]) == {last.id: ""}

    def test_of_those_who_note_the_last_ends_at_once_one_finds_the_node(self) -> None:
        workflow = self.workflow()
        *upstream, last = self.nodes(workflow, 9)
        self.edge(workflow, upstream, last)
        held = self.held_of(*upstream)

        def end(number: int) -> dict[str, str]:
            self.queue.finish([done(held[number])])
            return self.decidable(workflow, upstream[number])

        assert {last.id: ""} in self.side_by_side(end)
