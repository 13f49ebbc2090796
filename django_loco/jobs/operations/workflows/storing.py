"""Stores workflows, so that a process can be killed at any moment: a workflow runs as a whole, or not at all.

1. The batch is stored, then the edges, then all nodes, in one call. Nothing runs yet: a node that waits for no other
   waits for the start.
2. The batch is sealed, which is the start. The nodes that waited for it are released, now or by the next sweep.

In a database all of this is one transaction.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ....core.job import Job
from ....exceptions import InvalidArguments, QueueRefused, QueueUnavailable
from ....queues.records.batches import BatchRecord
from ....queues.records.workflows import START
from ...stores import JobBackend
from ..batches.settling import settle
from .nodes import Place, edges_to, node_id, place_of
from .releasing import PostponedSteps, advance, close


def store(backend: JobBackend, record: BatchRecord, jobs: list[Job]) -> list[str]:
    """Store a workflow with its nodes, and start it; return the ids of the nodes that may run.

    Raises the errors of the queue.
    """
    queue = backend.queue

    def act() -> list[str]:
        if _stored(backend, record, jobs) < len(jobs):
            raise QueueRefused(f"Workflow {record.id} is stored already, or a part of it.")
        queue.seal_batch(record.id)
        return advance(queue, record.id, [START])

    ready = queue.together(act)
    backend.announce_added(jobs)
    return ready


def _stored(backend: JobBackend, record: BatchRecord, jobs: list[Job]) -> int:
    """Store a workflow that is not started; return how many of its nodes are new. After an error it leaves nothing.

    If the queue cannot be reached any more, nodes may have been stored, as after each enqueue. They never run.
    """
    queue = backend.queue
    try:
        queue.open_batch(record)
        queue.add_edges(record.id, edges_to(jobs))
        return len(backend.add_jobs(jobs))
    except QueueUnavailable:
        raise
    except BaseException:
        if queue.database is None:  # else the rollback does it
            queue.drop_batch(record.id)
        raise


def add_stored(backend: JobBackend, job: Job, place: Place) -> list[str]:
    """Add a node to a workflow that is stored, unless it is there; return the ids of the nodes that may run.

    Raises ``BatchFinished``, and ``InvalidArguments`` if there is another node with its name. After an error it leaves
    nothing, except if the queue cannot be reached: then the edges may stay until the workflow is pruned.
    """
    queue = backend.queue
    if (known := queue.get(job.id)) is not None:
        if (known.task_path, known.arguments, place_of(known)) == (job.task_path, job.arguments, place):
            return []
        raise InvalidArguments(f"The workflow has another node {place.name!r} already. Give this one another name=.")
    upstream = [node_id(str(job.batch), name) for name in place.after] or [START]

    def act() -> set[str]:
        queue.add_edges(str(job.batch), edges_to([job]))
        return backend.add_jobs([job])

    try:
        stored = queue.together(act)
    except QueueUnavailable:
        raise
    except BaseException:
        if queue.database is None:  # else the rollback does it
            # Somebody may have added the same node meanwhile: then ``close`` stores its edges again.
            close(queue, PostponedSteps(decided={str(job.batch): {job.id: True}}))
        raise
    if stored:
        backend.announce_added([job])
    # The upstream nodes may have ended before the edges were there. ``advance`` announces the nodes that it cancels, so
    # it is not in ``act``, which may be repeated.
    return advance(queue, str(job.batch), upstream)


def run_inline(backend: JobBackend, workflow: str, freed: Sequence[str]) -> None:
    """In an alias that runs jobs inside ``enqueue``, run the ``freed`` nodes, and the nodes that may run after them."""
    queue = backend.queue
    waiting = deque(() if backend.runs_stored_jobs else freed)
    while waiting:
        for job in queue.get_many([waiting.popleft()]):
            backend.store_keyed([job])
            waiting += advance(queue, workflow, [job.id])
    if not backend.runs_stored_jobs:
        settle(queue, [workflow], store_jobs=backend.store_keyed)
