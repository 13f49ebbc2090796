"""The lists and counts that pages and commands show, and how long jobs have waited.

Each is read from an index, so its cost depends on the size of the answer and not on that of the table. The queue keeps
no counters: every transaction that enqueues would have to wait for the others to release them.
"""

from __future__ import annotations

from ...core.compat import TaskResultStatus
from ...core.job import READY, RUNNING
from ..claim import Claim
from ..rows import Row
from .dialect import Dialect
from .index_ranges import COUNT_RANGES, ENDED_BY_QUEUE, OLDEST_DUE_OF_RANGES, READY_BY_QUEUE, fragments
from .statements import COUNT_RUNNING, LIST, LIST_AMONG_NEWEST, LIST_SORTED, OLDEST_DUE, SORTED

#: The statuses of jobs that have not ended.
LIVE = (READY, RUNNING)
#: The number of newest jobs that ``newest`` searches for those that are ready.
WINDOW = 2_000


def newest(dialect: Dialect, status: TaskResultStatus | None, limit: int) -> list[Row]:
    """Return the newest jobs."""
    if status is None:
        return dialect.execute(dialect.sql(LIST), limit=limit)
    if status not in LIVE:
        shape = fragments(ENDED_BY_QUEUE, [f"'{status.value}'"], kinds=["FALSE"])
        return dialect.execute(dialect.sql(dialect.newest_of_ranges, **shape), limit=limit)
    if status == READY:
        sql = dialect.sql(LIST_AMONG_NEWEST)
        rows = dialect.execute(sql, status=status.value, limit=limit, window=WINDOW + limit)
        if len(rows) == limit:
            return rows
    having = f"{{status}} = '{status.value}'"
    return dialect.execute(dialect.sql(LIST_SORTED, having=having, in_sorted=dialect.is_in.format(SORTED)), limit=limit)


def counts_by_queue(dialect: Dialect, most: int) -> list[Row]:
    """Return rows of queue, status and number of jobs; there may be several for one queue and status.

    Numbers are at most ``most``, except that of running jobs, which are few.
    """
    ended = [f"'{status.value}'" for status in TaskResultStatus if status not in LIVE]
    of_ended = fragments(ENDED_BY_QUEUE, ended, kinds=["FALSE"])
    of_ready = fragments(READY_BY_QUEUE, ["0", "1"])
    ready = dialect.execute(dialect.sql(COUNT_RANGES, **of_ready), most=most)
    return [
        *((queue_name, READY.value, number) for queue_name, _, number in ready),
        *dialect.execute(dialect.sql(COUNT_RUNNING)),
        *dialect.execute(dialect.sql(COUNT_RANGES, **of_ended), most=most),
    ]


def oldest_due_times(dialect: Dialect, queues: tuple[str, ...] | None) -> list[Row]:
    """Return the due times of some jobs, among them that of the job that has been due longest; some are ``None``."""
    claim = Claim(worker_id="", lease=0, threads=1, coroutines=1, queues=queues)
    if queues is None:
        wanted, parameters = dialect.wanted(claim)
        return dialect.execute(dialect.sql(OLDEST_DUE, wanted=wanted), now=0, **parameters)
    shape, parameters = dialect.wanted_ranges(claim)
    return dialect.execute(dialect.sql(OLDEST_DUE_OF_RANGES, **shape), now=0, **parameters)
