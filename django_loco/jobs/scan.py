"""Reads the jobs that match a filter, the newest first, in pages and by their ids, so that no list is long.

The bounds of a filter choose the streams: one for each alias, status and queue, which the queue can read by itself.
They are merged by id, and the rest of the filter is applied to each job. If a filter names so many queues that an alias
would have more than ``MOST_STREAMS``, the jobs of all its queues are read. A job that moves from one stream to another
meanwhile may be missed, but is never yielded twice. The exception is a job on its way to another store: it is yielded
once for each store.

To read and decode a job costs several times as much as to read its call alone. So if the filter has a condition on the
calls, and few jobs of a page match it, the next page has calls only, and only the jobs whose calls match are read.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from operator import attrgetter
from typing import Any

from ..core.job import Job, JobCall, utcnow
from ..queues import Queue
from ..queues.lookups import Which
from .language import Filter
from .language.words import CallTest
from .stores import aliases, queue_of

#: The number of jobs in the first page, and in the largest. Each page is twice as long as the one before it.
FIRST_PAGE, LARGEST_PAGE = 100, 1_000
#: The approximate number of bytes that a page should not exceed. Jobs may have large arguments and tracebacks.
PAGE_BYTES = 8 << 20
#: Each stream of an alias is a query to its store. With more of them, it is faster to read the jobs of all queues.
MOST_STREAMS = 200
#: After a page with less than one match in this number of jobs, only calls are read.
RARE = 10


def size_of(job: Job | JobCall) -> int:
    """Return the approximate number of bytes of the large fields of ``job``."""
    if isinstance(job, JobCall):
        return len(job.arguments)
    size = len(job.arguments)
    for text in (job.return_value, job.checkpoint, job.metadata, job.progress, job.steps):
        if text is not None:
            size += len(text)
    for error in job.errors:
        size += len(error.traceback)
    return size


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
            if isinstance(job, Job) and self.filter.matches(job, utcnow()):
                yield job

    def _streams(self) -> Iterator[Iterable[Job | JobCall]]:
        bounds = self.filter.bounds
        before = min(filter(None, (bounds.before, self.before)), default=None)
        for alias in aliases():
            if bounds.backends is not None and alias not in bounds.backends:
                continue
            queue = queue_of(alias)
            if bounds.ids is not None:
                yield _by_ids(queue, bounds.ids, before)
                continue
            statuses, names = _each(bounds.statuses), _each(bounds.queues)
            if len(statuses) * len(names) > MOST_STREAMS:
                names = (None,)
            for status, name in product(statuses, names):
                which: Which = {"status": status, "queue_name": name, "before": before}
                yield _pages(queue, which, bounds.since, self.filter.of_call)


def _each(chosen: frozenset[Any] | None) -> Sequence[Any]:
    """Return the values that a queue is asked for one after the other; ``None`` among them stands for all values."""
    return (None,) if chosen is None else sorted(chosen)


def _by_ids(queue: Queue, ids: Iterable[str], before: str | None) -> Iterator[Job]:
    wanted = sorted((job_id for job_id in ids if before is None or job_id < before), reverse=True)
    first, size = 0, FIRST_PAGE
    while first < len(wanted):
        page = sorted(queue.get_many(wanted[first : first + size]), key=attrgetter("id"), reverse=True)
        yield from page
        first += size
        size = _next_size(page) if page else LARGEST_PAGE


def _pages(queue: Queue, which: Which, since: str | None, of_call: CallTest | None) -> Iterator[Job | JobCall]:
    size, is_rare = FIRST_PAGE, False
    while True:
        which["limit"] = size
        page = queue.list_calls(**which) if is_rare else queue.list(**which)
        found = [each for each in page if of_call(each)] if of_call is not None else page
        missing = [each.id for each in found if isinstance(each, JobCall)]
        jobs = {job.id: job for job in queue.get_many(missing)} if missing else {}
        for each in page:
            if since is not None and each.id < since:
                return
            yield jobs.get(each.id, each)
        if len(page) < size:
            return
        is_rare = RARE * len(found) < len(page)
        which["before"] = page[-1].id
        size = _next_size(page)


def _next_size(page: Sequence[Job | JobCall]) -> int:
    """Return the size of the page after ``page``, by the size of its jobs."""
    fitting = PAGE_BYTES * len(page) // max(1, sum(map(size_of, page)))
    return max(1, min(2 * len(page), LARGEST_PAGE, fitting))
