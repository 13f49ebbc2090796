"""Dumps stored jobs as lines, which ``importing`` reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ...core.job import Job
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
        """Yield the header, and a line per job. Raises ``QueueUnavailable``."""
        yield header(self._aliases)
        for job, log in with_logs(self._found):
            if job.is_readable:
                self.number += 1
                yield line_of(job, log)
            else:
                self.unreadable.append(job.id)
