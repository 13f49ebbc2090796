"""The edges of workflows in Redis: see ``lua/workflow.lua``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TypeVar

from ....core.job import Job
from ...records.workflows import Decidable, Edge, Workflows
from ..codec.answers import decoded, is_id
from ..codec.payloads import lines
from ..pages import JobPages
from .batches import RedisBatches

T = TypeVar("T")
#: The number of ids, or of edges, that one script looks at.
CHUNK = 2_000


class RedisWorkflows(RedisBatches, Workflows):
    """The batches and workflows of ``RedisQueue``."""

    _pages: JobPages

    def add_edges(self, workflow: str, edges: Sequence[Edge]) -> None:
        """Store edges."""
        for chunk in _chunks(edges):
            self.server.run("workflow", ("add", workflow, lines(chain.from_iterable(chunk))))

    def note_ends(self, workflow: str, upstream: Sequence[str] | None) -> Sequence[Decidable]:
        """Mark edges; return the nodes that can be decided."""
        asked = ["*"] if upstream is None else map(lines, _chunks([*filter(is_id, upstream)]))
        found: dict[str, Decidable] = {}
        for ids in asked:
            for line in decoded(self.server.run("workflow", ("note", workflow, ids))).splitlines():
                node, _, failed = line.partition("\t")
                found[node] = Decidable(node, failed)
        return [*found.values()]

    def close_nodes(self, workflow: str, downstream: Sequence[str]) -> None:
        """Delete the edges to these nodes."""
        for chunk in _chunks(downstream):
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

    def get_many(self, ids: Sequence[str]) -> Sequence[Job]:
        """Return some jobs."""
        chunks = _chunks([*filter(is_id, ids)])
        return [job for chunk in chunks for job in self._pages.shown(lines(chunk))]


def _chunks(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[first : first + CHUNK] for first in range(0, len(items), CHUNK)]
