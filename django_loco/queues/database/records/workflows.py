"""The edges of workflows in the database: a row for each whose downstream node is not decided.

All statements lock the rows that they change in the same order. They skip rows that another statement has locked,
because that one makes the same change. So no two of these statements wait for each other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any

from ...records.workflows import START, Decidable, Edge, Workflows
from ...rows import Row
from ...rows.chunks import chunks_of
from ...rows.forms import id_of
from ..jobs.lookups import planned_once
from ..sql.batches import DROP_EDGES
from .batches import StoredBatches

#: The number of upstream nodes that one call looks at, if it is to look at all.
MOST = 5_000
#: Columns of jobs that have the types of the columns of edges, for a list: ``was_id`` stands for the upstream node.
LISTED = ("was_id", "id", "key")

ADD = """
    INSERT INTO {edges} (backend, batch, upstream, downstream, on_failed, ended)
    SELECT %(alias)s, %(batch)s, listed.was_id, listed.id, listed.key, '' FROM ({listed}) AS listed WHERE TRUE
    ON CONFLICT (batch, upstream, downstream) DO NOTHING
"""
#: The mark of an edge, by the state of its upstream node.
STANDING = """
    CASE WHEN mine.upstream = '{start}'
    THEN (SELECT CASE WHEN {batches}.sealed_at IS NULL THEN '' ELSE 'S' END
        FROM {batches} WHERE {batches}.id = mine.batch)
    ELSE coalesce((SELECT CASE {status} WHEN 'SUCCESSFUL' THEN 'S' WHEN 'FAILED' THEN 'F' ELSE '' END
        FROM {job} WHERE {job}.{id} = mine.upstream), 'F') END
"""
AMONG_UPSTREAM = "AND mine.upstream {in_listed}"
#: Locks no edge that has the right mark already. In a sweep, nearly all have it.
MARK = """
    UPDATE {edges} SET ended = marked.standing
    FROM (
        SELECT mine.id, {standing} AS standing FROM {edges} AS mine
        WHERE mine.batch = {this_batch} {among} AND mine.ended <> ({standing}) ORDER BY mine.id {of_mine}) AS marked
    WHERE {edges}.id = marked.id
"""
#: Some upstream nodes, from one of them on.
SOME_UPSTREAM = """
    SELECT DISTINCT mine.upstream FROM {edges} AS mine WHERE mine.batch = %(batch)s AND mine.upstream >= %(first)s
    ORDER BY mine.upstream LIMIT %(limit)s
"""
#: The first edge to a node that is marked in a way, by the index. ``EXISTS`` may read all edges of the workflow.
FIRST_MARKED = """
    SELECT other.upstream FROM {edges} AS other
    WHERE other.batch = {this_batch} AND other.downstream = nodes.downstream AND other.ended = {mark}
    ORDER BY other.batch, other.downstream, other.ended LIMIT 1
"""
DECIDABLE = """
    SELECT nodes.downstream, nodes.failed FROM (
        SELECT nodes.downstream, nodes.on_failed, ({first_left}) AS waits_for, ({first_failed}) AS failed
        FROM (SELECT DISTINCT mine.downstream, mine.on_failed FROM {edges} AS mine
            WHERE mine.batch = {this_batch} {among}) AS nodes) AS nodes
    WHERE nodes.waits_for IS NULL OR (nodes.failed IS NOT NULL AND nodes.on_failed <> 'ignore')
"""
#: PostgreSQL does not know this value when it plans, so one plan of a prepared statement serves all workflows.
THIS_BATCH = "(SELECT %(batch)s)"
SHARED = {
    "this_batch": THIS_BATCH,
    "start": START,
    "standing": STANDING,
    "first_left": FIRST_MARKED.replace("{mark}", "''"),
    "first_failed": FIRST_MARKED.replace("{mark}", "'F'"),
}
CLOSE = """
    DELETE FROM {edges} WHERE id IN (
        SELECT mine.id FROM {edges} AS mine WHERE mine.batch = %(batch)s AND mine.downstream {in_listed}
        ORDER BY mine.id {of_mine})
