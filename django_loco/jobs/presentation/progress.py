"""The progress of a job as people see it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from ...core.job import SUCCESSFUL, Job
from ...core.job.progress import Number, stored_progress
from ...log.plain_text import one_line
from ...queues.rows.unreadable import NOT_OURS
from .numbers import number_text


@dataclass(frozen=True, slots=True)
class JobProgress:
    """The progress of a job: ``result.progress``."""

    done: Number
    """0 or more."""

    total: Number | None
    """``None``: nobody knows."""

    note: str
    at: datetime
    """When it was stored, aware and in UTC."""

    has_succeeded: bool = False
    """Whether the job has succeeded."""

    @property
    def percent(self) -> float | None:
        """From 0 to 100; ``None`` if there is no ``total``. A job that has succeeded has 100."""
        if self.has_succeeded:
            return 100.0
        if self.total is None:
            return None
        return 100.0 if self.done >= self.total else 100 * self.done / self.total

    def __str__(self) -> str:
        """Return the progress for people, on one line: ``1,200 of 5,000 (24 %): customers``."""
        text = self._numbers()
        return f"{text}: {one_line(self.note)}" if self.note else text

    def _numbers(self) -> str:
        values = {
            "done": number_text(self.done),
            "total": "" if self.total is None else number_text(self.total),
            "percent": "" if self.percent is None else math.floor(self.percent),
        }
        if self.percent is None:
            return str(values["done"])
        text = _("%(done)s (%(percent)s %%)") if self.total is None else _("%(done)s of %(total)s (%(percent)s %%)")
        return text % values


def progress_of(job: Job) -> JobProgress | None:
    """Return the progress of ``job``; ``None`` if it has not reported any, or its report cannot be read."""
    if job.progress is None:
        return None
    try:
        return JobProgress(*stored_progress(job.progress), has_succeeded=job.status == SUCCESSFUL)
    except NOT_OURS:
        return None
