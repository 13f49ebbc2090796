"""Reads jobs in a database: the lists and counts of pages and commands, how long jobs have waited, logs, lost claims.

Lists and counts are read from an index, so their cost depends on the size of the answer, not on the size of the table.
The queue keeps no counters: every transaction that enqueues would have to wait for the others to release them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from ....core.compat import TaskResultStatus
from ....core.job import READY, RUNNING, Job, JobSummary
from ...claim import Claim
from ...lookups import status_of
from ...rows import COLUMNS, Row
from ...rows.chunks import chunks_of
from ...rows.forms import digits_of, id_of
from ..dialect import CLAIM_COLUMNS, Dialect
from ..engines import engine_of
from ..shown_rows import ids, summary_of
from ..sql.index_ranges import (
    ANY_READY_BY_QUEUE,
    COUNT_QUEUES,
    COUNT_RANGES,
    ENDED_BY_QUEUE,
    OLDEST_DUE_OF_RANGES,
    READY_BY_QUEUE,
    condition_of,
    fragments,
    range_fragments_of,
)
from ..sql.lookups import (
    COUNT_RUNNING,
    GET_MANY,
    LIST,
    LIST_AMONG_NEWEST,
    LIST_SORTED,
    LOGS,
    LOST,
    OLDEST_DUE,
    SERIES,
    SORTED,
    SORTED_READY,
)

#: The statuses of jobs that have not ended.
LIVE = (READY, RUNNING)
#: The number of newest jobs that ``newest`` searches for jobs that are ready or in one queue, and how many more it
#: searches for each job of the page.
WINDOW, WINDOW_PER_JOB = 2_000, 4
#: The aliases with jobs of a status: each leads to the next one, so that the cost does not depend on the jobs.
ALIASES = """
    WITH RECURSIVE found(name) AS (
        SELECT MIN({backend}) FROM {job} WHERE {status} = '{state}'
        UNION ALL
        SELECT (SELECT MIN({backend}) FROM {job} WHERE {status} = '{state}' AND {backend} > found.name)
        FROM found WHERE found.name IS NOT NULL
    ) SELECT name FROM found WHERE name IS NOT NULL
