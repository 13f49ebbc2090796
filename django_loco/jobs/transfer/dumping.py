"""Dumps stored jobs as lines, which ``importing`` reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ...core.job import Job
from ...queues.records.batches import BatchRecord
from ..stores import queue_of
from .batch_lines import line_of_batch
from .dump_lines import header, line_of
from .storing import with_logs


class Dump:
    """The lines of some jobs. Iterate it once, and ask afterwards how many jobs are in it.

    It holds a few pages of jobs at a time. Each job is as it was when its page was read.
    """

    def __init__(self, aliases: Sequence[str], found: Iterable[Job]) -> None:
        self._aliases = aliases
        self._found = found
        self.number = 0
        """The number of jobs that were dumped."""
        self.unreadable: list[str] = []
        """The ids of the jobs that cannot be read as they are stored, and are not in the dump."""

    def __iter__(self) -> Iterator[str]:
        """Yield the header, a line per batch, and one per job. Raises ``QueueUnavailable``.

        The batches are read first. So a batch is not finished in the dump while one of its members is unfinished there.
        """
        batches = self._batches()
        first = next(batches, None)
        yield header(self._aliases, has_batches=first is not None)
        if first is not None:
            yield line_of_batch(first)
        yield from map(line_of_batch, batches)
        for job, log in with_logs(self._found):
            if job.is_readable:
                self.number += 1
                yield line_of(job, log)
            else:
                self.unreadable.append(job.id)

    def _batches(self) -> Iterator[BatchRecord]:
        for alias in self._aliases:
            before = None
            while page := queue_of(alias).list_batches(before=before):
                yield from page
                before = page[-1].id
