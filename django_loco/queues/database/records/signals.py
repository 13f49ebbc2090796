"""Signals for jobs in a database: a column of the job."""

from __future__ import annotations

from collections.abc import Sequence

from ....core.job import Job, Outcome
from ...records.signals import JobSignals, woken
from ..dialect import Dialect
from ..sql.statements import FINISH
from . import DatabaseRecords

SIGNAL = """
    UPDATE {job} SET {signals} = %(text)s
    WHERE {backend} = %(alias)s AND {id} = %(id)s AND {status} = 'RUNNING' AND {signals} {same} %(was)s
    RETURNING {id}
"""
HAS_NONE_NEW = "{job}.{signals} {same} held.signals"
#: Finishes jobs that wait for a signal, unless one was sent to them during the run; and those to which one was sent.
FINISH_WAITING = FINISH.replace("{fence}", f"{{fence}} AND {HAS_NONE_NEW}")
FINISH_WOKEN = FINISH.replace("{fence}", f"{{fence}} AND NOT ({HAS_NONE_NEW})")


class StoredSignals(DatabaseRecords, JobSignals):
    """The signals of ``DatabaseQueue``."""

    def signal(self, job: Job, text: str | None) -> bool:
        """Store the signals of a running job, as part of the caller's transaction, if one is open."""
        with self._reached():
            sql = self._dialect.sql(SIGNAL, same=self._dialect.same)
            return bool(self._dialect.write(sql, is_durable=True, id=job.id, text=text, was=job.signals))


def finish(dialect: Dialect, outcomes: Sequence[Outcome]) -> set[str]:
    """Store how jobs ended, some of which may wait for signals; return the ids of those that were held."""
    waiting = [outcome for outcome in outcomes if outcome.waits]
    if not waiting:
        return dialect.finish(outcomes)
    stored = dialect.finish(waiting, FINISH_WAITING, ("signals",))
    if again := woken(waiting, {outcome.job.id for outcome in waiting} - stored):
        stored |= dialect.finish(again, FINISH_WOKEN, ("signals",))
    others = [outcome for outcome in outcomes if not outcome.waits]
    return stored | dialect.finish(others) if others else stored
