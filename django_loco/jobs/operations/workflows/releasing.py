"""Lets the nodes of workflows run when the nodes that they wait for have ended, or cancels them if one has failed.

1. A node ends. The code that stored its end calls ``advance``: a worker's housekeeping, an operation on jobs, a test.
2. The queue marks the edges from that node, and returns the nodes that can be decided.
3. Each is released or cancelled, if it still waits as it was read. Only one of two processes can make this change.
4. The edges to the node are deleted, perhaps later. Somebody may have retried the node by then, so that it waits again.
   So after edges were deleted, the nodes are read, and the edges to nodes that wait are stored again.

A process may be killed between any two steps. The housekeeping of each worker calls ``sweep`` now and then, which looks
at all edges that are left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from ....core.compat import TaskResultStatus
from ....core.job import FAILED, SUCCESSFUL, Job, Outcome, error_of
from ....exceptions import JobCancelled
from ....log.plain_text import one_line
from ....log.safe import get_logger
from ....queues import Queue
from ....queues.base import Change
from ...stores import aliases, backend_of
from ..edits import signed_again
from .nodes import Place, edges_to, has_upstream, node_id, place_of, released, waits_for_nodes

logger = get_logger("django_loco.workflows")

#: The number of nodes that are read or decided in one call.
CHUNK = 1_000
#: How often a node is read again if somebody changes it at the same time. After that the next sweep decides on it.
ATTEMPTS = 5


@dataclass(slots=True)
class PostponedSteps:
    """The steps that follow once the released nodes are stored, by workflow."""

    decided: dict[str, dict[str, bool]] = field(default_factory=dict)
    """The decided nodes, whose incoming edges are to be deleted. For each, whether it can wait for others again."""

    ended: dict[str, list[Job]] = field(default_factory=dict)
    """The ended nodes that the batch does not know of yet."""

    released: int = 0
    """How many nodes were released."""

    def take_released(self) -> int:
        """Return how many nodes were released since the last call."""
        number, self.released = self.released, 0
        return number

    def note(self, job: Job) -> None:
        """Add a node that has ended."""
        self.ended.setdefault(str(job.batch), []).append(job)


def advance(
    queue: Queue, workflow: str, ended: Sequence[str] | None, postponed: PostponedSteps | None = None
) -> list[str]:
    """Decide on the nodes that wait for nodes with the ids ``ended``; ``None``: for any. Return the released ids.

    Edges that are no longer needed are deleted at once, or left in ``postponed`` for ``close``. Raises the errors of
    the queue. The call may be repeated.
    """
    own = PostponedSteps() if postponed is None else postponed
    freed: list[str] = []
    while ended is None or ended:
        failures = {node.id: node.failed for node in queue.note_ends(workflow, ended)}
        ids, ended = [*failures], []
        for first in range(0, len(ids), CHUNK):
            chunk = {job_id: failures[job_id] for job_id in ids[first : first + CHUNK]}
            more_freed, cancelled = _decide(queue, chunk, own.decided.setdefault(workflow, {}))
            freed += more_freed
            own.released += len(more_freed)
            for job in cancelled:
                own.note(job)
                ended.append(job.id)
    if postponed is None:
        close(queue, own)
    return freed


def close(queue: Queue, postponed: PostponedSteps) -> None:
    """Delete the edges to the decided nodes in ``postponed``, and empty it. Raises the errors of the queue."""
    while postponed.decided:
        workflow, nodes = next(iter(postponed.decided.items()))
        queue.close_nodes(workflow, [*nodes])
        may_wait = [job_id for job_id, can_wait in nodes.items() if can_wait]
        is_held = bool(may_wait) and hold_waiting(queue, workflow, queue.get_many(may_wait))
        del postponed.decided[workflow]
        if is_held:  # their upstream nodes may have ended while the edges were not there
            advance(queue, workflow, None, postponed)


def drop(queue: Queue, workflow: str) -> None:
    """Delete the edges of a finished workflow that are left: they lead to nodes that were deleted while they waited.

    Raises the errors of the queue.
    """
    queue.drop_edges(workflow)
    if hold_waiting(queue, workflow, members(queue, workflow, "left")):  # another round has begun
        advance(queue, workflow, None)


def members(queue: Queue, batch_id: str, kind: str) -> Iterator[Job]:
    """Yield the stored members of one kind in a batch, see ``Batches.batch_members``."""
    after = ""
    while ids := queue.batch_members(batch_id, kind, after=after, limit=CHUNK):
        yield from queue.get_many(ids)
        after = ids[-1]


def hold_waiting(queue: Queue, workflow: str, jobs: Iterable[Job]) -> bool:
    """Store the edges to the nodes among ``jobs`` that wait for others; return whether there are any."""
    edges = edges_to(job for job in jobs if waits_for_nodes(job))
    if edges:
        queue.add_edges(workflow, edges)
    return bool(edges)


def sweep(queue: Queue) -> int:
    """``advance`` all workflows, in case a process died before it did; return how many nodes were released."""
    return sum(len(advance(queue, workflow, None)) for workflow in queue.waiting_workflows())


def advance_members(queue: Queue, jobs: Sequence[Job], postponed: PostponedSteps | None = None) -> set[str]:
    """``advance`` the workflows of the nodes among ``jobs``; return the workflows that have released nodes."""
    ended: dict[str, list[str]] = {}
    for job in jobs:
        if job.batch is not None and place_of(job) is not None:
            ended.setdefault(job.batch, []).append(job.id)
    return {workflow for workflow, ids in ended.items() if advance(queue, workflow, ids, postponed)}


def _decide(queue: Queue, failures: Mapping[str, str], decided: dict[str, bool]) -> tuple[list[str], list[Job]]:
    """Release or cancel nodes; return the released ids, and the cancelled jobs. Add all ids to ``decided``.

    ``failures`` has for each node the id of an upstream node that has failed; empty if none has. A node that is not
    stored keeps its edges: it may be about to be stored. A node also keeps them if its failed upstream node was retried
    meanwhile.
    """
    freed: list[str] = []
    cancelled: list[Job] = []
    left = dict(failures)
    for _ in range(ATTEMPTS):
        jobs = queue.get_many([*left])
        retried = _retried(queue, {job.id: _ended(job, left[job.id]) for job in jobs if waits_for_nodes(job)})
        jobs = [job for job in jobs if job.id not in retried]
        changes = [_change(job, left[job.id]) for job in jobs if waits_for_nodes(job)]
        refused = queue.change(changes) if changes else set()
        made = [each for each in changes if each.before.id not in refused]
        after = [each.after for each in made if each.after is not None]
        ended = [job for job in after if job.status == FAILED]
        _announce(queue, ended)
        cancelled += ended
        freed += [job.id for job in after if job.status != FAILED]
        decided |= {job.id: has_upstream(job) for job in jobs if job.id not in refused}
        left = {job_id: left[job_id] for job_id in refused}
        if not left:
            break
    return freed, cancelled


def _ended(job: Job, failed: str) -> Mapping[str, Collection[TaskResultStatus]]:
    """Return which states upstream nodes must have, so that ``job`` can be decided because of the node ``failed``."""
    place = place_of(job)
    if failed and place is not None and place.on_failed == "ignore":
        return {node_id(str(job.batch), name): (FAILED, SUCCESSFUL) for name in place.after}
    return {failed: (FAILED,)} if failed else {}


def _retried(queue: Queue, ended: Mapping[str, Mapping[str, Collection[TaskResultStatus]]]) -> set[str]:
    """Return the nodes in ``ended`` with an upstream node that was retried, and is in another state now.

    Nodes that are retried together are changed in one call. So if a caller has read a node as waiting again, this reads
    the new states of its upstream nodes.
    """
    ids = {*chain.from_iterable(ended.values())}
    states = {job.id: job.status for job in queue.get_many([*ids])} if ids else {}
    return {node for node, asked in ended.items() if any(states.get(each, FAILED) not in asked[each] for each in asked)}


def _change(job: Job, failed: str) -> Change:
    place = place_of(job)
    assert place is not None  # noqa: S101 - it waits
    if not failed or place.on_failed != "cancel":
        return Change(before=job, after=signed_again(job, released(job)))
    reason = f"cancelled, because {_named(job, place, failed)} has failed or was cancelled"
    outcome = Outcome(job=job, status=FAILED, spent=False, error=error_of(JobCancelled, reason))
    return Change(before=job, after=outcome.applied())


def _named(job: Job, place: Place, upstream: str) -> str:
    """Return the name of an upstream node, for people."""
    name = next((name for name in place.after if node_id(str(job.batch), name) == upstream), "?")
    return f"node {one_line(name)!r} (job {upstream})"


def _announce(queue: Queue, jobs: Sequence[Job]) -> None:
    if jobs and queue.alias in aliases():
        backend_of(queue.alias).announce_end(jobs)
