"""The worker's share of what any live process does for the queue."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Sequence
from contextvars import Context
from functools import partial
from queue import SimpleQueue
from typing import ClassVar

from ...core.compat import task_finished
from ...core.job import FAILED, RUNNING, Job, Outcome
from ...exceptions import LostJob, ResultRefused
from ...log import sentry
from ...log.plain_text import one_line
from ...log.safe import get_logger
from ...queues import Queue
from ...queues.timeouts import unlimited
from ...queues.unreadable import log, split
from ...tasks.results import shown_result_of
from ..claimed_job import ClaimedJob
from ..execution.connections import tidy
from ..execution.executor import announce, label
from .batch_size import BatchSize
from .clocks import ClockWatch
from .queue_thread import QueueThread
from .registration import report_dead
from .unanswered import Unanswered

logger = get_logger("django_loco.worker")

PRUNE_EVERY = 60.0  # seconds
RESCUE_BATCH, PRUNE_BATCH = 100, 1_000
#: How many rescued jobs a log line names.
NAMED = 10
#: How many jobs that run are looked through for those of workers that are known to have died.
RUNNING_BATCH = 10_000


class Upkeep(QueueThread):
    """Frees the jobs of dead workers ten times per lease, and deletes old results once a minute.

    Apart from the heartbeat, so that neither delays the other: a long deletion must not cost the worker its claims.
    """

    name: ClassVar[str] = "upkeep"
    duty: ClassVar[str] = "look after the queue"

    def __init__(
        self,
        queue: Queue,
        lease: float,
        result_ttl: float,
        clock: Callable[[], float] = time.monotonic,
        may_rescue: Callable[[], bool] = lambda: True,
        *,
        dead: Collection[str] = (),
    ) -> None:
        """``lease``: ``LEASE``; ``result_ttl``: ``RESULT_TTL``, both in seconds. ``may_rescue`` is asked each time.

        ``dead``: see ``Worker``.
        """
        super().__init__(queue)
        self._may_rescue = may_rescue
        self._lease = lease
        self._result_ttl = result_ttl
        self._clock = clock
        self._next_prune = clock()
        self._next_report = clock()
        self._clocks = ClockWatch(queue.clock, lease)
        self._dead = frozenset(dead)
        self._rescued_at_once = BatchSize(RESCUE_BATCH)
        self._pruned_at_once = BatchSize(PRUNE_BATCH)
        self._accepted: SimpleQueue[tuple[ClaimedJob, Outcome]] = SimpleQueue()
        self._unanswered = Unanswered(queue)

    def announce_later(self, claimed: ClaimedJob, outcome: Outcome) -> None:
        """Have the end of ``run`` told, which the queue has stored as ``outcome``; called by the fetcher."""
        self._accepted.put((claimed, outcome))

    def close(self) -> None:
        """Tell of what the queue has accepted at last."""
        self._announce_accepted()

    def turn(self) -> float:
        """Rescue, and now and then prune."""
        self._announce_accepted()
        try:
            with self._unanswered.watch():
                self._free_and_rescue()
        finally:  # a job that cannot be rescued does not keep the store from being cleaned
            if self._clock() >= self._next_prune:
                self._prune()
                self._next_prune = self._clock() + PRUNE_EVERY
        return self._lease / 10

    def _free_and_rescue(self) -> None:
        if self._dead:
            free(self.queue, self._dead, self._rescued_at_once)
            self._dead = frozenset()
        if self._clocks.agree() and self._may_rescue():
            self._rescue()
            report_rescued(self._unanswered.found())
            self._report()

    def _report(self) -> None:
        if self._clock() >= self._next_report:
            report_dead(self.queue)
            self._next_report = self._clock() + self._lease / 3

    def _rescue(self) -> None:
        full = True
        while full and not self.ended.is_set():
            with self._rescued_at_once.tried() as size:
                jobs = self.queue.rescue(size)
            full = len(jobs) >= size
            report_rescued(jobs)

    def _announce_accepted(self) -> None:
        while not self._accepted.empty():
            claimed, outcome = self._accepted.get()
            tell = (
                partial(_announce_refused, outcome.applied())
                if claimed.was_replaced_by(outcome)
                else claimed.announcement
            )
            if tell is not None:
                with unlimited():
                    Context().run(tell)
                tidy()

    def _prune(self) -> None:
        full = True
        while full and not self.ended.is_set():
            with self._pruned_at_once.tried() as size:
                full = self.queue.prune(self._result_ttl, size) >= size


def held_by(queue: Queue, keys: Collection[str]) -> Sequence[Job]:
    """Return the jobs of workers whose ids end in one of ``keys``."""
    running = queue.list(status=RUNNING, limit=RUNNING_BATCH)
    return [job for job in running if (job.worker_id or "").rpartition(":")[2] in keys]


def free(queue: Queue, dead: Collection[str], at_once: BatchSize) -> None:
    """Free the jobs of workers that are not presumed but known to be dead: no lease has to run out for that."""
    report_dead(queue, lambda worker: worker.worker_id.rpartition(":")[2] in dead)
    outcomes = [Outcome.of_dead_worker(job) for job in held_by(queue, dead)]
    while outcomes:
        with at_once.tried() as size:
            refused = queue.finish(outcomes[:size])
        freed, unreadable = split([outcome.applied() for outcome in outcomes[:size] if outcome.job.id not in refused])
        log(queue.alias, unreadable)
        report_rescued(freed)
        del outcomes[:size]


def report_rescued(jobs: Sequence[Job]) -> None:
    """Log that ``jobs`` were freed, and tell of those that have failed for good."""
    if jobs:
        names = [f"{one_line(job.task_path).rpartition('.')[2]}#{job.id[-8:]}" for job in jobs[:NAMED]]
        more = f" and {len(jobs) - NAMED} more" if len(jobs) > NAMED else ""
        logger.warning("Rescued %d jobs of workers that died: %s%s", len(jobs), ", ".join(names), more)
    for job in jobs:
        if job.status == FAILED:
            try:
                Context().run(report_lost, job)
            except BaseException:  # its task may be anything by now; the others are told of all the same
                logger.exception("The end of job %s could not be told", job.id)


def report_lost(job: Job) -> None:
    """Log that ``job`` has failed as lost and send ``task_finished``, as the worker that died cannot."""
    label(job)
    logger.error("%s has failed: it took its worker down %d times", one_line(job.task_path), job.lost)
    with unlimited():
        _announce_failure(job, LostJob)
    tidy()


def _announce_refused(job: Job) -> None:
    """Send ``task_finished`` of a job that has failed because the queue has refused its result."""
    label(job)
    _announce_failure(job, ResultRefused)


def _announce_failure(job: Job, kind: type[Exception]) -> None:
    try:
        raise kind(job.errors[-1].traceback.strip().partition(": ")[2])
    except kind:
        sentry.report(sys.exception())
        announce(task_finished, shown_result_of(job))
