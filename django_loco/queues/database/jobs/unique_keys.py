"""The unique keys of jobs in a database: who holds them, and which were held until a time that is over.

Keys are in a unique index. A job may hold its key until a time, after which the index still has the key. So before
another job can take the key, the first one has to give it up.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from ....core.job import Job, utcnow
from ....core.uniqueness import holds_key
from ..dialect import Dialect
from ..sql.statements import GIVE_UP, HOLDERS, HOLDING

#: The fields that decide whether a job holds its unique key until a time.
KEY_COLUMNS = ("id", "unique_key", "unique_until")


def holders(dialect: Dialect, keys: Collection[str]) -> dict[str, Job]:
    """Return the jobs that hold unique ``keys``, by key."""
    return keys_in_index(dialect, keys)[0]


def keys_in_index(dialect: Dialect, keys: Collection[str]) -> tuple[dict[str, Job], list[Job]]:
    """Return the jobs that the unique index has for ``keys``: the holders, by key, and the other jobs.

    The other jobs have held their keys until a time that is over.
    """
    payload = json.dumps([{"unique_key": key} for key in sorted(keys)])
    sql = dialect.sql(HOLDERS, in_holding=dialect.is_in.format(HOLDING), listed=dialect.listed(["unique_key"]))
    jobs = [dialect.noted_job_of(row) for row in dialect.execute(sql, payload=payload)] if keys else []
    now = utcnow()
    held = {str(job.unique_key): job for job in jobs if holds_key(job, now)}
    return held, [job for job in jobs if str(job.unique_key) not in held]


def give_up(dialect: Dialect, jobs: Sequence[Job]) -> None:
    """Let jobs give up the keys that they no longer hold."""
    if jobs:
        payload = json.dumps([{name: getattr(job, name) for name in KEY_COLUMNS} for job in jobs])
        dialect.write(dialect.sql(GIVE_UP, listed=dialect.listed(KEY_COLUMNS)), is_durable=True, payload=payload)


def free_old_keys(dialect: Dialect, jobs: Sequence[Job], stored: Collection[str]) -> list[Job]:
    """Free the keys of ``jobs`` that were not ``stored``, if other jobs held them until a time that is over.

    Returns the jobs whose keys are free now.
    """
    refused = [job for job in jobs if job.id not in stored and job.unique_key is not None]
    _, over = keys_in_index(dialect, {str(job.unique_key) for job in refused})
    give_up(dialect, over)
    free = {job.unique_key for job in over}
    return [job for job in refused if job.unique_key in free]
