"""Workflows: nodes, which are jobs, and edges, which say which node waits for which.

The nodes of a workflow are the members of a batch, so it finishes as a batch does. A node that waits is stored as a job
that is due in thousands of years (``jobs.operations.workflows.nodes``). To release it is to change its due time.

An *edge* is stored until its downstream node is decided: released or cancelled. It has a mark: whether the upstream
node has ended, and how. ``note_ends`` sets the marks by the present states of the upstream jobs, so it may be called
again, or too late; and returns the nodes that can be decided. The caller decides on them, which is a fenced change of a
job, and then calls ``close_nodes``. A process may be killed between any two of these steps: another process calls
``note_ends`` for the whole workflow now and then, and finds the same nodes. Edges that a killed process leaves in a
finished workflow are pruned with its batch.

No step reads other edges than the edges of its nodes, so that the work for a whole graph is linear in its edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple, get_args

from ...core.job import NODE, READY, Job
from ...core.validation import LAST_YEAR
from ...exceptions import QueueRefused

#: The effect on a node when a node that it waits for has failed. ``cancel``: it is cancelled, at once. ``run``: it
#: runs, at once. ``ignore``: the failed one has ended like any other; it runs when the others have ended as well.
OnFailed = Literal["cancel", "run", "ignore"]
ON_FAILED: tuple[OnFailed, ...] = get_args(OnFailed)
#: In the place of an upstream node: the start of the workflow, which is when its batch is sealed.
START = "0" * 32
#: The due time of a node that waits for others.
HELD_UNTIL = datetime(LAST_YEAR, 6, 1, tzinfo=UTC)


class Edge(NamedTuple):
    """An edge: a node waits for another one."""

    upstream: str
    """The id of a job, or ``START``."""

    downstream: str
    """The id of the job that waits."""

    on_failed: OnFailed
    """The same for all edges of a downstream node."""


class Decidable(NamedTuple):
    """A node that need not wait any more."""

    id: str
    failed: str
    """The id of an upstream node that has failed, or was cancelled or deleted; empty if none has."""


def is_held(job: Job) -> bool:
    """Return whether ``job`` is a node that waits for others, as far as its queue knows."""
    return job.status == READY and job.run_after == HELD_UNTIL and job.batch is not None and NODE in job.options


class Workflows:
    """The methods of a queue for workflows. By default it has none, and refuses them. It has to have batches."""

    def add_edges(self, workflow: str, edges: Sequence[Edge]) -> None:  # noqa: ARG002
        """Store edges; existing ones stay as they are. Part of the caller's transaction, as ``enqueue`` is."""
        raise QueueRefused(f"{type(self).__name__} has no workflows: it lacks add_edges() and the methods beside it.")

    def note_ends(self, workflow: str, upstream: Sequence[str] | None) -> Sequence[Decidable]:  # noqa: ARG002
        """Mark the edges from these nodes by their present states; return the downstream nodes that can be decided.

        ``None``: the edges from all nodes; one call may mark only some. A node that is not stored counts as failed.
        A downstream node can be decided if each of its edges is marked as ended, and before that if one is marked as
        failed, unless its ``on_failed`` is ``"ignore"``.
        """
        return ()

    def close_nodes(self, workflow: str, downstream: Sequence[str]) -> None:
        """Delete the edges to these nodes."""

    def drop_edges(self, workflow: str) -> None:
        """Delete all edges of a workflow."""

    def drop_batch(self, batch_id: str) -> None:
        """Delete a batch without stored members, and its edges, as if it had never been there."""

    def waiting_workflows(self) -> Sequence[str]:
        """Return the ids of workflows that are sealed, and have edges."""
        return ()
