"""The durable queue: a table in SQLite or PostgreSQL.

An enqueue is part of the transaction that is open on the calling thread's connection. So the job and the data it works
on are committed together, or rolled back together.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, Unpack

from django.db import connections

from ...core.compat import TaskResultStatus
from ...core.job import Job, JobCall, JobSummary, Outcome
from ...exceptions import JobsLocked, QueueError
from ...log.safe import get_logger
from ..base import NO_LOGS, PROBE_SECONDS, Change
from ..claim import Claim
from ..listener import QueueListener
from ..lookups import Which
from ..records.batches import refusal
from ..rows import Row
from ..rows.forms import digits_of
from ..rows.unreadable import outcomes_of, readable, split
from ..timeouts import current_store_timeout, has_store_timeout
from .availability import place_of_jobs
from .dialect import Dialect, T
from .engines import engine_of
from .examiner import DatabaseExaminer
from .jobs.inserting import restore
from .jobs.lookups import counts_by_queue, jobs_with, logs_of, lost, newest, newest_of_each, oldest_due_times, page_of
from .jobs.outcomes import finish
from .jobs.pruning import prune_jobs
from .jobs.rescuing import SeenClocks, rescue
from .jobs.unique_keys import holders
from .limits.openings import LimitedQueue
from .records.batches import change_members, insert_counted, prune_batches
from .records.minutes import CLEAR_MINUTES, StoredStatistics, prune_minutes
from .records.pauses import StoredPauses
from .records.probes import StoredProbes
from .records.signals import StoredSignals
from .records.workers import StoredWorkers
from .records.workflows import CLEAR_EDGES, StoredWorkflows
from .shown_rows import call_of, in_order, readable_time, summary_of, sums_of
from .sql import statements
from .sql.batches import CLEAR_BATCHES
from .sql.lookups import GET, SERIES

logger = get_logger("django_loco.queues")

#: More than the number of all jobs.
NO_LIMIT = 2**62


class DatabaseQueue(
    StoredPauses, StoredProbes, StoredSignals, StoredStatistics, StoredWorkflows, StoredWorkers, LimitedQueue
):
    """Jobs in the table of ``models.StoredJob``.

    ``OPTIONS``:

    ``database``
        the alias in ``DATABASES`` of the database with the table ("default").

    Many processes and machines may use it at once. It handles only jobs enqueued through its own alias of
    ``TASKS``, so several aliases may share the table. A once-key is remembered as long as its job, which is at least an
    hour after its end, however soon results are pruned.
    """

    keeps_keyed_jobs: ClassVar[bool] = True
    database: str
    examiner = DatabaseExaminer

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        """Raises ``LocoConfigurationError`` if the database is unknown or has an unsupported engine."""
        super().__init__(alias, options)
        self.database = str(options.get("database", "default"))
        dialect, self._listener_class = engine_of(alias, self.database)
        self._dialect: Dialect = dialect(alias, self.database)
        self._limited, self._next_upstream = {}, {}
        self._seen_clocks = SeenClocks()

    def clock(self) -> float:
        """Return the seconds on the clock that judges leases: PostgreSQL's, or with SQLite this machine's."""
        with self._reached():
            self._seen_clocks.note()
            return self._dialect.clock()

    def enqueue(self, jobs: Sequence[Job]) -> list[Job]:
        """Store new jobs as part of the caller's transaction, if one is open."""
        if not jobs:
            return []
        with self._reached():
            stored, closed = insert_counted(self._dialect, jobs)
        if closed is not None:
            raise refusal(closed)
        return [job for job in jobs if job.id in stored]

    def holders(self, keys: Collection[str]) -> Mapping[str, Job]:
        """Return the jobs that hold unique keys."""
        with self._reached():
            return holders(self._dialect, keys)

    def restore(self, jobs: Sequence[Job], logs: Mapping[str, str] = NO_LOGS) -> set[str]:
        """Store jobs as they are, as part of the caller's transaction, if one is open; return the ids of new ones."""
        with self._reached():
            return restore(self._dialect, jobs, logs)

    def fetch(self, claim: Claim) -> list[Job]:
        """Hand over jobs that are due, best first."""
        rows = self._taken(claim)
        jobs, unreadable = split(in_order(rows, claim))
        if unreadable:
            self._fail(unreadable)
        return jobs

    def finish(self, outcomes: Sequence[Outcome]) -> set[str]:
        """Store how jobs ended; return the ids refused."""
        with self._reached():
            is_limited = any([outcome.closes or outcome.gives_back for outcome in outcomes])
            stored = self.finish_limited(outcomes) if is_limited else finish(self._dialect, outcomes)
        refused = {outcome.job.id for outcome in outcomes} - stored
        if refused and has_store_timeout():
            self._check_locks([outcome.job for outcome in outcomes if outcome.job.id in refused])
        return refused

    def renew(self, jobs: Sequence[Job], lease: float) -> set[str]:
        """Renew leases; return the ids no longer held."""
        with self._reached():
            return {job.id for job in jobs} - self._dialect.extend(jobs, lease)

    def update(self, job: Job, field: str, text: str) -> bool:
        """Store a field of a held job; return whether it is still held."""
        # SQLite's only time limit is the one for locks. Progress is not worth waiting that long.
        is_hurried = current_store_timeout() <= PROBE_SECONDS
        statement = statements.UPDATE_IF_FREE if is_hurried else statements.UPDATE
        with self._reached(), self._dialect.hurried() if is_hurried else nullcontext():
            sql = self._dialect.sql(statement, field=self._dialect.names[field])
            is_held = bool(self._dialect.write(sql, id=job.id, token=job.token, text=text))
        if is_hurried and not is_held:
            self._check_locks([job])
        return is_held

    def together(self, act: Callable[[], T]) -> T:
        """Call ``act`` in one transaction; return its value. After an error the caller's transaction can go on."""
        with self._explained():
            return self._dialect.together(act, savepoint=True)

    def rescue(self, limit: int = 100) -> list[Job]:
        """Free jobs whose lease has run out."""
        with self._reached():
            jobs = rescue(self._dialect, limit, self._seen_clocks)
        return readable(self.alias, jobs)

    def suspects(self, claim: Claim) -> int:
        """Return how many suspects are due."""
        with self._reached():
            self.hold_back(claim)
            return super().suspects(claim)

    def get(self, job_id: str) -> Job | None:
        """Return a job, if it is there."""
        if (digits := digits_of(job_id)) is None:
            return None
        return next(map(self._dialect.noted_job_of, self._run(GET, id=digits)), None)

    def get_many(self, ids: Sequence[str]) -> Sequence[Job]:
        """Return some jobs."""
        with self._reached():
            return jobs_with(self._dialect, ids)

    def logs(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Return the kept logs of jobs."""
        with self._reached():
            return logs_of(self._dialect, ids)

    def series(self, name: str, limit: int = 100) -> list[JobSummary]:
        """Return jobs of a series, the newest first."""
        return [summary_of(row) for row in self._run(SERIES, series=f"{name}@", limit=limit)]

    def each_series(self, names: Sequence[str], limit: int = 100) -> dict[str, Sequence[JobSummary]]:
        """Return jobs of several series, in few statements."""
        with self._reached():
            return newest_of_each(self._dialect, names, limit)

    def list(self, **which: Unpack[Which]) -> list[Job]:
        """Return jobs, the newest first."""
        return [*map(self._dialect.noted_job_of, self._newest(which))]

    def list_calls(self, **which: Unpack[Which]) -> Sequence[JobCall]:
        """Return the calls of jobs, the newest first."""
        return [*map(call_of, self._newest(which, only_calls=True))]

    def change(self, changes: Sequence[Change]) -> set[str]:
        """Make changes to jobs that no worker holds, as part of the caller's transaction, if one is open."""
        last = {each.before.id: each for each in changes}
        with self._reached():
            return last.keys() - change_members(self._dialect, list(last.values()))

    def lost(self, jobs: Sequence[Job]) -> set[str]:
        """Return the ids of the jobs that are no longer held."""
        with self._reached():
            return lost(self._dialect, jobs)

    def counts(self, limit: int | None = None) -> dict[tuple[str, TaskResultStatus], int]:
        """Return the number of jobs per queue name and status, at most ``limit`` each."""
        most = NO_LIMIT if limit is None else limit
        with self._reached():
            counts = sums_of(counts_by_queue(self._dialect, most))
        return {of: min(number, most) for of, number in counts.items() if number}

    def oldest_due(self, queues: tuple[str, ...] | None = None) -> datetime | None:
        """Return when the job that has been due longest became due."""
        with self._reached():
            rows = oldest_due_times(self._dialect, queues)
        return min(filter(None, (readable_time(first) for (first,) in rows)), default=None)

    def prune(self, older_than: float, limit: int = 1000) -> int:
        """Delete finished jobs; those with a once-key only after an hour."""
        with self._reached():
            prune_minutes(self._dialect)
            prune_batches(self._dialect, older_than)
            self.prune_limits()
            return prune_jobs(self._dialect, older_than, limit)

    def clear(self) -> None:
        """Delete every job of this alias."""
        for statement in (*statements.CLEAR_ALL, CLEAR_MINUTES, CLEAR_BATCHES, CLEAR_EDGES):
            self._run(statement)
        self._limited.clear()

    def close(self) -> None:
        """Close the calling thread's connections to the database, unless it is in a transaction."""
        super().close()
        connection = connections[self.database]
        if not connection.in_atomic_block:
            connection.close()

    def _new_listener(self) -> QueueListener:
        return self._listener_class(self.alias, self.database)

    def _newest(self, which: Which, *, only_calls: bool = False) -> Sequence[Row]:
        with self._reached():
            return newest(self._dialect, page_of(**which, only_calls=only_calls))

    def _check_locks(self, refused: Sequence[Job]) -> None:
        """Raise ``JobsLocked`` if some of the jobs ``refused`` are held with their tokens."""
        gone = self.lost(refused)
        if locked := {job.id for job in refused} - gone:
            place = place_of_jobs(self._dialect)
            message = f"{place}, where a transaction that is still open has locked {len(locked)} of them."
            raise JobsLocked(message, locked=locked, refused=gone)

    def _taken(self, claim: Claim) -> Sequence[Row]:
        """Return the rows of jobs that are now under leases of ``claim``.

        A fetch has several statements. Once jobs are claimed, an error of a later one must not drop them: they would
        count as lost by a dead worker. If the error lasts, the next fetch raises it. In a transaction, the claims are
        rolled back.

        A fetch that fails may have claimed jobs, and only the answer was lost. Nobody runs these. So their tokens begin
        with a nonce, by which the next fetch finds them.
        """
        unanswered = getattr(self._local, "nonce", "")
        self._local.nonce = unanswered or secrets.token_hex(8)
        claim = replace(claim, nonce=self._local.nonce)
        rows: list[Row] = []
        try:
            with self._reached():
                if unanswered and (rows := self._dialect.claim_again(claim)):
                    self._local.nonce = ""
                    return rows
                self.hold_back(claim)
                for part in self.take(claim):
                    rows += part
                self.let_waits_end()
        except Exception:
            if not rows or not connections[self.database].autocommit:
                raise
            text = "TASKS[%r]: a fetch ended early; the %d jobs that it had claimed before are handed over"
            logger.warning(text, self.alias, len(rows), exc_info=True)
        self._local.nonce = ""
        return rows

    def _fail(self, unreadable: Sequence[Job]) -> None:
        """Fail fetched jobs that cannot be read. If that cannot be stored now, ``rescue`` does it later."""
        try:
            self.finish(outcomes_of(self.alias, unreadable))
        except QueueError:
            text = "TASKS[%r]: the failure of %d unreadable jobs could not be stored yet"
            logger.warning(text, self.alias, len(unreadable), exc_info=True)
