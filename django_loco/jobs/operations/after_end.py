"""Does all that has to follow when jobs have ended: the one entry for batches, workflows and reruns.

1. ``settle_ended`` lets the nodes of workflows run that wait for the jobs, finishes the batches of which no member is
   left, and enqueues the callbacks of these (``batches.settling``).
2. Then it lets the jobs run that follow unique ones (``reruns``).

A worker calls it after it has stored outcomes (``batches.follow_up``), an operation on jobs when it has changed some
(``bulk``), and what has run a job in its own thread (``worker.pools.inline``). If a process dies before it has called
this, the sweeps of ``batches.follow_up`` find batches and workflows, and a worker finds the job that follows.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...core.job import Job
from ...queues import Queue
from .batches.settling import settle_members
from .reruns import keys_of, settle
from .workflows.releasing import PostponedSteps


def settle_ended(queue: Queue, jobs: Iterable[Job], postponed: PostponedSteps | None = None) -> None:
    """Do what has to follow when ``jobs`` have ended: finish their batches, and let the jobs run that follow them.

    For ``postponed`` see ``settle_members``.
    """
    jobs = [*jobs]
    settle_members(queue, jobs, postponed)
    if keys := keys_of(jobs):
        settle(queue, keys)
