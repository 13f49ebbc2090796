"""Saves the jobs that wait in memory to files at the end of a process, and loads them in another one.

The batches and workflows that go on are saved, too. Running jobs may end after that: each call of ``save`` writes the
batches that have changed since the last one, and ``load`` puts together what it finds. A member whose end is in no
file has run when its process was killed, and counts as cancelled.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ...core.job import FAILED, Job, Outcome, error_of
from ...exceptions import JobCancelled
from ...log.plain_text import counted
from ...log.safe import get_logger
from ..records.batches import BatchRecord
from ..records.workflows import is_held
from .jobs.job_table import JobTable
from .lines import KeptBatch, KeptJob
from .records.batches import BatchTable
from .records.workflows import Graph
from .spool import read_spool, write_spool

logger = get_logger("django_loco.queues")


class MemorySaving:
    """Saves and loads the waiting jobs and the batches of a queue."""

    alias: str
    _lock: threading.RLock
    _jobs: JobTable
    _batches: BatchTable
    _graphs: dict[str, Graph]
    _kept_batches: dict[str, KeptBatch]
    """The batches as they are in files that this process has written."""

    @abstractmethod
    def _add(self, jobs: Sequence[Job]) -> None:
        """Let ``jobs`` wait."""

    @abstractmethod
    def _store(self, jobs: Sequence[Job]) -> None:
        """Add jobs that wait or have ended."""

    def save(self, folder: Path) -> int:
        """Move the jobs that wait, deferred ones too, to a new file in ``folder``; return how many.

        Batches that go on are copied into it. Jobs that are held stay. If the file cannot be written (``OSError``), all
        stay.
        """
        with self._lock:
            batches = self._batches_to_keep()
            jobs = self._jobs.waiting.take_all()
            logs = {job.id: self._jobs.logs[job.id] for job in jobs if job.id in self._jobs.logs}
            for job in jobs:
                self._jobs.hand_over(job)
        try:
            write_spool(folder, self.alias, jobs, logs, batches)
        except BaseException:
            self._restore(jobs, logs)
            raise
        self._kept_batches |= {kept.record.id: kept for kept in batches}
        return len(jobs)

    def _batches_to_keep(self) -> list[KeptBatch]:
        """Return the batches that go on, if they have changed since they were saved, or jobs of theirs wait."""
        going_on = self._batches.going_on()
        if not going_on:
            return []
        waiting = {job.batch for job_id in self._jobs.waiting.ids() if (job := self._jobs.waiting.get(job_id))}
        ended: dict[str | None, list[KeptJob]] = {}
        for job in self._jobs.finished.values():
            if self._batches.is_kept(job, if_room=True):
                ended.setdefault(job.batch, []).append(KeptJob(job, self._jobs.logs.get(job.id)))
        found = [self._kept(record, ended.get(record.id, [])) for record in going_on]
        return [kept for kept in found if kept.record.id in waiting or kept != self._kept_batches.get(kept.record.id)]

    def _kept(self, record: BatchRecord, ended: Sequence[KeptJob]) -> KeptBatch:
        graph = self._graphs.get(record.id)
        return KeptBatch(record, self._batches.standings(record.id), [] if graph is None else graph.edges(), ended)

    def load(self, folder: Path) -> int:
        """Enqueue the jobs that ``save`` left in ``folder``, in this process or another; return how many.

        Does not check ``max_waiting`` and once-keys, because these jobs were accepted before.
        """
        loaded: set[str] = set()
        batches: set[str] = set()

        def take(jobs: Sequence[Job], logs: Mapping[str, str]) -> None:
            self._restore(jobs, logs)
            loaded.update(job.id for job in jobs if is_held(job))

        def take_batches(kept: Sequence[KeptBatch]) -> None:
            self._restore_batches(kept)
            batches.update(each.record.id for each in kept)

        with self._lock:  # nobody may see a batch while some of its members are in another file
            count = read_spool(folder, self.alias, take, take_batches)
            for batch_id in batches:
                self._batches.give_up_lost(batch_id, self._jobs.get)
            self._cancel_lost([job for job_id in sorted(loaded) if (job := self._jobs.waiting.get(job_id))])
        return count

    def _restore(self, jobs: Sequence[Job], logs: Mapping[str, str]) -> None:
        with self._lock:
            free = {job.id for job in self._jobs.unique.free(jobs)}
            for job in jobs:  # an older file may have its last end
                self._jobs.finished.pop(job.id, None)
            self._add([job if job.id in free else replace(job, unique_key=None) for job in jobs])
            self._jobs.logs |= logs

    def _restore_batches(self, batches: Sequence[KeptBatch]) -> None:
        for record, members, edges, ended in batches:
            self._batches.merge(record, members)
            self._kept_batches.pop(record.id, None)
            graph = self._graphs.setdefault(record.id, Graph()) if edges else Graph()
            for edge in edges:
                graph.add(edge)
            new = [kept for kept in ended if self._jobs.get(kept.job.id) is None]
            self._jobs.logs |= {kept.job.id: kept.log for kept in new if kept.log is not None}
            self._store([kept.job for kept in new])

    def _cancel_lost(self, nodes: Sequence[Job]) -> None:
        """End the nodes that wait for others in a workflow that is not here: nothing would ever release them."""
        lost = [job for job in nodes if job.batch not in self._batches.records]
        if not lost:
            return
        self._jobs.remove(lost)
        self._store([_cancelled(job) for job in lost])
        logger.warning(
            "%s cancelled: the file of an earlier process has them, but not the workflows that they belong to",
            counted(len(lost), "node that waited for others was", "nodes that waited for others were"),
        )


def _cancelled(job: Job) -> Job:
    reason = (
        f"cancelled, because the file of an earlier process has this node of workflow {job.batch}, but not the workflow"
    )
    return Outcome(job=job, status=FAILED, spent=False, error=error_of(JobCancelled, reason)).applied()
