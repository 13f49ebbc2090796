"""Does everything that follows the end of jobs, in batches, workflows and reruns.

1. ``settle_ended`` releases the nodes of workflows that wait for the jobs, finishes the batches that have no member
   left, and enqueues their callbacks (``batches.settling``).
2. Then it releases the jobs that follow unique ones (``reruns``).

It is called after outcomes were stored by a worker (``batches.follow_up``), after an operation has changed jobs
(``bulk``), and after a job has run in the thread of its caller (``worker.pools.inline``). If a process dies before it
calls this, the sweeps of ``batches.follow_up`` find batches and workflows, and a worker finds the job that follows.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...core.job import Job
from ...queues import Queue
from .batches.settling import settle_members
from .reruns import keys_of, settle
from .workflows.releasing import PostponedSteps


def settle_ended(queue: Queue, jobs: Iterable[Job], postponed: PostponedSteps | None = None) -> None:
    """Finish the batches of ``jobs``, which have ended, and release the jobs that follow them.

    For ``postponed`` see ``settle_members``.
    """
    jobs = [*jobs]
    settle_members(queue, jobs, postponed)
    if keys := keys_of(jobs):
        settle(queue, keys)