"""
#: The columns of a call. They are the first ones of a row, and so in the same places.
CALLED = ("task_path", "backend", "id", "arguments")
#: The number of series that one statement reads. SQLite allows 500 parts of a statement.
SERIES_AT_ONCE = 100
#: Up to this number of jobs, PostgreSQL takes longer to plan a statement about them than to run it.
FEW = 20
#: The place of the id in a row.
ID = COLUMNS.index("id")


class Page(NamedTuple):
    """The arguments of ``Queue.list``."""

    status: TaskResultStatus | None
    queue_name: str | None
    before: str | None
    limit: int
    only_calls: bool = False
    """Whether only the columns in ``CALLED`` are read."""

    @property
    def where(self) -> dict[str, str]:
        """The conditions for the id and for the queue, as fragments, and the columns if not all are read."""
        columns = {"read_columns": ", ".join(f"{{{name}}}" for name in CALLED)} if self.only_calls else {}
        return columns | {
            "below": "" if self.before is None else " AND {id} < %(before_id)s",
            "in_one_queue": "" if self.queue_name is None else " AND {queue_name} = %(queue_name)s",
        }

    @property
    def values(self) -> dict[str, Any]:
        """The parameters of all statements."""
        given = {"before_id": self.before, "queue_name": self.queue_name, "limit": self.limit}
        return {name: value for name, value in given.items() if value is not None}


def page_of(
    *,
    status: TaskResultStatus | str | None = None,
    queue_name: str | None = None,
    before: str | None = None,
    limit: int = 100,
    only_calls: bool = False,
) -> Page:
    """Return the page with these arguments of ``Queue.list``. Raises ``ValueError`` for an invalid status or id."""
    return Page(status_of(status), queue_name, before and UUID(before).hex, max(0, limit), only_calls)


def jobs_with(dialect: Dialect, ids: Sequence[str]) -> list[Job]:
    """Return the stored jobs with these ids."""
    sql = dialect.sql(GET_MANY, in_listed=dialect.is_in.format(dialect.listed(["id"])))
    chunks = chunks_of([*filter(None, map(digits_of, ids))])
    with planned_once(dialect, ids):
        return [dialect.noted_job_of(row) for chunk in chunks for row in dialect.execute(sql, payload=_listed(chunk))]


def planned_once(dialect: Dialect, ids: Sequence[str]) -> AbstractContextManager[None]:
    """Prepare the statements within the block if they are about few jobs."""
    return dialect.preparing() if len(ids) <= FEW else nullcontext()


def newest(dialect: Dialect, page: Page) -> list[Row]:
    """Return the newest jobs."""
    if page.status is None and page.queue_name is None:
        return dialect.select(dialect.sql(LIST, **page.where), **page.values)
    if page.status in (None, READY) and len(rows := _among_newest(dialect, page)) == page.limit:
        return rows
    if page.status is not None:
        return _of_status(dialect, page, page.status)
    rows = [row for status in TaskResultStatus for row in _of_status(dialect, page, status)]
    return sorted(rows, key=itemgetter(ID), reverse=True)[: page.limit]


def _among_newest(dialect: Dialect, page: Page) -> list[Row]:
    having = "" if page.status is None else f" AND {{status}} = '{page.status.value}'"
    sql = dialect.sql(LIST_AMONG_NEWEST, having=having, **page.where)
    return dialect.select(sql, window=WINDOW + WINDOW_PER_JOB * page.limit, **page.values)


def _of_status(dialect: Dialect, page: Page, status: TaskResultStatus) -> list[Row]:
    if status not in LIVE:
        queues = None if page.queue_name is None else ["%(queue_name)s"]
        shape = fragments(ENDED_BY_QUEUE, [f"'{status.value}'"], kinds=["FALSE"], queues=queues)
        return dialect.select(dialect.sql(dialect.newest_of_ranges, **shape, **page.where), **page.values)
    # The first conditions repeat the condition of the index with the queue.
    having = f"{{status}} = '{status.value}'" + (ANY_READY_BY_QUEUE if status == READY and page.queue_name else "")
    by_id = SORTED_READY if status == READY and page.queue_name is None else SORTED
    sql = dialect.sql(LIST_SORTED, in_sorted=dialect.is_in.format(by_id), having=having, **page.where)
    return dialect.select(sql, **page.values)


def counts_by_queue(dialect: Dialect, most: int) -> list[Row]:
    """Return rows of queue, status and number of jobs; there may be several for one queue and status.

    Numbers are at most ``most``, except the numbers of running jobs, which are few.
    """
    ended = [f"'{status.value}'" for status in TaskResultStatus if status not in LIVE]
    of_ended = fragments(ENDED_BY_QUEUE, ended, kinds=["FALSE"])
    of_ready = fragments(READY_BY_QUEUE, ["0", "1"])
    ready = dialect.execute(dialect.sql(COUNT_QUEUES, **of_ready), most=most)
    return [
        *((queue_name, READY.value, number) for queue_name, number in ready),
        *dialect.execute(dialect.sql(COUNT_RUNNING)),
        *dialect.execute(dialect.sql(COUNT_RANGES, **of_ended), most=most),
    ]


def unfinished_jobs(database: str, most: int) -> dict[tuple[str, str], int]:
    """Return the numbers of jobs that have not ended, of all aliases that the table has, by alias and queue.

    The numbers are at most about ``most``. Raises ``DatabaseError``, and ``LocoConfigurationError`` for an engine that
    stores no jobs.
    """
    dialect_class, _ = engine_of("", database)
    everybody = dialect_class("", database)
    found: Counter[tuple[str, str]] = Counter()
    for (alias,) in {row for status in LIVE for row in everybody.execute(everybody.sql(ALIASES, state=status.value))}:
        for queue_name, status, number in counts_by_queue(dialect_class(alias, database), most):
            if status in LIVE:
                found[alias, str(queue_name)] += number
    return dict(found)


def oldest_due_times(dialect: Dialect, queues: tuple[str, ...] | None) -> list[Row]:
    """Return the due times of some jobs, including the job that has been due longest; some times are ``None``."""
    claim = Claim(worker_id="", lease=0, threads=1, coroutines=1, queues=queues)
    wanted, parameters = condition_of(claim, dialect.names, dialect.contains)  # paused jobs wait as others do
    if queues is None:
        return dialect.execute(dialect.sql(OLDEST_DUE, wanted=wanted), now=0, **parameters)
    shape, words = range_fragments_of(claim, dialect.tag_of_word)
    sql = dialect.sql(OLDEST_DUE_OF_RANGES, **shape, wanted=wanted, unpaused_range="")
    return dialect.execute(sql, now=0, **parameters, **words)


def newest_of_each(dialect: Dialect, names: Sequence[str], limit: int) -> dict[str, Sequence[JobSummary]]:
    """Return up to ``limit`` jobs of each series in ``names``, the newest first."""
    wanted = tuple(dict.fromkeys(names))
    found: dict[str, Sequence[JobSummary]] = {}
    for first in range(0, len(wanted), SERIES_AT_ONCE):
        found |= _newest_of_some(dialect, wanted[first : first + SERIES_AT_ONCE], limit)
    return found


def _newest_of_some(dialect: Dialect, names: Sequence[str], limit: int) -> dict[str, Sequence[JobSummary]]:
    parts = (
        f"SELECT * FROM ({SERIES.replace('%(series)s', f'%(series_{place})s')}) AS of_{place}"  # noqa: S608
        for place in range(len(names))
    )
    given = {f"series_{place}": f"{name}@" for place, name in enumerate(names)}
    rows = dialect.execute(dialect.text(" UNION ALL ".join(parts)), limit=limit, **given)
    found: dict[str, list[JobSummary]] = {name: [] for name in names}
    for job in sorted(map(summary_of, rows), key=lambda each: each.id, reverse=True):
        found.setdefault(str(job.key).rpartition("@")[0], []).append(job)
    return {**found}


def lost(dialect: Dialect, jobs: Sequence[Job]) -> set[str]:
    """Return the ids of ``jobs`` that are no longer held with their tokens."""
    payload = json.dumps([{"id": job.id, "token": job.token} for job in jobs])
    sql = dialect.sql(LOST, listed=dialect.listed(CLAIM_COLUMNS))
    return {job.id for job in jobs} - ids(dialect.execute(sql, payload=payload))


def logs_of(dialect: Dialect, ids: Sequence[str]) -> dict[str, str]:
    """Return the kept logs of jobs by their ids. They are in a column that no other statement reads."""
    sql = dialect.sql(LOGS, in_listed=dialect.is_in.format(dialect.listed(["id"])))
    rows = dialect.execute(sql, payload=_listed(ids))
    return {id_of(job_id): log for job_id, log in rows if isinstance(log, str)}  # SQLite may store other types


def _listed(ids: Sequence[str]) -> str:
    return json.dumps([{"id": job_id} for job_id in ids])
