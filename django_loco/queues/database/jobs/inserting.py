"""Stores jobs in a database: new ones, and imported or moved ones as they are, with their kept logs.

A job is stored if no other one holds its keys: its once-key, and its unique key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from ....core.job import Job
from ...rows import stored_kept_until
from ..dialect import Dialect
from ..sql.statements import RESTORE_FIELD
from .unique_keys import free_old_keys


def insert(dialect: Dialect, jobs: Sequence[Job]) -> set[str]:
    """Store new jobs; return the ids of the jobs whose keys were new, or free."""
    stored = dialect.insert(jobs)
    if len(stored) < len(jobs) and (again := free_old_keys(dialect, jobs, stored)):
        stored |= dialect.insert(again)
    return stored


def restore(dialect: Dialect, jobs: Sequence[Job], logs: Mapping[str, str]) -> set[str]:
    """Store jobs as they are, with their logs, all or none; return the ids of the new ones."""
    stored = _restore(dialect, jobs, logs)
    if len(stored) < len(jobs) and (again := free_old_keys(dialect, jobs, stored)):
        stored |= _restore(dialect, again, logs)
    return stored


def _restore(dialect: Dialect, jobs: Sequence[Job], logs: Mapping[str, str]) -> set[str]:
    kept = {job.id: until for job in jobs if (until := stored_kept_until(job))}
    if not logs and not kept:
        return dialect.restore(jobs)

    def act() -> set[str]:
        stored = dialect.restore(jobs)
        for name, values in (("log", logs), ("kept_until", kept)):
            payload = json.dumps([{"id": job_id, name: values[job_id]} for job_id in stored & values.keys()])
            listed = dialect.listed(["id", name])
            sql = dialect.sql(RESTORE_FIELD, field=dialect.names[name], name=name, listed=listed)
            dialect.write(sql, payload=payload)
        return stored

    return dialect.together(act)
