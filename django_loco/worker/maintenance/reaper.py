"""Rescues the jobs of dead workers: when their leases have run out, or at once if a worker is known to be dead."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Sequence

from ...core.job import FAILED, RUNNING, Job, Outcome, utcnow
from ...exceptions import JobsLocked, QueueUnavailable
from ...log.plain_text import counted, one_line
from ...log.safe import get_logger
from ...queues import Queue
from ...queues.rows.unreadable import readable
from ...queues.workers import WorkerInfo
from ...signals import job_lost
from ..execution.announcements import announce_apart, announce_death, announce_lost
from .batch_size import BatchSize
from .clocks import ClockWatch
from .unanswered import Unanswered

logger = get_logger("django_loco.worker")

RESCUE_BATCH = 100
#: The number of rescued jobs that a log line names.
NAMED = 10
#: The number of running jobs that are searched for jobs of dead workers.
RUNNING_BATCH = 10_000
#: When this process began, or the process that it was forked from.
IMPORTED_AT = utcnow()


class Reaper:
    """Rescues jobs, for the thread ``Housekeeping``."""

    def __init__(
        self,
        queue: Queue,
        lease: float,
        ended: threading.Event,
        clock: Callable[[], float] = time.monotonic,
        *,
        may_rescue: Callable[[], bool],
        dead: Collection[str],
        on_rescued: Callable[[Sequence[Job]], None] = lambda _: None,
    ) -> None:
        """Rescues nothing yet.

        Args:
            queue: where the jobs are.
            lease: ``LEASE``, in seconds.
            ended: once set, no further batch is rescued.
            clock: ``time.monotonic``.
            may_rescue: asked each time whether jobs whose lease has run out may be rescued now.
            dead: the ends of the ids of workers that are known to have died.
            on_rescued: called with jobs that were rescued.
        """
        self._queue, self._lease, self._ended, self._clock = queue, lease, ended, clock
        self._may_rescue = may_rescue
        self._dead = frozenset(dead)
        self._on_rescued = on_rescued
        self._clocks = ClockWatch(queue.clock, lease)
        self._unanswered = Unanswered(queue)
        self._batch_size = BatchSize(RESCUE_BATCH)
        self._next_report = clock()

    def reap(self) -> None:
        """Rescue the jobs that can be rescued now. Raises the queue's errors."""
        try:
            with self._unanswered.watch():
                self._reap()
        except QueueUnavailable:
            # During an outage no worker can show that it is alive. When the queue is back, each has the time of a lease
            # to do so.
            self._next_report = self._clock() + self._lease
            raise

    def _reap(self) -> None:
        if self._dead:
            rescue_jobs_of(self._dead, self._queue, self._batch_size, self._on_rescued)
            self._dead = frozenset()
        if self._clocks.agree() and self._may_rescue():
            self._rescue()
            self._report(self._unanswered.found())
            self._report_dead()

    def _rescue(self) -> None:
        is_full = True
        while is_full and not self._ended.is_set():
            with self._batch_size.tried() as size:
                jobs = self._queue.rescue(size)
            is_full = len(jobs) >= size
            self._report(jobs)

    def _report(self, jobs: Sequence[Job]) -> None:
        self._on_rescued(jobs)
        report_rescued(jobs)

    def _report_dead(self) -> None:
        if self._clock() >= self._next_report:
            wait = self._lease / 3 if report_dead(self._queue) else self._lease
            self._next_report = self._clock() + wait


def jobs_held_by(keys: Collection[str], queue: Queue) -> Sequence[Job]:
    """Return the jobs of workers whose ids end in one of ``keys``."""
    running = queue.list(status=RUNNING, limit=RUNNING_BATCH)
    return [job for job in running if (job.worker_id or "").rpartition(":")[2] in keys]


def rescue_jobs_of(
    dead: Collection[str],
    queue: Queue,
    batch_size: BatchSize,
    on_rescued: Callable[[Sequence[Job]], None] = lambda _: None,
) -> None:
    """Rescue the jobs of workers that are known to be dead, before their leases run out."""
    for worker in queue.workers():
        if worker.worker_id.rpartition(":")[2] in dead:
            _report_death(worker, queue, "its process has exited")
    outcomes = [Outcome.of_dead_worker(job) for job in jobs_held_by(dead, queue)]
    while outcomes:
        with batch_size.tried() as size:
            try:
                refused: Collection[str] = queue.finish(outcomes[:size])
            except JobsLocked as error:  # locked jobs are rescued when their leases have run out
                refused = error.refused | error.locked
        rescued = [outcome.applied() for outcome in outcomes[:size] if outcome.job.id not in refused]
        on_rescued(rescued)
        report_rescued(readable(queue.alias, rescued))
        del outcomes[:size]


def report_dead(queue: Queue) -> bool:
    """Log each worker whose heartbeat has stopped. Only one of the live workers logs it. Raises ``QueueUnavailable``.

    If this process could not renew its own heartbeat, nobody could: then it logs nothing and returns ``False``.
    """
    workers = queue.workers()
    if any(_is_of_this_process(worker) and worker.heartbeat_age > worker.lease / 2 for worker in workers):
        return False
    for worker in workers:
        if not worker.is_alive:
            _report_death(worker, queue, f"no heartbeat for {worker.heartbeat_age:.0f} s")
    return True


def _is_of_this_process(worker: WorkerInfo) -> bool:
    """Return whether a worker or scheduler is of this process, not of an earlier one with the same host and number."""
    return worker.pid == os.getpid() and worker.host == socket.gethostname() and worker.started_at >= IMPORTED_AT


def _report_death(worker: WorkerInfo, queue: Queue, reason: str) -> None:
    if queue.unregister(worker.worker_id):
        if worker.is_scheduler:
            text, worker_id = "Scheduler %s (process %d on %s) has died: %s", worker.scheduler_id
        else:
            text = "Worker %s (process %d on %s) has died: %s. Other workers run its jobs again"
            worker_id = worker.worker_id
        logger.warning(text, worker_id, worker.pid, worker.host, reason)


def report_rescued(jobs: Sequence[Job]) -> None:
    """Log and announce that ``jobs`` were rescued, and announce the end of jobs that failed by it."""
    if jobs:
        names = [f"{one_line(job.task_path).rpartition('.')[2]}#{job.id[-8:]}" for job in jobs[:NAMED]]
        more = f" and {len(jobs) - NAMED} more" if len(jobs) > NAMED else ""
        number = counted(len(jobs), "job", "jobs")
        logger.warning("Rescued %s of workers that died: %s%s", number, ", ".join(names), more)
    for job in jobs:
        try:
            if job.status == FAILED:
                announce_apart(announce_lost, job)
            if job_lost.receivers:
                announce_apart(announce_death, job)
        except BaseException:  # importing its task may raise anything; the other jobs are still reported
            logger.exception("The end of job %s could not be announced", job.id)
