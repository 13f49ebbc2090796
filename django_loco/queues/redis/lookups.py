"""Looks jobs up in Redis: by their ids, those with expired leases, and pages of them, the newest first.

No script looks at more than ``STEP`` jobs, so that other clients are served in between. Jobs may change their status
between two scripts. So the number of jobs with a status does not tell whether all of them were seen, unless it is 0;
the search goes on to the end of the index.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Unpack

from ...core.compat import TaskResultStatus
from ...core.job import FAILED, READY, RUNNING, SUCCESSFUL, Job, JobCall
from ..lookups import Which, status_of
from ..rows.chunks import chunks_of
from ..rows.forms import digits_of
from .codec.answers import calls_of, decoded, is_id, jobs_of
from .codec.job_lists import word
from .codec.payloads import lines
from .connections.server import RedisServer

#: The number of jobs that one script looks at.
STEP = 2_000
#: Names that every encoder of JSON writes in the same way.
_PLAIN_NAME = re.compile(r"[\w.:-]*", re.ASCII)

Counts = Mapping[tuple[str, TaskResultStatus], int]


class RedisLookups:
    """Reads jobs of the alias ``alias``."""

    def __init__(self, server: RedisServer, alias: str) -> None:
        self._server = server
        self._alias = alias

    def shown(self, ids: str, limit: int = 0) -> list[Job]:
        """Return the jobs with the ``ids``, one per line; without ids, up to ``limit`` jobs with expired leases."""
        return self._jobs(self._server.run("show_jobs", (ids, limit)))

    def get(self, job_id: str) -> Job | None:
        """Return a job, if it is there."""
        return next(iter(self.shown(lines([digits_of(job_id) or job_id]))), None) if is_id(job_id) else None

    def get_many(self, ids: Sequence[str]) -> list[Job]:
        """Return the stored jobs with these ids."""
        return [job for chunk in chunks_of([*filter(is_id, ids)]) for job in self.shown(lines(chunk))]

    def newest(
        self,
        counts: Counts,
        *,
        status: TaskResultStatus | str | None = None,
        queue_name: str | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> list[Job]:
        """Return a page, see ``Queue.list``. ``counts``: the present number of jobs per queue name and status."""
        status = status_of(status)
        if limit <= 0 or before == "" or not _may_have_any(counts, status, queue_name):
            return []
        if status == RUNNING:
            jobs = self._running(before)
        else:
            if status in (READY, SUCCESSFUL) and (few := self._few(status, queue_name, before, limit)) is not None:
                return few
            jobs = chain.from_iterable(map(self._jobs, self._found(status, queue_name, before, limit)))
        return [*islice((job for job in jobs if queue_name in (None, job.queue_name)), limit)]

    def calls(self, counts: Counts, **which: Unpack[Which]) -> Sequence[Job | JobCall]:
        """Return the calls of a page; the jobs themselves if they run."""
        status, queue_name, limit = status_of(which.get("status")), which.get("queue_name"), which.get("limit", 100)
        if status == RUNNING:
            return self.newest(counts, **which)
        if limit <= 0 or which.get("before") == "" or not _may_have_any(counts, status, queue_name):
            return []
        parts = self._found(status, queue_name, which.get("before"), limit, only_calls=True)
        calls = (call for part in parts for call in calls_of(self._alias, decoded(part), queue_name))
        return [*islice(calls, limit)]

    def _running(self, before: str | None) -> Iterator[Job]:
        leases = self._server.ask("ZRANGE", self._server.key("leases"), 0, -1)
        ids = sorted((job_id for job_id in map(decoded, leases) if before is None or job_id < before), reverse=True)
        for first in range(0, len(ids), STEP):
            yield from (job for job in self.shown(lines(ids[first : first + STEP])) if job.status == RUNNING)

    def _few(
        self, status: TaskResultStatus, queue_name: str | None, before: str | None, limit: int
    ) -> list[Job] | None:
        queue = "" if queue_name is None else word(queue_name)
        answer = self._server.run("show_few", (status.value, queue, before or "", limit, STEP))
        return None if answer is None else self._jobs(answer)

    def _found(
        self,
        status: TaskResultStatus | None,
        queue_name: str | None,
        before: str | None,
        limit: int,
        *,
        only_calls: bool = False,
    ) -> Iterator[bytes]:
        index, has = "failed" if status == FAILED else "index", status.value if status else ""
        # A script only chooses jobs in whose text the name occurs, which is cheaper than reading the text.
        needle = word(queue_name) if queue_name and _PLAIN_NAME.fullmatch(queue_name) else ""
        last, shown = before or "", "calls" if only_calls else "jobs"
        while True:
            rows, stopped_at = self._server.run("find", (last, has, needle, limit, STEP, shown), (index,))
            yield rows
            if not (last := decoded(stopped_at)):
                return

    def _jobs(self, rows: bytes) -> list[Job]:
        return jobs_of(self._alias, decoded(rows))


def _may_have_any(counts: Counts, status: TaskResultStatus | None, queue_name: str | None) -> bool:
    return any(
        number and queue_name in (None, name) and status in (None, has) for (name, has), number in counts.items()
    )
