"""The kept logs of jobs, for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ...core.job import Job
from ...log.plain_text import plain
from ...queues.rows.unreadable import NOT_OURS
from ..stores import JobReference, get, queue_of
from .numbers import number_text
from .shown import BROKEN


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLog:
    """The log lines of one run of a job. Not every run is an attempt: an interrupted run does not count."""

    attempt: int | None = None
    began_at: str = ""
    """In UTC, in ISO 8601."""

    dropped: int = 0
    """The number of older lines that are not kept."""

    text: str = ""
    """The lines, without control characters. The further lines of a record begin with a space."""

    @property
    def title(self) -> str:
        """The attempt, and when the run began: ``attempt 2, 2026-11-28T12:34:56.789+00:00``."""
        attempt = _("an attempt") if self.attempt is None else _("attempt %(number)s") % {"number": self.attempt}
        return f"{attempt}, {self.began_at}" if self.began_at else attempt

    @property
    def shown(self) -> str:
        """The lines. If older ones are not kept, the first line says how many."""
        if not self.dropped:
            return self.text
        note = ngettext("(%(count)s older line is not kept)", "(%(count)s older lines are not kept)", self.dropped)
        return f"{note % {'count': number_text(self.dropped)}}\n{self.text}"


def log(which: JobReference, /, *, backend: str | None = None) -> str:
    """Return what the last runs of a job have logged, the oldest first; empty if its log is not kept.

    ``which`` is the id of a job, a job, or a result. There are at most five runs, with 200,000 bytes each. The log of
    a run is stored when the run ends.

    Raises ``TaskResultDoesNotExist`` if there is no such job, ``QueueUnavailable`` if the store does not answer.
    """
    runs = logs_of(get(which, backend=backend))
    return "".join(f"--- {run.title} ---\n{run.shown}\n" for run in runs)


def logs_of(job: Job) -> Sequence[RunLog]:
    """Return the kept logs of ``job``, the oldest first. Raises ``QueueUnavailable``."""
    stored = queue_of(job.backend).logs([job.id]).get(job.id)
    return [_run_log(line) for line in stored.split("\n")] if stored else ()


def _run_log(line: str) -> RunLog:
    try:
        values: Any = json.loads(line)
        return RunLog(
            attempt=None if values.get("attempt") is None else int(values["attempt"]),
            began_at=plain(str(values.get("began_at", ""))).replace("\n", " "),
            dropped=int(values.get("dropped", 0)),
            text=plain(str(values["text"])),
        )
    except (*NOT_OURS, AttributeError):
        return RunLog(text=BROKEN)
