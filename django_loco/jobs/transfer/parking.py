"""Parked jobs: jobs on their way from one store to another, which no worker runs meanwhile.

A parked job is ``READY`` in a queue of its own, due in thousands of years. One of its options says where it comes from
and goes to, and what its queue and its due time were. Listing this queue finds all jobs that an interrupted move has
left behind.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from ...core.job import FAILED, MOVING, READY, Job, error_of, utcnow
from ...core.validation import LAST_YEAR
from ...exceptions import JobCancelled
from .storing import in_alias

#: The queue of parked jobs in each store.
PARKED_QUEUE = "loco:moving"
NEVER = datetime(LAST_YEAR, 1, 1, tzinfo=UTC)
_HAS_LEFT = "has_left"


def parked(job: Job, target: str) -> Job:
    """Return ``job``, which waits, changed so that it is on its way to the alias ``target``."""
    way = {
        "from": job.backend,
        "to": target,
        "queue": job.queue_name,
        "run_after": job.run_after and job.run_after.isoformat(timespec="microseconds"),
    }
    return replace(job, queue_name=PARKED_QUEUE, run_after=NEVER, options={**job.options, MOVING: way})


def unparked(job: Job) -> Job:
    """Return a parked job as it was, in the alias that it came from."""
    way = job.options[MOVING]
    return replace(
        job,
        backend=way["from"],
        queue_name=way["queue"],
        run_after=None if way["run_after"] is None else datetime.fromisoformat(way["run_after"]),
        options={name: given for name, given in job.options.items() if name != MOVING},
    )


def arrived(job: Job) -> Job:
    """Return a parked job, changed so that it waits in the alias that it goes to; signed again if it was genuine."""
    return in_alias(unparked(job), job.options[MOVING]["to"])


def gone(job: Job) -> Job:
    """Return the form in which a parked job stays in a store that still needs it because of its once-key.

    It counts as cancelled, keeps the option, and is pruned later.
    """
    error = error_of(JobCancelled, f"moved from TASKS[{_end(job, 'from')!r}] to TASKS[{_end(job, 'to')!r}]")
    options = {**job.options, MOVING: {**job.options[MOVING], _HAS_LEFT: True}}
    before = replace(unparked(job), backend=job.backend, options=options)
    return replace(before, status=FAILED, finished_at=utcnow(), errors=(*job.errors, error))


def is_parked(job: Job) -> bool:
    """Return whether ``job`` is on its way."""
    if job.status != READY or job.queue_name != PARKED_QUEUE:
        return False
    way = job.options.get(MOVING)
    return isinstance(way, dict) and way.keys() >= {"from", "to", "queue", "run_after"}


def is_gone(job: Job, target: str) -> bool:
    """Return whether ``job`` has left for ``target``, and is only kept for its once-key: see ``gone``."""
    return job.status == FAILED and _end(job, "to") == target and _HAS_LEFT in job.options[MOVING]


def goes(job: Job, source: str, target: str) -> bool:
    """Return whether ``job`` is parked between these two aliases."""
    return is_parked(job) and (_end(job, "from"), _end(job, "to")) == (source, target)


def ends_of(job: Job) -> tuple[str, str]:
    """Return the aliases that a parked job comes from and goes to."""
    return _end(job, "from"), _end(job, "to")


def _end(job: Job, end: str) -> str:
    way = job.options.get(MOVING)
    return str(way.get(end, "")) if isinstance(way, dict) else ""
