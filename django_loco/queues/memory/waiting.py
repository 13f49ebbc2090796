"""The jobs that wait in memory, in the order in which they should run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from heapq import heapify, heappop, heappush, heapreplace

from ...core.job import Job
from ..claim import Claim
from ..records.pauses import JobPause, is_paused

#: Sorts like the jobs should run: priority (negated), due time, id.
_Place = tuple[int, datetime, str]
_Line = list[_Place]
#: The kind of jobs in a line: whether they are async, their queue, and their tags.
_Kind = tuple[bool, str, tuple[str, ...]]


class WaitingJobs:
    """A plain data structure, for one thread at a time.

    1. ``add`` puts a job into the line of its kind, or among the deferred jobs until it is due.
    2. ``promote`` moves the jobs that have become due.
    3. ``take`` takes the best jobs of all kinds that a claim accepts. It never looks at other jobs, so a million of
    them
       cost nothing.
    """

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lines: dict[_Kind, _Line] = {}
        self._deferred: list[tuple[datetime, str]] = []
        self.pauses: set[JobPause] = set()
        self._held_back: set[str] = set()
        """The ids of jobs that are due, and whose task or tag is paused."""

    def __len__(self) -> int:
        return len(self._jobs)

    def ids(self) -> Iterable[str]:
        """Return the ids of all jobs that wait, the latest to arrive first."""
        return reversed(self._jobs)

    def counts(self) -> Counter[str]:
        """Return how many jobs wait in each queue."""
        counts = Counter(self._jobs[job_id].queue_name for _, job_id in self._deferred)
        for (_, queue_name, _), line in self._lines.items():
            counts[queue_name] += len(line)
        counts.update(self._jobs[job_id].queue_name for job_id in self._held_back)
        return counts

    def get(self, job_id: str) -> Job | None:
        """Return a waiting job."""
        return self._jobs.get(job_id)

    def add(self, job: Job, now: datetime, *, is_due: bool = False) -> bool:
        """Let ``job`` wait; return whether it is due. With ``is_due`` it is due regardless of the clock."""
        self._jobs[job.id] = job
        due = is_due or job.run_after is None or job.run_after <= now
        if due:
            self._line_up(job)
        else:
            heappush(self._deferred, (job.due_at, job.id))
        return due

    def promote(self, now: datetime) -> bool:
        """Line up the deferred jobs that are due by now; return whether there were any."""
        promoted = False
        while self._deferred and self._deferred[0][0] <= now:
            self._line_up(self._jobs[heappop(self._deferred)[1]])
            promoted = True
        return promoted

    def next_due(self) -> datetime | None:
        """Return when the first of the deferred jobs becomes due."""
        return self._deferred[0][0] if self._deferred else None

    def take(self, claim: Claim, paused: Collection[str] = ()) -> list[Job]:
        """Remove and return the best jobs that ``claim`` accepts, best first, except those of ``paused`` queues."""
        places = [
            *self._take(claim, False, claim.threads, paused),
            *self._take(claim, True, claim.coroutines, paused),
        ]
        return [self._jobs.pop(job_id) for _, _, job_id in sorted(places)]

    def remove(self, jobs: Sequence[Job]) -> None:
        """Remove jobs that wait, as they were added."""
        gone = {self._jobs.pop(job.id).id for job in jobs}
        self._held_back -= gone
        self._deferred = [place for place in self._deferred if place[-1] not in gone]
        heapify(self._deferred)
        for kind in {_kind_of(job) for job in jobs} & self._lines.keys():
            line = [place for place in self._lines[kind] if place[-1] not in gone]
            heapify(line)
            if line:
                self._lines[kind] = line
            else:
                del self._lines[kind]

    def take_all(self) -> list[Job]:
        """Remove and return every job, deferred or not."""
        jobs = list(self._jobs.values())
        for emptied in (self._jobs, self._lines, self._deferred, self._held_back):
            emptied.clear()
        return jobs

    def oldest_due(self, queues: tuple[str, ...] | None) -> datetime | None:
        """Return the earliest due time of the jobs that are lined up in ``queues``."""
        lines = (line for kind, line in self._lines.items() if queues is None or kind[1] in queues)
        return min((due_at for line in lines for _, due_at, _ in line), default=None)

    def pause(self, pause: JobPause) -> None:
        """Hold back the jobs of a task or a tag."""
        self.pauses.add(pause)
        due = [self._jobs[job_id] for line in self._lines.values() for _, _, job_id in line]
        self._lines.clear()
        for job in due:
            self._line_up(job)

    def resume(self, pause: JobPause) -> bool:
        """End a pause; return whether there was one."""
        if pause not in self.pauses:
            return False
        self.pauses.remove(pause)
        held_back, self._held_back = self._held_back, set()
        for job_id in held_back:
            self._line_up(self._jobs[job_id])
        return True

    def _line_up(self, job: Job) -> None:
        if self.pauses and is_paused(job, self.pauses):
            self._held_back.add(job.id)
            return
        line = self._lines.setdefault(_kind_of(job), [])
        heappush(line, (-job.priority, job.due_at, job.id))

    def _take(self, claim: Claim, is_async: bool, room: int, paused: Collection[str]) -> Sequence[_Place]:
        kinds = [
            kind for kind in self._lines if kind[0] is is_async and kind[1] not in paused and _accepts(claim, kind)
        ]
        heads = [(self._lines[kind][0], kind) for kind in kinds]
        heapify(heads)
        taken: list[_Place] = []
        while heads and len(taken) < room:
            kind = heads[0][1]
            line = self._lines[kind]
            taken.append(heappop(line))
            if line:
                heapreplace(heads, (line[0], kind))
            else:
                heappop(heads)
                del self._lines[kind]
        return taken


def _kind_of(job: Job) -> _Kind:
    return job.is_async, job.queue_name, job.tags


def _accepts(claim: Claim, kind: _Kind) -> bool:
    _, queue_name, tags = kind
    if claim.queues is not None and queue_name not in claim.queues:
        return False
    if not claim.tags:
        return claim.tags is None or not tags
    return not set(tags).isdisjoint(claim.tags)
