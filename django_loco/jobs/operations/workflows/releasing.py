"""Lets the nodes of workflows run when the nodes that they wait for have ended, or cancels them if one has failed.

1. A node ends. Whoever has stored that calls ``advance``: a worker's housekeeping, an operation on jobs, a test.
2. The queue marks the edges from that node, and returns the nodes that can be decided.
3. Each is released or cancelled, if it still waits as it was read. Two processes that do so at once make one change.
4. Its edges are deleted, which may come later. Somebody may have retried it by then, so that it waits again: whoever
   has deleted edges looks at the nodes afterwards, and stores them again for those that wait.

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
from .nodes import Place, edges_to, has_upstream, node_id, place_of, released, waits_for_nodes

logger = get_logger("django_loco.workflows")

#: The number of nodes that are read or decided in one call.
CHUNK = 1_000
#: How often a node is read again that somebody changes at the same time. After that the next sweep decides on it.
ATTEMPTS = 5


@dataclass(slots=True)
class PostponedSteps:
    """The steps, by workflows, that follow once the released nodes are stored."""

    decided: dict[str, dict[str, bool]] = field(default_factory=dict)
    """The nodes that were decided: their edges are to be deleted. For each, whether it can wait for others again."""

    ended: dict[str, list[Job]] = field(default_factory=dict)
    """The nodes that have ended, and of which the batch does not know yet."""

    released: int = 0
    """How many nodes were released."""

    def take_released(self) -> int:
        """Return ``released`` since the last call."""
        number, self.released = self.released, 0
        return number

    def note(self, job: Job) -> None:
        """Note a node that has ended."""
        self.ended.setdefault(str(job.batch), []).append(job)


def advance(
    queue: Queue, workflow: str, ended: Sequence[str] | None, postponed: PostponedSteps | None = None
) -> list[str]:
    """Decide on the nodes that wait for those in ``ended``, their ids; ``None``: for any. Return the ids released.

    Edges that nobody needs any more are deleted at once, or noted in ``postponed``, for ``close``. Raises what the
    queue raises. The call may be repeated.
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
    """Delete the edges to nodes that are decided, and forget these. Raises what the queue raises."""
    while postponed.decided:
        workflow, nodes = next(iter(postponed.decided.items()))
        queue.close_nodes(workflow, [*nodes])
        may_wait = [job_id for job_id, can_wait in nodes.items() if can_wait]
        is_held = bool(may_wait) and hold_waiting(queue, workflow, queue.get_many(may_wait))
        del postponed.decided[workflow]
        if is_held:  # those that they wait for may have ended while the edges were not there
            advance(queue, workflow, None, postponed)


def drop(queue: Queue, workflow: str) -> None:
    """Delete the edges of a workflow that has finished: those to nodes that were deleted while they waited.

    Raises what the queue raises.
    """
    queue.drop_edges(workflow)
    if hold_waiting(queue, workflow, members(queue, workflow, "left")):  # another round has begun
        advance(queue, workflow, None)


def members(queue: Queue, batch_id: str, kind: str) -> Iterator[Job]:
    """Yield the stored members of a batch of a kind, see ``Batches.batch_members``."""
    after = ""
    while ids := queue.batch_members(batch_id, kind, after=after, limit=CHUNK):
        yield from queue.get_many(ids)
        after = ids[-1]


def hold_waiting(queue: Queue, workflow: str, jobs: Iterable[Job]) -> bool:
    """Store the edges to those of ``jobs`` that wait for others; return whether any does."""
    edges = edges_to(job for job in jobs if waits_for_nodes(job))
    if edges:
        queue.add_edges(workflow, edges)
    return bool(edges)


def sweep(queue: Queue) -> int:
    """``advance`` all workflows, in case whoever should have done it has died; return how many nodes were released."""
    return sum(len(advance(queue, workflow, None)) for workflow in queue.waiting_workflows())


def advance_members(queue: Queue, jobs: Sequence[Job], postponed: PostponedSteps | None = None) -> set[str]:
    """``advance`` the workflows of those of ``jobs`` that are nodes; return the workflows of the nodes released."""
    ended: dict[str, list[str]] = {}
    for job in jobs:
        if job.batch is not None and place_of(job) is not None:
            ended.setdefault(job.batch, []).append(job.id)
    return {workflow for workflow, ids in ended.items() if advance(queue, workflow, ids, postponed)}


def _decide(queue: Queue, failures: Mapping[str, str], decided: dict[str, bool]) -> tuple[list[str], list[Job]]:
    """Release or cancel nodes; return the ids of those released, and those cancelled. Add all ids to ``decided``.

    ``failures`` has for each the id of a node that has failed; empty if none has. A node that is not stored keeps its
    edges: it may be about to be stored. So does one that waits for a node which has been retried since it failed.
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
    """Return the states of upstream nodes by which a node can be decided, as ``failed`` has failed, or nothing."""
    place = place_of(job)
    if failed and place is not None and place.on_failed == "ignore":
        return {node_id(str(job.batch), name): (FAILED, SUCCESSFUL) for name in place.after}
    return {failed: (FAILED,)} if failed else {}


def _retried(queue: Queue, ended: Mapping[str, Mapping[str, Collection[TaskResultStatus]]]) -> set[str]:
    """Return those of the nodes in ``ended`` of which an upstream node was retried, and is in another state now.

    Nodes that were retried together are changed in one call: who reads this after a node has seen it wait again.
    """
    ids = {*chain.from_iterable(ended.values())}
    states = {job.id: job.status for job in queue.get_many([*ids])} if ids else {}
    return {node for node, asked in ended.items() if any(states.get(each, FAILED) not in asked[each] for each in asked)}


def _change(job: Job, failed: str) -> Change:
    place = place_of(job)
    assert place is not None  # noqa: S101 - it waits
    if not failed or place.on_failed != "cancel":
        return Change(before=job, after=released(job))
    reason = f"cancelled, because {_named(job, place, failed)} has failed or was cancelled"
    outcome = Outcome(job=job, status=FAILED, spent=False, error=error_of(JobCancelled, reason))
    return Change(before=job, after=outcome.applied())


def _named(job: Job, place: Place, upstream: str) -> str:
    """Return what an upstream node is called, for people."""
    name = next((name for name in place.after if node_id(str(job.batch), name) == upstream), "?")
    return f"node {one_line(name)!r} (job {upstream})"


def _announce(queue: Queue, jobs: Sequence[Job]) -> None:
    if jobs and queue.alias in aliases():
        backend_of(queue.alias).announce_end(jobs)
