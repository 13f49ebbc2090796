"""Reads the jobs that match a filter, the newest first, in pages and by their ids, so that no list is long.

The bounds of a filter choose the streams: one for each alias, status and queue, which the queue can read by itself.
They are merged by id, and the rest of the filter is applied to each job. A job that moves from one stream to another
meanwhile may be missed, but is never yielded twice. Only a job on its way to another store is: once of each store.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from operator import attrgetter
from typing import Any

from ..core.compat import TaskResultStatus
from ..core.job import Job, utcnow
from ..queues import Queue
from .language import Filter
from .stores import aliases, queue_of

#: The number of jobs in the first page, and in the largest. Each page is twice as long as the one before it.
FIRST_PAGE, LARGEST_PAGE = 100, 1_000
#: The approximate number of bytes that a page should not exceed. Jobs may have large arguments and tracebacks.
PAGE_BYTES = 8 << 20


def size_of(job: Job) -> int:
    """Return the approximate number of bytes of the large fields of ``job``."""
    texts = (job.arguments, job.return_value, job.checkpoint, job.metadata, job.progress, job.steps)
    return sum(len(text) for text in texts if text) + sum(len(error.traceback) for error in job.errors)


@dataclass(slots=True)
class Scan:
    """One pass over the jobs that match a filter. Iterate it once, and ask afterwards how far it came."""

    filter: Filter
    before: str | None = None
    """Only jobs with a lower id; ``None``: from the newest."""

    window: int | None = None
    """The number of jobs to look at; ``None``: all."""

    looked_at: int = 0
    last_id: str | None = None
    """The id of the last job that was looked at."""

    reached_window: bool = False
    """Whether it has ended because it had looked at ``window`` jobs, and there are more."""

    def __iter__(self) -> Iterator[Job]:
        """Yield the jobs. Raises ``QueueUnavailable``."""
        seen: set[str] = set()
        for job in heapq.merge(*self._streams(), key=attrgetter("id"), reverse=True):
            if job.id != self.last_id:
                seen.clear()
            elif job.backend in seen:  # it is in a second stream by now
                continue
            seen.add(job.backend)
            if self.looked_at == self.window:
                self.reached_window = True
                return
            self.looked_at += 1
            self.last_id = job.id
            if self.filter.matches(job, utcnow()):
                yield job

    def _streams(self) -> Iterator[Iterable[Job]]:
        bounds = self.filter.bounds
        before = min(filter(None, (bounds.before, self.before)), default=None)
        for alias in aliases():
            if bounds.backends is not None and alias not in bounds.backends:
                continue
            queue = queue_of(alias)
            if bounds.ids is not None:
                yield _by_ids(queue, bounds.ids, before)
                continue
            for status, name in product(_each(bounds.statuses), _each(bounds.queues)):
                yield _pages(queue, status, name, before, bounds.since)


def _each(chosen: frozenset[Any] | None) -> Iterable[Any]:
    """Return what a queue is asked for one after the other: what was chosen, or everything at once."""
    return (None,) if chosen is None else sorted(chosen)


def _by_ids(queue: Queue, ids: Iterable[str], before: str | None) -> Iterator[Job]:
    wanted = sorted((job_id for job_id in ids if before is None or job_id < before), reverse=True)
    first, size = 0, FIRST_PAGE
    while first < len(wanted):
        page = sorted(queue.get_many(wanted[first : first + size]), key=attrgetter("id"), reverse=True)
        yield from page
        first += size
        size = _next_size(page) if page else LARGEST_PAGE


def _pages(
    queue: Queue, status: TaskResultStatus | None, name: str | None, before: str | None, since: str | None
) -> Iterator[Job]:
    size = FIRST_PAGE
    while True:
        page = queue.list(status=status, queue_name=name, before=before, limit=size)
        for job in page:
            if since is not None and job.id < since:
                return
            yield job
        if len(page) < size:
            return
        before = page[-1].id
        size = _next_size(page)


def _next_size(page: list[Job]) -> int:
    """Return the size of the page after ``page``, by the size of its jobs."""
    fitting = PAGE_BYTES * len(page) // max(1, sum(map(size_of, page)))
    return max(1, min(2 * len(page), LARGEST_PAGE, fitting))