"""
DROP_BATCH = "DELETE FROM {batches} WHERE id = %(batch)s AND backend = %(alias)s"
WAITING = """
    SELECT mine.id FROM {batches} AS mine
    WHERE mine.backend = %(alias)s AND mine.called_at IS NULL AND mine.sealed_at IS NOT NULL AND mine.kind = 'workflow'
    AND EXISTS (SELECT 1 FROM {edges} WHERE {edges}.batch = mine.id)
    ORDER BY mine.id
"""
CLEAR_EDGES = "DELETE FROM {edges} WHERE backend = %(alias)s"


class StoredWorkflows(StoredBatches, Workflows):
    """The batches and workflows of ``DatabaseQueue``."""

    _next_upstream: dict[str, str]
    """Where the next look at all edges of a large workflow begins."""

    def add_edges(self, workflow: str, edges: Sequence[Edge]) -> None:
        """Store edges."""
        with self._reached():
            for chunk in chunks_of(edges):
                rows = [dict(zip(LISTED, edge, strict=True)) for edge in chunk]
                self._execute(ADD, {"listed": self._dialect.listed(LISTED)}, batch=workflow, payload=json.dumps(rows))

    def note_ends(self, workflow: str, upstream: Sequence[str] | None) -> Sequence[Decidable]:
        """Mark edges; return the nodes that can be decided."""
        found: dict[str, Decidable] = {}
        planned = nullcontext() if upstream is None else planned_once(self._dialect, upstream)
        with self._reached(), planned:
            for chunk in chunks_of(self._some_upstream(workflow) if upstream is None else upstream):
                among, fragments = self._listed(chunk), {"among": AMONG_UPSTREAM, "in_listed": self._in_listed}
                self._execute(MARK, fragments, batch=workflow, **among)
                for downstream, failed in self._execute(DECIDABLE, fragments, batch=workflow, **among):
                    node = id_of(downstream)
                    found[node] = Decidable(node, id_of(failed) if failed else "")
        return [*found.values()]

    def _some_upstream(self, workflow: str) -> Sequence[str]:
        """Return up to ``MOST`` upstream nodes. The next call goes on where this one has ended."""
        first = self._next_upstream.pop(workflow, START)
        found = [id_of(each) for (each,) in self._execute(SOME_UPSTREAM, {}, batch=workflow, first=first, limit=MOST)]
        if len(found) == MOST:
            self._next_upstream[workflow] = found[-1]
        return found

    def close_nodes(self, workflow: str, downstream: Sequence[str]) -> None:
        """Delete the edges to these nodes."""
        with self._reached():
            for chunk in chunks_of(downstream):
                self._execute(CLOSE, {"in_listed": self._in_listed}, batch=workflow, **self._listed(chunk))

    def drop_edges(self, workflow: str) -> None:
        """Delete all edges of a workflow."""
        with self._reached():
            self._execute(DROP_EDGES, {}, batch=workflow)

    def drop_batch(self, batch_id: str) -> None:
        """Delete a batch without members."""
        with self._reached():
            for statement in (DROP_EDGES, DROP_BATCH):
                self._execute(statement, {}, batch=batch_id)

    def waiting_workflows(self) -> Sequence[str]:
        """Return the workflows that have edges."""
        with self._reached():
            return [str(batch_id) for (batch_id,) in self._execute(WAITING, {})]

    @cached_property
    def _in_listed(self) -> str:
        return self._dialect.is_in.format(self._dialect.listed(["id"]))

    def _listed(self, ids: Sequence[str]) -> Mapping[str, str]:
        return {"payload": json.dumps([{"id": each} for each in ids])}

    def _execute(self, template: str, fragments: Mapping[str, str], **given: Any) -> list[Row]:
        of_mine = self._dialect.skip_locked.replace("UPDATE", "UPDATE OF mine")
        return self._dialect.execute(self._dialect.sql(template, of_mine=of_mine, **{**SHARED, **fragments}), **given)
