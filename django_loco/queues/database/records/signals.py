"""Signals for jobs in a database: a column of the job. Their effect at the end of a run is in ``jobs.outcomes``."""

from __future__ import annotations

from ....core.job import Job
from ...records.signals import JobSignals
from .statement_runner import StatementRunner

SIGNAL = """
    UPDATE {job} SET {signals} = %(text)s
    WHERE {backend} = %(alias)s AND {id} = %(id)s AND {status} = 'RUNNING' AND {signals} {same} %(was)s
    RETURNING {id}
"""


class StoredSignals(StatementRunner, JobSignals):
    """The signals of ``DatabaseQueue``."""

    def signal(self, job: Job, text: str | None) -> bool:
        """Store the signals of a running job, as part of the caller's transaction, if one is open."""
        with self._reached():
            sql = self._dialect.sql(SIGNAL, same=self._dialect.same)
            return bool(self._dialect.write(sql, is_durable=True, id=job.id, text=text, was=job.signals))
