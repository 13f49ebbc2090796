"""A search for jobs: lazy, the newest first, with operations on all jobs that it finds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Self, Unpack, overload

from ..core.job import Job, utcnow
from ..exceptions import LocoError
from ..log.plain_text import counted
from .language import Filter, Keywords, filter_of
from .language.patterns import escape
from .operations import Cancel, Delete, GiveUp, Operation, Retry, is_possible
from .operations.bulk import BulkRun
from .operations.edits import move_of, of_several, update_of
from .presentation.numbers import number_text
from .scan import Scan
from .stores import aliases, queue_of

#: Jobs are counted up to this number.
COUNTED = 10_000


class Count(int):
    """A number of jobs. It may end at a cap or a window: then ``10_000`` stands for that many or more."""

    is_capped: bool
    """Whether there are more, or may be."""

    left_alone: int
    """The number of jobs that ``update(run_after=...)`` has left alone, because they wait for more than a time."""

    keys_kept: int
    """The number of jobs that ``delete()`` has left alone, because their queues still have to know their once-keys."""

    def __new__(cls, number: int, *, is_capped: bool = False, left_alone: int = 0, keys_kept: int = 0) -> Self:
        """Make it from a ``number``."""
        count = super().__new__(cls, number)
        count.is_capped, count.left_alone, count.keys_kept = is_capped, left_alone, keys_kept
        return count

    @property
    def text(self) -> str:
        """The number for people: ``10,000+`` if it is capped."""
        return f"{number_text(self)}{'+' * self.is_capped}"


def total(numbers: Iterable[Count]) -> Count:
    """Return the sum of ``numbers``, at most ``COUNTED``."""
    counts = [*numbers]
    number = sum(counts)
    is_capped = number > COUNTED or any(each.is_capped for each in counts)
    return Count(min(number, COUNTED), is_capped=is_capped)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """Some jobs of a search, the newest first, and where the next page begins."""

    jobs: Sequence[Job]
    next: str | None
    """The value of ``before`` for the next page; ``None``: there are no more jobs."""

    looked_at: int
    """The number of jobs that were read for it."""

    reached_window: bool
    """Whether it ended at the ``window`` of the search, so that the page may lack jobs."""


@dataclass(frozen=True, slots=True, repr=False)
class Search:
    """The jobs that match a filter, in all aliases of ``TASKS`` that use django-loco, the newest first.

    It is lazy: nothing is read until it is iterated, counted or operated on, and each use reads again. It is read
    in pages, by id, so that any number of jobs may match. Durations such as ``older:2h`` count from when it was made.

    Operations return the number of jobs that they have changed; ``Count.is_capped`` if they ended at the ``window``.
    Jobs are left alone if the operation is not possible in their state. Each job is changed only if it is as it was
    read; a job that has changed is read again. So operations may run beside workers and each other, and be repeated
    after an error. All methods that read or write raise ``QueueUnavailable`` if a store does not answer. An operation
    that cannot be done with the jobs of an alias is refused before any job is changed. An error that stops an operation
    after a part of the jobs is raised as ``Unfinished``.
    """

    condition: Filter = Filter()  # noqa: RUF009 - it cannot be changed
    first_place: int = 0
    """The number of jobs to leave out: from a slice."""

    end_place: int | None = None
    window: int | None = None
    """The number of jobs to look at, matching or not; ``None``: all."""

    def __str__(self) -> str:
        """Return the filter as text, which ``filter`` takes."""
        return str(self.condition)

    def __repr__(self) -> str:
        end = "" if self.end_place is None else self.end_place
        part = f"[{self.first_place or ''}:{end}]" if self.is_slice else ""
        return f"jobs.filter({str(self)!r}){part}"

    def __iter__(self) -> Iterator[Job]:
        """Yield the jobs."""
        return islice(self._scan(), self.first_place, self.end_place)

    def __bool__(self) -> bool:
        """Whether a job matches."""
        return self.exists()

    @overload
    def __getitem__(self, place: int) -> Job: ...
    @overload
    def __getitem__(self, place: slice) -> Search: ...
    def __getitem__(self, place: int | slice) -> Job | Search:
        """Return the job at a place, or a search for the jobs in a slice: ``[:50]`` are the 50 newest."""
        if isinstance(place, slice):
            return self._part(place)
        if place < 0:
            raise ValueError("a search has no last job; use places from 0 on.")
        for job in self[place : place + 1]:
            return job
        raise IndexError(f"fewer than {counted(place + 1, 'job matches', 'jobs match')} {str(self)!r}.")

    def _part(self, part: slice) -> Search:
        start, stop = part.start or 0, part.stop
        if part.step not in (None, 1) or start < 0 or (stop is not None and stop < 0):
            raise ValueError("a slice of a search has no step, and places from 0 on.")
        ends = [self.first_place + max(start, stop)] if stop is not None else []
        ends += [self.end_place] if self.end_place is not None else []
        return replace(self, first_place=self.first_place + start, end_place=min(ends, default=None))

    def filter(self, text: str = "", /, **keywords: Unpack[Keywords]) -> Search:
        """Return the search for the jobs that match this filter as well. Raises ``FilterError``.

        Raises ``ValueError`` for a slice: it would not be clear whether the filter applies before or after it.
        """
        if self.is_slice:
            raise ValueError("filter first, and slice then.")
        return replace(self, condition=self.condition & filter_of(text, keywords))

    def first(self) -> Job | None:
        """Return the newest job; ``None`` if none matches."""
        return next(iter(self), None)

    def exists(self) -> bool:
        """Return whether a job matches."""
        return self.first() is not None

    def ids(self) -> Iterator[str]:
        """Yield the ids of the jobs."""
        return (job.id for job in self)

    def count(self, limit: int = COUNTED) -> Count:
        """Return the number of jobs, counted up to ``limit``, or to the ``window``; see ``Count.is_capped``.

        The queues count by themselves if the filter has only ``queue:``, ``backend:``, and statuses that they know:
        ``running``, ``done``, ``ready``, and ``failed,cancelled``. Otherwise the jobs are read.
        """
        if self.condition.is_exact and not self.is_slice and self.window is None:
            number = self._counted_by_queues(limit)
            return Count(min(number, limit), is_capped=number > limit)
        scan = self._scan()
        number = sum(1 for _ in islice(scan, self.first_place, self._end(limit + 1)))
        return Count(min(number, limit), is_capped=number > limit or scan.reached_window)

    def page(self, size: int = 50, *, before: str | None = None) -> JobPage:
        """Return up to ``size`` jobs, only older ones than the job with the id ``before`` if it is given.

        A slice has no effect on it; a ``window`` limits the jobs that are read for one page.
        """
        scan = self._scan(before)
        jobs = [*islice(scan, size)]
        is_last = len(jobs) < size and not scan.reached_window
        return JobPage(
            jobs=jobs,
            next=None if is_last else scan.last_id,
            looked_at=scan.looked_at,
            reached_window=scan.reached_window,
        )

    def retry(self) -> Count:
        """Make jobs that have failed or were cancelled ready again; see ``jobs.retry``."""
        return self.do(Retry())

    def cancel(self, *, by: str = "") -> Count:
        """Cancel jobs that wait or run; see ``jobs.cancel``."""
        return self.do(Cancel(by))

    def discard(self, *, by: str = "") -> Count:
        """Give up jobs that wait or have failed; see ``jobs.discard``."""
        return self.do(GiveUp(by))

    def delete(self) -> Count:
        """Delete jobs that do not run; see ``jobs.delete``."""
        return self.do(Delete())

    def move(self, *, queue: str) -> Count:
        """Move jobs that wait or have failed to another queue; see ``jobs.move``."""
        return self.do(move_of(queue))

    def update(
        self,
        *,
        priority: int | None = None,
        run_after: datetime | timedelta | None = None,
        expires: datetime | timedelta | None = None,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        tags: Sequence[str] | None = None,
    ) -> Count:
        """Change jobs that wait or have failed; see ``jobs.update``. See also ``Count.left_alone``."""
        return self.do(
            update_of(priority=priority, run_after=run_after, expires=expires, args=args, kwargs=kwargs, tags=tags)
        )

    def do(self, operation: Operation) -> Count:
        """Do an operation with the jobs; return how many it has changed; see ``retry``."""
        operation = of_several(operation)
        run = BulkRun(operation, lambda job: self.condition.matches(job, utcnow()))
        scan = self._scan()
        if not self.is_slice:  # the queue leaves out jobs in other states, which count in a slice
            scan = replace(scan, filter=self.condition & filter_of("", {"status": operation.states}))
        self._require_backends(operation, replace(scan))
        run.over(islice(scan, self.first_place, self.end_place))
        return Count(run.done, is_capped=scan.reached_window, left_alone=run.left_alone, keys_kept=run.keys_kept)

    def _require_backends(self, operation: Operation, scan: Scan) -> None:
        """Raise the error of ``operation.require_backend`` if one of the jobs is in an alias that it refuses.

        The jobs are read twice only if there is an alias that the operation cannot be done in.
        """
        refusals: dict[str, Exception] = {}
        backends = self.condition.bounds.backends
        for alias in aliases() if backends is None else backends.intersection(aliases()):
            try:
                operation.require_backend(alias)
            except (LocoError, ValueError) as error:
                refusals[alias] = error
        if not refusals:
            return
        if not self.is_slice and self.window is None:
            scan = replace(scan, filter=scan.filter & filter_of("", {"backend": map(escape, refusals)}))
        for job in islice(scan, self.first_place, self.end_place):
            if job.backend in refusals and is_possible(operation, job):
                raise refusals[job.backend]

    @property
    def is_slice(self) -> bool:
        """Whether it is a part of a search, by places."""
        return bool(self.first_place) or self.end_place is not None

    def _scan(self, before: str | None = None) -> Scan:
        return Scan(self.condition, before=before, window=self.window)

    def _end(self, limit: int) -> int:
        end = self.first_place + limit
        return end if self.end_place is None else min(end, self.end_place)

    def _counted_by_queues(self, limit: int) -> int:
        bounds = self.condition.bounds
        return sum(
            number
            for alias in aliases()
            if bounds.backends is None or alias in bounds.backends
            for (name, status), number in queue_of(alias).counts(limit + 1).items()
            if (bounds.queues is None or name in bounds.queues)
            and (bounds.statuses is None or status in bounds.statuses)
        )
