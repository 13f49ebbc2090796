"""Priorities that rise while jobs wait: ``LOCO["AGEING"]``. No clock and no I/O.

For each ``AGEING`` seconds that a due job waits, its priority rises by one. Of two jobs with the priorities *p* and
*q*, due at the times *s* and *t*, the first one comes first at the time *now* if

    p + (now - s) / AGEING > q + (now - t) / AGEING,

and *now* cancels out: the order never changes while both wait. It is the order of the *ranks*, which are
``due_at - priority * AGEING``. So nothing is stored, and no job has to be promoted. A claim uses the same indexes as
without ageing: it reads the first jobs of each priority, in the order of their due times, and merges them by rank.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from .job import READY, Job

#: The maximum of ``LOCO["AGEING"]``: a script can compute with the ranks of all priorities.
MAX_AGEING_SECONDS = 30 * 86_400


def rank(priority: int, due_at: datetime, ageing: float | None) -> tuple[int, datetime]:
    """Return a sort key: the job with the lowest one runs first. Jobs with the same key run in the order of their ids.

    ``ageing`` is ``LOCO["AGEING"]``.
    """
    if ageing is None:
        return -priority, due_at
    try:
        return 0, due_at - timedelta(seconds=priority * ageing)
    except OverflowError:  # somebody has edited the store
        return 0, due_at


def aged_priority(job: Job, now: datetime, ageing: float | None) -> int:
    """Return the priority of ``job`` at the time ``now``, raised by its wait; its own priority before it is due."""
    if ageing is None or job.status != READY or job.due_at >= now:
        return job.priority
    return job.priority + int((now - job.due_at).total_seconds() / ageing)
