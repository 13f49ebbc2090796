"""The jobs that wait in memory, the next to run first."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from heapq import heapify, heappop, heappush, heapreplace

from ....core.job import Job
from ....core.job.limits import Limiter
from ...claim import Claim
from ...records.pauses import JobPause, is_paused

#: A sort key for the order of jobs: priority (negated), due time, id.
_Place = tuple[int, datetime, str]
_Line = list[_Place]
#: The kind of jobs in a line: whether they are async, their queue, their tags, their limit key if they obey limits, and
#: their priority (negated).
_Kind = tuple[bool, str, tuple[str, ...], str | None, int]


class WaitingJobs:
    """A plain data structure, for one thread at a time.

    1. ``add`` puts a job into the line of its kind, or among the deferred jobs until it is due.
    2. ``promote`` moves the jobs that have become due.
    3. ``take`` takes the best jobs of all kinds that a claim accepts. It never looks at other jobs, so a million of
       them cost nothing. Lines of limited jobs take turns: by their priority, the one that has waited longest first.
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
        for kind, line in self._lines.items():
            counts[kind[1]] += len(line)
        counts.update(self._jobs[job_id].queue_name for job_id in self._held_back)
        return counts

    def limit_keys(self, claim: Claim | None = None, paused: Collection[str] = ()) -> dict[str, tuple[int, datetime]]:
        """Return by limit key how many jobs are due, and since when; with ``claim`` only jobs that it accepts."""
        keys: dict[str, tuple[int, datetime]] = {}
        for kind, line in self._lines.items():
            is_wanted = claim is None or (kind[1] not in paused and _has_room(claim, kind[0]) and _accepts(claim, kind))
            if kind[3] is not None and is_wanted and line:
                number, oldest = keys.get(kind[3], (0, line[0][1]))
                keys[kind[3]] = number + len(line), min(oldest, line[0][1])
        return keys

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

    def take(self, claim: Claim, limiter: Limiter, paused: Collection[str] = ()) -> list[Job]:
        """Remove and return the best jobs that ``claim`` accepts, best first, except those of ``paused`` queues.

        Jobs that obey limits are left where they are unless ``limiter`` has room for them.
        """
        places: list[_Place] = []
        for is_async, room in ((False, claim.threads), (True, claim.coroutines)):
            kinds = [
                kind for kind in self._lines if kind[0] is is_async and kind[1] not in paused and _accepts(claim, kind)
            ]
            places += self._take(kinds, room, limiter, _ranks_of(claim))
        return [self._jobs.pop(job_id) for _, _, job_id in sorted(places, key=_ranks_of(claim))]

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

    def oldest_due(self, queues: tuple[str, ...] | None, *, limited: bool = False) -> datetime | None:
        """Return the earliest due time of the jobs that are lined up in ``queues``, limited or not."""
        wanted = {kind: line for kind, line in self._lines.items() if (kind[3] is not None) is limited}
        lines = (line for kind, line in wanted.items() if queues is None or kind[1] in queues)
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

    def _take(
        self, kinds: Sequence[_Kind], room: int, limiter: Limiter, rank: Callable[[_Place], _Place]
    ) -> Sequence[_Place]:
        heads = [(rank(self._lines[kind][0]), kind) for kind in kinds if kind[3] is None]
        heapify(heads)
        turns = Turns((kind for kind in kinds if kind[3] is not None), limiter, lambda kind: rank(self._lines[kind][0]))
        taken: list[_Place] = []
        while len(taken) < room:
            turn = turns.next()
            if turn is not None and (not heads or rank(self._lines[turn][0]) < heads[0][0]):
                line = self._lines.pop(turn)  # its turn comes again when all others have had theirs
                taken.append(heappop(line))
                if line:
                    self._lines[turn] = line
                turns.took(still_waits=bool(line))
            elif heads:
                taken.append(self._take_first(heads, rank))
            else:
                break
        return taken

    def _take_first(self, heads: list[tuple[_Place, _Kind]], rank: Callable[[_Place], _Place]) -> _Place:
        kind = heads[0][1]
        line = self._lines[kind]
        place = heappop(line)
        if line:
            heapreplace(heads, (rank(line[0]), kind))
        else:
            heappop(heads)
            del self._lines[kind]
        return place


class Turns:
    """Whose turn it is among lines of limited jobs, within one claim."""

    def __init__(self, kinds: Iterable[_Kind], limiter: Limiter, rank: Callable[[_Kind], _Place]) -> None:
        """``kinds`` with the same priority are in the order of their turns; ``rank`` sorts priorities.

        The rank of a priority is the rank of the first job in the line whose turn it is.
        """
        self._rounds: dict[int, deque[_Kind]] = {}
        for kind in kinds:
            self._rounds.setdefault(kind[4], deque()).append(kind)
        # The best one is the last.
        self._levels = sorted(self._rounds, key=lambda level: rank(self._rounds[level][0]), reverse=True)
        self._limiter = limiter

    def next(self) -> _Kind | None:
        """Return the line of the highest priority whose turn it is, and whose limits have room."""
        while self._levels:
            level = self._rounds[self._levels[-1]]
            while level:
                limit_key = str(level[0][3])
                if self._limiter.has_room(limit_key):
                    return level[0]
                level.popleft()
            self._levels.pop()
        return None

    def took(self, *, still_waits: bool) -> None:
        """Record that a job was taken from the line that ``next`` has returned."""
        level = self._rounds[self._levels[-1]]
        kind = level.popleft()
        self._limiter.start(str(kind[3]))
        if still_waits:
            level.append(kind)


def _kind_of(job: Job) -> _Kind:
    return job.is_async, job.queue_name, job.tags, job.limit_key, -job.priority


def _ranks_of(claim: Claim) -> Callable[[_Place], _Place]:
    """Return the function that turns places into the sort keys of ``claim``."""
    return _itself if claim.ageing is None else lambda place: (*claim.rank(-place[0], place[1]), place[2])


def _itself(place: _Place) -> _Place:
    return place


def _has_room(claim: Claim, is_async: bool) -> bool:
    return (claim.coroutines if is_async else claim.threads) > 0


def _accepts(claim: Claim, kind: _Kind) -> bool:
    _, queue_name, tags, _, _ = kind
    if claim.queues is not None and queue_name not in claim.queues:
        return False
    if not claim.tags:
        return claim.tags is None or not tags
    return not set(tags).isdisjoint(claim.tags)
