"""The edges of workflows in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ....core.job import FAILED, READY, RUNNING, Job
from ...records.workflows import START, Decidable, Edge, OnFailed, Workflows
from ..jobs.job_table import JobTable
from .batches import MemoryBatches


@dataclass(slots=True)
class _Node:
    """A node that is not decided: the upstream nodes that it waits for, and the ones that have ended."""

    on_failed: OnFailed
    waits: set[str] = field(default_factory=set)
    succeeded: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)

    def mark(self, upstream: str, mark: str) -> None:
        """Move an upstream node to one of the three sets."""
        for name, ids in (("waits", self.waits), ("succeeded", self.succeeded), ("failed", self.failed)):
            (ids.add if name == mark else ids.discard)(upstream)

    @property
    def is_decidable(self) -> bool:
        """Whether the node need not wait any longer."""
        return not self.waits or bool(self.failed and self.on_failed != "ignore")


class Graph:
    """The nodes of a workflow that are not decided. A plain data structure, for one thread at a time."""

    def __init__(self) -> None:
        self.nodes: dict[str, _Node] = {}
        self._downstream: dict[str, dict[str, None]] = {}

    def add(self, edge: Edge) -> None:
        """Add an edge, unless it is there."""
        node = self.nodes.setdefault(edge.downstream, _Node(edge.on_failed))
        if not any(edge.upstream in ids for ids in (node.waits, node.succeeded, node.failed)):
            node.waits.add(edge.upstream)
        self._downstream.setdefault(edge.upstream, {})[edge.downstream] = None

    def upstream(self) -> list[str]:
        """Return all nodes that others wait for."""
        return [*self._downstream]

    def edges(self) -> list[Edge]:
        """Return all edges."""
        return [
            Edge(upstream, downstream, self.nodes[downstream].on_failed)
            for upstream, found in self._downstream.items()
            for downstream in found
        ]

    def mark(self, upstream: str, mark: str) -> Iterable[str]:
        """Mark the edges from a node; return the nodes that wait for it."""
        found = self._downstream.get(upstream, {})
        for downstream in found:
            self.nodes[downstream].mark(upstream, mark)
        return found

    def close(self, downstream: str) -> None:
        """Delete the edges to a node."""
        node = self.nodes.pop(downstream, None)
        if node is None:
            return
        for upstream in (*node.waits, *node.succeeded, *node.failed):
            del self._downstream[upstream][downstream]
            if not self._downstream[upstream]:
                del self._downstream[upstream]


def mark_of(job: Job | None) -> str:
    """Return the mark of the edges from a job."""
    if job is None or job.status == FAILED:
        return "failed"
    return "waits" if job.status in (READY, RUNNING) else "succeeded"


class MemoryWorkflows(MemoryBatches, Workflows):
    """The batches and workflows of ``MemoryQueue``."""

    _jobs: JobTable
    _graphs: dict[str, Graph]

    def add_edges(self, workflow: str, edges: Sequence[Edge]) -> None:
        """Store edges."""
        with self._lock:
            graph = self._graphs.setdefault(workflow, Graph())
            for edge in edges:
                graph.add(edge)

    def note_ends(self, workflow: str, upstream: Sequence[str] | None) -> Sequence[Decidable]:
        """Mark edges; return the nodes that can be decided."""
        with self._lock:
            if (graph := self._graphs.get(workflow)) is None:
                return []
            found: dict[str, None] = {}
            for job_id in graph.upstream() if upstream is None else upstream:
                found |= dict.fromkeys(graph.mark(job_id, self._mark_of(workflow, job_id)))
            nodes = ((job_id, graph.nodes[job_id]) for job_id in found)
            return [Decidable(job_id, min(node.failed, default="")) for job_id, node in nodes if node.is_decidable]

    def _mark_of(self, workflow: str, upstream: str) -> str:
        if upstream != START:
            return mark_of(self._jobs.get(upstream))
        record = self._batches.records.get(workflow)
        return "succeeded" if record is not None and record.sealed_at is not None else "waits"

    def close_nodes(self, workflow: str, downstream: Sequence[str]) -> None:
        """Delete the edges to these nodes."""
        with self._lock:
            if graph := self._graphs.get(workflow):
                for job_id in downstream:
                    graph.close(job_id)

    def drop_edges(self, workflow: str) -> None:
        """Delete all edges of a workflow."""
        with self._lock:
            self._graphs.pop(workflow, None)

    def drop_batch(self, batch_id: str) -> None:
        """Delete a batch without members."""
        with self._lock:
            self._graphs.pop(batch_id, None)
            self._batches.drop(batch_id)

    def waiting_workflows(self) -> Sequence[str]:
        """Return the workflows that have edges."""
        with self._lock:
            records = (
                (batch_id, self._batches.records.get(batch_id))
                for batch_id, graph in self._graphs.items()
                if graph.nodes
            )
            return [batch_id for batch_id, record in records if record is not None and record.sealed_at is not None]
