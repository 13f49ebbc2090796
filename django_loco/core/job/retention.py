"""How long a finished job is kept. No clock and no I/O.

The option ``retention`` of a task says for how long its jobs are kept, by the way they end. Each job carries the
option, so it is known wherever the job ends: in a worker, by the reaper after the death of its worker, or by somebody
who cancels it. The time is computed from the fields of the job at each write. So no caller can forget to change it.
Queues store it where their pruners find it.

Jobs of other tasks are kept as long as ``LOCO["RESULT_TTL"]`` says when they are pruned.

A job is kept longer than that while others may need it:

* a minute at least if its task has a retention, for callers that wait for its result, and for workers that have to
  send its outcome again,
* an hour at least if it has a once-key: schedules read the last jobs of other schedules,
* as long as it holds its unique key (``unique_for``).

The members of a batch or a workflow that goes on are kept by the queues themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ...conf import loco_settings
from ..uniqueness import is_time, time_of_until
from ..validation import FOREVER_WORD, MAX_SECONDS, is_number
from .clock import FOREVER
from .job import RETENTION, SUCCESSFUL, Job
from .outcome import GIVEN_UP

#: The time for which a once-key is remembered after its job has finished, however soon results are pruned.
KEY_MEMORY_SECONDS = 3600.0
#: The time for which every job is kept.
LEAST_SECONDS = 60.0


def end_of(job: Job) -> str:
    """Return how a finished job ended: one of ``validation.ENDS``."""
    if job.status == SUCCESSFUL:
        return "succeeded"
    return "cancelled" if job.errors and job.errors[-1].exception_class_path in GIVEN_UP else "failed"


def kept_until(job: Job) -> datetime | None:
    """Return the time until which ``job`` is kept, or ``FOREVER``; ``None``: ``RESULT_TTL`` decides, or it goes on."""
    if job.finished_at is None:
        return None
    given = job.options.get(RETENTION) if job.options else None
    seconds: Any = given.get(end_of(job)) if isinstance(given, Mapping) else None
    if seconds == FOREVER_WORD:
        return FOREVER
    if is_number(seconds) and 0 <= seconds <= MAX_SECONDS:  # else somebody has edited the store
        return _later(job, job.finished_at, seconds)
    needs_longer = job.key is not None and loco_settings().RESULT_TTL < KEY_MEMORY_SECONDS
    return _later(job, job.finished_at, 0.0) if needs_longer else None


def keys_kept_seconds() -> float:
    """Return for how long every queue remembers once-keys, so that no tick within ``grace`` fires twice."""
    return max(loco_settings().RESULT_TTL, KEY_MEMORY_SECONDS)


def _later(job: Job, finished_at: datetime, seconds: float) -> datetime:
    least = LEAST_SECONDS if job.key is None else KEY_MEMORY_SECONDS
    try:
        until = finished_at + timedelta(seconds=max(seconds, least))
    except OverflowError:
        return FOREVER
    if job.unique_key is not None and is_time(job.unique_until):
        until = max(until, time_of_until(job.unique_until))
    return min(until, FOREVER)
