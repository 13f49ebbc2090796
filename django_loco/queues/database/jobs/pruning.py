"""Deletes old jobs from a database."""

from __future__ import annotations

from ....core.job.retention import KEY_MEMORY_SECONDS
from ..dialect import Dialect
from ..sql.batches import IS_FOLLOWED

PRUNE = "DELETE FROM {job} WHERE {id} {in_oldest} RETURNING {id}"
#: Leaves out jobs that somebody has made ready again by hand, and jobs that a batch counts or its callbacks may read.
OLDEST = """
    SELECT {id} FROM {job} WHERE {backend} = %(alias)s AND {old}
    AND ({key} IS NULL OR {finished_at} < {keys_before})
    AND {status} NOT IN ('READY', 'RUNNING')
    AND ({batch} IS NULL OR (
        {batch} NOT IN (SELECT id FROM {batches} WHERE called_at IS NULL)
        AND NOT EXISTS (SELECT 1 FROM {batches} AS mine WHERE mine.id = {batch} AND {is_followed})))
    ORDER BY {oldest_first} LIMIT %(limit)s {skip_locked}
"""
#: Which jobs are old, and by which column: first of the jobs without a retention, then of the jobs with one. Each kind
#: has an index of its own, so no pruner reads the jobs that are kept longer than others.
OLD = (
    ("{kept_until} IS NULL AND {finished_at} < {before}", "{finished_at}"),
    ("{kept_until} < {now}", "{kept_until}"),
)


def prune_jobs(dialect: Dialect, older_than: float, limit: int) -> int:
    """Delete up to ``limit`` finished jobs; return how many."""
    ages = {"before": -older_than, "keys_before": -max(older_than, KEY_MEMORY_SECONDS), "now": 0}
    number, in_oldest = 0, dialect.is_in.format(OLDEST)
    for old, oldest_first in OLD:
        sql = dialect.sql(PRUNE, in_oldest=in_oldest, old=old, oldest_first=oldest_first, is_followed=IS_FOLLOWED)
        number += len(dialect.execute(sql, limit=limit - number, **ages))
    return number
