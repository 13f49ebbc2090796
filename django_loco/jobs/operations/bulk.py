"""Does an operation with many jobs, in batches. A job that has changed meanwhile is read and tried again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

from ...core.job import READY, Job, Outcome
from ...exceptions import LocoError
from ...log.safe import get_logger
from ...queues import Queue
from ...queues.base import Change
from ..scan import size_of
from ..stores import backend_of
from . import Delete, Operation, is_possible, waits_for_more
from .after_end import settle_ended
from .unfinished import unfinished
from .workflows.retrying import RetriedNodes

logger = get_logger("django_loco.operations")

#: The number of jobs in one call to a queue, and the approximate number of bytes that they may have.
BATCH, BATCH_BYTES = 1_000, 4 << 20
#: How often an operation is tried with a job that changes each time between reading and writing it.
ATTEMPTS = 5

_by_backend = attrgetter("backend")
T = TypeVar("T")


class BulkRun:
    """One run of an operation over jobs.

    1. ``over`` takes the jobs in batches, and leaves out jobs that the operation cannot change.
    2. Each batch is stored in one call per queue, each job only if it is still as it was read.
    3. A job that has changed is read again. If it still matches and the operation is possible, it is in the next call.
    4. At the end, nodes of workflows that were retried are released if they need not wait.
    """

    def __init__(self, operation: Operation, matches: Callable[[Job], bool] = lambda _: True) -> None:
        """``matches`` says whether a job that was read again still belongs to the run."""
        self._operation = operation
        self._matches = matches
        self._nodes = RetriedNodes()
        self.done = 0
        """The number of jobs that the operation has changed."""

        self.left_alone = 0
        """The number of jobs that were not made due, because they wait for more than a time."""

        self.keys_kept = 0
        """The number of jobs that were not deleted, because their queues still have to know their once-keys."""

    def over(self, jobs: Iterable[Job]) -> int:
        """Do the operation with ``jobs``; return with how many it was done.

        Raises ``LocoError`` or ``ValueError`` if a store cannot be reached, or refuses a change, and if the operation
        cannot be done with jobs of an alias, or with one of the jobs; ``Unfinished`` if some were done before.
        """
        try:
            for batch in batches(filter(self._takes, jobs), lambda job: job):
                for alias, part in groupby(sorted(batch, key=_by_backend), key=_by_backend):
                    self._operate(alias, [*part])
            self.done -= self._nodes.settle()
        except (LocoError, ValueError) as error:
            if not self.done:
                raise
            raise unfinished(error, self.done, self._operation.past) from error
        if self.done:
            logger.info("Jobs %s: %d", self._operation.past, self.done)
        return self.done

    def _takes(self, job: Job) -> bool:
        if is_possible(self._operation, job):
            return True
        self.left_alone += self._operation.makes_due and waits_for_more(job)
        return False

    def _operate(self, alias: str, jobs: Sequence[Job]) -> None:
        self._operation.require_backend(alias)
        queue = backend_of(alias).queue
        for _ in range(ATTEMPTS):
            refused = self._stored(queue, alias, [self._operation.of(job) for job in jobs])
            # A refused job that has not changed was refused for another reason: see Queue.change.
            read = [(job, queue.get(job.id)) for job in jobs if job.id in refused]
            if isinstance(self._operation, Delete):
                self.keys_kept += sum(before.key is not None and after == before for before, after in read)
            changed = [after for before, after in read if after is not None and after != before]
            jobs = [job for job in changed if is_possible(self._operation, job) and self._matches(job)]
            if not jobs:
                return

    def _stored(self, queue: Queue, alias: str, asked: Sequence[Change | Outcome]) -> set[str]:
        """Store what the operation asks for; return the ids of the jobs that have changed since they were read."""
        changes = [each for each in asked if isinstance(each, Change)]
        outcomes = [each for each in asked if isinstance(each, Outcome)]
        refused: set[str] = set()
        if changes:
            self._nodes.prepare(queue, changes)
            refused |= self._counted(alias, [(each.before, each.after) for each in changes], queue.change(changes))
            self._nodes.note(queue, [each for each in changes if each.before.id not in refused])
        if outcomes:
            ends = [(each.job, each.applied()) for each in outcomes]
            refused |= self._counted(alias, ends, queue.finish(outcomes))
        return refused

    def _counted(self, alias: str, made: Sequence[tuple[Job, Job | None]], refused: set[str]) -> set[str]:
        """Count the jobs that were not ``refused``, and announce the waiting jobs that the operation has ended.

        The worker of a job that was running announces its end, when it has interrupted the job.
        """
        accepted = [(before, after) for before, after in made if before.id not in refused]
        self.done += len(accepted)
        ended = [after for before, after in accepted if after and after.finished_at and before.status == READY]
        if ended:
            backend_of(alias).announce_end(ended)
        settle_ended(backend_of(alias).queue, [before for before, _ in accepted])
        return refused


def batches(items: Iterable[T], job_of: Callable[[T], Job]) -> Iterator[list[T]]:
    """Yield ``items``, each with a job, in lists that are neither too long nor too large for one call to a queue."""
    batch: list[T] = []
    size = 0
    for item in items:
        more = size_of(job_of(item))
        if batch and (len(batch) == BATCH or size + more > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += more
    if batch:
        yield batch
