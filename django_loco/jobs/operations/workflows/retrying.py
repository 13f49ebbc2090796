"""Retries nodes of workflows: a node that has upstream nodes waits for them once more, whoever retries it.

A node that waits for no other is ready at once. For the other nodes

1. ``RetriedNodes.prepare`` stores their edges again.
2. The nodes wait again: ``Retry`` makes that change.
3. ``note`` stores the edges once more, as a sweep may have deleted them before step 2.
4. ``settle`` marks the edges when all nodes have been through these steps. A node whose upstream nodes have succeeded
   is released. A node is cancelled once more if an upstream node has failed, and was not retried with it.

If the workflow has finished, step 2 begins its next round. If the process is killed in between, a sweep does the rest.
In the worst case nodes wait without edges; ``retry_failed`` stores these again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ....core.job import FAILED, Job
from ....exceptions import InvalidState, LocoError
from ....log.plain_text import one_line
from ....queues import Queue
from ....queues.base import Change
from .. import Retry
from ..unfinished import unfinished
from .nodes import edges_to, node_id, place_of, waits_for_nodes
from .releasing import CHUNK, advance, hold_waiting, members


def retry_failed(queue: Queue, workflow: str) -> int:
    """Retry the failed part of a workflow; return how many nodes run or wait again.

    Raises the errors of the queue, or ``Unfinished`` if a part of the nodes was changed before the error.
    """
    retry, nodes, number = Retry(), RetriedNodes(), 0
    failed = [*members(queue, workflow, "failed")]
    if failed:
        retry.require_backend(queue.alias)
    for first in range(0, len(failed), CHUNK):
        chunk = failed[first : first + CHUNK]
        # A queue may list nodes that wait or run, if the process that retried them was killed before ``settle``.
        changes = [retry.of(job) for job in chunk if job.status == FAILED]
        try:
            nodes.prepare(queue, changes)
            number += len(changes) - len(queue.change(changes))
        except LocoError as error:
            if not number:
                raise
            raise unfinished(error, number, retry.past) from error
    hold_waiting(queue, workflow, members(queue, workflow, "left"))
    advance(queue, workflow, None)
    return number


class Hindrance(NamedTuple):
    """A failed or deleted node: if only the node after it was retried, that one would be cancelled again."""

    name: str
    job_id: str
    is_deleted: bool
    """Whether it is no longer stored, so that a retry of the workflow does not help either."""


def hindrance_of(queue: Queue, job: Job) -> Hindrance | None:
    """Return the node that would get ``job`` cancelled again if only ``job`` was retried, if there is one."""
    place = place_of(job)
    if place is None or place.on_failed != "cancel":
        return None
    names = {node_id(str(job.batch), name): name for name in place.after}
    upstream = {each.id: each for each in queue.get_many([*names])}
    deleted = [Hindrance(name, job_id, True) for job_id, name in names.items() if job_id not in upstream]
    failed = [Hindrance(names[each.id], each.id, False) for each in upstream.values() if each.status == FAILED]
    return next(iter(deleted + failed), None)


def require_order(queue: Queue, job: Job) -> None:
    """Raise ``InvalidState`` if ``job`` is a node that would be cancelled again, as another one has failed."""
    hindrance = hindrance_of(queue, job)
    if hindrance is None:
        return
    waits = f"Job {job.id} waits for node {one_line(hindrance.name)!r} (job {hindrance.job_id}), which"
    if hindrance.is_deleted:
        raise InvalidState(f"{waits} was deleted. Use jobs.run_again(), which makes a job outside of the workflow.")
    raise InvalidState(
        f"{waits} has failed or was cancelled. Retry that one as well, or the failed part of the workflow: loco_jobs "
        f"workflows {job.batch} --retry."
    )


class RetriedNodes:
    """The nodes that one operation makes wait again."""

    def __init__(self) -> None:
        self._ids: defaultdict[tuple[Queue, str], set[str]] = defaultdict(set)

    def prepare(self, queue: Queue, changes: Sequence[Change]) -> None:
        """Store the edges to the nodes that these changes make wait."""
        for workflow, nodes in _by_workflow(changes).items():
            queue.add_edges(workflow, edges_to(nodes))

    def note(self, queue: Queue, changes: Sequence[Change]) -> None:
        """Record changes that were made, and store the edges once more."""
        self.prepare(queue, changes)
        for workflow, nodes in _by_workflow(changes).items():
            self._ids[queue, workflow] |= {job.id for job in nodes}

    def settle(self) -> int:
        """Release the nodes that need not wait; return how many were cancelled again. Raises the queue's errors."""
        cancelled = 0
        for (queue, workflow), ids in self._ids.items():
            advance(queue, workflow, None)
            cancelled += sum(job.status == FAILED for job in queue.get_many([*ids]))
        self._ids.clear()
        return cancelled


def _by_workflow(changes: Iterable[Change]) -> dict[str, list[Job]]:
    found: dict[str, list[Job]] = {}
    for before, after in ((each.before, each.after) for each in changes):
        if after is not None and waits_for_nodes(after) and not waits_for_nodes(before):
            found.setdefault(str(after.batch), []).append(after)
    return found
