"""Retries the failed part of a workflow: nodes that have failed run again, and those that were cancelled wait for them.

1. The nodes that were cancelled wait again. They have no edges yet, so nothing happens to them.
2. The nodes that wait for none of these are made ready.
3. All nodes that wait get their edges again. If the workflow had finished, its next round begins.
4. The edges are marked, in case some of those nodes have ended meanwhile.

If the process is killed in between, nodes may wait without edges. Another retry goes on where this one ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ....core.job import READY, Job
from ....queues import Queue
from ....queues.base import Change
from .. import Retry
from .nodes import HELD_UNTIL, node_id, place_of, waits_for_nodes
from .releasing import advance
from .storing import CHUNK, edges_to, members


def retry_failed(queue: Queue, workflow: str) -> int:
    """Retry the failed part of a workflow; return how many nodes run or wait again. Raises what the queue raises."""
    failed = [*members(queue, workflow, "failed")]
    left = [*members(queue, workflow, "left")]
    ids = {job.id for job in (*failed, *left)}
    later = [job for job in failed if _waits_for(job, ids)]
    number = _change(queue, [Change(before=job, after=_held(job)) for job in later])
    retry = Retry()
    number += _change(queue, [retry.of(job) for job in failed if not _waits_for(job, ids)])
    held = [job for job in members(queue, workflow, "left") if waits_for_nodes(job)]
    queue.add_edges(workflow, edges_to(held))
    if number:  # they are ready before the round begins: without members that are left it would end at once
        queue.reopen_batch(workflow)
    advance(queue, workflow, None)
    return number


def _waits_for(job: Job, ids: set[str]) -> bool:
    """Return whether a node waits for one of those with these ids."""
    place = place_of(job)
    return place is not None and any(node_id(str(job.batch), name) in ids for name in place.after)


def _held(job: Job) -> Job:
    return replace(job, status=READY, run_after=HELD_UNTIL, expires_at=None, finished_at=None)


def _change(queue: Queue, changes: Sequence[Change]) -> int:
    """Make changes; return how many were made. What has changed since it was read is left alone."""
    chunks = [changes[first : first + CHUNK] for first in range(0, len(changes), CHUNK)]
    return sum(len(chunk) - len(queue.change(chunk)) for chunk in chunks)
