"""The edges of workflows in Redis: see ``lua/workflow.lua``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from ...records.workflows import Decidable, Edge, Workflows
from ...rows.chunks import chunks_of
from ..codec.answers import decoded, is_id
from ..codec.payloads import lines
from .batches import RedisBatches


class RedisWorkflows(RedisBatches, Workflows):
    """The batches and workflows of ``RedisQueue``."""

    def add_edges(self, workflow: str, edges: Sequence[Edge]) -> None:
        """Store edges."""
        for chunk in chunks_of(edges):
            self.server.run("workflow", ("add", workflow, lines(chain.from_iterable(chunk))))

    def note_ends(self, workflow: str, upstream: Sequence[str] | None) -> Sequence[Decidable]:
        """Mark edges; return the nodes that can be decided."""
        asked = ["*"] if upstream is None else map(lines, chunks_of([*filter(is_id, upstream)]))
        found: dict[str, Decidable] = {}
        for ids in asked:
            for line in decoded(self.server.run("workflow", ("note", workflow, ids))).splitlines():
                node, _, failed = line.partition("\t")
                found[node] = Decidable(node, failed)
        return [*found.values()]

    def close_nodes(self, workflow: str, downstream: Sequence[str]) -> None:
        """Delete the edges to these nodes."""
        for chunk in chunks_of(downstream):
            self.server.run("workflow", ("close", workflow, lines(chunk)))

    def drop_edges(self, workflow: str) -> None:
        """Delete all edges of a workflow."""
        self.server.run("workflow", ("drop", workflow))

    def drop_batch(self, batch_id: str) -> None:
        """Delete a batch without members."""
        self.server.run("workflow", ("drop_batch", batch_id))

    def waiting_workflows(self) -> Sequence[str]:
        """Return the workflows that have edges."""
        return decoded(self.server.run("workflow", ("waiting",))).splitlines()
