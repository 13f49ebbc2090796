"""Priorities that rise while jobs wait: ``LOCO["AGEING"]``. No clock and no I/O.

After each ``AGEING`` seconds that a due job waits, its priority counts for one more. Of two jobs with the priorities
*p* and *q*, due at the times *s* and *t*, the first one comes first at the time *now* if

    p + (now - s) / AGEING > q + (now - t) / AGEING,

and *now* falls out of that: the order never changes while both wait. It is that of ``due_at - priority * AGEING``, the
*rank*. So nothing is stored and nothing has to be promoted. A claim reads the first jobs of each priority from the
indexes that it reads without ageing, in which they are in the order of their due times, and merges them by their ranks.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from .job import READY, Job

#: The maximum of ``LOCO["AGEING"]``: a script can compute with the ranks of all priorities.
MAX_AGEING_SECONDS = 30 * 86_400


def rank(priority: int, due_at: datetime, ageing: float | None) -> tuple[int, datetime]:
    """Return what sorts like jobs should run, with ``LOCO["AGEING"]``. Equal ones are in the order of their ids."""
    if ageing is None:
        return -priority, due_at
    try:
        return 0, due_at - timedelta(seconds=priority * ageing)
    except OverflowError:  # somebody has edited the store
        return 0, due_at


def aged_priority(job: Job, now: datetime, ageing: float | None) -> int:
    """Return the priority that counts for ``job`` at the time ``now``, which is its own while it is not due."""
    if ageing is None or job.status != READY or job.due_at >= now:
        return job.priority
    return job.priority + int((now - job.due_at).total_seconds() / ageing)
