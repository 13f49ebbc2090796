"""Moves waiting jobs from the store of one alias to the store of another one, while workers of both run.

The two stores have no common transaction, and the command may be killed at any moment. So a batch of jobs goes through
four steps, and at no moment do both stores have a job that can run:

1. *Park* it in the source, if it is as it was read. From now on no worker takes it; one that a worker took in between
   stays.
2. *Copy* it, parked, to the target, under its own id. A copy that exists is left as it is.
3. *Delete* it in the source, if it is still parked. A store that cannot delete it yet, because of its once-key, keeps
   it as cancelled.
4. *Release* the copy, if it is still parked: it is ready, and workers of the target are woken.

What a kill leaves behind are parked jobs of one batch, and the next run begins with these:

========================  ======================  ======================================================
the kill came after       source, target          the next run
========================  ======================  ======================================================
1                         parked, nothing         copies, deletes, releases
2                         parked, parked          deletes, releases
3                         nothing, parked         releases
4                         nothing, ready          does nothing
========================  ======================  ======================================================

So a parked copy without a job in the source means that step 3 was done: nothing else deletes a parked job, as it
neither runs nor ends. A copy whose job in the source is not parked any more, because somebody has changed it by hand,
is dropped. Each step may be done by another process than the one before. Two commands at once do not disturb each other
as long as neither is stopped for longer than the results of jobs are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...core.job import READY, Job
from ...core.validation import NAME_REQUIREMENT, is_name
from ...exceptions import LocoError
from ...log.plain_text import counted
from ...queues import Queue
from ...queues.base import Change
from ..language.patterns import escape
from ..operations.bulk import BATCH, batches
from ..operations.reruns import follows, key_after
from ..operations.unfinished import unfinished
from ..search import Search
from ..stores import backend_of
from .parking import PARKED_QUEUE, arrived, ends_of, goes, gone, is_gone, is_parked, parked, unparked
from .storing import LOGS_AT_ONCE, number_problem, require_its_queue, restore, shared_queue


@dataclass(slots=True, kw_only=True)
class MoveReport:
    """The progress of a move."""

    moved: int = 0
    changed: int = 0
    """Jobs that were taken by a worker, or changed, after they were read."""

    known: int = 0
    """Jobs that stay because the target knows their ids, once-keys or unique keys."""

    following: int = 0
    """Jobs that stay because they run after a unique job that has not ended, or because another one runs after them."""

    unreadable: int = 0
    """Jobs that stay because they cannot be read as they are stored."""

    refused: dict[str, str] = field(default_factory=dict)
    """By the ids of jobs that stay: why the store of the target refuses them."""

    elsewhere: Counter[tuple[str, str]] = field(default_factory=Counter)
    """The numbers of parked jobs that an interrupted move to another alias has left in the source, by both aliases."""


class Move:
    """One move from the alias ``source`` to the alias ``target``."""

    def __init__(self, source: str, target: str) -> None:
        """Raises ``ValueError`` if nothing can be moved between the aliases, and ``QueueUnavailable``."""
        if source == target:
            raise ValueError(f"--from and --to are both {source!r}. To move jobs to another queue of it, give --queue.")
        self._ends = (source, target)
        self._target_alias = target
        backend_of(source), backend_of(target)  # an unknown alias is the worse mistake
        self._source, self._target = shared_queue(source), shared_queue(target)
        if self._source.database is not None and self._source.database == self._target.database:
            raise ValueError(
                f"TASKS[{source!r}] and TASKS[{target!r}] have their jobs in one table of DATABASES["
                f"{self._source.database!r}], where an id occurs once. So jobs cannot be moved between these two."
            )
        self.report = MoveReport()
        self._on_their_way = 0
        """The number of jobs that may be parked now."""
        self._stayed: set[str] = set()
        """The ids of jobs of an interrupted move that the target knows: if ``run`` finds one again, it counts once."""

    def check(self, found: Iterable[Job]) -> Iterator[MoveReport]:
        """Look at the jobs ``found`` as ``run`` does, and change nothing; yield the report.

        Jobs whose ids or keys the target knows count as moved. Raises ``QueueUnavailable``.
        """
        for job in found:
            self.report.moved += self._can_take(job)
            yield self.report

    def run(self, found: Iterable[Job]) -> Iterator[MoveReport]:
        """Finish what an interrupted move has left behind, then move the jobs ``found``; yield the report.

        Raises ``QueueUnavailable`` if a store goes away, and ``ValueError`` if the target lacks the queue of a job;
        ``Unfinished`` if something was done before.
        """
        try:
            self._release_copies()
            yield self.report
            for batch in batches(self._left_in_source(), lambda job: job):
                self._on_their_way = len(batch)
                self._carry(batch, is_resumed=True)
                self._on_their_way = 0
                yield self.report
            for batch in batches((job for job in found if self._can_take(job)), lambda job: job):
                for job in {job.queue_name: job for job in batch}.values():
                    require_its_queue(job, self._target_alias)
                self._on_their_way = len(batch)
                self._carry(self._park(batch), is_resumed=False)
                self._on_their_way = 0
                yield self.report
            self._release_copies()  # of jobs whose deletion took effect late, or was done by another command
            yield self.report
        except (LocoError, ValueError) as error:
            if not self.report.moved and not self._on_their_way:
                raise
            jobs = counted(self._on_their_way, "job is on its way, and does", "jobs are on their way, and do")
            way = f"Up to {jobs} not run. " if self._on_their_way else ""
            again = f"{way}To finish it, run the command again."
            raise unfinished(error, self.report.moved, "moved", again) from error

    def require_queues(self, found: Search) -> None:
        """Raise ``ValueError`` if the target lacks the queue of a job of ``found``, which waits in the source.

        ``run`` would move other jobs before it finds out. Raises ``QueueUnavailable``.
        """
        queues = backend_of(self._target_alias).queues
        waiting = {name for name, status in self._source.counts(1) if status == READY and name.isprintable()}
        if not queues or not (lacking := waiting - {*queues, PARKED_QUEUE}):
            return
        for job in found.filter(queue=map(escape, sorted(lacking))):
            if _is_movable(job):
                require_its_queue(job, self._target_alias)

    def _can_take(self, job: Job) -> bool:
        self.report.unreadable += not job.is_readable
        if not job.is_readable or is_parked(job):
            return False
        if follows(job) or self._is_followed(job):
            self.report.following += 1
            return False
        if problem := _problem(job):
            self.report.refused[job.id] = problem
        return not problem

    def _is_followed(self, job: Job) -> bool:
        """Return whether a job waits for the end of ``job``, which it would not see in another store."""
        key = job.unique_key if job.started_at is not None else None
        return key is not None and bool(self._source.holders({key_after(key)}))

    def _park(self, jobs: Sequence[Job]) -> list[Job]:
        moving = {job.id: parked(job, self._target_alias) for job in jobs}
        refused = self._source.change([Change(before=job, after=moving[job.id]) for job in jobs])
        self.report.changed += len(refused)
        return [job for job_id, job in moving.items() if job_id not in refused]

    def _carry(self, jobs: Sequence[Job], *, is_resumed: bool) -> None:
        """Do steps 2 to 4 with jobs that are parked in the source."""
        copies = {job.id: replace(job, backend=self._target_alias) for job in jobs}
        stored, refused = self._copy([*copies.values()])
        self.report.refused |= refused
        stay = set(refused)
        for job_id in copies.keys() - stored - stay:
            there = self._target.get(job_id)
            if there is not None and goes(there, *self._ends):
                copies[job_id] = there
            elif there is not None and is_resumed and not is_gone(there, self._ends[0]):
                del copies[job_id]  # it has arrived, and the source has lost the deletion
            else:
                stay.add(job_id)
                self.report.known += job_id not in self._stayed
                if is_resumed:
                    self._stayed.add(job_id)
        self._put_back([job for job in jobs if job.id in stay])
        left = _drop(self._source, [job for job in jobs if job.id not in stay])
        self._release([copy for job_id, copy in copies.items() if job_id in left])

    def _copy(self, copies: Sequence[Job]) -> tuple[set[str], Mapping[str, str]]:
        """Do step 2. A job that has run before may have kept logs, which are large, so fewer are copied at once."""
        new = [copy for copy in copies if copy.started_at is None]
        stored, refused = restore(self._target, new)
        begun = [copy for copy in copies if copy.started_at is not None]
        for first in range(0, len(begun), LOGS_AT_ONCE):
            few = begun[first : first + LOGS_AT_ONCE]
            more_stored, more_refused = restore(self._target, few, self._source.logs([copy.id for copy in few]))
            stored, refused = stored | more_stored, {**refused, **more_refused}
        return stored, refused

    def _put_back(self, jobs: Sequence[Job]) -> None:
        """Make parked jobs of the source ready again. The target has no copy of them."""
        if jobs:
            self._source.change([Change(before=job, after=unparked(job)) for job in jobs])

    def _release(self, copies: Sequence[Job]) -> None:
        if copies:
            refused = self._target.change([Change(before=copy, after=arrived(copy)) for copy in copies])
            self.report.moved += len(copies) - len(refused)

    def _release_copies(self) -> None:
        """Release the copies whose jobs have left the source. Drop the copies whose jobs are not parked any more."""
        for copies in batches((job for job in _all_parked(self._target) if goes(job, *self._ends)), lambda job: job):
            pairs = [(copy, self._source.get(copy.id)) for copy in copies]
            has_left = {copy.id for copy, job in pairs if job is None or is_gone(job, self._target_alias)}
            self._release([copy for copy in copies if copy.id in has_left])
            lives = {job.id for _, job in pairs if job is not None and not goes(job, *self._ends)} - has_left
            _drop(self._target, [copy for copy in copies if copy.id in lives])

    def _left_in_source(self) -> Iterator[Job]:
        for job in _all_parked(self._source):
            if goes(job, *self._ends):
                yield job
            elif is_parked(job) and ends_of(job)[0] == self._ends[0]:
                self.report.elsewhere[ends_of(job)] += 1


def _is_movable(job: Job) -> bool:
    return job.is_readable and job.batch is None and not is_parked(job)


def _problem(job: Job) -> str:
    """Return why ``job`` stays; empty if it can be moved.

    It is asked before the move: the target might accept the parked job, and refuse it later in its own queue.
    """
    if job.batch is not None:
        return f"it is a member of batch {job.batch}, which stays where it is"
    return number_problem(job) if is_name(job.queue_name) else f"its queue must be {NAME_REQUIREMENT}"


def _all_parked(queue: Queue) -> Iterator[Job]:
    before = None
    while page := queue.list(status=READY, queue_name=PARKED_QUEUE, before=before, limit=BATCH):
        yield from page
        before = page[-1].id


def _drop(queue: Queue, jobs: Sequence[Job]) -> set[str]:
    """Delete parked jobs, or keep them as cancelled if the queue still needs them for their once-keys.

    Returns the ids of the jobs that were still as they were read.
    """
    if not jobs:
        return set()
    refused = queue.change([Change(before=job, after=None) for job in jobs])
    if keyed := [job for job in jobs if job.id in refused and job.key is not None]:
        still = queue.change([Change(before=job, after=gone(job)) for job in keyed])
        refused -= {job.id for job in keyed} - still
    return {job.id for job in jobs} - refused
