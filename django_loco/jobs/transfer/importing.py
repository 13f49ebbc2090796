"""Imports a dump, in two passes: the first looks at each line, and only if all are right the second stores the jobs.

Batches and workflows are stored before their members, and sealed at the end, so that none finishes before all its
members are there. A batch or workflow without a member in the dump is left out.

A job that exists is left alone, so an import that was interrupted may be run again. A job that was running when it was
dumped is ready again: nobody knows whether that run has ended, so it may run twice, as after the death of a worker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import BinaryIO, Literal, get_args

from ...core.job import READY, RUNNING, SUCCESSFUL, Job, utcnow
from ...exceptions import LocoError, QueueRefused, QueueUnavailable
from ...queues import Queue
from ...queues.records.batches import BatchCounts, BatchRecord
from ..operations.bulk import batches
from ..operations.unfinished import unfinished
from ..operations.workflows.releasing import hold_waiting
from .batch_lines import batch_of, is_batch
from .dump_lines import NotJSON, job_and_log_of, require_header
from .parking import is_parked, unparked
from .storing import in_alias, require_its_queue, restore, shared_queue

#: How to import jobs that have finished: keep them as they are, skip them, or run them once more.
Finished = Literal["keep", "skip", "rerun"]
FINISHED: tuple[Finished, ...] = get_args(Finished)

#: The number of mistakes that are remembered.
SHOWN = 20

#: The number of a line, the job in it, and its kept logs.
_Item = tuple[int, Job, str | None]


class BrokenLine(ValueError):
    """A line of a dump cannot be imported. The message has its number."""


@dataclass(slots=True, kw_only=True)
class ImportReport:
    """The contents of a dump, and what became of its jobs."""

    jobs: int = 0
    """The number of jobs that are to be stored, or were."""

    finished: int = 0
    """The number of these jobs that are stored as finished."""

    existing: int = 0
    """Jobs that were left alone: their ids, once-keys or unique keys are known."""

    left_out: int = 0
    """Finished jobs that were not wanted, or should run again, but have left for another store."""

    aliases: Counter[str] = field(default_factory=Counter)
    skipped: int = 0
    """Lines that are wrong, and jobs that the store refuses."""

    mistakes: list[str] = field(default_factory=list)
    """Sentences about the first of these lines and jobs."""

    def skip(self, mistake: str) -> None:
        """Count a line that is skipped, and keep the sentence about it."""
        self.skipped += 1
        if len(self.mistakes) < SHOWN:
            self.mistakes.append(mistake)


@dataclass(slots=True, kw_only=True)
class Import:
    """One import. Each method reads the file from its beginning."""

    file: BinaryIO
    """A dump that can be read twice."""

    backend: str | None = None
    """The alias for all jobs; ``None``: the alias that each job has."""

    finished: Finished = "keep"
    skips_errors: bool = False
    _known: set[tuple[str, str]] = field(default_factory=set, init=False)
    """Aliases and queues that were checked: a dump has many jobs, but few aliases and queues."""

    _batches: dict[str, BatchRecord] = field(default_factory=dict, init=False)
    """The batches of the dump by their ids."""

    _open: dict[tuple[str, str], int] = field(default_factory=dict, init=False)
    """Aliases and ids of the batches that are stored and not sealed yet, with the number of their members so far."""

    _whole: set[tuple[str, str]] = field(default_factory=set, init=False)
    """Aliases and ids of the batches that need nothing more."""

    def check(self, *, asks_stores: bool = False) -> ImportReport:
        """Look at each line, and store nothing. With ``asks_stores`` jobs whose ids are known count as existing.

        That takes a call per job, and raises ``QueueUnavailable``. Raises ``BrokenLine``, or another ``ValueError`` if
        it is not a dump or the alias cannot be used.
        """
        if self.backend is not None:
            shared_queue(self.backend)
        report = ImportReport()
        try:
            self._check(report, asks_stores=asks_stores)
        except BrokenLine as error:
            raise BrokenLine(f"{error} Nothing was imported. With --skip-errors the other lines are.") from None
        return report

    def _check(self, report: ImportReport, *, asks_stores: bool) -> None:
        for _, job, _ in self._items(report):
            if asks_stores and shared_queue(job.backend).get(job.id) is not None:
                report.existing += 1
                continue
            report.jobs += 1
            report.finished += job.status != READY
            report.aliases[job.backend] += 1

    def run(self) -> Iterator[ImportReport]:
        """Store the jobs in batches; yield the same report after each one.

        Raises ``Unfinished`` if the store goes away, and if it does not take a job, or a line is wrong, after some were
        stored; ``QueueRefused`` or ``BrokenLine`` if none were.
        """
        report = ImportReport()
        yield report
        try:
            for batch in batches(self._items(report), lambda item: item[1]):
                for alias, items in groupby(sorted(batch, key=_alias_of), key=_alias_of):
                    self._store(alias, [*items], report)
                yield report
            self._seal()
        except (LocoError, ValueError) as error:
            if not report.jobs and not isinstance(error, QueueUnavailable):
                raise
            again = "Run the command again for the others: those that exist are left alone."
            raise unfinished(error, report.jobs, "imported", again) from error

    def _store(self, alias: str, items: Sequence[_Item], report: ImportReport) -> None:
        lines = {job.id: number for number, job, _ in items}
        jobs = {job.id: job for _, job, _ in items}
        logs = {job.id: log for _, job, log in items if log is not None}
        queue = shared_queue(alias)
        for batch_id in {job.batch for job in jobs.values()} & self._batches.keys():
            self._open_batch(queue, alias, self._batches[str(batch_id)])
        stored, refused = restore(queue, [*jobs.values()], logs)
        self._note_members(queue, alias, [job for job in jobs.values() if job.id not in refused])
        report.jobs += len(stored)
        report.finished += sum(jobs[job_id].status != READY for job_id in stored)
        report.aliases[alias] += len(stored)
        report.existing += len(items) - len(stored) - len(refused)
        for job_id, reason in refused.items():
            mistake = f"Line {lines[job_id]:,} is refused by the store: {reason}"
            if not self.skips_errors:
                raise QueueRefused(f"{mistake} With --skip-errors the others are imported, too.")
            report.skip(mistake)

    def _open_batch(self, queue: Queue, alias: str, batch: BatchRecord) -> None:
        place = (alias, batch.id)
        if place in self._open or place in self._whole:
            return
        own = replace(batch, backend=alias)
        if batch.finished_at is None:
            own = replace(own, sealed_at=None, counts=BatchCounts())
        queue.restore_batch(own)
        there = queue.get_batch(batch.id)
        if batch.finished_at is None and there is not None and there.sealed_at is None:
            self._open[place] = 0
        else:  # an earlier import has stored all of it, or it was never gone
            self._whole.add(place)

    def _note_members(self, queue: Queue, alias: str, jobs: Sequence[Job]) -> None:
        """Count members of batches that are not sealed, and store the edges to the nodes among them."""
        nodes: dict[str, list[Job]] = {}
        for job in jobs:
            if (alias, str(job.batch)) in self._open:
                nodes.setdefault(str(job.batch), []).append(job)
        for batch_id, members in nodes.items():
            self._open[alias, batch_id] += len(members)
            hold_waiting(queue, batch_id, members)

    def _seal(self) -> None:
        """Seal the batches, whose members are all stored. Workers do the rest when they next look at all batches."""
        for (alias, batch_id), number in self._open.items():
            own = replace(self._batches[batch_id], backend=alias, counts=BatchCounts(total=number))
            shared_queue(alias).restore_batch(own)
        self._open.clear()

    def _items(self, report: ImportReport) -> Iterator[_Item]:
        self.file.seek(0)
        require_header(self.file.readline())
        for number, line in enumerate(self.file, 2):
            try:
                if is_batch(line):
                    batch = batch_of(line)
                    self._batches[batch.id] = batch
                    continue
                given, log = job_and_log_of(line)
                job = self._imported(given)
            except ValueError as error:
                mistake = f"Line {number:,} cannot be imported: {str(error).rstrip('.')}."
                if isinstance(error, NotJSON) and not line.endswith(b"\n"):
                    mistake = f"Line {number:,}, the last one, is cut off: the dump was not written to its end."
                if not self.skips_errors:
                    raise BrokenLine(mistake) from None
                report.skip(mistake)
                continue
            if job is None:
                report.left_out += 1
            else:
                yield number, job, log

    def _imported(self, job: Job) -> Job | None:
        """Return a job in the form to be stored; ``None`` if it is not wanted. Raises ``ValueError``."""
        alias = self.backend or job.backend
        if job.status in (READY, RUNNING):
            self._require_batch(job, alias)
        if (wanted := self._in_wanted_state(job)) is None:
            return None
        job = wanted
        if is_parked(job) and alias != job.backend:  # in its own alias, a move finishes what it has begun
            job = unparked(job)
        place = (alias, job.queue_name if job.status == READY else "")
        if place not in self._known:
            shared_queue(alias)
            if not is_parked(job):
                require_its_queue(job, alias)
            self._known.add(place)
        return in_alias(job, alias)

    def _in_wanted_state(self, job: Job) -> Job | None:
        """Return a job in the state to store it in; ``None`` if it is not wanted.

        A batch that goes on needs its finished members, too: their results, and whether they failed.
        """
        if job.status == RUNNING:
            return replace(job, status=READY, token=None, worker_id=None)
        batch = self._batches.get(job.batch or "")
        goes_on = batch is not None and batch.finished_at is None
        if job.status == READY or goes_on or self.finished == "keep":
            return job
        if self.finished == "skip" or job.is_moving:  # it has left for another store, and runs there
            return None
        return _ready_again(job)

    def _require_batch(self, job: Job, alias: str) -> None:
        """Raise ``ValueError`` if ``job`` is a member of a batch that is neither in the dump nor in the store.

        As a node of a workflow it would wait for ever; as a member of a batch it would have no callbacks.
        """
        place = (alias, job.batch or "")
        if job.batch is None or job.batch in self._batches or place in self._whole:
            return
        if shared_queue(alias).get_batch(job.batch) is None:
            raise ValueError(f"it is a member of batch or workflow {job.batch}, which is neither in the dump nor here")
        self._whole.add(place)


def _ready_again(job: Job) -> Job:
    """Return a finished job, changed so that it waits."""
    if job.status == SUCCESSFUL:  # with the results of its steps, it would do none of them again
        job = replace(job, steps=None, waits=None, signals=None, progress=None)
    return replace(job, status=READY, run_after=utcnow(), expires_at=None, finished_at=None, return_value=None)


def _alias_of(item: _Item) -> str:
    return item[1].backend
