"""The queue in the memory of one process. Its jobs end with it, except those that ``save`` writes to files."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, cast

from ...core.job import READY, Job, Outcome, utcnow
from ...core.job.retention import kept_until
from ...exceptions import QueueFull
from ...log.plain_text import counted
from ..base import NO_LOGS, Change, Queue
from ..claim import Claim
from ..records.batches import reopened_by
from .jobs.job_table import JobTable
from .jobs.lookups import MemoryLookups
from .key_file import OnceKeys
from .keys import Keys
from .lines import KeptBatch
from .records.batches import BatchTable
from .records.limits import KeyTable, MemoryLimits
from .records.minutes import MemoryStatistics, MinuteTable
from .records.pauses import MemoryPauses
from .records.workers import MemoryWorkers, RegisteredWorkers
from .records.workflows import Graph, MemoryWorkflows
from .saving import MemorySaving

MAX_RESULTS, KEYS_FILE = 1_000, "once-keys.sqlite3"


class MemoryQueue(
    MemoryLookups, MemoryLimits, MemoryPauses, MemoryStatistics, MemoryWorkflows, MemoryWorkers, MemorySaving, Queue
):
    """Jobs in the memory of this process.

    ``OPTIONS``:

    ``max_results``
        the number of finished jobs that are kept (1,000); the oldest are deleted first.
    ``max_waiting``
        the number of jobs that may wait before ``enqueue`` raises ``QueueFull`` (no limit). Retries always fit.

    A job waits, is held, or has finished; one lock guards all three. Due times are judged by this machine's clock,
    leases by its monotonic clock. With ``keys.shared``, several processes together accept one job per once-key.
    """

    is_shared: ClassVar[bool] = False

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        """Raises ``LocoConfigurationError`` if a limit is not a number."""
        super().__init__(alias, options)
        self._max_waiting = self.limit("max_waiting", None)
        # ``with`` takes the lock itself, not the condition, whose ``__enter__`` and ``__exit__`` are written in Python:
        # a Ctrl-C in them would leave the lock taken. It is reentrant because a finalizer may ask the queue anywhere.
        self._lock = threading.RLock()
        self._changed, self._seen = threading.Condition(self._lock), threading.local()
        self.keys, self._minutes, self._batches = Keys(), MinuteTable(), BatchTable()
        self._graphs: dict[str, Graph] = {}
        self._kept_batches: dict[str, KeptBatch] = {}
        self._limit_keys = KeyTable()
        self._jobs = JobTable(self.limit("max_results", MAX_RESULTS), self._batches)
        self._workers: RegisteredWorkers = {}
        self._commands: dict[str, str] = {}
        self._paused: set[str] = set()
        self._arrivals = self._interrupts = 0

    def clock(self) -> float:
        """Return the seconds on the monotonic clock."""
        return time.monotonic()

    @property
    def remembers(self) -> bool:
        """Whether the once-keys are in a file that can be used."""
        return self.keys.shared is not None and self.keys.shared.works

    def share_keys(self, folder: Path, seconds: float) -> None:
        """Reserve once-keys in a file in ``folder``. The first call chooses the folder."""
        if self.keys.shared is None:
            self.keys.shared = OnceKeys(folder / KEYS_FILE, seconds)

    def enqueue(self, jobs: Sequence[Job]) -> list[Job]:
        """Store new jobs. Raises ``QueueFull`` if they would not all fit."""
        with self._lock:
            added = list(self._jobs.unique.free(self.keys.unknown(jobs)))
            self._batches.require_open(jobs)
            self._require_room(len(added))
            if not self.keys.have_to_be_reserved(added):
                self._add(added)
                return added
        won = self.keys.reserve(added)
        added = []
        with self._lock:
            try:  # all that was checked may have changed
                new = list(self._jobs.unique.free(self.keys.unknown(won)))
                self._batches.require_open(new)
                self._require_room(len(new))
                self._add(new)
                added = new
            finally:
                unused = self.keys.unused(won, added)
                self.keys.release(unused)
        return added

    def restore(self, jobs: Sequence[Job], logs: Mapping[str, str] = NO_LOGS) -> set[str]:
        """Store jobs as they are; return the ids of the new ones."""
        with self._lock:
            unknown = list(self.keys.unknown({job.id: job for job in jobs if not self._jobs.get(job.id)}.values()))
        won = self.keys.reserve(unknown)
        with self._lock:
            new = (job for job in self.keys.unknown(won) if self._jobs.get(job.id) is None)
            added = list(self._jobs.unique.free(new))
            self._store(added)
            self._jobs.logs |= {job.id: logs[job.id] for job in added if job.id in logs}
            unused = self.keys.unused(won, added)
        self.keys.release(unused)
        return {job.id for job in added}

    def fetch(self, claim: Claim) -> list[Job]:
        """Hand over jobs that are due, best first."""
        with self._lock:
            now = self._promote(claim.ahead)
            limiter = self._limiter(claim.limits, now)
            jobs = [
                job.claimed(worker_id=claim.worker_id, token=os.urandom(16).hex(), at=now)
                for job in self._jobs.waiting.take(claim, limiter, self._paused)
            ]
            for job in jobs:
                self._jobs.hold(job, claim.lease)
            self._limit_keys.note(limiter)
            return jobs

    def hold(self, job: Job, worker_id: str, lease: float) -> Job | None:
        """Accept and claim a job that the caller runs at once; return ``None`` if its key is known."""
        with self._lock:
            self._batches.require_open([job])
        if not self.keys.reserve([job]):
            return None
        with self._lock:
            if list(self._jobs.unique.free(self.keys.unknown([job]))):
                return self._hold(job, worker_id, lease)
            unused = self.keys.unused([job], ())
        self.keys.release(unused)
        return None

    def _hold(self, job: Job, worker_id: str, lease: float) -> Job:
        self.keys.note(job)
        if self._jobs.waiting.get(job.id):  # a node of a workflow
            self._jobs.waiting.remove([job])
        held = self._jobs.with_written(job).claimed(worker_id=worker_id, token=os.urandom(16).hex(), at=utcnow())
        self._jobs.hold(held, lease)
        return held

    def finish(self, outcomes: Sequence[Outcome]) -> set[str]:
        """Store how jobs ended; return the ids refused."""
        with self._lock:
            held = [outcome for outcome in outcomes if self._jobs.is_held(outcome.job)]
            accepted = {outcome.job.id: self._jobs.with_signals(outcome) for outcome in held}
            self._finish(accepted.values())
            return {outcome.job.id for outcome in outcomes} - accepted.keys()

    def renew(self, jobs: Sequence[Job], lease: float) -> set[str]:
        """Renew leases; return the ids no longer held."""
        with self._lock:
            held = [job for job in jobs if self._jobs.is_held(job)]
            for job in held:
                self._jobs.hold(self._jobs.held[job.id].job, lease)
            return {job.id for job in jobs} - {job.id for job in held}

    def rescue(self, limit: int = 100) -> list[Job]:
        """Free jobs whose lease has run out."""
        with self._lock:
            now = time.monotonic()
            expired = (hold.job for hold in self._jobs.held.values() if hold.until <= now)
            return [*self._finish([Outcome.of_dead_worker(job) for job in itertools.islice(expired, limit)])]

    def update(self, job: Job, field: str, text: str) -> bool:
        """Store a field of a held job; return whether it is still held."""
        with self._lock:
            if not self._jobs.is_held(job):
                return False
            hold, changes = self._jobs.held[job.id], cast("dict[str, Any]", {field: text})
            self._jobs.held[job.id] = hold._replace(job=replace(hold.job, **changes))
            return True

    def signal(self, job: Job, text: str | None) -> bool:
        """Store the signals of a running job, if they are as they were read; return whether they are stored."""
        with self._lock:
            hold = self._jobs.held.get(job.id)
            if hold is None or hold.job.signals != job.signals:
                return False
            self._jobs.held[job.id] = hold._replace(job=replace(hold.job, signals=text))
            return True

    def change(self, changes: Sequence[Change]) -> set[str]:
        """Make changes to jobs that no worker holds; return the ids refused."""
        last = {change.before.id: change for change in changes}
        won = self._reserved([change for change in last.values() if change.takes_once_key])
        with self._lock:
            keyed = {job.id for job in self.keys.unknown(won)}
            asked = [each for job_id, each in last.items() if job_id in keyed or not each.takes_once_key]
            possible = [change for change in asked if self._jobs.is_unchanged(change.before)]
            made = [change for change in possible if change.after is None]
            kept = {job.id for job in self._jobs.unique.free(each.after for each in possible if each.after)}
            made += [change for change in possible if change.before.id in kept]
            self._jobs.remove([change.before for change in made])
            self._store(after := [change.after for change in made if change.after is not None])
            for change in made:
                if change.after is None:
                    self._jobs.forget(change.before)
                elif batch_id := reopened_by(change.before, change.after):
                    self._batches.reopen(batch_id, self._jobs.get)
            unused = self.keys.unused(won, after)
        self.keys.release(unused)
        return last.keys() - {change.before.id for change in made}

    def _reserved(self, takers: Sequence[Change]) -> Sequence[Job]:
        """Reserve the once-keys that jobs are to get; return the jobs whose keys were free."""
        with self._lock:
            unchanged = [each.after for each in takers if each.after and self._jobs.is_unchanged(each.before)]
            wanted = list(self.keys.unknown(unchanged))
        return self.keys.reserve(wanted)

    def prune(self, older_than: float, limit: int = 1000) -> int:
        """Delete finished jobs; their once-keys are remembered."""
        self._minutes.prune()
        with self._lock:
            for batch_id in self._batches.prune((now := utcnow()) - timedelta(seconds=older_than)):
                self._graphs.pop(batch_id, None)
            old = (job.id for job in self._jobs.finished.values() if self._is_old(job, now, older_than))
            pruned = list(itertools.islice(old, limit))
            for job_id in pruned:
                self._jobs.forget(self._jobs.finished.pop(job_id))
            return len(pruned)

    def _is_old(self, job: Job, now: datetime, seconds: float) -> bool:
        until = kept_until(job)
        if until is None and job.finished_at is not None:
            until = job.finished_at + timedelta(seconds=seconds)
        return until is not None and until < now and not self._batches.is_kept(job, if_room=True)

    def clear(self) -> None:
        """Delete everything, also once-keys."""
        with self._lock:
            parts = (self._jobs, self._minutes, self._graphs, self._workers, self._commands, self._paused)
            for known in (*parts, self.keys, self._limit_keys, self._kept_batches):
                known.clear()

    def _require_room(self, more: int) -> None:
        if self._max_waiting is not None and len(self._jobs.waiting) + more > self._max_waiting:
            raise QueueFull(
                f"{counted(len(self._jobs.waiting), 'job waits', 'jobs wait')} and {more:,} more would exceed "
                f"TASKS[{self.alias!r}]['OPTIONS']['max_waiting'] = {self._max_waiting}. "
                "Try again later, raise the limit or add workers."
            )

    def _store(self, jobs: Sequence[Job]) -> None:
        ended = [job for job in jobs if job.status != READY]
        self._jobs.finish(sorted(ended, key=lambda job: job.finished_at or utcnow()))
        for job in ended:
            self.keys.note(job)
        self._add([job for job in jobs if job.status == READY])

    def _add(self, jobs: Sequence[Job], due: Collection[str] = ()) -> None:
        """Let ``jobs`` wait. Jobs whose ids are in ``due`` were due before, so they are due by any clock."""
        now = utcnow()
        for job in jobs:
            self._arrivals += self._jobs.wait(job, now, is_due=job.id in due)
            self.keys.note(job)
        self._changed.notify_all()

    def _finish(self, outcomes: Collection[Outcome]) -> Sequence[Job]:
        jobs = self._jobs.ended(outcomes)
        self._note_ends(outcomes)
        self._arrivals += any(job.limit_key is not None for job in jobs)  # there may be room for others now
        self._jobs.finish(job for job in jobs if job.status != READY)
        self._add(
            [job for job in jobs if job.status == READY],
            due={outcome.job.id for outcome in outcomes if outcome.run_after is None},
        )
        return jobs
