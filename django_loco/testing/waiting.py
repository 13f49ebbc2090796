"""Claims the waiting jobs of a test one at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from ..core import running_tests
from ..core.job import FOREVER, Job, Outcome, utcnow
from ..core.job.limits import Limit, keys_of, name_of
from ..jobs.operations.reruns import follows
from ..jobs.operations.workflows.nodes import waits_for_nodes
from ..log.plain_text import counted
from ..log.safe import get_logger
from ..queues import Claim, Queue
from ..queues.claim import declared_limits
from ..queues.records.pauses import is_paused
from ..worker.pools.inline import LEASE_SECONDS
from .assertions.enqueued import waiting_jobs
from .environment import loco_queues

logger = get_logger("django_loco.testing")

WORKER_ID = "test"
#: Jobs that become due within this time are fetched as well, because a time in seconds is not exact.
MARGIN_SECONDS = 0.001

Held = tuple[Queue, Job]


@dataclass(slots=True)
class Selection:
    """Decides which jobs of a test are to run."""

    queue: str | None
    """The name of the only queue; ``None``: any queue."""

    is_scheduled: bool
    """Whether to run jobs that are not due yet."""

    is_recursive: bool
    """Whether to run jobs that were enqueued after this object was made."""

    _first: frozenset[str] = field(default_factory=lambda: frozenset(running_tests.enqueued()))

    def includes(self, job: Job) -> bool:
        """Return whether a waiting ``job`` of this test is to run now."""
        return (
            running_tests.has_enqueued(job.id)
            and (self.queue is None or job.queue_name == self.queue)
            and (self.is_recursive or job.id in self._first)
            and (
                job.run_after is None
                or job.run_after <= utcnow()
                or (self.is_scheduled and not _waits_for_an_event(job))
            )
        )


def _waits_for_an_event(job: Job) -> bool:
    """Return whether ``job`` cannot run at any time: it waits for a signal without a timeout, or for other jobs."""
    return job.run_after == FOREVER or waits_for_nodes(job) or follows(job)


def claimed(selection: Selection) -> Generator[Held]:
    """Claim and yield the waiting jobs in ``selection``, the most urgent first, until none is left.

    Other jobs that are fetched on the way stay claimed until the end, and are handed back unchanged.
    """
    others: list[Held] = []
    try:
        while wanted := [job for job in waiting_jobs() if selection.includes(job)]:
            if selection.is_scheduled:
                _open_limits(wanted)
            claims = [(queue, _claim(queue, selection, wanted)) for queue in loco_queues()]
            best = _best(claims, selection, others)
            if best is None:
                _warn_of_paused(wanted)
                return
            while best is not None:
                yield best
                best = _best(claims, selection, others)
    finally:
        for held in others:
            hand_back(held)


def _open_limits(jobs: Sequence[Job]) -> None:
    """Open the limit keys that other jobs closed with ``Throttled``, so that ``jobs`` need not wait."""
    for queue in loco_queues():
        keys = {key for job in jobs if job.backend == queue.alias and job.limit_key for key in keys_of(job.limit_key)}
        for name in {name_of(key) for key in keys}:
            queue.open_keys(name)


def hand_back(held: Held) -> None:
    """Make a claimed job wait as before."""
    queue, job = held
    queue.finish([Outcome.released(job, run_after=job.run_after)])


def _warn_of_paused(jobs: Sequence[Job]) -> None:
    """Log that ``jobs`` are left because their queues are paused. Test runners show the log of a failed test."""
    paused = {queue.alias: queue.paused() for queue in loco_queues()}
    left = Counter(job.queue_name for job in jobs if job.queue_name in paused[job.backend])
    for name, number in sorted(left.items()):
        logger.warning(
            "drain() ran no job of the paused queue %r, where %s: jobs.resume(queue=%r)",
            *(name, counted(number, "waits", "wait"), name),
        )
    pauses = {queue.alias: queue.paused_jobs() for queue in loco_queues()}
    held_back = Counter(pause for job in jobs for pause in pauses[job.backend] if is_paused(job, [pause]))
    for (kind, name), number in sorted(held_back.items()):
        text = "drain() ran no job of the paused %s %r, of which %s: jobs.resume(%s=%r)"
        logger.warning(text, kind, name, counted(number, "waits", "wait"), kind, name)


def _claim(queue: Queue, selection: Selection, wanted: Sequence[Job]) -> Claim:
    """Return the claim for ``queue``: all jobs that are due before the last of the ``wanted`` jobs.

    A database server has its own clock, which no test can move.
    """
    now = utcnow().timestamp() if queue.database is None else queue.clock()
    last = max((job.due_at.timestamp() for job in wanted if job.backend == queue.alias), default=now)
    names = None if selection.queue is None else (selection.queue,)
    ahead = last - now + MARGIN_SECONDS
    limits = dict.fromkeys(declared_limits(), Limit())  # any number of jobs may begin, unless a job closed a key
    return Claim(
        worker_id=WORKER_ID, lease=LEASE_SECONDS, threads=1, coroutines=1, queues=names, ahead=ahead, limits=limits
    )


def _best(claims: Sequence[tuple[Queue, Claim]], selection: Selection, others: list[Held]) -> Held | None:
    """Claim the next job: the most urgent one of all queues, sync or async."""
    found = [held for queue, claim in claims for held in _fetched(queue, claim, selection, others)]
    found.sort(key=lambda held: (-held[1].priority, held[1].due_at, held[1].id))
    for held in found[1:]:
        hand_back(held)
    return found[0] if found else None


def _fetched(queue: Queue, claim: Claim, selection: Selection, others: list[Held]) -> list[Held]:
    """Fetch the next job of each kind. Adds fetched jobs that are not in ``selection`` to ``others``."""
    found: list[Held] = []
    while jobs := queue.fetch(claim):
        count = len(others)
        for job in jobs:
            (found if selection.includes(job) else others).append((queue, job))
        if len(others) == count:
            break
    return found
